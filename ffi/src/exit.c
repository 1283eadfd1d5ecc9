/* Exit handlers of the library run only in the process that registered them.
 *
 * RocksDB registers a handler that joins its threads. A forked child has no such threads. There the handler reads the
 * stack of a thread that is gone, so a child that ended with exit() would crash. The linker sends all registrations of the
 * library through this file (--wrap). Handlers of the host are not affected. */
#include <pthread.h>
#include <stdlib.h>

/* Number of forks from the process that loaded the library to this one. */
static unsigned forks;

struct handler {
    void (*run)(void *);
    void *argument;
    unsigned forks;
};

static void count_fork(void) {
    forks++;
}

__attribute__((constructor)) static void watch_forks(void) {
    /* Fails only for want of memory. A child then ends as it does without this file. */
    (void)pthread_atfork(NULL, NULL, count_fork);
}

static void run_in_own_process(void *registered) {
    struct handler *handler = registered;
    if (handler->forks == forks) {
        handler->run(handler->argument);
    }
    free(handler);
}

int __real___cxa_atexit(void (*run)(void *), void *argument, void *library);

__attribute__((visibility("hidden"))) int __wrap___cxa_atexit(void (*run)(void *), void *argument, void *library) {
    struct handler *handler = malloc(sizeof *handler);
    if (handler == NULL) {
        return -1;
    }
    *handler = (struct handler){run, argument, forks};
    return __real___cxa_atexit(run_in_own_process, handler, library);
}
