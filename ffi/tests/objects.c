/* What is said of objects: registered again, started, rescheduled, released, by key and by id; and what is shown of
 * them: the plan, the feed, what came back from a backup. */

#include "site.h"

static sexton_error *error;

/* Registers one object as it stands; the answer without its ticket. */
static sexton_registered put_one(sexton_engine *engine, const sexton_registration *one, uint32_t flags) {
    sexton_results *results = NULL;
    size_t len;
    CHECK_OK(sexton_register(engine, one, 1, flags, &results, &error), error);
    sexton_registered answer = *sexton_results_registered(results, &len);
    answer.ticket = (sexton_bytes){NULL, 0};
    sexton_results_free(results);
    return answer;
}

/* Says one thing of one object; the answer without what lives in the results. */
static sexton_changed change(sexton_engine *engine, sexton_change one) {
    sexton_results *results = NULL;
    size_t len;
    CHECK_OK(sexton_change_all(engine, &one, 1, 0, &results, &error), error);
    CHECK_INT(SEXTON_OK, sexton_results_status(results));
    sexton_changed answer = *sexton_results_changed(results, &len);
    CHECK_INT(1, len);
    CHECK((answer.status == SEXTON_OK) == (answer.message.len == 0));
    answer.message = answer.ticket = (sexton_bytes){NULL, 0};
    sexton_results_free(results);
    return answer;
}

static sexton_change change_by_key(int32_t kind, const char *key, int64_t start_ms) {
    sexton_change one = {kind, bytes(key), {{0}}, {NULL, 0}, start_ms};
    return one;
}

static sexton_change change_by_id(int32_t kind, sexton_id id, int64_t start_ms) {
    sexton_change one = {kind, {NULL, 0}, id, {NULL, 0}, start_ms};
    return one;
}

TEST("each item of a call has its answer, in their order") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_registration many[3] = {registration("files", "a"), registration("upload-3h", "b"),
                                   registration("files", "c")};
    sexton_results *results = NULL;
    size_t len;
    CHECK_OK(sexton_register(engine, many, 3, 0, &results, &error), error);
    const sexton_registered *answers = sexton_results_registered(results, &len);
    CHECK_INT(3, len);
    for (size_t i = 0; i < 3; i++) {
        sexton_id found;
        CHECK_OK(sexton_find(engine, many[i].key, &found, &error), error);
        CHECK(is_same_id(found, answers[i].id));
        CHECK_INT(SEXTON_OK, answers[i].status);
    }
    sexton_results_free(results);
    close_site(engine);
}

TEST("registering a live key again replaces, is the same, stands, or comes too late") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_registration one = registration("files", "a");
    one.version = bytes("v1");
    sexton_registered first = put_one(engine, &one, 0);
    CHECK_INT(SEXTON_EARLIER_NONE, first.earlier);
    sexton_registered same = put_one(engine, &one, 0);
    CHECK_INT(SEXTON_EARLIER_SAME, same.earlier);
    CHECK(is_same_id(first.id, same.id));
    one.version = bytes("v2");
    sexton_registered stands = put_one(engine, &one, SEXTON_ONLY_MISSING);
    CHECK_INT(SEXTON_EARLIER_STANDS, stands.earlier);
    CHECK(is_same_id(first.id, stands.id));
    sexton_registered second = put_one(engine, &one, 0);
    CHECK_INT(SEXTON_EARLIER_REPLACED, second.earlier);
    CHECK(is_same_id(first.id, second.earlier_id));

    pass_ms(2 * SECOND_MS);
    settle(engine);
    sexton_batch *batch = take(engine, 1);
    one.version = bytes("v3");
    one.start_ms = now_ms();
    sexton_registered third = put_one(engine, &one, 0);
    CHECK_INT(SEXTON_EARLIER_TOO_LATE, third.earlier);
    CHECK(is_same_id(second.id, third.earlier_id));
    answer_all(engine, batch, SEXTON_ANSWER_CHANGED);
    sexton_batch_free(batch);
    settle(engine);
    CHECK_INT(2, counters(engine, "files").replaced);
    CHECK_INT(1, counters(engine, "files").live);
    check_sound(engine);
    close_site(engine);
}

TEST("an open object starts when its host says so, by key or by id") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_registration one = registration("upload-3h", "a");
    one.start_ms = SEXTON_UNKNOWN_MS;
    put_one(engine, &one, 0);
    one.key = bytes("b");
    sexton_id id = put_one(engine, &one, 0).id;
    pass_ms(HOUR_MS);
    sexton_changed by_key = change(engine, change_by_key(SEXTON_START, "a", now_ms()));
    sexton_changed by_id = change(engine, change_by_id(SEXTON_START, id, now_ms()));
    CHECK_INT(SEXTON_OK, by_key.status);
    CHECK_INT(SEXTON_OK, by_id.status);
    CHECK_INT(now_ms() + 3 * HOUR_MS, by_key.ceiling_ms);
    CHECK_INT(now_ms() + 3 * HOUR_MS, by_id.ceiling_ms);
    CHECK_INT(SEXTON_UNKNOWN_MS, by_id.floor_ms);
    CHECK_INT(SEXTON_INVALID, change(engine, change_by_id(SEXTON_START, id, now_ms() + 1)).status);
    pass_ms(3 * HOUR_MS);
    CHECK_INT(2, delete_due(engine));
    /* The id given at first leads to where the object ended. */
    check_kept(engine, id, "b");
    close_site(engine);
}

TEST("a rescheduled object goes on its new time, by key or by id, also in another class") {
    sexton_engine *engine = define(open_site(NULL, 0), OTHERS);
    sexton_id a = put(engine, "files", "a"), b = put(engine, "files", "b");
    sexton_changed later = change(engine, change_by_id(SEXTON_RESCHEDULE, a, now_ms() + HOUR_MS));
    CHECK_INT(SEXTON_OK, later.status);
    CHECK_INT(now_ms() + HOUR_MS + SECOND_MS, later.floor_ms);
    CHECK_INT(now_ms() + HOUR_MS + DAY_MS, later.ceiling_ms);
    sexton_change to_other = change_by_key(SEXTON_RESCHEDULE, "b", SEXTON_UNKNOWN_MS);
    to_other.class_name = bytes("others");
    sexton_changed moved = change(engine, to_other);
    CHECK_INT(SEXTON_OK, moved.status);
    CHECK_INT(now_ms() + 2 * DAY_MS, moved.ceiling_ms);
    pass_ms(2 * SECOND_MS);
    CHECK_INT(1, delete_due(engine));
    check_kept(engine, b, "b");
    pass_ms(HOUR_MS);
    CHECK_INT(1, delete_due(engine));
    check_kept(engine, a, "a");
    check_sound(engine);
    close_site(engine);
}

TEST("an object that its host deleted itself is released, and nobody is asked to delete it") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_id a = put(engine, "files", "a"), b = put(engine, "files", "b");
    CHECK_INT(SEXTON_OK, change(engine, change_by_key(SEXTON_RELEASE, "a", SEXTON_UNKNOWN_MS)).status);
    CHECK_INT(SEXTON_OK, change(engine, change_by_id(SEXTON_RELEASE, b, SEXTON_UNKNOWN_MS)).status);
    pass_ms(2 * SECOND_MS);
    CHECK_INT(0, delete_due(engine));
    CHECK_INT(2, counters(engine, "files").released);
    check_ended(engine, a, "a", SEXTON_OUTCOME_NOT_A_DELETION, "released");
    check_sound(engine);
    close_site(engine);
}

TEST("of many changes each says for itself what became of it, with a sentence where it was not done") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_id due = put(engine, "files", "due"), gone = put(engine, "files", "gone"), nobody = {{9}};
    pass_ms(2 * SECOND_MS);
    settle(engine);
    sexton_batch *batch = take(engine, 2);
    size_t len, at = 0;
    const sexton_object *objects = sexton_batch_objects(batch, &len);
    at = is_same_id(objects[1].id, due);
    const sexton_bytes held = bytes("held");
    sexton_hold hold = {bytes("x"), {SEXTON_SELECT_KEYS, &held, 1}, SEXTON_HOLD_TEMPORARY, bytes("r"),
                        bytes("w"), now_ms() + DAY_MS};
    sexton_text *text = NULL;
    put(engine, "files", "held");
    put(engine, "files", "free");
    CHECK_OK(sexton_place_hold(engine, &hold, &text, &error), error);
    sexton_text_free(text);

    const sexton_change changes[] = {
        change_by_id(SEXTON_RELEASE, due, SEXTON_UNKNOWN_MS),
        change_by_key(SEXTON_RELEASE, "held", SEXTON_UNKNOWN_MS),
        change_by_id(SEXTON_RELEASE, nobody, SEXTON_UNKNOWN_MS),
        change_by_key(SEXTON_RELEASE, "nobody", SEXTON_UNKNOWN_MS),
        change_by_key(SEXTON_RESCHEDULE, "free", 5),
        change_by_key(SEXTON_RELEASE, "free", SEXTON_UNKNOWN_MS)};
    static const int32_t expected[] = {SEXTON_TOO_LATE,  SEXTON_HELD,    SEXTON_NOT_FOUND,
                                       SEXTON_NOT_FOUND, SEXTON_INVALID, SEXTON_OK};
    sexton_results *results = NULL;
    CHECK_OK(sexton_change_all(engine, changes, 6, 0, &results, &error), error);
    const sexton_changed *answers = sexton_results_changed(results, &len);
    CHECK_INT(6, len);
    for (size_t i = 0; i < 6; i++) {
        CHECK_INT(expected[i], answers[i].status);
        CHECK((expected[i] == SEXTON_OK) == (answers[i].message.len == 0));
    }
    sexton_results_free(results);
    CHECK_INT(1, answer_one(engine, sexton_batch_get_id(batch), (uint32_t)!at, SEXTON_ANSWER_DELETED));
    CHECK_INT(1, answer_one(engine, sexton_batch_get_id(batch), (uint32_t)at, SEXTON_ANSWER_FAILED));
    sexton_batch_free(batch);
    settle(engine);
    CHECK_INT(SEXTON_TOO_LATE, change(engine, change_by_id(SEXTON_RELEASE, gone, 0)).status);
    close_site(engine);
}

TEST("where one change of a call cannot be read, of no known kind or without its instant, none is applied") {
    sexton_engine *engine = open_site(NULL, 0);
    put(engine, "files", "a");
    static const int32_t kinds[] = {0, 4, -1, SEXTON_START};
    for (size_t i = 0; i < 4; i++) {
        sexton_change two[2] = {change_by_key(SEXTON_RELEASE, "a", SEXTON_UNKNOWN_MS),
                                change_by_key(kinds[i], "a", SEXTON_UNKNOWN_MS)};
        sexton_results *results = NULL;
        CHECK_STATUS(SEXTON_INVALID, sexton_change_all(engine, two, 2, 0, &results, &error), error);
        CHECK(results == NULL);
    }
    pass_ms(2 * SECOND_MS);
    CHECK_INT(1, delete_due(engine));
    close_site(engine);
}

/* What a plan shows, up to a limit. */
typedef struct seen {
    size_t len, limit;
    char last[64], action[32], why[64];
    int64_t at_ms;
} seen;

static int32_t see(void *user, const sexton_forecast *forecast) {
    seen *all = user;
    all->len++;
    all->at_ms = forecast->at_ms;
    snprintf(all->last, sizeof all->last, "%.*s", (int)forecast->key.len, (const char *)forecast->key.data);
    snprintf(all->action, sizeof all->action, "%.*s", (int)forecast->action.len,
             (const char *)forecast->action.data);
    snprintf(all->why, sizeof all->why, "%.*s", (int)forecast->why.len,
             forecast->why.data ? (const char *)forecast->why.data : "");
    CHECK_TEXT("files", forecast->class_name);
    CHECK(forecast->floor_ms < forecast->ceiling_ms);
    return all->len == all->limit;
}

TEST("the plan shows what goes when and what is held by what, until its visitor has seen enough") {
    sexton_engine *engine = open_site(NULL, 0);
    const sexton_bytes a = bytes("a");
    sexton_hold hold = {bytes("case 7"), {SEXTON_SELECT_KEYS, &a, 1}, SEXTON_HOLD_TEMPORARY, bytes("r"),
                        bytes("w"), now_ms() + DAY_MS};
    sexton_text *text = NULL;
    seen all = {0, 0, "", "", "", 0};
    put(engine, "files", "a");
    CHECK_OK(sexton_plan(engine, now_ms() + DAY_MS, see, &all, &error), error);
    CHECK_INT(1, all.len);
    CHECK(strcmp(all.last, "a") == 0 && strcmp(all.action, "delete") == 0);
    CHECK(all.at_ms >= now_ms() + SECOND_MS && all.at_ms <= now_ms() + 2 * SECOND_MS);
    CHECK_OK(sexton_place_hold(engine, &hold, &text, &error), error);
    sexton_text_free(text);
    CHECK_OK(sexton_plan(engine, now_ms() + DAY_MS, see, &all, &error), error);
    CHECK(strcmp(all.action, "hold") == 0 && strcmp(all.why, "case 7") == 0);
    put_many(engine, "files", "b", 10);
    all = (seen){0, 4, "", "", "", 0};
    CHECK_OK(sexton_plan(engine, now_ms() + DAY_MS, see, &all, &error), error);
    CHECK_INT(4, all.len);
    close_site(engine);
}

TEST("the feed tells the deletions of its classes in their order, until they are acknowledged") {
    sexton_engine *engine = define(open_site(NULL, 0), TOLD);
    sexton_text *text = NULL;
    put(engine, "told", "a");
    put(engine, "files", "not told");
    pass_ms(2 * SECOND_MS);
    CHECK_INT(2, delete_due(engine));
    put(engine, "told", "b");
    pass_ms(2 * SECOND_MS);
    CHECK_INT(1, delete_due(engine));
    CHECK_OK(sexton_feed(engine, 0, 10, &text, &error), error);
    CHECK_INT('[', sexton_text_bytes(text).data[0]);
    CHECK_INT(1, json_number(text, "number"));
    CHECK(json_has(text, "\"number\":2") && !json_has(text, "\"number\":3"));
    sexton_text_free(text);
    CHECK_OK(sexton_feed(engine, 1, 10, &text, &error), error);
    CHECK_INT(2, json_number(text, "number"));
    sexton_text_free(text);
    CHECK_STATUS(SEXTON_INVALID, sexton_acknowledge_feed(engine, 3, &error), error);
    CHECK_OK(sexton_acknowledge_feed(engine, 2, &error), error);
    CHECK_OK(sexton_feed(engine, 0, 10, &text, &error), error);
    CHECK_TEXT("[]", sexton_text_bytes(text));
    sexton_text_free(text);
    close_site(engine);
}

TEST("what came back from a backup is recognised, and deleted again at once") {
    sexton_engine *engine = define(open_site(NULL, 0), TOLD);
    sexton_text *text = NULL;
    sexton_results *results = NULL;
    size_t len;
    put(engine, "told", "a");
    CHECK_OK(sexton_screen(engine, bytes("a"), &text, &error), error);
    CHECK(json_has(text, "\"live\""));
    sexton_text_free(text);
    pass_ms(2 * SECOND_MS);
    CHECK_INT(1, delete_due(engine));
    CHECK_OK(sexton_screen(engine, bytes("a"), &text, &error), error);
    CHECK(json_has(text, "\"ended\""));
    sexton_text_free(text);
    CHECK_OK(sexton_screen(engine, bytes("b"), &text, &error), error);
    CHECK(json_has(text, "\"unknown\""));
    sexton_text_free(text);

    const sexton_registration back[2] = {registration("files", "a"), registration("files", "b")};
    CHECK_OK(sexton_delete_again(engine, back, 2, 0, &results, &error), error);
    const sexton_registered *answers = sexton_results_registered(results, &len);
    CHECK_INT(2, len);
    CHECK_INT(SEXTON_OK, answers[0].status);
    CHECK_INT(SEXTON_NOT_FOUND, answers[1].status);
    sexton_results_free(results);
    CHECK_INT(1, delete_due(engine));
    CHECK_INT(2, counters(engine, "told").deleted);
    check_sound(engine);
    close_site(engine);
}

TEST("the counters of a class are those of the status, and of an unknown class there are none") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_registration one = registration("files", "a");
    sexton_counters of;
    sexton_text *text = NULL;
    one.size_bytes = 1000;
    put_one(engine, &one, 0);
    of = counters(engine, "files");
    CHECK_INT(1, of.registered);
    CHECK_INT(1000, of.registered_bytes);
    CHECK_INT(1, of.live);
    CHECK_INT(0, of.due + of.overdue + of.held + of.deleted);
    CHECK_INT(SEXTON_UNKNOWN_MS, of.oldest_overdue_ms);
    CHECK(!of.closed);
    pass_ms(2 * DAY_MS);
    of = counters(engine, "files");
    CHECK_INT(1, of.overdue);
    CHECK_INT(NEW_YEAR_MS + DAY_MS, of.oldest_overdue_ms);
    CHECK_INT(1, delete_due(engine));
    of = counters(engine, "files");
    CHECK_INT(1000, of.deleted_bytes);
    CHECK_INT(1, of.late);
    CHECK_OK(sexton_status(engine, &text, &error), error);
    CHECK(json_has(text, "\"origin\":\"example.com/files\"") && json_has(text, "\"upload-3h\""));
    sexton_text_free(text);
    memset(&of, 0x55, sizeof of);
    CHECK_STATUS(SEXTON_NOT_FOUND,
                 sexton_class_counters(engine, bytes("no such class"), &of, &error), error);
    CHECK(of.registered == UINT64_C(0x5555555555555555));
    close_site(engine);
}
