/* A library to preload: the disk calls of a process fail as DISK_FAULT says, once the file DISK_FAULT_ARMED exists.
   sync-eio, write-eio: every call fails with EIO and says so on standard output. short: half of every write is taken.
   interrupted: every second call fails with EINTR. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int wanted(const char *fault) {
    const char *mode = getenv("DISK_FAULT"), *armed = getenv("DISK_FAULT_ARMED");
    return mode && armed && !strcmp(mode, fault) && !access(armed, F_OK);
}

static int fail(int number) {
    if (number == EIO && write(1, "EIO\n", 4) != 4) abort();
    errno = number;
    return -1;
}

static __thread int calls;

int fdatasync(int fd) {
    if (wanted("sync-eio")) return fail(EIO);
    if (wanted("interrupted") && calls++ % 2 == 0) return fail(EINTR);
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    if (wanted("write-eio")) return fail(EIO);
    if (wanted("interrupted") && calls++ % 2 == 0) return fail(EINTR);
    if (wanted("short") && size > 1) size /= 2;
    return ((ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64"))(fd, data, size, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return pwrite64(fd, data, size, offset); }
