/*
 * See tests.h.
 */
#include "tests.h"

#include <direct.h>
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>

#undef free

#define ALIGNED_MAXIMUM 64u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *aligned[ALIGNED_MAXIMUM];

/* Put a block where another one was; false: that is not there. */
static bool replace(const void *old, void *new)
{
    bool is_found = false;
    (void)pthread_mutex_lock(&lock);
    for (size_t i = 0; i < ALIGNED_MAXIMUM && !is_found; i++) {
        is_found = aligned[i] == old;
        if (is_found)
            aligned[i] = new;
    }
    (void)pthread_mutex_unlock(&lock);
    return is_found;
}

void *ported_aligned_alloc(size_t alignment, size_t size)
{
    void *block = _aligned_malloc(size, alignment);
    if (block != NULL && !replace(NULL, block))
        abort();
    return block;
}

void ported_free(void *block)
{
    if (block != NULL && replace(block, NULL))
        _aligned_free(block);
    else
        free(block);
}

char *ported_mkdtemp(char *name)
{
    return _mktemp(name) != NULL && _mkdir(name) == 0 ? name : NULL;
}

int ported_mkstemp(char *name)
{
    return _mktemp(name) != NULL ? open(name, O_RDWR | O_CREAT | O_EXCL, 0600) : -1;
}

ssize_t ported_readlink(const char *path, char *name, size_t size)
{
    (void)path;
    (void)name;
    (void)size;
    errno = ENOSYS;
    return -1;
}

pid_t ported_fork(void)
{
    errno = ENOSYS;
    return -1;
}
