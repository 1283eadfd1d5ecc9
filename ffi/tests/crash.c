/* Crashes: a process is killed, and the next one finds what was answered and gets the open sub-batches again. */

#define TESTS_ISOLATED
#include "fixture.h"

/* Runs `work` in a child, and kills it after it has written at least `minimum` bytes to its descriptor. Returns the
 * number of bytes it wrote, which are in `out`. */
static size_t kill_while_working(void (*work)(int progress), size_t minimum, char *out,
                                 size_t size) {
    int ends[2], status = 0;
    size_t len = 0;
    CHECK_INT(0, pipe(ends));
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        work(ends[1]);
        _exit(1); /* `work` must not return */
    }
    close(ends[1]);
    while (len < minimum) {
        ssize_t got = read(ends[0], out + len, size - len);
        CHECK(got > 0);
        len += (size_t)got;
    }
    kill(child, SIGKILL);
    for (ssize_t got; (got = read(ends[0], out + len, size - len)) > 0;) {
        len += (size_t)got;
    }
    close(ends[0]);
    CHECK_INT(child, waitpid(child, &status, 0));
    CHECK(WIFSIGNALED(status));
    return len;
}

static void register_forever(int progress) {
    sexton_engine *engine = open_engine("threads", 1);
    char key[32];
    for (unsigned i = 0;; i++) {
        snprintf(key, sizeof key, "%u", i);
        register_object(engine, "files", key);
        /* One byte per call that returned. */
        CHECK(write(progress, "x", 1) == 1);
    }
}

TEST("answered registrations survive a kill, plus at most one more") {
    static char progress[1 << 20];
    size_t answered =
        kill_while_working(register_forever, test_size(300, 20), progress, sizeof progress);
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_error *error = NULL;
    sexton_id id;
    char key[32];
    for (size_t i = 0; i < answered; i++) {
        snprintf(key, sizeof key, "%zu", i);
        CHECK_OK(sexton_find(engine, bytes(key), bytes(""), &id, &error), error);
    }
    uint64_t live = class_counters(engine, "files").live;
    CHECK(live == answered || live == answered + 1);
    check_sound(engine);
    close_engine(engine);
}

static void take_and_wait(int progress) {
    sexton_engine *engine = open_engine(NULL, 0);
    register_objects(engine, "files", "a", 3);
    sexton_batch *batch = take_due_batch(engine, 3);
    CHECK_INT(1, answer_one(engine, sexton_batch_get_id(batch), 0, SEXTON_ANSWER_DELETED));
    CHECK(write(progress, "x", 1) == 1);
    pause();
}

TEST("the next process gets the sub-batch of a killed one again") {
    char progress[16];
    CHECK_INT(1, kill_while_working(take_and_wait, 1, progress, sizeof progress));
    advance_ms(2 * SECOND_MS);
    sexton_engine *engine = open_engine(NULL, 0);
    run_until_idle(engine);
    sexton_batch *batch = take_batch(engine, 3);
    CHECK(sexton_batch_get_id(batch).attempt > 1);
    CHECK_INT(3, answer_all(engine, batch, SEXTON_ANSWER_ABSENT));
    run_until_idle(engine);
    /* The intent is on record, so absent objects count as deleted by the killed process. */
    size_t len;
    const sexton_object *object = sexton_batch_objects(batch, &len);
    char key[16];
    copy_text(key, sizeof key, object->key);
    check_ended(engine, object->id, key, SEXTON_COMPLIANCE_KEPT, "absent-after-intent");
    CHECK_INT(0, class_counters(engine, "files").live);
    sexton_batch_free(batch);
    check_sound(engine);
    close_engine(engine);
}

static void delete_forever(int progress) {
    sexton_engine *engine = open_engine(NULL, 0);
    char name[32];
    for (unsigned i = 0;; i++) {
        snprintf(name, sizeof name, "%u", i);
        register_objects(engine, "files", name, 5);
        advance_ms(2 * SECOND_MS);
        CHECK_INT(5, delete_due(engine));
        CHECK(write(progress, "xxxxx", 5) == 5);
    }
}

TEST("a kill during commits leaves each deletion recorded once") {
    static char progress[1 << 20];
    size_t deleted =
        kill_while_working(delete_forever, test_size(100, 10), progress, sizeof progress);
    advance_ms(DAY_MS / 2); /* beyond the time that the child reached on its own clock */
    sexton_engine *engine = open_engine(NULL, 0);
    check_sound(engine);
    uint64_t recorded = class_counters(engine, "files").deleted;
    uint64_t more = delete_due(engine);
    CHECK(recorded >= deleted && recorded + more <= deleted + 10);
    CHECK_INT(recorded + more, class_counters(engine, "files").deleted);
    CHECK_INT(0, class_counters(engine, "files").live);
    check_sound(engine);
    close_engine(engine);
}
