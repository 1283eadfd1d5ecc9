/* A delete callback that behaves as callbacks do: it fails, it answers late, twice, wrongly, slowly. */

#include "every.h"

#include <pthread.h>

/* How a callback behaves, and what it saw. */
typedef struct host {
    /* Answers for the first so many objects; the others are left open. */
    size_t answers;
    int32_t answer;
    int32_t returns;
    size_t calls, objects, taken;
    sexton_batch_id id;
} host;

static int32_t delete_fn(void *user, sexton_engine *engine, const sexton_batch *batch) {
    host *self = user;
    size_t len;
    CHECK(sexton_batch_objects(batch, &len) != NULL);
    self->calls++;
    self->objects += len;
    self->id = sexton_batch_get_id(batch);
    for (uint32_t i = 0; i < len && i < self->answers; i++) {
        self->taken += answer_one(engine, self->id, i, self->answer);
    }
    return self->returns;
}

static sexton_engine *open_for(void *self, sexton_delete_fn callback, uint64_t threads) {
    sexton_options *options = site_options();
    sexton_error *error = NULL;
    set_uint(options, "threads", threads);
    set_uint(options, "callback_threads", 2);
    CHECK_OK(sexton_options_set_delete(options, callback, self, &error), error);
    sexton_engine *engine = open_with(options);
    sexton_options_free(options);
    return engine;
}

static void check_counts(const sexton_engine *engine, uint64_t live, uint64_t deleted) {
    sexton_counters of = counters(engine, "files");
    CHECK_INT(live, of.live);
    CHECK_INT(deleted, of.deleted);
}

TEST("a callback that answers everything is called once, and the objects end") {
    host self = {SIZE_MAX, SEXTON_ANSWER_DELETED, 0, 0, 0, 0, {0}};
    sexton_engine *engine = open_for(&self, delete_fn, 0);
    sexton_id id = put(engine, "files", "a");
    put(engine, "files", "b");
    settle(engine);
    CHECK_INT(0, self.calls);
    pass_ms(2 * SECOND_MS);
    settle(engine);
    CHECK_INT(1, self.calls);
    CHECK_INT(2, self.taken);
    check_counts(engine, 0, 2);
    check_kept(engine, id, "a");
    CHECK(next(engine) == NULL);
    close_site(engine);
}

TEST("a callback that fails leaves its objects owed, and is called again after a while") {
    host self = {0, SEXTON_ANSWER_DELETED, -1, 0, 0, 0, {0}};
    sexton_engine *engine = open_for(&self, delete_fn, 0);
    put_many(engine, "files", "a", 3);
    pass_ms(2 * SECOND_MS);
    settle(engine);
    CHECK_INT(1, self.calls);
    check_counts(engine, 3, 0);
    sexton_batch_id first = self.id;
    self.returns = 0;
    self.answers = 3;
    pass_ms(10 * SECOND_MS);
    settle(engine);
    CHECK_INT(2, self.calls);
    CHECK(self.id.batch != first.batch);
    check_counts(engine, 0, 3);
    close_site(engine);
}

TEST("what a callback answered before it failed counts, and only the rest has failed") {
    host self = {2, SEXTON_ANSWER_DELETED, 1, 0, 0, 0, {0}};
    sexton_engine *engine = open_for(&self, delete_fn, 0);
    put_many(engine, "files", "a", 5);
    pass_ms(2 * SECOND_MS);
    settle(engine);
    CHECK_INT(2, self.taken);
    check_counts(engine, 3, 2);
    close_site(engine);
}

TEST("a callback that forgets an object has it back after the time-out, under another batch id") {
    host self = {2, SEXTON_ANSWER_DELETED, 0, 0, 0, 0, {0}};
    sexton_engine *engine = open_for(&self, delete_fn, 0);
    put_many(engine, "files", "a", 3);
    pass_ms(2 * SECOND_MS);
    settle(engine);
    CHECK_INT(1, self.calls);
    sexton_batch_id first = self.id;
    pass_ms(MINUTE_MS + SECOND_MS);
    settle(engine);
    check_counts(engine, 1, 2);
    pass_ms(10 * SECOND_MS);
    settle(engine);
    CHECK_INT(2, self.calls);
    CHECK_INT(4, self.objects);
    CHECK(self.id.batch != first.batch);
    CHECK_INT(0, answer_one(engine, first, 2, SEXTON_ANSWER_DELETED));
    check_counts(engine, 0, 3);
    close_site(engine);
}

static int32_t answers_wrongly(void *user, sexton_engine *engine, const sexton_batch *batch) {
    host *self = user;
    sexton_batch_id id = sexton_batch_get_id(batch);
    sexton_error *error = NULL;
    size_t len, taken = 77;
    CHECK(sexton_batch_objects(batch, &len) != NULL);
    sexton_answer answers[2] = {{0, SEXTON_ANSWER_DELETED, {NULL, 0}},
                                {(uint32_t)len, SEXTON_ANSWER_DELETED, {NULL, 0}}};
    self->calls++;
    /* One answer more than there are objects. */
    CHECK_STATUS(SEXTON_INVALID, sexton_complete(engine, &id, answers, 2, &taken, &error), error);
    CHECK_INT(77, taken);
    self->taken += answer_all(engine, batch, SEXTON_ANSWER_DELETED);
    self->taken += answer_all(engine, batch, SEXTON_ANSWER_FAILED);
    return 0;
}

TEST("a callback that answers a wrong object is told, and one that answers twice is not taken twice") {
    host self = {0};
    sexton_engine *engine = open_for(&self, answers_wrongly, 0);
    put_many(engine, "files", "a", 3);
    pass_ms(2 * SECOND_MS);
    settle(engine);
    CHECK_INT(1, self.calls);
    CHECK_INT(3, self.taken);
    check_counts(engine, 0, 3);
    close_site(engine);
}

static int32_t uses_the_engine(void *user, sexton_engine *engine, const sexton_batch *batch) {
    host *self = user;
    sexton_error *error = NULL;
    sexton_batch *other = NULL;
    CHECK_STATUS(SEXTON_BUSY, sexton_close(engine, &error), error);
    CHECK_OK(sexton_next_batch(engine, &other, &error), error);
    sexton_batch_free(other);
    put(engine, "files", "registered by the callback");
    self->calls++;
    self->taken += answer_all(engine, batch, SEXTON_ANSWER_DELETED);
    return 0;
}

TEST("a callback may use the engine, but not close it: that is BUSY, and the engine goes on") {
    host self = {0};
    sexton_engine *engine = open_for(&self, uses_the_engine, 0);
    put(engine, "files", "a");
    pass_ms(2 * SECOND_MS);
    settle(engine);
    CHECK_INT(1, self.calls);
    check_counts(engine, 1, 1);
    close_site(engine);
}

/* What is called from inside a callback that may come while locks are held. */
typedef struct nosy {
    sexton_engine *engine;
    int looks, is_inside;
} nosy;

static void look_around(nosy *self) {
    if (self->engine != NULL && !self->is_inside) {
        sexton_error *error = NULL;
        self->is_inside = 1;
        check_every_call(self->engine, SEXTON_BUSY);
        CHECK_STATUS(SEXTON_BUSY, sexton_close(self->engine, &error), error);
        self->is_inside = 0;
        self->looks++;
    }
}

static int64_t nosy_wall_ms(void *user) {
    look_around(user);
    return now_ms();
}

static void nosy_log(void *user, int32_t level, sexton_bytes line) {
    (void)level, (void)line;
    look_around(user);
}

TEST("from inside a clock or a log callback every call is BUSY, and the engine goes on") {
    nosy self = {NULL, 0, 0};
    sexton_options *options = site_options();
    sexton_error *error = NULL;
    int64_t ms;
    CHECK_OK(sexton_options_set_clock(options, nosy_wall_ms, site_monotonic_ms, &self, &error), error);
    CHECK_OK(sexton_options_set_log(options, nosy_log, &self, &error), error);
    sexton_engine *engine = open_with(options);
    self.engine = engine;
    CHECK_OK(sexton_now_ms(engine, &ms, &error), error);
    CHECK(self.looks > 0);
    put(engine, "files", "a");
    pass_ms(2 * SECOND_MS);
    settle(engine);
    sexton_batch *batch = take(engine, 1);
    self.looks = 0;
    answer_all(engine, batch, SEXTON_ANSWER_REFUSED); /* which the log is told of */
    sexton_batch_free(batch);
    settle(engine);
    CHECK(self.looks > 0);
    close_site(engine);
    sexton_options_free(options);
}

static int32_t closes_a_plan(void *user, const sexton_forecast *forecast) {
    nosy *self = user;
    sexton_error *error = NULL;
    sexton_id id;
    CHECK_STATUS(SEXTON_BUSY, sexton_close(self->engine, &error), error);
    CHECK_OK(sexton_find(self->engine, forecast->key, &id, &error), error);
    self->looks++;
    return 0;
}

TEST("a visitor of the plan may use the engine, but not close it") {
    nosy self = {open_site(NULL, 0), 0, 0};
    sexton_error *error = NULL;
    put_many(self.engine, "files", "a", 3);
    CHECK_OK(sexton_plan(self.engine, now_ms() + DAY_MS, closes_a_plan, &self, &error), error);
    CHECK_INT(3, self.looks);
    close_site(self.engine);
}

/* ---- with threads: answers from elsewhere ---- */

/* A host whose callback hands its work to another thread, or does not come back until it is told to. */
typedef struct slow_host {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t calls;
    /* What the first call and the last one were handed. */
    sexton_batch_id first, last;
    size_t last_len;
    int may_return;
} slow_host;

static void slow_init(slow_host *self) {
    memset(self, 0, sizeof *self);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->changed, NULL);
}

static size_t calls_of(slow_host *self, sexton_batch_id *last) {
    pthread_mutex_lock(&self->lock);
    size_t calls = self->calls;
    *last = self->last;
    pthread_mutex_unlock(&self->lock);
    return calls;
}

/* Waits for the first call of the callback; the harness's alarm ends what waits for ever. */
static void wait_for_a_call(slow_host *self) {
    pthread_mutex_lock(&self->lock);
    while (self->calls == 0) {
        pthread_cond_wait(&self->changed, &self->lock);
    }
    pthread_mutex_unlock(&self->lock);
}

/* Waits until so many objects of the class live and so many are deleted. */
static void wait_for_counts(const sexton_engine *engine, uint64_t live, uint64_t deleted) {
    for (;;) {
        sexton_counters of = counters(engine, "files");
        if (of.live == live && of.deleted == deleted) {
            return;
        }
        CHECK(of.live >= live && of.deleted <= deleted);
        usleep(1000);
    }
}

static int32_t notes_only(void *user, sexton_engine *engine, const sexton_batch *batch) {
    slow_host *self = user;
    (void)engine;
    pthread_mutex_lock(&self->lock);
    self->last = sexton_batch_get_id(batch);
    CHECK(sexton_batch_objects(batch, &self->last_len) != NULL);
    if (self->calls++ == 0) {
        self->first = self->last;
    }
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
    return 0;
}

/* The first call waits until it is told to go on; the others return at once, without an answer. */
static int32_t hangs_at_first(void *user, sexton_engine *engine, const sexton_batch *batch) {
    slow_host *self = user;
    notes_only(user, engine, batch);
    sexton_batch_id own = sexton_batch_get_id(batch);
    pthread_mutex_lock(&self->lock);
    while (own.batch == self->first.batch && !self->may_return) {
        pthread_cond_wait(&self->changed, &self->lock);
    }
    pthread_mutex_unlock(&self->lock);
    return 0;
}

TEST("an answer after the callback has returned, from another thread than it ran in, counts") {
    slow_host self;
    sexton_batch_id id;
    slow_init(&self);
    sexton_engine *engine = open_for(&self, notes_only, 1);
    put_many(engine, "files", "a", 3);
    pass_ms(2 * SECOND_MS);
    wait_for_a_call(&self);
    CHECK_INT(1, calls_of(&self, &id));
    CHECK_INT(3, self.last_len);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_INT(1, answer_one(engine, id, i, SEXTON_ANSWER_DELETED));
    }
    wait_for_counts(engine, 0, 3);
    close_site(engine);
}

TEST("a callback that takes too long has failed, is called again under another batch id, and is then ignored") {
    slow_host self;
    sexton_batch_id last;
    size_t taken = 0;
    slow_init(&self);
    sexton_engine *engine = open_for(&self, hangs_at_first, 1);
    put_many(engine, "files", "a", 2);
    pass_ms(2 * SECOND_MS);
    wait_for_a_call(&self);
    /* The time-out passes, and then the wait before it is tried again. */
    while (calls_of(&self, &last) < 2) {
        pass_ms(20 * SECOND_MS);
        usleep(20000);
    }
    CHECK(last.batch != self.first.batch);
    CHECK_INT(0, answer_one(engine, self.first, 0, SEXTON_ANSWER_DELETED));
    CHECK_INT(0, answer_one(engine, self.first, 1, SEXTON_ANSWER_DELETED));
    pthread_mutex_lock(&self.lock);
    self.may_return = 1;
    pthread_cond_broadcast(&self.changed);
    pthread_mutex_unlock(&self.lock);
    /* That time-out may have passed as well by the time that it is answered; then there is another one. */
    while (taken < 2) {
        calls_of(&self, &last);
        taken += answer_one(engine, last, 0, SEXTON_ANSWER_DELETED);
        taken += answer_one(engine, last, 1, SEXTON_ANSWER_DELETED);
        pass_ms(SECOND_MS);
        usleep(20000);
    }
    wait_for_counts(engine, 0, 2);
    close_site(engine);
}

static int32_t closes(void *user, sexton_engine *engine, const sexton_batch *batch) {
    sexton_error *error = NULL;
    CHECK_STATUS(SEXTON_BUSY, sexton_close(engine, &error), error);
    answer_all(engine, batch, SEXTON_ANSWER_DELETED);
    return notes_only(user, engine, batch);
}

TEST("a callback on a thread of the library cannot close the engine either") {
    slow_host self;
    slow_init(&self);
    sexton_engine *engine = open_for(&self, closes, 1);
    put(engine, "files", "a");
    pass_ms(2 * SECOND_MS);
    wait_for_a_call(&self);
    wait_for_counts(engine, 0, 1);
    close_site(engine);
}

TEST("closing waits for a callback that is running, and none runs after it") {
    slow_host self;
    slow_init(&self);
    host quick = {SIZE_MAX, SEXTON_ANSWER_DELETED, 0, 0, 0, 0, {0}};
    sexton_engine *engine = open_for(&self, closes, 2);
    put_many(engine, "files", "a", test_size(100, 10));
    pass_ms(2 * SECOND_MS);
    close_site(engine);
    /* From here on `self` is the test's alone: whoever looked at it after the close would hang or crash. */
    memset(&self, 0x55, sizeof self);
    engine = open_for(&quick, delete_fn, 0);
    settle(engine);
    CHECK_INT(0, counters(engine, "files").live);
    close_site(engine);
}
