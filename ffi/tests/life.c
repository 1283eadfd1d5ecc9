/* The whole way of an object and of an engine: opening, registering, deleting, proving, closing, opening again. */

#include "every.h"

/* What a sub-batch says of the one object in it. */
static void check_upload(const sexton_batch *batch, sexton_id id, int64_t start_ms) {
    size_t len = 0;
    const sexton_object *object = sexton_batch_objects(batch, &len);
    CHECK_INT(1, len);
    CHECK(is_same_id(id, object->id));
    CHECK_TEXT("cat.jpg", object->key);
    CHECK_TEXT("v7", object->version);
    CHECK_TEXT("d1g3st", object->digest);
    CHECK_INT(4711, object->size_bytes);
    CHECK_INT(SEXTON_UNKNOWN_MS, object->floor_ms);
    CHECK_INT(start_ms + 3 * HOUR_MS, object->ceiling_ms);
    CHECK_TEXT("upload-3h", sexton_batch_class(batch));
    CHECK_INT(SEXTON_DELETE, sexton_batch_disposition(batch));
    CHECK_INT(1, sexton_batch_get_id(batch).attempt);
    CHECK_INT(0, sexton_batch_get_id(batch).part);
}

static void check_verdict(const sexton_verdict *verdict, sexton_id id, int64_t start_ms) {
    CHECK_INT(SEXTON_OUTCOME_KEPT, sexton_verdict_outcome(verdict));
    CHECK_INT(0, sexton_verdict_by_ms(verdict));
    CHECK_INT(start_ms, sexton_verdict_start_ms(verdict));
    CHECK_INT(SEXTON_UNKNOWN_MS, sexton_verdict_floor_ms(verdict));
    CHECK_INT(start_ms + 3 * HOUR_MS, sexton_verdict_ceiling_ms(verdict));
    CHECK_INT(now_ms(), sexton_verdict_time_ms(verdict));
    CHECK_TEXT("example.com/files", sexton_verdict_origin(verdict));
    CHECK_TEXT("upload-3h", sexton_verdict_class(verdict));
    CHECK_TEXT("cat.jpg", sexton_verdict_key(verdict));
    CHECK_TEXT("deleted", sexton_verdict_method(verdict));
    CHECK(is_same_id(id, sexton_verdict_id(verdict)));
}

static sexton_id upload(sexton_engine *engine) {
    sexton_registration one = registration("upload-3h", "cat.jpg");
    sexton_results *results = NULL;
    sexton_error *error = NULL;
    size_t len = 0;
    one.version = bytes("v7");
    one.digest = bytes("d1g3st");
    one.subject = bytes("anna");
    one.size_bytes = 4711;
    CHECK_OK(sexton_register(engine, &one, 1, 0, &results, &error), error);
    CHECK_INT(SEXTON_OK, sexton_results_status(results));
    const sexton_registered *registered = sexton_results_registered(results, &len);
    CHECK_INT(1, len);
    CHECK_INT(SEXTON_EARLIER_NONE, registered->earlier);
    CHECK_INT(0, registered->ticket.len);
    CHECK(sexton_results_changed(results, &len) == NULL);
    CHECK_INT(0, len);
    sexton_id id = registered->id;
    sexton_results_free(results);
    return id;
}

TEST("an upload goes in time, and its receipt says that the promise was kept, also after reopening") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_error *error = NULL;
    sexton_id found;
    int64_t start_ms = now_ms();
    sexton_id id = upload(engine);
    CHECK_OK(sexton_find(engine, bytes("cat.jpg"), &found, &error), error);
    CHECK(is_same_id(id, found));
    settle(engine);
    CHECK(next(engine) == NULL);

    pass_ms(2 * HOUR_MS + 59 * MINUTE_MS);
    settle(engine);
    sexton_batch *batch = take(engine, 1);
    check_upload(batch, id, start_ms);
    CHECK_INT(1, answer_all(engine, batch, SEXTON_ANSWER_DELETED));
    sexton_batch_free(batch);
    settle(engine);
    CHECK_STATUS(SEXTON_NOT_FOUND, sexton_find(engine, bytes("cat.jpg"), &found, &error), error);

    sexton_text *text = receipt(engine, id, "cat.jpg");
    sexton_verdict *verdict = verdict_of(engine, text);
    check_verdict(verdict, id, start_ms);
    close_site(engine);
    /* Neither a receipt nor a verdict needs the engine. */
    check_verdict(verdict, id, start_ms);
    sexton_verdict_free(verdict);

    engine = open_site(NULL, 0);
    sexton_text *again = receipt(engine, id, "cat.jpg");
    CHECK(is_same(sexton_text_bytes(text), sexton_text_bytes(again)));
    check_kept(engine, id, "cat.jpg");
    sexton_text_free(text);
    sexton_text_free(again);
    close_site(engine);
}

TEST("an engine that is freed without being closed is closed by that") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_id id = put(engine, "files", "a"), found;
    sexton_error *error = NULL;
    sexton_engine_free(engine);
    engine = open_site(NULL, 0);
    CHECK_OK(sexton_find(engine, bytes("a"), &found, &error), error);
    CHECK(is_same_id(id, found));
    sexton_engine_free(engine);
}

TEST("every call on a closed engine says SEXTON_CLOSED and writes nothing, and closing twice is fine") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_error *error = NULL;
    put(engine, "files", "a");
    CHECK_OK(sexton_close(engine, &error), error);
    check_every_call(engine, SEXTON_CLOSED);
    CHECK_OK(sexton_close(engine, &error), error);
    check_every_call(engine, SEXTON_CLOSED);
    sexton_engine_free(engine);
}

TEST("a closed engine whose handle still stands leaves the folder to the next one") {
    sexton_engine *first = open_site(NULL, 0);
    sexton_error *error = NULL;
    sexton_id id = put(first, "files", "a"), found;
    CHECK_OK(sexton_close(first, &error), error);
    sexton_engine *second = open_site(NULL, 0);
    CHECK_OK(sexton_find(second, bytes("a"), &found, &error), error);
    CHECK(is_same_id(id, found));
    CHECK_STATUS(SEXTON_CLOSED, sexton_sync(first, &error), error);
    sexton_engine_free(first);
    CHECK_OK(sexton_sync(second, &error), error);
    close_site(second);
}

TEST("what was registered, also without waiting, is there after closing and opening again") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_registration many[100];
    char keys[100][16];
    sexton_results *results = NULL;
    sexton_error *error = NULL;
    sexton_id found;
    for (size_t i = 0; i < 100; i++) {
        snprintf(keys[i], sizeof keys[i], "many-%zu", i);
        many[i] = registration("files", keys[i]);
    }
    CHECK_OK(sexton_register(engine, many, 50, SEXTON_BUFFERED, &results, &error), error);
    sexton_results_free(results);
    CHECK_OK(sexton_sync(engine, &error), error);
    CHECK_OK(sexton_register(engine, many + 50, 50, 0, &results, &error), error);
    sexton_results_free(results);
    close_site(engine);

    engine = open_site(NULL, 0);
    for (size_t i = 0; i < 100; i++) {
        CHECK_OK(sexton_find(engine, bytes(keys[i]), &found, &error), error);
    }
    CHECK_INT(100, counters(engine, "files").live);
    pass_ms(2 * SECOND_MS);
    CHECK_INT(100, delete_due(engine));
    CHECK_INT(0, counters(engine, "files").live);
    CHECK_INT(100, counters(engine, "files").deleted);
    close_site(engine);
}

TEST("the full self-check finds nothing wrong after a life, and disk space can be given back") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_error *error = NULL;
    put_many(engine, "files", "a", 20);
    pass_ms(2 * SECOND_MS);
    CHECK_INT(20, delete_due(engine));
    put_many(engine, "files", "b", 20);
    CHECK_OK(sexton_reclaim(engine, &error), error);
    CHECK_OK(sexton_publish(engine, &error), error);
    check_sound(engine);
    close_site(engine);
}
