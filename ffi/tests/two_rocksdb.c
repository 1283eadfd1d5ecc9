/* Two RocksDBs in one process: Debian's, which this program links, and the one inside libsexton. Linked in both orders;
 * each must go on using its own. */

#include "site.h"

#include <pthread.h>
#include <rocksdb/c.h>

/* A database of Debian's RocksDB, with the options that touch most of it. */
static rocksdb_t *open_debians(const char *name) {
    char path[4400], *failed = NULL;
    rocksdb_options_t *options = rocksdb_options_create();
    snprintf(path, sizeof path, "%s/%s", test_folder(), name);
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_write_buffer_size(options, 64 << 10);
    rocksdb_options_set_compression(options, rocksdb_lz4_compression);
    rocksdb_t *database = rocksdb_open(options, path, &failed);
    if (failed != NULL) {
        FAIL("%s", failed);
    }
    rocksdb_options_destroy(options);
    return database;
}

static void debians_put(rocksdb_t *database, const char *key, const char *value) {
    char *failed = NULL;
    rocksdb_writeoptions_t *options = rocksdb_writeoptions_create();
    rocksdb_put(database, options, key, strlen(key), value, strlen(value), &failed);
    rocksdb_writeoptions_destroy(options);
    CHECK(failed == NULL);
}

static void debians_get(rocksdb_t *database, const char *key, const char *value) {
    char *failed = NULL;
    size_t len = 0;
    rocksdb_readoptions_t *options = rocksdb_readoptions_create();
    char *found = rocksdb_get(database, options, key, strlen(key), &len, &failed);
    rocksdb_readoptions_destroy(options);
    CHECK(failed == NULL && found != NULL);
    CHECK(len == strlen(value) && memcmp(found, value, len) == 0);
    rocksdb_free(found);
}

/* Has everything written out, so that tables are built, compressed, compacted and read back. */
static void debians_compact(rocksdb_t *database) {
    char *failed = NULL;
    rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
    rocksdb_flush(database, options, &failed);
    rocksdb_flushoptions_destroy(options);
    CHECK(failed == NULL);
    rocksdb_compact_range(database, NULL, 0, NULL, 0);
}

static size_t debians_count(rocksdb_t *database) {
    size_t count = 0;
    rocksdb_readoptions_t *options = rocksdb_readoptions_create();
    rocksdb_iterator_t *entries = rocksdb_create_iterator(database, options);
    for (rocksdb_iter_seek_to_first(entries); rocksdb_iter_valid(entries); rocksdb_iter_next(entries)) {
        count++;
    }
    rocksdb_iter_destroy(entries);
    rocksdb_readoptions_destroy(options);
    return count;
}

TEST("a host with a RocksDB of its own and an engine uses both at once, and each keeps what it has") {
    rocksdb_t *database = open_debians("debians");
    sexton_engine *engine = open_site(NULL, 0);
    const size_t count = test_size(2000, 100);
    char key[32];
    for (size_t i = 0; i < count; i++) {
        snprintf(key, sizeof key, "%zu", i);
        debians_put(database, key, "an object, as the host stores it: 0123456789012345678901234567890123");
        put(engine, "files", key);
    }
    debians_compact(database);
    pass_ms(2 * SECOND_MS);
    settle(engine);
    sexton_batch *batch;
    size_t deleted = 0;
    while ((batch = next(engine)) != NULL) {
        size_t len;
        const sexton_object *objects = sexton_batch_objects(batch, &len);
        rocksdb_writeoptions_t *options = rocksdb_writeoptions_create();
        for (size_t i = 0; i < len; i++) {
            char *failed = NULL;
            rocksdb_delete(database, options, (const char *)objects[i].key.data, objects[i].key.len, &failed);
            CHECK(failed == NULL);
        }
        rocksdb_writeoptions_destroy(options);
        deleted += answer_all(engine, batch, SEXTON_ANSWER_DELETED);
        sexton_batch_free(batch);
        settle(engine);
    }
    CHECK_INT(count, deleted);
    CHECK_INT(0, debians_count(database));
    CHECK_INT(count, counters(engine, "files").deleted);
    check_sound(engine);
    close_site(engine);
    rocksdb_close(database);
}

TEST("either one can be opened, closed and opened again while the other is in use") {
    sexton_engine *engine = open_site(NULL, 0);
    put(engine, "files", "a");
    rocksdb_t *database = open_debians("debians");
    debians_put(database, "a", "1");
    close_site(engine);
    debians_get(database, "a", "1");
    engine = open_site(NULL, 0);
    rocksdb_close(database);
    CHECK_INT(1, counters(engine, "files").live);
    put(engine, "files", "b");
    database = open_debians("debians");
    debians_get(database, "a", "1");
    rocksdb_close(database);
    CHECK_INT(2, counters(engine, "files").live);
    check_sound(engine);
    close_site(engine);
}

static void *write_debians(void *database) {
    char key[32];
    for (size_t i = 0; i < test_size(20000, 500); i++) {
        snprintf(key, sizeof key, "%zu", i);
        debians_put(database, key, "written while an engine works in the same process");
    }
    return NULL;
}

TEST("their background threads work side by side") {
    rocksdb_t *database = open_debians("debians");
    sexton_engine *engine = open_site("rocksdb_write_buffer_bytes", 64 << 10);
    pthread_t thread;
    CHECK_INT(0, pthread_create(&thread, NULL, write_debians, database));
    put_many(engine, "files", "a", test_size(2000, 50));
    pass_ms(2 * SECOND_MS);
    CHECK_INT(test_size(2000, 50), delete_due(engine));
    CHECK_INT(0, pthread_join(thread, NULL));
    debians_compact(database);
    CHECK_INT(test_size(20000, 500), debians_count(database));
    rocksdb_close(database);
    check_sound(engine);
    close_site(engine);
}
