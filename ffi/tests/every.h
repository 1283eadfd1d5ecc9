/* Every function that takes an engine, for what holds of all of them: of an engine that was closed, of one in a forked
 * child, of one in which a panic was caught, of none at all. */
#ifndef EVERY_H
#define EVERY_H

#include "site.h"

/* What no call may have written to. */
static char untouched;
#define UNTOUCHED(type) ((type *)(void *)&untouched)

#define REFUSES(call)                                                                              \
    CHECK_STATUS(expected, call, error);                                                           \
    CHECK(results == UNTOUCHED(sexton_results) && batch == UNTOUCHED(sexton_batch));               \
    CHECK(text == UNTOUCHED(sexton_text));                                                         \
    CHECK(ms == 77 && number == 77 && taken == 77 && is_same_id(id, zero_id))

static inline int32_t every_forecast(void *user, const sexton_forecast *forecast) {
    (void)user, (void)forecast;
    FAIL("a plan is shown");
}

static inline void every_object_call(sexton_engine *engine, int32_t expected) {
    sexton_results *results = UNTOUCHED(sexton_results);
    sexton_batch *batch = UNTOUCHED(sexton_batch);
    sexton_text *text = UNTOUCHED(sexton_text);
    sexton_error *error = NULL;
    sexton_id id = {{0}}, zero_id = {{0}};
    int64_t ms = 77;
    int number = 77;
    size_t taken = 77;
    sexton_registration object = registration("files", "a");
    sexton_change change = {SEXTON_RELEASE, bytes("a"), {{0}}, {NULL, 0}, SEXTON_UNKNOWN_MS};
    sexton_batch_id batch_id = {1, 1, 0, 1};
    sexton_answer answer = {0, SEXTON_ANSWER_DELETED, {NULL, 0}};

    REFUSES(sexton_now_ms(engine, &ms, &error));
    REFUSES(sexton_define_classes(engine, bytes(site_classes), &error));
    REFUSES(sexton_classes(engine, &text, &error));
    REFUSES(sexton_register(engine, &object, 1, 0, &results, &error));
    REFUSES(sexton_change_all(engine, &change, 1, 0, &results, &error));
    REFUSES(sexton_sync(engine, &error));
    REFUSES(sexton_find(engine, bytes("a"), &id, &error));
    REFUSES(sexton_submit_register(engine, 7, &object, 1, 0, &error));
    REFUSES(sexton_submit_change(engine, 7, &change, 1, 0, &error));
    REFUSES(sexton_next_completion(engine, &results, &error));
    REFUSES(sexton_event_fd(engine, &number, &error));
    REFUSES(sexton_next_batch(engine, &batch, &error));
    REFUSES(sexton_complete(engine, &batch_id, &answer, 1, &taken, &error));
    REFUSES(sexton_run(engine, 1, &ms, &error));
    REFUSES(sexton_reclaim(engine, &error));
    REFUSES(sexton_delete_again(engine, &object, 1, 0, &results, &error));
    REFUSES(sexton_screen(engine, bytes("a"), &text, &error));
    REFUSES(sexton_receipt(engine, &id, SEXTON_OPENER_KEY, bytes("a"), &text, &error));
}

static inline void every_decision(sexton_engine *engine, int32_t expected) {
    sexton_results *results = UNTOUCHED(sexton_results);
    sexton_batch *batch = UNTOUCHED(sexton_batch);
    sexton_text *text = UNTOUCHED(sexton_text);
    sexton_error *error = NULL;
    sexton_id id = {{0}}, zero_id = {{0}};
    int64_t ms = 77;
    int number = 77;
    size_t taken = 77;
    int32_t state = 77;
    sexton_counters of = {0};
    const sexton_bytes why = bytes("why"), who = bytes("who"), a = bytes("a");
    sexton_selector key = {SEXTON_SELECT_KEYS, &a, 1};
    sexton_selector class_files = {SEXTON_SELECT_CLASS, NULL, 0};
    const sexton_bytes files = bytes("files");
    class_files.items = &files;
    class_files.len = 1;
    sexton_hold hold = {bytes("case 7"), key, SEXTON_HOLD_TEMPORARY, why, who, now_ms() + DAY_MS};
    sexton_erasure erasure = {key, SEXTON_UNKNOWN_MS, bytes("30d"), {NULL, 0}, 0, why, who};
    const sexton_bytes alarm = bytes("00112233445566778899aabbccddeeff");

    REFUSES(sexton_place_hold(engine, &hold, &text, &error));
    REFUSES(sexton_lift_hold(engine, hold.name, why, who, 0, &text, &error));
    REFUSES(sexton_holds(engine, &text, &error));
    REFUSES(sexton_erase(engine, &erasure, &text, &error));
    REFUSES(sexton_cancel_erasure(engine, 1, &text, &error));
    REFUSES(sexton_requests(engine, &text, &error));
    REFUSES(sexton_erasure_items(engine, 1, &text, &error));
    REFUSES(sexton_forget_request(engine, 1, &error));
    REFUSES(sexton_close_down(engine, &class_files, why, who, &text, &error));
    REFUSES(sexton_apply_class(engine, files, why, who, &text, &error));
    REFUSES(sexton_resume(engine, alarm, why, who, &text, &error));
    REFUSES(sexton_state(engine, &state, &error));
    REFUSES(sexton_status(engine, &text, &error));
    REFUSES(sexton_class_counters(engine, files, &of, &error));
    REFUSES(sexton_next_due_ms(engine, &ms, &error));
    REFUSES(sexton_plan(engine, now_ms() + DAY_MS, every_forecast, NULL, &error));
    REFUSES(sexton_feed(engine, 0, 10, &text, &error));
    REFUSES(sexton_acknowledge_feed(engine, 0, &error));
    REFUSES(sexton_check(engine, &text, &error));
    REFUSES(sexton_publish(engine, &error));
    REFUSES(sexton_policy(engine, &text, &error));
    CHECK(state == 77 && of.registered == 0);
}

/* All but `sexton_close` and `sexton_engine_free`. Each writes nothing but its error. */
static inline void check_every_call(sexton_engine *engine, int32_t expected) {
    every_object_call(engine, expected);
    every_decision(engine, expected);
}

#endif
