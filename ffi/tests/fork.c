/* Forking: a child has the memory of its parent, but neither its threads nor its folder. */

#define TESTS_APART
#include "every.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>

/* Whether somebody holds the lock of the test's folder. */
static int is_locked(void) {
    char path[4400];
    snprintf(path, sizeof path, "%s/lock", test_folder());
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0);
    int locked = flock(fd, LOCK_EX | LOCK_NB) != 0;
    CHECK(!locked || errno == EWOULDBLOCK);
    close(fd);
    return locked;
}

/* Ends a child well, by becoming another program: as most children do, and before anybody who looks for leaks asks what
 * became of the memory that is the parent's. */
__attribute__((noreturn)) static void end_child(void) {
    execlp("true", "true", (char *)NULL);
    _exit(2);
}

static void wait_for_child(pid_t child) {
    int status = 0;
    CHECK(child > 0);
    CHECK_INT(child, waitpid(child, &status, 0));
    CHECK(WIFEXITED(status));
    CHECK_INT(0, WEXITSTATUS(status));
}

/* In the child: every call is refused, and the handle can be freed, whatever threads the parent has. */
static void fork_and_look(sexton_engine *engine) {
    pid_t child = fork();
    if (child == 0) {
        sexton_error *error = NULL;
        check_every_call(engine, SEXTON_CLOSED);
        int32_t status = sexton_close(engine, &error);
        CHECK(status == SEXTON_OK || status == SEXTON_CLOSED);
        sexton_error_free(error);
        sexton_engine_free(engine);
        end_child();
    }
    wait_for_child(child);
}

TEST("a forked child gets SEXTON_CLOSED from each call, and the parent can still delete what is due") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_id id = put(engine, "files", "a");
    pass_ms(2 * SECOND_MS);
    settle(engine);
    sexton_batch *batch = take(engine, 1);
    fork_and_look(engine);
    CHECK_INT(1, answer_all(engine, batch, SEXTON_ANSWER_DELETED));
    sexton_batch_free(batch);
    settle(engine);
    check_kept(engine, id, "a");
    CHECK(is_locked());
    close_site(engine);
}

/* AddressSanitizer's own allocator stays locked for ever in a child that is forked while another thread allocates. */
#ifndef __SANITIZE_ADDRESS__

TEST("the same where the library has threads, which the child has not, and the parent goes on under its lock") {
    sexton_engine *engine = open_site("threads", 2);
    put(engine, "files", "a");
    CHECK(is_locked());
    fork_and_look(engine);
    CHECK(is_locked());
    put(engine, "files", "b");
    CHECK_INT(2, counters(engine, "files").live);
    check_sound(engine);
    close_site(engine);
    CHECK(!is_locked());
}

/* Registers until it is told to stop, so that locks inside the engine are taken most of the time. */
static atomic_int stop_busy;
static void *busy(void *engine) {
    char key[32];
    for (unsigned i = 0; !stop_busy; i++) {
        snprintf(key, sizeof key, "busy-%u", i);
        put(engine, "files", key);
    }
    return NULL;
}

TEST("a child that is forked in the middle of the work of other threads is refused at once as well") {
    sexton_engine *engine = open_site("threads", 1);
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        CHECK_INT(0, pthread_create(&threads[i], NULL, busy, engine));
    }
    for (size_t i = 0; i < test_size(20, 3); i++) {
        usleep(2000);
        fork_and_look(engine);
    }
    stop_busy = 1;
    for (size_t i = 0; i < 2; i++) {
        CHECK_INT(0, pthread_join(threads[i], NULL));
    }
    check_sound(engine);
    close_site(engine);
}

#endif

TEST("a child of a process that ever had an engine open cannot open one, and is told so instead of hanging") {
    sexton_options *options = site_options();
    sexton_engine *engine = open_with(options);
    for (int is_open = 1; is_open >= 0; is_open--) {
        pid_t child = fork();
        if (child == 0) {
            char folder[4400];
            sexton_engine *own = UNTOUCHED(sexton_engine);
            sexton_error *error = NULL;
            snprintf(folder, sizeof folder, "%s/child", test_folder());
            CHECK_STATUS(SEXTON_CLOSED, sexton_open(bytes(folder), options, &own, &error), error);
            CHECK(own == UNTOUCHED(sexton_engine));
            end_child();
        }
        wait_for_child(child);
        if (is_open) {
            put(engine, "files", "a");
            close_site(engine);
        }
    }
    sexton_options_free(options);
}

TEST("children that are forked before the first opening have an engine each") {
    sexton_options *options = site_options();
    pid_t children[3];
    for (size_t i = 0; i < 3; i++) {
        if ((children[i] = fork()) == 0) {
            char folder[4400];
            sexton_engine *own = NULL;
            sexton_error *error = NULL;
            snprintf(folder, sizeof folder, "%s/%zu", test_folder(), i);
            CHECK_OK(sexton_open(bytes(folder), options, &own, &error), error);
            put(own, "files", "a");
            pass_ms(2 * SECOND_MS);
            CHECK_INT(1, delete_due(own));
            close_site(own);
            end_child();
        }
    }
    for (size_t i = 0; i < 3; i++) {
        wait_for_child(children[i]);
    }
    sexton_options_free(options);
}
