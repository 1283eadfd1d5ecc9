/* fork(): a child has the memory of its parent, but not its threads, and must not use its folder. */

#define TESTS_ISOLATED
#include "all_calls.h"

#include <fcntl.h>
#include <sys/file.h>

/* Returns 1 if an engine holds the lock of the test's folder. */
static int is_folder_locked(void) {
    int fd = open(test_path("lock"), O_RDWR);
    CHECK(fd >= 0);
    int locked = flock(fd, LOCK_EX | LOCK_NB) != 0;
    CHECK(!locked || errno == EWOULDBLOCK);
    close(fd);
    return locked;
}

/* Ends a child with exit code 0, by becoming another program. Leak checkers then do not report the memory that the
 * child has from its parent. */
__attribute__((noreturn)) static void end_child(void) {
    execlp("true", "true", (char *)NULL);
    _exit(2);
}

/* Forks. In the child every call on the parent's engine must be refused, and the handle can be freed. */
static void check_forked_child(sexton_engine *engine) {
    pid_t child = fork();
    if (child == 0) {
        sexton_error *error = NULL;
        check_all_calls(engine, SEXTON_CLOSED);
        int32_t status = sexton_close(engine, &error);
        CHECK(status == SEXTON_OK || status == SEXTON_CLOSED);
        sexton_error_free(error);
        sexton_engine_free(engine);
        end_child();
    }
    test_wait_child(child);
}

TEST("every call in a forked child is CLOSED; the parent goes on") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_id id = register_object(engine, "files", "a");
    sexton_batch *batch = take_due_batch(engine, 1);
    check_forked_child(engine);
    CHECK_INT(1, answer_all(engine, batch, SEXTON_ANSWER_DELETED));
    sexton_batch_free(batch);
    run_until_idle(engine);
    check_kept(engine, id, "a");
    CHECK(is_folder_locked());
    close_engine(engine);
}

/* Not under AddressSanitizer: its allocator stays locked in a child that is forked while another thread allocates. */
#ifndef __SANITIZE_ADDRESS__

TEST("a child of an engine with threads is CLOSED, parent locked") {
    sexton_engine *engine = open_engine("threads", 2);
    register_object(engine, "files", "a");
    CHECK(is_folder_locked());
    check_forked_child(engine);
    CHECK(is_folder_locked());
    register_object(engine, "files", "b");
    CHECK_INT(2, class_counters(engine, "files").live);
    check_sound(engine);
    close_engine(engine);
    CHECK(!is_folder_locked());
}

static atomic_int is_stopped;

/* Registers without pause, so that the locks inside the engine are held most of the time. */
static void *register_until_stopped(void *engine) {
    char key[32];
    for (unsigned i = 0; !is_stopped; i++) {
        snprintf(key, sizeof key, "busy-%u", i);
        register_object(engine, "files", key);
    }
    return NULL;
}

TEST("a child forked while locks are held is refused, not hung") {
    sexton_engine *engine = open_engine("threads", 1);
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        start_thread(&threads[i], register_until_stopped, engine);
    }
    for (size_t i = 0; i < test_size(20, 3); i++) {
        usleep(2000);
        check_forked_child(engine);
    }
    is_stopped = 1;
    join_threads(threads, 2);
    check_sound(engine);
    close_engine(engine);
}

static void note_exit(void) {
    close(open(test_path("exited"), O_CREAT | O_WRONLY, 0600));
}

/* Forks, and ends the child with exit(). Not under valgrind, which would report the memory of the parent's threads. */
static void check_exiting_child(void) {
    for (size_t i = 0; i < test_size(20, 0); i++) {
        pid_t child = fork();
        if (child == 0) {
            exit(0);
        }
        test_wait_child(child);
        CHECK(unlink(test_path("exited")) == 0);
    }
}

TEST("a child that ends with exit() runs the host's handlers only") {
    CHECK(atexit(note_exit) == 0);
    sexton_engine *engine = open_engine("threads", 1);
    register_object(engine, "files", "a");
    check_exiting_child();
    register_object(engine, "files", "b");
    check_sound(engine);
    close_engine(engine);
    check_exiting_child();
}

#endif

TEST("open is CLOSED in a child of a process that had an engine") {
    sexton_options *options = test_options();
    sexton_engine *engine = open_with_options(options);
    for (int is_open = 1; is_open >= 0; is_open--) {
        pid_t child = fork();
        if (child == 0) {
            sexton_engine *child_engine = UNTOUCHED(sexton_engine);
            sexton_error *error = NULL;
            CHECK_STATUS(SEXTON_CLOSED,
                         sexton_open(bytes(test_path("child")), options, &child_engine, &error),
                         error);
            CHECK(child_engine == UNTOUCHED(sexton_engine));
            end_child();
        }
        test_wait_child(child);
        if (is_open) {
            register_object(engine, "files", "a");
            close_engine(engine);
        }
    }
    sexton_options_free(options);
}

TEST("children forked before the first opening open engines") {
    sexton_options *options = test_options();
    pid_t children[3];
    for (size_t i = 0; i < 3; i++) {
        if ((children[i] = fork()) == 0) {
            char name[24];
            snprintf(name, sizeof name, "%zu", i);
            sexton_engine *child_engine = open_below(name, options);
            register_object(child_engine, "files", "a");
            advance_ms(2 * SECOND_MS);
            CHECK_INT(1, delete_due(child_engine));
            close_engine(child_engine);
            end_child();
        }
    }
    for (size_t i = 0; i < 3; i++) {
        test_wait_child(children[i]);
    }
    sexton_options_free(options);
}
