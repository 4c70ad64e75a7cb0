/*
 * Memory, files and clocks of Windows under POSIX's names. See posix.h.
 *
 * Memory is reserved and committed at once, which MAP_NORESERVE memory is not: an arena counts
 * against the host's commit limit.
 */
#define _FILE_OFFSET_BITS 64
#include "platform/emulated/host.h"

#if defined(_WIN32)
#include <stdarg.h>
#include <string.h>
#include <windows.h>

#undef pthread_cond_timedwait /* this file calls the other one */

#define NANOSECONDS_OF_SECOND INT64_C(1000000000)
#define LONGEST_TRANSFER_BYTES (1u << 30)

static DWORD protection_of(int protection)
{
    if (protection & PROT_WRITE)
        return PAGE_READWRITE;
    return protection & PROT_READ ? PAGE_READONLY : PAGE_NOACCESS;
}

void *windows_mmap(void *at, size_t size, int protection, int flags, int file, int64_t offset)
{
    void *bytes = NULL;
    (void)at;
    (void)file;
    (void)offset;
    if ((flags & MAP_ANONYMOUS) != 0 && (flags & MAP_FIXED) == 0)
        bytes = VirtualAlloc(NULL, size, MEM_RESERVE | MEM_COMMIT, protection_of(protection));
    if (bytes != NULL)
        return bytes;
    errno = ENOMEM;
    return MAP_FAILED;
}

int windows_munmap(void *at, size_t size)
{
    (void)size;
    if (VirtualFree(at, 0, MEM_RELEASE))
        return 0;
    errno = EINVAL;
    return -1;
}

int windows_mprotect(void *at, size_t size, int protection)
{
    DWORD old;
    if (VirtualProtect(at, size, protection_of(protection), &old))
        return 0;
    errno = EINVAL;
    return -1;
}

int windows_madvise(void *at, size_t size, int advice)
{
    (void)at;
    (void)size;
    (void)advice;
    errno = EINVAL;
    return -1;
}

int windows_memfd_create(const char *name, unsigned flags)
{
    (void)name;
    (void)flags;
    errno = ENOSYS;
    return -1;
}

/* There is no /proc, of which it would be asked: see snapshot_memory.c. */
int windows_ioctl(int file, unsigned request, void *argument)
{
    (void)file;
    (void)request;
    (void)argument;
    errno = ENOSYS;
    return -1;
}

long windows_sysconf(int name)
{
    SYSTEM_INFO information;
    if (name != _SC_PAGESIZE)
        return -1;
    GetSystemInfo(&information);
    return (long)information.dwPageSize;
}

/* --- files --- */

/* Wine would show the files of its own host below /proc. */
int windows_open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    int mode = flags & O_CREAT ? va_arg(arguments, int) & (_S_IREAD | _S_IWRITE) : 0;
    va_end(arguments);
    if (strncmp(path, "/proc/", 6) == 0) {
        errno = ENOENT;
        return -1;
    }
    return _open(path, flags | O_BINARY, mode);
}

int64_t windows_lseek(int file, int64_t offset_bytes, int whence)
{
    if (whence != SEEK_DATA && whence != SEEK_HOLE)
        return _lseeki64(file, offset_bytes, whence);
    int64_t end = _filelengthi64(file);
    if (end >= 0 && offset_bytes >= end) {
        errno = ENXIO;
        return -1;
    }
    return end < 0 || whence == SEEK_HOLE ? end : offset_bytes;
}

static OVERLAPPED place_of(int64_t offset_bytes)
{
    return (OVERLAPPED){
        .Offset = (DWORD)offset_bytes,
        .OffsetHigh = (DWORD)(offset_bytes >> 32),
    };
}

static DWORD part_of(size_t size)
{
    return size < LONGEST_TRANSFER_BYTES ? (DWORD)size : LONGEST_TRANSFER_BYTES;
}

/* Unlike POSIX's these two move the file's own place, which nobody uses. */
ssize_t windows_pread(int file, void *bytes, size_t size, int64_t offset_bytes)
{
    OVERLAPPED place = place_of(offset_bytes);
    DWORD moved = 0;
    if (ReadFile((HANDLE)_get_osfhandle(file), bytes, part_of(size), &moved, &place) ||
        GetLastError() == ERROR_HANDLE_EOF)
        return (ssize_t)moved;
    errno = EIO;
    return -1;
}

ssize_t windows_pwrite(int file, const void *bytes, size_t size, int64_t offset_bytes)
{
    OVERLAPPED place = place_of(offset_bytes);
    DWORD moved = 0;
    if (WriteFile((HANDLE)_get_osfhandle(file), bytes, part_of(size), &moved, &place))
        return (ssize_t)moved;
    errno = EIO;
    return -1;
}

/* The first piece that has bytes: a caller goes on after a part. */
static const struct iovec *first_piece(const struct iovec *pieces, int count)
{
    while (count > 1 && pieces->iov_len == 0) {
        pieces++;
        count--;
    }
    return pieces;
}

ssize_t windows_preadv(int file, const struct iovec *pieces, int count, int64_t offset_bytes)
{
    const struct iovec *piece = first_piece(pieces, count);
    return windows_pread(file, piece->iov_base, piece->iov_len, offset_bytes);
}

ssize_t windows_pwritev(int file, const struct iovec *pieces, int count, int64_t offset_bytes)
{
    const struct iovec *piece = first_piece(pieces, count);
    return windows_pwrite(file, piece->iov_base, piece->iov_len, offset_bytes);
}

/* --- clocks --- */

int windows_condattr_setclock(pthread_condattr_t *attributes, clockid_t clock)
{
    (void)attributes;
    (void)clock;
    return 0;
}

static int64_t clock_of(clockid_t which)
{
    struct timespec now;
    (void)clock_gettime(which, &now);
    return (int64_t)now.tv_sec * NANOSECONDS_OF_SECOND + now.tv_nsec;
}

/* Conditions wait by the real-time clock: if it jumps meanwhile, the wait ends early or late. */
int windows_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *lock,
                           const struct timespec *deadline)
{
    int64_t until = (int64_t)deadline->tv_sec * NANOSECONDS_OF_SECOND + deadline->tv_nsec;
    int64_t real = until - clock_of(CLOCK_MONOTONIC) + clock_of(CLOCK_REALTIME);
    const struct timespec at = {
        .tv_sec = (time_t)(real / NANOSECONDS_OF_SECOND),
        .tv_nsec = (long)(real % NANOSECONDS_OF_SECOND),
    };
    return pthread_cond_timedwait(condition, lock, &at);
}
#endif
