/* Options: set by name and value, checked when they are set or when an engine is opened. */

#include "fixture.h"

static int32_t try_to_set(sexton_options *options, const char *name, const char *value) {
    sexton_error *error = NULL;
    int32_t status = sexton_options_set(options, bytes(name), bytes(value), &error);
    CHECK_STATUS(status, status, error);
    return status;
}

static int32_t try_to_set_uint(sexton_options *options, const char *name, uint64_t value) {
    sexton_error *error = NULL;
    int32_t status = sexton_options_set_uint(options, bytes(name), value, &error);
    CHECK_STATUS(status, status, error);
    return status;
}

/* Checks that an invalid value is refused when it is set, or at the latest when an engine is opened with it. */
static void check_refused(const char *name, const char *value) {
    sexton_options *options = test_options();
    sexton_engine *engine = NULL;
    sexton_error *error = NULL;
    int32_t status = sexton_options_set(options, bytes(name), bytes(value), &error);
    if (status == SEXTON_OK) {
        status = sexton_open(bytes(test_folder()), options, &engine, &error);
    }
    if (status != SEXTON_INVALID) {
        FAIL("%s = \"%s\" returned %s", name, value, sexton_status_name(status));
    }
    CHECK(engine == NULL);
    CHECK_STATUS(SEXTON_INVALID, status, error);
    sexton_options_free(options);
}

TEST("each option is accepted by name, as text or as a number") {
    static const struct {
        const char *name, *value;
        uint64_t number;
    } all[] = {{"shards", "2", 2},
               {"batch_objects", "70000", 70000},
               {"batches_in_flight", "3", 3},
               {"sub_batch_objects", "500", 500},
               {"answer_timeout_ms", "60000", 60000},
               {"queue_objects", "1000", 1000},
               {"threads", "0", 0},
               {"handler_threads", "1", 1},
               {"disk_reserve_bytes", "1000", 1000},
               {"clock_step_max_ms", "60000", 60000},
               {"clock_time_off_max_ms", "3600000", 3600000},
               {"breaker_objects", "10000", 10000},
               {"breaker_share_percent", "10", 10},
               {"rocksdb_cache_bytes", "1048576", 1 << 20},
               {"rocksdb_write_buffer_bytes", "1048576", 1 << 20},
               {"rocksdb_wal_bytes", "16777216", 16 << 20},
               {"rocksdb_file_bytes", "1048576", 1 << 20},
               {"rocksdb_open_files", "500", 500}};
    sexton_options *options = test_options();
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        set_option(options, all[i].name, all[i].value);
        set_option_uint(options, all[i].name, all[i].number);
    }
    set_option(options, "builtin_classes", "true");
    set_option(options, "log_level", "debug");
    sexton_engine *engine = open_with_options(options);
    register_object(engine, "files", "a");
    close_engine(engine);
    sexton_options_free(options);
}

TEST("an unknown option is INVALID, and the message names it") {
    sexton_options *options = sexton_options_new();
    sexton_error *error = NULL;
    CHECK_INT(SEXTON_INVALID, try_to_set(options, "treads", "2"));
    CHECK_INT(SEXTON_INVALID, try_to_set(options, "", "2"));
    CHECK_INT(SEXTON_INVALID, try_to_set(options, "Origin", "example.com"));
    CHECK_INT(SEXTON_INVALID, try_to_set_uint(options, "treads", 2));
    CHECK_INT(SEXTON_INVALID, try_to_set_uint(options, "origin", 2));
    CHECK_INT(SEXTON_INVALID, sexton_options_set(options, bytes("treads"), bytes("2"), &error));
    sexton_bytes message = sexton_error_message(error);
    CHECK(memmem(message.data, message.len, "treads", 6) != NULL);
    sexton_error_free(error);
    sexton_options_free(options);
}

TEST("a value outside its bounds is INVALID") {
    static const char *const wrong[][2] = {{"origin", ""},
                                           {"origin", "with a space"},
                                           {"shards", "0"},
                                           {"shards", "33"},
                                           {"shards", "two"},
                                           {"shards", ""},
                                           {"shards", "-1"},
                                           {"shards", "99999999999999999999"},
                                           {"classes", "[class.x]\nwithin = \"never\"\n"},
                                           {"classes", "this is not TOML"},
                                           {"builtin_classes", "maybe"},
                                           {"batch_objects", "0"},
                                           {"batches_in_flight", "0"},
                                           {"sub_batch_objects", "0"},
                                           {"queue_objects", "0"},
                                           {"threads", "-2"},
                                           {"answer_timeout_ms", "1e3"},
                                           {"breaker_share_percent", "101"},
                                           {"clock_step_max_ms", "18446744073709551615"},
                                           {"rocksdb_open_files", "99999999999"},
                                           {"log_level", "loud"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        check_refused(wrong[i][0], wrong[i][1]);
    }
}

TEST("a name or value that is not UTF-8 is INVALID") {
    sexton_options *options = sexton_options_new();
    const uint8_t binary[] = {'a', 0xff, 0xfe};
    sexton_bytes value = {binary, sizeof binary};
    sexton_error *error = NULL;
    CHECK_STATUS(SEXTON_INVALID, sexton_options_set(options, bytes("origin"), value, &error),
                 error);
    CHECK_STATUS(SEXTON_INVALID, sexton_options_set(options, value, bytes("1"), &error), error);
    sexton_options_free(options);
}

TEST("a new folder needs an origin; it and shards cannot change") {
    sexton_options *options = sexton_options_new();
    sexton_engine *engine = NULL;
    sexton_error *error = NULL;
    sexton_bytes folder = bytes(test_folder());
    set_option_uint(options, "threads", 0);
    CHECK_STATUS(SEXTON_INVALID, sexton_open(folder, options, &engine, &error), error);
    CHECK_STATUS(SEXTON_INVALID, sexton_open(folder, NULL, &engine, &error), error);
    set_option(options, "origin", "example.com/one");
    set_option_uint(options, "shards", 3);
    close_engine(open_with_options(options));

    set_option(options, "origin", "example.com/two");
    CHECK_STATUS(SEXTON_INVALID, sexton_open(folder, options, &engine, &error), error);
    set_option(options, "origin", "example.com/one");
    set_option_uint(options, "shards", 4);
    CHECK_STATUS(SEXTON_INVALID, sexton_open(folder, options, &engine, &error), error);
    CHECK(engine == NULL);
    sexton_options_free(options);

    options = sexton_options_new();
    set_option_uint(options, "threads", 0);
    close_engine(open_with_options(options));
    sexton_options_free(options);
}

TEST("one options handle opens two engines and may be freed") {
    sexton_options *options = test_options();
    sexton_engine *engines[2] = {open_below("0", options), open_below("1", options)};
    sexton_options_free(options);
    register_object(engines[0], "files", "a");
    CHECK_INT(1, class_counters(engines[0], "files").live);
    CHECK_INT(0, class_counters(engines[1], "files").live);
    close_engine(engines[0]);
    register_object(engines[1], "files", "b");
    CHECK_INT(1, class_counters(engines[1], "files").live);
    close_engine(engines[1]);
}

TEST("built-in classes are available; more can be defined later") {
    sexton_options *options = test_options();
    sexton_text *text = NULL;
    sexton_error *error = NULL;
    set_option(options, "builtin_classes", "true");
    sexton_engine *engine = open_with_options(options);
    CHECK_OK(sexton_classes(engine, &text, &error), error);
    CHECK(json_contains(text, "upload-3h") && json_contains(text, "log-6mo") &&
          json_contains(text, "\"files\""));
    sexton_text_free(text);
    const char later[] = "[class.later]\nwithin = \"2h\"\n";
    CHECK_OK(sexton_define_classes(engine, bytes(later), &error), error);
    CHECK_STATUS(SEXTON_INVALID, sexton_define_classes(engine, bytes("[class.A]"), &error), error);
    register_object(engine, "later", "a");
    close_engine(engine);
    sexton_options_free(options);
}

TEST("without built-in classes only the given ones exist") {
    sexton_options *options = test_options();
    sexton_text *text = NULL;
    sexton_error *error = NULL;
    set_option(options, "builtin_classes", "false");
    sexton_engine *engine = open_with_options(options);
    CHECK_OK(sexton_classes(engine, &text, &error), error);
    CHECK(json_contains(text, "\"files\"") && !json_contains(text, "log-6mo"));
    sexton_text_free(text);
    close_engine(engine);
    sexton_options_free(options);
}

TEST("set_clock replaces the clock and needs both functions") {
    sexton_options *options = test_options();
    sexton_error *error = NULL;
    sexton_engine *engine = open_with_options(options);
    int64_t ms = 0;
    CHECK_OK(sexton_now_ms(engine, &ms, &error), error);
    CHECK_INT(NEW_YEAR_MS, ms);
    advance_ms(90 * DAY_MS);
    CHECK_OK(sexton_now_ms(engine, &ms, &error), error);
    CHECK_INT(NEW_YEAR_MS + 90 * DAY_MS, ms);
    close_engine(engine);
    CHECK_STATUS(SEXTON_INVALID,
                 sexton_options_set_clock(options, read_wall_clock, NULL, NULL, &error), error);
    CHECK_STATUS(SEXTON_INVALID,
                 sexton_options_set_clock(options, NULL, read_monotonic_clock, NULL, &error),
                 error);
    sexton_options_free(options);
}
