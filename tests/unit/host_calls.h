/*
 * Calls of the host, which a test can make fail.
 *
 * A program that includes this header is linked so that what the library calls of the host leads
 * through host_calls.c (tests/CMakeLists.txt): the library knows nothing of it, and what is not
 * made to fail is done. What it holds of the host is counted, so that a test sees what is left.
 */
#ifndef NTMM_TEST_HOST_CALLS_H
#define NTMM_TEST_HOST_CALLS_H

#include <stdint.h>

#include <ntmm/types.h>

enum {
    HOST_HEAP = 1,     /* malloc, calloc, realloc */
    HOST_MAP = 2,      /* mmap, madvise, memfd_create */
    HOST_OPEN = 4,     /* open, stat, fstat */
    HOST_SIZE = 8,     /* ftruncate, lseek */
    HOST_READ = 16,    /* pread, preadv */
    HOST_WRITE = 32,   /* pwrite, pwritev, fdatasync */
    HOST_CLOSE = 64,   /* close, which closes and reports an error */
    HOST_THREAD = 128, /* what makes locks, keys and contexts */
    HOST_SCAN = 256,   /* ioctl: the pages that were written */
    HOST_PAGE = 512,   /* sysconf: pages of another size */
    HOST_ALL = 1023,
};

/* Of the calls of these kinds from now on, `after` succeed and then `count` fail with an error. */
void host_fail(uint32_t kinds, uint64_t after, uint64_t count, int error);

/* No more failures; how many there were. */
uint64_t host_end_failures(void);

/* Reads and writes move at most so many bytes at a time; 0: as many as there are. */
void host_limit_transfers(uint64_t size_bytes);

struct host_holdings {
    int64_t blocks; /* of the heap */
    int64_t mapped_bytes;
    int64_t files;
};

/* What the program has of the host through these calls. */
struct host_holdings host_held(void);

/* Something that needs the host, and what must hold whichever of its calls failed. */
struct host_scenario {
    void (*prepare)(void); /* or NULL */
    ntmm_status (*act)(void);
    void (*check)(ntmm_status status);
    void (*end)(void); /* or NULL: gives everything back */
};

/*
 * Run a scenario with its 1st, 2nd, 3rd ... call of these kinds failing, `count` in a row, until
 * none fails: then it must succeed. Expects that each round gives back what it took. How many
 * rounds failed in a call.
 */
uint32_t host_sweep(const struct host_scenario *scenario, uint32_t kinds, uint64_t count,
                    int error);

/* One call alone, and all from there on: there is no memory, or the device does not answer. */
void host_sweep_both(const struct host_scenario *scenario, uint32_t kinds, int error);

#endif
