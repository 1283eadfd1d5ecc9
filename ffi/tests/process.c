/* What a library must not do to the process that it is loaded into: its threads and signals. */

#include "site.h"

#include <dirent.h>
#include <pthread.h>


typedef struct thread_list {
    size_t len;
    struct {
        long tid;
        char name[32];
        unsigned long long blocked;
    } all[256];
} thread_list;

/* Every thread of this process, with its name and the signals that it blocks. */
static void list_threads(thread_list *threads) {
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    threads->len = 0;
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        char path[300], line[256];
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        FILE *status = task->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (status == NULL) {
            continue; /* it has ended meanwhile */
        }
        CHECK(threads->len < 256);
        size_t at = threads->len++;
        threads->all[at].tid = atol(task->d_name);
        while (fgets(line, sizeof line, status) != NULL) {
            sscanf(line, "Name: %31[^\n]", threads->all[at].name);
            sscanf(line, "SigBlk: %llx", &threads->all[at].blocked);
        }
        fclose(status);
    }
    closedir(tasks);
}

/* How many threads have a name that begins so. */
static size_t named(const thread_list *threads, const char *beginning) {
    size_t count = 0;
    for (size_t i = 0; i < threads->len; i++) {
        count += strncmp(threads->all[i].name, beginning, strlen(beginning)) == 0;
    }
    return count;
}

static int is_blocked_everywhere(const thread_list *threads, int signal) {
    for (size_t i = 0; i < threads->len; i++) {
        int is_host = threads->all[i].tid == (long)getpid();
        if (!is_host && !(threads->all[i].blocked >> (signal - 1) & 1)) {
            dprintf(2, "thread %s lets %s through\n", threads->all[i].name, strsignal(signal));
            return 0;
        }
    }
    return 1;
}

static int32_t deletes(void *user, sexton_engine *engine, const sexton_batch *batch) {
    (void)user;
    answer_all(engine, batch, SEXTON_ANSWER_DELETED);
    return 0;
}

/* An engine with threads of every kind, that has worked. */
static sexton_engine *open_with_threads(sexton_delete_fn function) {
    sexton_options *options = site_options();
    sexton_error *error = NULL;
    set_uint(options, "threads", 2);
    set_uint(options, "callback_threads", 2);
    CHECK_OK(sexton_options_set_delete(options, function, NULL, &error), error);
    sexton_engine *engine = open_with(options);
    sexton_options_free(options);
    put_many(engine, "files", "a", 5);
    pass_ms(2 * SECOND_MS);
    while (counters(engine, "files").deleted < 5) {
        usleep(1000);
    }
    return engine;
}

/* Raised by what a thread does itself: in a callback that is the host's code, and so is the handler. */
static int is_raised_by_itself(int signal) {
    static const int all[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i] == signal) {
            return 1;
        }
    }
    return 0;
}

static volatile sig_atomic_t handled;

static void handle(int signal) {
    (void)signal;
    handled = 1;
}

static int32_t raises(void *user, sexton_engine *engine, const sexton_batch *batch) {
    raise(SIGBUS);
    return deletes(user, engine, batch);
}

TEST("a handler of the host's for what its own code raises runs in callbacks") {
    struct sigaction action = {.sa_handler = handle}, before;
    sigemptyset(&action.sa_mask);
    CHECK_INT(0, sigaction(SIGBUS, &action, &before));
    sexton_engine *engine = open_with_threads(raises);
    CHECK(handled);
    close_site(engine);
    sigaction(SIGBUS, &before, NULL);
}

TEST("the library's threads block every signal that can be sent to the process") {
    static thread_list threads;
    if (getenv("SEXTON_TEST_SMALL") != NULL) {
        return; /* Under valgrind the kernel is shown valgrind's own masks. */
    }
    sexton_engine *engine = open_with_threads(deletes);
    list_threads(&threads);
    CHECK(named(&threads, "sexton") >= 3);
    for (int signal = 1; signal <= SIGRTMAX; signal++) {
        /* 32 and 33 belong to the C library. */
        if (signal != SIGKILL && signal != SIGSTOP && !is_raised_by_itself(signal) &&
            (signal < 32 || signal >= SIGRTMIN)) {
            CHECK(is_blocked_everywhere(&threads, signal));
        }
    }
    close_site(engine);
}

TEST("a signal that the host blocks reaches no thread of the library") {
    sigset_t two, pending;
    sexton_engine *engine = open_with_threads(deletes);
    sigemptyset(&two);
    sigaddset(&two, SIGUSR1);
    sigaddset(&two, SIGTERM);
    CHECK_INT(0, pthread_sigmask(SIG_BLOCK, &two, NULL));
    /* Where any thread took one of them, the process would be gone. */
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGTERM);
    put(engine, "files", "b");
    CHECK_INT(0, sigpending(&pending));
    CHECK(sigismember(&pending, SIGUSR1) && sigismember(&pending, SIGTERM));
    close_site(engine);
    CHECK_INT(0, sigpending(&pending));
    CHECK(sigismember(&pending, SIGUSR1) && sigismember(&pending, SIGTERM));
    /* Ignored, they are gone; then all is as it was. */
    signal(SIGUSR1, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGUSR1, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    CHECK_INT(0, pthread_sigmask(SIG_UNBLOCK, &two, NULL));
}

TEST("no signal handler is installed, and the host's signal mask stays as it is") {
    static struct sigaction before[65], after;
    sigset_t mask_before, mask_after;
    for (int signal = 1; signal <= 64; signal++) {
        sigaction(signal, NULL, &before[signal]);
    }
    sigemptyset(&mask_before);
    pthread_sigmask(SIG_SETMASK, NULL, &mask_before);
    sexton_engine *engine = open_with_threads(deletes);
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
            close_site(engine);
        }
    }
}

TEST("no thread of the library is left when the engine is closed") {
    static thread_list threads;
    sexton_engine *engine = open_with_threads(deletes);
    list_threads(&threads);
    CHECK(named(&threads, "sexton") >= 3);
    close_site(engine);
    do { /* Those of the pool are told to end, and do so a moment later. */
        usleep(1000);
        list_threads(&threads);
    } while (named(&threads, "sexton") > 0);
}

TEST("with threads = 0 none is started: only RocksDB has its own") {
    static thread_list opened, worked, threaded;
    sexton_engine *engine = open_site(NULL, 0);
    list_threads(&opened);
    put_many(engine, "files", "a", 10);
    pass_ms(2 * SECOND_MS);
    CHECK_INT(10, delete_due(engine));
    list_threads(&worked);
    CHECK_INT(0, named(&opened, "sexton") + named(&worked, "sexton"));
    CHECK_INT(opened.len, worked.len);
    close_site(engine);
    engine = open_site("threads", 2);
    do { /* A thread gives itself its name a moment after it has begun. */
        usleep(1000);
        list_threads(&threaded);
    } while (threaded.len - named(&threaded, "sexton") != opened.len);
    CHECK(named(&threaded, "sexton") >= 2);
    close_site(engine);
}
