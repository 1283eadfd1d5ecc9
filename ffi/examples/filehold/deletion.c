/* Deletes what the engine hands over. The engine decides what goes and when; here it goes, and what is answered ends up
 * in evidence that others rely on. So an answer is a fact: `deleted` and `absent` are said after the folder was synced,
 * and of a file that is not the one registered nothing is said but that.
 *
 * After a crash the same objects come again. Those that are gone by then are answered `absent`; the engine knows that
 * it had asked for them. */
#include "filehold.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DELETE_A_TURN 64

static const char not_ours[] = "this is not a name of a file of this server";
static const char not_rewritten[] = "this server rewrites no files; give the class disposition = \"delete\"";
static const char not_durable[] = "the folder could not be made durable";

void deletion_drop(struct deletion *deletion) {
  sexton_batch_free(deletion->batch);
  free(deletion->answers);
  *deletion = (struct deletion){.batch = NULL};
}

/* Takes the next sub-batch, where there is one. */
static bool take(struct server *server) {
  struct deletion *deletion = &server->deletion;
  sexton_error *error = NULL;
  if (sexton_next_batch(server->retention.engine, &deletion->batch, &error) != SEXTON_OK) {
    say_error("the engine hands nothing over any more", error);
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
  say("there is no memory to answer for %zu files; they are handed over again.", deletion->len);
  deletion_drop(deletion);
  server->failed = true;
  return false;
}

static void answer_with(sexton_answer *answer, int32_t what, const char *detail) {
  answer->answer = what;
  if (detail != NULL)
    answer->detail = bytes_of(detail);
}

static void delete_one(struct server *server, const sexton_object *object, sexton_answer *answer) {
  char name[NAME_BYTES_MAX + 1] = "";
  struct version version;
  if (object->key.len <= NAME_BYTES_MAX)
    memcpy(name, object->key.data, object->key.len);
  if (strlen(name) != object->key.len || !name_is_fine(name) ||
      !version_decode(object->version.data, object->version.len, &version)) {
    answer_with(answer, SEXTON_ANSWER_FAILED, not_ours);
    return;
  }
  switch (folder_remove(&server->folder, name, version)) {
  case REMOVED:
    answer_with(answer, SEXTON_ANSWER_DELETED, NULL);
    return;
  case NOT_THERE:
    answer_with(answer, SEXTON_ANSWER_ABSENT, NULL);
    return;
  case ANOTHER_VERSION:
    answer_with(answer, SEXTON_ANSWER_CHANGED, NULL);
    return;
  case NOT_REMOVED:
    /* The text of an errno lives as long as the program. */
    answer_with(answer, SEXTON_ANSWER_FAILED, strerrordesc_np(errno));
  }
}

/* Makes the removals durable and answers for the whole sub-batch. */
static void settle(struct server *server) {
  struct deletion *deletion = &server->deletion;
  if (!folder_sync(&server->folder)) {
    say("%s: %s.", not_durable, strerror(errno));
    server->failed = true;
    /* Absent ones too: somebody may have removed them a moment ago. */
    for (size_t i = 0; i < deletion->len; i++)
      if (deletion->answers[i].answer == SEXTON_ANSWER_DELETED || deletion->answers[i].answer == SEXTON_ANSWER_ABSENT)
        answer_with(&deletion->answers[i], SEXTON_ANSWER_FAILED, not_durable);
  }
  sexton_batch_id id = sexton_batch_get_id(deletion->batch);
  size_t taken = 0;
  sexton_error *error = NULL;
  int32_t status =
      sexton_complete(server->retention.engine, &id, deletion->answers, deletion->len, &taken, &error);
  if (status != SEXTON_OK) {
    say_error("the engine does not take the answers", error);
    server->failed = true;
  } else if (taken < deletion->len) {
    say("%zu of %zu answers came too late for the engine; those files are handed over again.",
        deletion->len - taken, deletion->len);
  }
  deletion_drop(deletion);
}

/* Deletes a slice of what is handed over. */
int deletion_turn(struct server *server) {
  struct deletion *deletion = &server->deletion;
  if (deletion->batch == NULL && !take(server))
    return NOTHING_TO_DO;
  bool deletes = sexton_batch_disposition(deletion->batch) == SEXTON_DELETE;
  const sexton_object *objects = sexton_batch_objects(deletion->batch, &deletion->len);
  for (int i = 0; i < DELETE_A_TURN && deletion->next < deletion->len; i++, deletion->next++) {
    sexton_answer *answer = &deletion->answers[deletion->next];
    answer->object = (uint32_t)deletion->next;
    if (deletes)
      delete_one(server, &objects[deletion->next], answer);
    else
      answer_with(answer, SEXTON_ANSWER_REFUSED, not_rewritten);
  }
  if (deletion->next == deletion->len)
    settle(server);
  return MORE_TO_DO;
}
