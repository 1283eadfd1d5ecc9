/* Removes the data of deleted files, such as their names, from the engine's files: at the start, then once an hour.
 * Reclaiming waits for the disk, so it has a thread. */
#include "filehold.h"

#include <string.h>
#include <time.h>

#define RECLAIM_INTERVAL_S 3600
#define RETRY_S 60 /* after a failure, such as a scan that still needs an older file */

/* Waits for this time, or until a stop is requested. The caller holds the lock. */
static void wait_s(struct reclaimer *reclaimer, time_t seconds) {
  struct timespec deadline;
  clock_gettime(CLOCK_MONOTONIC, &deadline);
  deadline.tv_sec += seconds;
  int status = 0;
  while (!reclaimer->is_stopping && status == 0)
    status = pthread_cond_timedwait(&reclaimer->wake, &reclaimer->lock, &deadline);
}

static void *reclaim_until_stopped(void *user) {
  struct reclaimer *reclaimer = user;
  pthread_mutex_lock(&reclaimer->lock);
  while (!reclaimer->is_stopping) {
    pthread_mutex_unlock(&reclaimer->lock);
    sexton_error *error = NULL;
    bool is_done = sexton_reclaim(reclaimer->engine, &error) == SEXTON_OK;
    if (is_done)
      say("the engine's files are reclaimed.");
    else
      say_error("reclaiming the engine's files failed; the next attempt is in a minute", error);
    pthread_mutex_lock(&reclaimer->lock);
    wait_s(reclaimer, is_done ? RECLAIM_INTERVAL_S : RETRY_S);
  }
  pthread_mutex_unlock(&reclaimer->lock);
  return NULL;
}

bool reclaimer_start(struct reclaimer *reclaimer, sexton_engine *engine) {
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_mutex_init(&reclaimer->lock, NULL);
  pthread_cond_init(&reclaimer->wake, &monotonic);
  pthread_condattr_destroy(&monotonic);
  reclaimer->engine = engine;
  int why = pthread_create(&reclaimer->thread, NULL, reclaim_until_stopped, reclaimer);
  if (why != 0)
    say("the thread for reclaiming cannot be started: %s.", strerror(why));
  reclaimer->is_running = why == 0;
  return reclaimer->is_running;
}

/* Prevents further passes. Does not wait for a running one. */
void reclaimer_request_stop(struct reclaimer *reclaimer) {
  if (!reclaimer->is_running)
    return;
  pthread_mutex_lock(&reclaimer->lock);
  reclaimer->is_stopping = true;
  pthread_cond_signal(&reclaimer->wake);
  pthread_mutex_unlock(&reclaimer->lock);
}

/* Ends the thread, after waiting for a running pass. Must come before the engine is closed. */
void reclaimer_join(struct reclaimer *reclaimer) {
  reclaimer_request_stop(reclaimer);
  if (reclaimer->is_running)
    pthread_join(reclaimer->thread, NULL);
  reclaimer->is_running = false;
}
