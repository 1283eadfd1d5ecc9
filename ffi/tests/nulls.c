/* NULL where it may be and where it may not: SEXTON_INVALID then, and nothing is written. */

#include "every.h"

/* The same as in every.h, for calls that differ in what is missing. */
#define INVALID(call) CHECK_STATUS(SEXTON_INVALID, call, error)

static sexton_error *error;

TEST("every call without an engine is INVALID and writes nothing") {
    check_every_call(NULL, SEXTON_INVALID);
    INVALID(sexton_close(NULL, &error));
}

TEST("every free function takes NULL") {
    sexton_error_free(NULL);
    sexton_text_free(NULL);
    sexton_options_free(NULL);
    sexton_engine_free(NULL);
    sexton_results_free(NULL);
    sexton_batch_free(NULL);
    sexton_verdict_free(NULL);
}

TEST("what is asked of nothing is answered with nothing") {
    size_t len = 77;
    CHECK_INT(SEXTON_OK, sexton_error_status(NULL));
    CHECK(sexton_error_message(NULL).data == NULL && sexton_error_message(NULL).len == 0);
    CHECK(sexton_text_bytes(NULL).data == NULL && sexton_text_bytes(NULL).len == 0);
    CHECK(sexton_results_registered(NULL, &len) == NULL && len == 0);
    len = 77;
    CHECK(sexton_results_changed(NULL, &len) == NULL && len == 0);
    CHECK(sexton_results_registered(NULL, NULL) == NULL);
    CHECK(sexton_results_changed(NULL, NULL) == NULL);
    CHECK_INT(0, sexton_results_token(NULL));
    CHECK_INT(SEXTON_OK, sexton_results_status(NULL));
    CHECK_INT(0, sexton_results_message(NULL).len);
    len = 77;
    CHECK(sexton_batch_objects(NULL, &len) == NULL && len == 0);
    CHECK(sexton_batch_objects(NULL, NULL) == NULL);
    CHECK_INT(0, sexton_batch_class(NULL).len);
    CHECK_INT(0, sexton_batch_disposition(NULL));
    CHECK_INT(0, sexton_batch_get_id(NULL).batch);
    CHECK_INT(0, sexton_verdict_outcome(NULL));
    CHECK_INT(0, sexton_verdict_by_ms(NULL));
    CHECK_INT(0, sexton_verdict_start_ms(NULL));
    CHECK_INT(0, sexton_verdict_floor_ms(NULL));
    CHECK_INT(0, sexton_verdict_ceiling_ms(NULL));
    CHECK_INT(0, sexton_verdict_time_ms(NULL));
    CHECK_INT(0, sexton_verdict_origin(NULL).len + sexton_verdict_class(NULL).len);
    CHECK_INT(0, sexton_verdict_key(NULL).len + sexton_verdict_method(NULL).len);
    CHECK_INT(0, sexton_verdict_id(NULL).bytes[0]);
}

TEST("the error may be NULL in a call that fails, and in one that does not") {
    sexton_engine *engine = NULL;
    sexton_options *options = site_options();
    sexton_results *results = NULL;
    sexton_registration good = registration("files", "a"), bad = registration("files", "");
    CHECK_INT(SEXTON_INVALID, sexton_options_set(options, bytes("x"), bytes("y"), NULL));
    CHECK_INT(SEXTON_OK, sexton_open(bytes(test_folder()), options, &engine, NULL));
    CHECK_INT(SEXTON_INVALID, sexton_register(engine, &bad, 1, 0, &results, NULL));
    CHECK(results == NULL);
    CHECK_INT(SEXTON_OK, sexton_register(engine, &good, 1, 0, &results, NULL));
    CHECK_INT(SEXTON_OK, sexton_close(engine, NULL));
    CHECK_INT(SEXTON_CLOSED, sexton_sync(engine, NULL));
    sexton_results_free(results);
    sexton_engine_free(engine);
    sexton_options_free(options);
}

TEST("the places that may be NULL may be: how many were taken, when to call again, how many there are") {
    sexton_engine *engine = open_site(NULL, 0);
    put(engine, "files", "a");
    pass_ms(2 * SECOND_MS);
    CHECK_OK(sexton_run(engine, 1000, NULL, &error), error);
    sexton_batch *batch = take(engine, 1);
    CHECK(sexton_batch_objects(batch, NULL) != NULL);
    sexton_batch_id id = sexton_batch_get_id(batch);
    sexton_answer answer = {0, SEXTON_ANSWER_DELETED, {NULL, 0}};
    CHECK_OK(sexton_complete(engine, &id, NULL, 0, NULL, &error), error);
    CHECK_OK(sexton_complete(engine, &id, &answer, 1, NULL, &error), error);
    sexton_batch_free(batch);
    settle(engine);
    CHECK_INT(1, counters(engine, "files").deleted);
    close_site(engine);
}

TEST("options need a handle, a name, and bytes where they say that there are some") {
    sexton_options *options = sexton_options_new();
    const sexton_bytes nowhere = {NULL, 3};
    INVALID(sexton_options_set(NULL, bytes("threads"), bytes("1"), &error));
    INVALID(sexton_options_set_uint(NULL, bytes("threads"), 1, &error));
    INVALID(sexton_options_set_log(NULL, NULL, NULL, &error));
    INVALID(sexton_options_set_delete(NULL, NULL, NULL, &error));
    INVALID(sexton_options_set_clock(NULL, site_wall_ms, site_monotonic_ms, NULL, &error));
    INVALID(sexton_options_set(options, nowhere, bytes("1"), &error));
    INVALID(sexton_options_set(options, bytes("origin"), nowhere, &error));
    INVALID(sexton_options_set_uint(options, nowhere, 1, &error));
    sexton_options_free(options);
}

TEST("opening needs a folder and a place for the engine") {
    sexton_options *options = site_options();
    sexton_engine *engine = UNTOUCHED(sexton_engine);
    const sexton_bytes nowhere = {NULL, 3}, none = {NULL, 0}, with_nul = {(const uint8_t *)"a\0b", 3};
    INVALID(sexton_open(none, options, &engine, &error));
    INVALID(sexton_open(nowhere, options, &engine, &error));
    INVALID(sexton_open(with_nul, options, &engine, &error));
    INVALID(sexton_open(bytes(test_folder()), options, NULL, &error));
    CHECK(engine == UNTOUCHED(sexton_engine));
    close_site(open_with(options));
    sexton_options_free(options);
}

TEST("a call without a place for its answer is INVALID, and is not carried out") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_registration one = registration("files", "a");
    sexton_change release = {SEXTON_RELEASE, bytes("b"), {{0}}, {NULL, 0}, SEXTON_UNKNOWN_MS};
    put(engine, "files", "b");
    INVALID(sexton_register(engine, &one, 1, 0, NULL, &error));
    INVALID(sexton_change_all(engine, &release, 1, 0, NULL, &error));
    INVALID(sexton_delete_again(engine, &one, 1, 0, NULL, &error));
    CHECK_INT(1, counters(engine, "files").registered);
    INVALID(sexton_now_ms(engine, NULL, &error));
    INVALID(sexton_classes(engine, NULL, &error));
    INVALID(sexton_find(engine, bytes("b"), NULL, &error));
    INVALID(sexton_next_completion(engine, NULL, &error));
    INVALID(sexton_event_fd(engine, NULL, &error));
    INVALID(sexton_state(engine, NULL, &error));
    INVALID(sexton_status(engine, NULL, &error));
    INVALID(sexton_class_counters(engine, bytes("files"), NULL, &error));
    INVALID(sexton_next_due_ms(engine, NULL, &error));
    INVALID(sexton_plan(engine, now_ms() + DAY_MS, NULL, NULL, &error));
    INVALID(sexton_policy(engine, NULL, &error));
    INVALID(sexton_holds(engine, NULL, &error));
    INVALID(sexton_requests(engine, NULL, &error));
    INVALID(sexton_check(engine, NULL, &error));
    INVALID(sexton_screen(engine, bytes("b"), NULL, &error));
    pass_ms(2 * SECOND_MS);
    settle(engine);
    INVALID(sexton_next_batch(engine, NULL, &error));
    CHECK_INT(1, delete_due(engine));
    close_site(engine);
}

TEST("arrays and structs may be NULL only where there are none") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_results *results = UNTOUCHED(sexton_results);
    sexton_text *text = UNTOUCHED(sexton_text);
    const sexton_bytes why = bytes("r"), who = bytes("w");
    sexton_batch_id id = {1, 1, 0, 1};
    size_t taken = 77;
    INVALID(sexton_register(engine, NULL, 2, 0, &results, &error));
    INVALID(sexton_change_all(engine, NULL, 2, 0, &results, &error));
    INVALID(sexton_delete_again(engine, NULL, 2, 0, &results, &error));
    INVALID(sexton_submit_register(engine, 1, NULL, 2, 0, &error));
    INVALID(sexton_submit_change(engine, 1, NULL, 2, 0, &error));
    INVALID(sexton_complete(engine, &id, NULL, 2, &taken, &error));
    INVALID(sexton_complete(engine, NULL, NULL, 0, &taken, &error));
    INVALID(sexton_place_hold(engine, NULL, &text, &error));
    INVALID(sexton_erase(engine, NULL, &text, &error));
    INVALID(sexton_close_down(engine, NULL, why, who, &text, &error));
    INVALID(sexton_receipt(engine, NULL, SEXTON_OPENER_KEY, why, &text, &error));
    CHECK(results == UNTOUCHED(sexton_results) && text == UNTOUCHED(sexton_text) && taken == 77);
    size_t len = 77;
    CHECK_OK(sexton_register(engine, NULL, 0, 0, &results, &error), error);
    sexton_results_registered(results, &len);
    CHECK_INT(0, len);
    sexton_results_free(results);
    CHECK_OK(sexton_change_all(engine, NULL, 0, 0, &results, &error), error);
    sexton_results_free(results);
    close_site(engine);
}

TEST("bytes that are said to be there and are not are INVALID in every item") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_results *results = UNTOUCHED(sexton_results);
    sexton_id id = {{0}};
    const sexton_bytes nowhere = {NULL, 3};
    for (int field = 0; field < 5; field++) {
        sexton_registration one = registration("files", "a");
        sexton_bytes *fields[5] = {&one.key, &one.class_name, &one.version, &one.digest, &one.subject};
        *fields[field] = nowhere;
        INVALID(sexton_register(engine, &one, 1, 0, &results, &error));
        INVALID(sexton_submit_register(engine, 1, &one, 1, 0, &error));
    }
    INVALID(sexton_find(engine, nowhere, &id, &error));
    INVALID(sexton_define_classes(engine, nowhere, &error));
    CHECK(results == UNTOUCHED(sexton_results));
    close_site(engine);
}

TEST("a length far beyond what can be is refused, not read") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_results *results = UNTOUCHED(sexton_results);
    sexton_registration one = registration("files", "a");
    sexton_id id = {{0}};
    const sexton_bytes endless = {(const uint8_t *)"a", SIZE_MAX};
    INVALID(sexton_find(engine, endless, &id, &error));
    one.key = endless;
    INVALID(sexton_register(engine, &one, 1, 0, &results, &error));
    INVALID(sexton_register(engine, &one, SIZE_MAX, 0, &results, &error));
    CHECK(results == UNTOUCHED(sexton_results));
    close_site(engine);
}

TEST("verifying, and ids as text, need their places and their input") {
    sexton_text *text = UNTOUCHED(sexton_text);
    sexton_verdict *verdict = UNTOUCHED(sexton_verdict);
    sexton_id id = {{7}};
    const sexton_bytes nowhere = {NULL, 3}, policy = bytes("log x\n");
    INVALID(sexton_id_format(NULL, &text, &error));
    INVALID(sexton_id_format(&id, NULL, &error));
    INVALID(sexton_id_parse(bytes("00"), NULL, &error));
    INVALID(sexton_id_parse(nowhere, &id, &error));
    INVALID(sexton_verify(bytes("x"), policy, NULL, &error));
    INVALID(sexton_verify(nowhere, policy, &verdict, &error));
    INVALID(sexton_verify(bytes("x"), nowhere, &verdict, &error));
    CHECK(text == UNTOUCHED(sexton_text) && verdict == UNTOUCHED(sexton_verdict));
    CHECK_INT(7, id.bytes[0]);
}

TEST("an error of an earlier call that the host did not free is not freed for it") {
    sexton_options *options = sexton_options_new();
    sexton_error *first = NULL;
    CHECK_INT(SEXTON_INVALID, sexton_options_set(options, bytes("x"), bytes("y"), &first));
    sexton_error *second = first;
    CHECK_INT(SEXTON_INVALID, sexton_options_set(options, bytes("z"), bytes("y"), &second));
    CHECK(second != NULL && second != first);
    CHECK(sexton_error_message(first).len > 0);
    /* Written only on failure, so a call that succeeds leaves it alone. */
    sexton_error *kept = second;
    CHECK_INT(SEXTON_OK, sexton_options_set(options, bytes("threads"), bytes("0"), &kept));
    CHECK(kept == second);
    sexton_error_free(first);
    sexton_error_free(second);
    sexton_options_free(options);
}
