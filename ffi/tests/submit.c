/* Registering and changing without blocking: submit, wait on the event descriptor, take the completion. */

#include "fixture.h"

#include <poll.h>

static int event_fd(const sexton_engine *engine) {
    sexton_error *error = NULL;
    int fd = -1;
    CHECK_OK(sexton_event_fd(engine, &fd, &error), error);
    CHECK(fd >= 0);
    return fd;
}

/* Returns 1 if the event descriptor becomes readable within `wait_ms`. */
static int is_readable(const sexton_engine *engine, int wait_ms) {
    struct pollfd polled = {event_fd(engine), POLLIN, 0};
    int ready = poll(&polled, 1, wait_ms);
    CHECK(ready >= 0);
    CHECK(ready == 0 || polled.revents == POLLIN);
    return ready;
}

/* Waits until a completion or a sub-batch can be taken. */
static void wait_readable(const sexton_engine *engine) {
    CHECK(is_readable(engine, TIMEOUT_SECONDS * 1000));
}

static int32_t submit(sexton_engine *engine, uint64_t token, const char *class_name,
                      const char *key) {
    sexton_registration object = make_registration(class_name, key);
    sexton_error *error = NULL;
    int32_t status = sexton_submit_register(engine, token, &object, 1, 0, &error);
    CHECK_STATUS(status, status, error);
    return status;
}

/* Returns the next completion, or NULL if there is none. */
static sexton_results *next_completion(sexton_engine *engine) {
    sexton_results *results = NULL;
    sexton_error *error = NULL;
    CHECK_OK(sexton_next_completion(engine, &results, &error), error);
    return results;
}

TEST("a completion has its token and makes the fd readable") {
    sexton_engine *engine = open_engine("threads", 1);
    sexton_error *error = NULL;
    sexton_id found;
    size_t len;
    CHECK(!is_readable(engine, 0) && next_completion(engine) == NULL);
    CHECK_INT(SEXTON_OK, submit(engine, UINT64_C(0xfeedfacecafebeef), "files", "a"));
    wait_readable(engine);
    CHECK(is_readable(engine, 0));
    sexton_results *results = next_completion(engine);
    CHECK(results != NULL && !is_readable(engine, 0) && next_completion(engine) == NULL);
    CHECK(sexton_results_token(results) == UINT64_C(0xfeedfacecafebeef));
    CHECK_INT(SEXTON_OK, sexton_results_status(results));
    CHECK_INT(0, sexton_results_message(results).len);
    const sexton_registered *registered = sexton_results_registered(results, &len);
    CHECK_INT(1, len);
    CHECK_OK(sexton_find(engine, bytes("a"), bytes(""), &found, &error), error);
    CHECK(ids_equal(found, registered->id));
    sexton_results_free(results);
    close_engine(engine);
}

TEST("submit copies its input, which may be overwritten at once") {
    sexton_engine *engine = open_engine("threads", 1);
    sexton_error *error = NULL;
    sexton_id found;
    char key[] = "the key", class_name[] = "files";
    sexton_registration object = make_registration(class_name, key);
    CHECK_OK(sexton_submit_register(engine, 1, &object, 1, 0, &error), error);
    memset(key, 'x', sizeof key - 1);
    memset(class_name, 'x', sizeof class_name - 1);
    memset(&object, 0x55, sizeof object);
    wait_readable(engine);
    sexton_results_free(next_completion(engine));
    CHECK_OK(sexton_find(engine, bytes("the key"), bytes(""), &found, &error), error);
    close_engine(engine);
}

TEST("a refused submission completes with status and message") {
    sexton_engine *engine = open_engine("threads", 1);
    size_t len = 77;
    CHECK_INT(SEXTON_OK, submit(engine, 5, "no such class", "a"));
    wait_readable(engine);
    sexton_results *results = next_completion(engine);
    CHECK_INT(5, sexton_results_token(results));
    CHECK_INT(SEXTON_INVALID, sexton_results_status(results));
    CHECK(sexton_results_message(results).len > 0);
    CHECK(sexton_results_registered(results, &len) == NULL);
    CHECK_INT(0, len);
    sexton_results_free(results);
    close_engine(engine);
}

TEST("each submitted change has its own status") {
    sexton_engine *engine = open_engine("threads", 1);
    sexton_error *error = NULL;
    size_t len;
    register_object(engine, "files", "a");
    sexton_object_change changes[2] = {SEXTON_OBJECT_CHANGE_INIT, SEXTON_OBJECT_CHANGE_INIT};
    changes[0].kind = SEXTON_RESCHEDULE;
    changes[0].key = bytes("a");
    changes[0].has_start = true;
    changes[0].start_ms = now_ms() + HOUR_MS;
    changes[1].kind = SEXTON_RELEASE;
    changes[1].key = bytes("unknown");
    CHECK_OK(sexton_submit_change(engine, 6, changes, 2, 0, &error), error);
    wait_readable(engine);
    sexton_results *results = next_completion(engine);
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
    close_engine(engine);
}

TEST("submitting beyond queue_objects is BUSY until taken") {
    sexton_engine *engine = open_engine("queue_objects", 10);
    sexton_registration many[11];
    char keys[11][16];
    sexton_error *error = NULL;
    sexton_results *results;
    make_registrations(many, keys, 11);
    int32_t too_much = sexton_submit_register(engine, 1, many, 11, 0, &error);
    CHECK(too_much == SEXTON_BUSY || too_much == SEXTON_INVALID);
    CHECK_STATUS(too_much, too_much, error);
    CHECK_OK(sexton_submit_register(engine, 2, many, 10, 0, &error), error);
    CHECK_INT(SEXTON_BUSY, submit(engine, 3, "files", "b"));
    run_until_idle(engine);
    CHECK((results = next_completion(engine)) != NULL);
    CHECK_INT(2, sexton_results_token(results));
    sexton_results_free(results);
    CHECK_INT(SEXTON_OK, submit(engine, 4, "files", "b"));
    run_until_idle(engine);
    CHECK((results = next_completion(engine)) != NULL);
    CHECK_INT(4, sexton_results_token(results));
    sexton_results_free(results);
    CHECK_INT(11, class_counters(engine, "files").live);
    close_engine(engine);
}

TEST("completions keep the order of submission, refused ones too") {
    sexton_engine *engine = open_engine("threads", 2);
    for (uint64_t token = 0; token < 20; token++) {
        CHECK_INT(SEXTON_OK,
                  submit(engine, token, token % 5 == 3 ? "no such class" : "files", "a"));
    }
    for (uint64_t token = 0; token < 20; token++) {
        sexton_results *results;
        while ((results = next_completion(engine)) == NULL) {
            wait_readable(engine);
        }
        CHECK_INT(token, sexton_results_token(results));
        CHECK_INT(token % 5 == 3 ? SEXTON_INVALID : SEXTON_OK, sexton_results_status(results));
        sexton_results_free(results);
    }
    close_engine(engine);
}

TEST("a sub-batch makes the fd readable until it is taken") {
    sexton_engine *engine = open_engine("threads", 1);
    sexton_batch *batch = NULL;
    register_object(engine, "files", "a");
    CHECK(!is_readable(engine, 0));
    advance_ms(2 * SECOND_MS);
    wait_readable(engine);
    CHECK((batch = next_batch(engine)) != NULL);
    CHECK(!is_readable(engine, 0) && next_batch(engine) == NULL);
    CHECK_INT(1, answer_all(engine, batch, SEXTON_ANSWER_DELETED));
    sexton_batch_free(batch);
    while (class_counters(engine, "files").deleted == 0) {
        usleep(1000);
    }
    CHECK(!is_readable(engine, 0));
    close_engine(engine);
}

TEST("the fd stays readable until completion and batch are taken") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_batch *batch = NULL;
    register_object(engine, "files", "a");
    advance_ms(2 * SECOND_MS);
    CHECK_INT(SEXTON_OK, submit(engine, 1, "files", "b"));
    run_until_idle(engine);
    CHECK(is_readable(engine, 0));
    sexton_results *results = next_completion(engine);
    CHECK(results != NULL && is_readable(engine, 0));
    CHECK((batch = next_batch(engine)) != NULL);
    CHECK(!is_readable(engine, 0));
    sexton_results_free(results);
    answer_all(engine, batch, SEXTON_ANSWER_DELETED);
    sexton_batch_free(batch);
    run_until_idle(engine);
    CHECK(!is_readable(engine, 0));
    close_engine(engine);
}

TEST("each of many submissions completes exactly once") {
    const size_t count = test_size(2000, 100);
    sexton_engine *engine = open_engine("threads", 2);
    unsigned char *seen = calloc(count, 1);
    char key[32];
    CHECK(seen != NULL);
    for (size_t submitted = 0, completed = 0; completed < count;) {
        if (submitted < count) {
            snprintf(key, sizeof key, "%zu", submitted);
            CHECK_INT(SEXTON_OK, submit(engine, submitted++, "files", key));
        } else {
            wait_readable(engine);
        }
        for (sexton_results *results; (results = next_completion(engine)) != NULL; completed++) {
            uint64_t token = sexton_results_token(results);
            CHECK(token < count && !seen[token]);
            CHECK_INT(SEXTON_OK, sexton_results_status(results));
            seen[token] = 1;
            sexton_results_free(results);
        }
    }
    CHECK(!is_readable(engine, 0));
    CHECK_INT(count, class_counters(engine, "files").live);
    free(seen);
    close_engine(engine);
}

TEST("closing with untaken completions keeps the registrations") {
    sexton_engine *engine = open_engine("threads", 1);
    char key[32];
    for (size_t i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "%zu", i);
        CHECK_INT(SEXTON_OK, submit(engine, i, "files", key));
    }
    wait_readable(engine);
    sexton_results *kept = next_completion(engine);
    close_engine(engine);
    /* Results outlive their engine. */
    CHECK_INT(SEXTON_OK, sexton_results_status(kept));
    sexton_results_free(kept);
    engine = open_engine(NULL, 0);
    CHECK(class_counters(engine, "files").live >= 1);
    check_sound(engine);
    close_engine(engine);
}
