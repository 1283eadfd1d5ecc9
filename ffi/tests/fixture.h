/* Engine under test: in the test's folder, on a clock that advances only on request, with classes whose objects fall
 * due a second after their start. */
#ifndef FIXTURE_H
#define FIXTURE_H

#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
/* 2026-01-01T00:00:00Z, the time at which every test begins. */
#define NEW_YEAR_MS INT64_C(1767225600000)

/* Upper bound of the answers in one call. */
#define ANSWERS_MAX 4096

static const char test_classes[] = "[class.upload-3h]\n"
                                   "within = \"3h\"\n"
                                   "start = \"explicit\"\n"
                                   "max_open = \"24h\"\n"
                                   "[class.files]\n"
                                   "keep = \"1s\"\n"
                                   "within = \"1d\"\n"
                                   "start = \"explicit\"\n";

/* Classes that single tests define for themselves: each class costs time at every opening. */
#define CLASS_OTHERS "[class.others]\nkeep = \"1s\"\nwithin = \"2d\"\nstart = \"explicit\"\n"
#define CLASS_TICKETED "[class.ticketed]\nkeep = \"1s\"\nwithin = \"1d\"\nopenings = \"ticket\"\n"
#define CLASS_REWRITTEN                                                                            \
    "[class.rewritten]\nkeep = \"1s\"\nwithin = \"1d\"\ndisposition = \"anonymise\"\n"
#define CLASS_WITH_FEED                                                                            \
    "[class.with-feed]\nkeep = \"1s\"\nwithin = \"1d\"\nfeed = true\nremember = \"30d\"\n"

/* Target of output pointers that a refused call must not change. Never dereferenced. */
static char untouched;
#define UNTOUCHED(type) ((type *)(void *)&untouched)

/* ---- clock ---- */

static _Atomic int64_t wall_clock_ms = NEW_YEAR_MS;
static _Atomic int64_t monotonic_clock_ms = 1;

static inline int64_t read_wall_clock(void *user) {
    (void)user;
    return wall_clock_ms;
}

static inline int64_t read_monotonic_clock(void *user) {
    (void)user;
    return monotonic_clock_ms;
}

static inline void reset_clocks(void) {
    wall_clock_ms = NEW_YEAR_MS;
    monotonic_clock_ms = 1;
}

__attribute__((constructor)) static inline void reset_clocks_before_tests(void) {
    test_before = reset_clocks;
}

/* Advances both clocks. The monotonic clock goes first: a thread that reads in between sees a wall clock that is
 * behind, never one that stepped ahead. */
static inline void advance_ms(int64_t ms) {
    monotonic_clock_ms += ms;
    wall_clock_ms += ms;
}

static inline int64_t now_ms(void) {
    return wall_clock_ms;
}

/* ---- bytes and threads ---- */

static inline sexton_bytes bytes(const char *text) {
    sexton_bytes borrowed = {(const uint8_t *)text, strlen(text)};
    return borrowed;
}

static inline int bytes_equal(sexton_bytes a, sexton_bytes b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline int ids_equal(sexton_id a, sexton_id b) {
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

/* Copies bytes as a NUL-terminated text, cut to `size`. */
static inline void copy_text(char *out, size_t size, sexton_bytes text) {
    snprintf(out, size, "%.*s", (int)text.len, text.data ? (const char *)text.data : "");
}

static inline void start_thread(pthread_t *thread, void *(*run)(void *), void *argument) {
    CHECK_INT(0, pthread_create(thread, NULL, run, argument));
}

static inline void join_threads(const pthread_t *threads, size_t count) {
    for (size_t i = 0; i < count; i++) {
        CHECK_INT(0, pthread_join(threads[i], NULL));
    }
}

/* ---- options and opening ---- */

static inline void set_option(sexton_options *options, const char *name, const char *value) {
    sexton_error *error = NULL;
    CHECK_OK(sexton_options_set(options, bytes(name), bytes(value), &error), error);
}

static inline void set_option_uint(sexton_options *options, const char *name, uint64_t value) {
    sexton_error *error = NULL;
    CHECK_OK(sexton_options_set_uint(options, bytes(name), value, &error), error);
}

/* Returns options without threads, so that the order of calls alone decides what happens. */
static inline sexton_options *test_options(void) {
    sexton_options *options = sexton_options_new();
    sexton_error *error = NULL;
    CHECK(options != NULL);
    set_option(options, "origin", "example.com/files");
    set_option(options, "classes", test_classes);
    /* Calendar arithmetic of the built-in classes is slow under valgrind. */
    set_option(options, "builtin_classes", "false");
    set_option_uint(options, "shards", 2);
    set_option_uint(options, "threads", 0);
    set_option_uint(options, "answer_timeout_ms", MINUTE_MS);
    set_option_uint(options, "disk_reserve_bytes", 0);
    set_option_uint(options, "rocksdb_cache_bytes", 1 << 20);
    set_option_uint(options, "rocksdb_write_buffer_bytes", 1 << 20);
    CHECK_OK(sexton_options_set_clock(options, read_wall_clock, read_monotonic_clock, NULL, &error),
             error);
    return options;
}

static inline sexton_engine *open_with_options(const sexton_options *options) {
    sexton_engine *engine = NULL;
    sexton_error *error = NULL;
    CHECK_OK(sexton_open(bytes(test_folder()), options, &engine, &error), error);
    CHECK(engine != NULL);
    return engine;
}

/* Opens an engine in the folder `name` below the test's folder. */
static inline sexton_engine *open_below(const char *name, const sexton_options *options) {
    sexton_engine *engine = NULL;
    sexton_error *error = NULL;
    CHECK_OK(sexton_open(bytes(test_path(name)), options, &engine, &error), error);
    CHECK(engine != NULL);
    return engine;
}

/* Opens an engine with test_options(). If `name` is not NULL, that option is set to `value`. */
static inline sexton_engine *open_engine(const char *name, uint64_t value) {
    sexton_options *options = test_options();
    if (name != NULL) {
        set_option_uint(options, name, value);
    }
    sexton_engine *engine = open_with_options(options);
    sexton_options_free(options);
    return engine;
}

static inline void close_engine(sexton_engine *engine) {
    sexton_error *error = NULL;
    CHECK_OK(sexton_close(engine, &error), error);
    sexton_engine_free(engine);
}

/* Defines classes. Returns `engine`. */
static inline sexton_engine *define_classes(sexton_engine *engine, const char *classes) {
    sexton_error *error = NULL;
    CHECK_OK(sexton_define_classes(engine, bytes(classes), &error), error);
    return engine;
}

/* ---- registering ---- */

/* Returns a registration of an object that starts now, so that it falls due in a second. */
static inline sexton_registration make_registration(const char *class_name, const char *key) {
    sexton_registration object = SEXTON_REGISTRATION_INIT;
    object.class_name = bytes(class_name);
    object.key = bytes(key);
    object.has_start = true;
    object.start_ms = now_ms();
    return object;
}

/* Makes registrations in class "files" whose keys are the numbers from 0. */
static inline void make_registrations(sexton_registration *objects, char (*keys)[16],
                                      size_t count) {
    for (size_t i = 0; i < count; i++) {
        snprintf(keys[i], sizeof keys[i], "%zu", i);
        objects[i] = make_registration("files", keys[i]);
    }
}

/* Registers one object. Returns the answer without its ticket, which belongs to the freed results. */
static inline sexton_registered register_with(sexton_engine *engine,
                                              const sexton_registration *object, uint32_t flags) {
    sexton_results *results = NULL;
    sexton_error *error = NULL;
    size_t len = 0;
    CHECK_OK(sexton_register(engine, object, 1, flags, &results, &error), error);
    const sexton_registered *answers = sexton_results_registered(results, &len);
    CHECK_INT(1, len);
    CHECK_INT(SEXTON_OK, answers[0].status);
    sexton_registered answer = answers[0];
    answer.ticket = (sexton_bytes){NULL, 0};
    sexton_results_free(results);
    return answer;
}

/* Registers an object that falls due in a second. */
static inline sexton_id register_object(sexton_engine *engine, const char *class_name,
                                        const char *key) {
    const sexton_registration object = make_registration(class_name, key);
    return register_with(engine, &object, 0).id;
}

/* Registers `count` objects with the keys PREFIX-0, PREFIX-1 and so on. */
static inline void register_objects(sexton_engine *engine, const char *class_name,
                                    const char *prefix, size_t count) {
    char key[64];
    for (size_t i = 0; i < count; i++) {
        snprintf(key, sizeof key, "%s-%zu", prefix, i);
        register_object(engine, class_name, key);
    }
}

/* Tries to register one object, and returns the status. A refused call must leave the results pointer alone. */
static inline int32_t try_to_register(sexton_engine *engine, const sexton_registration *object) {
    sexton_results *results = UNTOUCHED(sexton_results);
    sexton_error *error = NULL;
    int32_t status = sexton_register(engine, object, 1, 0, &results, &error);
    CHECK((status == SEXTON_OK) == (results != UNTOUCHED(sexton_results)));
    if (status == SEXTON_OK) {
        sexton_results_free(results);
    }
    CHECK_STATUS(status, status, error);
    return status;
}

static inline int32_t try_to_register_key(sexton_engine *engine, const char *class_name,
                                          const char *key) {
    const sexton_registration object = make_registration(class_name, key);
    return try_to_register(engine, &object);
}

/* Returns a temporary hold with one selector item, to be reviewed in a day. Borrows `item`. */
static inline sexton_hold make_hold(const char *name, int32_t select, const sexton_bytes *item) {
    sexton_hold hold = {bytes(name),          {select, item, 1}, SEXTON_HOLD_TEMPORARY,
                        bytes("court order"), bytes("Ada"),      now_ms() + DAY_MS};
    return hold;
}

/* ---- deleting ---- */

/* Runs an engine without threads until it has nothing left to do at its present time. */
static inline void run_until_idle(sexton_engine *engine) {
    sexton_error *error = NULL;
    int64_t next_ms = INT64_MIN, engine_ms = 0;
    for (int rounds = 0; next_ms <= engine_ms; rounds++) {
        CHECK(rounds < 10000);
        CHECK_OK(sexton_run(engine, 1000, &next_ms, &error), error);
        CHECK_OK(sexton_now_ms(engine, &engine_ms, &error), error);
    }
}

/* Returns the next sub-batch, or NULL if none is ready. */
static inline sexton_batch *next_batch(sexton_engine *engine) {
    sexton_batch *batch = NULL;
    sexton_error *error = NULL;
    CHECK_OK(sexton_next_batch(engine, &batch, &error), error);
    return batch;
}

/* Returns the next sub-batch, which must be ready. */
static inline sexton_batch *take_any_batch(sexton_engine *engine) {
    sexton_batch *batch = next_batch(engine);
    CHECK(batch != NULL);
    return batch;
}

/* Returns the next sub-batch, which must be ready and have `objects` objects. */
static inline sexton_batch *take_batch(sexton_engine *engine, size_t objects) {
    sexton_batch *batch = take_any_batch(engine);
    size_t len = 0;
    CHECK(sexton_batch_objects(batch, &len) != NULL);
    CHECK_INT(objects, len);
    return batch;
}

/* Advances the clock so that new objects fall due, and returns their sub-batch. For an engine without threads. */
static inline sexton_batch *take_due_batch(sexton_engine *engine, size_t objects) {
    advance_ms(2 * SECOND_MS);
    run_until_idle(engine);
    return take_batch(engine, objects);
}

/* Answers one object of a sub-batch. Returns the number of answers that counted: 1, or 0 if it came too late. */
static inline size_t answer_one(sexton_engine *engine, sexton_batch_id id, uint32_t object,
                                int32_t outcome) {
    sexton_answer answer = {object, outcome, {NULL, 0}};
    sexton_error *error = NULL;
    size_t taken = 77;
    CHECK_OK(sexton_answer_objects(engine, &id, &answer, 1, &taken, &error), error);
    return taken;
}

/* Gives all objects of a sub-batch one answer. Returns the number of answers that counted. */
static inline size_t answer_all(sexton_engine *engine, const sexton_batch *batch, int32_t outcome) {
    static _Thread_local sexton_answer answers[ANSWERS_MAX];
    sexton_batch_id id = sexton_batch_get_id(batch);
    sexton_error *error = NULL;
    size_t len = 0, taken = 77;
    sexton_batch_objects(batch, &len);
    CHECK(len <= ANSWERS_MAX);
    for (size_t i = 0; i < len; i++) {
        answers[i] = (sexton_answer){(uint32_t)i, outcome, {NULL, 0}};
    }
    CHECK_OK(sexton_answer_objects(engine, &id, answers, len, &taken, &error), error);
    return taken;
}

/* Answers everything that is due now as deleted. Returns the number of objects. For an engine without threads. */
static inline size_t delete_due(sexton_engine *engine) {
    size_t deleted = 0;
    sexton_batch *batch;
    run_until_idle(engine);
    while ((batch = next_batch(engine)) != NULL) {
        deleted += answer_all(engine, batch, SEXTON_ANSWER_DELETED);
        sexton_batch_free(batch);
        run_until_idle(engine);
    }
    return deleted;
}

static inline sexton_counters class_counters(const sexton_engine *engine, const char *class_name) {
    sexton_counters found;
    sexton_error *error = NULL;
    CHECK_OK(sexton_class_counters(engine, bytes(class_name), &found, &error), error);
    return found;
}

/* Checks how many objects of class "files" are live and deleted, and that none was deleted early. */
static inline void check_counts(const sexton_engine *engine, uint64_t live, uint64_t deleted) {
    sexton_counters found = class_counters(engine, "files");
    CHECK_INT(live, found.live);
    CHECK_INT(deleted, found.deleted);
    CHECK_INT(0, found.early);
}

/* Poisons an engine without threads: registers `key`, lets it fall due, and makes its tombstone unwritable. */
static inline void break_commit(sexton_engine *engine, const char *key) {
    sexton_error *error = NULL;
    int64_t next_ms;
    register_object(engine, "files", key);
    advance_ms(2 * SECOND_MS);
    run_until_idle(engine);
    sexton_batch *batch = take_any_batch(engine);
    test_shell("rm -rf tombstones && touch tombstones"); /* a file in place of the folder */
    answer_all(engine, batch, SEXTON_ANSWER_DELETED);
    sexton_run(engine, 1000, &next_ms, &error);
    sexton_error_free(error);
    sexton_batch_free(batch);
}

/* ---- proof ---- */

static inline sexton_text *get_receipt(const sexton_engine *engine, sexton_id id, const char *key) {
    sexton_text *text = NULL;
    sexton_error *error = NULL;
    CHECK_OK(sexton_receipt(engine, &id, SEXTON_OPENER_KEY, bytes(key), &text, &error), error);
    return text;
}

/* Verifies a receipt under the engine's own policy. */
static inline sexton_verdict *verify_receipt(const sexton_engine *engine, const sexton_text *text) {
    sexton_text *policy = NULL;
    sexton_verdict *verdict = NULL;
    sexton_error *error = NULL;
    CHECK_OK(sexton_policy(engine, &policy, &error), error);
    CHECK_OK(sexton_verify(sexton_text_bytes(text), sexton_text_bytes(policy), now_ms(), &verdict,
                           &error),
             error);
    sexton_text_free(policy);
    return verdict;
}

/* Checks that an object has a valid receipt with this outcome and method. */
static inline void check_ended(const sexton_engine *engine, sexton_id id, const char *key,
                               int32_t outcome, const char *method) {
    sexton_text *text = get_receipt(engine, id, key);
    sexton_verdict *verdict = verify_receipt(engine, text);
    CHECK_TEXT(key, sexton_verdict_key(verdict));
    CHECK_TEXT(method, sexton_verdict_method(verdict));
    CHECK_INT(outcome, sexton_verdict_compliance(verdict));
    sexton_verdict_free(verdict);
    sexton_text_free(text);
}

static inline void check_kept(const sexton_engine *engine, sexton_id id, const char *key) {
    check_ended(engine, id, key, SEXTON_COMPLIANCE_KEPT, "deleted");
}

/* ---- JSON ---- */

/* Returns the start of the value of the first member with this name, or NULL. Valid until the next call. */
static inline const char *json_find(const sexton_text *text, const char *name) {
    static char copy[1 << 16];
    char quoted[64];
    sexton_bytes json = sexton_text_bytes(text);
    CHECK(json.len > 0 && json.len < sizeof copy);
    memcpy(copy, json.data, json.len);
    copy[json.len] = 0;
    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    const char *at = strstr(copy, quoted);
    return at ? at + strlen(quoted) + strspn(at + strlen(quoted), " ") : NULL;
}

static inline int64_t json_number(const sexton_text *text, const char *name) {
    const char *at = json_find(text, name);
    char *end;
    CHECK(at != NULL);
    long long number = strtoll(at, &end, 10);
    CHECK(end != at);
    return number;
}

static inline int json_contains(const sexton_text *text, const char *part) {
    sexton_bytes json = sexton_text_bytes(text);
    return memmem(json.data, json.len, part, strlen(part)) != NULL;
}

/* Runs the full self-check, which must find no problem. */
static inline void check_sound(const sexton_engine *engine) {
    sexton_text *report = NULL;
    sexton_error *error = NULL;
    CHECK_OK(sexton_check(engine, &report, &error), error);
    if (json_number(report, "problems_found") != 0) {
        sexton_bytes json = sexton_text_bytes(report);
        FAIL("%.*s", (int)json.len, (const char *)json.data);
    }
    sexton_text_free(report);
}

#endif
