/* Pulling: sub-batches are taken and answered, by object, in any order, early, late or never. */

#include "site.h"

/* The class counters that say how objects ended. */
static void check_counts(const sexton_engine *engine, uint64_t live, uint64_t deleted) {
    sexton_counters of = counters(engine, "files");
    CHECK_INT(live, of.live);
    CHECK_INT(deleted, of.deleted);
    CHECK_INT(0, of.early);
}

static int is_same_handing_over(sexton_batch_id a, sexton_batch_id b) {
    return a.batch == b.batch && a.epoch == b.epoch && a.part == b.part && a.attempt == b.attempt;
}

TEST("objects can be answered one by one, in any order, and the first answer for each counts") {
    sexton_engine *engine = open_site(NULL, 0);
    put_many(engine, "files", "a", 4);
    pass_ms(2 * SECOND_MS);
    settle(engine);
    sexton_batch *batch = take(engine, 4);
    sexton_batch_id id = sexton_batch_get_id(batch);
    CHECK_INT(1, answer_one(engine, id, 3, SEXTON_ANSWER_DELETED));
    CHECK_INT(1, answer_one(engine, id, 0, SEXTON_ANSWER_FAILED));
    CHECK_INT(0, answer_one(engine, id, 0, SEXTON_ANSWER_DELETED));
    CHECK_INT(0, answer_one(engine, id, 3, SEXTON_ANSWER_FAILED));
    settle(engine);
    CHECK_INT(1, answer_one(engine, id, 1, SEXTON_ANSWER_DELETED));
    CHECK_INT(1, answer_one(engine, id, 2, SEXTON_ANSWER_DELETED));
    settle(engine);
    check_counts(engine, 1, 3);
    CHECK_INT(0, answer_one(engine, id, 0, SEXTON_ANSWER_DELETED));
    sexton_batch_free(batch);
    check_sound(engine);
    close_site(engine);
}

TEST("several answers for one object in one call count once, and the first of them") {
    sexton_engine *engine = open_site(NULL, 0);
    put_many(engine, "files", "a", 2);
    pass_ms(2 * SECOND_MS);
    settle(engine);
    sexton_batch *batch = take(engine, 2);
    sexton_batch_id id = sexton_batch_get_id(batch);
    sexton_answer answers[3] = {{1, SEXTON_ANSWER_DELETED, {NULL, 0}},
                                {1, SEXTON_ANSWER_FAILED, {NULL, 0}},
                                {0, SEXTON_ANSWER_DELETED, {NULL, 0}}};
    sexton_error *error = NULL;
    size_t taken = 77;
    CHECK_OK(sexton_complete(engine, &id, answers, 3, &taken, &error), error);
    CHECK_INT(2, taken);
    settle(engine);
    check_counts(engine, 0, 2);
    sexton_batch_free(batch);
    close_site(engine);
}

TEST("a wrong object or a wrong answer is refused, and nothing of that call counts") {
    sexton_engine *engine = open_site(NULL, 0);
    put_many(engine, "files", "a", 2);
    pass_ms(2 * SECOND_MS);
    settle(engine);
    sexton_batch *batch = take(engine, 2);
    sexton_batch_id id = sexton_batch_get_id(batch);
    uint8_t long_detail[65] = {0};
    const sexton_answer wrong[] = {{2, SEXTON_ANSWER_DELETED, {NULL, 0}},
                                   {UINT32_MAX, SEXTON_ANSWER_DELETED, {NULL, 0}},
                                   {1, 0, {NULL, 0}},
                                   {1, SEXTON_ANSWER_FAILED + 1, {NULL, 0}},
                                   {1, -1, {NULL, 0}},
                                   {1, SEXTON_ANSWER_ANONYMISED, {long_detail, 65}},
                                   {1, SEXTON_ANSWER_DELETED, {NULL, 3}}};
    sexton_batch_id no_part = id;
    no_part.part = 1;
    sexton_error *refused = NULL;
    CHECK_STATUS(SEXTON_INVALID, sexton_complete(engine, &no_part, &wrong[0], 1, NULL, &refused), refused);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        sexton_answer answers[2] = {{0, SEXTON_ANSWER_DELETED, {NULL, 0}}, wrong[i]};
        sexton_error *error = NULL;
        size_t taken = 77;
        CHECK_STATUS(SEXTON_INVALID, sexton_complete(engine, &id, answers, 2, &taken, &error), error);
        CHECK_INT(77, taken);
    }
    CHECK_INT(2, answer_all(engine, batch, SEXTON_ANSWER_DELETED));
    settle(engine);
    check_counts(engine, 0, 2);
    sexton_batch_free(batch);
    close_site(engine);
}

TEST("an answer to a sub-batch that never was is stale and takes nothing") {
    sexton_engine *engine = open_site(NULL, 0);
    put(engine, "files", "a");
    pass_ms(2 * SECOND_MS);
    settle(engine);
    sexton_batch *batch = take(engine, 1);
    const sexton_batch_id id = sexton_batch_get_id(batch);
    sexton_batch_id wrong = id;
    wrong.batch += 1;
    CHECK_INT(0, answer_one(engine, wrong, 0, SEXTON_ANSWER_DELETED));
    wrong = id;
    wrong.epoch -= 1;
    CHECK_INT(0, answer_one(engine, wrong, 0, SEXTON_ANSWER_DELETED));
    wrong = id;
    wrong.attempt += 1;
    CHECK_INT(0, answer_one(engine, wrong, 0, SEXTON_ANSWER_DELETED));
    settle(engine);
    check_counts(engine, 1, 0);
    CHECK_INT(1, answer_one(engine, id, 0, SEXTON_ANSWER_DELETED));
    settle(engine);
    check_counts(engine, 0, 1);
    CHECK_INT(0, answer_one(engine, id, 0, SEXTON_ANSWER_DELETED));
    sexton_batch_free(batch);
    close_site(engine);
}

TEST("an object that nobody answers keeps no other from its tombstone, and comes again after the time-out") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_id ids[3] = {put(engine, "files", "a"), put(engine, "files", "b"), put(engine, "files", "c")};
    pass_ms(2 * SECOND_MS);
    settle(engine);
    sexton_batch *first = take(engine, 3);
    sexton_batch_id first_id = sexton_batch_get_id(first);
    size_t len, stuck = 3;
    const sexton_object *objects = sexton_batch_objects(first, &len);
    for (uint32_t i = 0; i < 3; i++) {
        if (is_same(objects[i].key, bytes("b"))) {
            stuck = i;
        } else {
            CHECK_INT(1, answer_one(engine, first_id, i, SEXTON_ANSWER_DELETED));
        }
    }
    settle(engine);
    pass_ms(MINUTE_MS + SECOND_MS);
    settle(engine);
    check_counts(engine, 1, 2);
    check_kept(engine, ids[0], "a");
    check_kept(engine, ids[2], "c");

    pass_ms(5 * SECOND_MS);
    settle(engine);
    sexton_batch *second = take(engine, 1);
    CHECK_TEXT("b", sexton_batch_objects(second, &len)->key);
    CHECK(!is_same_handing_over(first_id, sexton_batch_get_id(second)));
    CHECK(first_id.batch != sexton_batch_get_id(second).batch);
    /* The host finds out in the end, but what it says is of the first time. */
    CHECK_INT(0, answer_one(engine, first_id, (uint32_t)stuck, SEXTON_ANSWER_FAILED));
    CHECK_INT(1, answer_all(engine, second, SEXTON_ANSWER_DELETED));
    settle(engine);
    check_counts(engine, 0, 3);
    check_kept(engine, ids[1], "b");
    sexton_batch_free(first);
    sexton_batch_free(second);
    check_sound(engine);
    close_site(engine);
}

TEST("what is absent ends, and what is changed, refused or failed is owed and tried again") {
    static const int32_t answers[] = {SEXTON_ANSWER_ABSENT, SEXTON_ANSWER_CHANGED, SEXTON_ANSWER_REFUSED,
                                      SEXTON_ANSWER_FAILED};
    sexton_engine *engine = open_site(NULL, 0);
    sexton_id ids[4];
    char keys[4][2] = {"0", "1", "2", "3"};
    for (size_t i = 0; i < 4; i++) {
        ids[i] = put(engine, "files", keys[i]);
    }
    pass_ms(2 * SECOND_MS);
    settle(engine);
    sexton_batch *batch = take(engine, 4);
    size_t len;
    const sexton_object *objects = sexton_batch_objects(batch, &len);
    sexton_batch_id id = sexton_batch_get_id(batch);
    for (uint32_t i = 0; i < 4; i++) {
        sexton_answer one = {i, answers[objects[i].key.data[0] - '0'], bytes("why, for people: \xc3\xa4")};
        sexton_error *error = NULL;
        size_t taken;
        CHECK_OK(sexton_complete(engine, &id, &one, 1, &taken, &error), error);
        CHECK_INT(1, taken);
    }
    sexton_batch_free(batch);
    settle(engine);
    CHECK_INT(1, counters(engine, "files").absent);
    check_counts(engine, 3, 0);
    check_ended(engine, ids[0], "0", SEXTON_OUTCOME_NOT_A_DELETION, "absent");
    pass_ms(HOUR_MS);
    CHECK_INT(3, delete_due(engine));
    for (size_t i = 1; i < 4; i++) {
        check_kept(engine, ids[i], keys[i]);
    }
    close_site(engine);
}

TEST("an anonymised object ends with the digest of what is there now") {
    sexton_engine *engine = define(open_site(NULL, 0), REWRITTEN);
    sexton_id id = put(engine, "rewritten", "a");
    pass_ms(2 * SECOND_MS);
    settle(engine);
    sexton_batch *batch = take(engine, 1);
    CHECK_INT(SEXTON_ANONYMISE, sexton_batch_disposition(batch));
    sexton_batch_id batch_id = sexton_batch_get_id(batch);
    uint8_t digest[64];
    memset(digest, 7, sizeof digest);
    sexton_answer answer = {0, SEXTON_ANSWER_ANONYMISED, {digest, sizeof digest}};
    sexton_error *error = NULL;
    size_t taken;
    CHECK_OK(sexton_complete(engine, &batch_id, &answer, 1, &taken, &error), error);
    CHECK_INT(1, taken);
    settle(engine);
    CHECK_INT(1, counters(engine, "rewritten").anonymised);
    check_ended(engine, id, "a", SEXTON_OUTCOME_KEPT, "anonymised");
    sexton_batch_free(batch);
    close_site(engine);
}

TEST("a batch comes in sub-batches of at most so many objects, which are answered apart") {
    sexton_engine *engine = open_site("sub_batch_objects", 3);
    sexton_batch *parts[4];
    size_t len, sum = 0;
    put_many(engine, "files", "a", 10);
    pass_ms(2 * SECOND_MS);
    settle(engine);
    for (uint32_t i = 0; i < 4; i++) {
        parts[i] = next(engine);
        CHECK(parts[i] != NULL && sexton_batch_objects(parts[i], &len) != NULL);
        CHECK(len <= 3);
        sum += len;
        CHECK_INT(sexton_batch_get_id(parts[0]).batch, sexton_batch_get_id(parts[i]).batch);
        CHECK_INT(i, sexton_batch_get_id(parts[i]).part);
    }
    CHECK_INT(10, sum);
    CHECK(next(engine) == NULL);
    for (size_t i = 4; i-- > 0;) {
        answer_all(engine, parts[i], SEXTON_ANSWER_DELETED);
        sexton_batch_free(parts[i]);
    }
    settle(engine);
    check_counts(engine, 0, 10);
    close_site(engine);
}

TEST("no more batches are out at a time than the options say") {
    sexton_options *options = site_options();
    set_uint(options, "batches_in_flight", 1);
    sexton_engine *engine = define(open_with(options), OTHERS);
    put(engine, "files", "a");
    put(engine, "others", "b");
    pass_ms(2 * SECOND_MS);
    settle(engine);
    sexton_batch *first = take(engine, 1);
    settle(engine);
    CHECK(next(engine) == NULL);
    answer_all(engine, first, SEXTON_ANSWER_DELETED);
    settle(engine);
    sexton_batch *second = take(engine, 1);
    answer_all(engine, second, SEXTON_ANSWER_DELETED);
    settle(engine);
    CHECK_INT(0, counters(engine, "files").live + counters(engine, "others").live);
    sexton_batch_free(first);
    sexton_batch_free(second);
    close_site(engine);
    sexton_options_free(options);
}

TEST("what was answered before closing is on record, and the rest of its batch is owed") {
    sexton_engine *engine = open_site(NULL, 0);
    put_many(engine, "files", "a", 3);
    pass_ms(2 * SECOND_MS);
    settle(engine);
    sexton_batch *batch = take(engine, 3);
    const sexton_object *objects = sexton_batch_objects(batch, NULL);
    CHECK_INT(1, answer_one(engine, sexton_batch_get_id(batch), 1, SEXTON_ANSWER_DELETED));
    close_site(engine);
    engine = open_site(NULL, 0);
    char key[16];
    snprintf(key, sizeof key, "%.*s", (int)objects[1].key.len, (const char *)objects[1].key.data);
    check_ended(engine, objects[1].id, key, SEXTON_OUTCOME_KEPT, "deleted");
    check_counts(engine, 2, 1);
    pass_ms(2 * SECOND_MS);
    CHECK_INT(2, delete_due(engine));
    check_counts(engine, 0, 3);
    sexton_batch_free(batch);
    check_sound(engine);
    close_site(engine);
}

TEST("a sub-batch outlives its engine, and what was out comes again with a higher epoch and attempt") {
    sexton_engine *engine = open_site(NULL, 0);
    put_many(engine, "files", "a", 3);
    pass_ms(2 * SECOND_MS);
    settle(engine);
    sexton_batch *before = take(engine, 3);
    sexton_batch_id old = sexton_batch_get_id(before);
    close_site(engine);

    engine = open_site(NULL, 0);
    settle(engine);
    sexton_batch *after = take(engine, 3);
    sexton_batch_id new = sexton_batch_get_id(after);
    CHECK_INT(old.batch, new.batch);
    CHECK(new.epoch > old.epoch && new.attempt > old.attempt);
    size_t len;
    const sexton_object *a = sexton_batch_objects(before, &len), *b = sexton_batch_objects(after, &len);
    for (size_t i = 0; i < 3; i++) {
        CHECK(is_same_id(a[i].id, b[i].id) && is_same(a[i].key, b[i].key));
    }
    CHECK_INT(0, answer_one(engine, old, 0, SEXTON_ANSWER_DELETED));
    /* The host deleted one before, and finds it gone. */
    CHECK_INT(1, answer_one(engine, new, 1, SEXTON_ANSWER_ABSENT));
    CHECK_INT(1, answer_one(engine, new, 0, SEXTON_ANSWER_DELETED));
    CHECK_INT(1, answer_one(engine, new, 2, SEXTON_ANSWER_DELETED));
    settle(engine);
    char key[16];
    snprintf(key, sizeof key, "%.*s", (int)b[1].key.len, (const char *)b[1].key.data);
    check_ended(engine, b[1].id, key, SEXTON_OUTCOME_KEPT, "absent-after-intent");
    CHECK_INT(1, counters(engine, "files").absent_after_intent);
    CHECK_INT(0, counters(engine, "files").absent);
    check_counts(engine, 0, 2);
    sexton_batch_free(before);
    sexton_batch_free(after);
    check_sound(engine);
    close_site(engine);
}
