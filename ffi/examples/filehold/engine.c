/* The engine: opened with the promise, told of files that it does not know, closed. */
#include "filehold.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOUND_AT_ONCE 256 /* files registered in one call when the server starts */
#define CLASSES_BYTES_MAX (1 << 20)

/* The promise, where no class file says otherwise. */
static const char default_classes[] = "[class." CLASS_NAME "]\n"
                                      "within = \"3h\"\n"
                                      "start = \"explicit\"\n"
                                      "max_open = \"24h\"\n";

sexton_bytes bytes_of(const char *text) {
  return (sexton_bytes){(const uint8_t *)text, strlen(text)};
}

/* Says the sentence of an error and frees it. */
void say_error(const char *what, sexton_error *error) {
  sexton_bytes message = sexton_error_message(error);
  say("%s: %.*s (%s).", what, (int)message.len, (const char *)message.data,
      sexton_status_name(sexton_error_status(error)));
  sexton_error_free(error);
}

static void log_line(void *user, int32_t level, sexton_bytes line) {
  (void)user;
  (void)level;
  say("sexton: %.*s", (int)line.len, (const char *)line.data);
}

/* The class file as text, which the caller frees; NULL after saying why not. */
static char *read_classes(const char *path) {
  FILE *file = fopen(path, "r");
  char *text = file == NULL ? NULL : malloc(CLASSES_BYTES_MAX + 1);
  if (text == NULL) {
    say("the class file %s cannot be read: %s.", path, strerror(errno));
    if (file != NULL)
      fclose(file);
    return NULL;
  }
  size_t len = fread(text, 1, CLASSES_BYTES_MAX + 1, file);
  bool fine = !ferror(file) && len <= CLASSES_BYTES_MAX;
  fclose(file);
  if (!fine) {
    say("the class file %s cannot be read, or is longer than %d bytes.", path, CLASSES_BYTES_MAX);
    free(text);
    return NULL;
  }
  text[len] = '\0';
  return text;
}

static int32_t set_options(sexton_options *options, const struct settings *settings, const char *classes,
                           sexton_error **error) {
  const char *const pairs[][2] = {
      {"origin", settings->origin},
      {"builtin_classes", "false"},
      {"classes", classes},
      {"log_level", "warn"},
  };
  int32_t status = sexton_options_set_log(options, log_line, NULL, error);
  for (size_t i = 0; status == SEXTON_OK && i < sizeof pairs / sizeof pairs[0]; i++)
    status = sexton_options_set(options, bytes_of(pairs[i][0]), bytes_of(pairs[i][1]), error);
  return status;
}

/* Opens the engine in DATA/sexton. What a crash interrupted is finished here: what was handed over and not answered
 * will come again. */
bool engine_open(struct server *server, const struct settings *settings) {
  struct retention *retention = &server->retention;
  char *read = settings->classes == NULL ? NULL : read_classes(settings->classes);
  if (settings->classes != NULL && read == NULL)
    return false;
  char folder[4096];
  snprintf(folder, sizeof folder, "%s/sexton", settings->data);
  sexton_options *options = sexton_options_new();
  sexton_error *error = NULL;
  int32_t status = set_options(options, settings, read == NULL ? default_classes : read, &error);
  if (status == SEXTON_OK)
    status = sexton_open(bytes_of(folder), options, &retention->engine, &error);
  if (status == SEXTON_OK)
    status = sexton_event_fd(retention->engine, &retention->event_fd, &error);
  sexton_options_free(options);
  free(read);
  if (status != SEXTON_OK)
    say_error("the engine cannot be opened", error);
  return status == SEXTON_OK;
}

/* A registration of a file whose start is not known yet. Borrows the name and `version`. */
sexton_registration open_object(const char *name, const uint8_t version[VERSION_BYTES], uint64_t size) {
  sexton_registration item = SEXTON_REGISTRATION_INIT;
  item.key = bytes_of(name);
  item.class_name = bytes_of(CLASS_NAME);
  item.version = (sexton_bytes){version, VERSION_BYTES};
  item.size_bytes = size;
  return item;
}

/* ---- files that the engine does not know ---- */

/* Files found in the folder, to be registered in one call. */
struct found {
  struct server *server;
  size_t len;
  struct file {
    char name[NAME_BYTES_MAX + 1];
    struct version version;
    uint64_t size;
  } files[FOUND_AT_ONCE];
};

/* The engine's answers to registering what was found, or NULL. This call waits for its fsync: nobody is served yet. */
static sexton_results *register_found(const struct found *found, uint32_t flags) {
  sexton_registration items[FOUND_AT_ONCE];
  uint8_t versions[FOUND_AT_ONCE][VERSION_BYTES];
  for (size_t i = 0; i < found->len; i++) {
    version_encode(found->files[i].version, versions[i]);
    items[i] = open_object(found->files[i].name, versions[i], found->files[i].size);
  }
  sexton_results *results = NULL;
  sexton_error *error = NULL;
  if (sexton_register(found->server->retention.engine, items, found->len, flags, &results, &error) != SEXTON_OK)
    say_error("the files in the folder cannot be registered", error);
  return results;
}

/* Registers what is missing, and queues everything that was found for processing: whether a file was processed before
 * the server ended nobody wrote down. One that was has its start already, and a second one is refused. */
static bool reconcile_found(struct found *found) {
  sexton_results *results = register_found(found, SEXTON_ONLY_MISSING);
  struct found newer = {.server = found->server};
  size_t len = 0;
  const sexton_registered *answers = sexton_results_registered(results, &len);
  bool fine = results != NULL;
  for (size_t i = 0; i < len && fine; i++) {
    const struct file *file = &found->files[i];
    /* STANDS: the name is registered, but for another version. It was overwritten, and the crash came before the new
     * version was registered. (SAME is the usual case: this very file is registered.) */
    if (answers[i].earlier == SEXTON_EARLIER_STANDS)
      newer.files[newer.len++] = *file;
    else
      fine = processing_add(&found->server->processing, file->name, file->version, &answers[i].id);
  }
  sexton_results_free(results);
  found->len = 0;
  if (!fine || newer.len == 0)
    return fine;
  results = register_found(&newer, 0);
  answers = sexton_results_registered(results, &len);
  fine = results != NULL;
  for (size_t i = 0; i < len && fine; i++)
    fine = processing_add(&newer.server->processing, newer.files[i].name, newer.files[i].version, &answers[i].id);
  sexton_results_free(results);
  return fine;
}

static bool find_file(void *user, const char *name, struct version version, uint64_t size) {
  struct found *found = user;
  struct file *file = &found->files[found->len++];
  snprintf(file->name, sizeof file->name, "%s", name);
  file->version = version;
  file->size = size;
  return found->len < FOUND_AT_ONCE || reconcile_found(found);
}

/* A crash can come between the moment a file stands in the folder and the moment it is registered. What stands there
 * and is not registered would never be deleted, so it is registered now. */
bool engine_reconcile(struct server *server) {
  struct found found = {.server = server};
  return folder_each(&server->folder, find_file, &found) && (found.len == 0 || reconcile_found(&found));
}

void engine_close(struct server *server) {
  struct retention *retention = &server->retention;
  sexton_error *error = NULL;
  if (retention->engine != NULL && sexton_close(retention->engine, &error) != SEXTON_OK) {
    say_error("the engine did not close well", error);
    server->failed = true;
  }
  sexton_engine_free(retention->engine);
  retention->engine = NULL;
}
