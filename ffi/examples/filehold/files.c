/* Folder of files. Its answers stay true after a power failure: a name is in DATA/files only when its content is on
 * disk, and a removal counts only after the folder was synced. */
#include "filehold.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)

/* Accepts letters, digits, dots, dashes and underscores, with no dot first. Such a name cannot leave the folder, needs
 * no escaping in JSON or a link, and is no hidden file. */
bool name_is_valid(const char *name) {
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  size_t len = strlen(name);
  return len >= 1 && len <= NAME_BYTES_MAX && name[0] != '.' && strspn(name, allowed) == len;
}

void version_encode(struct version version, uint8_t out[VERSION_BYTES]) {
  for (int i = 0; i < 8; i++) {
    out[i] = (uint8_t)(version.inode >> (56 - 8 * i));
    out[8 + i] = (uint8_t)(version.generation >> (56 - 8 * i));
  }
}

bool version_decode(const uint8_t *bytes, size_t len, struct version *out) {
  if (len != VERSION_BYTES)
    return false;
  *out = (struct version){0, 0};
  for (int i = 0; i < 8; i++) {
    out->inode = out->inode << 8 | bytes[i];
    out->generation = out->generation << 8 | bytes[8 + i];
  }
  return true;
}

bool versions_equal(struct version a, struct version b) { return a.inode == b.inode && a.generation == b.generation; }

static struct version version_of(const struct stat *seen) {
  uint64_t seconds = (uint64_t)seen->st_mtim.tv_sec, rest = (uint64_t)seen->st_mtim.tv_nsec;
  return (struct version){(uint64_t)seen->st_ino, seconds * NS_PER_S + rest};
}

/* Returns the time in nanoseconds, or the last generation plus one if the clock stands still or went back. */
static uint64_t next_generation(struct folder *folder) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  uint64_t generation = (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
  if (generation <= folder->generation)
    generation = folder->generation + 1;
  folder->generation = generation;
  return generation;
}

static int open_folder(int at, const char *path) {
  if (mkdirat(at, path, 0700) != 0 && errno != EEXIST) {
    say("the folder %s cannot be created: %s.", path, strerror(errno));
    return -1;
  }
  int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    say("the folder %s cannot be opened: %s.", path, strerror(errno));
  return fd;
}

/* Calls `visit` with each name in a folder but hidden ones, until it returns false. */
static bool each_name(int folder, bool (*visit)(void *user, int folder, const char *name), void *user) {
  int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *entries = fd < 0 ? NULL : fdopendir(fd);
  if (entries == NULL) {
    say("a folder cannot be listed: %s.", strerror(errno));
    if (fd >= 0)
      close(fd);
    return false;
  }
  bool ok = true;
  for (struct dirent *entry; errno = 0, ok && (entry = readdir(entries)) != NULL;)
    if (entry->d_name[0] != '.')
      ok = visit(user, folder, entry->d_name);
  if (ok && errno != 0) {
    say("a folder cannot be listed to its end: %s.", strerror(errno));
    ok = false;
  }
  closedir(entries);
  return ok;
}

static bool remove_leftover(void *user, int folder, const char *name) {
  (void)user;
  if (unlinkat(folder, name, 0) == 0)
    return true;
  say("the incomplete upload %s cannot be removed: %s.", name, strerror(errno));
  return false;
}

/* Opens the folders below `data`, creates missing ones, and removes uploads that a crash interrupted. These are not
 * registered, so the engine would never delete them. */
bool folder_open(struct folder *folder, const char *data) {
  int top = open_folder(AT_FDCWD, data);
  if (top < 0)
    return false;
  folder->files = open_folder(top, "files");
  folder->incoming = open_folder(top, "incoming");
  bool ok = folder->files >= 0 && folder->incoming >= 0 && each_name(folder->incoming, remove_leftover, NULL);
  if (ok && (fsync(folder->incoming) != 0 || fsync(top) != 0)) {
    say("the folder %s cannot be made durable: %s.", data, strerror(errno));
    ok = false;
  }
  close(top);
  return ok;
}

void folder_close(struct folder *folder) {
  if (folder->files >= 0)
    close(folder->files);
  if (folder->incoming >= 0)
    close(folder->incoming);
}

struct visit {
  file_visitor visit;
  void *user;
};

static bool visit_file(void *user, int folder, const char *name) {
  const struct visit *visit = user;
  struct stat seen;
  if (fstatat(folder, name, &seen, AT_SYMLINK_NOFOLLOW) != 0) {
    say("the file %s cannot be examined: %s.", name, strerror(errno));
    return false;
  }
  if (!S_ISREG(seen.st_mode) || !name_is_valid(name)) {
    say("%s in the folder of files does not belong to this server; it is ignored and will not be deleted.", name);
    return true;
  }
  return visit->visit(visit->user, name, version_of(&seen), (uint64_t)seen.st_size);
}

/* Calls `visit` with each complete file, until it returns false. Returns false if a call or the listing failed. */
bool folder_each(struct folder *folder, file_visitor visit, void *user) {
  return each_name(folder->files, visit_file, &(struct visit){visit, user});
}

/* Opens a file for reading. Returns the descriptor, or -1 with errno set. */
int folder_read(const struct folder *folder, const char *name, struct version *version, uint64_t *size) {
  int fd = openat(folder->files, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  struct stat seen;
  if (fd < 0)
    return -1;
  if (fstat(fd, &seen) != 0 || !S_ISREG(seen.st_mode)) {
    close(fd);
    errno = ENOENT;
    return -1;
  }
  *version = version_of(&seen);
  *size = (uint64_t)seen.st_size;
  return fd;
}

/* Removes a file if it still is this version. Sets errno on NOT_REMOVED. The removal is durable after folder_sync().
 * Comparing and removing are two steps. In between no other process may write into the folder; this server writes in
 * this thread only. */
enum removal folder_remove(struct folder *folder, const char *name, struct version version) {
  struct stat seen;
  if (fstatat(folder->files, name, &seen, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? NOT_THERE : NOT_REMOVED;
  if (!versions_equal(version_of(&seen), version))
    return ANOTHER_VERSION;
  return unlinkat(folder->files, name, 0) == 0 ? REMOVED : NOT_REMOVED;
}

/* Makes the names in the folder durable. */
bool folder_sync(struct folder *folder) { return fsync(folder->files) == 0; }

bool incoming_open(struct folder *folder, struct incoming *incoming) {
  snprintf(incoming->name, sizeof incoming->name, "%" PRIu64, ++folder->uploads);
  incoming->fd = openat(folder->incoming, incoming->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  return incoming->fd >= 0;
}

bool incoming_write(struct incoming *incoming, const char *bytes, size_t len) {
  while (len > 0) {
    ssize_t written = write(incoming->fd, bytes, len);
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return false;
    bytes += written;
    len -= (size_t)written;
  }
  return true;
}

/* Gives the content its generation, makes it durable, and renames it over the file of that name. The name itself is
 * durable after folder_sync(). */
bool incoming_commit(struct folder *folder, struct incoming *incoming, const char *name, struct version *version) {
  uint64_t generation = next_generation(folder);
  struct timespec mtime = {(time_t)(generation / NS_PER_S), (long)(generation % NS_PER_S)};
  struct timespec times[2] = {mtime, mtime};
  struct stat seen;
  if (futimens(incoming->fd, times) != 0 || fsync(incoming->fd) != 0 || fstat(incoming->fd, &seen) != 0 ||
      renameat(folder->incoming, incoming->name, folder->files, name) != 0)
    return false;
  close(incoming->fd);
  incoming->fd = -1;
  /* As stored by the file system, which may not keep nanoseconds. */
  *version = version_of(&seen);
  return true;
}

/* Removes an upload that was not committed. */
void incoming_discard(struct folder *folder, struct incoming *incoming) {
  if (incoming->fd < 0)
    return;
  close(incoming->fd);
  incoming->fd = -1;
  if (unlinkat(folder->incoming, incoming->name, 0) != 0)
    say("the incomplete upload %s cannot be removed: %s.", incoming->name, strerror(errno));
}
