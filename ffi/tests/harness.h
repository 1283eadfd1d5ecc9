/* The harness of the C tests: a test is a sentence, and the code that proves it.
 *
 *     TEST("an id survives its text form") {
 *         CHECK_OK(sexton_id_parse(text, &id, &error), error);
 *     }
 *
 * Each test runs in a process of its own, with a folder of its own: one that crashes takes nobody along, and what it
 * starts and leaves is gone with it. With SEXTON_TEST_TOGETHER in the environment all run in one process, as they do in
 * a host's, and because valgrind translates the library anew for each process; but not where the file defines TESTS_APART,
 * whose tests fork or count what the process has. `program PART` runs, in this very process, the tests whose sentence
 * contains PART: for a debugger. To be included by the file with the tests; `run` adds up what the programs print. */
#ifndef HARNESS_H
#define HARNESS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sexton.h>

/* Nothing waits so long unless nothing happens at all. */
#define NEVER_SECONDS 120

typedef struct test {
    const char *sentence;
    void (*run)(void);
    struct test *next;
} test;

static test *tests_first;
/* What is done before each test, where there is something. */
static void (*test_before)(void);
static char test_folder_path[4096];
/* Where failures are told: standard error as it was, whatever a test does with descriptor 2. */
static int test_told_fd = 2;

#define TEST(sentence) TEST_AT(sentence, __LINE__)
#define TEST_AT(sentence, line) TEST_NAMED(sentence, line)
#define TEST_NAMED(sentence, line)                                                                 \
    static void test_##line(void);                                                                 \
    static test test_entry_##line = {sentence, test_##line, NULL};                                 \
    __attribute__((constructor)) static void test_enter_##line(void) {                             \
        test_enter(&test_entry_##line);                                                            \
    }                                                                                              \
    static void test_##line(void)

/* Constructors run from the top of the file to its end, and tests in that order. */
static inline void test_enter(test *one) {
    test **last = &tests_first;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = one;
}

/* A folder that is empty when the test begins, and removed after it. */
static inline const char *test_folder(void) {
    return test_folder_path;
}

/* `large`, or `small` where the environment asks for little because everything is slow there. */
static inline size_t test_size(size_t large, size_t small) {
    return getenv("SEXTON_TEST_SMALL") != NULL ? small : large;
}

__attribute__((noreturn, format(printf, 3, 4))) static inline void
test_fail(const char *file, int line, const char *format, ...) {
    va_list arguments;
    char what[2048];
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    dprintf(test_told_fd, "    %s:%d: %s\n", file, line, what);
    /* Not exit: what the test had under way is not to be wound up. Nor is it to be blamed for what it leaves: as another
     * program it leaves nothing. */
    execlp("false", "false", (char *)NULL);
    _exit(1);
}

#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            FAIL("%s", #what);                                                                     \
        }                                                                                          \
    } while (0)

/* Two integers of any type; `expected` comes first. */
#define CHECK_INT(expected, found)                                                                 \
    do {                                                                                           \
        long long expected_ = (long long)(expected), found_ = (long long)(found);                  \
        if (expected_ != found_) {                                                                 \
            FAIL("%s is %lld, expected %s, which is %lld", #found, found_, #expected, expected_);  \
        }                                                                                          \
    } while (0)

/* Bytes against a NUL-terminated text. */
#define CHECK_TEXT(expected, found)                                                                \
    do {                                                                                           \
        const char *expected_ = (expected);                                                        \
        sexton_bytes found_ = (found);                                                             \
        if (!test_is_text(found_, expected_)) {                                                    \
            FAIL("%s is \"%.*s\", expected \"%s\"", #found, (int)found_.len,                       \
                 found_.data ? (const char *)found_.data : "", expected_);                         \
        }                                                                                          \
    } while (0)

/* The status of a call that was handed `&error`, which is freed; on another status its sentence is told. */
#define CHECK_STATUS(expected, call, error)                                                        \
    do {                                                                                           \
        int32_t found_ = (call);                                                                   \
        test_status(__FILE__, __LINE__, #call, (expected), found_, (error));                       \
        sexton_error_free(error);                                                                  \
        (error) = NULL;                                                                            \
    } while (0)

#define CHECK_OK(call, error) CHECK_STATUS(SEXTON_OK, call, error)

static inline int test_is_text(sexton_bytes found, const char *expected) {
    size_t len = strlen(expected);
    return found.len == len && (len == 0 || memcmp(found.data, expected, len) == 0);
}

/* An error stands exactly where a call failed, with the status that the call returned and a sentence. */
static inline void test_status(const char *file, int line, const char *call, int32_t expected,
                               int32_t found, const sexton_error *error) {
    sexton_bytes said = sexton_error_message(error);
    if (found != expected) {
        test_fail(file, line, "%s gave %s, expected %s: %.*s", call, sexton_status_name(found),
                  sexton_status_name(expected), (int)said.len,
                  said.data ? (const char *)said.data : "");
    }
    if (found == SEXTON_OK ? error != NULL : error == NULL) {
        test_fail(file, line, "%s gave %s, and %s error", call, sexton_status_name(found),
                  error ? "an" : "no");
    }
    if (error != NULL && (sexton_error_status(error) != found || said.len == 0)) {
        test_fail(file, line, "%s gave %s, and an error of %s: \"%.*s\"", call,
                  sexton_status_name(found), sexton_status_name(sexton_error_status(error)),
                  (int)said.len, said.data ? (const char *)said.data : "");
    }
}

static inline int test_remove_one(const char *path, const struct stat *what, int kind,
                                  struct FTW *where) {
    (void)what, (void)kind, (void)where;
    return remove(path);
}

static inline void test_make_folder(void) {
    const char *base = getenv("SEXTON_TEST_FOLDER");
    snprintf(test_folder_path, sizeof test_folder_path, "%s/sexton-test-XXXXXX",
             base ? base : "/tmp");
    if (mkdtemp(test_folder_path) == NULL) {
        perror(test_folder_path);
        exit(2);
    }
}

static inline void test_remove_folder(void) {
    nftw(test_folder_path, test_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void test_run(const test *one) {
    alarm(NEVER_SECONDS);
    if (test_before != NULL) {
        test_before();
    }
    one->run();
    alarm(0);
}

/* Whether the test passed. */
static inline int test_in_child(const test *one) {
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        /* A group of its own, so that what it leaves running can be ended with it. */
        setpgid(0, 0);
        test_told_fd = dup(2);
        test_run(one);
        exit(0); /* Not _exit: what looks for leaks does so now. */
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    kill(-child, SIGKILL);
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "    ended by signal %d: %s\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) > 1) {
        fprintf(stderr, "    ended with exit code %d\n", WEXITSTATUS(status));
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv) {
    int passed = 0, failed = 0;
#ifdef TESTS_APART
    const int together = argc > 1;
#else
    const int together = argc > 1 || getenv("SEXTON_TEST_TOGETHER") != NULL;
#endif
    for (const test *one = tests_first; one != NULL; one = one->next) {
        if (argc > 1 && strstr(one->sentence, argv[1]) == NULL) {
            continue;
        }
        int fine = 1;
        test_make_folder();
        if (together) {
            test_run(one);
        } else {
            fine = test_in_child(one);
        }
        test_remove_folder();
        printf("%s  %s\n", fine ? "pass" : "FAIL", one->sentence);
        fflush(stdout);
        passed += fine;
        failed += !fine;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}

#endif
