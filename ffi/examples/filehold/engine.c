/* The engine: opened with a class file, given files that it does not know, closed. */
#include "filehold.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_PER_CALL 256 /* files registered by one call when the server starts */
#define CLASSES_BYTES_MAX (1 << 20)

/* Classes if no class file is given. */
static const char default_classes[] = "[class." CLASS_NAME "]\n"
                                      "within = \"3h\"\n"
                                      "start = \"explicit\"\n"
                                      "max_open = \"24h\"\n";

sexton_bytes bytes_of(const char *text) { return (sexton_bytes){(const uint8_t *)text, strlen(text)}; }

/* Logs the message of an error, and frees it. */
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

/* Returns the class file as text, which the caller frees. On failure logs the reason and returns NULL. */
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
  bool ok = !ferror(file) && len <= CLASSES_BYTES_MAX;
  fclose(file);
  if (!ok) {
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

/* Opens the engine in DATA/sexton. After a crash the engine recovers here: sub-batches that were not answered come
 * again. */
bool engine_open(struct server *server, const struct settings *settings) {
  struct retention *retention = &server->retention;
  char *class_file = settings->classes == NULL ? NULL : read_classes(settings->classes);
  if (settings->classes != NULL && class_file == NULL)
    return false;
  char folder[4096];
  snprintf(folder, sizeof folder, "%s/sexton", settings->data);
  sexton_options *options = sexton_options_new();
  sexton_error *error = NULL;
  int32_t status = set_options(options, settings, class_file == NULL ? default_classes : class_file, &error);
  if (status == SEXTON_OK)
    status = sexton_open(bytes_of(folder), options, &retention->engine, &error);
  if (status == SEXTON_OK)
    status = sexton_event_fd(retention->engine, &retention->event_fd, &error);
  sexton_options_free(options);
  free(class_file);
  if (status != SEXTON_OK)
    say_error("the engine cannot be opened", error);
  return status == SEXTON_OK;
}

/* Returns the registration of a file whose start is not known yet. Borrows `name` and `version`. */
sexton_registration open_object(const char *name, const uint8_t version[VERSION_BYTES], uint64_t size) {
  sexton_registration item = SEXTON_REGISTRATION_INIT;
  item.key = bytes_of(name);
  item.class_name = bytes_of(CLASS_NAME);
  item.version = (sexton_bytes){version, VERSION_BYTES};
  item.has_size = true;
  item.size_bytes = size;
  return item;
}

/* ---- files that the engine does not know ---- */

/* Files found in the folder, to be registered by one call. */
struct found {
  struct server *server;
  size_t len;
  struct file {
    char name[NAME_BYTES_MAX + 1];
    struct version version;
    uint64_t size;
  } files[FILES_PER_CALL];
};

/* Registers the found files. Returns the answers, or NULL. The call waits for its fsync, which is fine: the server does
 * not serve clients yet. */
static sexton_results *register_found(const struct found *found, uint32_t flags) {
  sexton_registration items[FILES_PER_CALL];
  uint8_t versions[FILES_PER_CALL][VERSION_BYTES];
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

/* Registers files that are not registered, and queues all found files for processing. The server keeps no record of
 * files already processed. If one was, it has its start, and the engine refuses a second start. */
static bool reconcile_found(struct found *found) {
  sexton_results *results = register_found(found, SEXTON_ONLY_MISSING);
  struct found newer = {.server = found->server};
  size_t len = 0;
  const sexton_registered *answers = sexton_results_registered(results, &len);
  bool ok = results != NULL;
  for (size_t i = 0; i < len && ok; i++) {
    const struct file *file = &found->files[i];
    /* Usually this version is registered already. KEPT: another version is registered. The file was overwritten, and
     * the crash came before the new version was registered. */
    if (answers[i].previous == SEXTON_PREVIOUS_KEPT)
      newer.files[newer.len++] = *file;
    else
      ok = processing_add(&found->server->processing, file->name, file->version, &answers[i].id);
  }
  sexton_results_free(results);
  found->len = 0;
  if (!ok || newer.len == 0)
    return ok;
  results = register_found(&newer, 0);
  answers = sexton_results_registered(results, &len);
  ok = results != NULL;
  for (size_t i = 0; i < len && ok; i++)
    ok = processing_add(&newer.server->processing, newer.files[i].name, newer.files[i].version, &answers[i].id);
  sexton_results_free(results);
  return ok;
}

static bool collect_file(void *user, const char *name, struct version version, uint64_t size) {
  struct found *found = user;
  struct file *file = &found->files[found->len++];
  snprintf(file->name, sizeof file->name, "%s", name);
  file->version = version;
  file->size = size;
  return found->len < FILES_PER_CALL || reconcile_found(found);
}

/* A crash can come after a file is in the folder and before it is registered. Such a file would never be deleted, so it
 * is registered now. */
bool engine_reconcile(struct server *server) {
  struct found found = {.server = server};
  return folder_each(&server->folder, collect_file, &found) && (found.len == 0 || reconcile_found(&found));
}

void engine_close(struct server *server) {
  struct retention *retention = &server->retention;
  sexton_error *error = NULL;
  if (retention->engine != NULL && sexton_close(retention->engine, &error) != SEXTON_OK) {
    say_error("closing the engine failed", error);
    server->failed = true;
  }
  sexton_engine_free(retention->engine);
  retention->engine = NULL;
}
