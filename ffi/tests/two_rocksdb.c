/* Two RocksDBs in one process: the one of Debian, which this program links as a host would, and the one inside
 * libsexton. The program is linked in both orders. Host and library must each keep using their own. */

#include "fixture.h"

#include <rocksdb/c.h>

/* Opens a database of the host, with options that use much of RocksDB's code. */
static rocksdb_t *open_host_db(const char *name) {
    char *failure = NULL;
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_write_buffer_size(options, 64 << 10);
    rocksdb_options_set_compression(options, rocksdb_lz4_compression);
    rocksdb_t *database = rocksdb_open(options, test_path(name), &failure);
    if (failure != NULL) {
        FAIL("%s", failure);
    }
    rocksdb_options_destroy(options);
    return database;
}

static void host_db_put(rocksdb_t *database, const char *key, const char *value) {
    char *failure = NULL;
    rocksdb_writeoptions_t *options = rocksdb_writeoptions_create();
    rocksdb_put(database, options, key, strlen(key), value, strlen(value), &failure);
    rocksdb_writeoptions_destroy(options);
    CHECK(failure == NULL);
}

/* Checks the value of a key. */
static void host_db_check(rocksdb_t *database, const char *key, const char *value) {
    char *failure = NULL;
    size_t len = 0;
    rocksdb_readoptions_t *options = rocksdb_readoptions_create();
    char *found = rocksdb_get(database, options, key, strlen(key), &len, &failure);
    rocksdb_readoptions_destroy(options);
    CHECK(failure == NULL && found != NULL);
    CHECK(len == strlen(value) && memcmp(found, value, len) == 0);
    rocksdb_free(found);
}

/* Flushes and compacts, so that table files are built, compressed and read back. */
static void host_db_compact(rocksdb_t *database) {
    char *failure = NULL;
    rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
    rocksdb_flush(database, options, &failure);
    rocksdb_flushoptions_destroy(options);
    CHECK(failure == NULL);
    rocksdb_compact_range(database, NULL, 0, NULL, 0);
}

static size_t host_db_count(rocksdb_t *database) {
    size_t count = 0;
    rocksdb_readoptions_t *options = rocksdb_readoptions_create();
    rocksdb_iterator_t *entries = rocksdb_create_iterator(database, options);
    for (rocksdb_iter_seek_to_first(entries); rocksdb_iter_valid(entries);
         rocksdb_iter_next(entries)) {
        count++;
    }
    rocksdb_iter_destroy(entries);
    rocksdb_readoptions_destroy(options);
    return count;
}

TEST("a host RocksDB and an engine in one process keep their data") {
    rocksdb_t *database = open_host_db("host-db");
    sexton_engine *engine = open_engine(NULL, 0);
    const size_t count = test_size(2000, 100);
    char key[32];
    for (size_t i = 0; i < count; i++) {
        snprintf(key, sizeof key, "%zu", i);
        host_db_put(database, key,
                    "an object, as the host stores it: 0123456789012345678901234567890123");
        register_object(engine, "files", key);
    }
    host_db_compact(database);
    advance_ms(2 * SECOND_MS);
    run_until_idle(engine);
    sexton_batch *batch;
    size_t deleted = 0;
    while ((batch = next_batch(engine)) != NULL) {
        size_t len;
        const sexton_object *objects = sexton_batch_objects(batch, &len);
        rocksdb_writeoptions_t *options = rocksdb_writeoptions_create();
        for (size_t i = 0; i < len; i++) {
            char *failure = NULL;
            rocksdb_delete(database, options, (const char *)objects[i].key.data, objects[i].key.len,
                           &failure);
            CHECK(failure == NULL);
        }
        rocksdb_writeoptions_destroy(options);
        deleted += answer_all(engine, batch, SEXTON_ANSWER_DELETED);
        sexton_batch_free(batch);
        run_until_idle(engine);
    }
    CHECK_INT(count, deleted);
    CHECK_INT(0, host_db_count(database));
    CHECK_INT(count, class_counters(engine, "files").deleted);
    check_sound(engine);
    close_engine(engine);
    rocksdb_close(database);
}

TEST("either can be closed and reopened while the other is used") {
    sexton_engine *engine = open_engine(NULL, 0);
    register_object(engine, "files", "a");
    rocksdb_t *database = open_host_db("host-db");
    host_db_put(database, "a", "1");
    close_engine(engine);
    host_db_check(database, "a", "1");
    engine = open_engine(NULL, 0);
    rocksdb_close(database);
    CHECK_INT(1, class_counters(engine, "files").live);
    register_object(engine, "files", "b");
    database = open_host_db("host-db");
    host_db_check(database, "a", "1");
    rocksdb_close(database);
    CHECK_INT(2, class_counters(engine, "files").live);
    check_sound(engine);
    close_engine(engine);
}

static void *fill_host_db(void *database) {
    char key[32];
    for (size_t i = 0; i < test_size(20000, 500); i++) {
        snprintf(key, sizeof key, "%zu", i);
        host_db_put(database, key, "written while an engine works in the same process");
    }
    return NULL;
}

TEST("background threads of both work at the same time") {
    rocksdb_t *database = open_host_db("host-db");
    sexton_engine *engine = open_engine("rocksdb_write_buffer_bytes", 64 << 10);
    pthread_t thread;
    start_thread(&thread, fill_host_db, database);
    register_objects(engine, "files", "a", test_size(2000, 50));
    advance_ms(2 * SECOND_MS);
    CHECK_INT(test_size(2000, 50), delete_due(engine));
    join_threads(&thread, 1);
    host_db_compact(database);
    CHECK_INT(test_size(20000, 500), host_db_count(database));
    rocksdb_close(database);
    check_sound(engine);
    close_engine(engine);
}
