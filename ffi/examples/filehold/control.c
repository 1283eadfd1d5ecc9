/* The control socket: answers the API of docs/api.md, so that `sexton` commands and curl steer the running server. The
 * calls wait for the disk, so the HTTP library runs here in a thread of its own. */
#include "filehold.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTIONS_MAX 16
#define IDLE_S_MAX 30     /* idle connections are closed after this time */
#define BODY_MS_MAX 30000 /* connections whose request is not complete after this time are closed */
#define SOCKET_MODE 0600  /* only the user of the server, and root, may govern it */

/* Request that is being received. */
struct call {
  char *target; /* path and query as they came */
  char *body;
  size_t len, size;
  int64_t began_ms;
  bool has_headers;
};

/* Called with the first line of a request. */
static void *begin(void *user, const char *target, struct MHD_Connection *connection) {
  (void)user;
  (void)connection;
  struct call *call = calloc(1, sizeof *call);
  if (call != NULL) {
    call->target = strdup(target);
    call->began_ms = monotonic_ms();
  }
  return call;
}

static void end(void *user, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode why) {
  struct call *call = *state;
  (void)user;
  (void)connection;
  (void)why;
  if (call != NULL) {
    free(call->target);
    free(call->body);
    free(call);
  }
  *state = NULL;
}

/* Keeps a piece of the body. One byte beyond the limit is enough for the library to refuse the request. */
static enum MHD_Result receive(struct call *call, const char *bytes, size_t len) {
  const size_t room = SEXTON_API_BODY_BYTES_MAX + 1 - call->len;
  if (monotonic_ms() - call->began_ms > BODY_MS_MAX)
    return MHD_NO;
  if (len > room)
    len = room;
  if (call->len + len > call->size) {
    size_t size = 2 * (call->len + len);
    char *larger = realloc(call->body, size);
    if (larger == NULL)
      return MHD_NO;
    call->body = larger;
    call->size = size;
  }
  if (len > 0)
    memcpy(call->body + call->len, bytes, len);
  call->len += len;
  return MHD_YES;
}

static sexton_bytes header(struct MHD_Connection *connection, const char *name) {
  const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
  return bytes_of(value == NULL ? "" : value);
}

/* Sets the user of the peer, as the kernel authenticated it. */
static bool set_uid(struct MHD_Connection *connection, sexton_api_request *request) {
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  struct ucred peer;
  socklen_t len = sizeof peer;
  if (info == NULL || getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
    return false;
  request->has_uid = true;
  request->uid = peer.uid;
  return true;
}

static enum MHD_Result send_answer(struct MHD_Connection *connection, unsigned status, sexton_bytes body) {
  struct MHD_Response *response =
      MHD_create_response_from_buffer(body.len, (void *)(uintptr_t)body.data, MHD_RESPMEM_MUST_COPY);
  if (response == NULL)
    return MHD_NO;
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                          status == MHD_HTTP_OK ? "application/json" : "application/problem+json");
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
  if (status == MHD_HTTP_TOO_MANY_REQUESTS || status == MHD_HTTP_SERVICE_UNAVAILABLE)
    MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
  enum MHD_Result result = MHD_queue_response(connection, status, response);
  MHD_destroy_response(response);
  return result;
}

static enum MHD_Result answer(struct control *control, struct MHD_Connection *connection, const char *method,
                              const struct call *call) {
  sexton_api_request request = SEXTON_API_REQUEST_INIT;
  request.method = bytes_of(method);
  request.target = bytes_of(call->target);
  request.content_type = header(connection, MHD_HTTP_HEADER_CONTENT_TYPE);
  request.idempotency_key = header(connection, "Idempotency-Key");
  request.body = (sexton_bytes){(const uint8_t *)call->body, call->len};
  uint32_t status = 0;
  sexton_text *text = NULL;
  sexton_error *error = NULL;
  if (!set_uid(connection, &request))
    return MHD_NO;
  /* It fails only if there is no response at all, and then the connection is closed without one. */
  if (sexton_api(control->engine, &request, &status, &text, &error) != SEXTON_OK) {
    say_error("a request at the control socket has no response", error);
    return MHD_NO;
  }
  enum MHD_Result result = send_answer(connection, status, sexton_text_bytes(text));
  sexton_text_free(text);
  return result;
}

/* Called when the headers are complete, for each piece of the body, and at its end. */
static enum MHD_Result handle(void *user, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *bytes, size_t *len, void **state) {
  struct call *call = *state;
  (void)url;
  (void)version;
  if (call == NULL || call->target == NULL)
    return MHD_NO;
  if (!call->has_headers) {
    call->has_headers = true;
    return MHD_YES;
  }
  if (*len > 0) {
    enum MHD_Result result = receive(call, bytes, *len);
    *len = 0;
    return result;
  }
  return answer(user, connection, method, call);
}

/* ---- start and stop ---- */

/* Removes a socket file at which no process listens. The data folder is locked, so it is of an earlier server. */
static bool remove_stale(const struct sockaddr_un *address) {
  struct stat seen;
  if (lstat(address->sun_path, &seen) != 0)
    return errno == ENOENT;
  int fd = S_ISSOCK(seen.st_mode) ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
  if (fd < 0) {
    errno = EEXIST;
    return false;
  }
  bool is_used = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0;
  close(fd);
  if (is_used)
    errno = EADDRINUSE;
  return !is_used && unlink(address->sun_path) == 0;
}

/* Returns a listening socket, or -1. */
static int listen_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  /* The file gets the mode of the descriptor, so it never has another one. */
  if (fd >= 0 && fchmod(fd, SOCKET_MODE) == 0 && remove_stale(&address) &&
      bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 && listen(fd, CONNECTIONS_MAX) == 0)
    return fd;
  int why = errno;
  if (fd >= 0)
    close(fd);
  errno = why;
  return -1;
}

/* Sets the path of the socket, which is absolute: the given one, or control.sock in the data folder. */
static bool set_path(struct control *control, const struct settings *settings) {
  char *folder = settings->control == NULL ? realpath(settings->data, NULL) : NULL;
  int len = settings->control != NULL ? snprintf(control->path, sizeof control->path, "%s", settings->control)
                                      : snprintf(control->path, sizeof control->path, "%s/control.sock", folder);
  free(folder);
  if (len >= 0 && (size_t)len < sizeof control->path && control->path[0] == '/')
    return true;
  say("the control socket needs an absolute path of at most %zu bytes: give another one with --control.",
      sizeof control->path - 1);
  return false;
}

bool control_start(struct control *control, sexton_engine *engine, const struct settings *settings) {
  control->engine = engine;
  if (!set_path(control, settings))
    return false;
  int fd = listen_at(control->path);
  if (fd < 0) {
    say("listening at %s failed: %s.", control->path, strerror(errno));
    return false;
  }
  control->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, handle, control,
                                     MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK, begin, NULL,
                                     MHD_OPTION_NOTIFY_COMPLETED, end, NULL, MHD_OPTION_CONNECTION_LIMIT,
                                     (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S_MAX,
                                     MHD_OPTION_END);
  if (control->daemon == NULL) {
    say("the thread for the control socket cannot be started.");
    close(fd);
    unlink(control->path);
    return false;
  }
  sexton_error *error = NULL;
  if (sexton_set_control_socket(engine, bytes_of(control->path), &error) == SEXTON_OK)
    return true;
  say_error("the control socket cannot be noted in the data folder", error);
  return false;
}

/* Waits for a running call. Must come before the engine is closed. The note of the socket stays, so commands open the
 * folder of a stopped server only with --offline. */
void control_stop(struct control *control) {
  if (control->daemon == NULL)
    return;
  MHD_stop_daemon(control->daemon);
  unlink(control->path);
  control->daemon = NULL;
}
