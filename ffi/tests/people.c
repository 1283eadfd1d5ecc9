/* What people decide: holds, erasures, closing down, applied classes, resuming after an alarm. */

#include "site.h"

static sexton_text *text;
static sexton_error *error;

/* Checks the status of a call that gives a text, and leaves the text in `text`. */
#define GIVES(call)                                                                                \
    sexton_text_free(text);                                                                        \
    text = NULL;                                                                                   \
    CHECK_OK(call, error);                                                                         \
    CHECK(text != NULL && sexton_text_bytes(text).len > 0)

#define REFUSES(status, call)                                                                      \
    sexton_text_free(text);                                                                        \
    text = NULL;                                                                                   \
    CHECK_STATUS(status, call, error);                                                             \
    CHECK(text == NULL)

static void close_all(sexton_engine *engine) {
    check_sound(engine);
    sexton_text_free(text);
    text = NULL;
    close_site(engine);
}

/* Places a hold on what one text selects. */
static void place(sexton_engine *engine, const char *name, int32_t kind, int32_t by, const char *what) {
    const sexton_bytes one = bytes(what);
    sexton_hold hold = {bytes(name),
                        {by, &one, by == SEXTON_SELECT_EVERYTHING ? 0 : 1},
                        kind,
                        bytes("court order"),
                        bytes("Ada"),
                        now_ms() + 30 * DAY_MS};
    GIVES(sexton_place_hold(engine, &hold, &text, &error));
}

static void lift(sexton_engine *engine, const char *name, int64_t grace_ms) {
    GIVES(sexton_lift_hold(engine, bytes(name), bytes("case closed"), bytes("Ada"), grace_ms, &text,
                           &error));
}

static sexton_id put_of(sexton_engine *engine, const char *key, const char *subject) {
    sexton_registration one = registration("files", key);
    sexton_results *results = NULL;
    size_t len;
    one.subject = bytes(subject);
    CHECK_OK(sexton_register(engine, &one, 1, 0, &results, &error), error);
    sexton_id id = sexton_results_registered(results, &len)->id;
    sexton_results_free(results);
    return id;
}

TEST("a hold keeps what it selects, by key, prefix, subject, class or everything, until it is lifted") {
    static const struct {
        int32_t by;
        const char *what;
        size_t kept;
    } all[] = {{SEXTON_SELECT_KEYS, "a/1", 1},
               {SEXTON_SELECT_PREFIX, "a/", 2},
               {SEXTON_SELECT_SUBJECT, "anna", 2},
               {SEXTON_SELECT_CLASS, "files", 3},
               {SEXTON_SELECT_EVERYTHING, "", 3}};
    sexton_engine *engine = open_site(NULL, 0);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        put_of(engine, "a/1", "anna");
        put_of(engine, "a/2", "ben");
        put_of(engine, "b/1", "anna");
        place(engine, "case 7", SEXTON_HOLD_TEMPORARY, all[i].by, all[i].what);
        CHECK(json_has(text, "\"too_late\":[]"));
        pass_ms(2 * SECOND_MS);
        CHECK_INT(3 - all[i].kept, delete_due(engine));
        CHECK_INT(all[i].kept, counters(engine, "files").held);
        lift(engine, "case 7", 0);
        pass_ms(2 * DAY_MS);
        CHECK_INT(all[i].kept, delete_due(engine));
    }
    GIVES(sexton_holds(engine, &text, &error));
    CHECK(json_has(text, "case 7") && json_has(text, "case closed"));
    close_all(engine);
}

TEST("a hold that comes too late says which objects are on their way already") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_id id = put(engine, "files", "a");
    sexton_text *hex = NULL;
    char expected[80];
    pass_ms(2 * SECOND_MS);
    settle(engine);
    sexton_batch *batch = take(engine, 1);
    place(engine, "case 7", SEXTON_HOLD_TEMPORARY, SEXTON_SELECT_KEYS, "a");
    CHECK_OK(sexton_id_format(&id, &hex, &error), error);
    snprintf(expected, sizeof expected, "\"too_late\":[\"%.*s\"]", (int)sexton_text_bytes(hex).len,
             (const char *)sexton_text_bytes(hex).data);
    CHECK(json_has(text, expected));
    sexton_text_free(hex);
    answer_all(engine, batch, SEXTON_ANSWER_DELETED);
    sexton_batch_free(batch);
    settle(engine);
    close_all(engine);
}

TEST("an object that a hold had kept past its ceiling went after the hold, and the receipt says so") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_id id = put(engine, "files", "a");
    place(engine, "case 7", SEXTON_HOLD_TEMPORARY, SEXTON_SELECT_KEYS, "a");
    pass_ms(3 * DAY_MS);
    CHECK_INT(0, delete_due(engine));
    lift(engine, "case 7", DAY_MS);
    CHECK_INT(0, delete_due(engine));
    pass_ms(DAY_MS + MINUTE_MS);
    CHECK_INT(1, delete_due(engine));
    check_ended(engine, id, "a", SEXTON_OUTCOME_AFTER_HOLD, "deleted");
    sexton_text *one = receipt(engine, id, "a");
    sexton_verdict *verdict = verdict_of(engine, one);
    CHECK_INT(3 * DAY_MS + MINUTE_MS, sexton_verdict_by_ms(verdict));
    sexton_verdict_free(verdict);
    sexton_text_free(one);
    CHECK_INT(1, counters(engine, "files").late_after_hold);
    close_all(engine);
}

TEST("an event hold restarts the clock of what it covered when it is lifted") {
    sexton_engine *engine = open_site(NULL, 0);
    put(engine, "files", "a");
    place(engine, "case 7", SEXTON_HOLD_EVENT, SEXTON_SELECT_KEYS, "a");
    pass_ms(3 * DAY_MS);
    CHECK_INT(0, delete_due(engine));
    lift(engine, "case 7", 0);
    pass_ms(2 * SECOND_MS);
    CHECK_INT(1, delete_due(engine));
    CHECK_INT(0, counters(engine, "files").late + counters(engine, "files").late_after_hold);
    close_all(engine);
}

TEST("a hold without name, reason, author, object or future is refused") {
    sexton_engine *engine = open_site(NULL, 0);
    const sexton_bytes a = bytes("a"), none = {NULL, 0}, nowhere = bytes("no such class");
    const sexton_hold good = {bytes("x"), {SEXTON_SELECT_KEYS, &a, 1}, SEXTON_HOLD_TEMPORARY,
                              bytes("r"), bytes("w"), now_ms() + DAY_MS};
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
    wrong[7].selector.items = NULL;
    wrong[8].selector.items = &none;
    wrong[9].selector = (sexton_selector){SEXTON_SELECT_CLASS, &nowhere, 1};
    for (size_t i = 0; i < 10; i++) {
        REFUSES(SEXTON_INVALID, sexton_place_hold(engine, &wrong[i], &text, &error));
    }
    GIVES(sexton_place_hold(engine, &good, &text, &error));
    REFUSES(SEXTON_INVALID, sexton_place_hold(engine, &good, &text, &error));
    REFUSES(SEXTON_INVALID, sexton_lift_hold(engine, good.name, none, a, 0, &text, &error));
    REFUSES(SEXTON_INVALID, sexton_lift_hold(engine, good.name, a, a, -1, &text, &error));
    REFUSES(SEXTON_NOT_FOUND, sexton_lift_hold(engine, bytes("y"), a, a, 0, &text, &error));
    close_all(engine);
}

/* Asks for the erasure of a subject; its number. */
static uint32_t erase_subject(sexton_engine *engine, const char *subject, int64_t cancellable_ms) {
    const sexton_bytes one = bytes(subject);
    sexton_erasure erasure = {{SEXTON_SELECT_SUBJECT, &one, 1},
                              SEXTON_UNKNOWN_MS,
                              bytes("30d"),
                              {NULL, 0},
                              cancellable_ms,
                              bytes("account closed"),
                              bytes("Ada")};
    GIVES(sexton_erase(engine, &erasure, &text, &error));
    return (uint32_t)json_number(text, "number");
}

TEST("an erasure finds its objects, has them deleted before their time, and can then be forgotten") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_registration upload = registration("upload-3h", "u");
    sexton_results *results = NULL;
    upload.subject = bytes("anna");
    CHECK_OK(sexton_register(engine, &upload, 1, 0, &results, &error), error);
    sexton_results_free(results);
    put_of(engine, "b", "ben");
    uint32_t number = erase_subject(engine, "anna", 0);
    settle(engine);
    GIVES(sexton_requests(engine, &text, &error));
    CHECK(json_has(text, "account closed"));
    REFUSES(SEXTON_INVALID, sexton_forget_request(engine, number, &error));
    CHECK_INT(1, delete_due(engine));
    GIVES(sexton_erasure_items(engine, number, &text, &error));
    CHECK(json_has(text, "\"deleted\""));
    CHECK_INT(1, counters(engine, "upload-3h").deleted);
    CHECK_INT(1, counters(engine, "files").live);
    GIVES(sexton_requests(engine, &text, &error));
    CHECK_OK(sexton_forget_request(engine, number, &error), error);
    REFUSES(SEXTON_NOT_FOUND, sexton_erasure_items(engine, number, &text, &error));
    REFUSES(SEXTON_NOT_FOUND, sexton_forget_request(engine, number, &error));
    close_all(engine);
}

TEST("an erasure can be cancelled as long as it says, and not of what is not there") {
    sexton_engine *engine = open_site(NULL, 0);
    put_of(engine, "a", "anna");
    uint32_t number = erase_subject(engine, "anna", HOUR_MS);
    GIVES(sexton_cancel_erasure(engine, number, &text, &error));
    CHECK(json_has(text, "\"cancelled\""));
    const sexton_bytes nobody = bytes("nobody"), prefix = bytes("a");
    sexton_erasure erasure = {{SEXTON_SELECT_SUBJECT, &nobody, 1}, SEXTON_UNKNOWN_MS, {NULL, 0}, {NULL, 0}, 0,
                              bytes("r"), bytes("w")};
    REFUSES(SEXTON_NOT_FOUND, sexton_erase(engine, &erasure, &text, &error));
    erasure.selector = (sexton_selector){SEXTON_SELECT_PREFIX, &prefix, 1};
    REFUSES(SEXTON_INVALID, sexton_erase(engine, &erasure, &text, &error));
    erasure.selector = (sexton_selector){SEXTON_SELECT_KEYS, &prefix, 1};
    erasure.within = bytes("soon");
    REFUSES(SEXTON_INVALID, sexton_erase(engine, &erasure, &text, &error));
    erasure.within = bytes("15wd");
    erasure.received_ms = 0;
    REFUSES(SEXTON_INVALID, sexton_erase(engine, &erasure, &text, &error));
    erasure.received_ms = now_ms() + 1;
    REFUSES(SEXTON_INVALID, sexton_erase(engine, &erasure, &text, &error));
    erasure.received_ms = now_ms() - DAY_MS;
    erasure.holidays = bytes("the first of May");
    REFUSES(SEXTON_INVALID, sexton_erase(engine, &erasure, &text, &error));
    erasure.holidays = bytes("");
    GIVES(sexton_erase(engine, &erasure, &text, &error));
    int64_t without = json_number(text, "due_ms");
    erasure.holidays = bytes("2026-01-05\n2026-01-06 # the day after\n");
    GIVES(sexton_erase(engine, &erasure, &text, &error));
    CHECK_INT(2 * DAY_MS, json_number(text, "due_ms") - without);
    close_all(engine);
}

TEST("a class that is closed down takes nothing more, and what lives in it goes") {
    sexton_engine *engine = open_site(NULL, 0);
    const sexton_bytes one = bytes("upload-3h"), key = bytes("a");
    const sexton_selector class_one = {SEXTON_SELECT_CLASS, &one, 1};
    const sexton_selector a_key = {SEXTON_SELECT_KEYS, &key, 1};
    put(engine, "upload-3h", "a");
    REFUSES(SEXTON_INVALID, sexton_close_down(engine, &a_key, key, key, &text, &error));
    GIVES(sexton_close_down(engine, &class_one, bytes("shop closed"), bytes("Ada"), &text, &error));
    CHECK(json_has(text, "shop closed"));
    CHECK(counters(engine, "upload-3h").closed && !counters(engine, "files").closed);
    sexton_registration more = registration("upload-3h", "b");
    sexton_results *results = NULL;
    CHECK_STATUS(SEXTON_INVALID, sexton_register(engine, &more, 1, 0, &results, &error), error);
    delete_due(engine);
    pass_ms(2 * MINUTE_MS);
    delete_due(engine);
    CHECK_INT(0, counters(engine, "upload-3h").live);
    close_all(engine);
}

TEST("a new version of a class counts for what lives only once it is applied") {
    sexton_engine *engine = open_site(NULL, 0);
    const char later[] = "[class.files]\nkeep = \"5s\"\nwithin = \"1d\"\nstart = \"explicit\"\n";
    put(engine, "files", "a");
    CHECK_OK(sexton_define_classes(engine, bytes(later), &error), error);
    GIVES(sexton_apply_class(engine, bytes("files"), bytes("new policy"), bytes("Ada"), &text, &error));
    REFUSES(SEXTON_INVALID, sexton_apply_class(engine, bytes("no such class"), bytes("r"), bytes("w"),
                                               &text, &error));
    settle(engine);
    pass_ms(3 * SECOND_MS);
    CHECK_INT(0, delete_due(engine));
    pass_ms(3 * SECOND_MS);
    CHECK_INT(1, delete_due(engine));
    close_all(engine);
}

/* The id of the only alarm, which is left in `alarm`. */
static void read_alarm(const sexton_engine *engine, char alarm[64]) {
    GIVES(sexton_status(engine, &text, &error));
    const char *alarms = json_find(text, "alarms");
    CHECK(alarms != NULL);
    const char *id = strstr(alarms, "\"id\":\"");
    CHECK(id != NULL && sscanf(id, "\"id\":\"%32[0-9a-f]\"", alarm) == 1);
}

TEST("more surprises than may be trip the breaker, and nothing goes until somebody has resumed") {
    sexton_options *options = site_options();
    set_uint(options, "breaker_objects", 5);
    sexton_engine *engine = open_with(options);
    char key[16], alarm[64];
    for (size_t i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "%zu", i);
        sexton_registration one = registration("files", key);
        sexton_results *results = NULL;
        one.start_ms = now_ms() - HOUR_MS; /* due an hour ago: nobody could have known */
        CHECK_OK(sexton_register(engine, &one, 1, 0, &results, &error), error);
        sexton_results_free(results);
    }
    CHECK_INT(0, delete_due(engine));
    read_alarm(engine, alarm);
    CHECK(json_has(text, "surprise"));
    const sexton_bytes why = bytes("looked at the importer"), who = bytes("Ada"), none = {NULL, 0};
    REFUSES(SEXTON_INVALID, sexton_resume(engine, bytes(alarm), none, who, &text, &error));
    REFUSES(SEXTON_NOT_FOUND, sexton_resume(engine, bytes("no hex"), why, who, &text, &error));
    REFUSES(SEXTON_NOT_FOUND, sexton_resume(engine, bytes("00000000000000000000000000000000"), why, who,
                                            &text, &error));
    GIVES(sexton_resume(engine, bytes(alarm), why, who, &text, &error));
    CHECK(json_has(text, alarm));
    CHECK_INT(20, delete_due(engine));
    close_all(engine);
    sexton_options_free(options);
}

TEST("a clock that steps ahead pauses deleting until somebody has looked") {
    sexton_engine *engine = open_site(NULL, 0);
    int32_t state = 0;
    put(engine, "files", "a");
    CHECK_INT(0, delete_due(engine));
    site_wall += 365 * DAY_MS;
    CHECK_INT(0, delete_due(engine));
    CHECK_OK(sexton_state(engine, &state, &error), error);
    CHECK_INT(SEXTON_STATE_PAUSED, state);
    char alarm[64];
    read_alarm(engine, alarm);
    CHECK(json_has(text, "\"state\":\"paused\"") && json_has(text, "\"clock\":\"ahead\""));
    GIVES(sexton_resume(engine, bytes(alarm), bytes("it is right"), bytes("Ada"), &text, &error));
    CHECK_INT(1, delete_due(engine));
    CHECK_OK(sexton_state(engine, &state, &error), error);
    CHECK_INT(SEXTON_STATE_RUNNING, state);
    close_all(engine);
}
