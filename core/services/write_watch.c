/*
 * NtGetWriteWatch and NtResetWriteWatch, and the marks as a bitmap.
 *
 * Nothing of these can lack anything, so there is no shortage to relieve: marks exist already, and
 * a page that is not in memory is clean as it is.
 */
#include "services/capture.h"
#include "space/watch.h"

#include <ntmm/write_watch.h>

static ntmm_status check_range(uint64_t base, uint64_t size)
{
    if (base > NTMM_HIGHEST_USER_ADDRESS)
        return NTMM_STATUS_INVALID_PARAMETER_1;
    if (size == 0 || reaches_past(base, size, NTMM_HIGHEST_USER_ADDRESS))
        return NTMM_STATUS_INVALID_PARAMETER_3;
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status check_flags(uint32_t flags, uint64_t base, uint64_t size)
{
    if (flags & ~NTMM_WRITE_WATCH_FLAG_RESET)
        return NTMM_STATUS_INVALID_PARAMETER_2;
    return check_range(base, size);
}

/* The process, with (W) taken, and in whose watched region the range lies. */
static ntmm_status lock_watched(struct call *c, ntmm_handle handle, struct page_range range,
                                struct process **process)
{
    ntmm_status status = process_lock_working_set(c, handle, NTMM_PROCESS_VM_OPERATION, process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    const struct vad *vad = vad_find(c, *process, range.start);
    if (!vad || !vad_is_watched(vad))
        status = NTMM_STATUS_INVALID_PARAMETER_1;
    else if (range.end > vad_end(vad))
        status = NTMM_STATUS_INVALID_PARAMETER_3;
    if (status != NTMM_STATUS_SUCCESS)
        process_unlock_working_set(c, *process);
    return status;
}

static void reset(struct call *c, struct process *process, struct page_range range)
{
    struct gather g;
    gather_begin(&g, process, NTMM_SHOOTDOWN_PROTECT);
    watch_reset(c, process, range.start, range.end, &g);
    gather_finish(c, process, &g);
}

ntmm_status ntmm_get_write_watch(struct ntmm_system *system, ntmm_handle handle, uint32_t flags,
                                 uint64_t base, uint64_t size, uint64_t *addresses, uint64_t *count,
                                 uint32_t *granularity)
{
    struct call c = call_begin(system);
    struct process *process;
    ntmm_status status = check_flags(flags, base, size);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (!addresses || !count || !granularity)
        return NTMM_STATUS_ACCESS_VIOLATION;
    if (*count == 0)
        return NTMM_STATUS_INVALID_PARAMETER_5;
    struct page_range range = capture_range(base, size);
    status = lock_watched(&c, handle, range, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    uint64_t found = 0;
    uint64_t next = range.start;
    while (found < *count && (next = watch_next(&c, process, next, range.end)) < range.end)
        addresses[found++] = next++ << NTMM_PAGE_SHIFT;
    if (found && flags & NTMM_WRITE_WATCH_FLAG_RESET)
        reset(&c, process, (struct page_range){.start = range.start, .end = next});
    process_unlock_working_set(&c, process);
    *count = found;
    *granularity = NTMM_PAGE_SIZE;
    return NTMM_STATUS_SUCCESS;
}

/* Returns the marked pages of the range. */
static uint64_t fill_bitmap(struct call *c, const struct process *process, struct page_range range,
                            uint64_t *bitmap)
{
    uint64_t found = 0;
    __builtin_memset(bitmap, 0, (size_t)((range.end - range.start + 63) / 64 * sizeof *bitmap));
    for (uint64_t page = range.start;; page++) {
        page = watch_next(c, process, page, range.end);
        if (page == range.end)
            return found;
        uint64_t i = page - range.start;
        bitmap[i / 64] |= 1ull << i % 64;
        found++;
    }
}

ntmm_status ntmm_get_write_watch_bitmap(struct ntmm_system *system, ntmm_handle handle,
                                        uint32_t flags, uint64_t base, uint64_t size,
                                        uint64_t *bitmap, uint64_t words, uint64_t *count)
{
    struct call c = call_begin(system);
    struct process *process;
    ntmm_status status = check_flags(flags, base, size);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    struct page_range range = capture_range(base, size);
    if (!bitmap)
        return NTMM_STATUS_ACCESS_VIOLATION;
    if (words < (range.end - range.start + 63) / 64)
        return NTMM_STATUS_BUFFER_TOO_SMALL;
    status = lock_watched(&c, handle, range, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    uint64_t found = fill_bitmap(&c, process, range, bitmap);
    if (found && flags & NTMM_WRITE_WATCH_FLAG_RESET)
        reset(&c, process, range);
    process_unlock_working_set(&c, process);
    if (count)
        *count = found;
    return NTMM_STATUS_SUCCESS;
}

ntmm_status ntmm_reset_write_watch(struct ntmm_system *system, ntmm_handle handle, uint64_t base,
                                   uint64_t size)
{
    struct call c = call_begin(system);
    struct process *process;
    ntmm_status status = check_range(base, size);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    struct page_range range = capture_range(base, size);
    status = lock_watched(&c, handle, range, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    reset(&c, process, range);
    process_unlock_working_set(&c, process);
    return NTMM_STATUS_SUCCESS;
}
