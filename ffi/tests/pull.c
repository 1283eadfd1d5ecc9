/* Pull interface: sub-batches are taken and answered per object, in any order, late or never. */

#include "fixture.h"

static int batch_ids_equal(sexton_batch_id a, sexton_batch_id b) {
    return a.batch == b.batch && a.epoch == b.epoch && a.index == b.index && a.attempt == b.attempt;
}

TEST("objects are answered in any order; the first answer counts") {
    sexton_engine *engine = open_engine(NULL, 0);
    register_objects(engine, "files", "a", 4);
    sexton_batch *batch = take_due_batch(engine, 4);
    sexton_batch_id id = sexton_batch_get_id(batch);
    CHECK_INT(1, answer_one(engine, id, 3, SEXTON_ANSWER_DELETED));
    CHECK_INT(1, answer_one(engine, id, 0, SEXTON_ANSWER_FAILED));
    CHECK_INT(0, answer_one(engine, id, 0, SEXTON_ANSWER_DELETED));
    CHECK_INT(0, answer_one(engine, id, 3, SEXTON_ANSWER_FAILED));
    run_until_idle(engine);
    CHECK_INT(1, answer_one(engine, id, 1, SEXTON_ANSWER_DELETED));
    CHECK_INT(1, answer_one(engine, id, 2, SEXTON_ANSWER_DELETED));
    run_until_idle(engine);
    check_counts(engine, 1, 3);
    CHECK_INT(0, answer_one(engine, id, 0, SEXTON_ANSWER_DELETED));
    sexton_batch_free(batch);
    check_sound(engine);
    close_engine(engine);
}

TEST("of several answers for an object in a call, the first counts") {
    sexton_engine *engine = open_engine(NULL, 0);
    register_objects(engine, "files", "a", 2);
    sexton_batch *batch = take_due_batch(engine, 2);
    sexton_batch_id id = sexton_batch_get_id(batch);
    sexton_answer answers[3] = {{1, SEXTON_ANSWER_DELETED, {NULL, 0}},
                                {1, SEXTON_ANSWER_FAILED, {NULL, 0}},
                                {0, SEXTON_ANSWER_DELETED, {NULL, 0}}};
    sexton_error *error = NULL;
    size_t taken = 77;
    CHECK_OK(sexton_answer_objects(engine, &id, answers, 3, &taken, &error), error);
    CHECK_INT(2, taken);
    run_until_idle(engine);
    check_counts(engine, 0, 2);
    sexton_batch_free(batch);
    close_engine(engine);
}

TEST("a call with one invalid answer is INVALID, none counts") {
    sexton_engine *engine = open_engine(NULL, 0);
    register_objects(engine, "files", "a", 2);
    sexton_batch *batch = take_due_batch(engine, 2);
    sexton_batch_id id = sexton_batch_get_id(batch);
    uint8_t long_detail[65] = {0};
    const sexton_answer wrong[] = {{2, SEXTON_ANSWER_DELETED, {NULL, 0}},
                                   {UINT32_MAX, SEXTON_ANSWER_DELETED, {NULL, 0}},
                                   {1, 0, {NULL, 0}},
                                   {1, SEXTON_ANSWER_REQUESTED + 1, {NULL, 0}},
                                   {1, -1, {NULL, 0}},
                                   {1, SEXTON_ANSWER_ANONYMISED, {long_detail, 65}},
                                   {1, SEXTON_ANSWER_DELETED, {NULL, 3}}};
    sexton_batch_id unknown_index = id;
    unknown_index.index = 1;
    sexton_error *refused = NULL;
    CHECK_STATUS(SEXTON_INVALID,
                 sexton_answer_objects(engine, &unknown_index, &wrong[0], 1, NULL, &refused),
                 refused);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        sexton_answer answers[2] = {{0, SEXTON_ANSWER_DELETED, {NULL, 0}}, wrong[i]};
        sexton_error *error = NULL;
        size_t taken = 77;
        CHECK_STATUS(SEXTON_INVALID, sexton_answer_objects(engine, &id, answers, 2, &taken, &error),
                     error);
        CHECK_INT(77, taken);
    }
    CHECK_INT(2, answer_all(engine, batch, SEXTON_ANSWER_DELETED));
    run_until_idle(engine);
    check_counts(engine, 0, 2);
    sexton_batch_free(batch);
    close_engine(engine);
}

TEST("answers with another batch, epoch or attempt do not count") {
    sexton_engine *engine = open_engine(NULL, 0);
    register_object(engine, "files", "a");
    sexton_batch *batch = take_due_batch(engine, 1);
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
    run_until_idle(engine);
    check_counts(engine, 1, 0);
    CHECK_INT(1, answer_one(engine, id, 0, SEXTON_ANSWER_DELETED));
    run_until_idle(engine);
    check_counts(engine, 0, 1);
    CHECK_INT(0, answer_one(engine, id, 0, SEXTON_ANSWER_DELETED));
    sexton_batch_free(batch);
    close_engine(engine);
}

TEST("an unanswered object comes again; others are unaffected") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_id ids[3] = {register_object(engine, "files", "a"),
                        register_object(engine, "files", "b"),
                        register_object(engine, "files", "c")};
    sexton_batch *first = take_due_batch(engine, 3);
    sexton_batch_id first_id = sexton_batch_get_id(first);
    size_t len, stuck = 3;
    const sexton_object *objects = sexton_batch_objects(first, &len);
    for (uint32_t i = 0; i < 3; i++) {
        if (bytes_equal(objects[i].key, bytes("b"))) {
            stuck = i;
        } else {
            CHECK_INT(1, answer_one(engine, first_id, i, SEXTON_ANSWER_DELETED));
        }
    }
    run_until_idle(engine);
    advance_ms(MINUTE_MS + SECOND_MS);
    run_until_idle(engine);
    check_counts(engine, 1, 2);
    check_kept(engine, ids[0], "a");
    check_kept(engine, ids[2], "c");

    advance_ms(5 * SECOND_MS);
    run_until_idle(engine);
    sexton_batch *second = take_batch(engine, 1);
    CHECK_TEXT("b", sexton_batch_objects(second, &len)->key);
    CHECK(!batch_ids_equal(first_id, sexton_batch_get_id(second)));
    CHECK(first_id.batch != sexton_batch_get_id(second).batch);
    /* A late answer for the first sub-batch does not count. */
    CHECK_INT(0, answer_one(engine, first_id, (uint32_t)stuck, SEXTON_ANSWER_FAILED));
    CHECK_INT(1, answer_all(engine, second, SEXTON_ANSWER_DELETED));
    run_until_idle(engine);
    check_counts(engine, 0, 3);
    check_kept(engine, ids[1], "b");
    sexton_batch_free(first);
    sexton_batch_free(second);
    check_sound(engine);
    close_engine(engine);
}

TEST("absent ends an object; changed, refused, failed retry") {
    static const int32_t answers[] = {SEXTON_ANSWER_ABSENT, SEXTON_ANSWER_CHANGED,
                                      SEXTON_ANSWER_REFUSED, SEXTON_ANSWER_FAILED};
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_id ids[4];
    char keys[4][2] = {"0", "1", "2", "3"};
    for (size_t i = 0; i < 4; i++) {
        ids[i] = register_object(engine, "files", keys[i]);
    }
    sexton_batch *batch = take_due_batch(engine, 4);
    size_t len;
    const sexton_object *objects = sexton_batch_objects(batch, &len);
    sexton_batch_id id = sexton_batch_get_id(batch);
    for (uint32_t i = 0; i < 4; i++) {
        sexton_answer answer = {i, answers[objects[i].key.data[0] - '0'],
                                bytes("a reason in UTF-8: \xc3\xa4")};
        sexton_error *error = NULL;
        size_t taken;
        CHECK_OK(sexton_answer_objects(engine, &id, &answer, 1, &taken, &error), error);
        CHECK_INT(1, taken);
    }
    sexton_batch_free(batch);
    run_until_idle(engine);
    CHECK_INT(1, class_counters(engine, "files").absent);
    check_counts(engine, 3, 0);
    check_ended(engine, ids[0], "0", SEXTON_COMPLIANCE_NOT_A_DELETION, "absent");
    advance_ms(HOUR_MS);
    CHECK_INT(3, delete_due(engine));
    for (size_t i = 1; i < 4; i++) {
        check_kept(engine, ids[i], keys[i]);
    }
    close_engine(engine);
}

TEST("a requested object ends, and its receipt shows no deletion") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_id id = register_object(engine, "files", "a");
    sexton_batch *batch = take_due_batch(engine, 1);
    CHECK_INT(1, answer_all(engine, batch, SEXTON_ANSWER_REQUESTED));
    run_until_idle(engine);
    CHECK_INT(1, class_counters(engine, "files").requested);
    CHECK_INT(0, class_counters(engine, "files").deleted);
    check_ended(engine, id, "a", SEXTON_COMPLIANCE_NOT_A_DELETION, "requested");
    sexton_batch_free(batch);
    check_sound(engine);
    close_engine(engine);
}

TEST("an anonymised object ends with the digest of the new content") {
    sexton_engine *engine = define_classes(open_engine(NULL, 0), CLASS_REWRITTEN);
    sexton_id id = register_object(engine, "rewritten", "a");
    sexton_batch *batch = take_due_batch(engine, 1);
    CHECK_INT(SEXTON_ANONYMISE, sexton_batch_disposition(batch));
    sexton_batch_id batch_id = sexton_batch_get_id(batch);
    uint8_t digest[64];
    memset(digest, 7, sizeof digest);
    sexton_answer answer = {0, SEXTON_ANSWER_ANONYMISED, {digest, sizeof digest}};
    sexton_error *error = NULL;
    size_t taken;
    CHECK_OK(sexton_answer_objects(engine, &batch_id, &answer, 1, &taken, &error), error);
    CHECK_INT(1, taken);
    run_until_idle(engine);
    CHECK_INT(1, class_counters(engine, "rewritten").anonymised);
    check_ended(engine, id, "a", SEXTON_COMPLIANCE_KEPT, "anonymised");
    sexton_batch_free(batch);
    close_engine(engine);
}

TEST("a batch is handed out in parts of sub_batch_objects") {
    sexton_engine *engine = open_engine("sub_batch_objects", 3);
    sexton_batch *parts[4];
    size_t len, sum = 0;
    register_objects(engine, "files", "a", 10);
    advance_ms(2 * SECOND_MS);
    run_until_idle(engine);
    for (uint32_t i = 0; i < 4; i++) {
        parts[i] = next_batch(engine);
        CHECK(parts[i] != NULL && sexton_batch_objects(parts[i], &len) != NULL);
        CHECK(len <= 3);
        sum += len;
        CHECK_INT(sexton_batch_get_id(parts[0]).batch, sexton_batch_get_id(parts[i]).batch);
        CHECK_INT(i, sexton_batch_get_id(parts[i]).index);
    }
    CHECK_INT(10, sum);
    CHECK(next_batch(engine) == NULL);
    for (size_t i = 4; i-- > 0;) {
        answer_all(engine, parts[i], SEXTON_ANSWER_DELETED);
        sexton_batch_free(parts[i]);
    }
    run_until_idle(engine);
    check_counts(engine, 0, 10);
    close_engine(engine);
}

TEST("batches_in_flight bounds the batches handed out") {
    sexton_options *options = test_options();
    set_option_uint(options, "batches_in_flight", 1);
    sexton_engine *engine = define_classes(open_with_options(options), CLASS_OTHERS);
    register_object(engine, "files", "a");
    register_object(engine, "others", "b");
    sexton_batch *first = take_due_batch(engine, 1);
    run_until_idle(engine);
    CHECK(next_batch(engine) == NULL);
    answer_all(engine, first, SEXTON_ANSWER_DELETED);
    run_until_idle(engine);
    sexton_batch *second = take_batch(engine, 1);
    answer_all(engine, second, SEXTON_ANSWER_DELETED);
    run_until_idle(engine);
    CHECK_INT(0, class_counters(engine, "files").live + class_counters(engine, "others").live);
    sexton_batch_free(first);
    sexton_batch_free(second);
    close_engine(engine);
    sexton_options_free(options);
}

TEST("answers before closing are kept, the rest comes again") {
    sexton_engine *engine = open_engine(NULL, 0);
    register_objects(engine, "files", "a", 3);
    sexton_batch *batch = take_due_batch(engine, 3);
    const sexton_object *objects = sexton_batch_objects(batch, NULL);
    CHECK_INT(1, answer_one(engine, sexton_batch_get_id(batch), 1, SEXTON_ANSWER_DELETED));
    close_engine(engine);
    engine = open_engine(NULL, 0);
    char key[16];
    copy_text(key, sizeof key, objects[1].key);
    check_ended(engine, objects[1].id, key, SEXTON_COMPLIANCE_KEPT, "deleted");
    check_counts(engine, 2, 1);
    advance_ms(2 * SECOND_MS);
    CHECK_INT(2, delete_due(engine));
    check_counts(engine, 0, 3);
    sexton_batch_free(batch);
    check_sound(engine);
    close_engine(engine);
}

TEST("a batch comes again after reopening, with higher epoch") {
    sexton_engine *engine = open_engine(NULL, 0);
    register_objects(engine, "files", "a", 3);
    sexton_batch *before = take_due_batch(engine, 3);
    sexton_batch_id old = sexton_batch_get_id(before);
    close_engine(engine);

    engine = open_engine(NULL, 0);
    run_until_idle(engine);
    sexton_batch *after = take_batch(engine, 3);
    sexton_batch_id new = sexton_batch_get_id(after);
    CHECK_INT(old.batch, new.batch);
    CHECK(new.epoch > old.epoch && new.attempt > old.attempt);
    size_t len;
    const sexton_object *a = sexton_batch_objects(before, &len),
                        *b = sexton_batch_objects(after, &len);
    for (size_t i = 0; i < 3; i++) {
        CHECK(ids_equal(a[i].id, b[i].id) && bytes_equal(a[i].key, b[i].key));
    }
    CHECK_INT(0, answer_one(engine, old, 0, SEXTON_ANSWER_DELETED));
    /* The host had deleted one before closing, and finds it absent. */
    CHECK_INT(1, answer_one(engine, new, 1, SEXTON_ANSWER_ABSENT));
    CHECK_INT(1, answer_one(engine, new, 0, SEXTON_ANSWER_DELETED));
    CHECK_INT(1, answer_one(engine, new, 2, SEXTON_ANSWER_DELETED));
    run_until_idle(engine);
    char key[16];
    copy_text(key, sizeof key, b[1].key);
    check_ended(engine, b[1].id, key, SEXTON_COMPLIANCE_KEPT, "absent-after-intent");
    CHECK_INT(1, class_counters(engine, "files").absent_after_intent);
    CHECK_INT(0, class_counters(engine, "files").absent);
    check_counts(engine, 0, 2);
    sexton_batch_free(before);
    sexton_batch_free(after);
    check_sound(engine);
    close_engine(engine);
}
