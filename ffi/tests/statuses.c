/* Causes each status by calls and by changes to the files. Two are elsewhere: SEXTON_INTERNAL in panic.c, and
 * SEXTON_NOT_VERIFIED in proof.c. */

#include "fixture.h"

static void write_file(const char *name, const char *text) {
    FILE *file = fopen(test_path(name), "w");
    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static int32_t engine_state(const sexton_engine *engine) {
    sexton_error *error = NULL;
    int32_t state = 77;
    CHECK_OK(sexton_state(engine, &state, &error), error);
    return state;
}

/* Checks that opening a folder has this status and leaves the engine pointer alone. */
static void check_open(int32_t expected, sexton_bytes folder, const sexton_options *options) {
    sexton_engine *engine = UNTOUCHED(sexton_engine);
    sexton_error *error = NULL;
    CHECK_STATUS(expected, sexton_open(folder, options, &engine, &error), error);
    CHECK(engine == UNTOUCHED(sexton_engine));
}

TEST("INVALID: a call with one invalid item applies none") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_registration two[2] = {make_registration("files", "a"),
                                  make_registration("no such class", "b")};
    sexton_results *results = NULL;
    sexton_error *error = NULL;
    sexton_id id;
    CHECK_STATUS(SEXTON_INVALID, sexton_register(engine, two, 2, 0, &results, &error), error);
    CHECK(results == NULL);
    CHECK_STATUS(SEXTON_NOT_FOUND, sexton_find(engine, bytes("a"), bytes(""), &id, &error), error);
    CHECK_INT(0, class_counters(engine, "files").registered);
    close_engine(engine);
}

TEST("NOT_FOUND: an unknown key, receipt, erasure or hold") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_text *text = NULL;
    sexton_error *error = NULL;
    sexton_id id = register_object(engine, "files", "a");
    CHECK_STATUS(SEXTON_NOT_FOUND, sexton_find(engine, bytes("b"), bytes(""), &id, &error), error);
    CHECK_STATUS(SEXTON_NOT_FOUND,
                 sexton_receipt(engine, &id, SEXTON_OPENER_KEY, bytes("a"), &text, &error), error);
    CHECK_STATUS(SEXTON_NOT_FOUND, sexton_cancel_erasure(engine, 9, &text, &error), error);
    CHECK_STATUS(SEXTON_NOT_FOUND,
                 sexton_lift_hold(engine, bytes("x"), bytes("r"), bytes("a"), 0, &text, &error),
                 error);
    CHECK(text == NULL);
    close_engine(engine);
}

TEST("HELD: moving an object out of a held class") {
    sexton_engine *engine = define_classes(open_engine(NULL, 0), CLASS_OTHERS);
    const sexton_bytes files = bytes("files");
    const sexton_hold hold = make_hold("case 7", SEXTON_SELECT_CLASS, &files);
    sexton_text *text = NULL;
    sexton_error *error = NULL;
    register_object(engine, "files", "a");
    CHECK_OK(sexton_place_hold(engine, &hold, &text, &error), error);
    sexton_text_free(text);
    CHECK_INT(SEXTON_HELD, try_to_register_key(engine, "others", "a"));
    CHECK_INT(0, class_counters(engine, "others").registered);
    close_engine(engine);
}

TEST("TOO_LATE: cancelling a final erasure") {
    sexton_engine *engine = open_engine(NULL, 0);
    const sexton_bytes a = bytes("a");
    sexton_erasure erasure = {{SEXTON_SELECT_KEYS, &a, 1},
                              false,
                              0,
                              {NULL, 0},
                              {NULL, 0},
                              0,
                              bytes("asked"),
                              bytes("Ada")};
    sexton_text *text = NULL;
    sexton_error *error = NULL;
    register_object(engine, "files", "a");
    CHECK_OK(sexton_erase(engine, &erasure, &text, &error), error);
    uint32_t number = (uint32_t)json_number(text, "number");
    sexton_text_free(text);
    text = NULL;
    CHECK_STATUS(SEXTON_TOO_LATE, sexton_cancel_erasure(engine, number, &text, &error), error);
    CHECK(text == NULL);
    close_engine(engine);
}

TEST("BUSY: opening a folder that is already open") {
    sexton_options *options = test_options();
    sexton_engine *engine = open_with_options(options);
    check_open(SEXTON_BUSY, bytes(test_folder()), options);
    register_object(engine, "files", "a");
    close_engine(engine);
    engine = open_with_options(options);
    CHECK_INT(1, class_counters(engine, "files").live);
    close_engine(engine);
    sexton_options_free(options);
}

TEST("FULL: registering into the disk reserve; deleting goes on") {
    sexton_engine *engine = open_engine(NULL, 0);
    register_object(engine, "files", "a");
    close_engine(engine);
    engine = open_engine("disk_reserve_bytes", INT64_MAX);
    CHECK_INT(SEXTON_FULL, try_to_register_key(engine, "files", "b"));
    CHECK_INT(SEXTON_STATE_RUNNING, engine_state(engine));
    advance_ms(2 * SECOND_MS);
    CHECK_INT(1, delete_due(engine));
    close_engine(engine);
}

TEST("IO: opening a folder below a file") {
    sexton_options *options = test_options();
    write_file("file", "a file, not a folder");
    check_open(SEXTON_IO, bytes(test_path("file/data")), options);
    sexton_options_free(options);
}

TEST("CORRUPT: opening with a malformed head file") {
    sexton_options *options = test_options();
    sexton_engine *engine = open_with_options(options);
    register_object(engine, "files", "a");
    advance_ms(2 * SECOND_MS);
    CHECK_INT(1, delete_due(engine));
    close_engine(engine);
    test_shell("cp head head.good");
    write_file("head", "sexton head v0\nsize 1\nroot 00\ncheck 00\n");
    check_open(SEXTON_CORRUPT, bytes(test_folder()), options);
    test_shell("mv head.good head");
    close_engine(open_with_options(options));
    sexton_options_free(options);
}

TEST("FORKED: an index older than the log opens read-only") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_id id = register_object(engine, "files", "a"), found;
    sexton_error *error = NULL;
    register_object(engine, "files", "b");
    close_engine(engine);
    test_shell("cp -a index index.old");
    engine = open_engine(NULL, 0);
    advance_ms(2 * SECOND_MS);
    CHECK_INT(2, delete_due(engine));
    check_kept(engine, id, "a");
    close_engine(engine);
    test_shell("rm -r index && mv index.old index");

    engine = open_engine(NULL, 0);
    CHECK_INT(SEXTON_STATE_FORKED, engine_state(engine));
    CHECK_INT(SEXTON_FORKED, try_to_register_key(engine, "files", "c"));
    CHECK_STATUS(SEXTON_FORKED, sexton_publish(engine, &error), error);
    CHECK_OK(sexton_find(engine, bytes("a"), bytes(""), &found, &error), error);
    close_engine(engine);
}

TEST("POISONED: every write after a failed one, until reopening") {
    sexton_engine *engine = open_engine(NULL, 0);
    break_commit(engine, "a");
    CHECK_INT(SEXTON_STATE_POISONED, engine_state(engine));
    CHECK_INT(SEXTON_POISONED, try_to_register_key(engine, "files", "b"));
    CHECK_INT(SEXTON_POISONED, try_to_register_key(engine, "files", "b"));
    close_engine(engine);

    test_shell("rm tombstones");
    engine = open_engine(NULL, 0);
    CHECK_INT(SEXTON_STATE_RUNNING, engine_state(engine));
    CHECK_INT(1, delete_due(engine));
    CHECK_INT(1, class_counters(engine, "files").deleted);
    check_sound(engine);
    close_engine(engine);
}

TEST("CLOSED: a call after sexton_close") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_error *error = NULL;
    CHECK_OK(sexton_close(engine, &error), error);
    CHECK_INT(SEXTON_CLOSED, try_to_register_key(engine, "files", "a"));
    sexton_engine_free(engine);
}
