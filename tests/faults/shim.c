/* Lets one system call of a process fail, or kills the process right before or after it. Preloaded; see shim.py.
 *
 * Only calls on files below one folder count. A forked child counts anew once it is armed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { OPEN = 1, READ = 2, WRITE = 4, SYNC = 8, TRUNCATE = 16, UNLINK = 32, MKDIR = 64, LOCK = 128, RENAME = 256 };
enum { FAIL = 0, KILL_BEFORE = 1, KILL_AFTER = 2, SHORT = 3 };
enum { NUMBER_OF_FILES = 4096 };

static char folder[4096];
static int calls, action, error;
static long left = -1, seen[9];
static unsigned char is_tracked[NUMBER_OF_FILES];

/* `nth` counts from 0; -1 counts without a fault. */
void fault_arm(const char *below, int which, long nth, int what, int number)
{
    strncpy(folder, below, sizeof folder - 1); /* with a slash at its end */
    calls = which, left = nth, action = what, error = number;
    memset(seen, 0, sizeof seen);
    memset(is_tracked, 0, sizeof is_tracked);
}

long fault_seen(int which)
{
    long sum = 0;
    for (int bit = 0; bit < 9; bit++)
        sum += which & (1 << bit) ? seen[bit] : 0;
    return sum;
}

static int is_below(const char *path)
{
    char full[8192];
    if (!folder[0] || path == NULL)
        return 0;
    if (path[0] != '/') {
        if (getcwd(full, 4096) == NULL)
            return 0;
        strcat(full, "/");
        strncat(full, path, 4000);
        path = full;
    }
    return strncmp(path, folder, strlen(folder)) == 0;
}

static int is_ours(int file) { return file >= 0 && file < NUMBER_OF_FILES && is_tracked[file]; }

/* Whether the fault is due in this call. */
static int is_due(int call, int counts)
{
    if (!counts || !(calls & call))
        return 0;
    seen[__builtin_ctz((unsigned)call)]++;
    if (left < 0 || left-- != 0)
        return 0;
    if (action == KILL_BEFORE)
        kill(getpid(), SIGKILL);
    return 1;
}

static long done(int due, long result)
{
    if (due && action == KILL_AFTER)
        kill(getpid(), SIGKILL);
    return result;
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)
#define FAILS(due) if ((due) && action == FAIL) { errno = error; return -1; }

static int opened(int file, int counts, int due)
{
    if (counts && file >= 0 && file < NUMBER_OF_FILES)
        is_tracked[file] = 1;
    return (int)done(due, file);
}

#define OPENS(name, ...) \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); } \
    REAL(name); \
    int counts = below, due = is_due(OPEN, counts); \
    FAILS(due) \
    return opened(real(__VA_ARGS__, flags, mode), counts, due)

int open(const char *path, int flags, ...) { int below = is_below(path); OPENS(open, path); }
int open64(const char *path, int flags, ...) { int below = is_below(path); OPENS(open64, path); }
int openat(int at, const char *path, int flags, ...)
{
    int below = (at == AT_FDCWD || path[0] == '/') ? is_below(path) : is_ours(at);
    OPENS(openat, at, path);
}
int openat64(int at, const char *path, int flags, ...)
{
    int below = (at == AT_FDCWD || path[0] == '/') ? is_below(path) : is_ours(at);
    OPENS(openat64, at, path);
}

int close(int file)
{
    REAL(close);
    if (file >= 0 && file < NUMBER_OF_FILES)
        is_tracked[file] = 0;
    return real(file);
}

#define SIZED(call) \
    int due = is_due(call, is_ours(file)); \
    FAILS(due) \
    if (due && action == SHORT && size > 1) \
        size /= 2

ssize_t read(int file, void *into, size_t size) { REAL(read); SIZED(READ); return done(due, real(file, into, size)); }
ssize_t pread64(int file, void *into, size_t size, off64_t at) { REAL(pread64); SIZED(READ); return done(due, real(file, into, size, at)); }
ssize_t write(int file, const void *from, size_t size) { REAL(write); SIZED(WRITE); return done(due, real(file, from, size)); }
ssize_t pwrite64(int file, const void *from, size_t size, off64_t at) { REAL(pwrite64); SIZED(WRITE); return done(due, real(file, from, size, at)); }

#define ON_FILE(call) int due = is_due(call, is_ours(file)); FAILS(due)

int fsync(int file) { REAL(fsync); ON_FILE(SYNC) return (int)done(due, real(file)); }
int fdatasync(int file) { REAL(fdatasync); ON_FILE(SYNC) return (int)done(due, real(file)); }
int ftruncate64(int file, off64_t size) { REAL(ftruncate64); ON_FILE(TRUNCATE) return (int)done(due, real(file, size)); }
int flock(int file, int how) { REAL(flock); ON_FILE(LOCK) return (int)done(due, real(file, how)); }

#define ON_PATH(call) int due = is_due(call, is_below(path)); FAILS(due)

int unlink(const char *path) { REAL(unlink); ON_PATH(UNLINK) return (int)done(due, real(path)); }
int mkdir(const char *path, mode_t mode) { REAL(mkdir); ON_PATH(MKDIR) return (int)done(due, real(path, mode)); }
int rename(const char *path, const char *to) { REAL(rename); ON_PATH(RENAME) return (int)done(due, real(path, to)); }
int renameat(int at, const char *path, int to_at, const char *to)
{
    REAL(renameat);
    int due = is_due(RENAME, at == AT_FDCWD ? is_below(path) : is_ours(at));
    FAILS(due)
    return (int)done(due, real(at, path, to_at, to));
}
int unlinkat(int at, const char *path, int flags)
{
    REAL(unlinkat);
    int due = is_due(UNLINK, at == AT_FDCWD ? is_below(path) : is_ours(at));
    FAILS(due)
    return (int)done(due, real(at, path, flags));
}
