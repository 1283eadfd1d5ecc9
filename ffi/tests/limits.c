/* The edges of what an object may be called and said of. */

#include "site.h"

static sexton_error *error;
static uint8_t many_bytes[2048];

static int32_t try_to_register(sexton_engine *engine, const sexton_registration *one) {
    sexton_results *results = NULL;
    int32_t status = sexton_register(engine, one, 1, 0, &results, &error);
    CHECK((status == SEXTON_OK) == (results != NULL));
    sexton_results_free(results);
    CHECK_STATUS(status, status, error);
    return status;
}

TEST("a key has 1 to 1,024 bytes") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_registration one = registration("files", "");
    static const struct {
        size_t len;
        int32_t status;
    } all[] = {{0, SEXTON_INVALID}, {1, SEXTON_OK}, {1024, SEXTON_OK}, {1025, SEXTON_INVALID}};
    for (size_t i = 0; i < 4; i++) {
        one.key = (sexton_bytes){many_bytes, all[i].len};
        CHECK_INT(all[i].status, try_to_register(engine, &one));
    }
    one.key = (sexton_bytes){NULL, 0};
    CHECK_INT(SEXTON_INVALID, try_to_register(engine, &one));
    CHECK_INT(2, counters(engine, "files").live);
    close_site(engine);
}

TEST("a key of 1,024 bytes of any value goes the whole way to its receipt") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_registration one = registration("files", "");
    sexton_results *results = NULL;
    sexton_text *text = NULL;
    uint8_t key_bytes[1024];
    size_t len;
    sexton_id found;
    for (size_t i = 0; i < sizeof key_bytes; i++) {
        key_bytes[i] = (uint8_t)(i * 7);
    }
    const sexton_bytes key = {key_bytes, sizeof key_bytes};
    one.key = key;
    CHECK_OK(sexton_register(engine, &one, 1, 0, &results, &error), error);
    sexton_id id = sexton_results_registered(results, &len)->id;
    sexton_results_free(results);
    CHECK_OK(sexton_find(engine, key, &found, &error), error);
    CHECK(is_same_id(id, found));
    pass_ms(2 * SECOND_MS);
    settle(engine);
    sexton_batch *batch = take(engine, 1);
    CHECK(is_same(key, sexton_batch_objects(batch, &len)->key));
    answer_all(engine, batch, SEXTON_ANSWER_DELETED);
    sexton_batch_free(batch);
    settle(engine);
    CHECK_OK(sexton_receipt(engine, &id, SEXTON_OPENER_KEY, key, &text, &error), error);
    sexton_verdict *verdict = verdict_of(engine, text);
    CHECK(is_same(key, sexton_verdict_key(verdict)));
    sexton_verdict_free(verdict);
    sexton_text_free(text);
    close_site(engine);
}

TEST("version and digest have up to 64 bytes, a subject up to 255") {
    sexton_engine *engine = open_site(NULL, 0);
    for (int field = 0; field < 3; field++) {
        sexton_registration one = registration("files", "a");
        sexton_bytes *fields[3] = {&one.version, &one.digest, &one.subject};
        size_t most = field == 2 ? 255 : 64;
        *fields[field] = (sexton_bytes){many_bytes, most};
        CHECK_INT(SEXTON_OK, try_to_register(engine, &one));
        *fields[field] = (sexton_bytes){many_bytes, most + 1};
        CHECK_INT(SEXTON_INVALID, try_to_register(engine, &one));
    }
    close_site(engine);
}

TEST("a start lies between 1990 and ten years ahead, and is known where the class asks for it") {
    sexton_engine *engine = define(open_site(NULL, 0), TICKETED);
    sexton_registration one = registration("files", "a");
    const int64_t first = INT64_C(631152000000), last = now_ms() + 10 * 366 * DAY_MS;
    const int64_t fine[] = {first, last}, wrong[] = {first - 1, last + 1, 0, -1, INT64_MAX};
    for (size_t i = 0; i < 2; i++) {
        one.start_ms = fine[i];
        CHECK_INT(SEXTON_OK, try_to_register(engine, &one));
    }
    for (size_t i = 0; i < 5; i++) {
        one.start_ms = wrong[i];
        CHECK_INT(SEXTON_INVALID, try_to_register(engine, &one));
    }
    one.start_ms = SEXTON_UNKNOWN_MS; /* class "files" has no max_open */
    CHECK_INT(SEXTON_INVALID, try_to_register(engine, &one));
    one.class_name = bytes("ticketed"); /* starts when it is registered */
    CHECK_INT(SEXTON_OK, try_to_register(engine, &one));
    close_site(engine);
}

TEST("a class is named in UTF-8 and known") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_registration one = registration("files", "a");
    static const char *const wrong[] = {"", "Files", "file", "files ", "\xff\xfe"};
    for (size_t i = 0; i < 5; i++) {
        one.class_name = bytes(wrong[i]);
        CHECK_INT(SEXTON_INVALID, try_to_register(engine, &one));
    }
    one.class_name = (sexton_bytes){(const uint8_t *)"files\0", 6};
    CHECK_INT(SEXTON_INVALID, try_to_register(engine, &one));
    close_site(engine);
}

TEST("flags that do not exist are refused") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_registration one = registration("files", "a");
    sexton_change change = {SEXTON_RELEASE, bytes("a"), {{0}}, {NULL, 0}, SEXTON_UNKNOWN_MS};
    sexton_results *results = NULL;
    CHECK_STATUS(SEXTON_INVALID, sexton_register(engine, &one, 1, 4, &results, &error), error);
    CHECK_STATUS(SEXTON_INVALID, sexton_submit_register(engine, 1, &one, 1, 1u << 31, &error), error);
    CHECK_STATUS(SEXTON_INVALID, sexton_change_all(engine, &change, 1, 8, &results, &error), error);
    CHECK_STATUS(SEXTON_INVALID,
                 sexton_change_all(engine, &change, 1, SEXTON_ONLY_MISSING, &results, &error), error);
    CHECK(results == NULL);
    close_site(engine);
}

TEST("a call takes 100,000 registrations and no more") {
    const size_t most = 100000;
    sexton_engine *engine = open_site(NULL, 0);
    sexton_registration *items = calloc(most + 1, sizeof *items);
    char(*keys)[16] = calloc(most + 1, sizeof *keys);
    sexton_results *results = NULL;
    size_t len;
    CHECK(items != NULL && keys != NULL);
    for (size_t i = 0; i <= most; i++) {
        snprintf(keys[i], sizeof keys[i], "%zu", i);
        items[i] = registration("files", keys[i]);
    }
    CHECK_STATUS(SEXTON_INVALID, sexton_register(engine, items, most + 1, 0, &results, &error), error);
    const size_t some = test_size(most, 1000);
    CHECK_OK(sexton_register(engine, items, some, 0, &results, &error), error);
    CHECK(sexton_results_registered(results, &len) != NULL);
    CHECK_INT(some, len);
    sexton_results_free(results);
    CHECK_INT(some, counters(engine, "files").live);
    free(items);
    free(keys);
    close_site(engine);
}
