/* Clearing: what the engine's files still hold of files that are gone, their names above all, goes at the start and then
 * once an hour. In a thread of its own, since it waits for the disk. */
#include "filehold.h"

#include <string.h>
#include <time.h>

#define CLEARED_EVERY_S 3600

/* Waits an hour, or until it is to end; whether it is. The caller holds the lock. */
static bool is_ended(struct clearing *clearing) {
  struct timespec again;
  clock_gettime(CLOCK_MONOTONIC, &again);
  again.tv_sec += CLEARED_EVERY_S;
  int status = 0;
  while (!clearing->ending && status == 0)
    status = pthread_cond_timedwait(&clearing->end, &clearing->lock, &again);
  return clearing->ending;
}

static void *clear(void *user) {
  struct clearing *clearing = user;
  pthread_mutex_lock(&clearing->lock);
  do {
    pthread_mutex_unlock(&clearing->lock);
    sexton_error *error = NULL;
    if (sexton_reclaim(clearing->engine, &error) != SEXTON_OK)
      say_error("the engine's files were not cleared, which is tried again in an hour", error);
    pthread_mutex_lock(&clearing->lock);
  } while (!is_ended(clearing));
  pthread_mutex_unlock(&clearing->lock);
  return NULL;
}

bool clearing_start(struct clearing *clearing, sexton_engine *engine) {
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_mutex_init(&clearing->lock, NULL);
  pthread_cond_init(&clearing->end, &monotonic);
  pthread_condattr_destroy(&monotonic);
  clearing->engine = engine;
  int why = pthread_create(&clearing->thread, NULL, clear, clearing);
  if (why != 0)
    say("there is no thread for clearing: %s.", strerror(why));
  clearing->runs = why == 0;
  return clearing->runs;
}

/* Before the engine is closed. A pass that has begun is waited for. */
void clearing_stop(struct clearing *clearing) {
  if (!clearing->runs)
    return;
  pthread_mutex_lock(&clearing->lock);
  clearing->ending = true;
  pthread_cond_signal(&clearing->end);
  pthread_mutex_unlock(&clearing->lock);
  pthread_join(clearing->thread, NULL);
  clearing->runs = false;
}
