/*
 * Bytes of host files. See file_bytes.h.
 */
#define _GNU_SOURCE 1
#define _FILE_OFFSET_BITS 64
#include "platform/emulated/file_bytes.h"
#include "platform/emulated/host.h"

#include <ntmm/types.h>

#include <string.h>

bool file_write_all(int file, const void *bytes, size_t size, uint64_t offset)
{
    for (size_t done = 0; done < size;) {
        ssize_t part =
            pwrite(file, (const uint8_t *)bytes + done, size - done, (off_t)(offset + done));
        if (part < 0 && errno == EINTR)
            continue;
        if (part <= 0)
            return false;
        done += (size_t)part;
    }
    return true;
}

bool file_read_all(int file, void *bytes, size_t size, uint64_t offset)
{
    for (size_t done = 0; done < size;) {
        ssize_t part = pread(file, (uint8_t *)bytes + done, size - done, (off_t)(offset + done));
        if (part < 0 && errno == EINTR)
            continue;
        if (part <= 0)
            return false;
        done += (size_t)part;
    }
    return true;
}

static bool is_page_zero(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, NTMM_PAGE_SIZE - 1) == 0;
}

bool file_write_pages(int file, const uint8_t *bytes, size_t size, uint64_t offset)
{
    for (size_t at = 0; at < size; at += NTMM_PAGE_SIZE) {
        if (!is_page_zero(bytes + at) &&
            !file_write_all(file, bytes + at, NTMM_PAGE_SIZE, offset + at))
            return false;
    }
    return true;
}
