/* Test harness. A test is a title and the code under it:
 *
 *     TEST("id_format and id_parse round-trip") {
 *         CHECK_OK(sexton_id_parse(text, &id, &error), error);
 *     }
 *
 * Each test runs in its own process and its own folder. A test that crashes does not affect the others, and the harness
 * kills what a test left running.
 *
 * With SEXTON_TEST_ONE_PROCESS in the environment all tests run in one process. This resembles a host, and it saves
 * valgrind from translating the library for each process. A file that defines TESTS_ISOLATED ignores the variable: its
 * tests fork, or count what the process has.
 *
 * `program PART` runs the tests whose title contains PART in this process, for a debugger.
 *
 * Include this file once, in the file with the tests. `run` adds up what the programs print. */
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

/* Limit for one test. Only a test that hangs reaches it. */
#define TIMEOUT_SECONDS 120

typedef struct test {
    const char *title;
    void (*run)(void);
    struct test *next;
} test;

static test *first_test;
/* Called before each test, if set. */
static void (*test_before)(void);
static char test_folder_path[4096];
/* Descriptor for failure messages: the original standard error, even if a test closes or replaces descriptor 2. */
static int test_report_fd = 2;

#define TEST(title) TEST_AT(title, __LINE__)
#define TEST_AT(title, line) TEST_NAMED(title, line)
#define TEST_NAMED(title, line)                                                                    \
    static void test_##line(void);                                                                 \
    static test test_entry_##line = {title, test_##line, NULL};                                    \
    __attribute__((constructor)) static void test_add_##line(void) {                               \
        test_add(&test_entry_##line);                                                              \
    }                                                                                              \
    static void test_##line(void)

/* Appends a test. Constructors run from the top of the file to its end, so tests run in that order. */
static inline void test_add(test *added) {
    test **last = &first_test;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = added;
}

/* Returns the folder of the running test: empty when the test begins, removed after it. */
static inline const char *test_folder(void) {
    return test_folder_path;
}

/* Returns the path of `name` in the test's folder. Valid until the next call. */
static inline const char *test_path(const char *name) {
    static char path[sizeof test_folder_path + 256];
    snprintf(path, sizeof path, "%s/%s", test_folder_path, name);
    return path;
}

/* Returns `large`, or `small` if the environment asks for small tests because everything is slow there. */
static inline size_t test_size(size_t large, size_t small) {
    return getenv("SEXTON_TEST_SMALL") != NULL ? small : large;
}

__attribute__((noreturn, format(printf, 3, 4))) static inline void
test_fail(const char *file, int line, const char *format, ...) {
    va_list arguments;
    char message[2048];
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    dprintf(test_report_fd, "    %s:%d: %s\n", file, line, message);
    /* Not exit(): exit handlers must not run on a half-finished test. As another program the process has no memory left
     * for the leak checkers to report. */
    execlp("false", "false", (char *)NULL);
    _exit(1);
}

#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            FAIL("%s", #condition);                                                                \
        }                                                                                          \
    } while (0)

/* Compares two integers of any type; `expected` comes first. */
#define CHECK_INT(expected, found)                                                                 \
    do {                                                                                           \
        long long expected_ = (long long)(expected), found_ = (long long)(found);                  \
        if (expected_ != found_) {                                                                 \
            FAIL("%s is %lld, expected %s, which is %lld", #found, found_, #expected, expected_);  \
        }                                                                                          \
    } while (0)

/* Compares bytes with a NUL-terminated text. */
#define CHECK_TEXT(expected, found)                                                                \
    do {                                                                                           \
        const char *expected_ = (expected);                                                        \
        sexton_bytes found_ = (found);                                                             \
        if (!test_is_text(found_, expected_)) {                                                    \
            FAIL("%s is \"%.*s\", expected \"%s\"", #found, (int)found_.len,                       \
                 found_.data ? (const char *)found_.data : "", expected_);                         \
        }                                                                                          \
    } while (0)

/* Checks the status of a call that was given `&error`, and frees the error. Reports its message on another status. */
#define CHECK_STATUS(expected, call, error)                                                        \
    do {                                                                                           \
        int32_t found_ = (call);                                                                   \
        test_check_status(__FILE__, __LINE__, #call, (expected), found_, (error));                 \
        sexton_error_free(error);                                                                  \
        (error) = NULL;                                                                            \
    } while (0)

#define CHECK_OK(call, error) CHECK_STATUS(SEXTON_OK, call, error)

static inline int test_is_text(sexton_bytes found, const char *expected) {
    size_t len = strlen(expected);
    return found.len == len && (len == 0 || memcmp(found.data, expected, len) == 0);
}

/* Checks a status and its error. A failed call has an error with that status and a message; a call that succeeded has
 * none. */
static inline void test_check_status(const char *file, int line, const char *call, int32_t expected,
                                     int32_t found, const sexton_error *error) {
    sexton_bytes message = sexton_error_message(error);
    if (found != expected) {
        test_fail(file, line, "%s returned %s, expected %s: %.*s", call, sexton_status_name(found),
                  sexton_status_name(expected), (int)message.len,
                  message.data ? (const char *)message.data : "");
    }
    if (found == SEXTON_OK ? error != NULL : error == NULL) {
        test_fail(file, line, "%s returned %s and %s error", call, sexton_status_name(found),
                  error ? "an" : "no");
    }
    if (error != NULL && (sexton_error_status(error) != found || message.len == 0)) {
        test_fail(file, line, "%s returned %s and an error of %s: \"%.*s\"", call,
                  sexton_status_name(found), sexton_status_name(sexton_error_status(error)),
                  (int)message.len, message.data ? (const char *)message.data : "");
    }
}

/* Waits for a child, which must exit with 0. */
static inline void test_wait_child(pid_t child) {
    int status = 0;
    CHECK(child > 0);
    CHECK_INT(child, waitpid(child, &status, 0));
    CHECK(WIFEXITED(status));
    CHECK_INT(0, WEXITSTATUS(status));
}

/* Runs a shell command in the test's folder. */
static inline void test_shell(const char *command) {
    char line[8192];
    snprintf(line, sizeof line, "cd '%s' && %s", test_folder(), command);
    CHECK_INT(0, system(line));
}

/* Runs `work` in a child process. Fails if the child writes to standard output or standard error. */
static inline void test_check_silent(void (*work)(void)) {
    int ends[2];
    char written[4096];
    size_t len = 0;
    CHECK_INT(0, pipe(ends));
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        work();
        fflush(NULL);
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t got; (got = read(ends[0], written + len, sizeof written - 1 - len)) > 0;) {
        len += (size_t)got;
    }
    close(ends[0]);
    test_wait_child(child);
    if (len != 0) {
        FAIL("output: %.*s", (int)len, written);
    }
}

static inline int test_remove_entry(const char *path, const struct stat *status, int kind,
                                    struct FTW *position) {
    (void)status, (void)kind, (void)position;
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
    nftw(test_folder_path, test_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void test_run(const test *running) {
    alarm(TIMEOUT_SECONDS);
    if (test_before != NULL) {
        test_before();
    }
    running->run();
    alarm(0);
}

/* Runs a test in a child process. Returns 1 if it passed. */
static inline int test_run_isolated(const test *running) {
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        /* A process group of its own, so that the kill below reaches what the test left running. */
        setpgid(0, 0);
        test_report_fd = dup(2);
        test_run(running);
        exit(0); /* Not _exit(): leak checkers run as exit handlers. */
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    kill(-child, SIGKILL);
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "    ended by signal %d: %s\n", WTERMSIG(status),
                strsignal(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) > 1) {
        fprintf(stderr, "    ended with exit code %d\n", WEXITSTATUS(status));
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv) {
    int passed = 0, failed = 0;
#ifdef TESTS_ISOLATED
    const int in_one_process = argc > 1;
#else
    const int in_one_process = argc > 1 || getenv("SEXTON_TEST_ONE_PROCESS") != NULL;
#endif
    for (const test *running = first_test; running != NULL; running = running->next) {
        if (argc > 1 && strstr(running->title, argv[1]) == NULL) {
            continue;
        }
        int has_passed = 1;
        test_make_folder();
        if (in_one_process) {
            test_run(running);
        } else {
            has_passed = test_run_isolated(running);
        }
        test_remove_folder();
        printf("%s  %s\n", has_passed ? "pass" : "FAIL", running->title);
        fflush(stdout);
        passed += has_passed;
        failed += !has_passed;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}

#endif
