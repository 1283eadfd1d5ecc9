/* Bounds of registrations: key, version, digest, subject, start, class, flags and number. */

#include "fixture.h"

static sexton_error *error;
static uint8_t many_bytes[4096];

TEST("a key has 1 to 2,048 bytes") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_registration object = make_registration("files", "");
    static const struct {
        size_t len;
        int32_t status;
    } all[] = {{0, SEXTON_INVALID}, {1, SEXTON_OK}, {2048, SEXTON_OK}, {2049, SEXTON_INVALID}};
    for (size_t i = 0; i < 4; i++) {
        object.key = (sexton_bytes){many_bytes, all[i].len};
        CHECK_INT(all[i].status, try_to_register(engine, &object));
    }
    object.key = (sexton_bytes){NULL, 0};
    CHECK_INT(SEXTON_INVALID, try_to_register(engine, &object));
    CHECK_INT(2, class_counters(engine, "files").live);
    close_engine(engine);
}

TEST("a key of 2,048 arbitrary bytes gets its receipt") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_registration object = make_registration("files", "");
    sexton_results *results = NULL;
    sexton_text *text = NULL;
    uint8_t key_bytes[2048];
    size_t len;
    sexton_id found;
    for (size_t i = 0; i < sizeof key_bytes; i++) {
        key_bytes[i] = (uint8_t)(i * 7);
    }
    const sexton_bytes key = {key_bytes, sizeof key_bytes};
    object.key = key;
    CHECK_OK(sexton_register(engine, &object, 1, 0, &results, &error), error);
    sexton_id id = sexton_results_registered(results, &len)->id;
    sexton_results_free(results);
    CHECK_OK(sexton_find(engine, key, bytes(""), &found, &error), error);
    CHECK(ids_equal(id, found));
    sexton_batch *batch = take_due_batch(engine, 1);
    CHECK(bytes_equal(key, sexton_batch_objects(batch, &len)->key));
    answer_all(engine, batch, SEXTON_ANSWER_DELETED);
    sexton_batch_free(batch);
    run_until_idle(engine);
    CHECK_OK(sexton_receipt(engine, &id, SEXTON_OPENER_KEY, key, &text, &error), error);
    sexton_verdict *verdict = verify_receipt(engine, text);
    CHECK(bytes_equal(key, sexton_verdict_key(verdict)));
    sexton_verdict_free(verdict);
    sexton_text_free(text);
    close_engine(engine);
}

TEST("a version has at most 1,024 bytes, a digest 64, a subject 255") {
    sexton_engine *engine = open_engine(NULL, 0);
    for (int field = 0; field < 3; field++) {
        sexton_registration object = make_registration("files", "a");
        sexton_bytes *fields[3] = {&object.version, &object.digest, &object.subject};
        size_t most = (const size_t[]){1024, 64, 255}[field];
        *fields[field] = (sexton_bytes){many_bytes, most};
        CHECK_INT(SEXTON_OK, try_to_register(engine, &object));
        *fields[field] = (sexton_bytes){many_bytes, most + 1};
        CHECK_INT(SEXTON_INVALID, try_to_register(engine, &object));
    }
    close_engine(engine);
}

TEST("a start lies between 1990 and ten years ahead") {
    sexton_engine *engine = define_classes(open_engine(NULL, 0), CLASS_TICKETED);
    sexton_registration object = make_registration("files", "a");
    const int64_t first = INT64_C(631152000000), last = now_ms() + 10 * 366 * DAY_MS;
    const int64_t fine[] = {first, last}, wrong[] = {first - 1, last + 1, 0, -1, INT64_MAX};
    for (size_t i = 0; i < 2; i++) {
        object.start_ms = fine[i];
        CHECK_INT(SEXTON_OK, try_to_register(engine, &object));
    }
    for (size_t i = 0; i < 5; i++) {
        object.start_ms = wrong[i];
        CHECK_INT(SEXTON_INVALID, try_to_register(engine, &object));
    }
    object.has_start = false;
    CHECK_INT(SEXTON_INVALID, try_to_register(engine, &object)); /* a value without its flag */
    object.start_ms = 0; /* class "files" has no max_open */
    CHECK_INT(SEXTON_INVALID, try_to_register(engine, &object));
    object.class_name = bytes("ticketed"); /* the start is the registration */
    CHECK_INT(SEXTON_OK, try_to_register(engine, &object));
    close_engine(engine);
}

TEST("an unknown or non-UTF-8 class name is INVALID") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_registration object = make_registration("files", "a");
    static const char *const wrong[] = {"", "Files", "file", "files ", "\xff\xfe"};
    for (size_t i = 0; i < 5; i++) {
        object.class_name = bytes(wrong[i]);
        CHECK_INT(SEXTON_INVALID, try_to_register(engine, &object));
    }
    object.class_name = (sexton_bytes){(const uint8_t *)"files\0", 6};
    CHECK_INT(SEXTON_INVALID, try_to_register(engine, &object));
    close_engine(engine);
}

TEST("unknown flags are INVALID") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_registration object = make_registration("files", "a");
    sexton_object_change change = SEXTON_OBJECT_CHANGE_INIT;
    change.kind = SEXTON_RELEASE;
    change.key = bytes("a");
    sexton_results *results = NULL;
    CHECK_STATUS(SEXTON_INVALID, sexton_register(engine, &object, 1, 4, &results, &error), error);
    CHECK_STATUS(SEXTON_INVALID, sexton_submit_register(engine, 1, &object, 1, 1u << 31, &error),
                 error);
    CHECK_STATUS(SEXTON_INVALID, sexton_change(engine, &change, 1, 8, &results, &error), error);
    CHECK_STATUS(SEXTON_INVALID,
                 sexton_change(engine, &change, 1, SEXTON_ONLY_MISSING, &results, &error),
                 error);
    CHECK(results == NULL);
    close_engine(engine);
}

TEST("a call takes at most 100,000 registrations") {
    const size_t most = 100000;
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_registration *objects = calloc(most + 1, sizeof *objects);
    char (*keys)[16] = calloc(most + 1, sizeof *keys);
    sexton_results *results = NULL;
    size_t len;
    CHECK(objects != NULL && keys != NULL);
    make_registrations(objects, keys, most + 1);
    CHECK_STATUS(SEXTON_INVALID, sexton_register(engine, objects, most + 1, 0, &results, &error),
                 error);
    const size_t some = test_size(most, 1000);
    CHECK_OK(sexton_register(engine, objects, some, 0, &results, &error), error);
    CHECK(sexton_results_registered(results, &len) != NULL);
    CHECK_INT(some, len);
    sexton_results_free(results);
    CHECK_INT(some, class_counters(engine, "files").live);
    free(objects);
    free(keys);
    close_engine(engine);
}
