/* While the file that $DISK_READ_ONLY names is there, nothing can be written: as on a file system that has gone read-only. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_read_only(void) {
    return access(getenv("DISK_READ_ONLY"), F_OK) == 0;
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
    if (is_read_only()) {
        errno = EROFS;
        return -1;
    }
    return syscall(SYS_pwrite64, file, bytes, count, at);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
    return pwrite64(file, bytes, count, at);
}

int ftruncate64(int file, off64_t length) {
    if (is_read_only()) {
        errno = EROFS;
        return -1;
    }
    return syscall(SYS_ftruncate, file, length);
}

int ftruncate(int file, off_t length) {
    return ftruncate64(file, length);
}
