/* filehold: an upload server that keeps a promise. What its parts know of each other.
 *
 *   main.c        options, the one loop, how it ends
 *   http.c        requests and answers (libmicrohttpd)
 *   files.c       the folder: taking in, recognising again, removing
 *   engine.c      the engine: opening it with the promise, telling it of files that it does not know, closing it
 *   retention.c   registering what came in, and saying when a file's time begins
 *   processing.c  what the server does with a file; here it counts lines
 *   deletion.c    deletes what the engine hands over, and answers for it
 *   clearing.c    has the engine's files cleared of what is gone
 *
 * Everything but clearing and the engine's own threads runs in one thread, the loop's. A function called ..._turn does
 * a bounded slice of its work, so that the loop comes back to its sockets, and says how long the loop may sleep then. */
#ifndef FILEHOLD_H
#define FILEHOLD_H

#include <microhttpd.h>
#include <pthread.h>
#include <sexton.h>
#include <stdbool.h>
#include <stdint.h>

#define NAME_BYTES_MAX 128   /* of a file */
#define VERSION_BYTES 16     /* of an encoded struct version; Sexton takes up to 64 */
#define CLASS_NAME "file"    /* the class that the class file must define */

/* How long a turn lets the loop sleep, ms. */
#define NOTHING_TO_DO (-1)
#define MORE_TO_DO 0
#define TRY_AGAIN_MS 100

/* ---- files.c ---- */

/* The folders, and the last generation that was given. */
struct folder {
  int files;    /* DATA/files: what was taken in, under its name */
  int incoming; /* DATA/incoming: uploads that are not complete; emptied at every start */
  uint64_t generation;
  uint64_t uploads;
};

/* Which content a name stands for. The inode alone will not do: it is used again as soon as it is free. */
struct version {
  uint64_t inode;
  uint64_t generation; /* given to every upload, never twice, kept as the file's mtime in nanoseconds */
};

/* An upload on its way into the folder. */
struct incoming {
  int fd; /* -1: there is none */
  char name[32];
};

enum removal { REMOVED, NOT_THERE, ANOTHER_VERSION, NOT_REMOVED };

typedef bool (*file_visitor)(void *user, const char *name, struct version version, uint64_t size);

bool name_is_fine(const char *name);
void version_encode(struct version version, uint8_t out[VERSION_BYTES]);
bool version_decode(const uint8_t *bytes, size_t len, struct version *out);
bool same_version(struct version a, struct version b);

bool folder_open(struct folder *folder, const char *data);
void folder_close(struct folder *folder);
bool folder_each(struct folder *folder, file_visitor visit, void *user);
int folder_read(const struct folder *folder, const char *name, struct version *version, uint64_t *size);
enum removal folder_remove(struct folder *folder, const char *name, struct version version);
bool folder_sync(struct folder *folder);

bool incoming_open(struct folder *folder, struct incoming *incoming);
bool incoming_write(struct incoming *incoming, const char *bytes, size_t len);
bool incoming_take_in(struct folder *folder, struct incoming *incoming, const char *name, struct version *version);
void incoming_drop(struct folder *folder, struct incoming *incoming);

/* ---- retention.c ---- */

/* A PUT. It belongs to its connection; while it is queued the connection sleeps and nobody frees it. */
struct upload {
  struct upload *next;
  struct MHD_Connection *connection;
  struct incoming incoming;
  char name[NAME_BYTES_MAX + 1];
  uint64_t size, received;
  struct version version;
  sexton_id id;
  int32_t earlier;
  unsigned status; /* of the answer; 0 while there is none */
  char why[256];   /* the sentence of an answer that is not 201 */
};

struct uploads {
  struct upload *first, **end;
  size_t len;
};

/* A registered file whose processing has not ended, or not been told. */
struct job {
  struct job *next;
  char name[NAME_BYTES_MAX + 1];
  struct version version;
  sexton_id id;
  uint64_t lines, bytes;
  int64_t ended_ms;
};

struct jobs {
  struct job *first, **end;
  size_t len;
};

struct retention {
  sexton_engine *engine;
  int event_fd;               /* readable while a completion or a sub-batch can be taken */
  struct uploads waiting;     /* complete, not yet in the folder */
  struct uploads registering; /* in the folder; the engine was asked to register them */
  struct jobs ended;          /* processed; the engine is to be told */
  struct jobs starting;       /* the engine was asked to start their time */
  bool submitted;             /* whether `registering` lies with the engine: it refuses while its queue is full */
  int64_t start_again_ms;     /* not before: the engine had no room for starts (its own clock) */
};

struct processing {
  struct jobs waiting;
  int fd; /* of the first of them, -1 where it was not begun */
  uint64_t files, lines, bytes, errors;
};

struct deletion {
  sexton_batch *batch; /* NULL where nothing is handed over */
  sexton_answer *answers;
  size_t next, len;
};

struct clearing {
  sexton_engine *engine;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t end;
  bool runs;   /* whether there is the thread */
  bool ending; /* under the lock */
};

struct http {
  struct MHD_Daemon *daemon;
  bool has_woken; /* connections that http_turn does not know of yet */
  uint64_t upload_bytes_max;
  uint16_t port;
};

struct settings {
  const char *data, *classes, *origin, *address;
  uint64_t upload_bytes_max;
  uint16_t port;
};

struct server {
  struct folder folder;
  struct retention retention;
  struct processing processing;
  struct deletion deletion;
  struct clearing clearing;
  struct http http;
  bool closing; /* nothing new is taken in */
  bool failed;  /* the loop must end: the engine or the disk cannot be relied upon */
};

void retention_init(struct retention *retention);
int retention_turn(struct server *server);
bool retention_is_idle(const struct retention *retention);
void retention_take(struct server *server, struct upload *upload);
void retention_processed(struct server *server, struct job *job);
void retention_give_up(struct server *server);

/* ---- engine.c ---- */

sexton_bytes bytes_of(const char *text);
void say_error(const char *what, sexton_error *error);
bool engine_open(struct server *server, const struct settings *settings);
bool engine_reconcile(struct server *server);
sexton_registration open_object(const char *name, const uint8_t version[VERSION_BYTES], uint64_t size);
void engine_close(struct server *server);

/* ---- processing.c ---- */

void jobs_init(struct jobs *jobs);
void jobs_push(struct jobs *jobs, struct job *job);
struct job *jobs_pop(struct jobs *jobs);
void jobs_free(struct jobs *jobs);
void processing_init(struct processing *processing);
void processing_drop(struct processing *processing);
bool processing_add(struct processing *processing, const char *name, struct version version, const sexton_id *id);
int processing_turn(struct server *server);

/* ---- deletion.c ---- */

int deletion_turn(struct server *server);
void deletion_drop(struct deletion *deletion);

/* ---- clearing.c ---- */

bool clearing_start(struct clearing *clearing, sexton_engine *engine);
void clearing_end(struct clearing *clearing);
void clearing_stop(struct clearing *clearing);

/* ---- http.c ---- */

bool http_start(struct server *server, const struct settings *settings);
int http_fd(const struct http *http);
void http_turn(struct http *http);
int http_sleep_ms(const struct http *http);
void http_answer(struct http *http, struct upload *upload);
void http_stop(struct http *http);

/* ---- main.c ---- */

int64_t monotonic_ms(void);
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
