/* Processes files. A real server would convert them; this example counts lines and keeps only totals. It reads in
 * slices, so that a large file does not block the loop. */
#include "filehold.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLICE_BYTES (64 * 1024)
#define SLICES_PER_TURN 4

void jobs_init(struct jobs *jobs) { *jobs = (struct jobs){.end = &jobs->first}; }

void jobs_push(struct jobs *jobs, struct job *job) {
  job->next = NULL;
  *jobs->end = job;
  jobs->end = &job->next;
  jobs->len++;
}

struct job *jobs_pop(struct jobs *jobs) {
  struct job *job = jobs->first;
  if (job == NULL)
    return NULL;
  jobs->first = job->next;
  if (jobs->first == NULL)
    jobs->end = &jobs->first;
  jobs->len--;
  return job;
}

void jobs_free(struct jobs *jobs) {
  for (struct job *job; (job = jobs_pop(jobs)) != NULL;)
    free(job);
}

void processing_init(struct processing *processing) {
  *processing = (struct processing){.fd = -1};
  jobs_init(&processing->waiting);
}

void processing_free(struct processing *processing) {
  jobs_free(&processing->waiting);
  if (processing->fd >= 0)
    close(processing->fd);
  processing->fd = -1;
}

/* Queues a registered file. A file that cannot be queued is still deleted: its class has max_open. */
bool processing_add(struct processing *processing, const char *name, struct version version, const sexton_id *id) {
  struct job *job = calloc(1, sizeof *job);
  if (job == NULL) {
    say("out of memory: %s will be processed when the server starts again.", name);
    return false;
  }
  snprintf(job->name, sizeof job->name, "%s", name);
  job->version = version;
  job->id = *id;
  jobs_push(&processing->waiting, job);
  return true;
}

/* Ends the processing of the first file, successful or not. Its time counts from now. */
static void end_first(struct server *server) {
  struct processing *processing = &server->processing;
  if (processing->fd >= 0)
    close(processing->fd);
  processing->fd = -1;
  retention_processed(server, jobs_pop(&processing->waiting));
}

static void fail_first(struct server *server) {
  struct processing *processing = &server->processing;
  say("%s cannot be processed: %s.", processing->waiting.first->name, strerror(errno));
  processing->errors++;
  end_first(server);
}

/* Opens the first file. Skips one that is gone or was overwritten: the newer file has its own job. */
static bool begin_first(struct server *server) {
  struct processing *processing = &server->processing;
  struct job *job = processing->waiting.first;
  struct version version;
  uint64_t size;
  processing->fd = folder_read(&server->folder, job->name, &version, &size);
  if (processing->fd >= 0 && versions_equal(version, job->version))
    return true;
  if (processing->fd < 0 && errno != ENOENT) {
    fail_first(server);
    return false;
  }
  if (processing->fd >= 0)
    close(processing->fd);
  processing->fd = -1;
  free(jobs_pop(&processing->waiting));
  return false;
}

/* Reads one slice of the first file. */
static void read_slice(struct server *server) {
  struct processing *processing = &server->processing;
  struct job *job = processing->waiting.first;
  static char slice[SLICE_BYTES];
  ssize_t len = read(processing->fd, slice, sizeof slice);
  if (len < 0) {
    if (errno != EINTR)
      fail_first(server);
    return;
  }
  for (const char *at = slice; (at = memchr(at, '\n', (size_t)(slice + len - at))) != NULL; at++)
    job->lines++;
  job->bytes += (uint64_t)len;
  if (len == 0) {
    processing->files++;
    processing->lines += job->lines;
    processing->bytes += job->bytes;
    end_first(server);
  }
}

int processing_turn(struct server *server) {
  struct processing *processing = &server->processing;
  for (int i = 0; i < SLICES_PER_TURN && processing->waiting.first != NULL; i++)
    if (processing->fd >= 0 || begin_first(server))
      read_slice(server);
  return processing->waiting.first == NULL ? NOTHING_TO_DO : MORE_TO_DO;
}
