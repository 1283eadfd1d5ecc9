/* Life cycle of an object and of an engine: open, register, delete, prove, close, reopen. */

#include "all_calls.h"

/* Checks all fields of a sub-batch with the one object that register_upload() registers. */
static void check_upload(const sexton_batch *batch, sexton_id id, int64_t start_ms) {
    size_t len = 0;
    const sexton_object *object = sexton_batch_objects(batch, &len);
    CHECK_INT(1, len);
    CHECK(ids_equal(id, object->id));
    CHECK_TEXT("cat.jpg", object->key);
    CHECK_TEXT("v7", object->version);
    CHECK_TEXT("d1g3st", object->digest);
    CHECK(object->has_size && object->has_ceiling && !object->has_floor);
    CHECK_INT(4711, object->size_bytes);
    CHECK_INT(0, object->floor_ms);
    CHECK_INT(start_ms + 3 * HOUR_MS, object->ceiling_ms);
    CHECK_TEXT("upload-3h", sexton_batch_class(batch));
    CHECK_INT(SEXTON_DELETE, sexton_batch_disposition(batch));
    CHECK_INT(1, sexton_batch_get_id(batch).attempt);
    CHECK_INT(0, sexton_batch_get_id(batch).index);
}

static void check_verdict(const sexton_verdict *verdict, sexton_id id, int64_t start_ms) {
    CHECK_INT(SEXTON_COMPLIANCE_KEPT, sexton_verdict_compliance(verdict));
    CHECK_INT(0, sexton_verdict_by_ms(verdict));
    CHECK_INT(start_ms, sexton_verdict_start_ms(verdict));
    int64_t floor_ms = 77, ceiling_ms = 77;
    CHECK(!sexton_verdict_floor_ms(verdict, &floor_ms));
    CHECK_INT(77, floor_ms);
    CHECK(sexton_verdict_ceiling_ms(verdict, &ceiling_ms));
    CHECK_INT(start_ms + 3 * HOUR_MS, ceiling_ms);
    CHECK_INT(now_ms(), sexton_verdict_time_ms(verdict));
    CHECK_TEXT("example.com/files", sexton_verdict_origin(verdict));
    CHECK_TEXT("upload-3h", sexton_verdict_class(verdict));
    CHECK_TEXT("cat.jpg", sexton_verdict_key(verdict));
    CHECK_TEXT("deleted", sexton_verdict_method(verdict));
    CHECK(ids_equal(id, sexton_verdict_id(verdict)));
}

static sexton_id register_upload(sexton_engine *engine) {
    sexton_registration upload = make_registration("upload-3h", "cat.jpg");
    sexton_results *results = NULL;
    sexton_error *error = NULL;
    size_t len = 0;
    upload.version = bytes("v7");
    upload.digest = bytes("d1g3st");
    upload.subject = bytes("anna");
    upload.has_size = true;
    upload.size_bytes = 4711;
    CHECK_OK(sexton_register(engine, &upload, 1, 0, &results, &error), error);
    CHECK_INT(SEXTON_OK, sexton_results_status(results));
    const sexton_registered *registered = sexton_results_registered(results, &len);
    CHECK_INT(1, len);
    CHECK_INT(SEXTON_PREVIOUS_NONE, registered->previous);
    CHECK_INT(0, registered->ticket.len);
    CHECK(sexton_results_changed(results, &len) == NULL);
    CHECK_INT(0, len);
    sexton_id id = registered->id;
    sexton_results_free(results);
    return id;
}

TEST("an upload is deleted in time, with a receipt that says kept") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_error *error = NULL;
    sexton_id found;
    int64_t start_ms = now_ms();
    sexton_id id = register_upload(engine);
    CHECK_OK(sexton_find(engine, bytes("cat.jpg"), bytes(""), &found, &error), error);
    CHECK(ids_equal(id, found));
    run_until_idle(engine);
    CHECK(next_batch(engine) == NULL);

    advance_ms(2 * HOUR_MS + 59 * MINUTE_MS);
    run_until_idle(engine);
    sexton_batch *batch = take_batch(engine, 1);
    check_upload(batch, id, start_ms);
    CHECK_INT(1, answer_all(engine, batch, SEXTON_ANSWER_DELETED));
    sexton_batch_free(batch);
    run_until_idle(engine);
    CHECK_STATUS(SEXTON_NOT_FOUND, sexton_find(engine, bytes("cat.jpg"), bytes(""), &found, &error), error);

    sexton_text *text = get_receipt(engine, id, "cat.jpg");
    sexton_verdict *verdict = verify_receipt(engine, text);
    check_verdict(verdict, id, start_ms);
    close_engine(engine);
    /* A verdict outlives its engine. */
    check_verdict(verdict, id, start_ms);
    sexton_verdict_free(verdict);

    engine = open_engine(NULL, 0);
    sexton_text *again = get_receipt(engine, id, "cat.jpg");
    CHECK(bytes_equal(sexton_text_bytes(text), sexton_text_bytes(again)));
    check_kept(engine, id, "cat.jpg");
    sexton_text_free(text);
    sexton_text_free(again);
    close_engine(engine);
}

TEST("freeing an open engine closes it") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_id id = register_object(engine, "files", "a"), found;
    sexton_error *error = NULL;
    sexton_engine_free(engine);
    engine = open_engine(NULL, 0);
    CHECK_OK(sexton_find(engine, bytes("a"), bytes(""), &found, &error), error);
    CHECK(ids_equal(id, found));
    sexton_engine_free(engine);
}

TEST("every call on a closed engine but close is CLOSED") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_error *error = NULL;
    register_object(engine, "files", "a");
    CHECK_OK(sexton_close(engine, &error), error);
    check_all_calls(engine, SEXTON_CLOSED);
    CHECK_OK(sexton_close(engine, &error), error);
    check_all_calls(engine, SEXTON_CLOSED);
    sexton_engine_free(engine);
}

TEST("a folder can be opened before its closed handle is freed") {
    sexton_engine *first = open_engine(NULL, 0);
    sexton_error *error = NULL;
    sexton_id id = register_object(first, "files", "a"), found;
    CHECK_OK(sexton_close(first, &error), error);
    sexton_engine *second = open_engine(NULL, 0);
    CHECK_OK(sexton_find(second, bytes("a"), bytes(""), &found, &error), error);
    CHECK(ids_equal(id, found));
    CHECK_STATUS(SEXTON_CLOSED, sexton_sync(first, &error), error);
    sexton_engine_free(first);
    CHECK_OK(sexton_sync(second, &error), error);
    close_engine(second);
}

TEST("registrations survive reopening, buffered ones too") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_registration many[100];
    char keys[100][16];
    sexton_results *results = NULL;
    sexton_error *error = NULL;
    sexton_id found;
    make_registrations(many, keys, 100);
    CHECK_OK(sexton_register(engine, many, 50, SEXTON_BUFFERED, &results, &error), error);
    sexton_results_free(results);
    CHECK_OK(sexton_sync(engine, &error), error);
    CHECK_OK(sexton_register(engine, many + 50, 50, 0, &results, &error), error);
    sexton_results_free(results);
    close_engine(engine);

    engine = open_engine(NULL, 0);
    for (size_t i = 0; i < 100; i++) {
        CHECK_OK(sexton_find(engine, bytes(keys[i]), bytes(""), &found, &error), error);
    }
    CHECK_INT(100, class_counters(engine, "files").live);
    advance_ms(2 * SECOND_MS);
    CHECK_INT(100, delete_due(engine));
    CHECK_INT(0, class_counters(engine, "files").live);
    CHECK_INT(100, class_counters(engine, "files").deleted);
    close_engine(engine);
}

TEST("the self-check is sound after deleting and reclaiming") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_error *error = NULL;
    register_objects(engine, "files", "a", 20);
    advance_ms(2 * SECOND_MS);
    CHECK_INT(20, delete_due(engine));
    register_objects(engine, "files", "b", 20);
    CHECK_OK(sexton_reclaim(engine, &error), error);
    CHECK_OK(sexton_publish(engine, &error), error);
    check_sound(engine);
    close_engine(engine);
}
