/* Clearing: what the engine's files still hold of files that are gone, their names above all, goes at the start and then
 * once an hour. In a thread of its own, since it waits for the disk. */
#include "filehold.h"

#include <string.h>
#include <time.h>

#define CLEARED_EVERY_S 3600
#define TRIED_AGAIN_S 60 /* after a pass that failed: somebody may still have read an older file */

/* Waits so long, or until it is to end. The caller holds the lock. */
static void sleep_s(struct clearing *clearing, time_t seconds) {
  struct timespec again;
  clock_gettime(CLOCK_MONOTONIC, &again);
  again.tv_sec += seconds;
  int status = 0;
  while (!clearing->ending && status == 0)
    status = pthread_cond_timedwait(&clearing->end, &clearing->lock, &again);
}

static void *clear(void *user) {
  struct clearing *clearing = user;
  pthread_mutex_lock(&clearing->lock);
  while (!clearing->ending) {
    pthread_mutex_unlock(&clearing->lock);
    sexton_error *error = NULL;
    bool cleared = sexton_reclaim(clearing->engine, &error) == SEXTON_OK;
    if (cleared)
      say("the engine's files are cleared of what is gone.");
    else
      say_error("the engine's files were not cleared, which is tried again in a minute", error);
    pthread_mutex_lock(&clearing->lock);
    sleep_s(clearing, cleared ? CLEARED_EVERY_S : TRIED_AGAIN_S);
  }
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

/* No pass begins any more. */
void clearing_end(struct clearing *clearing) {
  if (!clearing->runs)
    return;
  pthread_mutex_lock(&clearing->lock);
  clearing->ending = true;
  pthread_cond_signal(&clearing->end);
  pthread_mutex_unlock(&clearing->lock);
}

/* Before the engine is closed. A pass that has begun is waited for. */
void clearing_stop(struct clearing *clearing) {
  clearing_end(clearing);
  if (clearing->runs)
    pthread_join(clearing->thread, NULL);
  clearing->runs = false;
}
