/* Registers each file when it is in the folder, without a start, and sets the start when it was processed. Both are
 * submitted, so that the loop never waits for an fsync of the engine: a completion has the answer, and the event
 * descriptor becomes readable when one is available. */
#include "filehold.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORES_PER_TURN 16  /* uploads moved into the folder per turn: the loop waits for an fsync of each */
#define STARTS_PER_CALL 256 /* starts set by one submission */
#define COMPLETIONS_PER_TURN 8

/* Tokens of submissions. At most one submission of each kind is in flight, so that the kind identifies it, and so that
 * two registrations of a name keep their order. */
enum { REGISTERED = 1, STARTED = 2 };

void retention_init(struct retention *retention) {
  *retention = (struct retention){.event_fd = -1};
  retention->waiting.end = &retention->waiting.first;
  retention->registering.end = &retention->registering.first;
  jobs_init(&retention->processed);
  jobs_init(&retention->starting);
}

/* ---- registering ---- */

static void push_upload(struct uploads *uploads, struct upload *upload) {
  upload->next = NULL;
  *uploads->end = upload;
  uploads->end = &upload->next;
  uploads->len++;
}

static struct upload *pop_upload(struct uploads *uploads) {
  struct upload *upload = uploads->first;
  if (upload == NULL)
    return NULL;
  uploads->first = upload->next;
  if (uploads->first == NULL)
    uploads->end = &uploads->first;
  uploads->len--;
  return upload;
}

static bool has_name(const struct uploads *uploads, const char *name) {
  for (const struct upload *upload = uploads->first; upload != NULL; upload = upload->next)
    if (strcmp(upload->name, name) == 0)
      return true;
  return false;
}

/* Sets the response of an upload, and resumes its connection. */
static void answer(struct server *server, struct upload *upload, unsigned status, const char *why) {
  upload->status = status;
  snprintf(upload->why, sizeof upload->why, "%s", why);
  http_resume(&server->http, upload);
}

/* Queues a received upload. Its connection is suspended until http_resume(). */
void retention_enqueue(struct server *server, struct upload *upload) {
  push_upload(&server->retention.waiting, upload);
}

/* Moves waiting uploads into the folder. Syncs each file, then the folder once for all. */
static void store_waiting(struct server *server) {
  struct retention *retention = &server->retention;
  struct uploads *stored = &retention->registering;
  while (stored->len < STORES_PER_TURN && retention->waiting.first != NULL) {
    /* A second upload of a name waits for the next submission, so that the order of the two is certain. */
    if (has_name(stored, retention->waiting.first->name))
      break;
    struct upload *upload = pop_upload(&retention->waiting);
    if (incoming_commit(&server->folder, &upload->incoming, upload->name, &upload->version))
      push_upload(stored, upload);
    else
      answer(server, upload, errno == ENOSPC || errno == EDQUOT ? 507 : 500, strerror(errno));
  }
  if (stored->len > 0 && !folder_sync(&server->folder)) {
    /* Linux reports a lost write only once, so no later fsync can be trusted. */
    say("the folder of files cannot be made durable: %s.", strerror(errno));
    server->failed = true;
  }
}

/* Removes files that the engine did not register, since it would never delete them. A file that one of them replaced is
 * gone already; its registration will end as absent. */
static void discard_uploads(struct server *server, unsigned status, const char *why) {
  struct uploads *uploads = &server->retention.registering;
  for (struct upload *upload = uploads->first; upload != NULL; upload = upload->next)
    if (folder_remove(&server->folder, upload->name, upload->version) == NOT_REMOVED)
      say("%s was not registered and cannot be removed; it will be registered when the server starts again.",
          upload->name);
  if (!folder_sync(&server->folder))
    server->failed = true;
  for (struct upload *upload; (upload = pop_upload(uploads)) != NULL;)
    answer(server, upload, status, why);
}

/* Handles a refused registration. Sets `failed` if the server cannot go on. */
static void registration_failed(struct server *server, int32_t status, sexton_bytes message) {
  char why[256];
  snprintf(why, sizeof why, "%.*s", (int)message.len, (const char *)message.data);
  say("registering %zu uploads failed: %s (%s).", server->retention.registering.len, why, sexton_status_name(status));
  switch (status) {
  case SEXTON_BUSY: /* submitted again by a later turn */
    return;
  case SEXTON_FULL:
    discard_uploads(server, 507, why);
    return;
  case SEXTON_INVALID: /* none of the call was applied */
  case SEXTON_HELD:
    discard_uploads(server, 500, why);
    return;
  default:
    /* It is unknown if they are registered. They stay in the folder, and the next start registers missing ones. */
    server->failed = true;
  }
}

static void submit_uploads(struct server *server) {
  struct retention *retention = &server->retention;
  sexton_registration registrations[STORES_PER_TURN];
  uint8_t versions[STORES_PER_TURN][VERSION_BYTES];
  size_t len = 0;
  for (struct upload *upload = retention->registering.first; upload != NULL; upload = upload->next, len++) {
    version_encode(upload->version, versions[len]);
    registrations[len] = open_object(upload->name, versions[len], upload->size);
  }
  sexton_error *error = NULL;
  int32_t status = sexton_submit_register(retention->engine, REGISTERED, registrations, len, 0, &error);
  retention->submitted = status == SEXTON_OK;
  if (status != SEXTON_OK && status != SEXTON_BUSY)
    registration_failed(server, status, sexton_error_message(error));
  sexton_error_free(error);
}

static void uploads_registered(struct server *server, const sexton_results *results) {
  struct retention *retention = &server->retention;
  retention->submitted = false;
  if (sexton_results_status(results) != SEXTON_OK) {
    registration_failed(server, sexton_results_status(results), sexton_results_message(results));
    return;
  }
  size_t len = 0;
  const sexton_registered *answers = sexton_results_registered(results, &len);
  for (size_t i = 0; i < len && retention->registering.first != NULL; i++) {
    struct upload *upload = pop_upload(&retention->registering);
    upload->id = answers[i].id;
    upload->previous = answers[i].previous;
    processing_add(&server->processing, upload->name, upload->version, &upload->id);
    answer(server, upload, 201, "");
  }
}

/* ---- setting starts ---- */

/* Takes the job of a processed file. Its time counts from now. */
void retention_processed(struct server *server, struct job *job) {
  sexton_error *error = NULL;
  if (sexton_now_ms(server->retention.engine, &job->processed_ms, &error) != SEXTON_OK) {
    say_error("reading the engine's clock failed", error);
    server->failed = true;
  }
  jobs_push(&server->retention.processed, job);
}

static void requeue_starts(struct retention *retention) {
  for (struct job *job; (job = jobs_pop(&retention->starting)) != NULL;)
    jobs_push(&retention->processed, job);
  retention->start_again_ms = monotonic_ms() + RETRY_MS;
}

/* Submits starts by registration id. By name, a file that has overwritten the processed one would start. */
static void submit_starts(struct server *server) {
  struct retention *retention = &server->retention;
  sexton_object_change changes[STARTS_PER_CALL];
  size_t len = 0;
  for (struct job *job; len < STARTS_PER_CALL && (job = jobs_pop(&retention->processed)) != NULL; len++) {
    changes[len] = (sexton_object_change){
        .kind = SEXTON_START, .id = job->id, .has_start = true, .start_ms = job->processed_ms};
    jobs_push(&retention->starting, job);
  }
  sexton_error *error = NULL;
  int32_t status = sexton_submit_change(retention->engine, STARTED, changes, len, 0, &error);
  if (status == SEXTON_BUSY) {
    requeue_starts(retention);
    sexton_error_free(error);
  } else if (status != SEXTON_OK) {
    say_error("submitting starts failed", error);
    server->failed = true;
  }
}

static void start_answered(struct server *server, struct job *job, const sexton_changed *changed) {
  switch (changed->status) {
  case SEXTON_BUSY: /* the registration is being carried to another page */
    jobs_push(&server->retention.processed, job);
    return;
  case SEXTON_OK:
  case SEXTON_NOT_FOUND: /* overwritten in the meantime; the newer file has its own start */
  case SEXTON_TOO_LATE:  /* already handed out for deletion */
  case SEXTON_INVALID:   /* started before a crash, or at the end of max_open */
    break;
  default:
    say("setting the start of %s failed: %.*s (%s).", job->name, (int)changed->message.len,
        (const char *)changed->message.data, sexton_status_name(changed->status));
  }
  free(job);
}

static void files_started(struct server *server, const sexton_results *results) {
  struct retention *retention = &server->retention;
  int32_t status = sexton_results_status(results);
  if (status == SEXTON_FULL || status == SEXTON_BUSY) {
    requeue_starts(retention);
    return;
  }
  if (status != SEXTON_OK) {
    sexton_bytes message = sexton_results_message(results);
    say("setting starts failed: %.*s (%s).", (int)message.len, (const char *)message.data, sexton_status_name(status));
    server->failed = true;
    return;
  }
  size_t len = 0;
  const sexton_changed *answers = sexton_results_changed(results, &len);
  for (size_t i = 0; i < len && retention->starting.first != NULL; i++)
    start_answered(server, jobs_pop(&retention->starting), &answers[i]);
}

/* ---- in the loop ---- */

/* Takes one completion. Returns true if there may be more. */
static bool take_completion(struct server *server) {
  sexton_results *results = NULL;
  sexton_error *error = NULL;
  if (sexton_next_completion(server->retention.engine, &results, &error) != SEXTON_OK) {
    say_error("taking completions failed", error);
    server->failed = true;
    return false;
  }
  if (results == NULL)
    return false;
  if (sexton_results_token(results) == REGISTERED)
    uploads_registered(server, results);
  else
    files_started(server, results);
  sexton_results_free(results);
  return true;
}

/* Takes completions, then submits waiting uploads and starts. */
int retention_turn(struct server *server) {
  struct retention *retention = &server->retention;
  for (int i = 0; i < COMPLETIONS_PER_TURN && !server->failed && take_completion(server); i++)
    ;
  if (retention->registering.len == 0 && !server->failed)
    store_waiting(server);
  if (retention->registering.len > 0 && !retention->submitted && !server->failed)
    submit_uploads(server);
  bool may_start = retention->starting.len == 0 && monotonic_ms() >= retention->start_again_ms;
  if (retention->processed.len > 0 && may_start && !server->failed)
    submit_starts(server);
  if (retention->waiting.len > 0 && retention->registering.len == 0)
    return MORE_TO_DO;
  bool must_retry = (retention->registering.len > 0 && !retention->submitted) ||
                    (retention->processed.len > 0 && retention->starting.len == 0);
  return must_retry ? RETRY_MS : NOTHING_TO_DO;
}

/* Returns true if no upload waits for its response, and the engine has all registrations and starts. */
bool retention_is_idle(const struct retention *retention) {
  return retention->waiting.len + retention->registering.len + retention->processed.len + retention->starting.len == 0;
}

/* Answers all open uploads when the server ends: the client may try again. Files in the folder stay there, and the next
 * start registers and processes them. */
void retention_abort(struct server *server) {
  struct retention *retention = &server->retention;
  static const char ending[] = "The server is shutting down, and may or may not have the file; try again.";
  for (struct upload *upload; (upload = pop_upload(&retention->registering)) != NULL;)
    answer(server, upload, 503, ending);
  for (struct upload *upload; (upload = pop_upload(&retention->waiting)) != NULL;)
    answer(server, upload, 503, ending);
  jobs_free(&retention->processed);
  jobs_free(&retention->starting);
}
