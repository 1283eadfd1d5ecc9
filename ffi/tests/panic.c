/* A panic inside the library is caught, becomes SEXTON_INTERNAL, and disables that one handle.
 *
 * Built against the library with the cargo feature `test-hook`, which exports a function that panics. The installed
 * library does not export it. */

#include "all_calls.h"

int32_t sexton_test_panic(sexton_engine *engine, sexton_error **error);

static sexton_error *error;

static void panic_and_free(void) {
    sexton_engine *engine = open_engine(NULL, 0);
    CHECK_STATUS(SEXTON_INTERNAL, sexton_test_panic(engine, &error), error);
    sexton_engine_free(engine);
}

/* This test forks, so it comes first: a child of a process that had an engine open cannot open one. */
TEST("a panic writes nothing to standard output and error") {
    test_check_silent(panic_and_free);
}

TEST("INTERNAL: every call on a handle after a panic") {
    sexton_engine *engine = open_engine(NULL, 0);
    register_object(engine, "files", "a");
    CHECK_STATUS(SEXTON_INTERNAL, sexton_test_panic(engine, &error), error);
    check_all_calls(engine, SEXTON_INTERNAL);
    CHECK_STATUS(SEXTON_INTERNAL, sexton_test_panic(engine, &error), error);
    sexton_engine_free(engine);
}

TEST("after a panic a reopened folder has all registrations") {
    sexton_engine *engine = open_engine("threads", 2);
    register_objects(engine, "files", "a", 3);
    CHECK_STATUS(SEXTON_INTERNAL, sexton_test_panic(engine, &error), error);
    sexton_engine_free(engine);
    engine = open_engine(NULL, 0);
    CHECK_INT(3, class_counters(engine, "files").live);
    advance_ms(2 * SECOND_MS);
    CHECK_INT(3, delete_due(engine));
    check_sound(engine);
    close_engine(engine);
}

TEST("a panic leaves other engines of the process usable") {
    sexton_options *options = test_options();
    sexton_engine *engine = open_with_options(options), *other = open_below("other", options);
    CHECK_STATUS(SEXTON_INTERNAL, sexton_test_panic(engine, &error), error);
    register_object(other, "files", "a");
    CHECK_INT(1, class_counters(other, "files").live);
    sexton_engine_free(engine);
    register_object(other, "files", "b");
    close_engine(other);
    sexton_options_free(options);
}

static void *panic_once(void *engine) {
    sexton_error *own = NULL;
    CHECK_STATUS(SEXTON_INTERNAL, sexton_test_panic(engine, &own), own);
    return NULL;
}

TEST("calls of other threads end after a panic, none hangs") {
    sexton_engine *engine = open_engine("threads", 2);
    pthread_t thread;
    sexton_registration object = make_registration("files", "a");
    int32_t status;
    start_thread(&thread, panic_once, engine);
    do {
        sexton_results *results = NULL;
        status = sexton_register(engine, &object, 1, 0, &results, NULL);
        sexton_results_free(results);
    } while (status == SEXTON_OK);
    CHECK_INT(SEXTON_INTERNAL, status);
    join_threads(&thread, 1);
    sexton_engine_free(engine);
}
