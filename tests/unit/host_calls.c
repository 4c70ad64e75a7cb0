/*
 * The host's calls, counted and made to fail. See host_calls.h.
 */
#define _GNU_SOURCE 1
#include "unit/host_calls.h"

#include <ntmm/status.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include <cmocka.h>

#define ROUNDS_MAXIMUM 2000u

static struct {
    uint32_t kinds;
    uint64_t after;
    uint64_t count;
    int error;
    uint64_t failed;
    uint64_t limit_bytes;
} plan;

static _Atomic(int64_t) blocks, mapped_bytes, files;

void host_fail(uint32_t kinds, uint64_t after, uint64_t count, int error)
{
    plan.kinds = kinds;
    plan.after = after;
    plan.count = count;
    plan.error = error;
    plan.failed = 0;
}

uint64_t host_end_failures(void)
{
    plan.kinds = 0;
    return plan.failed;
}

void host_limit_transfers(uint64_t size_bytes) { plan.limit_bytes = size_bytes; }

struct host_holdings host_held(void) { return (struct host_holdings){blocks, mapped_bytes, files}; }

/* Whether this call fails; errno is set. */
static bool fails(uint32_t kind)
{
    if (!(plan.kinds & kind) || plan.count == 0)
        return false;
    if (plan.after != 0) {
        plan.after--;
        return false;
    }
    plan.count--;
    plan.failed++;
    errno = plan.error;
    return true;
}

static size_t limited(size_t size)
{
    return plan.limit_bytes != 0 && size > plan.limit_bytes ? (size_t)plan.limit_bytes : size;
}

/* The linker gives these names their other ends; nobody else calls them. */
#define WRAPPED(type, name, ...)                                                                   \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

/* --- the heap --- */

WRAPPED(void *, malloc, size_t size)
{
    void *block = fails(HOST_HEAP) ? NULL : __real_malloc(size);
    blocks += block != NULL;
    return block;
}

WRAPPED(void *, calloc, size_t count, size_t size)
{
    void *block = fails(HOST_HEAP) ? NULL : __real_calloc(count, size);
    blocks += block != NULL;
    return block;
}

WRAPPED(void *, realloc, void *old, size_t size)
{
    bool is_new = old == NULL;
    void *block = fails(HOST_HEAP) ? NULL : __real_realloc(old, size);
    blocks += is_new && block != NULL;
    return block;
}

WRAPPED(void, free, void *block)
{
    blocks -= block != NULL;
    __real_free(block);
}

/* --- memory --- */

/* What is mapped over something else is no more than that was. */
static void *note_mapping(void *mapping, size_t size, int flags)
{
    if (mapping != MAP_FAILED && !(flags & MAP_FIXED))
        mapped_bytes += (int64_t)size;
    return mapping;
}

WRAPPED(void *, mmap, void *at, size_t size, int protection, int flags, int file, off_t offset)
{
    void *mapping =
        fails(HOST_MAP) ? MAP_FAILED : __real_mmap(at, size, protection, flags, file, offset);
    return note_mapping(mapping, size, flags);
}

WRAPPED(void *, mmap64, void *at, size_t size, int protection, int flags, int file, off64_t offset)
{
    void *mapping =
        fails(HOST_MAP) ? MAP_FAILED : __real_mmap64(at, size, protection, flags, file, offset);
    return note_mapping(mapping, size, flags);
}

WRAPPED(int, munmap, void *at, size_t size)
{
    mapped_bytes -= (int64_t)size;
    return __real_munmap(at, size);
}

WRAPPED(int, madvise, void *at, size_t size, int advice)
{
    return fails(HOST_MAP) ? -1 : __real_madvise(at, size, advice);
}

WRAPPED(int, memfd_create, const char *name, unsigned flags)
{
    int file = fails(HOST_MAP) ? -1 : __real_memfd_create(name, flags);
    files += file >= 0;
    return file;
}

/* --- files --- */

int __real_open64(const char *path, int flags, mode_t mode);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    if (!(flags & O_CLOEXEC))
        abort(); /* programs that the embedder starts would have the library's files */
    int file = fails(HOST_OPEN) ? -1 : __real_open64(path, flags, mode);
    files += file >= 0;
    return file;
}

WRAPPED(int, close, int file)
{
    files--;
    int status = __real_close(file);
    return fails(HOST_CLOSE) ? -1 : status;
}

WRAPPED(int, stat64, const char *path, struct stat64 *out)
{
    return fails(HOST_OPEN) ? -1 : __real_stat64(path, out);
}

WRAPPED(int, fstat64, int file, struct stat64 *out)
{
    return fails(HOST_OPEN) ? -1 : __real_fstat64(file, out);
}

WRAPPED(int, ftruncate64, int file, off64_t size)
{
    return fails(HOST_SIZE) ? -1 : __real_ftruncate64(file, size);
}

WRAPPED(off64_t, lseek64, int file, off64_t offset, int whence)
{
    return fails(HOST_SIZE) ? -1 : __real_lseek64(file, offset, whence);
}

WRAPPED(ssize_t, pread64, int file, void *bytes, size_t size, off64_t offset)
{
    return fails(HOST_READ) ? -1 : __real_pread64(file, bytes, limited(size), offset);
}

WRAPPED(ssize_t, pwrite64, int file, const void *bytes, size_t size, off64_t offset)
{
    return fails(HOST_WRITE) ? -1 : __real_pwrite64(file, bytes, limited(size), offset);
}

/* A limit leaves a part of the first piece. */
static struct iovec part_of(const struct iovec *pieces)
{
    return (struct iovec){.iov_base = pieces->iov_base, .iov_len = limited(pieces->iov_len)};
}

WRAPPED(ssize_t, preadv64, int file, const struct iovec *pieces, int count, off64_t offset)
{
    const struct iovec part = part_of(pieces);
    bool is_limited = plan.limit_bytes != 0;
    if (fails(HOST_READ))
        return -1;
    return __real_preadv64(file, is_limited ? &part : pieces, is_limited ? 1 : count, offset);
}

WRAPPED(ssize_t, pwritev64, int file, const struct iovec *pieces, int count, off64_t offset)
{
    const struct iovec part = part_of(pieces);
    bool is_limited = plan.limit_bytes != 0;
    if (fails(HOST_WRITE))
        return -1;
    return __real_pwritev64(file, is_limited ? &part : pieces, is_limited ? 1 : count, offset);
}

WRAPPED(int, fdatasync, int file) { return fails(HOST_WRITE) ? -1 : __real_fdatasync(file); }

/* --- threads and contexts --- */

WRAPPED(int, pthread_mutex_init, pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
    return fails(HOST_THREAD) ? plan.error : __real_pthread_mutex_init(mutex, attributes);
}

WRAPPED(int, pthread_condattr_init, pthread_condattr_t *attributes)
{
    return fails(HOST_THREAD) ? plan.error : __real_pthread_condattr_init(attributes);
}

WRAPPED(int, pthread_condattr_setclock, pthread_condattr_t *attributes, clockid_t clock)
{
    return fails(HOST_THREAD) ? plan.error : __real_pthread_condattr_setclock(attributes, clock);
}

WRAPPED(int, pthread_cond_init, pthread_cond_t *condition, const pthread_condattr_t *attributes)
{
    return fails(HOST_THREAD) ? plan.error : __real_pthread_cond_init(condition, attributes);
}

WRAPPED(int, pthread_key_create, pthread_key_t *key, void (*destructor)(void *))
{
    return fails(HOST_THREAD) ? plan.error : __real_pthread_key_create(key, destructor);
}

/* makecontext replaces where the context returns to. */
WRAPPED(int, getcontext, ucontext_t *context)
{
    return fails(HOST_THREAD) ? -1 : __real_getcontext(context);
}

/* --- what the host can --- */

WRAPPED(int, ioctl, int file, unsigned long request, void *argument)
{
    return fails(HOST_SCAN) ? -1 : __real_ioctl(file, request, argument);
}

WRAPPED(long, sysconf, int name) { return fails(HOST_PAGE) ? 16384 : __real_sysconf(name); }

/* --- sweeps --- */

/* Whether a call failed. */
static bool run_round(const struct host_scenario *s, uint32_t kinds, uint64_t after, uint64_t count,
                      int error)
{
    const struct host_holdings before = host_held();
    if (s->prepare != NULL)
        s->prepare();
    host_fail(kinds, after, count, error);
    ntmm_status status = s->act();
    bool has_failed = host_end_failures() != 0;
    if (!has_failed)
        assert_int_equal(status, NTMM_STATUS_SUCCESS);
    s->check(status);
    if (s->end != NULL)
        s->end();
    const struct host_holdings after_it = host_held();
    assert_memory_equal(&after_it, &before, sizeof before);
    return has_failed;
}

uint32_t host_sweep(const struct host_scenario *scenario, uint32_t kinds, uint64_t count, int error)
{
    uint32_t rounds = 0;
    while (run_round(scenario, kinds, rounds, count, error))
        assert_in_range(++rounds, 0, ROUNDS_MAXIMUM);
    return rounds;
}

void host_sweep_both(const struct host_scenario *scenario, uint32_t kinds, int error)
{
    assert_true(host_sweep(scenario, kinds, 1, error) != 0);
    (void)host_sweep(scenario, kinds, UINT64_MAX, error);
}
