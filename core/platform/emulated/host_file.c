/*
 * Opening host files. See host_file.h.
 *
 * Only regular files have pages at offsets. What is none is told before it is opened: to open a
 * pipe would let its writer go on, to open a tape would move it. O_NONBLOCK is for what takes the
 * file's place in between; regular files do not know it.
 */
#define _GNU_SOURCE 1
#define _FILE_OFFSET_BITS 64
#include "platform/emulated/host_file.h"
#include "platform/emulated/host.h"

#include <ntmm/emulated.h>
#include <ntmm/status.h>

static ntmm_status status_of(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
        return NTMM_STATUS_OBJECT_NAME_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
    case ETXTBSY:
        return NTMM_STATUS_ACCESS_DENIED;
    case EISDIR:
    case ENXIO:
        return NTMM_STATUS_INVALID_FILE_FOR_SECTION;
    default:
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    }
}

/* The size, if it is a regular file. */
static ntmm_status measure(int file, uint64_t *size_bytes)
{
    struct stat information;
    if (fstat(file, &information) != 0)
        return status_of(errno);
    if (!S_ISREG(information.st_mode))
        return NTMM_STATUS_INVALID_FILE_FOR_SECTION;
    *size_bytes = (uint64_t)information.st_size;
    return NTMM_STATUS_SUCCESS;
}

ntmm_status host_file_open(const char *path, uint32_t flags, int *file, uint64_t *size_bytes)
{
    struct stat information;
    int how = O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    how |= flags & NTMM_EMULATED_FILE_READ_ONLY ? O_RDONLY : O_RDWR;
    how |= flags & NTMM_EMULATED_FILE_CREATE ? O_CREAT : 0;
    *file = -1;
    if (stat(path, &information) == 0 && !S_ISREG(information.st_mode))
        return NTMM_STATUS_INVALID_FILE_FOR_SECTION;
    int opened = open(path, how, 0666);
    if (opened < 0)
        return status_of(errno);
    ntmm_status status = measure(opened, size_bytes);
    if (status == NTMM_STATUS_SUCCESS)
        *file = opened;
    else
        (void)close(opened);
    return status;
}

NTMM_API ntmm_status ntmm_emulated_query_host_file(const char *path, uint64_t *size_bytes)
{
    int file;
    uint64_t size;
    ntmm_status status = host_file_open(path, NTMM_EMULATED_FILE_READ_ONLY, &file, &size);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    (void)close(file);
    if (size_bytes != NULL)
        *size_bytes = size;
    return NTMM_STATUS_SUCCESS;
}
