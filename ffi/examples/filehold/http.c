/* Requests and responses. The HTTP library runs inside the event loop, which polls the library's epoll descriptor and
 * calls http_turn(). A PUT is suspended until its registration is durable. http_resume() then resumes its
 * connection. */
#include "filehold.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONNECTIONS_MAX 512
#define IDLE_S_MAX 30         /* idle connections are closed after this time */
#define UNPROCESSED_MAX 10000 /* files waiting to be processed; at this number uploads are refused */
#define READ_BYTES (64 * 1024)

/* Marks a request other than PUT whose headers were seen. */
static char headers_seen;

/* ---- responses ---- */

static enum MHD_Result send_response(struct MHD_Connection *connection, unsigned status, const char *type,
                                     struct MHD_Response *response) {
  if (response == NULL)
    return MHD_NO;
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
  if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
    MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
  if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
    MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD, PUT");
  enum MHD_Result result = MHD_queue_response(connection, status, response);
  MHD_destroy_response(response);
  return result;
}

static struct MHD_Response *copy_response(const void *bytes, size_t len) {
  /* The parameter is not const, but the library only reads from it. */
  return MHD_create_response_from_buffer(len, (void *)(uintptr_t)bytes, MHD_RESPMEM_MUST_COPY);
}

__attribute__((format(printf, 3, 4))) static enum MHD_Result send_error(struct MHD_Connection *connection,
                                                                        unsigned status, const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text - 1, format, arguments);
  va_end(arguments);
  strcat(text, "\n");
  return send_response(connection, status, "text/plain; charset=utf-8", copy_response(text, strlen(text)));
}

static unsigned http_status_of(int32_t status) {
  switch (status) {
  case SEXTON_INVALID:
    return MHD_HTTP_BAD_REQUEST;
  case SEXTON_NOT_FOUND:
    return MHD_HTTP_NOT_FOUND;
  case SEXTON_BUSY:
    return MHD_HTTP_SERVICE_UNAVAILABLE;
  default:
    return MHD_HTTP_INTERNAL_SERVER_ERROR;
  }
}

/* Sends a text of the engine, or its error. Frees both. */
static enum MHD_Result send_text(struct MHD_Connection *connection, const char *type, sexton_text *text,
                                 sexton_error *error) {
  enum MHD_Result result;
  if (error == NULL) {
    sexton_bytes bytes = sexton_text_bytes(text);
    result = send_response(connection, MHD_HTTP_OK, type, copy_response(bytes.data, bytes.len));
  } else {
    sexton_bytes message = sexton_error_message(error);
    unsigned status = http_status_of(sexton_error_status(error));
    result = send_error(connection, status, "%.*s", (int)message.len, (const char *)message.data);
  }
  sexton_text_free(text);
  sexton_error_free(error);
  return result;
}

/* ---- PUT /files/NAME ---- */

/* Reads Content-Length. Returns false if it is missing or malformed. */
static bool content_length(struct MHD_Connection *connection, uint64_t *out) {
  const char *text = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
  if (text == NULL || *text < '0' || *text > '9')
    return false;
  char *end;
  errno = 0;
  *out = strtoull(text, &end, 10);
  return errno == 0 && *end == '\0';
}

/* Called when the headers are complete: refuses the upload before its body comes, or creates its state. */
static enum MHD_Result begin_put(struct server *server, struct MHD_Connection *connection, const char *name,
                                 void **state) {
  uint64_t size;
  if (!name_is_valid(name))
    return send_error(
        connection, MHD_HTTP_BAD_REQUEST,
        "A name has 1 to %d letters, digits, dots, dashes and underscores, and does not begin with a dot.",
        NAME_BYTES_MAX);
  if (!content_length(connection, &size))
    return send_error(connection, MHD_HTTP_LENGTH_REQUIRED, "Content-Length is missing.");
  if (size > server->http.upload_bytes_max)
    return send_error(connection, MHD_HTTP_CONTENT_TOO_LARGE,
                      "The file has %" PRIu64 " bytes; the limit is %" PRIu64 ".", size, server->http.upload_bytes_max);
  if (server->closing || server->processing.waiting.len >= UNPROCESSED_MAX)
    return send_error(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "No uploads are accepted at the moment; try again.");
  struct upload *upload = calloc(1, sizeof *upload);
  if (upload == NULL)
    return MHD_NO;
  upload->connection = connection;
  upload->size = size;
  snprintf(upload->name, sizeof upload->name, "%s", name);
  if (!incoming_open(&server->folder, &upload->incoming)) {
    free(upload);
    return send_error(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "The upload cannot be written: %s.", strerror(errno));
  }
  *state = upload;
  return MHD_YES;
}

static void receive(struct upload *upload, const char *bytes, size_t len) {
  upload->received += len;
  if (upload->status != 0 || incoming_write(&upload->incoming, bytes, len))
    return;
  upload->status = errno == ENOSPC || errno == EDQUOT ? MHD_HTTP_INSUFFICIENT_STORAGE : MHD_HTTP_INTERNAL_SERVER_ERROR;
  snprintf(upload->why, sizeof upload->why, "The upload cannot be written: %s.", strerror(errno));
}

static enum MHD_Result answer_put(struct MHD_Connection *connection, const struct upload *upload) {
  sexton_text *text = NULL;
  sexton_error *error = NULL;
  if (upload->status != MHD_HTTP_CREATED)
    return send_error(connection, upload->status, "%s", upload->why);
  if (sexton_id_format(&upload->id, &text, &error) != SEXTON_OK)
    return send_text(connection, "", text, error);
  char id[2 * SEXTON_ID_BYTES + 1] = "", body[1024];
  sexton_bytes digits = sexton_text_bytes(text);
  memcpy(id, digits.data, digits.len < sizeof id ? digits.len : sizeof id - 1);
  sexton_text_free(text);
  /* A name needs no escaping: see name_is_fine. */
  int len = snprintf(body, sizeof body,
                     "{\"id\":\"%s\",\"name\":\"%s\",\"bytes\":%" PRIu64 ",\"replaced\":%s,"
                     "\"receipt\":\"/receipt/%s?name=%s\"}\n",
                     id, upload->name, upload->size, upload->previous == SEXTON_PREVIOUS_NONE ? "false" : "true", id,
                     upload->name);
  struct MHD_Response *response = copy_response(body, (size_t)len);
  if (response != NULL)
    MHD_add_response_header(response, "Sexton-Registration", id);
  return send_response(connection, MHD_HTTP_CREATED, "application/json", response);
}

/* Called when the headers are complete, for each piece of the body, at its end, and after the connection is resumed. */
static enum MHD_Result put(struct server *server, struct MHD_Connection *connection, const char *name,
                           const char *bytes, size_t *len, void **state) {
  struct upload *upload = *state;
  if (upload == NULL)
    return begin_put(server, connection, name, state);
  if (*len > 0) {
    receive(upload, bytes, *len);
    *len = 0;
    return MHD_YES;
  }
  if (upload->status != 0)
    return answer_put(connection, upload);
  if (upload->received != upload->size)
    return send_error(connection, MHD_HTTP_BAD_REQUEST, "The length of the body differs from Content-Length.");
  MHD_suspend_connection(connection);
  retention_enqueue(server, upload);
  return MHD_YES;
}

/* Resumes the connection of an upload whose response is known. */
void http_resume(struct http *http, struct upload *upload) {
  MHD_resume_connection(upload->connection);
  http->has_resumed = true;
}

/* ---- GET ---- */

/* Reads the next piece of a download. Ends the download if the file was deleted or overwritten in the meantime: a slow
 * client must not get content past its time. */
static ssize_t read_file(void *state, uint64_t at, char *bytes, size_t max) {
  const int *fd = state;
  struct stat seen;
  if (fstat(*fd, &seen) != 0 || seen.st_nlink == 0)
    return MHD_CONTENT_READER_END_WITH_ERROR;
  ssize_t len = pread(*fd, bytes, max, (off_t)at);
  return len > 0 ? len : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void close_file(void *state) {
  close(*(int *)state);
  free(state);
}

static enum MHD_Result get_file(struct server *server, struct MHD_Connection *connection, const char *name) {
  struct version version;
  uint64_t size;
  errno = ENOENT;
  int fd = name_is_valid(name) ? folder_read(&server->folder, name, &version, &size) : -1;
  if (fd < 0 && errno == ENOENT)
    return send_error(connection, MHD_HTTP_NOT_FOUND, "There is no such file, or it was deleted.");
  if (fd < 0)
    return send_error(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "The file cannot be read: %s.", strerror(errno));
  int *state = malloc(sizeof *state);
  if (state == NULL) {
    close(fd);
    return MHD_NO;
  }
  *state = fd;
  struct MHD_Response *response = MHD_create_response_from_callback(size, READ_BYTES, read_file, state, close_file);
  if (response == NULL)
    close_file(state);
  return send_response(connection, MHD_HTTP_OK, "application/octet-stream", response);
}

/* Sends the receipt of a registration. The client must give the name, which the server does not keep after deletion. */
static enum MHD_Result get_receipt(struct server *server, struct MHD_Connection *connection, const char *digits) {
  const char *name = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "name");
  if (name == NULL)
    return send_error(
        connection, MHD_HTTP_BAD_REQUEST,
        "Add ?name= with the name of the file. The server does not keep it, and the receipt opens with it.");
  sexton_id id;
  sexton_text *text = NULL;
  sexton_error *error = NULL;
  if (sexton_id_parse(bytes_of(digits), &id, &error) == SEXTON_OK)
    sexton_receipt(server->retention.engine, &id, SEXTON_OPENER_KEY, bytes_of(name), &text, &error);
  return send_text(connection, "text/plain; charset=utf-8", text, error);
}

static enum MHD_Result get_counts(struct server *server, struct MHD_Connection *connection) {
  const struct processing *processing = &server->processing;
  char body[256];
  int len = snprintf(
      body, sizeof body,
      "{\"files\":%" PRIu64 ",\"lines\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"waiting\":%zu}\n",
      processing->files, processing->lines, processing->bytes, processing->errors, processing->waiting.len);
  return send_response(connection, MHD_HTTP_OK, "application/json", copy_response(body, (size_t)len));
}

static enum MHD_Result get(struct server *server, struct MHD_Connection *connection, const char *url) {
  sexton_text *text = NULL;
  sexton_error *error = NULL;
  if (strncmp(url, "/files/", 7) == 0)
    return get_file(server, connection, url + 7);
  if (strncmp(url, "/receipt/", 9) == 0)
    return get_receipt(server, connection, url + 9);
  if (strcmp(url, "/counts") == 0)
    return get_counts(server, connection);
  if (strcmp(url, "/policy") == 0) {
    sexton_policy(server->retention.engine, &text, &error);
    return send_text(connection, "text/plain; charset=utf-8", text, error);
  }
  if (strcmp(url, "/status") == 0) {
    sexton_status(server->retention.engine, &text, &error);
    return send_text(connection, "application/json", text, error);
  }
  return send_error(connection, MHD_HTTP_NOT_FOUND,
                    "Known paths: /files/NAME, /receipt/ID?name=NAME, /policy, /status and /counts.");
}

/* ---- callbacks and start of the HTTP library ---- */

static enum MHD_Result handle(void *user, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *bytes, size_t *len, void **state) {
  struct server *server = user;
  (void)version;
  if (strcmp(method, MHD_HTTP_METHOD_PUT) == 0 && strncmp(url, "/files/", 7) == 0)
    return put(server, connection, url + 7, bytes, len, state);
  /* An unexpected body is read and dropped; otherwise it would be parsed as the next request. */
  if (*state == NULL || *len > 0) {
    *state = &headers_seen;
    *len = 0;
    return MHD_YES;
  }
  if (strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0)
    return get(server, connection, url);
  return send_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                    "Only GET, HEAD and PUT are allowed; files are deleted automatically.");
}

/* Leaves percent escapes as they are. A valid name has none, so an escaped name is refused. */
static size_t keep_escapes(void *user, struct MHD_Connection *connection, char *text) {
  (void)user;
  (void)connection;
  return strlen(text);
}

static void request_ended(void *user, struct MHD_Connection *connection, void **state,
                          enum MHD_RequestTerminationCode why) {
  struct server *server = user;
  (void)connection;
  (void)why;
  if (*state != NULL && *state != &headers_seen) {
    struct upload *upload = *state;
    incoming_discard(&server->folder, &upload->incoming);
    free(upload);
  }
  *state = NULL;
}

bool http_start(struct server *server, const struct settings *settings) {
  struct http *http = &server->http;
  http->upload_bytes_max = settings->upload_bytes_max;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(settings->port)};
  if (inet_pton(AF_INET, settings->address, &address.sin_addr) != 1) {
    say("%s is not an IPv4 address.", settings->address);
    return false;
  }
  errno = 0;
  http->daemon =
      MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, settings->port, NULL, NULL, handle, server,
                       MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_NOTIFY_COMPLETED, request_ended, server,
                       MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                       (unsigned)IDLE_S_MAX, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_END);
  if (http->daemon == NULL) {
    say("listening on port %u of %s failed: %s.", (unsigned)settings->port, settings->address,
        errno == 0 ? "unknown reason" : strerror(errno));
    return false;
  }
  http->port = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
  return true;
}

/* Returns the descriptor that the loop polls. */
int http_fd(const struct http *http) { return MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd; }

void http_turn(struct http *http) {
  http->has_resumed = false;
  MHD_run(http->daemon);
}

int http_sleep_ms(const struct http *http) {
  MHD_UNSIGNED_LONG_LONG ms;
  /* Resumed connections do not make the descriptor of the library readable. */
  if (http->has_resumed)
    return MORE_TO_DO;
  if (MHD_get_timeout(http->daemon, &ms) != MHD_YES)
    return NOTHING_TO_DO;
  return ms > 60000 ? 60000 : (int)ms;
}

void http_stop(struct http *http) {
  if (http->daemon != NULL)
    MHD_stop_daemon(http->daemon);
  http->daemon = NULL;
}
