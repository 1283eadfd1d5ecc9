/* filehold: receives files, processes them, and deletes each at most three hours after that, with proof. */
#include "filehold.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define CLOSING_MS_MAX 10000 /* after a signal to end, limit for answering the open requests */

static const char usage[] =
    "usage: filehold --data FOLDER [options]\n"
    "\n"
    "  --data FOLDER        folder for files, evidence and the engine's data; created if missing\n"
    "  --port N             default 8080; 0 selects a free port. The address is printed when the server is ready\n"
    "  --bind ADDRESS       default 127.0.0.1; every client that can connect can read and overwrite every file\n"
    "  --classes FILE       class file with [class." CLASS_NAME "]; default: 3 hours after processing\n"
    "  --origin NAME        globally unique name of the log; default localhost/filehold\n"
    "  --upload-max BYTES   limit for one file, default 67108864\n"
    "  --control PATH       absolute path of the socket for operators; default control.sock in the data folder\n";

void say(const char *format, ...) {
  /* One write per line: the engine's threads log too. */
  char line[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  fprintf(stderr, "filehold: %s\n", line);
}

int64_t monotonic_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- options ---- */

static bool parse_number(const char *text, uint64_t max, uint64_t *out) {
  char *end;
  errno = 0;
  *out = strtoull(text, &end, 10);
  return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0' && *out <= max;
}

static bool set_option(struct settings *settings, int option, const char *value) {
  uint64_t n = 0;
  switch (option) {
  case 'd':
    settings->data = value;
    return true;
  case 'b':
    settings->address = value;
    return true;
  case 'c':
    settings->classes = value;
    return true;
  case 's':
    settings->control = value;
    return true;
  case 'o':
    settings->origin = value;
    return true;
  case 'p':
    if (!parse_number(value, UINT16_MAX, &n))
      return say("--port %s is not a number from 0 to 65535.", value), false;
    settings->port = (uint16_t)n;
    return true;
  case 'u':
    if (!parse_number(value, INT64_MAX, &settings->upload_bytes_max))
      return say("--upload-max %s is not a number of bytes.", value), false;
    return true;
  default:
    return false;
  }
}

static bool parse(int argc, char **argv, struct settings *settings) {
  static const struct option options[] = {
      {"data", required_argument, NULL, 'd'},    {"port", required_argument, NULL, 'p'},
      {"bind", required_argument, NULL, 'b'},    {"classes", required_argument, NULL, 'c'},
      {"origin", required_argument, NULL, 'o'},  {"upload-max", required_argument, NULL, 'u'},
      {"control", required_argument, NULL, 's'}, {"help", no_argument, NULL, 'h'},
      {NULL, 0, NULL, 0},
  };
  for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    if (option == 'h') {
      fputs(usage, stdout);
      exit(EXIT_SUCCESS);
    }
    if (!set_option(settings, option, optarg))
      return false;
  }
  return optind == argc && settings->data != NULL;
}

/* ---- the loop ---- */

/* Returns a descriptor for SIGTERM and SIGINT. Called before any thread starts, so that all threads block them. */
static int signals_as_fd(void) {
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  signal(SIGPIPE, SIG_IGN); /* a client that disconnects must not end the server */
  if (sigprocmask(SIG_BLOCK, &ending, NULL) != 0)
    return -1;
  return signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Returns the shorter of two sleeps; a negative one has no limit. */
static int shorter_sleep(int a_ms, int b_ms) {
  if (a_ms < 0 || b_ms < 0)
    return a_ms < 0 ? b_ms : a_ms;
  return a_ms < b_ms ? a_ms : b_ms;
}

/* Does a slice of all work. Returns how long the loop may sleep. */
static int run_turn(struct server *server) {
  http_turn(&server->http);
  int sleep_ms = retention_turn(server);
  if (!server->failed)
    sleep_ms = shorter_sleep(sleep_ms, processing_turn(server));
  if (!server->failed)
    sleep_ms = shorter_sleep(sleep_ms, deletion_turn(server));
  /* Last, since the work above may have resumed connections. */
  return shorter_sleep(sleep_ms, http_sleep_ms(&server->http));
}

/* Returns true if the loop may end after a signal. */
static bool is_done(const struct server *server, int64_t closing_since_ms) {
  if (monotonic_ms() - closing_since_ms >= CLOSING_MS_MAX)
    return true;
  return retention_is_idle(&server->retention) && server->deletion.batch == NULL;
}

static void loop(struct server *server, int signal_fd) {
  struct pollfd fds[] = {
      {.fd = http_fd(&server->http), .events = POLLIN},
      {.fd = server->retention.event_fd, .events = POLLIN},
      {.fd = signal_fd, .events = POLLIN},
  };
  int64_t closing_since_ms = 0;
  while (!server->failed) {
    int sleep_ms = run_turn(server);
    if (server->closing && is_done(server, closing_since_ms))
      return;
    /* is_done() depends on a time limit, which has no descriptor to poll. */
    if (server->closing)
      sleep_ms = shorter_sleep(sleep_ms, RETRY_MS);
    if (poll(fds, sizeof fds / sizeof fds[0], sleep_ms) < 0 && errno != EINTR) {
      say("the loop cannot wait: %s.", strerror(errno));
      server->failed = true;
    }
    struct signalfd_siginfo signal;
    if (read(signal_fd, &signal, sizeof signal) == (ssize_t)sizeof signal && !server->closing) {
      server->closing = true;
      reclaimer_request_stop(&server->reclaimer);
      closing_since_ms = monotonic_ms();
    }
  }
}

/* ---- start and stop ---- */

static bool start(struct server *server, const struct settings *settings) {
  /* The engine comes first: if another server has it open, that server's uploads must not be removed. */
  if (!engine_open(server, settings) || !folder_open(&server->folder, settings->data) || !engine_reconcile(server) ||
      !http_start(server, settings) || !reclaimer_start(&server->reclaimer, server->retention.engine) ||
      !control_start(&server->control, server->retention.engine, settings))
    return false;
  printf("filehold listens on http://%s:%u\n", settings->address, (unsigned)server->http.port);
  fflush(stdout);
  return true;
}

/* Answers all open requests first: the HTTP library cannot be stopped while connections are suspended. */
static void stop(struct server *server) {
  retention_abort(server);
  if (server->http.daemon != NULL)
    http_turn(&server->http);
  http_stop(&server->http);
  control_stop(&server->control);
  deletion_reset(&server->deletion);
  processing_free(&server->processing);
  reclaimer_join(&server->reclaimer);
  engine_close(server);
  folder_close(&server->folder);
}

int main(int argc, char **argv) {
  struct settings settings = {
      .address = "127.0.0.1", .port = 8080, .origin = "localhost/filehold", .upload_bytes_max = 64 << 20};
  if (!parse(argc, argv, &settings)) {
    fputs(usage, stderr);
    return 2;
  }
  int signal_fd = signals_as_fd();
  if (signal_fd < 0) {
    say("signals cannot be received: %s.", strerror(errno));
    return EXIT_FAILURE;
  }
  struct server server = {.folder = {.files = -1, .incoming = -1}};
  retention_init(&server.retention);
  processing_init(&server.processing);
  if (start(&server, &settings))
    loop(&server, signal_fd);
  else
    server.failed = true;
  stop(&server);
  close(signal_fd);
  return server.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
