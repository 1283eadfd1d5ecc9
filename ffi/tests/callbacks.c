/* Delete callback: one that fails, answers late, twice, wrongly or slowly, or calls the engine. */

#include "all_calls.h"

/* Behaviour of a delete callback, and what it was given. */
typedef struct handler {
    /* Number of objects to answer; the others stay open. */
    size_t answers;
    int32_t answer;
    int32_t returns;
    size_t calls, objects, taken;
    sexton_batch_id id;
} handler;

static int32_t answer_first(void *user, sexton_engine *engine, const sexton_batch *batch) {
    handler *self = user;
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

static sexton_engine *open_with_handler(void *self, sexton_delete_fn callback, uint64_t threads) {
    sexton_options *options = test_options();
    sexton_error *error = NULL;
    set_option_uint(options, "threads", threads);
    set_option_uint(options, "handler_threads", 2);
    CHECK_OK(sexton_options_set_delete(options, callback, self, &error), error);
    sexton_engine *engine = open_with_options(options);
    sexton_options_free(options);
    return engine;
}

TEST("a callback that answers everything is called once") {
    handler self = {SIZE_MAX, SEXTON_ANSWER_DELETED, 0, 0, 0, 0, {0}};
    sexton_engine *engine = open_with_handler(&self, answer_first, 0);
    sexton_id id = register_object(engine, "files", "a");
    register_object(engine, "files", "b");
    run_until_idle(engine);
    CHECK_INT(0, self.calls);
    advance_ms(2 * SECOND_MS);
    run_until_idle(engine);
    CHECK_INT(1, self.calls);
    CHECK_INT(2, self.taken);
    check_counts(engine, 0, 2);
    check_kept(engine, id, "a");
    CHECK(next_batch(engine) == NULL);
    close_engine(engine);
}

TEST("a callback that fails is called again later") {
    handler self = {0, SEXTON_ANSWER_DELETED, -1, 0, 0, 0, {0}};
    sexton_engine *engine = open_with_handler(&self, answer_first, 0);
    register_objects(engine, "files", "a", 3);
    advance_ms(2 * SECOND_MS);
    run_until_idle(engine);
    CHECK_INT(1, self.calls);
    check_counts(engine, 3, 0);
    sexton_batch_id first = self.id;
    self.returns = 0;
    self.answers = 3;
    advance_ms(10 * SECOND_MS);
    run_until_idle(engine);
    CHECK_INT(2, self.calls);
    CHECK(self.id.batch != first.batch);
    check_counts(engine, 0, 3);
    close_engine(engine);
}

TEST("answers before a callback fails count") {
    handler self = {2, SEXTON_ANSWER_DELETED, 1, 0, 0, 0, {0}};
    sexton_engine *engine = open_with_handler(&self, answer_first, 0);
    register_objects(engine, "files", "a", 5);
    advance_ms(2 * SECOND_MS);
    run_until_idle(engine);
    CHECK_INT(2, self.taken);
    check_counts(engine, 3, 2);
    close_engine(engine);
}

TEST("an unanswered object comes again after the time-out") {
    handler self = {2, SEXTON_ANSWER_DELETED, 0, 0, 0, 0, {0}};
    sexton_engine *engine = open_with_handler(&self, answer_first, 0);
    register_objects(engine, "files", "a", 3);
    advance_ms(2 * SECOND_MS);
    run_until_idle(engine);
    CHECK_INT(1, self.calls);
    sexton_batch_id first = self.id;
    advance_ms(MINUTE_MS + SECOND_MS);
    run_until_idle(engine);
    check_counts(engine, 1, 2);
    advance_ms(10 * SECOND_MS);
    run_until_idle(engine);
    CHECK_INT(2, self.calls);
    CHECK_INT(4, self.objects);
    CHECK(self.id.batch != first.batch);
    CHECK_INT(0, answer_one(engine, first, 2, SEXTON_ANSWER_DELETED));
    check_counts(engine, 0, 3);
    close_engine(engine);
}

static int32_t answer_out_of_range(void *user, sexton_engine *engine, const sexton_batch *batch) {
    handler *self = user;
    sexton_batch_id id = sexton_batch_get_id(batch);
    sexton_error *error = NULL;
    size_t len, taken = 77;
    CHECK(sexton_batch_objects(batch, &len) != NULL);
    sexton_answer answers[2] = {{0, SEXTON_ANSWER_DELETED, {NULL, 0}},
                                {(uint32_t)len, SEXTON_ANSWER_DELETED, {NULL, 0}}};
    self->calls++;
    /* The second answer is for an object behind the last. */
    CHECK_STATUS(SEXTON_INVALID,
                 sexton_answer_objects(engine, &id, answers, 2, &taken, &error), error);
    CHECK_INT(77, taken);
    self->taken += answer_all(engine, batch, SEXTON_ANSWER_DELETED);
    self->taken += answer_all(engine, batch, SEXTON_ANSWER_FAILED);
    return 0;
}

TEST("answers of no object are INVALID, second answers ignored") {
    handler self = {0};
    sexton_engine *engine = open_with_handler(&self, answer_out_of_range, 0);
    register_objects(engine, "files", "a", 3);
    advance_ms(2 * SECOND_MS);
    run_until_idle(engine);
    CHECK_INT(1, self.calls);
    CHECK_INT(3, self.taken);
    check_counts(engine, 0, 3);
    close_engine(engine);
}

static int32_t call_engine(void *user, sexton_engine *engine, const sexton_batch *batch) {
    handler *self = user;
    sexton_error *error = NULL;
    sexton_batch *other = NULL;
    CHECK_STATUS(SEXTON_BUSY, sexton_close(engine, &error), error);
    CHECK_OK(sexton_next_batch(engine, &other, &error), error);
    sexton_batch_free(other);
    register_object(engine, "files", "registered by the callback");
    self->calls++;
    self->taken += answer_all(engine, batch, SEXTON_ANSWER_DELETED);
    return 0;
}

TEST("a callback may use the engine, but closing it is BUSY") {
    handler self = {0};
    sexton_engine *engine = open_with_handler(&self, call_engine, 0);
    register_object(engine, "files", "a");
    advance_ms(2 * SECOND_MS);
    run_until_idle(engine);
    CHECK_INT(1, self.calls);
    check_counts(engine, 1, 1);
    close_engine(engine);
}

/* Clock and log callbacks, which the engine may call while it holds locks, and the calls they made. */
typedef struct probe {
    sexton_engine *engine;
    int calls, is_inside;
} probe;

static void call_everything(probe *self) {
    if (self->engine != NULL && !self->is_inside) {
        sexton_error *error = NULL;
        self->is_inside = 1;
        check_all_calls(self->engine, SEXTON_BUSY);
        CHECK_STATUS(SEXTON_BUSY, sexton_close(self->engine, &error), error);
        self->is_inside = 0;
        self->calls++;
    }
}

static int64_t probe_wall_clock(void *user) {
    call_everything(user);
    return now_ms();
}

static void probe_log(void *user, int32_t level, sexton_bytes line) {
    (void)level, (void)line;
    call_everything(user);
}

TEST("every call inside a clock or log callback is BUSY") {
    probe self = {NULL, 0, 0};
    sexton_options *options = test_options();
    sexton_error *error = NULL;
    int64_t ms;
    CHECK_OK(
        sexton_options_set_clock(options, probe_wall_clock, read_monotonic_clock, &self, &error),
        error);
    CHECK_OK(sexton_options_set_log(options, probe_log, &self, &error), error);
    sexton_engine *engine = open_with_options(options);
    self.engine = engine;
    CHECK_OK(sexton_now_ms(engine, &ms, &error), error);
    CHECK(self.calls > 0);
    register_object(engine, "files", "a");
    sexton_batch *batch = take_due_batch(engine, 1);
    self.calls = 0;
    answer_all(engine, batch, SEXTON_ANSWER_REFUSED); /* the engine logs a refusal */
    sexton_batch_free(batch);
    run_until_idle(engine);
    CHECK(self.calls > 0);
    close_engine(engine);
    sexton_options_free(options);
}

static int32_t try_close_in_plan(void *user, const sexton_planned_object *planned) {
    probe *self = user;
    sexton_error *error = NULL;
    sexton_id id;
    CHECK_STATUS(SEXTON_BUSY, sexton_close(self->engine, &error), error);
    CHECK_OK(sexton_find(self->engine, planned->key, bytes(""), &id, &error), error);
    self->calls++;
    return 0;
}

TEST("a plan visitor may use the engine, but closing it is BUSY") {
    probe self = {open_engine(NULL, 0), 0, 0};
    sexton_error *error = NULL;
    register_objects(self.engine, "files", "a", 3);
    CHECK_OK(sexton_plan(self.engine, now_ms() + DAY_MS, try_close_in_plan, &self, &error), error);
    CHECK_INT(3, self.calls);
    close_engine(self.engine);
}

/* ---- with threads of the library ---- */

/* Callback that leaves the answer to another thread, or does not return until `may_return` is set. `lock` guards all
 * fields. */
typedef struct slow_handler {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t calls;
    /* Sub-batches of the first and the last call. */
    sexton_batch_id first, last;
    size_t last_len;
    int may_return;
} slow_handler;

static void init_slow_handler(slow_handler *self) {
    memset(self, 0, sizeof *self);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->changed, NULL);
}

static size_t call_count(slow_handler *self, sexton_batch_id *last) {
    pthread_mutex_lock(&self->lock);
    size_t calls = self->calls;
    *last = self->last;
    pthread_mutex_unlock(&self->lock);
    return calls;
}

/* Waits for the first call of the callback. */
static void wait_for_call(slow_handler *self) {
    pthread_mutex_lock(&self->lock);
    while (self->calls == 0) {
        pthread_cond_wait(&self->changed, &self->lock);
    }
    pthread_mutex_unlock(&self->lock);
}

/* Waits for these counts of class "files". */
static void wait_for_counts(const sexton_engine *engine, uint64_t live, uint64_t deleted) {
    for (;;) {
        sexton_counters found = class_counters(engine, "files");
        if (found.live == live && found.deleted == deleted) {
            return;
        }
        CHECK(found.live >= live && found.deleted <= deleted);
        usleep(1000);
    }
}

static int32_t record_call(void *user, sexton_engine *engine, const sexton_batch *batch) {
    slow_handler *self = user;
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

/* Answers nothing. The first call waits until `may_return`; later ones return at once. */
static int32_t block_first_call(void *user, sexton_engine *engine, const sexton_batch *batch) {
    slow_handler *self = user;
    record_call(user, engine, batch);
    sexton_batch_id id = sexton_batch_get_id(batch);
    pthread_mutex_lock(&self->lock);
    while (id.batch == self->first.batch && !self->may_return) {
        pthread_cond_wait(&self->changed, &self->lock);
    }
    pthread_mutex_unlock(&self->lock);
    return 0;
}

TEST("another thread may answer after the callback returned") {
    slow_handler self;
    sexton_batch_id id;
    init_slow_handler(&self);
    sexton_engine *engine = open_with_handler(&self, record_call, 1);
    register_objects(engine, "files", "a", 3);
    advance_ms(2 * SECOND_MS);
    wait_for_call(&self);
    CHECK_INT(1, call_count(&self, &id));
    CHECK_INT(3, self.last_len);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_INT(1, answer_one(engine, id, i, SEXTON_ANSWER_DELETED));
    }
    wait_for_counts(engine, 0, 3);
    close_engine(engine);
}

TEST("answers of a timed-out callback are ignored") {
    slow_handler self;
    sexton_batch_id last;
    size_t taken = 0;
    init_slow_handler(&self);
    sexton_engine *engine = open_with_handler(&self, block_first_call, 1);
    register_objects(engine, "files", "a", 2);
    advance_ms(2 * SECOND_MS);
    wait_for_call(&self);
    /* First the time-out passes, then the delay before the retry. */
    while (call_count(&self, &last) < 2) {
        advance_ms(20 * SECOND_MS);
        usleep(20000);
    }
    CHECK(last.batch != self.first.batch);
    CHECK_INT(0, answer_one(engine, self.first, 0, SEXTON_ANSWER_DELETED));
    CHECK_INT(0, answer_one(engine, self.first, 1, SEXTON_ANSWER_DELETED));
    pthread_mutex_lock(&self.lock);
    self.may_return = 1;
    pthread_cond_broadcast(&self.changed);
    pthread_mutex_unlock(&self.lock);
    /* The next sub-batch may time out before it is answered; then another one follows. */
    while (taken < 2) {
        call_count(&self, &last);
        taken += answer_one(engine, last, 0, SEXTON_ANSWER_DELETED);
        taken += answer_one(engine, last, 1, SEXTON_ANSWER_DELETED);
        advance_ms(SECOND_MS);
        usleep(20000);
    }
    wait_for_counts(engine, 0, 2);
    close_engine(engine);
}

static int32_t delete_and_try_close(void *user, sexton_engine *engine, const sexton_batch *batch) {
    sexton_error *error = NULL;
    CHECK_STATUS(SEXTON_BUSY, sexton_close(engine, &error), error);
    answer_all(engine, batch, SEXTON_ANSWER_DELETED);
    return record_call(user, engine, batch);
}

TEST("closing in a callback on a library thread is BUSY") {
    slow_handler self;
    init_slow_handler(&self);
    sexton_engine *engine = open_with_handler(&self, delete_and_try_close, 1);
    register_object(engine, "files", "a");
    advance_ms(2 * SECOND_MS);
    wait_for_call(&self);
    wait_for_counts(engine, 0, 1);
    close_engine(engine);
}

TEST("closing waits for running callbacks; none runs later") {
    slow_handler self;
    init_slow_handler(&self);
    handler quick = {SIZE_MAX, SEXTON_ANSWER_DELETED, 0, 0, 0, 0, {0}};
    sexton_engine *engine = open_with_handler(&self, delete_and_try_close, 2);
    register_objects(engine, "files", "a", test_size(100, 10));
    advance_ms(2 * SECOND_MS);
    close_engine(engine);
    /* No other thread may use `self` after the close. With these bytes a callback that did would hang or crash. */
    memset(&self, 0x55, sizeof self);
    engine = open_with_handler(&quick, answer_first, 0);
    run_until_idle(engine);
    CHECK_INT(0, class_counters(engine, "files").live);
    close_engine(engine);
}
