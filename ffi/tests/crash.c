/* Crashes: a process is killed, and the next one finds what was answered, and has handed to it what was out. */

#define TESTS_APART
#include "site.h"

/* Has a child do `work` until it is killed; what it wrote to `*told` until then. */
static size_t kill_in_the_middle(void (*work)(int told), size_t enough, char *into, size_t size) {
    int ends[2], status = 0;
    size_t len = 0;
    CHECK_INT(0, pipe(ends));
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        work(ends[1]);
        _exit(1); /* It works until it is killed. */
    }
    close(ends[1]);
    while (len < enough) {
        ssize_t got = read(ends[0], into + len, size - len);
        CHECK(got > 0);
        len += (size_t)got;
    }
    kill(child, SIGKILL);
    for (ssize_t got; (got = read(ends[0], into + len, size - len)) > 0;) {
        len += (size_t)got;
    }
    close(ends[0]);
    CHECK_INT(child, waitpid(child, &status, 0));
    CHECK(WIFSIGNALED(status));
    return len;
}

static void register_for_ever(int told) {
    sexton_engine *engine = open_site("threads", 1);
    char key[32];
    for (unsigned i = 0;; i++) {
        snprintf(key, sizeof key, "%u", i);
        put(engine, "files", key);
        /* Told only after it was answered. */
        CHECK(write(told, "x", 1) == 1);
    }
}

TEST("what was answered before a process was killed is registered, and of more at most the call under way") {
    static char told[1 << 20];
    size_t answered = kill_in_the_middle(register_for_ever, test_size(300, 20), told, sizeof told);
    sexton_engine *engine = open_site(NULL, 0);
    sexton_error *error = NULL;
    sexton_id id;
    char key[32];
    for (size_t i = 0; i < answered; i++) {
        snprintf(key, sizeof key, "%zu", i);
        CHECK_OK(sexton_find(engine, bytes(key), &id, &error), error);
    }
    uint64_t live = counters(engine, "files").live;
    CHECK(live == answered || live == answered + 1);
    check_sound(engine);
    close_site(engine);
}

static void take_and_hold(int told) {
    sexton_engine *engine = open_site(NULL, 0);
    put_many(engine, "files", "a", 3);
    pass_ms(2 * SECOND_MS);
    settle(engine);
    sexton_batch *batch = take(engine, 3);
    CHECK_INT(1, answer_one(engine, sexton_batch_get_id(batch), 0, SEXTON_ANSWER_DELETED));
    CHECK(write(told, "x", 1) == 1);
    pause();
}

TEST("a killed process leaves its sub-batch to the next one, which gets it as a further attempt") {
    char told[16];
    CHECK_INT(1, kill_in_the_middle(take_and_hold, 1, told, sizeof told));
    pass_ms(2 * SECOND_MS);
    sexton_engine *engine = open_site(NULL, 0);
    settle(engine);
    sexton_batch *batch = take(engine, 3);
    CHECK(sexton_batch_get_id(batch).attempt > 1);
    CHECK_INT(3, answer_all(engine, batch, SEXTON_ANSWER_ABSENT));
    settle(engine);
    /* Nobody but the killed process can have deleted them. */
    size_t len;
    const sexton_object *object = sexton_batch_objects(batch, &len);
    char key[16];
    snprintf(key, sizeof key, "%.*s", (int)object->key.len, (const char *)object->key.data);
    check_ended(engine, object->id, key, SEXTON_OUTCOME_KEPT, "absent-after-intent");
    CHECK_INT(0, counters(engine, "files").live);
    sexton_batch_free(batch);
    check_sound(engine);
    close_site(engine);
}

static void delete_for_ever(int told) {
    sexton_engine *engine = open_site(NULL, 0);
    char name[32];
    for (unsigned i = 0;; i++) {
        snprintf(name, sizeof name, "%u", i);
        put_many(engine, "files", name, 5);
        pass_ms(2 * SECOND_MS);
        CHECK_INT(5, delete_due(engine));
        CHECK(write(told, "xxxxx", 5) == 5);
    }
}

TEST("a process that is killed while it commits leaves a folder in which every deletion is on record once") {
    static char told[1 << 20];
    size_t deleted = kill_in_the_middle(delete_for_ever, test_size(100, 10), told, sizeof told);
    pass_ms(DAY_MS / 2); /* The child's time went on without ours. */
    sexton_engine *engine = open_site(NULL, 0);
    check_sound(engine);
    uint64_t ended = counters(engine, "files").deleted;
    uint64_t more = delete_due(engine);
    CHECK(ended >= deleted && ended + more <= deleted + 10);
    CHECK_INT(ended + more, counters(engine, "files").deleted);
    CHECK_INT(0, counters(engine, "files").live);
    check_sound(engine);
    close_site(engine);
}
