/*
 * A host with pages of 64 KiB, whatever this one's are: linked with --wrap of the calls below,
 * a program is told that size, gets memory only in whole such pages, and is refused, as Linux
 * would refuse it, what does not begin at one. A length counts up to the end of its last page: who
 * protects 4 KiB protects 64.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE ((size_t)64 << 10)

long __real_sysconf(int name);
void *__real_mmap(void *at, size_t size, int protection, int flags, int file, off64_t offset);
int __real_munmap(void *at, size_t size);
int __real_mprotect(void *at, size_t size, int protection);
int __real_madvise(void *at, size_t size, int advice);

long __wrap_sysconf(int name);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int file, off64_t offset);
void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int file, off64_t offset);
int __wrap_munmap(void *at, size_t size);
int __wrap_mprotect(void *at, size_t size, int protection);
int __wrap_madvise(void *at, size_t size, int advice);

static size_t whole(size_t size) { return (size + PAGE - 1) & ~(PAGE - 1); }

static bool is_refused(const void *at, uint64_t offset)
{
    if ((uintptr_t)at % PAGE == 0 && offset % PAGE == 0)
        return false;
    errno = EINVAL;
    return true;
}

long __wrap_sysconf(int name) { return name == _SC_PAGESIZE ? (long)PAGE : __real_sysconf(name); }

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int file, off64_t offset)
{
    if (is_refused((flags & MAP_FIXED) != 0 ? at : NULL, (uint64_t)offset) || size == 0)
        return MAP_FAILED;
    size = whole(size);
    if (flags & MAP_FIXED)
        return __real_mmap(at, size, protection, flags, file, offset);
    uint8_t *room = __real_mmap(NULL, size + PAGE, PROT_NONE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        return MAP_FAILED;
    size_t before = -(uintptr_t)room % PAGE;
    if (before != 0)
        (void)__real_munmap(room, before);
    if (before != PAGE)
        (void)__real_munmap(room + before + size, PAGE - before);
    return __real_mmap(room + before, size, protection, flags | MAP_FIXED, file, offset);
}

void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int file, off64_t offset)
{
    return __wrap_mmap(at, size, protection, flags, file, offset);
}

int __wrap_munmap(void *at, size_t size)
{
    return is_refused(at, 0) ? -1 : __real_munmap(at, whole(size));
}

int __wrap_mprotect(void *at, size_t size, int protection)
{
    return is_refused(at, 0) ? -1 : __real_mprotect(at, whole(size), protection);
}

int __wrap_madvise(void *at, size_t size, int advice)
{
    return is_refused(at, 0) ? -1 : __real_madvise(at, whole(size), advice);
}
