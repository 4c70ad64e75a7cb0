/*
 * What POSIX has and Windows has not, as much as the emulated platform calls; host.h includes it.
 *
 * Memory: mmap gives private zeroed memory and nothing else, munmap frees what one mmap gave. There
 * are neither mapped files nor memory files, so that snapshots keep copies and compare.
 * Files: offsets have 64 bits, there is no text mode, and a file is all data, without holes.
 * Conditions: deadlines are of the monotonic clock, whatever clock was set.
 */
#ifndef NTMM_EMULATED_WINDOWS_POSIX_H
#define NTMM_EMULATED_WINDOWS_POSIX_H

#if defined(_WIN32)
#include <io.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define PROT_NONE 0
#define PROT_READ 1
#define PROT_WRITE 2
#define MAP_SHARED 1
#define MAP_PRIVATE 2
#define MAP_FIXED 16
#define MAP_ANONYMOUS 32
#define MAP_NORESERVE 64
#define MAP_FAILED ((void *)-1)
#define MADV_DONTNEED 4
#define MADV_HUGEPAGE 14
#define MFD_CLOEXEC 1u
#define O_CLOEXEC O_NOINHERIT
#define O_NONBLOCK 0
#define O_NOCTTY 0
#define SEEK_DATA 3
#define SEEK_HOLE 4
#define _SC_PAGESIZE 30
#define _IOWR(kind, number, type) 0u

struct iovec {
    void *iov_base;
    size_t iov_len;
};

void *windows_mmap(void *at, size_t size, int protection, int flags, int file, int64_t offset);
int windows_munmap(void *at, size_t size);
int windows_mprotect(void *at, size_t size, int protection);
int windows_madvise(void *at, size_t size, int advice);
int windows_memfd_create(const char *name, unsigned flags);
int windows_ioctl(int file, unsigned request, void *argument);
long windows_sysconf(int name);
int windows_open(const char *path, int flags, ...);
int64_t windows_lseek(int file, int64_t offset_bytes, int whence);
ssize_t windows_pread(int file, void *bytes, size_t size, int64_t offset_bytes);
ssize_t windows_pwrite(int file, const void *bytes, size_t size, int64_t offset_bytes);
ssize_t windows_preadv(int file, const struct iovec *pieces, int count, int64_t offset_bytes);
ssize_t windows_pwritev(int file, const struct iovec *pieces, int count, int64_t offset_bytes);
int windows_condattr_setclock(pthread_condattr_t *attributes, clockid_t clock);
int windows_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *lock,
                           const struct timespec *deadline);

#undef lseek /* one of 32 bits */
#define mmap windows_mmap
#define munmap windows_munmap
#define mprotect windows_mprotect
#define madvise windows_madvise
#define memfd_create windows_memfd_create
#define ioctl windows_ioctl
#define sysconf windows_sysconf
#define open windows_open
#define lseek windows_lseek
#define pread windows_pread
#define pwrite windows_pwrite
#define preadv windows_preadv
#define pwritev windows_pwritev
#define fdatasync _commit
#define pthread_condattr_setclock windows_condattr_setclock
#define pthread_cond_timedwait windows_cond_timedwait
#endif

#endif
