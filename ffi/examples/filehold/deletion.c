/* Deletes the files of sub-batches. The engine decides which and when. The answers become evidence, so they must be
 * facts: `deleted` and `absent` only after the folder was synced, and `changed` for any version but the registered one.
 *
 * After a crash the engine hands out the same objects again. Files already removed are then answered `absent`, and the
 * engine's intent record shows that it had asked for them. */
#include "filehold.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DELETES_PER_TURN 64

static const char unknown_object[] = "the key or version is not one of this server";
static const char not_rewritten[] = "this server cannot anonymise files; give the class disposition = \"delete\"";
static const char not_durable[] = "the folder of files could not be synced";

void deletion_reset(struct deletion *deletion) {
  sexton_batch_free(deletion->batch);
  free(deletion->answers);
  *deletion = (struct deletion){.batch = NULL};
}

/* Takes the next sub-batch. Returns false if there is none. */
static bool take_batch(struct server *server) {
  struct deletion *deletion = &server->deletion;
  sexton_error *error = NULL;
  if (sexton_next_batch(server->retention.engine, &deletion->batch, &error) != SEXTON_OK) {
    say_error("taking a sub-batch failed", error);
    server->failed = true;
    return false;
  }
  if (deletion->batch == NULL)
    return false;
  sexton_batch_objects(deletion->batch, &deletion->len);
  deletion->next = 0;
  deletion->answers = calloc(deletion->len == 0 ? 1 : deletion->len, sizeof *deletion->answers);
  if (deletion->answers != NULL)
    return true;
  say("out of memory: %zu files will be handed out again.", deletion->len);
  deletion_reset(deletion);
  server->failed = true;
  return false;
}

static void set_answer(sexton_answer *answer, int32_t outcome, const char *detail) {
  answer->answer = outcome;
  if (detail != NULL)
    answer->detail = bytes_of(detail);
}

static void delete_one(struct server *server, const sexton_object *object, sexton_answer *answer) {
  char name[NAME_BYTES_MAX + 1] = "";
  struct version version;
  if (object->key.len <= NAME_BYTES_MAX)
    memcpy(name, object->key.data, object->key.len);
  if (strlen(name) != object->key.len || !name_is_valid(name) ||
      !version_decode(object->version.data, object->version.len, &version)) {
    set_answer(answer, SEXTON_ANSWER_FAILED, unknown_object);
    return;
  }
  switch (folder_remove(&server->folder, name, version)) {
  case REMOVED:
    set_answer(answer, SEXTON_ANSWER_DELETED, NULL);
    return;
  case NOT_THERE:
    set_answer(answer, SEXTON_ANSWER_ABSENT, NULL);
    return;
  case ANOTHER_VERSION:
    set_answer(answer, SEXTON_ANSWER_CHANGED, NULL);
    return;
  case NOT_REMOVED:
    /* Static text, so the answer may borrow it. */
    set_answer(answer, SEXTON_ANSWER_FAILED, strerrordesc_np(errno));
  }
}

/* Makes the removals durable, and answers for the whole sub-batch. */
static void answer_batch(struct server *server) {
  struct deletion *deletion = &server->deletion;
  if (!folder_sync(&server->folder)) {
    say("%s: %s.", not_durable, strerror(errno));
    server->failed = true;
    /* Absent files too: another process may have removed them just before. */
    for (size_t i = 0; i < deletion->len; i++)
      if (deletion->answers[i].answer == SEXTON_ANSWER_DELETED || deletion->answers[i].answer == SEXTON_ANSWER_ABSENT)
        set_answer(&deletion->answers[i], SEXTON_ANSWER_FAILED, not_durable);
  }
  sexton_batch_id id = sexton_batch_get_id(deletion->batch);
  size_t taken = 0;
  sexton_error *error = NULL;
  int32_t status =
      sexton_answer_objects(server->retention.engine, &id, deletion->answers, deletion->len, &taken, &error);
  if (status != SEXTON_OK) {
    say_error("answering a sub-batch failed", error);
    server->failed = true;
  } else if (taken < deletion->len) {
    say("%zu of %zu answers came too late; these files will be handed out again.", deletion->len - taken,
        deletion->len);
  }
  deletion_reset(deletion);
}

/* Deletes a slice of the current sub-batch. */
int deletion_turn(struct server *server) {
  struct deletion *deletion = &server->deletion;
  if (deletion->batch == NULL && !take_batch(server))
    return NOTHING_TO_DO;
  bool deletes = sexton_batch_disposition(deletion->batch) == SEXTON_DELETE;
  const sexton_object *objects = sexton_batch_objects(deletion->batch, &deletion->len);
  for (int i = 0; i < DELETES_PER_TURN && deletion->next < deletion->len; i++, deletion->next++) {
    sexton_answer *answer = &deletion->answers[deletion->next];
    answer->object = (uint32_t)deletion->next;
    if (deletes)
      delete_one(server, &objects[deletion->next], answer);
    else
      set_answer(answer, SEXTON_ANSWER_REFUSED, not_rewritten);
  }
  if (deletion->next == deletion->len)
    answer_batch(server);
  return MORE_TO_DO;
}
