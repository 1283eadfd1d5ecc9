/* Concurrent calls: threads register while others take sub-batches and answer them. */

#include "fixture.h"

#include <poll.h>

#define WRITERS 3
#define READERS 2

/* State shared by the threads of a test. */
typedef struct shared {
    sexton_engine *engine;
    size_t per_writer;
    atomic_size_t registered, deleted, failed;
    atomic_int writers_done;
} shared;

typedef struct writer {
    shared *state;
    unsigned number;
} writer;

/* Registers in blocking calls of different sizes. */
static void *register_until_done(void *argument) {
    writer *self = argument;
    sexton_registration objects[16];
    char keys[16][32];
    for (size_t done = 0; done < self->state->per_writer;) {
        size_t len = 1 + done % 16;
        for (size_t i = 0; i < len; i++) {
            snprintf(keys[i], sizeof keys[i], "%u-%zu", self->number, done + i);
            objects[i] = make_registration("files", keys[i]);
        }
        sexton_results *results = NULL;
        sexton_error *error = NULL;
        uint32_t flags = done % 3 == 0 ? SEXTON_BUFFERED : 0;
        CHECK_OK(sexton_register(self->state->engine, objects, len, flags, &results, &error),
                 error);
        sexton_results_free(results);
        self->state->registered += len;
        done += len;
        advance_ms(50);
    }
    self->state->writers_done++;
    return NULL;
}

/* Answers a sub-batch. While threads register, every seventh object is answered as failed, so that it comes again. */
static void answer_with_failures(shared *self, const sexton_batch *batch) {
    static _Thread_local sexton_answer answers[ANSWERS_MAX];
    sexton_batch_id id = sexton_batch_get_id(batch);
    sexton_error *error = NULL;
    size_t len, taken, failed = 0;
    CHECK(sexton_batch_objects(batch, &len) != NULL && len <= ANSWERS_MAX);
    for (size_t i = 0; i < len; i++) {
        int fails = !self->writers_done && i % 7 == 6;
        int32_t outcome = fails ? SEXTON_ANSWER_FAILED : SEXTON_ANSWER_DELETED;
        answers[i] = (sexton_answer){(uint32_t)i, outcome, {NULL, 0}};
        failed += (size_t)fails;
    }
    CHECK_OK(sexton_answer_objects(self->engine, &id, answers, len, &taken, &error), error);
    CHECK_INT(len, taken);
    self->deleted += len - failed;
    self->failed += failed;
}

/* Waits on the event descriptor, and answers sub-batches until everything registered is deleted. */
static void *delete_until_done(void *argument) {
    shared *self = argument;
    sexton_error *error = NULL;
    int fd;
    CHECK_OK(sexton_event_fd(self->engine, &fd, &error), error);
    while (self->writers_done < WRITERS || self->deleted < self->registered) {
        struct pollfd polled = {fd, POLLIN, 0};
        CHECK(poll(&polled, 1, 20) >= 0);
        for (sexton_batch *batch; (batch = next_batch(self->engine)) != NULL;) {
            answer_with_failures(self, batch);
            sexton_batch_free(batch);
        }
        advance_ms(50);
    }
    return NULL;
}

TEST("with concurrent threads each object is deleted exactly once") {
    pthread_t writing[WRITERS], reading[READERS];
    shared state = {0};
    writer writers[WRITERS];
    sexton_options *options = test_options();
    set_option_uint(options, "threads", 2);
    set_option_uint(options, "sub_batch_objects", 50);
    set_option_uint(options, "answer_timeout_ms", DAY_MS);
    state.engine = open_with_options(options);
    state.per_writer = test_size(3000, 150);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (writer){&state, i};
        start_thread(&writing[i], register_until_done, &writers[i]);
    }
    for (size_t i = 0; i < READERS; i++) {
        start_thread(&reading[i], delete_until_done, &state);
    }
    join_threads(writing, WRITERS);
    join_threads(reading, READERS);
    while (class_counters(state.engine, "files").live > 0) {
        usleep(1000);
    }
    CHECK_INT(state.registered, class_counters(state.engine, "files").registered);
    CHECK_INT(state.registered, class_counters(state.engine, "files").deleted);
    CHECK_INT(0, class_counters(state.engine, "files").early);
    check_sound(state.engine);
    close_engine(state.engine);
    sexton_options_free(options);
}

/* Calls the engine until another thread closes it. */
static void *use_until_closed(void *argument) {
    shared *self = argument;
    for (unsigned i = 0;; i++) {
        char key[32];
        snprintf(key, sizeof key, "%p-%u", (void *)&i, i);
        sexton_registration object = make_registration("files", key);
        sexton_results *results = NULL;
        sexton_text *text = NULL;
        sexton_batch *batch = NULL;
        int32_t status = sexton_register(self->engine, &object, 1, 0, &results, NULL);
        sexton_results_free(results);
        if (status == SEXTON_OK) {
            status = sexton_status(self->engine, &text, NULL);
            sexton_text_free(text);
        }
        if (status == SEXTON_OK) {
            status = sexton_next_batch(self->engine, &batch, NULL);
            sexton_batch_free(batch);
        }
        if (status != SEXTON_OK) {
            CHECK_INT(SEXTON_CLOSED, status);
            return NULL;
        }
        self->registered++;
    }
}

TEST("closing waits for running calls and refuses later ones") {
    pthread_t using[3];
    shared state = {0};
    sexton_error *error = NULL;
    state.engine = open_engine("threads", 2);
    for (size_t i = 0; i < 3; i++) {
        start_thread(&using[i], use_until_closed, &state);
    }
    while (state.registered < test_size(200, 20)) {
        advance_ms(50);
        usleep(1000);
    }
    CHECK_OK(sexton_close(state.engine, &error), error);
    join_threads(using, 3);
    sexton_engine_free(state.engine);
    state.engine = open_engine(NULL, 0);
    CHECK(class_counters(state.engine, "files").registered >= state.registered);
    check_sound(state.engine);
    close_engine(state.engine);
}

/* Closes an engine while other threads close it too. Each call returns only when the engine is closed. */
static void *close_once(void *engine) {
    sexton_error *error = NULL;
    CHECK_OK(sexton_close(engine, &error), error);
    CHECK_STATUS(SEXTON_CLOSED, sexton_sync(engine, &error), error);
    return NULL;
}

TEST("several threads may close the same engine at once") {
    pthread_t closing[3];
    sexton_engine *engine = open_engine("threads", 2);
    register_objects(engine, "files", "a", 5);
    for (size_t i = 0; i < 3; i++) {
        start_thread(&closing[i], close_once, engine);
    }
    join_threads(closing, 3);
    sexton_engine_free(engine);
}

/* Drives an engine without threads until everything registered is deleted. */
static void *drive_engine(void *argument) {
    shared *self = argument;
    sexton_error *error = NULL;
    int64_t next_ms;
    while (self->deleted < self->registered) {
        CHECK_OK(sexton_run(self->engine, 5, &next_ms, &error), error);
        for (sexton_batch *batch; (batch = next_batch(self->engine)) != NULL;) {
            self->deleted += answer_all(self->engine, batch, SEXTON_ANSWER_DELETED);
            sexton_batch_free(batch);
        }
    }
    return NULL;
}

TEST("several host threads may drive an engine without threads") {
    pthread_t running[3];
    shared state = {0};
    state.engine = open_engine("sub_batch_objects", 7);
    state.registered = test_size(500, 50);
    register_objects(state.engine, "files", "a", state.registered);
    advance_ms(2 * SECOND_MS);
    for (size_t i = 0; i < 3; i++) {
        start_thread(&running[i], drive_engine, &state);
    }
    join_threads(running, 3);
    run_until_idle(state.engine);
    CHECK_INT(state.registered, class_counters(state.engine, "files").deleted);
    check_sound(state.engine);
    close_engine(state.engine);
}
