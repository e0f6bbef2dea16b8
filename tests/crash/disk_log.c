/* Preloaded into a process: writes down, in order, what it does to the files below one folder, so that a test
 * can work out every state a power failure could have left. Also lets the n-th such call fail.
 *
 * Record: one octet (what), then 32-bit lengths and numbers in host order: path length, path, offset (64 bits),
 * data length, data. What: W write, S sync, T truncate, C create, R rename (data: the new path), U unlink,
 * D make a folder, N note by the program (data).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[PATH_MAX];
static int log_to = -1;
static long fail_at = 0, calls = 0;
static int fail_with = EIO;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name, type, ...) \
  static type (*real)(__VA_ARGS__); \
  if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

static void put(const void *data, size_t size) {
  static ssize_t (*real)(int, const void *, size_t);
  if (!real) real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  if (log_to >= 0 && real(log_to, data, size) != (ssize_t)size) _exit(99);
}

static void tell(char what, const char *path, uint64_t offset, const void *data, uint32_t size) {
  uint32_t length = strlen(path);
  pthread_mutex_lock(&lock);
  put(&what, 1); put(&length, 4); put(path, length); put(&offset, 8); put(&size, 4); put(data, size);
  pthread_mutex_unlock(&lock);
}

void disk_log_start(const char *below, int descriptor) { strncpy(folder, below, PATH_MAX - 1); log_to = descriptor; }
void disk_log_note(const char *text) { tell('N', "", 0, text, strlen(text)); }
void disk_log_fail(long at, int with) { fail_at = at; calls = 0; fail_with = with; }
long disk_log_calls(void) { return calls; }

static int ours(const char *path) {
  size_t length = strlen(folder);
  return length && !strncmp(path, folder, length) && (path[length] == '/' || !path[length]) && !strstr(path, "-shm");
}

static int name_of(int descriptor, char *path) {
  char link[64];
  if (!folder[0] || descriptor == log_to) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return ours(path);
}

static int fails(void) {
  if (__sync_add_and_fetch(&calls, 1) != fail_at) return 0;
  errno = fail_with;
  return 1;
}

ssize_t write(int descriptor, const void *data, size_t size) {
  REAL(write, ssize_t, int, const void *, size_t);
  char path[PATH_MAX];
  if (!name_of(descriptor, path)) return real(descriptor, data, size);
  off_t at = lseek(descriptor, 0, SEEK_CUR);
  if (fails()) return -1;
  ssize_t done = real(descriptor, data, size);
  if (done > 0) tell('W', path, at, data, done);
  return done;
}

ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t at) {
  REAL(pwrite64, ssize_t, int, const void *, size_t, off64_t);
  char path[PATH_MAX];
  if (!name_of(descriptor, path)) return real(descriptor, data, size, at);
  if (fails()) return -1;
  ssize_t done = real(descriptor, data, size, at);
  if (done > 0) tell('W', path, at, data, done);
  return done;
}

static int synced(int descriptor, int (*real)(int)) {
  char path[PATH_MAX];
  if (!name_of(descriptor, path)) return real(descriptor);
  if (fails()) return -1;
  int done = real(descriptor);
  if (!done) tell('S', path, 0, "", 0);
  return done;
}

int fsync(int descriptor) { REAL(fsync, int, int); return synced(descriptor, real); }
int fdatasync(int descriptor) { REAL(fdatasync, int, int); return synced(descriptor, real); }

int ftruncate64(int descriptor, off64_t size) {
  REAL(ftruncate64, int, int, off64_t);
  char path[PATH_MAX];
  if (!name_of(descriptor, path)) return real(descriptor, size);
  if (fails()) return -1;
  int done = real(descriptor, size);
  if (!done) tell('T', path, size, "", 0);
  return done;
}

static int opened(int descriptor, const char *path, int fresh) {
  if (descriptor >= 0 && fresh) tell('C', path, 0, "", 0);
  return descriptor;
}

int open64(const char *path, int flags, ...) {
  REAL(open64, int, const char *, int, ...);
  mode_t mode = 0;
  if (flags & O_CREAT) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }
  if (!(flags & O_CREAT) || !ours(path)) return real(path, flags, mode);
  int fresh = access(path, F_OK) != 0;
  if (fresh && fails()) return -1;
  return opened(real(path, flags, mode), path, fresh);
}

int rename(const char *old, const char *new) {
  REAL(rename, int, const char *, const char *);
  if (!ours(old)) return real(old, new);
  if (fails()) return -1;
  int done = real(old, new);
  if (!done) tell('R', old, 0, new, strlen(new));
  return done;
}

int unlink(const char *path) {
  REAL(unlink, int, const char *);
  if (!ours(path)) return real(path);
  if (fails()) return -1;
  int done = real(path);
  if (!done) tell('U', path, 0, "", 0);
  return done;
}

int mkdir(const char *path, mode_t mode) {
  REAL(mkdir, int, const char *, mode_t);
  if (!ours(path)) return real(path, mode);
  if (fails()) return -1;
  int done = real(path, mode);
  if (!done) tell('D', path, 0, "", 0);
  return done;
}
