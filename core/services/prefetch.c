/*
 * NtSetInformationVirtualMemory: prefetch, page priority, removal from the working set, call
 * targets.
 *
 *   prefetch   | in memory | out out out | missing | table out |
 *                 passed     one read      passed    brought in
 *
 * Prefetch reads what lies in page files and in files of views into frames on standby, a cluster of
 * up to 1 MiB a transfer, and adds nothing to the working set (prefetch_pages.c). It is a wish: it
 * reads at most what was available when it began, ends where frames do, and takes none from a
 * working set. All but the call targets are best effort: what is not there is passed over.
 *
 * Source: nt_semantics 3.7.
 */
#include "services/prefetch.h"
#include "base/bits.h"
#include "paging/transfers.h"
#include "services/call_targets.h"
#include "services/capture.h"
#include "services/relief.h"
#include "services/touch.h"
#include "space/borrowed.h"
#include "space/private.h"
#include "space/protection.h"
#include "space/wsl.h"

#include <ntmm/memory.h>

/* Build from which a prefetch may go into the working set: Windows 11 24H2. */
#define BUILD_PREFETCH_INTO_SET 26100u
#define PRIORITY_MAXIMUM 5u

/* What is done to each range. */
struct job {
    ntmm_handle handle;
    uint32_t class;  /* enum ntmm_virtual_memory_information_class */
    uint32_t value;  /* flags, or a priority */
    uint64_t budget; /* pages that a prefetch may still read */
    struct relief relief;
};

/* --- prefetch --- */

/* Do what c->want says, for a prefetch. False: it is not worth it. */
static bool relieve_prefetch(struct call *c, struct job *job, struct process *process)
{
    ntmm_status status = NTMM_STATUS_SUCCESS;
    if (c->want.kind == WANT_TABLE)
        return relieve(c, &job->relief, process, &status);
    if (c->want.kind != WANT_BLOCK)
        return c->want.kind == WANT_NOTHING;
    bool is_free = !wait_begin(c, relief_wait(&job->relief)) ||
                   wait_block(c, relief_wait(&job->relief), &job->relief.deadline);
    wait_end(c, relief_wait(&job->relief));
    return is_free;
}

static ntmm_status prefetch_piece(struct call *c, struct job *job, uint64_t *page, uint64_t end)
{
    struct process *process;
    c->want = (struct want){.kind = WANT_NOTHING};
    ntmm_status status =
        process_lock_working_set(c, job->handle, NTMM_PROCESS_SET_INFORMATION, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    struct transfer_block *block = prefetch_begin_read(c, process, page, end);
    process_unlock_working_set(c, process);
    if (block) {
        job->budget -= min_u64(job->budget, block->io.span_count);
        block_submit(c, block);
        block_leave(c, block);
    }
    if (job->budget == 0 || (!block && !relieve_prefetch(c, job, process)))
        *page = end;
    c->want = (struct want){.kind = WANT_NOTHING};
    return status;
}

/* Into the working set. */
static ntmm_status touch_piece(struct call *c, const struct job *job, uint64_t *page, uint64_t end)
{
    struct touch touch = {
        .handle = job->handle, .rights = NTMM_PROCESS_SET_INFORMATION, .access = TOUCH_READ};
    struct process *process;
    uint64_t frame;
    ntmm_status status =
        process_lock_working_set(c, job->handle, NTMM_PROCESS_SET_INFORMATION, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    bool is_found = prefetch_find_waiting(c, process, page, end);
    process_unlock_working_set(c, process);
    touch.address = (*page - 1) << NTMM_PAGE_SHIFT;
    if (is_found && touch_page(c, &touch, &process, &frame) == NTMM_STATUS_SUCCESS)
        process_unlock_working_set(c, process);
    return status;
}

/* --- priority, removal --- */

static void set_priority(struct call *c, const le64 *entry, uint32_t priority)
{
    uint64_t raw = load64_relaxed(entry);
    uint64_t frame = FRAME_NONE;
    if ((raw & FIELD_MASK(HW_VALID)) && !entry_is_borrowed(raw)) {
        frame = field_get(raw, HW_FRAME);
        frame_lock(c, frame);
    } else {
        frame = entry_lock_transition(c, entry);
    }
    if (frame == FRAME_NONE)
        return;
    frame_set_priority(c, frame, priority);
    frame_unlock(c, frame);
}

/* (W) is held. */
static void set_priorities(struct call *c, struct process *process, uint64_t *page, uint64_t end,
                           uint32_t priority)
{
    for (uint32_t spans = 0; *page < end && spans < PREFETCH_SPANS; spans++) {
        struct table_span span = table_find(c, process, *page);
        uint64_t stop = min_u64(span.end, end);
        bool is_full = span.entry != NULL;
        for (le64 *entry = span.entry; entry && *page < stop; ++*page, entry++)
            set_priority(c, entry, priority);
        *page = stop;
        if (is_full)
            return;
    }
}

static ntmm_status change_piece(struct call *c, const struct job *job, uint64_t *page, uint64_t end)
{
    struct process *process;
    ntmm_status status =
        process_lock_working_set(c, job->handle, NTMM_PROCESS_SET_INFORMATION, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    bool is_forced = (job->value & NTMM_REMOVE_FORCE_TRIM) != 0;
    if (job->class == NTMM_VM_PAGE_PRIORITY_INFORMATION)
        set_priorities(c, process, page, end, job->value);
    else
        (void)wsl_trim_range(c, process, page, end, is_forced ? 0 : 1);
    process_unlock_working_set(c, process);
    return status;
}

static ntmm_status run_piece(struct call *c, struct job *job, uint64_t *page, uint64_t end)
{
    return job->class == NTMM_VM_PREFETCH_INFORMATION ? prefetch_piece(c, job, page, end)
                                                      : change_piece(c, job, page, end);
}

/* The pages of a range that are a user's; none when it lies outside. */
static struct page_range pages_of(const struct ntmm_memory_range_entry *range)
{
    uint64_t base = range->virtual_address;
    if (base > NTMM_HIGHEST_USER_ADDRESS)
        return (struct page_range){.start = 0, .end = 0};
    uint64_t size = min_u64(range->number_of_bytes, NTMM_HIGHEST_USER_ADDRESS - base + 1);
    return capture_range(base, size);
}

/* A handle that does not do is found before anything is done, and without any page to do it to. */
static ntmm_status run_ranges(struct call *c, struct job *job,
                              const struct ntmm_memory_range_entry *ranges, uint64_t count)
{
    struct process *process;
    ntmm_status status =
        process_lock_working_set(c, job->handle, NTMM_PROCESS_SET_INFORMATION, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    process_unlock_working_set(c, process);
    for (uint64_t i = 0; i < count && status == NTMM_STATUS_SUCCESS; i++) {
        struct page_range range = pages_of(&ranges[i]);
        for (uint64_t page = range.start; page < range.end && status == NTMM_STATUS_SUCCESS;)
            status = run_piece(c, job, &page, range.end);
        bool is_for_set = job->class == NTMM_VM_PREFETCH_INFORMATION && job->value != 0;
        for (uint64_t page = is_for_set ? range.start : range.end;
             page < range.end && status == NTMM_STATUS_SUCCESS;)
            status = touch_piece(c, job, &page, range.end);
    }
    return status;
}

/* --- the service --- */

static uint32_t length_of(uint32_t class)
{
    return class == NTMM_VM_CFG_CALL_TARGET_INFORMATION ? sizeof(struct ntmm_cfg_call_target_list)
                                                        : sizeof(uint32_t);
}

static bool is_class(uint32_t class)
{
    return class == NTMM_VM_PREFETCH_INFORMATION || class == NTMM_VM_PAGE_PRIORITY_INFORMATION ||
           class == NTMM_VM_CFG_CALL_TARGET_INFORMATION ||
           class == NTMM_VM_REMOVE_FROM_WORKING_SET_INFORMATION;
}

static ntmm_status check_ranges(uint64_t count, const struct ntmm_memory_range_entry *ranges)
{
    if (count == 0)
        return NTMM_STATUS_INVALID_PARAMETER_3;
    if (!ranges)
        return NTMM_STATUS_ACCESS_VIOLATION;
    for (uint64_t i = 0; i < count; i++) {
        if (ranges[i].number_of_bytes == 0)
            return NTMM_STATUS_INVALID_PARAMETER_4;
    }
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status check_value(const struct call *c, uint32_t class, uint32_t value)
{
    uint32_t build = get32(&anchor_of(c)->windows_build);
    uint32_t most = class == NTMM_VM_PAGE_PRIORITY_INFORMATION             ? PRIORITY_MAXIMUM
                    : class == NTMM_VM_REMOVE_FROM_WORKING_SET_INFORMATION ? NTMM_REMOVE_FORCE_TRIM
                    : build >= BUILD_PREFETCH_INTO_SET ? NTMM_PREFETCH_TO_WORKING_SET
                                                       : 0;
    return value <= most ? NTMM_STATUS_SUCCESS : NTMM_STATUS_INVALID_PARAMETER_5;
}

ntmm_status ntmm_set_information_virtual_memory(struct ntmm_system *system, ntmm_handle handle,
                                                uint32_t class, uint64_t count,
                                                const struct ntmm_memory_range_entry *ranges,
                                                void *information, uint32_t length)
{
    struct call c = call_begin_to_wait(system);
    struct job job = {.handle = handle, .class = class, .relief = relief_begin()};
    if (!is_class(class))
        return NTMM_STATUS_INVALID_PARAMETER_2;
    if (!information)
        return NTMM_STATUS_INVALID_PARAMETER_5;
    if (length != length_of(class))
        return NTMM_STATUS_INVALID_PARAMETER_6;
    ntmm_status status = check_ranges(count, ranges);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (class == NTMM_VM_CFG_CALL_TARGET_INFORMATION) {
        struct ntmm_cfg_call_target_list *list = information;
        if (count != 1)
            return NTMM_STATUS_INVALID_PARAMETER_3;
        if (!list->processed || (list->count && !list->targets))
            return NTMM_STATUS_ACCESS_VIOLATION;
        return call_targets_set(&c, handle, pages_of(ranges), ranges, list);
    }
    __builtin_memcpy(&job.value, information, sizeof job.value);
    job.budget = frames_available(&c);
    status = check_value(&c, class, job.value);
    return status == NTMM_STATUS_SUCCESS ? run_ranges(&c, &job, ranges, count) : status;
}
