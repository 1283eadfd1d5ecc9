/* Nothing is written to standard output or standard error; what the library has to say goes to the host. */

#include "site.h"

#include <fcntl.h>

/* What is written to descriptors 1 and 2 while `work` runs in a child. */
static size_t written_by(void (*work)(void), char *into, size_t size) {
    int ends[2];
    size_t len = 0;
    CHECK_INT(0, pipe(ends));
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        work();
        fflush(NULL);
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t got; (got = read(ends[0], into + len, size - 1 - len)) > 0;) {
        len += (size_t)got;
    }
    into[len] = 0;
    close(ends[0]);
    int status = 0;
    CHECK_INT(child, waitpid(child, &status, 0));
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return len;
}

/* The tests that fork come first: a child of a process that had an engine open could open none. */
static void check_silent(void (*work)(void)) {
    char said[4096];
    if (written_by(work, said, sizeof said) != 0) {
        FAIL("somebody wrote: %s", said);
    }
}

static void break_the_commit(sexton_engine *engine, const char *key) {
    char command[8400];
    sexton_error *error = NULL;
    int64_t next_ms;
    put(engine, "files", key);
    pass_ms(2 * SECOND_MS);
    settle(engine);
    sexton_batch *batch = take_any(engine);
    snprintf(command, sizeof command, "cd '%s' && rm -rf tombstones && touch tombstones",
             test_folder());
    CHECK_INT(0, system(command));
    answer_all(engine, batch, SEXTON_ANSWER_DELETED);
    sexton_run(engine, 1000, &next_ms, &error);
    sexton_error_free(error);
    sexton_batch_free(batch);
}

/* A life with everything in it that might make a library talk: warnings, refusals, a failed write, a bad file. */
static void a_noisy_life(void) {
    sexton_options *options = site_options();
    sexton_error *error = NULL;
    sexton_engine *other = NULL;
    set(options, "log_level", "debug");
    sexton_engine *engine = open_with(options);
    put_many(engine, "files", "a", 3);
    pass_ms(2 * SECOND_MS);
    settle(engine);
    sexton_batch *batch = take(engine, 3);
    answer_all(engine, batch, SEXTON_ANSWER_REFUSED);
    sexton_batch_free(batch);
    settle(engine);
    pass_ms(HOUR_MS);
    CHECK_INT(3, delete_due(engine));
    CHECK_STATUS(SEXTON_BUSY, sexton_open(bytes(test_folder()), options, &other, &error), error);
    CHECK_STATUS(SEXTON_INVALID, sexton_define_classes(engine, bytes("[class.A]"), &error), error);
    break_the_commit(engine, "b");
    sexton_engine_free(engine);
    /* Now without a folder for the tombstones. */
    if (sexton_open(bytes(test_folder()), options, &other, &error) == SEXTON_OK) {
        sexton_engine_free(other);
    }
    sexton_error_free(error);
    sexton_options_free(options);
}

TEST("nothing is written to standard output or standard error, whatever goes wrong") {
    check_silent(a_noisy_life);
}

static void a_life_without_output(void) {
    /* With 1 and 2 closed, the engine's files get these numbers: what is printed would end up in them. */
    sexton_options *options = site_options();
    sexton_engine *engine = open_with(options);
    put_many(engine, "files", "a", 3);
    pass_ms(2 * SECOND_MS);
    CHECK_INT(3, delete_due(engine));
    check_sound(engine);
    close_site(engine);
    sexton_options_free(options);
}

TEST("a host without standard descriptors is served as well") {
    pid_t child = fork();
    if (child == 0) {
        close(0);
        close(1);
        close(2);
        a_life_without_output();
        _exit(0);
    }
    int status = 0;
    CHECK_INT(child, waitpid(child, &status, 0));
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- the log ---- */

typedef struct log_lines {
    atomic_size_t count[5];
    atomic_int wrong;
    char last[512];
} log_lines;

static void note_line(void *user, int32_t level, sexton_bytes line) {
    log_lines *lines = user;
    int is_fine = level >= SEXTON_LOG_ERROR && level <= SEXTON_LOG_DEBUG && line.len > 0 &&
                  memchr(line.data, '\n', line.len) == NULL &&
                  memchr(line.data, '\x1b', line.len) == NULL;
    lines->wrong += !is_fine;
    lines->count[is_fine ? level : 0]++;
    snprintf(lines->last, sizeof lines->last, "%.*s", (int)line.len, (const char *)line.data);
}

static sexton_engine *open_logged(log_lines *lines, const char *level) {
    sexton_options *options = site_options();
    sexton_error *error = NULL;
    memset(lines, 0, sizeof *lines);
    set(options, "log_level", level);
    CHECK_OK(sexton_options_set_log(options, note_line, lines, &error), error);
    sexton_engine *engine = open_with(options);
    sexton_options_free(options);
    return engine;
}

static void refuse_one(sexton_engine *engine, const char *key) {
    put(engine, "files", key);
    pass_ms(2 * SECOND_MS);
    settle(engine);
    sexton_batch *batch = take_any(engine);
    answer_all(engine, batch, SEXTON_ANSWER_REFUSED);
    sexton_batch_free(batch);
    settle(engine);
}

TEST("what the engine has to say reaches the host's callback, a line at a time") {
    static log_lines lines;
    sexton_engine *engine = open_logged(&lines, "debug");
    refuse_one(engine, "a");
    CHECK(lines.count[SEXTON_LOG_WARN] > 0);
    CHECK(strstr(lines.last, "the store refused") != NULL);
    break_the_commit(engine, "b");
    CHECK(lines.count[SEXTON_LOG_ERROR] > 0);
    CHECK_INT(0, lines.wrong);
    sexton_engine_free(engine);
}

TEST("lines below the level that was set are not told") {
    static log_lines lines;
    sexton_engine *engine = open_logged(&lines, "error");
    refuse_one(engine, "a");
    CHECK_INT(0, lines.count[SEXTON_LOG_WARN] + lines.count[SEXTON_LOG_INFO] +
                     lines.count[SEXTON_LOG_DEBUG]);
    break_the_commit(engine, "b");
    CHECK(lines.count[SEXTON_LOG_ERROR] > 0);
    sexton_engine_free(engine);
}

TEST("each engine tells its own host, and a closed one tells nobody") {
    static log_lines lines;
    sexton_engine *engine = open_logged(&lines, "debug");
    sexton_options *options = site_options();
    sexton_error *error = NULL;
    sexton_engine *other = NULL;
    char folder[4400];
    snprintf(folder, sizeof folder, "%s/other", test_folder());
    CHECK_OK(sexton_open(bytes(folder), options, &other, &error), error);
    sexton_options_free(options);
    memset(&lines, 0, sizeof lines);
    refuse_one(other, "a");
    CHECK_INT(0, lines.count[SEXTON_LOG_WARN]);
    refuse_one(engine, "a");
    CHECK(lines.count[SEXTON_LOG_WARN] > 0);
    close_site(engine);
    memset(&lines, 0x55, sizeof lines);
    log_lines before = lines;
    refuse_one(other, "b");
    CHECK(memcmp(&before, &lines, sizeof lines) == 0);
    close_site(other);
}
