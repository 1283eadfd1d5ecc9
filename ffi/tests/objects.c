/* Changes of registered objects (register again, start, reschedule, release), and what the engine reports of objects:
 * the plan, the feed, ended keys and counters. */

#include "fixture.h"

static sexton_error *error;

/* Applies one change. Returns the answer without its message and ticket, which belong to the freed results. */
static sexton_changed apply_change(sexton_engine *engine, sexton_object_change change) {
    sexton_results *results = NULL;
    size_t len;
    CHECK_OK(sexton_change(engine, &change, 1, 0, &results, &error), error);
    CHECK_INT(SEXTON_OK, sexton_results_status(results));
    sexton_changed answer = *sexton_results_changed(results, &len);
    CHECK_INT(1, len);
    CHECK((answer.status == SEXTON_OK) == (answer.message.len == 0));
    answer.message = answer.ticket = (sexton_bytes){NULL, 0};
    sexton_results_free(results);
    return answer;
}

/* Start of a change that has none. */
#define NO_START INT64_MIN

static sexton_object_change make_change(int32_t kind, int64_t start_ms) {
    sexton_object_change change = SEXTON_OBJECT_CHANGE_INIT;
    change.kind = kind;
    change.has_start = start_ms != NO_START;
    change.start_ms = change.has_start ? start_ms : 0;
    return change;
}

static sexton_object_change change_by_key(int32_t kind, const char *key, int64_t start_ms) {
    sexton_object_change change = make_change(kind, start_ms);
    change.key = bytes(key);
    return change;
}

static sexton_object_change change_by_id(int32_t kind, sexton_id id, int64_t start_ms) {
    sexton_object_change change = make_change(kind, start_ms);
    change.id = id;
    return change;
}

TEST("register answers each registration, in their order") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_registration many[3] = {make_registration("files", "a"),
                                   make_registration("upload-3h", "b"),
                                   make_registration("files", "c")};
    sexton_results *results = NULL;
    size_t len;
    CHECK_OK(sexton_register(engine, many, 3, 0, &results, &error), error);
    const sexton_registered *answers = sexton_results_registered(results, &len);
    CHECK_INT(3, len);
    for (size_t i = 0; i < 3; i++) {
        sexton_id found;
        CHECK_OK(sexton_find(engine, many[i].key, bytes(""), &found, &error), error);
        CHECK(ids_equal(found, answers[i].id));
        CHECK_INT(SEXTON_OK, answers[i].status);
    }
    sexton_results_free(results);
    close_engine(engine);
}

TEST("registering a live key again has one of four results") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_registration object = make_registration("files", "a");
    object.version = bytes("v1");
    sexton_registered first = register_with(engine, &object, 0);
    CHECK_INT(SEXTON_PREVIOUS_NONE, first.previous);
    sexton_registered identical = register_with(engine, &object, 0);
    CHECK_INT(SEXTON_PREVIOUS_IDENTICAL, identical.previous);
    CHECK(ids_equal(first.id, identical.id));
    object.version = bytes("v2");
    sexton_registered kept = register_with(engine, &object, SEXTON_ONLY_MISSING);
    CHECK_INT(SEXTON_PREVIOUS_KEPT, kept.previous);
    CHECK(ids_equal(first.id, kept.id));
    sexton_registered second = register_with(engine, &object, 0);
    CHECK_INT(SEXTON_PREVIOUS_REPLACED, second.previous);
    CHECK(ids_equal(first.id, second.previous_id));

    sexton_batch *batch = take_due_batch(engine, 1);
    object.version = bytes("v3");
    object.start_ms = now_ms();
    sexton_registered third = register_with(engine, &object, 0);
    CHECK_INT(SEXTON_PREVIOUS_TOO_LATE, third.previous);
    CHECK(ids_equal(second.id, third.previous_id));
    answer_all(engine, batch, SEXTON_ANSWER_CHANGED);
    sexton_batch_free(batch);
    run_until_idle(engine);
    CHECK_INT(2, class_counters(engine, "files").replaced);
    CHECK_INT(1, class_counters(engine, "files").live);
    check_sound(engine);
    close_engine(engine);
}

TEST("an object without start gets one by key or by id") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_registration object = make_registration("upload-3h", "a");
    object.has_start = false;
    object.start_ms = 0;
    register_with(engine, &object, 0);
    object.key = bytes("b");
    sexton_id id = register_with(engine, &object, 0).id;
    advance_ms(HOUR_MS);
    sexton_changed by_key = apply_change(engine, change_by_key(SEXTON_START, "a", now_ms()));
    sexton_changed by_id = apply_change(engine, change_by_id(SEXTON_START, id, now_ms()));
    CHECK_INT(SEXTON_OK, by_key.status);
    CHECK_INT(SEXTON_OK, by_id.status);
    CHECK_INT(now_ms() + 3 * HOUR_MS, by_key.ceiling_ms);
    CHECK_INT(now_ms() + 3 * HOUR_MS, by_id.ceiling_ms);
    CHECK(by_id.has_ceiling && !by_id.has_floor);
    CHECK_INT(0, by_id.floor_ms);
    CHECK_INT(SEXTON_INVALID,
              apply_change(engine, change_by_id(SEXTON_START, id, now_ms() + 1)).status);
    advance_ms(3 * HOUR_MS);
    CHECK_INT(2, delete_due(engine));
    /* The first id still gets the receipt. */
    check_kept(engine, id, "b");
    close_engine(engine);
}

TEST("an object with other content keeps its bounds, or gets later ones") {
    sexton_engine *engine = open_engine(NULL, 0);
    register_object(engine, "files", "a");
    sexton_object_change grown = change_by_key(SEXTON_CONTENT, "a", NO_START);
    grown.version = bytes("v2");
    grown.has_size = true;
    grown.size_bytes = 7;
    sexton_changed same = apply_change(engine, grown);
    CHECK_INT(SEXTON_OK, same.status);
    grown.has_start = true;
    grown.start_ms = now_ms() + HOUR_MS;
    sexton_changed later = apply_change(engine, grown);
    CHECK_INT(SEXTON_OK, later.status);
    CHECK(later.ceiling_ms > same.ceiling_ms);
    CHECK_INT(now_ms() + HOUR_MS + DAY_MS, later.ceiling_ms);
    grown.start_ms = now_ms();
    CHECK_INT(later.ceiling_ms, apply_change(engine, grown).ceiling_ms);
    close_engine(engine);
}

TEST("renamed objects exchange their keys, and their receipts have the first ones") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_id a = register_object(engine, "files", "a"), b = register_object(engine, "files", "b");
    sexton_object_change swap[2] = {change_by_id(SEXTON_RENAME, a, NO_START),
                                    change_by_id(SEXTON_RENAME, b, NO_START)};
    swap[0].new_key = bytes("b");
    swap[1].new_key = bytes("a");
    /* The second call repeats the first one. */
    for (int i = 0; i < 2; i++) {
        sexton_results *results = NULL;
        CHECK_OK(sexton_change(engine, swap, 2, 0, &results, &error), error);
        sexton_results_free(results);
    }
    CHECK_INT(SEXTON_INVALID, apply_change(engine, change_by_id(SEXTON_RENAME, a, NO_START)).status);
    advance_ms(2 * SECOND_MS);
    CHECK_INT(2, delete_due(engine));
    check_kept(engine, a, "a");
    check_kept(engine, b, "b");
    check_sound(engine);
    close_engine(engine);
}

TEST("a rescheduled object is deleted at its new time") {
    sexton_engine *engine = define_classes(open_engine(NULL, 0), CLASS_OTHERS);
    sexton_id a = register_object(engine, "files", "a"), b = register_object(engine, "files", "b");
    sexton_changed later =
        apply_change(engine, change_by_id(SEXTON_RESCHEDULE, a, now_ms() + HOUR_MS));
    CHECK_INT(SEXTON_OK, later.status);
    CHECK_INT(now_ms() + HOUR_MS + SECOND_MS, later.floor_ms);
    CHECK_INT(now_ms() + HOUR_MS + DAY_MS, later.ceiling_ms);
    sexton_object_change to_others = change_by_key(SEXTON_RESCHEDULE, "b", NO_START);
    to_others.class_name = bytes("others");
    sexton_changed moved = apply_change(engine, to_others);
    CHECK_INT(SEXTON_OK, moved.status);
    CHECK_INT(now_ms() + 2 * DAY_MS, moved.ceiling_ms);
    advance_ms(2 * SECOND_MS);
    CHECK_INT(1, delete_due(engine));
    check_kept(engine, b, "b");
    advance_ms(HOUR_MS);
    CHECK_INT(1, delete_due(engine));
    check_kept(engine, a, "a");
    check_sound(engine);
    close_engine(engine);
}

TEST("one version of a key is named by its version") {
    sexton_engine *engine = define_classes(
        open_engine(NULL, 0), "[class.bucket]\nwithin = \"1d\"\nfind = \"version\"\n");
    sexton_registration two[2] = {make_registration("bucket", "a"), make_registration("bucket", "a")};
    two[0].version = bytes("v1");
    two[1].version = bytes("v2");
    sexton_results *results = NULL;
    size_t len;
    CHECK_OK(sexton_register(engine, two, 2, 0, &results, &error), error);
    const sexton_registered *answers = sexton_results_registered(results, &len);
    sexton_id found;
    for (size_t i = 0; i < 2; i++) {
        CHECK_OK(sexton_find(engine, bytes("a"), two[i].version, &found, &error), error);
        CHECK(ids_equal(found, answers[i].id));
    }
    CHECK_STATUS(SEXTON_INVALID, sexton_find(engine, bytes("a"), bytes(""), &found, &error), error);
    CHECK_STATUS(SEXTON_NOT_FOUND, sexton_find(engine, bytes("a"), bytes("v3"), &found, &error),
                 error);
    sexton_object_change release = change_by_key(SEXTON_RELEASE, "a", NO_START);
    CHECK_INT(SEXTON_INVALID, apply_change(engine, release).status);
    release.of_version = bytes("v3");
    CHECK_INT(SEXTON_NOT_FOUND, apply_change(engine, release).status);
    release.of_version = bytes("v1");
    sexton_changed released = apply_change(engine, release);
    CHECK_INT(SEXTON_OK, released.status);
    CHECK_OK(sexton_find(engine, bytes("a"), bytes("v1"), &found, &error), error);
    CHECK(ids_equal(found, released.id));
    CHECK_OK(sexton_find(engine, bytes("a"), bytes("v2"), &found, &error), error);
    CHECK(ids_equal(found, answers[1].id));
    sexton_results_free(results);
    release.key = bytes("");
    results = NULL;
    CHECK_STATUS(SEXTON_INVALID, sexton_change(engine, &release, 1, 0, &results, &error), error);
    check_sound(engine);
    close_engine(engine);
}

TEST("a released object is not handed out for deletion") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_id a = register_object(engine, "files", "a"), b = register_object(engine, "files", "b");
    CHECK_INT(SEXTON_OK,
              apply_change(engine, change_by_key(SEXTON_RELEASE, "a", NO_START)).status);
    CHECK_INT(SEXTON_OK,
              apply_change(engine, change_by_id(SEXTON_RELEASE, b, NO_START)).status);
    advance_ms(2 * SECOND_MS);
    CHECK_INT(0, delete_due(engine));
    CHECK_INT(2, class_counters(engine, "files").released);
    check_ended(engine, a, "a", SEXTON_COMPLIANCE_NOT_A_DELETION, "released");
    check_sound(engine);
    close_engine(engine);
}

TEST("each change has its own status, and a message if refused") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_id due = register_object(engine, "files", "due");
    sexton_id gone = register_object(engine, "files", "gone"), unknown = {{9}};
    sexton_batch *batch = take_due_batch(engine, 2);
    size_t len;
    const sexton_object *objects = sexton_batch_objects(batch, &len);
    const uint32_t due_index = ids_equal(objects[1].id, due) ? 1 : 0;
    const sexton_bytes held = bytes("held");
    const sexton_hold hold = make_hold("case 7", SEXTON_SELECT_KEYS, &held);
    sexton_text *text = NULL;
    register_object(engine, "files", "held");
    register_object(engine, "files", "free");
    CHECK_OK(sexton_place_hold(engine, &hold, &text, &error), error);
    sexton_text_free(text);

    const sexton_object_change changes[] = {
        change_by_id(SEXTON_RELEASE, due, NO_START),
        change_by_key(SEXTON_RELEASE, "held", NO_START),
        change_by_id(SEXTON_RELEASE, unknown, NO_START),
        change_by_key(SEXTON_RELEASE, "unknown", NO_START),
        change_by_key(SEXTON_RESCHEDULE, "free", 5),
        change_by_key(SEXTON_RELEASE, "free", NO_START)};
    static const int32_t expected[] = {SEXTON_TOO_LATE,  SEXTON_HELD,    SEXTON_NOT_FOUND,
                                       SEXTON_NOT_FOUND, SEXTON_INVALID, SEXTON_OK};
    sexton_results *results = NULL;
    CHECK_OK(sexton_change(engine, changes, 6, 0, &results, &error), error);
    const sexton_changed *answers = sexton_results_changed(results, &len);
    CHECK_INT(6, len);
    for (size_t i = 0; i < 6; i++) {
        CHECK_INT(expected[i], answers[i].status);
        CHECK((expected[i] == SEXTON_OK) == (answers[i].message.len == 0));
    }
    sexton_results_free(results);
    CHECK_INT(1,
              answer_one(engine, sexton_batch_get_id(batch), 1 - due_index, SEXTON_ANSWER_DELETED));
    CHECK_INT(1, answer_one(engine, sexton_batch_get_id(batch), due_index, SEXTON_ANSWER_FAILED));
    sexton_batch_free(batch);
    run_until_idle(engine);
    CHECK_INT(SEXTON_TOO_LATE, apply_change(engine, change_by_id(SEXTON_RELEASE, gone, 0)).status);
    close_engine(engine);
}

TEST("a call with one malformed change is INVALID, none applies") {
    sexton_engine *engine = open_engine(NULL, 0);
    register_object(engine, "files", "a");
    static const int32_t kinds[] = {0, 6, -1, SEXTON_START};
    for (size_t i = 0; i < 4; i++) {
        sexton_object_change two[2] = {change_by_key(SEXTON_RELEASE, "a", NO_START),
                                       change_by_key(kinds[i], "a", NO_START)};
        sexton_results *results = NULL;
        CHECK_STATUS(SEXTON_INVALID, sexton_change(engine, two, 2, 0, &results, &error), error);
        CHECK(results == NULL);
    }
    advance_ms(2 * SECOND_MS);
    CHECK_INT(1, delete_due(engine));
    close_engine(engine);
}

/* Number of planned objects, and fields of the last one. The visitor stops after `limit` of them. */
typedef struct plan_log {
    size_t len, limit;
    char last[64], action[32], why[64];
    int64_t at_ms;
} plan_log;

static int32_t record_planned(void *user, const sexton_planned_object *planned) {
    plan_log *shown = user;
    shown->len++;
    shown->at_ms = planned->at_ms;
    copy_text(shown->last, sizeof shown->last, planned->key);
    copy_text(shown->action, sizeof shown->action, planned->action);
    copy_text(shown->why, sizeof shown->why, planned->why);
    CHECK_TEXT("files", planned->class_name);
    CHECK(planned->has_floor && planned->has_ceiling);
    CHECK(planned->floor_ms < planned->ceiling_ms);
    return shown->len == shown->limit;
}

TEST("the plan shows time and action, until its visitor stops") {
    sexton_engine *engine = open_engine(NULL, 0);
    const sexton_bytes a = bytes("a");
    const sexton_hold hold = make_hold("case 7", SEXTON_SELECT_KEYS, &a);
    sexton_text *text = NULL;
    plan_log shown = {0, 0, "", "", "", 0};
    register_object(engine, "files", "a");
    CHECK_OK(sexton_plan(engine, now_ms() + DAY_MS, record_planned, &shown, &error), error);
    CHECK_INT(1, shown.len);
    CHECK(strcmp(shown.last, "a") == 0 && strcmp(shown.action, "delete") == 0);
    CHECK(shown.at_ms >= now_ms() + SECOND_MS && shown.at_ms <= now_ms() + 2 * SECOND_MS);
    CHECK_OK(sexton_place_hold(engine, &hold, &text, &error), error);
    sexton_text_free(text);
    CHECK_OK(sexton_plan(engine, now_ms() + DAY_MS, record_planned, &shown, &error), error);
    CHECK(strcmp(shown.action, "hold") == 0 && strcmp(shown.why, "case 7") == 0);
    register_objects(engine, "files", "b", 10);
    shown = (plan_log){0, 4, "", "", "", 0};
    CHECK_OK(sexton_plan(engine, now_ms() + DAY_MS, record_planned, &shown, &error), error);
    CHECK_INT(4, shown.len);
    close_engine(engine);
}

TEST("the feed lists deletions in order until acknowledged") {
    sexton_engine *engine = define_classes(open_engine(NULL, 0), CLASS_WITH_FEED);
    sexton_text *text = NULL;
    register_object(engine, "with-feed", "a");
    register_object(engine, "files", "not in the feed");
    advance_ms(2 * SECOND_MS);
    CHECK_INT(2, delete_due(engine));
    register_object(engine, "with-feed", "b");
    advance_ms(2 * SECOND_MS);
    CHECK_INT(1, delete_due(engine));
    CHECK_OK(sexton_feed(engine, 0, 10, &text, &error), error);
    CHECK_INT('[', sexton_text_bytes(text).data[0]);
    CHECK_INT(1, json_number(text, "number"));
    CHECK(json_contains(text, "\"number\":2") && !json_contains(text, "\"number\":3"));
    sexton_text_free(text);
    CHECK_OK(sexton_feed(engine, 1, 10, &text, &error), error);
    CHECK_INT(2, json_number(text, "number"));
    sexton_text_free(text);
    CHECK_STATUS(SEXTON_INVALID, sexton_acknowledge_feed(engine, 3, &error), error);
    CHECK_OK(sexton_acknowledge_feed(engine, 2, &error), error);
    CHECK_OK(sexton_feed(engine, 0, 10, &text, &error), error);
    CHECK_TEXT("[]", sexton_text_bytes(text));
    sexton_text_free(text);
    close_engine(engine);
}

TEST("a key back from a backup is known, and deleted again") {
    sexton_engine *engine = define_classes(open_engine(NULL, 0), CLASS_WITH_FEED);
    sexton_text *text = NULL;
    sexton_results *results = NULL;
    size_t len;
    register_object(engine, "with-feed", "a");
    CHECK_OK(sexton_ended(engine, bytes("a"), &text, &error), error);
    CHECK(json_contains(text, "\"live\""));
    sexton_text_free(text);
    advance_ms(2 * SECOND_MS);
    CHECK_INT(1, delete_due(engine));
    CHECK_OK(sexton_ended(engine, bytes("a"), &text, &error), error);
    CHECK(json_contains(text, "\"ended\""));
    sexton_text_free(text);
    CHECK_OK(sexton_ended(engine, bytes("b"), &text, &error), error);
    CHECK(json_contains(text, "\"unknown\""));
    sexton_text_free(text);

    const sexton_registration back[2] = {make_registration("files", "a"),
                                         make_registration("files", "b")};
    CHECK_OK(sexton_delete_again(engine, back, 2, 0, &results, &error), error);
    const sexton_registered *answers = sexton_results_registered(results, &len);
    CHECK_INT(2, len);
    CHECK_INT(SEXTON_OK, answers[0].status);
    CHECK_INT(SEXTON_NOT_FOUND, answers[1].status);
    sexton_results_free(results);
    CHECK_INT(1, delete_due(engine));
    CHECK_INT(2, class_counters(engine, "with-feed").deleted);
    check_sound(engine);
    close_engine(engine);
}

TEST("class_counters counts each state; an unknown class has none") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_registration object = make_registration("files", "a");
    sexton_counters found;
    sexton_text *text = NULL;
    object.has_size = true;
    object.size_bytes = 1000;
    register_with(engine, &object, 0);
    found = class_counters(engine, "files");
    CHECK_INT(1, found.registered);
    CHECK_INT(1000, found.registered_bytes);
    CHECK_INT(1, found.live);
    CHECK_INT(0, found.due + found.overdue + found.held + found.deleted);
    CHECK(!found.has_oldest_overdue);
    CHECK_INT(0, found.oldest_overdue_ms);
    CHECK(!found.closed);
    advance_ms(2 * DAY_MS);
    found = class_counters(engine, "files");
    CHECK_INT(1, found.overdue);
    CHECK(found.has_oldest_overdue);
    CHECK_INT(NEW_YEAR_MS + DAY_MS, found.oldest_overdue_ms);
    CHECK_INT(1, delete_due(engine));
    found = class_counters(engine, "files");
    CHECK_INT(1000, found.deleted_bytes);
    CHECK_INT(1, found.late);
    CHECK_OK(sexton_status(engine, &text, &error), error);
    CHECK(json_contains(text, "\"origin\":\"example.com/files\"") &&
          json_contains(text, "\"upload-3h\""));
    sexton_text_free(text);
    memset(&found, 0x55, sizeof found);
    CHECK_STATUS(SEXTON_NOT_FOUND,
                 sexton_class_counters(engine, bytes("no such class"), &found, &error), error);
    CHECK(found.registered == UINT64_C(0x5555555555555555));
    close_engine(engine);
}
