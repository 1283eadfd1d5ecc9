/* Benchmark of registering through the C library: `register FOLDER CALLS FLAGS` prints wall time and CPU time of all
 * calls, in microseconds. benches/src/ffi_overhead.rs runs it, and compares with the same calls from Rust. */

#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <sexton.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Objects per call, and bytes per field. */
enum { CALL = 1000, KEY = 35, VERSION = 8, DIGEST = 32, OBJECT = KEY + VERSION + DIGEST };

/* Class and time must equal those of benches/src/ffi_overhead.rs. */
static const char CLASSES[] = "[class.a]\nwithin = \"30d\"\nslot = \"60s\"\nlead = \"30s\"\nstart = \"explicit\"\n"
                              "find = \"none\"\n";
static const int64_t REGISTERED_MS = 1767225600000;

static sexton_bytes bytes_of(const char *s) { return (sexton_bytes){(const uint8_t *)s, strlen(s)}; }

static int64_t read_clock(void *user) { return *(const int64_t *)user; }

static uint64_t micros(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Exits with the message of the error if a call failed. */
static void check_ok(int32_t status, sexton_error *error) {
  if (status == SEXTON_OK) return;
  const sexton_bytes message = sexton_error_message(error);
  fprintf(stderr, "%s: %.*s\n", sexton_status_name(status), (int)message.len, (const char *)message.data);
  exit(1);
}

/* Fills with pseudo-random bytes, which do not compress and are equal in every run. */
static void fill(uint8_t *bytes, size_t len, uint64_t *random) {
  for (size_t i = 0; i < len; i++) {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    bytes[i] = (uint8_t)(*random >> 56);
  }
}

static sexton_registration *make_registrations(size_t n, uint8_t *bytes) {
  uint64_t random = UINT64_C(0x9e3779b97f4a7c15);
  sexton_registration *objects = calloc(n, sizeof *objects);
  if (!objects) exit(1);
  fill(bytes, n * OBJECT, &random);
  for (size_t i = 0; i < n; i++) {
    const uint8_t *at = bytes + i * OBJECT;
    objects[i] = (sexton_registration)SEXTON_REGISTRATION_INIT;
    objects[i].key = (sexton_bytes){at, KEY};
    objects[i].version = (sexton_bytes){at + KEY, VERSION};
    objects[i].digest = (sexton_bytes){at + KEY + VERSION, DIGEST};
    objects[i].class_name = bytes_of("a");
    objects[i].has_size = objects[i].has_start = true;
    objects[i].size_bytes = 600;
    objects[i].start_ms = REGISTERED_MS - (int64_t)(i % 60000);
  }
  return objects;
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
  check_ok(sexton_options_set(options, bytes_of("origin"), bytes_of("bench.example/log"), &error), error);
  check_ok(sexton_options_set(options, bytes_of("builtin_classes"), bytes_of("false"), &error), error);
  check_ok(sexton_options_set(options, bytes_of("classes"), bytes_of(CLASSES), &error), error);
  check_ok(sexton_options_set(options, bytes_of("threads"), bytes_of("0"), &error), error);
  check_ok(sexton_options_set_clock(options, read_clock, read_clock, &now_ms, &error), error);
  check_ok(sexton_open(bytes_of(argv[1]), options, &engine, &error), error);

  uint8_t *bytes = malloc(calls * CALL * OBJECT);
  if (!bytes) return 1;
  sexton_registration *objects = make_registrations(calls * CALL, bytes);
  const uint64_t wall = micros(CLOCK_MONOTONIC), cpu = micros(CLOCK_PROCESS_CPUTIME_ID);
  for (size_t call = 0; call < calls; call++) {
    sexton_results *results = NULL;
    check_ok(sexton_register(engine, objects + call * CALL, CALL, flags, &results, &error), error);
    sexton_results_free(results);
  }
  printf("%" PRIu64 " %" PRIu64 "\n", micros(CLOCK_MONOTONIC) - wall, micros(CLOCK_PROCESS_CPUTIME_ID) - cpu);

  sexton_engine_free(engine);
  sexton_options_free(options);
  free(objects);
  free(bytes);
  return 0;
}
