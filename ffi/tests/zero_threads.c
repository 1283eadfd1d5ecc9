/* Engine without threads: it works only inside sexton_run(), in the thread of the caller. */

#include "fixture.h"

#include <poll.h>

/* Calls sexton_run() once, and returns when it wants to be called again. */
static int64_t run_once(sexton_engine *engine) {
    sexton_error *error = NULL;
    int64_t next_ms = 77;
    CHECK_OK(sexton_run(engine, 1000, &next_ms, &error), error);
    return next_ms;
}

TEST("an empty engine never asks to be called again") {
    sexton_engine *engine = open_engine(NULL, 0);
    run_until_idle(engine);
    CHECK_INT(SEXTON_NEVER_MS, run_once(engine));
    close_engine(engine);
}

TEST("run returns the time of the next work, none before it") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_error *error = NULL;
    int64_t due_ms = 0, start_ms = now_ms();
    register_object(engine, "files", "a");
    run_until_idle(engine);
    int64_t next_ms = run_once(engine);
    CHECK(next_ms >= start_ms + SECOND_MS && next_ms <= start_ms + 2 * SECOND_MS);
    CHECK_OK(sexton_next_due_ms(engine, &due_ms, &error), error);
    CHECK_INT(due_ms, next_ms);
    advance_ms(next_ms - now_ms() - 1);
    CHECK(run_once(engine) > now_ms() && next_batch(engine) == NULL);
    advance_ms(1);
    run_until_idle(engine);
    sexton_batch *batch = take_batch(engine, 1);
    answer_all(engine, batch, SEXTON_ANSWER_DELETED);
    sexton_batch_free(batch);
    run_until_idle(engine);
    CHECK_INT(1, class_counters(engine, "files").deleted);
    CHECK_INT(SEXTON_NEVER_MS, run_once(engine));
    close_engine(engine);
}

TEST("run returns the answer time-out of a taken sub-batch") {
    sexton_engine *engine = open_engine(NULL, 0);
    register_object(engine, "files", "a");
    sexton_batch *batch = take_due_batch(engine, 1);
    run_until_idle(engine);
    int64_t next_ms = run_once(engine);
    CHECK(next_ms > now_ms() && next_ms <= now_ms() + MINUTE_MS);
    advance_ms(next_ms - now_ms());
    run_until_idle(engine);
    CHECK_INT(0, answer_all(engine, batch, SEXTON_ANSWER_DELETED));
    sexton_batch_free(batch);
    CHECK_INT(1, class_counters(engine, "files").live);
    close_engine(engine);
}

TEST("due objects become ready only inside sexton_run") {
    sexton_engine *engine = open_engine(NULL, 0);
    register_object(engine, "files", "a");
    advance_ms(2 * SECOND_MS);
    CHECK(next_batch(engine) == NULL);
    run_once(engine);
    sexton_batch *batch = take_batch(engine, 1);
    CHECK_INT(1, answer_all(engine, batch, SEXTON_ANSWER_DELETED));
    CHECK_INT(0, class_counters(engine, "files").deleted);
    run_until_idle(engine);
    CHECK_INT(1, class_counters(engine, "files").deleted);
    sexton_batch_free(batch);
    close_engine(engine);
}

/* Delete callback that must be called in one thread. */
typedef struct handler {
    pid_t thread;
    size_t calls, deleted;
} handler;

static int32_t delete_all(void *user, sexton_engine *engine, const sexton_batch *batch) {
    handler *self = user;
    CHECK_INT(self->thread, gettid());
    self->calls++;
    self->deleted += answer_all(engine, batch, SEXTON_ANSWER_DELETED);
    return 0;
}

static sexton_engine *open_with_handler(handler *self) {
    sexton_options *options = test_options();
    sexton_error *error = NULL;
    set_option_uint(options, "sub_batch_objects", 10);
    CHECK_OK(sexton_options_set_delete(options, delete_all, self, &error), error);
    sexton_engine *engine = open_with_options(options);
    sexton_options_free(options);
    return engine;
}

TEST("the delete callback runs in the thread of sexton_run") {
    handler self = {gettid(), 0, 0};
    sexton_engine *engine = open_with_handler(&self);
    register_objects(engine, "files", "a", 25);
    advance_ms(2 * SECOND_MS);
    CHECK_INT(0, self.calls);
    run_until_idle(engine);
    CHECK_INT(25, self.deleted);
    CHECK(self.calls >= 3);
    CHECK_INT(25, class_counters(engine, "files").deleted);
    check_sound(engine);
    close_engine(engine);
}

TEST("sexton_run with a budget of 0 still makes progress") {
    handler self = {gettid(), 0, 0};
    sexton_engine *engine = open_with_handler(&self);
    sexton_error *error = NULL;
    int64_t next_ms;
    register_objects(engine, "files", "a", 25);
    advance_ms(2 * SECOND_MS);
    for (int calls = 0; class_counters(engine, "files").deleted < 25; calls++) {
        CHECK(calls < 1000);
        CHECK_OK(sexton_run(engine, 0, &next_ms, &error), error);
    }
    close_engine(engine);
}

TEST("sexton_run completes submissions") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_registration object = make_registration("files", "a");
    sexton_error *error = NULL;
    sexton_results *results = NULL;
    int fd;
    CHECK_OK(sexton_event_fd(engine, &fd, &error), error);
    CHECK_OK(sexton_submit_register(engine, 3, &object, 1, 0, &error), error);
    run_until_idle(engine);
    struct pollfd ready = {fd, POLLIN, 0};
    CHECK_INT(1, poll(&ready, 1, 0));
    CHECK_OK(sexton_next_completion(engine, &results, &error), error);
    CHECK(results != NULL);
    CHECK_INT(3, sexton_results_token(results));
    sexton_results_free(results);
    CHECK_INT(0, poll(&ready, 1, 0));
    CHECK_INT(1, class_counters(engine, "files").live);
    close_engine(engine);
}

TEST("sexton_run is allowed on an engine with threads") {
    sexton_engine *engine = open_engine("threads", 2);
    register_objects(engine, "files", "a", 10);
    advance_ms(2 * SECOND_MS);
    for (size_t deleted = 0; deleted < 10;) {
        run_once(engine);
        for (sexton_batch *batch; (batch = next_batch(engine)) != NULL;) {
            deleted += answer_all(engine, batch, SEXTON_ANSWER_DELETED);
            sexton_batch_free(batch);
        }
    }
    while (class_counters(engine, "files").deleted < 10) {
        run_once(engine);
    }
    close_engine(engine);
}
