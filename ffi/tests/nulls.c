/* NULL arguments: allowed where the contract says so, else SEXTON_INVALID with nothing written.
 *
 * A `dangling` value is NULL with a length that is not zero. */

#include "all_calls.h"

#define CHECK_INVALID(call) CHECK_STATUS(SEXTON_INVALID, call, error)

static sexton_error *error;

TEST("every call with a NULL engine is INVALID, writes nothing") {
    check_all_calls(NULL, SEXTON_INVALID);
    CHECK_INVALID(sexton_close(NULL, &error));
}

TEST("every free function accepts NULL") {
    sexton_error_free(NULL);
    sexton_text_free(NULL);
    sexton_options_free(NULL);
    sexton_engine_free(NULL);
    sexton_results_free(NULL);
    sexton_batch_free(NULL);
    sexton_verdict_free(NULL);
}

TEST("every accessor of a NULL handle returns an empty value") {
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
    CHECK_INT(0, sexton_verdict_compliance(NULL));
    CHECK_INT(0, sexton_verdict_by_ms(NULL));
    CHECK_INT(0, sexton_verdict_start_ms(NULL));
    CHECK(!sexton_verdict_floor_ms(NULL, NULL));
    CHECK(!sexton_verdict_ceiling_ms(NULL, NULL));
    CHECK_INT(0, sexton_verdict_time_ms(NULL));
    CHECK_INT(0, sexton_verdict_origin(NULL).len + sexton_verdict_class(NULL).len);
    CHECK_INT(0, sexton_verdict_key(NULL).len + sexton_verdict_method(NULL).len);
    CHECK_INT(0, sexton_verdict_id(NULL).bytes[0]);
}

TEST("the error pointer may be NULL, on failure and on success") {
    sexton_engine *engine = NULL;
    sexton_options *options = test_options();
    sexton_results *results = NULL;
    sexton_registration good = make_registration("files", "a"),
                        bad = make_registration("files", "");
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

TEST("optional outputs may be NULL: next_ms, taken, len") {
    sexton_engine *engine = open_engine(NULL, 0);
    register_object(engine, "files", "a");
    advance_ms(2 * SECOND_MS);
    CHECK_OK(sexton_run(engine, 1000, NULL, &error), error);
    sexton_batch *batch = take_batch(engine, 1);
    CHECK(sexton_batch_objects(batch, NULL) != NULL);
    sexton_batch_id id = sexton_batch_get_id(batch);
    sexton_answer answer = {0, SEXTON_ANSWER_DELETED, {NULL, 0}};
    CHECK_OK(sexton_answer_objects(engine, &id, NULL, 0, NULL, &error), error);
    CHECK_OK(sexton_answer_objects(engine, &id, &answer, 1, NULL, &error), error);
    sexton_batch_free(batch);
    run_until_idle(engine);
    CHECK_INT(1, class_counters(engine, "files").deleted);
    close_engine(engine);
}

TEST("options functions refuse a NULL handle or dangling bytes") {
    sexton_options *options = sexton_options_new();
    const sexton_bytes dangling = {NULL, 3};
    CHECK_INVALID(sexton_options_set(NULL, bytes("threads"), bytes("1"), &error));
    CHECK_INVALID(sexton_options_set_uint(NULL, bytes("threads"), 1, &error));
    CHECK_INVALID(sexton_options_set_log(NULL, NULL, NULL, &error));
    CHECK_INVALID(sexton_options_set_delete(NULL, NULL, NULL, &error));
    CHECK_INVALID(
        sexton_options_set_clock(NULL, read_wall_clock, read_monotonic_clock, NULL, &error));
    CHECK_INVALID(sexton_options_set(options, dangling, bytes("1"), &error));
    CHECK_INVALID(sexton_options_set(options, bytes("origin"), dangling, &error));
    CHECK_INVALID(sexton_options_set_uint(options, dangling, 1, &error));
    sexton_options_free(options);
}

TEST("open refuses a bad folder or a NULL engine pointer") {
    sexton_options *options = test_options();
    sexton_engine *engine = UNTOUCHED(sexton_engine);
    const sexton_bytes dangling = {NULL, 3}, none = {NULL, 0},
                       with_nul = {(const uint8_t *)"a\0b", 3};
    CHECK_INVALID(sexton_open(none, options, &engine, &error));
    CHECK_INVALID(sexton_open(dangling, options, &engine, &error));
    CHECK_INVALID(sexton_open(with_nul, options, &engine, &error));
    CHECK_INVALID(sexton_open(bytes(test_folder()), options, NULL, &error));
    CHECK(engine == UNTOUCHED(sexton_engine));
    close_engine(open_with_options(options));
    sexton_options_free(options);
}

TEST("a call with a NULL result pointer is INVALID, not done") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_registration object = make_registration("files", "a");
    sexton_object_change release = SEXTON_OBJECT_CHANGE_INIT;
    release.kind = SEXTON_RELEASE;
    release.key = bytes("b");
    register_object(engine, "files", "b");
    CHECK_INVALID(sexton_register(engine, &object, 1, 0, NULL, &error));
    CHECK_INVALID(sexton_change(engine, &release, 1, 0, NULL, &error));
    CHECK_INVALID(sexton_delete_again(engine, &object, 1, 0, NULL, &error));
    CHECK_INT(1, class_counters(engine, "files").registered);
    CHECK_INVALID(sexton_now_ms(engine, NULL, &error));
    CHECK_INVALID(sexton_classes(engine, NULL, &error));
    CHECK_INVALID(sexton_find(engine, bytes("b"), bytes(""), NULL, &error));
    CHECK_INVALID(sexton_next_completion(engine, NULL, &error));
    CHECK_INVALID(sexton_event_fd(engine, NULL, &error));
    CHECK_INVALID(sexton_state(engine, NULL, &error));
    CHECK_INVALID(sexton_status(engine, NULL, &error));
    CHECK_INVALID(sexton_class_counters(engine, bytes("files"), NULL, &error));
    CHECK_INVALID(sexton_next_due_ms(engine, NULL, &error));
    CHECK_INVALID(sexton_plan(engine, now_ms() + DAY_MS, NULL, NULL, &error));
    CHECK_INVALID(sexton_policy(engine, NULL, &error));
    CHECK_INVALID(sexton_holds(engine, NULL, &error));
    const sexton_selector everything = {SEXTON_SELECT_EVERYTHING, NULL, 0};
    CHECK_INVALID(sexton_count_live(engine, &everything, NULL, &error));
    uint64_t live = 77;
    CHECK_INVALID(sexton_count_live(engine, NULL, &live, &error));
    CHECK_INT(77, live);
    CHECK_INVALID(sexton_requests(engine, NULL, &error));
    CHECK_INVALID(sexton_check(engine, NULL, &error));
    CHECK_INVALID(sexton_ended(engine, bytes("b"), NULL, &error));
    sexton_api_request reclaim = SEXTON_API_REQUEST_INIT;
    sexton_text *answer = UNTOUCHED(sexton_text);
    uint32_t http_status = 77;
    reclaim.method = bytes("POST");
    reclaim.target = bytes("/v1/reclaim");
    CHECK_INVALID(sexton_api(engine, &reclaim, NULL, &answer, &error));
    CHECK_INVALID(sexton_api(engine, &reclaim, &http_status, NULL, &error));
    CHECK_INVALID(sexton_api(engine, NULL, &http_status, &answer, &error));
    CHECK(answer == UNTOUCHED(sexton_text) && http_status == 77);
    advance_ms(2 * SECOND_MS);
    run_until_idle(engine);
    CHECK_INVALID(sexton_next_batch(engine, NULL, &error));
    CHECK_INT(1, delete_due(engine));
    close_engine(engine);
}

TEST("an array may be NULL only with length 0, a struct never") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_results *results = UNTOUCHED(sexton_results);
    sexton_text *text = UNTOUCHED(sexton_text);
    const sexton_bytes reason = bytes("r"), author = bytes("w");
    sexton_batch_id id = {1, 1, 0, 1};
    size_t taken = 77;
    CHECK_INVALID(sexton_register(engine, NULL, 2, 0, &results, &error));
    CHECK_INVALID(sexton_change(engine, NULL, 2, 0, &results, &error));
    CHECK_INVALID(sexton_delete_again(engine, NULL, 2, 0, &results, &error));
    CHECK_INVALID(sexton_submit_register(engine, 1, NULL, 2, 0, &error));
    CHECK_INVALID(sexton_submit_change(engine, 1, NULL, 2, 0, &error));
    CHECK_INVALID(sexton_answer_objects(engine, &id, NULL, 2, &taken, &error));
    CHECK_INVALID(sexton_answer_objects(engine, NULL, NULL, 0, &taken, &error));
    CHECK_INVALID(sexton_place_hold(engine, NULL, &text, &error));
    CHECK_INVALID(sexton_erase(engine, NULL, &text, &error));
    CHECK_INVALID(sexton_close_down(engine, NULL, reason, author, &text, &error));
    CHECK_INVALID(sexton_receipt(engine, NULL, SEXTON_OPENER_KEY, reason, &text, &error));
    CHECK(results == UNTOUCHED(sexton_results) && text == UNTOUCHED(sexton_text) && taken == 77);
    size_t len = 77;
    CHECK_OK(sexton_register(engine, NULL, 0, 0, &results, &error), error);
    sexton_results_registered(results, &len);
    CHECK_INT(0, len);
    sexton_results_free(results);
    CHECK_OK(sexton_change(engine, NULL, 0, 0, &results, &error), error);
    sexton_results_free(results);
    close_engine(engine);
}

TEST("dangling bytes are INVALID in every field") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_results *results = UNTOUCHED(sexton_results);
    sexton_id id = {{0}};
    const sexton_bytes dangling = {NULL, 3};
    for (int field = 0; field < 5; field++) {
        sexton_registration object = make_registration("files", "a");
        sexton_bytes *fields[5] = {&object.key, &object.class_name, &object.version, &object.digest,
                                   &object.subject};
        *fields[field] = dangling;
        CHECK_INVALID(sexton_register(engine, &object, 1, 0, &results, &error));
        CHECK_INVALID(sexton_submit_register(engine, 1, &object, 1, 0, &error));
    }
    CHECK_INVALID(sexton_find(engine, dangling, bytes(""), &id, &error));
    CHECK_INVALID(sexton_find(engine, bytes("a"), dangling, &id, &error));
    sexton_object_change change = SEXTON_OBJECT_CHANGE_INIT;
    change.kind = SEXTON_RELEASE;
    change.key = bytes("a");
    change.of_version = dangling;
    CHECK_INVALID(sexton_change(engine, &change, 1, 0, &results, &error));
    CHECK_INVALID(sexton_define_classes(engine, dangling, &error));
    CHECK(results == UNTOUCHED(sexton_results));
    close_engine(engine);
}

TEST("an impossible length is INVALID and not read") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_results *results = UNTOUCHED(sexton_results);
    sexton_registration object = make_registration("files", "a");
    sexton_id id = {{0}};
    const sexton_bytes endless = {(const uint8_t *)"a", SIZE_MAX};
    CHECK_INVALID(sexton_find(engine, endless, bytes(""), &id, &error));
    object.key = endless;
    CHECK_INVALID(sexton_register(engine, &object, 1, 0, &results, &error));
    CHECK_INVALID(sexton_register(engine, &object, SIZE_MAX, 0, &results, &error));
    CHECK(results == UNTOUCHED(sexton_results));
    close_engine(engine);
}

TEST("verify and id functions refuse NULL input and output") {
    sexton_text *text = UNTOUCHED(sexton_text);
    sexton_verdict *verdict = UNTOUCHED(sexton_verdict);
    sexton_id id = {{7}};
    const sexton_bytes dangling = {NULL, 3}, policy = bytes("log x\n");
    CHECK_INVALID(sexton_id_format(NULL, &text, &error));
    CHECK_INVALID(sexton_id_format(&id, NULL, &error));
    CHECK_INVALID(sexton_id_parse(bytes("00"), NULL, &error));
    CHECK_INVALID(sexton_id_parse(dangling, &id, &error));
    CHECK_INVALID(sexton_verify(bytes("x"), policy, 0, NULL, &error));
    CHECK_INVALID(sexton_verify(dangling, policy, 0, &verdict, &error));
    CHECK_INVALID(sexton_verify(bytes("x"), dangling, 0, &verdict, &error));
    CHECK(text == UNTOUCHED(sexton_text) && verdict == UNTOUCHED(sexton_verdict));
    CHECK_INT(7, id.bytes[0]);
}

TEST("a call neither frees nor reuses the error it is given") {
    sexton_options *options = sexton_options_new();
    sexton_error *first = NULL;
    CHECK_INT(SEXTON_INVALID, sexton_options_set(options, bytes("x"), bytes("y"), &first));
    sexton_error *second = first;
    CHECK_INT(SEXTON_INVALID, sexton_options_set(options, bytes("z"), bytes("y"), &second));
    CHECK(second != NULL && second != first);
    CHECK(sexton_error_message(first).len > 0);
    /* A call that succeeds does not write the error. */
    sexton_error *kept = second;
    CHECK_INT(SEXTON_OK, sexton_options_set(options, bytes("threads"), bytes("0"), &kept));
    CHECK(kept == second);
    sexton_error_free(first);
    sexton_error_free(second);
    sexton_options_free(options);
}
