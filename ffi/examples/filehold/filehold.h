/* filehold: an upload server that deletes its files in time. Interfaces of its parts:
 *
 *   main.c        options, the event loop, start and stop
 *   http.c        requests and responses (libmicrohttpd)
 *   files.c       the folder of files: store, identify, remove
 *   engine.c      the engine: open with a class file, register files that it does not know, close
 *   retention.c   registers uploads, and sets the start of files that were processed
 *   processing.c  processes files; this example counts lines
 *   deletion.c    deletes the files of a sub-batch, and answers for them
 *   reclaim.c     calls sexton_reclaim() in a thread
 *   control.c     answers operators at a Unix socket, in a thread
 *
 * Everything but reclaim.c, control.c and the engine's own threads runs in the thread of the event loop. A function
 * named ..._turn does a bounded slice of work, so that the loop gets back to its sockets. It returns how long the loop
 * may sleep. */
#ifndef FILEHOLD_H
#define FILEHOLD_H

#include <microhttpd.h>
#include <pthread.h>
#include <sexton.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#define NAME_BYTES_MAX 128 /* of the name of a file */
#define VERSION_BYTES 16   /* of an encoded struct version; Sexton takes up to 64 */
#define CLASS_NAME "file"  /* a class file must define it */

/* Time for which the loop may sleep after a turn, ms. Negative: without limit. */
#define NOTHING_TO_DO (-1)
#define MORE_TO_DO 0
#define RETRY_MS 100

/* ---- files.c ---- */

/* Open folders, the last generation given, and the number of uploads begun. */
struct folder {
  int files;    /* DATA/files: complete files, under their names */
  int incoming; /* DATA/incoming: uploads that are not complete; emptied at every start */
  uint64_t generation;
  uint64_t uploads;
};

/* Version of a file: identifies the content that a name has. The inode alone does not, since inodes are reused. */
struct version {
  uint64_t inode;
  uint64_t generation; /* unique per upload; stored as the mtime of the file in nanoseconds */
};

/* Temporary file of an upload. */
struct incoming {
  int fd; /* -1: no file */
  char name[32];
};

enum removal { REMOVED, NOT_THERE, ANOTHER_VERSION, NOT_REMOVED };

typedef bool (*file_visitor)(void *user, const char *name, struct version version, uint64_t size);

bool name_is_valid(const char *name);
void version_encode(struct version version, uint8_t out[VERSION_BYTES]);
bool version_decode(const uint8_t *bytes, size_t len, struct version *out);
bool versions_equal(struct version a, struct version b);

bool folder_open(struct folder *folder, const char *data);
void folder_close(struct folder *folder);
bool folder_each(struct folder *folder, file_visitor visit, void *user);
int folder_read(const struct folder *folder, const char *name, struct version *version, uint64_t *size);
enum removal folder_remove(struct folder *folder, const char *name, struct version version);
bool folder_sync(struct folder *folder);

bool incoming_open(struct folder *folder, struct incoming *incoming);
bool incoming_write(struct incoming *incoming, const char *bytes, size_t len);
bool incoming_commit(struct folder *folder, struct incoming *incoming, const char *name, struct version *version);
void incoming_discard(struct folder *folder, struct incoming *incoming);

/* ---- retention.c ---- */

/* A PUT request. Its connection owns it. While it is queued the connection is suspended, so that it is not freed. */
struct upload {
  struct upload *next;
  struct MHD_Connection *connection;
  struct incoming incoming;
  char name[NAME_BYTES_MAX + 1];
  uint64_t size, received;
  struct version version;
  sexton_id id;
  int32_t previous;
  unsigned status; /* of the response; 0 until it is known */
  char why[256];   /* text of a response other than 201 */
};

struct uploads {
  struct upload *first, **end;
  size_t len;
};

/* Registered file whose start the engine does not have yet. */
struct job {
  struct job *next;
  char name[NAME_BYTES_MAX + 1];
  struct version version;
  sexton_id id;
  uint64_t lines, bytes;
  int64_t processed_ms;
};

struct jobs {
  struct job *first, **end;
  size_t len;
};

struct retention {
  sexton_engine *engine;
  int event_fd;               /* readable while a completion or a sub-batch is available */
  struct uploads waiting;     /* received, not yet in the folder */
  struct uploads registering; /* in the folder, to be registered by one submission */
  struct jobs processed;      /* their start is to be submitted */
  struct jobs starting;       /* their start was submitted */
  bool submitted;             /* `registering` was submitted; false while the engine's queue is full */
  int64_t start_again_ms;     /* earliest retry after a refusal for lack of room, by monotonic_ms() */
};

struct processing {
  struct jobs waiting;
  int fd; /* of the first job, -1 before it is opened */
  uint64_t files, lines, bytes, errors;
};

struct deletion {
  sexton_batch *batch; /* NULL if there is none */
  sexton_answer *answers;
  size_t next, len;
};

struct reclaimer {
  sexton_engine *engine;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  bool is_running;  /* the thread was started and not yet joined */
  bool is_stopping; /* guarded by `lock` */
};

struct control {
  sexton_engine *engine;
  struct MHD_Daemon *daemon; /* NULL if it does not run */
  char path[sizeof ((struct sockaddr_un *)NULL)->sun_path];
};

struct http {
  struct MHD_Daemon *daemon;
  bool has_resumed; /* connections were resumed since the last http_turn */
  uint64_t upload_bytes_max;
  uint16_t port;
};

struct settings {
  const char *data, *classes, *origin, *address;
  const char *control; /* NULL: control.sock in the data folder */
  uint64_t upload_bytes_max;
  uint16_t port;
};

struct server {
  struct folder folder;
  struct retention retention;
  struct processing processing;
  struct deletion deletion;
  struct reclaimer reclaimer;
  struct control control;
  struct http http;
  bool closing; /* new uploads are refused */
  bool failed;  /* the loop must end: the engine or the disk is unreliable */
};

void retention_init(struct retention *retention);
int retention_turn(struct server *server);
bool retention_is_idle(const struct retention *retention);
void retention_enqueue(struct server *server, struct upload *upload);
void retention_processed(struct server *server, struct job *job);
void retention_abort(struct server *server);

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
void processing_free(struct processing *processing);
bool processing_add(struct processing *processing, const char *name, struct version version, const sexton_id *id);
int processing_turn(struct server *server);

/* ---- deletion.c ---- */

int deletion_turn(struct server *server);
void deletion_reset(struct deletion *deletion);

/* ---- reclaim.c ---- */

bool reclaimer_start(struct reclaimer *reclaimer, sexton_engine *engine);
void reclaimer_request_stop(struct reclaimer *reclaimer);
void reclaimer_join(struct reclaimer *reclaimer);

/* ---- control.c ---- */

bool control_start(struct control *control, sexton_engine *engine, const struct settings *settings);
void control_stop(struct control *control);

/* ---- http.c ---- */

bool http_start(struct server *server, const struct settings *settings);
int http_fd(const struct http *http);
void http_turn(struct http *http);
int http_sleep_ms(const struct http *http);
void http_resume(struct http *http, struct upload *upload);
void http_stop(struct http *http);

/* ---- main.c ---- */

int64_t monotonic_ms(void);
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
