/* Many threads at once: some register while others take what is due and answer it. */

#include "site.h"

#include <poll.h>
#include <pthread.h>

#define WRITERS 3
#define READERS 2

/* What the threads of one test share. */
typedef struct crowd {
    sexton_engine *engine;
    size_t per_writer;
    atomic_size_t registered, deleted, refused;
    atomic_int writers_done;
} crowd;

typedef struct writer {
    crowd *crowd;
    unsigned number;
} writer;

/* Registers in calls of different sizes, blocking; each object is due a second later. */
static void *write_some(void *argument) {
    writer *self = argument;
    sexton_registration items[16];
    char keys[16][32];
    for (size_t done = 0; done < self->crowd->per_writer;) {
        size_t len = 1 + done % 16;
        for (size_t i = 0; i < len; i++) {
            snprintf(keys[i], sizeof keys[i], "%u-%zu", self->number, done + i);
            items[i] = registration("files", keys[i]);
        }
        sexton_results *results = NULL;
        sexton_error *error = NULL;
        uint32_t flags = done % 3 == 0 ? SEXTON_BUFFERED : 0;
        CHECK_OK(sexton_register(self->crowd->engine, items, len, flags, &results, &error), error);
        sexton_results_free(results);
        self->crowd->registered += len;
        done += len;
        pass_ms(50);
    }
    self->crowd->writers_done++;
    return NULL;
}

/* Answers one sub-batch: every seventh object fails at first, and comes again. */
static void answer_some(crowd *self, const sexton_batch *batch) {
    static _Thread_local sexton_answer answers[ANSWERS_MAX];
    sexton_batch_id id = sexton_batch_get_id(batch);
    sexton_error *error = NULL;
    size_t len, taken, failed = 0;
    CHECK(sexton_batch_objects(batch, &len) != NULL && len <= ANSWERS_MAX);
    for (size_t i = 0; i < len; i++) {
        int fails = !self->writers_done && i % 7 == 6;
        sexton_answer one = {(uint32_t)i, fails ? SEXTON_ANSWER_FAILED : SEXTON_ANSWER_DELETED, {NULL, 0}};
        answers[i] = one;
        failed += (size_t)fails;
    }
    CHECK_OK(sexton_complete(self->engine, &id, answers, len, &taken, &error), error);
    CHECK_INT(len, taken);
    self->deleted += len - failed;
    self->refused += failed;
}

/* Waits on the descriptor, and takes what is there, until all that was registered is deleted. */
static void *read_all(void *argument) {
    crowd *self = argument;
    sexton_error *error = NULL;
    int fd;
    CHECK_OK(sexton_event_fd(self->engine, &fd, &error), error);
    while (self->writers_done < WRITERS || self->deleted < self->registered) {
        struct pollfd one = {fd, POLLIN, 0};
        CHECK(poll(&one, 1, 20) >= 0);
        for (sexton_batch *batch; (batch = next(self->engine)) != NULL;) {
            answer_some(self, batch);
            sexton_batch_free(batch);
        }
        pass_ms(50);
    }
    return NULL;
}

static void start(pthread_t *thread, void *(*run)(void *), void *argument) {
    CHECK_INT(0, pthread_create(thread, NULL, run, argument));
}

static void join(pthread_t thread) {
    CHECK_INT(0, pthread_join(thread, NULL));
}

TEST("threads register while others complete batches, and every object is deleted exactly once") {
    pthread_t writing[WRITERS], reading[READERS];
    crowd all = {0};
    writer writers[WRITERS];
    sexton_options *options = site_options();
    set_uint(options, "threads", 2);
    set_uint(options, "sub_batch_objects", 50);
    set_uint(options, "answer_timeout_ms", DAY_MS);
    all.engine = open_with(options);
    all.per_writer = test_size(3000, 150);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (writer){&all, i};
        start(&writing[i], write_some, &writers[i]);
    }
    for (size_t i = 0; i < READERS; i++) {
        start(&reading[i], read_all, &all);
    }
    for (size_t i = 0; i < WRITERS; i++) {
        join(writing[i]);
    }
    for (size_t i = 0; i < READERS; i++) {
        join(reading[i]);
    }
    while (counters(all.engine, "files").live > 0) {
        usleep(1000);
    }
    CHECK_INT(all.registered, counters(all.engine, "files").registered);
    CHECK_INT(all.registered, counters(all.engine, "files").deleted);
    CHECK_INT(0, counters(all.engine, "files").early);
    check_sound(all.engine);
    close_site(all.engine);
    sexton_options_free(options);
}

/* Uses what an engine has until it is closed under its hands. */
static void *use_until_closed(void *argument) {
    crowd *self = argument;
    for (unsigned i = 0;; i++) {
        char key[32];
        snprintf(key, sizeof key, "%p-%u", (void *)&i, i);
        sexton_registration one = registration("files", key);
        sexton_results *results = NULL;
        sexton_text *text = NULL;
        sexton_batch *batch = NULL;
        int32_t status = sexton_register(self->engine, &one, 1, 0, &results, NULL);
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

TEST("closing waits for calls that are running, and those that come later are refused") {
    pthread_t using[3];
    crowd all = {0};
    sexton_error *error = NULL;
    all.engine = open_site("threads", 2);
    for (size_t i = 0; i < 3; i++) {
        start(&using[i], use_until_closed, &all);
    }
    while (all.registered < test_size(200, 20)) {
        pass_ms(50);
        usleep(1000);
    }
    CHECK_OK(sexton_close(all.engine, &error), error);
    for (size_t i = 0; i < 3; i++) {
        join(using[i]);
    }
    sexton_engine_free(all.engine);
    all.engine = open_site(NULL, 0);
    CHECK(counters(all.engine, "files").registered >= all.registered);
    check_sound(all.engine);
    close_site(all.engine);
}

/* Two threads close at the same time: one of them waits for the other. */
static void *close_it(void *engine) {
    sexton_error *error = NULL;
    CHECK_OK(sexton_close(engine, &error), error);
    CHECK_STATUS(SEXTON_CLOSED, sexton_sync(engine, &error), error);
    return NULL;
}

TEST("several threads may close the same engine") {
    pthread_t closing[3];
    sexton_engine *engine = open_site("threads", 2);
    put_many(engine, "files", "a", 5);
    for (size_t i = 0; i < 3; i++) {
        start(&closing[i], close_it, engine);
    }
    for (size_t i = 0; i < 3; i++) {
        join(closing[i]);
    }
    sexton_engine_free(engine);
}

/* Runs the engine by hand, as hosts without threads of the library do, from more than one thread. */
static void *run_some(void *argument) {
    crowd *self = argument;
    sexton_error *error = NULL;
    int64_t next_ms;
    while (self->deleted < self->registered) {
        CHECK_OK(sexton_run(self->engine, 5, &next_ms, &error), error);
        for (sexton_batch *batch; (batch = next(self->engine)) != NULL;) {
            self->deleted += answer_all(self->engine, batch, SEXTON_ANSWER_DELETED);
            sexton_batch_free(batch);
        }
    }
    return NULL;
}

TEST("an engine without threads may be driven by several threads of the host") {
    pthread_t running[3];
    crowd all = {0};
    all.engine = open_site("sub_batch_objects", 7);
    all.registered = test_size(500, 50);
    put_many(all.engine, "files", "a", all.registered);
    pass_ms(2 * SECOND_MS);
    for (size_t i = 0; i < 3; i++) {
        start(&running[i], run_some, &all);
    }
    for (size_t i = 0; i < 3; i++) {
        join(running[i]);
    }
    settle(all.engine);
    CHECK_INT(all.registered, counters(all.engine, "files").deleted);
    check_sound(all.engine);
    close_site(all.engine);
}
