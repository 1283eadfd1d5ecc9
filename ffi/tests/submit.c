/* Registering and changing without blocking: submitted, announced on one descriptor, taken. */

#include "site.h"

#include <poll.h>

static int fd_of(const sexton_engine *engine) {
    sexton_error *error = NULL;
    int fd = -1;
    CHECK_OK(sexton_event_fd(engine, &fd, &error), error);
    CHECK(fd >= 0);
    return fd;
}

/* Whether the descriptor is readable, within so many ms. */
static int is_readable(const sexton_engine *engine, int wait_ms) {
    struct pollfd one = {fd_of(engine), POLLIN, 0};
    int ready = poll(&one, 1, wait_ms);
    CHECK(ready >= 0);
    CHECK(ready == 0 || one.revents == POLLIN);
    return ready;
}

/* Waits until something can be taken; only an engine that never tells ends this. */
static void wait_readable(const sexton_engine *engine) {
    CHECK(is_readable(engine, NEVER_SECONDS * 1000));
}

static int32_t submit(sexton_engine *engine, uint64_t token, const char *class_name, const char *key) {
    sexton_registration one = registration(class_name, key);
    sexton_error *error = NULL;
    int32_t status = sexton_submit_register(engine, token, &one, 1, 0, &error);
    CHECK_STATUS(status, status, error);
    return status;
}

/* The next completion, or NULL. */
static sexton_results *completion(sexton_engine *engine) {
    sexton_results *results = NULL;
    sexton_error *error = NULL;
    CHECK_OK(sexton_next_completion(engine, &results, &error), error);
    return results;
}

TEST("what is submitted comes back with its token, and the descriptor is readable exactly meanwhile") {
    sexton_engine *engine = open_site("threads", 1);
    sexton_error *error = NULL;
    sexton_id found;
    size_t len;
    CHECK(!is_readable(engine, 0) && completion(engine) == NULL);
    CHECK_INT(SEXTON_OK, submit(engine, UINT64_C(0xfeedfacecafebeef), "files", "a"));
    wait_readable(engine);
    CHECK(is_readable(engine, 0));
    sexton_results *results = completion(engine);
    CHECK(results != NULL && !is_readable(engine, 0) && completion(engine) == NULL);
    CHECK(sexton_results_token(results) == UINT64_C(0xfeedfacecafebeef));
    CHECK_INT(SEXTON_OK, sexton_results_status(results));
    CHECK_INT(0, sexton_results_message(results).len);
    const sexton_registered *registered = sexton_results_registered(results, &len);
    CHECK_INT(1, len);
    CHECK_OK(sexton_find(engine, bytes("a"), &found, &error), error);
    CHECK(is_same_id(found, registered->id));
    sexton_results_free(results);
    close_site(engine);
}

TEST("what is submitted is copied: the host may overwrite it at once") {
    sexton_engine *engine = open_site("threads", 1);
    sexton_error *error = NULL;
    sexton_id found;
    char key[] = "the key", class_name[] = "files";
    sexton_registration one = registration(class_name, key);
    CHECK_OK(sexton_submit_register(engine, 1, &one, 1, 0, &error), error);
    memset(key, 'x', sizeof key - 1);
    memset(class_name, 'x', sizeof class_name - 1);
    memset(&one, 0x55, sizeof one);
    wait_readable(engine);
    sexton_results_free(completion(engine));
    CHECK_OK(sexton_find(engine, bytes("the key"), &found, &error), error);
    close_site(engine);
}

TEST("a submitted call that is refused says so in its completion, with a sentence and without items") {
    sexton_engine *engine = open_site("threads", 1);
    size_t len = 77;
    CHECK_INT(SEXTON_OK, submit(engine, 5, "no such class", "a"));
    wait_readable(engine);
    sexton_results *results = completion(engine);
    CHECK_INT(5, sexton_results_token(results));
    CHECK_INT(SEXTON_INVALID, sexton_results_status(results));
    CHECK(sexton_results_message(results).len > 0);
    CHECK(sexton_results_registered(results, &len) == NULL);
    CHECK_INT(0, len);
    sexton_results_free(results);
    close_site(engine);
}

TEST("changes are submitted likewise, and each has its own answer") {
    sexton_engine *engine = open_site("threads", 1);
    sexton_error *error = NULL;
    size_t len;
    put(engine, "files", "a");
    sexton_change changes[2] = {
        {SEXTON_RESCHEDULE, bytes("a"), {{0}}, {NULL, 0}, now_ms() + HOUR_MS},
        {SEXTON_RELEASE, bytes("nobody"), {{0}}, {NULL, 0}, SEXTON_UNKNOWN_MS}};
    CHECK_OK(sexton_submit_change(engine, 6, changes, 2, 0, &error), error);
    wait_readable(engine);
    sexton_results *results = completion(engine);
    CHECK_INT(6, sexton_results_token(results));
    CHECK_INT(SEXTON_OK, sexton_results_status(results));
    CHECK(sexton_results_registered(results, &len) == NULL);
    const sexton_changed *changed = sexton_results_changed(results, &len);
    CHECK_INT(2, len);
    CHECK_INT(SEXTON_OK, changed[0].status);
    CHECK_INT(now_ms() + HOUR_MS + SECOND_MS, changed[0].floor_ms);
    CHECK_INT(0, changed[0].message.len);
    CHECK_INT(SEXTON_NOT_FOUND, changed[1].status);
    CHECK(changed[1].message.len > 0);
    sexton_results_free(results);
    close_site(engine);
}

TEST("beyond queue_objects submitting is BUSY, and possible again once completions are taken") {
    sexton_engine *engine = open_site("queue_objects", 10);
    sexton_registration many[11];
    char keys[11][8];
    sexton_error *error = NULL;
    sexton_results *results;
    for (size_t i = 0; i < 11; i++) {
        snprintf(keys[i], sizeof keys[i], "%zu", i);
        many[i] = registration("files", keys[i]);
    }
    int32_t too_much = sexton_submit_register(engine, 1, many, 11, 0, &error);
    CHECK(too_much == SEXTON_BUSY || too_much == SEXTON_INVALID);
    CHECK_STATUS(too_much, too_much, error);
    CHECK_OK(sexton_submit_register(engine, 2, many, 10, 0, &error), error);
    CHECK_INT(SEXTON_BUSY, submit(engine, 3, "files", "b"));
    settle(engine);
    CHECK((results = completion(engine)) != NULL);
    CHECK_INT(2, sexton_results_token(results));
    sexton_results_free(results);
    CHECK_INT(SEXTON_OK, submit(engine, 4, "files", "b"));
    settle(engine);
    CHECK((results = completion(engine)) != NULL);
    CHECK_INT(4, sexton_results_token(results));
    sexton_results_free(results);
    CHECK_INT(11, counters(engine, "files").live);
    close_site(engine);
}

TEST("completions come in the order of submitting, also where some are refused") {
    sexton_engine *engine = open_site("threads", 2);
    for (uint64_t token = 0; token < 20; token++) {
        CHECK_INT(SEXTON_OK, submit(engine, token, token % 5 == 3 ? "no such class" : "files", "a"));
    }
    for (uint64_t token = 0; token < 20; token++) {
        sexton_results *one;
        while ((one = completion(engine)) == NULL) {
            wait_readable(engine);
        }
        CHECK_INT(token, sexton_results_token(one));
        CHECK_INT(token % 5 == 3 ? SEXTON_INVALID : SEXTON_OK, sexton_results_status(one));
        sexton_results_free(one);
    }
    close_site(engine);
}

TEST("a sub-batch makes the descriptor readable too, until it is taken") {
    sexton_engine *engine = open_site("threads", 1);
    sexton_batch *batch = NULL;
    put(engine, "files", "a");
    CHECK(!is_readable(engine, 0));
    pass_ms(2 * SECOND_MS);
    wait_readable(engine);
    CHECK((batch = next(engine)) != NULL);
    CHECK(!is_readable(engine, 0) && next(engine) == NULL);
    CHECK_INT(1, answer_all(engine, batch, SEXTON_ANSWER_DELETED));
    sexton_batch_free(batch);
    while (counters(engine, "files").deleted == 0) {
        usleep(1000);
    }
    CHECK(!is_readable(engine, 0));
    close_site(engine);
}

TEST("of a completion and a sub-batch the descriptor stays readable until both are taken") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_batch *batch = NULL;
    put(engine, "files", "a");
    pass_ms(2 * SECOND_MS);
    CHECK_INT(SEXTON_OK, submit(engine, 1, "files", "b"));
    settle(engine);
    CHECK(is_readable(engine, 0));
    sexton_results *results = completion(engine);
    CHECK(results != NULL && is_readable(engine, 0));
    CHECK((batch = next(engine)) != NULL);
    CHECK(!is_readable(engine, 0));
    sexton_results_free(results);
    answer_all(engine, batch, SEXTON_ANSWER_DELETED);
    sexton_batch_free(batch);
    settle(engine);
    CHECK(!is_readable(engine, 0));
    close_site(engine);
}

TEST("many calls submitted one after the other all come back, each once") {
    const size_t count = test_size(2000, 100);
    sexton_engine *engine = open_site("threads", 2);
    unsigned char *seen = calloc(count, 1);
    char key[32];
    CHECK(seen != NULL);
    for (size_t submitted = 0, back = 0; back < count;) {
        if (submitted < count) {
            snprintf(key, sizeof key, "%zu", submitted);
            CHECK_INT(SEXTON_OK, submit(engine, submitted++, "files", key));
        } else {
            wait_readable(engine);
        }
        for (sexton_results *one; (one = completion(engine)) != NULL; back++) {
            uint64_t token = sexton_results_token(one);
            CHECK(token < count && !seen[token]);
            CHECK_INT(SEXTON_OK, sexton_results_status(one));
            seen[token] = 1;
            sexton_results_free(one);
        }
    }
    CHECK(!is_readable(engine, 0));
    CHECK_INT(count, counters(engine, "files").live);
    free(seen);
    close_site(engine);
}

TEST("closing with submitted calls and completions that nobody took is fine") {
    sexton_engine *engine = open_site("threads", 1);
    char key[32];
    for (size_t i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "%zu", i);
        CHECK_INT(SEXTON_OK, submit(engine, i, "files", key));
    }
    wait_readable(engine);
    sexton_results *kept = completion(engine);
    close_site(engine);
    /* Results own their memory. */
    CHECK_INT(SEXTON_OK, sexton_results_status(kept));
    sexton_results_free(kept);
    engine = open_site(NULL, 0);
    CHECK(counters(engine, "files").live >= 1);
    check_sound(engine);
    close_site(engine);
}
