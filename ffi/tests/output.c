/* Output of the library: nothing on standard output and standard error, log lines to the callback of the host. */

#include "fixture.h"

#include <fcntl.h>

/* The tests that fork come first: a child of a process that had an engine open cannot open one. */

/* Does everything that might make a library print: warnings, refused calls, a failed write, a bad file. */
static void provoke_messages(void) {
    sexton_options *options = test_options();
    sexton_error *error = NULL;
    sexton_engine *other = NULL;
    set_option(options, "log_level", "debug");
    sexton_engine *engine = open_with_options(options);
    register_objects(engine, "files", "a", 3);
    sexton_batch *batch = take_due_batch(engine, 3);
    answer_all(engine, batch, SEXTON_ANSWER_REFUSED);
    sexton_batch_free(batch);
    run_until_idle(engine);
    advance_ms(HOUR_MS);
    CHECK_INT(3, delete_due(engine));
    CHECK_STATUS(SEXTON_BUSY, sexton_open(bytes(test_folder()), options, &other, &error), error);
    CHECK_STATUS(SEXTON_INVALID, sexton_define_classes(engine, bytes("[class.A]"), &error), error);
    break_commit(engine, "b");
    sexton_engine_free(engine);
    /* The tombstone folder is a file now. */
    if (sexton_open(bytes(test_folder()), options, &other, &error) == SEXTON_OK) {
        sexton_engine_free(other);
    }
    sexton_error_free(error);
    sexton_options_free(options);
}

TEST("failures write nothing to standard output and error") {
    test_check_silent(provoke_messages);
}

static void run_without_descriptors(void) {
    /* With 1 and 2 closed the engine's files get these numbers, so that printed text would end up in them. */
    sexton_options *options = test_options();
    sexton_engine *engine = open_with_options(options);
    register_objects(engine, "files", "a", 3);
    advance_ms(2 * SECOND_MS);
    CHECK_INT(3, delete_due(engine));
    check_sound(engine);
    close_engine(engine);
    sexton_options_free(options);
}

TEST("a host without standard descriptors works") {
    pid_t child = fork();
    if (child == 0) {
        close(0);
        close(1);
        close(2);
        run_without_descriptors();
        _exit(0);
    }
    test_wait_child(child);
}

/* ---- the log ---- */

typedef struct log_lines {
    atomic_size_t count[5];
    atomic_int wrong;
    char last[512];
} log_lines;

static void record_line(void *user, int32_t level, sexton_bytes line) {
    log_lines *lines = user;
    int is_valid = level >= SEXTON_LOG_ERROR && level <= SEXTON_LOG_DEBUG && line.len > 0 &&
                   memchr(line.data, '\n', line.len) == NULL &&
                   memchr(line.data, '\x1b', line.len) == NULL;
    lines->wrong += !is_valid;
    lines->count[is_valid ? level : 0]++;
    copy_text(lines->last, sizeof lines->last, line);
}

static sexton_engine *open_logged(log_lines *lines, const char *level) {
    sexton_options *options = test_options();
    sexton_error *error = NULL;
    memset(lines, 0, sizeof *lines);
    set_option(options, "log_level", level);
    CHECK_OK(sexton_options_set_log(options, record_line, lines, &error), error);
    sexton_engine *engine = open_with_options(options);
    sexton_options_free(options);
    return engine;
}

static void refuse_object(sexton_engine *engine, const char *key) {
    register_object(engine, "files", key);
    advance_ms(2 * SECOND_MS);
    run_until_idle(engine);
    sexton_batch *batch = take_any_batch(engine);
    answer_all(engine, batch, SEXTON_ANSWER_REFUSED);
    sexton_batch_free(batch);
    run_until_idle(engine);
}

TEST("the log callback gets warnings and errors, line by line") {
    static log_lines lines;
    sexton_engine *engine = open_logged(&lines, "debug");
    refuse_object(engine, "a");
    CHECK(lines.count[SEXTON_LOG_WARN] > 0);
    CHECK(strstr(lines.last, "result=\"refused\"") != NULL);
    break_commit(engine, "b");
    CHECK(lines.count[SEXTON_LOG_ERROR] > 0);
    CHECK_INT(0, lines.wrong);
    sexton_engine_free(engine);
}

TEST("the log callback gets no lines below log_level") {
    static log_lines lines;
    sexton_engine *engine = open_logged(&lines, "error");
    refuse_object(engine, "a");
    CHECK_INT(0, lines.count[SEXTON_LOG_WARN] + lines.count[SEXTON_LOG_INFO] +
                     lines.count[SEXTON_LOG_DEBUG]);
    break_commit(engine, "b");
    CHECK(lines.count[SEXTON_LOG_ERROR] > 0);
    sexton_engine_free(engine);
}

TEST("each engine calls its own log callback, until it is closed") {
    static log_lines lines;
    sexton_engine *engine = open_logged(&lines, "debug");
    sexton_options *options = test_options();
    sexton_engine *other = open_below("other", options);
    sexton_options_free(options);
    memset(&lines, 0, sizeof lines);
    refuse_object(other, "a");
    CHECK_INT(0, lines.count[SEXTON_LOG_WARN]);
    refuse_object(engine, "a");
    CHECK(lines.count[SEXTON_LOG_WARN] > 0);
    close_engine(engine);
    memset(&lines, 0x55, sizeof lines);
    log_lines before = lines;
    refuse_object(other, "b");
    CHECK(memcmp(&before, &lines, sizeof lines) == 0);
    close_engine(other);
}
