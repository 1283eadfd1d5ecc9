/* The zero-thread mode: whatever the engine does, it does inside a call of the host. */

#include "site.h"

#include <poll.h>

static int64_t run(sexton_engine *engine) {
    sexton_error *error = NULL;
    int64_t next_ms = 77;
    CHECK_OK(sexton_run(engine, 1000, &next_ms, &error), error);
    return next_ms;
}

TEST("an engine in which nothing is registered never asks to be called again") {
    sexton_engine *engine = open_site(NULL, 0);
    settle(engine);
    CHECK_INT(SEXTON_NO_CEILING_MS, run(engine));
    close_site(engine);
}

TEST("the engine says when it wants to be called again, and has nothing to do before") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_error *error = NULL;
    int64_t due_ms = 0, start_ms = now_ms();
    put(engine, "files", "a");
    settle(engine);
    int64_t next_ms = run(engine);
    CHECK(next_ms >= start_ms + SECOND_MS && next_ms <= start_ms + 2 * SECOND_MS);
    CHECK_OK(sexton_next_due_ms(engine, &due_ms, &error), error);
    CHECK_INT(due_ms, next_ms);
    pass_ms(next_ms - now_ms() - 1);
    CHECK(run(engine) > now_ms() && next(engine) == NULL);
    pass_ms(1);
    settle(engine);
    sexton_batch *batch = take(engine, 1);
    answer_all(engine, batch, SEXTON_ANSWER_DELETED);
    sexton_batch_free(batch);
    settle(engine);
    CHECK_INT(1, counters(engine, "files").deleted);
    CHECK_INT(SEXTON_NO_CEILING_MS, run(engine));
    close_site(engine);
}

TEST("while a sub-batch is out the engine asks to be called when the time for its answers is over") {
    sexton_engine *engine = open_site(NULL, 0);
    put(engine, "files", "a");
    pass_ms(2 * SECOND_MS);
    settle(engine);
    sexton_batch *batch = take(engine, 1);
    settle(engine);
    int64_t next_ms = run(engine);
    CHECK(next_ms > now_ms() && next_ms <= now_ms() + MINUTE_MS);
    pass_ms(next_ms - now_ms());
    settle(engine);
    CHECK_INT(0, answer_all(engine, batch, SEXTON_ANSWER_DELETED));
    sexton_batch_free(batch);
    CHECK_INT(1, counters(engine, "files").live);
    close_site(engine);
}

TEST("what is due becomes ready in sexton_run, and not before") {
    sexton_engine *engine = open_site(NULL, 0);
    put(engine, "files", "a");
    pass_ms(2 * SECOND_MS);
    CHECK(next(engine) == NULL);
    run(engine);
    sexton_batch *batch = take(engine, 1);
    CHECK_INT(1, answer_all(engine, batch, SEXTON_ANSWER_DELETED));
    CHECK_INT(0, counters(engine, "files").deleted);
    settle(engine);
    CHECK_INT(1, counters(engine, "files").deleted);
    sexton_batch_free(batch);
    close_site(engine);
}

/* What a callback is asked to do in the thread of the host. */
typedef struct host {
    pid_t thread;
    size_t calls, deleted;
} host;

static int32_t deletes(void *user, sexton_engine *engine, const sexton_batch *batch) {
    host *self = user;
    CHECK_INT(self->thread, gettid());
    self->calls++;
    self->deleted += answer_all(engine, batch, SEXTON_ANSWER_DELETED);
    return 0;
}

static sexton_engine *open_for(host *self) {
    sexton_options *options = site_options();
    sexton_error *error = NULL;
    set_uint(options, "sub_batch_objects", 10);
    CHECK_OK(sexton_options_set_delete(options, deletes, self, &error), error);
    sexton_engine *engine = open_with(options);
    sexton_options_free(options);
    return engine;
}

TEST("with a delete callback it is called inside sexton_run, in the thread of the caller, and nowhere else") {
    host self = {gettid(), 0, 0};
    sexton_engine *engine = open_for(&self);
    put_many(engine, "files", "a", 25);
    pass_ms(2 * SECOND_MS);
    CHECK_INT(0, self.calls);
    settle(engine);
    CHECK_INT(25, self.deleted);
    CHECK(self.calls >= 3);
    CHECK_INT(25, counters(engine, "files").deleted);
    check_sound(engine);
    close_site(engine);
}

TEST("a budget of no time still makes progress, so that a host with little time gets there") {
    host self = {gettid(), 0, 0};
    sexton_engine *engine = open_for(&self);
    sexton_error *error = NULL;
    int64_t next_ms;
    put_many(engine, "files", "a", 25);
    pass_ms(2 * SECOND_MS);
    for (int calls = 0; counters(engine, "files").deleted < 25; calls++) {
        CHECK(calls < 1000);
        CHECK_OK(sexton_run(engine, 0, &next_ms, &error), error);
    }
    close_site(engine);
}

TEST("what is submitted is done by sexton_run, which wants to be called at once") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_registration one = registration("files", "a");
    sexton_error *error = NULL;
    sexton_results *results = NULL;
    int fd;
    CHECK_OK(sexton_event_fd(engine, &fd, &error), error);
    CHECK_OK(sexton_submit_register(engine, 3, &one, 1, 0, &error), error);
    settle(engine);
    struct pollfd ready = {fd, POLLIN, 0};
    CHECK_INT(1, poll(&ready, 1, 0));
    CHECK_OK(sexton_next_completion(engine, &results, &error), error);
    CHECK(results != NULL);
    CHECK_INT(3, sexton_results_token(results));
    sexton_results_free(results);
    CHECK_INT(0, poll(&ready, 1, 0));
    CHECK_INT(1, counters(engine, "files").live);
    close_site(engine);
}

TEST("sexton_run is also allowed where the engine has threads") {
    sexton_engine *engine = open_site("threads", 2);
    put_many(engine, "files", "a", 10);
    pass_ms(2 * SECOND_MS);
    for (size_t deleted = 0; deleted < 10;) {
        run(engine);
        for (sexton_batch *batch; (batch = next(engine)) != NULL;) {
            deleted += answer_all(engine, batch, SEXTON_ANSWER_DELETED);
            sexton_batch_free(batch);
        }
    }
    while (counters(engine, "files").deleted < 10) {
        run(engine);
    }
    close_site(engine);
}
