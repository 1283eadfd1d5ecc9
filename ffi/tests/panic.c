/* A panic inside the library: caught, told as SEXTON_INTERNAL, and the end of that handle alone. Built against the
 * library with the cargo feature `test-hook`, which exports a function that panics; the library that is installed has
 * none. */

#include "every.h"

#include <pthread.h>

int32_t sexton_test_panic(sexton_engine *engine, sexton_error **error);

static sexton_error *error;

/* It comes first: a child of a process that had an engine open could open none. */
TEST("a panic is not told on standard error, but to the host's log") {
    int ends[2], status = 0;
    char said[256];
    CHECK_INT(0, pipe(ends));
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        sexton_engine *engine = open_site(NULL, 0);
        CHECK_STATUS(SEXTON_INTERNAL, sexton_test_panic(engine, &error), error);
        sexton_engine_free(engine);
        _exit(0);
    }
    close(ends[1]);
    ssize_t len = read(ends[0], said, sizeof said);
    close(ends[0]);
    CHECK_INT(child, waitpid(child, &status, 0));
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    if (len != 0) {
        FAIL("somebody wrote: %.*s", (int)len, said);
    }
}

TEST("INTERNAL: a panic is a status with a sentence, and from then on of every call on that handle") {
    sexton_engine *engine = open_site(NULL, 0);
    put(engine, "files", "a");
    CHECK_STATUS(SEXTON_INTERNAL, sexton_test_panic(engine, &error), error);
    check_every_call(engine, SEXTON_INTERNAL);
    CHECK_STATUS(SEXTON_INTERNAL, sexton_test_panic(engine, &error), error);
    sexton_engine_free(engine);
}

TEST("after a panic the handle can be freed, and the folder opened again with all that was registered") {
    sexton_engine *engine = open_site("threads", 2);
    put_many(engine, "files", "a", 3);
    CHECK_STATUS(SEXTON_INTERNAL, sexton_test_panic(engine, &error), error);
    sexton_engine_free(engine);
    engine = open_site(NULL, 0);
    CHECK_INT(3, counters(engine, "files").live);
    pass_ms(2 * SECOND_MS);
    CHECK_INT(3, delete_due(engine));
    check_sound(engine);
    close_site(engine);
}

TEST("another engine of the process is not concerned") {
    sexton_options *options = site_options();
    sexton_engine *engine = open_with(options), *other = NULL;
    char folder[4400];
    snprintf(folder, sizeof folder, "%s/other", test_folder());
    CHECK_OK(sexton_open(bytes(folder), options, &other, &error), error);
    CHECK_STATUS(SEXTON_INTERNAL, sexton_test_panic(engine, &error), error);
    put(other, "files", "a");
    CHECK_INT(1, counters(other, "files").live);
    sexton_engine_free(engine);
    put(other, "files", "b");
    close_site(other);
    sexton_options_free(options);
}

static void *panics(void *engine) {
    sexton_error *own = NULL;
    CHECK_STATUS(SEXTON_INTERNAL, sexton_test_panic(engine, &own), own);
    return NULL;
}

TEST("a panic in one thread ends the calls of the others, and none of them hangs") {
    sexton_engine *engine = open_site("threads", 2);
    pthread_t thread;
    sexton_registration one = registration("files", "a");
    int32_t status;
    CHECK_INT(0, pthread_create(&thread, NULL, panics, engine));
    do {
        sexton_results *results = NULL;
        status = sexton_register(engine, &one, 1, 0, &results, NULL);
        sexton_results_free(results);
    } while (status == SEXTON_OK);
    CHECK_INT(SEXTON_INTERNAL, status);
    CHECK_INT(0, pthread_join(thread, NULL));
    sexton_engine_free(engine);
}
