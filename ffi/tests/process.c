/* Effects on the process of the host: the library's threads and their signals. */

#include "fixture.h"

#include <dirent.h>

typedef struct thread_list {
    size_t len;
    struct {
        long tid;
        char name[32];
        unsigned long long blocked;
    } all[256];
} thread_list;

/* Lists the threads of this process, with their names and the signals they block. */
static void list_threads(thread_list *threads) {
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    threads->len = 0;
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        char path[300], line[256];
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        FILE *status = task->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (status == NULL) {
            continue; /* the thread has ended meanwhile */
        }
        CHECK(threads->len < 256);
        size_t index = threads->len++;
        threads->all[index].tid = atol(task->d_name);
        while (fgets(line, sizeof line, status) != NULL) {
            sscanf(line, "Name: %31[^\n]", threads->all[index].name);
            sscanf(line, "SigBlk: %llx", &threads->all[index].blocked);
        }
        fclose(status);
    }
    closedir(tasks);
}

/* Counts the threads whose name begins with `prefix`. */
static size_t count_named(const thread_list *threads, const char *prefix) {
    size_t count = 0;
    for (size_t i = 0; i < threads->len; i++) {
        count += strncmp(threads->all[i].name, prefix, strlen(prefix)) == 0;
    }
    return count;
}

/* Returns 1 if every thread but the main thread blocks the signal. */
static int is_blocked_everywhere(const thread_list *threads, int signal) {
    for (size_t i = 0; i < threads->len; i++) {
        int is_host = threads->all[i].tid == (long)getpid();
        if (!is_host && !(threads->all[i].blocked >> (signal - 1) & 1)) {
            dprintf(2, "thread %s does not block %s\n", threads->all[i].name, strsignal(signal));
            return 0;
        }
    }
    return 1;
}

static int32_t delete_all(void *user, sexton_engine *engine, const sexton_batch *batch) {
    (void)user;
    answer_all(engine, batch, SEXTON_ANSWER_DELETED);
    return 0;
}

/* Opens an engine with threads of every kind, and waits until it has deleted objects. */
static sexton_engine *open_with_threads(sexton_delete_fn callback) {
    sexton_options *options = test_options();
    sexton_error *error = NULL;
    set_option_uint(options, "threads", 2);
    set_option_uint(options, "handler_threads", 2);
    CHECK_OK(sexton_options_set_delete(options, callback, NULL, &error), error);
    sexton_engine *engine = open_with_options(options);
    sexton_options_free(options);
    register_objects(engine, "files", "a", 5);
    advance_ms(2 * SECOND_MS);
    while (class_counters(engine, "files").deleted < 5) {
        usleep(1000);
    }
    return engine;
}

/* Returns 1 for a signal that a thread raises by its own fault. In a callback the fault is in host code. The host's
 * handler must then run, so library threads do not block these signals. */
static int is_raised_by_itself(int signal) {
    static const int all[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i] == signal) {
            return 1;
        }
    }
    return 0;
}

static volatile sig_atomic_t has_handled;

static void handle_signal(int signal) {
    (void)signal;
    has_handled = 1;
}

static int32_t raise_and_delete(void *user, sexton_engine *engine, const sexton_batch *batch) {
    raise(SIGBUS);
    return delete_all(user, engine, batch);
}

TEST("a host's handler for a fault runs inside a callback") {
    struct sigaction action = {.sa_handler = handle_signal}, before;
    sigemptyset(&action.sa_mask);
    CHECK_INT(0, sigaction(SIGBUS, &action, &before));
    sexton_engine *engine = open_with_threads(raise_and_delete);
    CHECK(has_handled);
    close_engine(engine);
    sigaction(SIGBUS, &before, NULL);
}

TEST("library threads block every signal a process can be sent") {
    static thread_list threads;
    if (getenv("SEXTON_TEST_SMALL") != NULL) {
        return; /* under valgrind the kernel has the masks of valgrind */
    }
    sexton_engine *engine = open_with_threads(delete_all);
    list_threads(&threads);
    CHECK(count_named(&threads, "sexton") >= 3);
    for (int signal = 1; signal <= SIGRTMAX; signal++) {
        /* 32 and 33 belong to the C library. */
        if (signal != SIGKILL && signal != SIGSTOP && !is_raised_by_itself(signal) &&
            (signal < 32 || signal >= SIGRTMIN)) {
            CHECK(is_blocked_everywhere(&threads, signal));
        }
    }
    close_engine(engine);
}

TEST("a signal that the host blocks reaches no library thread") {
    sigset_t two, pending;
    sexton_engine *engine = open_with_threads(delete_all);
    sigemptyset(&two);
    sigaddset(&two, SIGUSR1);
    sigaddset(&two, SIGTERM);
    CHECK_INT(0, pthread_sigmask(SIG_BLOCK, &two, NULL));
    /* If any thread received one of them, the process would end. */
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGTERM);
    register_object(engine, "files", "b");
    CHECK_INT(0, sigpending(&pending));
    CHECK(sigismember(&pending, SIGUSR1) && sigismember(&pending, SIGTERM));
    close_engine(engine);
    CHECK_INT(0, sigpending(&pending));
    CHECK(sigismember(&pending, SIGUSR1) && sigismember(&pending, SIGTERM));
    /* Ignoring a pending signal discards it; then the defaults are restored. */
    signal(SIGUSR1, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGUSR1, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    CHECK_INT(0, pthread_sigmask(SIG_UNBLOCK, &two, NULL));
}

TEST("signal handlers and the host's signal mask are unchanged") {
    static struct sigaction before[65], after;
    sigset_t mask_before, mask_after;
    for (int signal = 1; signal <= 64; signal++) {
        sigaction(signal, NULL, &before[signal]);
    }
    sigemptyset(&mask_before);
    pthread_sigmask(SIG_SETMASK, NULL, &mask_before);
    sexton_engine *engine = open_with_threads(delete_all);
    for (int round = 0; round < 2; round++) {
        for (int signal = 1; signal <= 64; signal++) {
            sigaction(signal, NULL, &after);
            CHECK(before[signal].sa_handler == after.sa_handler);
        }
        sigemptyset(&mask_after);
        pthread_sigmask(SIG_SETMASK, NULL, &mask_after);
        for (int signal = 1; signal <= 64; signal++) {
            CHECK_INT(sigismember(&mask_before, signal), sigismember(&mask_after, signal));
        }
        if (round == 0) {
            close_engine(engine);
        }
    }
}

TEST("closing an engine ends all threads of the library") {
    static thread_list threads;
    sexton_engine *engine = open_with_threads(delete_all);
    list_threads(&threads);
    CHECK(count_named(&threads, "sexton") >= 3);
    close_engine(engine);
    do { /* pool threads end shortly after the close */
        usleep(1000);
        list_threads(&threads);
    } while (count_named(&threads, "sexton") > 0);
}

TEST("threads = 0 starts no thread but those of RocksDB") {
    static thread_list opened, worked, threaded;
    sexton_engine *engine = open_engine(NULL, 0);
    list_threads(&opened);
    register_objects(engine, "files", "a", 10);
    advance_ms(2 * SECOND_MS);
    CHECK_INT(10, delete_due(engine));
    list_threads(&worked);
    CHECK_INT(0, count_named(&opened, "sexton") + count_named(&worked, "sexton"));
    CHECK_INT(opened.len, worked.len);
    close_engine(engine);
    engine = open_engine("threads", 2);
    do { /* a thread sets its name shortly after it has started */
        usleep(1000);
        list_threads(&threaded);
    } while (threaded.len - count_named(&threaded, "sexton") != opened.len);
    CHECK(count_named(&threaded, "sexton") >= 2);
    close_engine(engine);
}
