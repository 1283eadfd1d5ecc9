/* Every status that a call can have, provoked from outside; only SEXTON_INTERNAL needs the help of a panic, in panic.c,
 * and SEXTON_NOT_VERIFIED is in proof.c. */

#include "site.h"

/* The test's folder with something behind it. */
static const char *in_folder(const char *name) {
    static char path[4400];
    snprintf(path, sizeof path, "%s/%s", test_folder(), name);
    return path;
}

/* Runs a command in the test's folder. */
static void in_shell(const char *command) {
    char line[8192];
    snprintf(line, sizeof line, "cd '%s' && %s", test_folder(), command);
    CHECK_INT(0, system(line));
}

static void write_file(const char *name, const char *text) {
    FILE *file = fopen(in_folder(name), "w");
    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static int32_t state_of(const sexton_engine *engine) {
    sexton_error *error = NULL;
    int32_t state = 77;
    CHECK_OK(sexton_state(engine, &state, &error), error);
    return state;
}

/* That opening the folder has this status, and writes nothing. */
static void check_open(int32_t expected, sexton_bytes folder, const sexton_options *options) {
    char untouched;
    sexton_engine *engine = (sexton_engine *)(void *)&untouched;
    sexton_error *error = NULL;
    CHECK_STATUS(expected, sexton_open(folder, options, &engine, &error), error);
    CHECK((void *)engine == (void *)&untouched);
}

static int32_t try_to_register(sexton_engine *engine, const char *class_name, const char *key) {
    char untouched;
    sexton_registration one = registration(class_name, key);
    sexton_results *results = (sexton_results *)(void *)&untouched;
    sexton_error *error = NULL;
    int32_t status = sexton_register(engine, &one, 1, 0, &results, &error);
    CHECK((void *)results == (void *)&untouched);
    CHECK_STATUS(status, status, error);
    return status;
}

TEST("INVALID: input outside its bounds, and of a call with one such item nothing is applied") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_registration two[2] = {registration("files", "a"), registration("no such class", "b")};
    sexton_results *results = NULL;
    sexton_error *error = NULL;
    sexton_id id;
    CHECK_STATUS(SEXTON_INVALID, sexton_register(engine, two, 2, 0, &results, &error), error);
    CHECK(results == NULL);
    CHECK_STATUS(SEXTON_NOT_FOUND, sexton_find(engine, bytes("a"), &id, &error), error);
    CHECK_INT(0, counters(engine, "files").registered);
    close_site(engine);
}

TEST("NOT_FOUND: what was named does not exist") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_text *text = NULL;
    sexton_error *error = NULL;
    sexton_id id = put(engine, "files", "a");
    CHECK_STATUS(SEXTON_NOT_FOUND, sexton_find(engine, bytes("b"), &id, &error), error);
    CHECK_STATUS(SEXTON_NOT_FOUND,
                 sexton_receipt(engine, &id, SEXTON_OPENER_KEY, bytes("a"), &text, &error), error);
    CHECK_STATUS(SEXTON_NOT_FOUND, sexton_cancel_erasure(engine, 9, &text, &error), error);
    CHECK_STATUS(SEXTON_NOT_FOUND,
                 sexton_lift_hold(engine, bytes("x"), bytes("r"), bytes("a"), 0, &text, &error), error);
    CHECK(text == NULL);
    close_site(engine);
}

TEST("HELD: a class hold keeps the very object from being registered under another class") {
    sexton_engine *engine = define(open_site(NULL, 0), OTHERS);
    const sexton_bytes files = bytes("files");
    sexton_hold hold = {bytes("case 7"),
                        {SEXTON_SELECT_CLASS, &files, 1},
                        SEXTON_HOLD_TEMPORARY,
                        bytes("court order"),
                        bytes("Ada"),
                        now_ms() + DAY_MS};
    sexton_text *text = NULL;
    sexton_error *error = NULL;
    put(engine, "files", "a");
    CHECK_OK(sexton_place_hold(engine, &hold, &text, &error), error);
    sexton_text_free(text);
    CHECK_INT(SEXTON_HELD, try_to_register(engine, "others", "a"));
    CHECK_INT(0, counters(engine, "others").registered);
    close_site(engine);
}

TEST("TOO_LATE: an erasure that is final cannot be cancelled") {
    sexton_engine *engine = open_site(NULL, 0);
    const sexton_bytes a = bytes("a");
    sexton_erasure erasure = {{SEXTON_SELECT_KEYS, &a, 1}, SEXTON_UNKNOWN_MS, {NULL, 0}, {NULL, 0}, 0,
                              bytes("asked"),              bytes("Ada")};
    sexton_text *text = NULL;
    sexton_error *error = NULL;
    put(engine, "files", "a");
    CHECK_OK(sexton_erase(engine, &erasure, &text, &error), error);
    uint32_t number = (uint32_t)json_number(text, "number");
    sexton_text_free(text);
    text = NULL;
    CHECK_STATUS(SEXTON_TOO_LATE, sexton_cancel_erasure(engine, number, &text, &error), error);
    CHECK(text == NULL);
    close_site(engine);
}

TEST("BUSY: a folder is opened once at a time") {
    sexton_options *options = site_options();
    sexton_engine *engine = open_with(options);
    check_open(SEXTON_BUSY, bytes(test_folder()), options);
    put(engine, "files", "a");
    close_site(engine);
    engine = open_with(options);
    CHECK_INT(1, counters(engine, "files").live);
    close_site(engine);
    sexton_options_free(options);
}

TEST("FULL: nothing is registered where the reserve for deleting is not free, and deleting goes on") {
    sexton_engine *engine = open_site(NULL, 0);
    put(engine, "files", "a");
    close_site(engine);
    engine = open_site("disk_reserve_bytes", INT64_MAX);
    CHECK_INT(SEXTON_FULL, try_to_register(engine, "files", "b"));
    CHECK_INT(SEXTON_STATE_RUNNING, state_of(engine));
    pass_ms(2 * SECOND_MS);
    CHECK_INT(1, delete_due(engine));
    close_site(engine);
}

TEST("IO: the system refuses") {
    sexton_options *options = site_options();
    write_file("file", "this is no folder");
    check_open(SEXTON_IO, bytes(in_folder("file/data")), options);
    sexton_options_free(options);
}

TEST("CORRUPT: what is stored contradicts itself") {
    sexton_options *options = site_options();
    sexton_engine *engine = open_with(options);
    put(engine, "files", "a");
    pass_ms(2 * SECOND_MS);
    CHECK_INT(1, delete_due(engine));
    close_site(engine);
    in_shell("cp head head.good");
    write_file("head", "sexton head v0\nsize 1\nroot 00\ncheck 00\n");
    check_open(SEXTON_CORRUPT, bytes(test_folder()), options);
    in_shell("mv head.good head");
    close_site(open_with(options));
    sexton_options_free(options);
}

TEST("FORKED: an index from before the published log opens, says so, and changes nothing") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_id id = put(engine, "files", "a"), found;
    sexton_error *error = NULL;
    put(engine, "files", "b");
    close_site(engine);
    in_shell("cp -a index index.old");
    engine = open_site(NULL, 0);
    pass_ms(2 * SECOND_MS);
    CHECK_INT(2, delete_due(engine));
    check_kept(engine, id, "a");
    close_site(engine);
    in_shell("rm -r index && mv index.old index");

    engine = open_site(NULL, 0);
    CHECK_INT(SEXTON_STATE_FORKED, state_of(engine));
    CHECK_INT(SEXTON_FORKED, try_to_register(engine, "files", "c"));
    CHECK_STATUS(SEXTON_FORKED, sexton_publish(engine, &error), error);
    CHECK_OK(sexton_find(engine, bytes("a"), &found, &error), error);
    close_site(engine);
}

/* Registers, takes and answers one object while its tombstone cannot be written. */
static void break_a_commit(sexton_engine *engine) {
    sexton_error *error = NULL;
    int64_t next_ms;
    put(engine, "files", "a");
    pass_ms(2 * SECOND_MS);
    settle(engine);
    sexton_batch *batch = take(engine, 1);
    sexton_batch_id id = sexton_batch_get_id(batch);
    sexton_answer answer = {0, SEXTON_ANSWER_DELETED, {NULL, 0}};
    size_t taken;
    in_shell("touch tombstones"); /* where there should be a folder */
    /* Whether the answer or the work behind it is told of the failure, is nobody's promise. */
    sexton_complete(engine, &id, &answer, 1, &taken, &error);
    sexton_error_free(error);
    error = NULL;
    sexton_run(engine, 1000, &next_ms, &error);
    sexton_error_free(error);
    sexton_batch_free(batch);
}

TEST("POISONED: after a failed write nothing more is written until the engine is opened again") {
    sexton_engine *engine = open_site(NULL, 0);
    break_a_commit(engine);
    CHECK_INT(SEXTON_STATE_POISONED, state_of(engine));
    CHECK_INT(SEXTON_POISONED, try_to_register(engine, "files", "b"));
    CHECK_INT(SEXTON_POISONED, try_to_register(engine, "files", "b"));
    close_site(engine);

    in_shell("rm tombstones");
    engine = open_site(NULL, 0);
    CHECK_INT(SEXTON_STATE_RUNNING, state_of(engine));
    CHECK_INT(1, delete_due(engine));
    CHECK_INT(1, counters(engine, "files").deleted);
    check_sound(engine);
    close_site(engine);
}

TEST("CLOSED: the engine was closed") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_error *error = NULL;
    CHECK_OK(sexton_close(engine, &error), error);
    CHECK_INT(SEXTON_CLOSED, try_to_register(engine, "files", "a"));
    sexton_engine_free(engine);
}
