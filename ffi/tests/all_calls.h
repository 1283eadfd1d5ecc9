/* Calls every function that takes an engine, to check what holds for all of them: on a closed engine, in a forked
 * child, after a caught panic, and on NULL. */
#ifndef ALL_CALLS_H
#define ALL_CALLS_H

#include "fixture.h"

/* Places for results. A refused call must leave each at its initial value. */
typedef struct outputs {
    sexton_results *results;
    sexton_batch *batch;
    sexton_text *text;
    sexton_id id;
    int64_t ms;
    int number;
    size_t taken;
    int32_t state;
    uint64_t live;
    uint32_t http_status;
    sexton_counters counters;
} outputs;

static inline outputs initial_outputs(void) {
    outputs initial = {0};
    initial.results = UNTOUCHED(sexton_results);
    initial.batch = UNTOUCHED(sexton_batch);
    initial.text = UNTOUCHED(sexton_text);
    initial.ms = initial.number = initial.state = 77;
    initial.taken = 77;
    initial.live = 77;
    initial.http_status = 77;
    return initial;
}

static inline int is_initial(const outputs *out) {
    const sexton_id zero_id = {{0}};
    return out->results == UNTOUCHED(sexton_results) && out->batch == UNTOUCHED(sexton_batch) &&
           out->text == UNTOUCHED(sexton_text) && ids_equal(out->id, zero_id) && out->ms == 77 &&
           out->number == 77 && out->taken == 77 && out->state == 77 &&
           out->live == 77 && out->http_status == 77 && out->counters.registered == 0;
}

/* Expects status `expected`, and results that are still in their initial state. */
#define CHECK_REFUSED(call)                                                                        \
    do {                                                                                           \
        CHECK_STATUS(expected, call, error);                                                       \
        CHECK(is_initial(&out));                                                                   \
    } while (0)

static inline int32_t fail_on_planned(void *user, const sexton_planned_object *planned) {
    (void)user, (void)planned;
    FAIL("sexton_plan called its visitor");
}

/* Functions about objects and batches. */
static inline void check_object_calls(sexton_engine *engine, int32_t expected) {
    outputs out = initial_outputs();
    sexton_error *error = NULL;
    sexton_registration object = make_registration("files", "a");
    sexton_object_change change = SEXTON_OBJECT_CHANGE_INIT;
    change.kind = SEXTON_RELEASE;
    change.key = bytes("a");
    sexton_batch_id batch_id = {1, 1, 0, 1};
    sexton_answer answer = {0, SEXTON_ANSWER_DELETED, {NULL, 0}};

    CHECK_REFUSED(sexton_now_ms(engine, &out.ms, &error));
    CHECK_REFUSED(sexton_define_classes(engine, bytes(test_classes), &error));
    CHECK_REFUSED(sexton_classes(engine, &out.text, &error));
    CHECK_REFUSED(sexton_register(engine, &object, 1, 0, &out.results, &error));
    CHECK_REFUSED(sexton_change(engine, &change, 1, 0, &out.results, &error));
    CHECK_REFUSED(sexton_sync(engine, &error));
    CHECK_REFUSED(sexton_find(engine, bytes("a"), bytes(""), &out.id, &error));
    CHECK_REFUSED(sexton_submit_register(engine, 7, &object, 1, 0, &error));
    CHECK_REFUSED(sexton_submit_change(engine, 7, &change, 1, 0, &error));
    CHECK_REFUSED(sexton_next_completion(engine, &out.results, &error));
    CHECK_REFUSED(sexton_event_fd(engine, &out.number, &error));
    CHECK_REFUSED(sexton_next_batch(engine, &out.batch, &error));
    CHECK_REFUSED(sexton_answer_objects(engine, &batch_id, &answer, 1, &out.taken, &error));
    CHECK_REFUSED(sexton_run(engine, 1, &out.ms, &error));
    CHECK_REFUSED(sexton_reclaim(engine, &error));
    CHECK_REFUSED(sexton_delete_again(engine, &object, 1, 0, &out.results, &error));
    CHECK_REFUSED(sexton_ended(engine, bytes("a"), &out.text, &error));
    CHECK_REFUSED(
        sexton_receipt(engine, &out.id, SEXTON_OPENER_KEY, bytes("a"), &out.text, &error));
}

/* Functions by which an operator governs and inspects an engine. */
static inline void check_operator_calls(sexton_engine *engine, int32_t expected) {
    outputs out = initial_outputs();
    sexton_error *error = NULL;
    const sexton_bytes reason = bytes("reason"), author = bytes("author");
    const sexton_bytes key = bytes("a"), files = bytes("files");
    const sexton_selector by_key = {SEXTON_SELECT_KEYS, &key, 1};
    const sexton_selector by_class = {SEXTON_SELECT_CLASS, &files, 1};
    const sexton_hold hold = make_hold("case 7", SEXTON_SELECT_KEYS, &key);
    sexton_erasure erasure = {by_key, false, 0, bytes("30d"), {NULL, 0}, 0, reason,
                              author};
    const sexton_bytes alarm = bytes("00112233445566778899aabbccddeeff");
    sexton_api_request request = SEXTON_API_REQUEST_INIT;
    request.method = bytes("GET");
    request.target = bytes("/v1/time");

    CHECK_REFUSED(sexton_place_hold(engine, &hold, &out.text, &error));
    CHECK_REFUSED(sexton_lift_hold(engine, hold.name, reason, author, 0, &out.text, &error));
    CHECK_REFUSED(sexton_holds(engine, &out.text, &error));
    CHECK_REFUSED(sexton_count_live(engine, &by_key, &out.live, &error));
    CHECK_REFUSED(sexton_erase(engine, &erasure, &out.text, &error));
    CHECK_REFUSED(sexton_cancel_erasure(engine, 1, &out.text, &error));
    CHECK_REFUSED(sexton_requests(engine, &out.text, &error));
    CHECK_REFUSED(sexton_erasure_objects(engine, 1, &out.text, &error));
    CHECK_REFUSED(sexton_forget_request(engine, 1, &error));
    CHECK_REFUSED(sexton_close_down(engine, &by_class, reason, author, &out.text, &error));
    CHECK_REFUSED(sexton_apply_class(engine, files, reason, author, &out.text, &error));
    CHECK_REFUSED(sexton_resume(engine, alarm, reason, author, &out.text, &error));
    CHECK_REFUSED(sexton_state(engine, &out.state, &error));
    CHECK_REFUSED(sexton_status(engine, &out.text, &error));
    CHECK_REFUSED(sexton_class_counters(engine, files, &out.counters, &error));
    CHECK_REFUSED(sexton_next_due_ms(engine, &out.ms, &error));
    CHECK_REFUSED(sexton_plan(engine, now_ms() + DAY_MS, fail_on_planned, NULL, &error));
    CHECK_REFUSED(sexton_feed(engine, 0, 10, &out.text, &error));
    CHECK_REFUSED(sexton_acknowledge_feed(engine, 0, &error));
    CHECK_REFUSED(sexton_check(engine, &out.text, &error));
    CHECK_REFUSED(sexton_publish(engine, &error));
    CHECK_REFUSED(sexton_policy(engine, &out.text, &error));
    CHECK_REFUSED(sexton_api(engine, &request, &out.http_status, &out.text, &error));
    CHECK_REFUSED(sexton_set_control_socket(engine, bytes("/nowhere/control.sock"), &error));
}

/* Checks that every function but sexton_close and sexton_engine_free returns `expected` and writes only its error. */
static inline void check_all_calls(sexton_engine *engine, int32_t expected) {
    check_object_calls(engine, expected);
    check_operator_calls(engine, expected);
}

#endif
