/* An engine as the tests use it: in the test's folder, on a clock that stands still until it is told to move, with
 * classes whose objects fall due a second after their start. */
#ifndef SITE_H
#define SITE_H

#include "harness.h"

#include <stdatomic.h>

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
/* 2026-01-01T00:00:00Z, when every test begins. */
#define NEW_YEAR_MS INT64_C(1767225600000)

/* More than any test answers at once. */
#define ANSWERS_MAX 4096

static const char site_classes[] = "[class.upload-3h]\n"
                                   "within = \"3h\"\n"
                                   "start = \"explicit\"\n"
                                   "max_open = \"24h\"\n"
                                   "[class.files]\n"
                                   "keep = \"1s\"\n"
                                   "within = \"1d\"\n"
                                   "start = \"explicit\"\n";

/* Classes of single tests, which define them: each costs time at every opening. */
#define OTHERS "[class.others]\nkeep = \"1s\"\nwithin = \"2d\"\nstart = \"explicit\"\n"
#define TICKETED "[class.ticketed]\nkeep = \"1s\"\nwithin = \"1d\"\nopenings = \"ticket\"\n"
#define REWRITTEN "[class.rewritten]\nkeep = \"1s\"\nwithin = \"1d\"\ndisposition = \"anonymise\"\n"
#define TOLD "[class.told]\nkeep = \"1s\"\nwithin = \"1d\"\nfeed = true\nremember = \"30d\"\n"

static _Atomic int64_t site_wall = NEW_YEAR_MS;
static _Atomic int64_t site_monotonic = 1;

static inline int64_t site_wall_ms(void *user) {
    (void)user;
    return site_wall;
}

static inline int64_t site_monotonic_ms(void *user) {
    (void)user;
    return site_monotonic;
}

/* Every test begins at the same time. */
static inline void site_begin(void) {
    site_wall = NEW_YEAR_MS;
    site_monotonic = 1;
}

__attribute__((constructor)) static inline void site_enter(void) {
    test_before = site_begin;
}

/* Time passes. The monotonic clock goes first: a thread that reads in between sees a wall that is behind, never one
 * that stepped ahead. */
static inline void pass_ms(int64_t ms) {
    site_monotonic += ms;
    site_wall += ms;
}

static inline int64_t now_ms(void) {
    return site_wall;
}

static inline sexton_bytes bytes(const char *text) {
    sexton_bytes all = {(const uint8_t *)text, strlen(text)};
    return all;
}

static inline int is_same(sexton_bytes a, sexton_bytes b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline int is_same_id(sexton_id a, sexton_id b) {
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

/* ---- options and opening ---- */

static inline void set(sexton_options *options, const char *name, const char *value) {
    sexton_error *error = NULL;
    CHECK_OK(sexton_options_set(options, bytes(name), bytes(value), &error), error);
}

static inline void set_uint(sexton_options *options, const char *name, uint64_t value) {
    sexton_error *error = NULL;
    CHECK_OK(sexton_options_set_uint(options, bytes(name), value, &error), error);
}

/* Without threads, so that one call after the other decides what happens. */
static inline sexton_options *site_options(void) {
    sexton_options *options = sexton_options_new();
    sexton_error *error = NULL;
    CHECK(options != NULL);
    set(options, "origin", "example.com/files");
    set(options, "classes", site_classes);
    /* Months take long to compute where everything is slow. */
    set(options, "builtin_classes", "false");
    set_uint(options, "shards", 2);
    set_uint(options, "threads", 0);
    set_uint(options, "answer_timeout_ms", MINUTE_MS);
    set_uint(options, "disk_reserve_bytes", 0);
    set_uint(options, "rocksdb_cache_bytes", 1 << 20);
    set_uint(options, "rocksdb_write_buffer_bytes", 1 << 20);
    CHECK_OK(sexton_options_set_clock(options, site_wall_ms, site_monotonic_ms, NULL, &error), error);
    return options;
}

static inline sexton_engine *open_with(const sexton_options *options) {
    sexton_engine *engine = NULL;
    sexton_error *error = NULL;
    CHECK_OK(sexton_open(bytes(test_folder()), options, &engine, &error), error);
    CHECK(engine != NULL);
    return engine;
}

/* An engine with the options above; `name` and `value` change one of them, where they are given. */
static inline sexton_engine *open_site(const char *name, uint64_t value) {
    sexton_options *options = site_options();
    if (name != NULL) {
        set_uint(options, name, value);
    }
    sexton_engine *engine = open_with(options);
    sexton_options_free(options);
    return engine;
}

static inline void close_site(sexton_engine *engine) {
    sexton_error *error = NULL;
    CHECK_OK(sexton_close(engine, &error), error);
    sexton_engine_free(engine);
}

static inline sexton_engine *define(sexton_engine *engine, const char *classes) {
    sexton_error *error = NULL;
    CHECK_OK(sexton_define_classes(engine, bytes(classes), &error), error);
    return engine;
}

/* ---- registering and deleting ---- */

static inline sexton_registration registration(const char *class_name, const char *key) {
    sexton_registration one = SEXTON_REGISTRATION_INIT;
    one.class_name = bytes(class_name);
    one.key = bytes(key);
    one.start_ms = now_ms();
    return one;
}

/* Registers an object that starts now, and so falls due in a second. */
static inline sexton_id put(sexton_engine *engine, const char *class_name, const char *key) {
    sexton_registration one = registration(class_name, key);
    sexton_results *results = NULL;
    sexton_error *error = NULL;
    size_t len = 0;
    CHECK_OK(sexton_register(engine, &one, 1, 0, &results, &error), error);
    const sexton_registered *registered = sexton_results_registered(results, &len);
    CHECK_INT(1, len);
    CHECK_INT(SEXTON_OK, registered[0].status);
    sexton_id id = registered[0].id;
    sexton_results_free(results);
    return id;
}

/* Registers `count` objects with keys of a name and a number. */
static inline void put_many(sexton_engine *engine, const char *class_name, const char *name,
                            size_t count) {
    char key[64];
    for (size_t i = 0; i < count; i++) {
        snprintf(key, sizeof key, "%s-%zu", name, i);
        put(engine, class_name, key);
    }
}

/* Has an engine without threads do everything that it wants to do now, by the time that it trusts. */
static inline void settle(sexton_engine *engine) {
    sexton_error *error = NULL;
    int64_t next_ms = INT64_MIN, engine_ms = 0;
    for (int rounds = 0; next_ms <= engine_ms; rounds++) {
        CHECK(rounds < 10000);
        CHECK_OK(sexton_run(engine, 1000, &next_ms, &error), error);
        CHECK_OK(sexton_now_ms(engine, &engine_ms, &error), error);
    }
}

/* The next sub-batch of an engine without threads, or NULL. */
static inline sexton_batch *next(sexton_engine *engine) {
    sexton_batch *batch = NULL;
    sexton_error *error = NULL;
    CHECK_OK(sexton_next_batch(engine, &batch, &error), error);
    return batch;
}

/* The same where there has to be one. */
static inline sexton_batch *take_any(sexton_engine *engine) {
    sexton_batch *batch = next(engine);
    CHECK(batch != NULL);
    return batch;
}

/* The same, of so many objects. */
static inline sexton_batch *take(sexton_engine *engine, size_t objects) {
    sexton_batch *batch = take_any(engine);
    size_t len = 0;
    CHECK(sexton_batch_objects(batch, &len) != NULL);
    CHECK_INT(objects, len);
    return batch;
}

/* How many objects of a sub-batch an answer to one of them counted for: 1, or 0 where it was too late. */
static inline size_t answer_one(sexton_engine *engine, sexton_batch_id id, uint32_t object,
                                int32_t answer) {
    sexton_answer one = {object, answer, {NULL, 0}};
    sexton_error *error = NULL;
    size_t taken = 77;
    CHECK_OK(sexton_complete(engine, &id, &one, 1, &taken, &error), error);
    return taken;
}

/* Answers all of a sub-batch alike; how many answers counted. */
static inline size_t answer_all(sexton_engine *engine, const sexton_batch *batch, int32_t answer) {
    static _Thread_local sexton_answer answers[ANSWERS_MAX];
    sexton_batch_id id = sexton_batch_get_id(batch);
    sexton_error *error = NULL;
    size_t len = 0, taken = 77;
    sexton_batch_objects(batch, &len);
    CHECK(len <= ANSWERS_MAX);
    for (size_t i = 0; i < len; i++) {
        sexton_answer one = {(uint32_t)i, answer, {NULL, 0}};
        answers[i] = one;
    }
    CHECK_OK(sexton_complete(engine, &id, answers, len, &taken, &error), error);
    return taken;
}

/* Has everything that is due now deleted; how many objects that were. */
static inline size_t delete_due(sexton_engine *engine) {
    size_t deleted = 0;
    sexton_batch *batch;
    settle(engine);
    while ((batch = next(engine)) != NULL) {
        deleted += answer_all(engine, batch, SEXTON_ANSWER_DELETED);
        sexton_batch_free(batch);
        settle(engine);
    }
    return deleted;
}

static inline sexton_counters counters(const sexton_engine *engine, const char *class_name) {
    sexton_counters of;
    sexton_error *error = NULL;
    CHECK_OK(sexton_class_counters(engine, bytes(class_name), &of, &error), error);
    return of;
}

/* ---- proof ---- */

static inline sexton_text *receipt(const sexton_engine *engine, sexton_id id, const char *key) {
    sexton_text *text = NULL;
    sexton_error *error = NULL;
    CHECK_OK(sexton_receipt(engine, &id, SEXTON_OPENER_KEY, bytes(key), &text, &error), error);
    return text;
}

/* What a receipt proves under the policy of its engine. */
static inline sexton_verdict *verdict_of(const sexton_engine *engine, const sexton_text *text) {
    sexton_text *policy = NULL;
    sexton_verdict *verdict = NULL;
    sexton_error *error = NULL;
    CHECK_OK(sexton_policy(engine, &policy, &error), error);
    CHECK_OK(sexton_verify(sexton_text_bytes(text), sexton_text_bytes(policy), &verdict, &error),
             error);
    sexton_text_free(policy);
    return verdict;
}

/* How the promise of an object that has ended fared, with the method of its end. */
static inline void check_ended(const sexton_engine *engine, sexton_id id, const char *key,
                               int32_t outcome, const char *method) {
    sexton_text *text = receipt(engine, id, key);
    sexton_verdict *verdict = verdict_of(engine, text);
    CHECK_TEXT(key, sexton_verdict_key(verdict));
    CHECK_TEXT(method, sexton_verdict_method(verdict));
    CHECK_INT(outcome, sexton_verdict_outcome(verdict));
    sexton_verdict_free(verdict);
    sexton_text_free(text);
}

static inline void check_kept(const sexton_engine *engine, sexton_id id, const char *key) {
    check_ended(engine, id, key, SEXTON_OUTCOME_KEPT, "deleted");
}

/* ---- JSON, as far as the tests need it ---- */

/* Where the value of the first member of that name begins, or NULL. */
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

/* The text of a member; valid until the next call of this or the above. */
static inline const char *json_string(const sexton_text *text, const char *name) {
    char *at = (char *)json_find(text, name);
    CHECK(at != NULL && *at == '"');
    char *end = strchr(at + 1, '"');
    CHECK(end != NULL);
    *end = 0;
    return at + 1;
}

static inline int json_has(const sexton_text *text, const char *what) {
    sexton_bytes json = sexton_text_bytes(text);
    return memmem(json.data, json.len, what, strlen(what)) != NULL;
}

/* That the full self-check finds nothing wrong. */
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
