/* Registers objects through the C library and prints what it took: `register FOLDER CALLS FLAGS` gives the wall and the CPU
 * time of all calls, in microseconds. The other half, the same through Rust, is `sexton-bench boundary`. */

#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <sexton.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CALL = 1000, KEY = 35, VERSION = 8, DIGEST = 32, OBJECT = KEY + VERSION + DIGEST };

/* The same class, and the same instant, as on the other side. */
static const char CLASSES[] = "[class.a]\nwithin = \"30d\"\nslot = \"60s\"\nlead = \"30s\"\nstart = \"explicit\"\n"
                              "find = \"none\"\n";
static const int64_t REGISTERED_MS = 1767225600000;

static sexton_bytes text(const char *s) { return (sexton_bytes){(const uint8_t *)s, strlen(s)}; }

static int64_t still(void *user) { return *(const int64_t *)user; }

static uint64_t micros(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void must(int32_t status, sexton_error *error) {
  if (status == SEXTON_OK) return;
  const sexton_bytes why = sexton_error_message(error);
  fprintf(stderr, "%s: %.*s\n", sexton_status_name(status), (int)why.len, (const char *)why.data);
  exit(1);
}

/* Bytes that do not compress, the same in every run. */
static void fill(uint8_t *bytes, size_t len, uint64_t *random) {
  for (size_t i = 0; i < len; i++) {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    bytes[i] = (uint8_t)(*random >> 56);
  }
}

static sexton_registration *objects(size_t n, uint8_t *bytes) {
  uint64_t random = UINT64_C(0x9e3779b97f4a7c15);
  sexton_registration *items = calloc(n, sizeof *items);
  if (!items) exit(1);
  fill(bytes, n * OBJECT, &random);
  for (size_t i = 0; i < n; i++) {
    const uint8_t *at = bytes + i * OBJECT;
    items[i] = (sexton_registration)SEXTON_REGISTRATION_INIT;
    items[i].key = (sexton_bytes){at, KEY};
    items[i].version = (sexton_bytes){at + KEY, VERSION};
    items[i].digest = (sexton_bytes){at + KEY + VERSION, DIGEST};
    items[i].class_name = text("a");
    items[i].size_bytes = 600;
    items[i].start_ms = REGISTERED_MS - (int64_t)(i % 60000);
  }
  return items;
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: register FOLDER CALLS FLAGS\n");
    return 2;
  }
  const size_t calls = strtoull(argv[2], NULL, 10);
  const uint32_t flags = (uint32_t)strtoul(argv[3], NULL, 10);
  int64_t now_ms = REGISTERED_MS;
  sexton_error *error = NULL;
  sexton_engine *engine = NULL;
  sexton_options *options = sexton_options_new();
  must(sexton_options_set(options, text("origin"), text("bench.example/log"), &error), error);
  must(sexton_options_set(options, text("builtin_classes"), text("false"), &error), error);
  must(sexton_options_set(options, text("classes"), text(CLASSES), &error), error);
  must(sexton_options_set(options, text("threads"), text("0"), &error), error);
  must(sexton_options_set_clock(options, still, still, &now_ms, &error), error);
  must(sexton_open(text(argv[1]), options, &engine, &error), error);

  uint8_t *bytes = malloc(calls * CALL * OBJECT);
  if (!bytes) return 1;
  sexton_registration *items = objects(calls * CALL, bytes);
  const uint64_t wall = micros(CLOCK_MONOTONIC), cpu = micros(CLOCK_PROCESS_CPUTIME_ID);
  for (size_t call = 0; call < calls; call++) {
    sexton_results *results = NULL;
    must(sexton_register(engine, items + call * CALL, CALL, flags, &results, &error), error);
    sexton_results_free(results);
  }
  printf("%" PRIu64 " %" PRIu64 "\n", micros(CLOCK_MONOTONIC) - wall, micros(CLOCK_PROCESS_CPUTIME_ID) - cpu);

  sexton_engine_free(engine);
  sexton_options_free(options);
  free(items);
  free(bytes);
  return 0;
}
