/* Disk faults under a program, preloaded. It counts the calls that write to files whose path contains a given text;
   from `disk_faults_arm` on, call number `at` (from 0) fails with an errno, or all from there on. With `half`, that call
   writes half of its bytes, and those after it fail. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char watched[4096];
static long at = -1, calls;
static int error, lasting, halved;

void disk_faults_arm(const char *text, long call, int number, int stays, int half)
{
    strncpy(watched, text, sizeof watched - 1);
    error = number, lasting = stays, halved = half;
    calls = 0;
    at = call;
}

long disk_faults_calls(void) { return __atomic_load_n(&calls, __ATOMIC_SEQ_CST); }

enum fate { GOOD, HALF, BAD };

static enum fate next_of(const char *path)
{
    if (!watched[0] || !strstr(path, watched)) return GOOD;
    long number = __atomic_fetch_add(&calls, 1, __ATOMIC_SEQ_CST);
    if (at < 0 || number < at) return GOOD;
    if (number == at) return halved ? HALF : BAD;
    return lasting ? BAD : GOOD;
}

static enum fate next(int file)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    long length = watched[0] ? syscall(SYS_readlink, link, path, sizeof path - 1) : -1;
    if (length < 0) return GOOD;
    path[length] = 0;
    return next_of(path);
}

static long fails(void)
{
    errno = error;
    return -1;
}

ssize_t write(int file, const void *data, size_t count)
{
    enum fate fate = next(file);
    if (fate == BAD) return fails();
    return syscall(SYS_write, file, data, fate == HALF ? count / 2 : count);
}

ssize_t pwrite64(int file, const void *data, size_t count, off64_t offset)
{
    enum fate fate = next(file);
    if (fate == BAD) return fails();
    return syscall(SYS_pwrite64, file, data, fate == HALF ? count / 2 : count, offset);
}

ssize_t pwrite(int file, const void *data, size_t count, off_t offset) { return pwrite64(file, data, count, offset); }

ssize_t writev(int file, const struct iovec *parts, int count)
{
    return next(file) == GOOD ? syscall(SYS_writev, file, parts, count) : fails();
}

int fsync(int file) { return (int)(next(file) == GOOD ? syscall(SYS_fsync, file) : fails()); }

int fdatasync(int file) { return (int)(next(file) == GOOD ? syscall(SYS_fdatasync, file) : fails()); }

int ftruncate64(int file, off64_t size) { return (int)(next(file) == GOOD ? syscall(SYS_ftruncate, file, size) : fails()); }

int ftruncate(int file, off_t size) { return ftruncate64(file, size); }

int fallocate64(int file, int mode, off64_t offset, off64_t size)
{
    return (int)(next(file) == GOOD ? syscall(SYS_fallocate, file, mode, offset, size) : fails());
}

int fallocate(int file, int mode, off_t offset, off_t size) { return fallocate64(file, mode, offset, size); }

int posix_fallocate64(int file, off64_t offset, off64_t size) { return fallocate64(file, 0, offset, size) ? errno : 0; }

int posix_fallocate(int file, off_t offset, off_t size) { return posix_fallocate64(file, offset, size); }

int rename(const char *from, const char *to)
{
    return (int)(next_of(to) == GOOD ? syscall(SYS_rename, from, to) : fails());
}

int unlink(const char *path) { return (int)(next_of(path) == GOOD ? syscall(SYS_unlink, path) : fails()); }
