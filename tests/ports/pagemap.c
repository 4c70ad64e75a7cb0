/*
 * A host without /proc/self/pagemap. Under qemu's user mode that file is qemu's own: it speaks of
 * qemu's addresses, in the byte order of the machine below. Linked with --wrap of open and open64.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

int __real_open64(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);

static int open_other(const char *path, int flags, va_list arguments)
{
    if (strcmp(path, "/proc/self/pagemap") != 0)
        return __real_open64(path, flags, flags & O_CREAT ? va_arg(arguments, int) : 0);
    errno = ENOENT;
    return -1;
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    int file = open_other(path, flags, arguments);
    va_end(arguments);
    return file;
}

int __wrap_open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    int file = open_other(path, flags, arguments);
    va_end(arguments);
    return file;
}
