/* Decisions of an operator: holds, erasures, closing down, applied classes, resuming after an alarm. */

#include "fixture.h"

/* Result of the last call in SUCCEEDS(), or NULL. */
static sexton_text *text;
static sexton_error *error;

/* Checks that a call succeeds and gives a text, which stays in `text`. */
#define SUCCEEDS(call)                                                                             \
    do {                                                                                           \
        sexton_text_free(text);                                                                    \
        text = NULL;                                                                               \
        CHECK_OK(call, error);                                                                     \
        CHECK(text != NULL && sexton_text_bytes(text).len > 0);                                    \
    } while (0)

/* Checks that a call fails with this status and gives no text. */
#define FAILS(status, call)                                                                        \
    do {                                                                                           \
        sexton_text_free(text);                                                                    \
        text = NULL;                                                                               \
        CHECK_STATUS(status, call, error);                                                         \
        CHECK(text == NULL);                                                                       \
    } while (0)

static void check_and_close(sexton_engine *engine) {
    check_sound(engine);
    sexton_text_free(text);
    text = NULL;
    close_engine(engine);
}

/* Places a hold with one selector item, or on everything. */
static void place_hold(sexton_engine *engine, const char *name, int32_t kind, int32_t select,
                       const char *selected) {
    const sexton_bytes item = bytes(selected);
    sexton_hold hold = make_hold(name, select, &item);
    hold.selector.len = select == SEXTON_SELECT_EVERYTHING ? 0 : 1;
    hold.kind = kind;
    hold.review_ms = now_ms() + 30 * DAY_MS;
    SUCCEEDS(sexton_place_hold(engine, &hold, &text, &error));
}

static void lift_hold(sexton_engine *engine, const char *name, int64_t grace_ms) {
    SUCCEEDS(sexton_lift_hold(engine, bytes(name), bytes("case closed"), bytes("Ada"), grace_ms,
                              &text, &error));
}

static sexton_id register_for_subject(sexton_engine *engine, const char *key, const char *subject) {
    sexton_registration object = make_registration("files", key);
    object.subject = bytes(subject);
    return register_with(engine, &object, 0).id;
}

TEST("a hold keeps what each selector covers until it is lifted") {
    static const struct {
        int32_t select;
        const char *selected;
        size_t kept;
    } cases[] = {{SEXTON_SELECT_KEYS, "a/1", 1},
                 {SEXTON_SELECT_PREFIX, "a/", 2},
                 {SEXTON_SELECT_SUBJECT, "anna", 2},
                 {SEXTON_SELECT_CLASS, "files", 3},
                 {SEXTON_SELECT_EVERYTHING, "", 3}};
    sexton_engine *engine = open_engine(NULL, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        register_for_subject(engine, "a/1", "anna");
        register_for_subject(engine, "a/2", "ben");
        register_for_subject(engine, "b/1", "anna");
        place_hold(engine, "case 7", SEXTON_HOLD_TEMPORARY, cases[i].select, cases[i].selected);
        CHECK(json_contains(text, "\"too_late\":[]"));
        const sexton_bytes selected = bytes(cases[i].selected);
        const bool all = cases[i].select == SEXTON_SELECT_EVERYTHING;
        const sexton_selector covered = {cases[i].select, &selected, all ? 0 : 1};
        uint64_t live = 0;
        CHECK_OK(sexton_count_live(engine, &covered, &live, &error), error);
        CHECK_INT(cases[i].kept, live);
        advance_ms(2 * SECOND_MS);
        CHECK_INT(3 - cases[i].kept, delete_due(engine));
        CHECK_INT(cases[i].kept, class_counters(engine, "files").held);
        lift_hold(engine, "case 7", 0);
        advance_ms(2 * DAY_MS);
        CHECK_INT(cases[i].kept, delete_due(engine));
    }
    SUCCEEDS(sexton_holds(engine, &text, &error));
    CHECK(json_contains(text, "case 7") && json_contains(text, "case closed"));
    check_and_close(engine);
}

TEST("a new hold lists objects already handed out as too_late") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_id id = register_object(engine, "files", "a");
    sexton_text *hex = NULL;
    char expected[80];
    sexton_batch *batch = take_due_batch(engine, 1);
    place_hold(engine, "case 7", SEXTON_HOLD_TEMPORARY, SEXTON_SELECT_KEYS, "a");
    CHECK_OK(sexton_id_format(&id, &hex, &error), error);
    snprintf(expected, sizeof expected, "\"too_late\":[\"%.*s\"]", (int)sexton_text_bytes(hex).len,
             (const char *)sexton_text_bytes(hex).data);
    CHECK(json_contains(text, expected));
    sexton_text_free(hex);
    answer_all(engine, batch, SEXTON_ANSWER_DELETED);
    sexton_batch_free(batch);
    run_until_idle(engine);
    check_and_close(engine);
}

TEST("an object held past its ceiling ends as AFTER_HOLD") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_id id = register_object(engine, "files", "a");
    place_hold(engine, "case 7", SEXTON_HOLD_TEMPORARY, SEXTON_SELECT_KEYS, "a");
    advance_ms(3 * DAY_MS);
    CHECK_INT(0, delete_due(engine));
    lift_hold(engine, "case 7", DAY_MS);
    CHECK_INT(0, delete_due(engine));
    advance_ms(DAY_MS + MINUTE_MS);
    CHECK_INT(1, delete_due(engine));
    check_ended(engine, id, "a", SEXTON_COMPLIANCE_AFTER_HOLD, "deleted");
    sexton_text *proof = get_receipt(engine, id, "a");
    sexton_verdict *verdict = verify_receipt(engine, proof);
    CHECK_INT(3 * DAY_MS + MINUTE_MS, sexton_verdict_by_ms(verdict));
    sexton_verdict_free(verdict);
    sexton_text_free(proof);
    CHECK_INT(1, class_counters(engine, "files").late_after_hold);
    check_and_close(engine);
}

TEST("lifting an event hold restarts the clock of its objects") {
    sexton_engine *engine = open_engine(NULL, 0);
    register_object(engine, "files", "a");
    place_hold(engine, "case 7", SEXTON_HOLD_EVENT, SEXTON_SELECT_KEYS, "a");
    advance_ms(3 * DAY_MS);
    CHECK_INT(0, delete_due(engine));
    lift_hold(engine, "case 7", 0);
    advance_ms(2 * SECOND_MS);
    CHECK_INT(1, delete_due(engine));
    CHECK_INT(0, class_counters(engine, "files").late +
                     class_counters(engine, "files").late_after_hold);
    check_and_close(engine);
}

TEST("a hold with a missing or invalid field is INVALID") {
    sexton_engine *engine = open_engine(NULL, 0);
    const sexton_bytes a = bytes("a"), none = {NULL, 0}, unknown_class = bytes("no such class");
    const sexton_hold good = make_hold("x", SEXTON_SELECT_KEYS, &a);
    sexton_hold wrong[10];
    for (size_t i = 0; i < 10; i++) {
        wrong[i] = good;
    }
    wrong[0].name = none;
    wrong[1].reason = none;
    wrong[2].author = none;
    wrong[3].review_ms = now_ms() - 1;
    wrong[4].kind = 3;
    wrong[5].selector.kind = 0;
    wrong[6].selector.len = 0;
    wrong[7].selector.values = NULL;
    wrong[8].selector.values = &none;
    wrong[9].selector = (sexton_selector){SEXTON_SELECT_CLASS, &unknown_class, 1};
    for (size_t i = 0; i < 10; i++) {
        FAILS(SEXTON_INVALID, sexton_place_hold(engine, &wrong[i], &text, &error));
    }
    SUCCEEDS(sexton_place_hold(engine, &good, &text, &error));
    FAILS(SEXTON_INVALID, sexton_place_hold(engine, &good, &text, &error));
    FAILS(SEXTON_INVALID, sexton_lift_hold(engine, good.name, none, a, 0, &text, &error));
    FAILS(SEXTON_INVALID, sexton_lift_hold(engine, good.name, a, a, -1, &text, &error));
    FAILS(SEXTON_NOT_FOUND, sexton_lift_hold(engine, bytes("y"), a, a, 0, &text, &error));
    check_and_close(engine);
}

/* Requests the erasure of a subject. Returns the number of the request. */
static uint32_t erase_subject(sexton_engine *engine, const char *subject, int64_t cancellable_ms) {
    const sexton_bytes item = bytes(subject);
    sexton_erasure erasure = {{SEXTON_SELECT_SUBJECT, &item, 1},
                              false,
                              0,
                              bytes("30d"),
                              {NULL, 0},
                              cancellable_ms,
                              bytes("account closed"),
                              bytes("Ada")};
    SUCCEEDS(sexton_erase(engine, &erasure, &text, &error));
    return (uint32_t)json_number(text, "number");
}

TEST("an erasure deletes its objects early, then is forgotten") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_registration upload = make_registration("upload-3h", "u");
    upload.subject = bytes("anna");
    register_with(engine, &upload, 0);
    register_for_subject(engine, "b", "ben");
    uint32_t number = erase_subject(engine, "anna", 0);
    run_until_idle(engine);
    SUCCEEDS(sexton_requests(engine, &text, &error));
    CHECK(json_contains(text, "account closed"));
    FAILS(SEXTON_INVALID, sexton_forget_request(engine, number, &error));
    CHECK_INT(1, delete_due(engine));
    SUCCEEDS(sexton_erasure_objects(engine, number, &text, &error));
    CHECK(json_contains(text, "\"deleted\""));
    CHECK_INT(1, class_counters(engine, "upload-3h").deleted);
    CHECK_INT(1, class_counters(engine, "files").live);
    SUCCEEDS(sexton_requests(engine, &text, &error));
    CHECK_OK(sexton_forget_request(engine, number, &error), error);
    FAILS(SEXTON_NOT_FOUND, sexton_erasure_objects(engine, number, &text, &error));
    FAILS(SEXTON_NOT_FOUND, sexton_forget_request(engine, number, &error));
    check_and_close(engine);
}

TEST("an erasure can be cancelled in time; bad ones are refused") {
    sexton_engine *engine = open_engine(NULL, 0);
    register_for_subject(engine, "a", "anna");
    uint32_t number = erase_subject(engine, "anna", HOUR_MS);
    SUCCEEDS(sexton_cancel_erasure(engine, number, &text, &error));
    CHECK(json_contains(text, "\"cancelled\""));
    const sexton_bytes unknown = bytes("unknown"), prefix = bytes("a");
    sexton_erasure erasure = {{SEXTON_SELECT_SUBJECT, &unknown, 1},
                              false,
                              0,
                              {NULL, 0},
                              {NULL, 0},
                              0,
                              bytes("r"),
                              bytes("w")};
    FAILS(SEXTON_NOT_FOUND, sexton_erase(engine, &erasure, &text, &error));
    erasure.selector = (sexton_selector){SEXTON_SELECT_PREFIX, &prefix, 1};
    FAILS(SEXTON_INVALID, sexton_erase(engine, &erasure, &text, &error));
    erasure.selector = (sexton_selector){SEXTON_SELECT_KEYS, &prefix, 1};
    erasure.within = bytes("soon");
    FAILS(SEXTON_INVALID, sexton_erase(engine, &erasure, &text, &error));
    erasure.within = bytes("15wd");
    erasure.has_received = true;
    erasure.received_ms = 0;
    FAILS(SEXTON_INVALID, sexton_erase(engine, &erasure, &text, &error));
    erasure.received_ms = now_ms() + 1;
    FAILS(SEXTON_INVALID, sexton_erase(engine, &erasure, &text, &error));
    erasure.received_ms = now_ms() - DAY_MS;
    erasure.holidays = bytes("the first of May");
    FAILS(SEXTON_INVALID, sexton_erase(engine, &erasure, &text, &error));
    erasure.holidays = bytes("");
    SUCCEEDS(sexton_erase(engine, &erasure, &text, &error));
    int64_t without_holidays_ms = json_number(text, "answer_by_ms");
    erasure.holidays = bytes("2026-01-05\n2026-01-06 # the day after\n");
    SUCCEEDS(sexton_erase(engine, &erasure, &text, &error));
    CHECK_INT(2 * DAY_MS, json_number(text, "answer_by_ms") - without_holidays_ms);
    check_and_close(engine);
}

TEST("a closed class refuses objects and deletes its live ones") {
    sexton_engine *engine = open_engine(NULL, 0);
    const sexton_bytes uploads = bytes("upload-3h"), key = bytes("a");
    const sexton_selector by_class = {SEXTON_SELECT_CLASS, &uploads, 1};
    const sexton_selector by_key = {SEXTON_SELECT_KEYS, &key, 1};
    register_object(engine, "upload-3h", "a");
    FAILS(SEXTON_INVALID, sexton_close_down(engine, &by_key, key, key, &text, &error));
    SUCCEEDS(
        sexton_close_down(engine, &by_class, bytes("shop closed"), bytes("Ada"), &text, &error));
    CHECK(json_contains(text, "shop closed"));
    CHECK(class_counters(engine, "upload-3h").closed && !class_counters(engine, "files").closed);
    CHECK_INT(SEXTON_INVALID, try_to_register_key(engine, "upload-3h", "b"));
    delete_due(engine);
    advance_ms(2 * MINUTE_MS);
    delete_due(engine);
    CHECK_INT(0, class_counters(engine, "upload-3h").live);
    check_and_close(engine);
}

TEST("apply_class moves live objects to the new class version") {
    sexton_engine *engine = open_engine(NULL, 0);
    const char later[] = "[class.files]\nkeep = \"5s\"\nwithin = \"1d\"\nstart = \"explicit\"\n";
    register_object(engine, "files", "a");
    CHECK_OK(sexton_define_classes(engine, bytes(later), &error), error);
    SUCCEEDS(sexton_apply_class(engine, bytes("files"), bytes("new policy"), bytes("Ada"), &text,
                                &error));
    FAILS(SEXTON_INVALID, sexton_apply_class(engine, bytes("no such class"), bytes("r"), bytes("w"),
                                             &text, &error));
    run_until_idle(engine);
    advance_ms(3 * SECOND_MS);
    CHECK_INT(0, delete_due(engine));
    advance_ms(3 * SECOND_MS);
    CHECK_INT(1, delete_due(engine));
    check_and_close(engine);
}

/* Copies the id of the only alarm to `alarm`, and leaves the status in `text`. */
static void read_alarm(const sexton_engine *engine, char alarm[64]) {
    SUCCEEDS(sexton_status(engine, &text, &error));
    const char *alarms = json_find(text, "alarms");
    CHECK(alarms != NULL);
    const char *id = strstr(alarms, "\"id\":\"");
    CHECK(id != NULL && sscanf(id, "\"id\":\"%32[0-9a-f]\"", alarm) == 1);
}

TEST("too many objects at short notice stop deleting until resume") {
    sexton_options *options = test_options();
    set_option_uint(options, "breaker_objects", 5);
    sexton_engine *engine = open_with_options(options);
    char key[16], alarm[64];
    for (size_t i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "%zu", i);
        sexton_registration object = make_registration("files", key);
        object.start_ms = now_ms() - HOUR_MS; /* overdue when it is registered */
        register_with(engine, &object, 0);
    }
    CHECK_INT(0, delete_due(engine));
    read_alarm(engine, alarm);
    CHECK(json_contains(text, "short notice"));
    const sexton_bytes reason = bytes("looked at the importer"), author = bytes("Ada"),
                       none = {NULL, 0};
    FAILS(SEXTON_INVALID, sexton_resume(engine, bytes(alarm), none, author, &text, &error));
    FAILS(SEXTON_NOT_FOUND, sexton_resume(engine, bytes("no hex"), reason, author, &text, &error));
    FAILS(SEXTON_NOT_FOUND, sexton_resume(engine, bytes("00000000000000000000000000000000"), reason,
                                          author, &text, &error));
    SUCCEEDS(sexton_resume(engine, bytes(alarm), reason, author, &text, &error));
    CHECK(json_contains(text, alarm));
    CHECK_INT(20, delete_due(engine));
    check_and_close(engine);
    sexton_options_free(options);
}

TEST("a clock that steps ahead pauses deleting until resume") {
    sexton_engine *engine = open_engine(NULL, 0);
    int32_t state = 0;
    register_object(engine, "files", "a");
    CHECK_INT(0, delete_due(engine));
    wall_clock_ms += 365 * DAY_MS;
    CHECK_INT(0, delete_due(engine));
    CHECK_OK(sexton_state(engine, &state, &error), error);
    CHECK_INT(SEXTON_STATE_PAUSED, state);
    char alarm[64];
    read_alarm(engine, alarm);
    CHECK(json_contains(text, "\"state\":\"paused\"") &&
          json_contains(text, "\"clock\":\"ahead\""));
    SUCCEEDS(
        sexton_resume(engine, bytes(alarm), bytes("it is right"), bytes("Ada"), &text, &error));
    CHECK_INT(1, delete_due(engine));
    CHECK_OK(sexton_state(engine, &state, &error), error);
    CHECK_INT(SEXTON_STATE_RUNNING, state);
    check_and_close(engine);
}
