/* What the engine is told of a file. It is registered when it stands in the folder, open: when its three hours begin is
 * not known before it was processed. When it was, the engine is told. Both without waiting for an fsync of the engine:
 * what is submitted is answered by a completion, and the event fd says when one is there. */
#include "filehold.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORE_AT_ONCE 16    /* uploads taken into the folder in a turn: each costs an fsync, which the loop waits for */
#define START_AT_ONCE 256   /* starts told in one call */
#define COMPLETIONS_AT_ONCE 8

/* What a completion is of. One of a kind is on its way at a time, so a token need not say more; and two registrations
 * of a name can never overtake each other. */
enum { REGISTERED = 1, STARTED = 2 };

void retention_init(struct retention *retention) {
  *retention = (struct retention){.event_fd = -1};
  retention->waiting.end = &retention->waiting.first;
  retention->registering.end = &retention->registering.first;
  jobs_init(&retention->ended);
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

static void answer(struct server *server, struct upload *upload, unsigned status, const char *why) {
  upload->status = status;
  snprintf(upload->why, sizeof upload->why, "%s", why);
  http_answer(&server->http, upload);
}

/* Takes an upload that is complete. Its connection sleeps until http_answer. */
void retention_take(struct server *server, struct upload *upload) {
  push_upload(&server->retention.waiting, upload);
}

/* Puts uploads that wait into the folder: each is synced, then the folder once for all of them. */
static void store(struct server *server) {
  struct retention *retention = &server->retention;
  struct uploads *stored = &retention->registering;
  while (stored->len < STORE_AT_ONCE && retention->waiting.first != NULL) {
    /* Of a name that comes twice the second waits for the next call: the order of the two must be plain. */
    if (has_name(stored, retention->waiting.first->name))
      break;
    struct upload *upload = pop_upload(&retention->waiting);
    if (incoming_take_in(&server->folder, &upload->incoming, upload->name, &upload->version))
      push_upload(stored, upload);
    else
      answer(server, upload, errno == ENOSPC || errno == EDQUOT ? 507 : 500, strerror(errno));
  }
  if (stored->len > 0 && !folder_sync(&server->folder)) {
    /* Linux reports a lost write once and forgets it: from here on nothing that was written is certain. */
    say("the folder of files cannot be made durable: %s.", strerror(errno));
    server->failed = true;
  }
}

/* Takes files out of the folder again that the engine did not register: what nobody watches over must not stay. What
 * they had replaced is gone; its registration will end as absent. */
static void refuse(struct server *server, unsigned status, const char *why) {
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

/* What a refused call means for its uploads, and whether the server can go on after it. */
static void not_registered(struct server *server, int32_t status, sexton_bytes message) {
  char why[256];
  snprintf(why, sizeof why, "%.*s", (int)message.len, (const char *)message.data);
  say("registering %zu of the uploads failed: %s (%s).", server->retention.registering.len, why,
      sexton_status_name(status));
  switch (status) {
  case SEXTON_BUSY: /* they are submitted again */
    return;
  case SEXTON_FULL:
    refuse(server, 507, why);
    return;
  case SEXTON_INVALID: /* of the whole call nothing was applied */
  case SEXTON_HELD:
    refuse(server, 500, why);
    return;
  default:
    /* Nobody knows whether they are registered. They stay in the folder, and the next start finds out. */
    server->failed = true;
  }
}

static void submit_uploads(struct server *server) {
  struct retention *retention = &server->retention;
  sexton_registration items[STORE_AT_ONCE];
  uint8_t versions[STORE_AT_ONCE][VERSION_BYTES];
  size_t len = 0;
  for (struct upload *upload = retention->registering.first; upload != NULL; upload = upload->next, len++) {
    version_encode(upload->version, versions[len]);
    items[len] = open_object(upload->name, versions[len], upload->size);
  }
  sexton_error *error = NULL;
  int32_t status = sexton_submit_register(retention->engine, REGISTERED, items, len, 0, &error);
  retention->submitted = status == SEXTON_OK;
  if (status != SEXTON_OK && status != SEXTON_BUSY)
    not_registered(server, status, sexton_error_message(error));
  sexton_error_free(error);
}

static void uploads_registered(struct server *server, const sexton_results *results) {
  struct retention *retention = &server->retention;
  retention->submitted = false;
  if (sexton_results_status(results) != SEXTON_OK) {
    not_registered(server, sexton_results_status(results), sexton_results_message(results));
    return;
  }
  size_t len = 0;
  const sexton_registered *answers = sexton_results_registered(results, &len);
  for (size_t i = 0; i < len && retention->registering.first != NULL; i++) {
    struct upload *upload = pop_upload(&retention->registering);
    upload->id = answers[i].id;
    upload->earlier = answers[i].earlier;
    processing_add(&server->processing, upload->name, upload->version, &upload->id);
    answer(server, upload, 201, "");
  }
}

/* ---- saying when their time begins ---- */

/* A file was processed: its time begins. */
void retention_processed(struct server *server, struct job *job) {
  sexton_error *error = NULL;
  if (sexton_now_ms(server->retention.engine, &job->ended_ms, &error) != SEXTON_OK) {
    say_error("the engine does not tell the time", error);
    server->failed = true;
  }
  jobs_push(&server->retention.ended, job);
}

static void take_back_starts(struct retention *retention) {
  for (struct job *job; (job = jobs_pop(&retention->starting)) != NULL;)
    jobs_push(&retention->ended, job);
  retention->start_again_ms = monotonic_ms() + TRY_AGAIN_MS;
}

/* Named by id, not by name: of a name that was overwritten meanwhile the new file must not start. */
static void submit_starts(struct server *server) {
  struct retention *retention = &server->retention;
  sexton_change changes[START_AT_ONCE];
  size_t len = 0;
  for (struct job *job; len < START_AT_ONCE && (job = jobs_pop(&retention->ended)) != NULL; len++) {
    changes[len] = (sexton_change){.kind = SEXTON_START, .id = job->id, .start_ms = job->ended_ms};
    jobs_push(&retention->starting, job);
  }
  sexton_error *error = NULL;
  int32_t status = sexton_submit_change(retention->engine, STARTED, changes, len, 0, &error);
  if (status == SEXTON_BUSY) {
    take_back_starts(retention);
    sexton_error_free(error);
  } else if (status != SEXTON_OK) {
    say_error("the engine takes no starts", error);
    server->failed = true;
  }
}

static void start_answered(struct server *server, struct job *job, const sexton_changed *changed) {
  switch (changed->status) {
  case SEXTON_BUSY: /* just being carried from page to page */
    jobs_push(&server->retention.ended, job);
    return;
  case SEXTON_OK:
  case SEXTON_NOT_FOUND: /* overwritten meanwhile: the newer file has its own start */
  case SEXTON_TOO_LATE:  /* on its way to deletion: processed again after a crash, or overdue */
  case SEXTON_INVALID:   /* started before a crash, or by itself at the end of max_open */
    break;
  default:
    say("the time of %s does not begin: %.*s (%s).", job->name, (int)changed->message.len,
        (const char *)changed->message.data, sexton_status_name(changed->status));
  }
  free(job);
}

static void files_started(struct server *server, const sexton_results *results) {
  struct retention *retention = &server->retention;
  int32_t status = sexton_results_status(results);
  if (status == SEXTON_FULL || status == SEXTON_BUSY) {
    take_back_starts(retention);
    return;
  }
  if (status != SEXTON_OK) {
    sexton_bytes message = sexton_results_message(results);
    say("starts are not recorded: %.*s (%s).", (int)message.len, (const char *)message.data,
        sexton_status_name(status));
    server->failed = true;
    return;
  }
  size_t len = 0;
  const sexton_changed *answers = sexton_results_changed(results, &len);
  for (size_t i = 0; i < len && retention->starting.first != NULL; i++)
    start_answered(server, jobs_pop(&retention->starting), &answers[i]);
}

/* ---- in the loop ---- */

/* Whether there may be more. */
static bool take_completion(struct server *server) {
  sexton_results *results = NULL;
  sexton_error *error = NULL;
  if (sexton_next_completion(server->retention.engine, &results, &error) != SEXTON_OK) {
    say_error("the engine answers no more", error);
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

/* Takes what was answered, and submits what waits. */
int retention_turn(struct server *server) {
  struct retention *retention = &server->retention;
  for (int i = 0; i < COMPLETIONS_AT_ONCE && !server->failed && take_completion(server); i++)
    ;
  if (retention->registering.len == 0 && !server->failed)
    store(server);
  if (retention->registering.len > 0 && !retention->submitted && !server->failed)
    submit_uploads(server);
  bool may_start = retention->starting.len == 0 && monotonic_ms() >= retention->start_again_ms;
  if (retention->ended.len > 0 && may_start && !server->failed)
    submit_starts(server);
  if (retention->waiting.len > 0 && retention->registering.len == 0)
    return MORE_TO_DO;
  bool has_to_ask_again = (retention->registering.len > 0 && !retention->submitted) ||
                          (retention->ended.len > 0 && retention->starting.len == 0);
  return has_to_ask_again ? TRY_AGAIN_MS : NOTHING_TO_DO;
}

/* Whether nobody waits for an answer, and the engine knows everything that is to be told. */
bool retention_is_idle(const struct retention *retention) {
  return retention->waiting.len + retention->registering.len + retention->ended.len + retention->starting.len == 0;
}

/* The server ends: whoever still waits is told so, and may try again. Files that stand in the folder stay there, and
 * the next start registers and processes them. */
void retention_give_up(struct server *server) {
  struct retention *retention = &server->retention;
  static const char ending[] = "The server is ending, and it is not known whether it took the file; try again.";
  for (struct upload *upload; (upload = pop_upload(&retention->registering)) != NULL;)
    answer(server, upload, 503, ending);
  for (struct upload *upload; (upload = pop_upload(&retention->waiting)) != NULL;)
    answer(server, upload, 503, ending);
  jobs_free(&retention->ended);
  jobs_free(&retention->starting);
}
