/*
 * NtLockVirtualMemory and NtUnlockVirtualMemory.
 *
 *   lock     touch every page --> (W): all still valid? --> quota --> set the bits of all
 *                 ^                      | no
 *                 +----------------------+
 *   unlock   (W): all locked? --> clear the bits of all;   no: what has no lock leaves the set
 *
 * A lock is a bit of a valid entry, so it needs no memory, and a page has each of the two locks or
 * has it not: they do not nest. Touching is a read, so it marks no write watch. The quota is the
 * working set's minimum less the pages that a thread needs to get on; it is asked first of the
 * range alone, so that a range that can never be locked is not touched.
 *
 * Source: nt_semantics 3.5; NtLockVirtualMemory as observed.
 */
#include "base/bits.h"
#include "services/capture.h"
#include "services/privilege.h"
#include "services/touch.h"
#include "space/borrowed.h"
#include "space/table.h"
#include "space/wsl.h"

#include <ntmm/memory.h>

/* Pages of the minimum that cannot be locked; NT's number. */
#define FLUID_PAGES 8u
/* Times that pages are brought in again because some of them went before all were there. */
#define ATTEMPTS 64u

struct lock_request {
    ntmm_handle handle;
    struct page_range range;
    uint64_t bits;      /* ENTRY_LOCKED_* that are meant */
    uint32_t privilege; /* HELD_*, or 0 */
};

static ntmm_status capture(ntmm_handle handle, const uint64_t *base, const uint64_t *size,
                           uint32_t map_type, struct lock_request *request)
{
    if (map_type == 0 || map_type & ~(NTMM_MAP_PROCESS | NTMM_MAP_SYSTEM))
        return NTMM_STATUS_INVALID_PARAMETER;
    if (!base || !size)
        return NTMM_STATUS_ACCESS_VIOLATION;
    if (*base > NTMM_HIGHEST_USER_ADDRESS)
        return NTMM_STATUS_INVALID_PARAMETER_2;
    if (*size == 0 || reaches_past(*base, *size, NTMM_HIGHEST_USER_ADDRESS))
        return NTMM_STATUS_INVALID_PARAMETER_3;
    *request = (struct lock_request){
        .handle = handle,
        .range = capture_range(*base, *size),
        .bits = (map_type & NTMM_MAP_PROCESS ? ENTRY_LOCKED_IN_SET : 0) |
                (map_type & NTMM_MAP_SYSTEM ? ENTRY_LOCKED_IN_MEMORY : 0),
        .privilege = map_type & NTMM_MAP_SYSTEM ? HELD_LOCK_MEMORY : 0,
    };
    return NTMM_STATUS_SUCCESS;
}

/* SUCCESS: (W) is held. */
static ntmm_status lock_process(struct call *c, const struct lock_request *request,
                                struct process **process)
{
    return privileged_lock(c, request->handle, NTMM_PROCESS_VM_OPERATION, request->privilege,
                           process);
}

/* Change the lock of a valid entry; a processor may change accessed and dirty at the same time. */
static void set_lock(le64 *entry, uint64_t set, uint64_t clear)
{
    uint64_t raw = load64_relaxed(entry);
    while (!cas64(entry, &raw, (raw & ~clear) | set)) {
    }
}

/* What a range has of locks. */
struct tally {
    uint64_t valid;    /* pages */
    uint64_t unlocked; /* of these, without any lock */
    uint64_t any;      /* of these, with at least one of the locks that are meant */
    uint64_t all;      /* of these, with all of them */
    bool is_borrowed;  /* a page is the embedder's, which is in no working set */
};

/* Large and user physical pages are locked as long as they are there. */
static void visit_locked(struct tally *t, uint64_t pages)
{
    t->valid += pages;
    t->any += pages;
    t->all += pages;
}

/* Look as far as pages are valid; add and remove locks on the way. */
static struct tally visit(struct call *c, struct process *process,
                          const struct lock_request *request, uint64_t set, uint64_t clear)
{
    struct tally t = {0};
    for (uint64_t page = request->range.start; page < request->range.end;) {
        struct table_span span = table_find(c, process, page);
        uint64_t stop = min_u64(span.end, request->range.end);
        if (span.is_large) {
            visit_locked(&t, stop - page);
            page = stop;
        }
        for (le64 *entry = span.entry; page < stop; page++, entry++) {
            uint64_t raw = entry ? load64_relaxed(entry) : 0;
            t.is_borrowed = entry_is_borrowed(raw);
            if (!(raw & FIELD_MASK(HW_VALID)) || t.is_borrowed)
                return t;
            if (raw & ENTRY_NOT_IN_SET) {
                visit_locked(&t, 1);
                continue;
            }
            t.valid++;
            t.unlocked += (raw & ENTRY_LOCKED) == 0;
            t.any += (raw & request->bits) != 0;
            t.all += (raw & request->bits) == request->bits;
            if (set | clear)
                set_lock(entry, set, clear);
        }
    }
    return t;
}

static uint64_t pages_of(const struct lock_request *request)
{
    return request->range.end - request->range.start;
}

static bool is_within_quota(const struct process *process, uint64_t pages)
{
    uint64_t minimum = get64(&process->working_set_minimum);
    return minimum >= FLUID_PAGES && pages <= minimum - FLUID_PAGES;
}

/* PENDING: a page has gone again. (W) is held. */
static ntmm_status lock_valid(struct call *c, struct process *process,
                              const struct lock_request *request)
{
    struct tally t = visit(c, process, request, 0, 0);
    uint64_t locked = get64(&process->locked_pages);
    if (t.is_borrowed)
        return NTMM_STATUS_INCOMPATIBLE_FILE_MAP;
    if (t.valid != pages_of(request))
        return NTMM_STATUS_PENDING;
    if (t.unlocked && !is_within_quota(process, locked + t.unlocked))
        return NTMM_STATUS_WORKING_SET_QUOTA;
    (void)visit(c, process, request, request->bits, 0);
    set64(&process->locked_pages, locked + t.unlocked);
    return t.any ? NTMM_STATUS_WAS_LOCKED : NTMM_STATUS_SUCCESS;
}

static ntmm_status lock_range(struct call *c, const struct lock_request *request)
{
    const struct touch touch = {.handle = request->handle,
                                .rights = NTMM_PROCESS_VM_OPERATION,
                                .access = TOUCH_READ,
                                .address = request->range.start << NTMM_PAGE_SHIFT};
    struct process *process;
    ntmm_status status = lock_process(c, request, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    bool can_be = is_within_quota(process, pages_of(request));
    process_unlock_working_set(c, process);
    if (!can_be)
        return NTMM_STATUS_WORKING_SET_QUOTA;
    for (uint32_t i = 0; i < ATTEMPTS; i++) {
        status = touch_range(c, &touch, pages_of(request) << NTMM_PAGE_SHIFT);
        if (status == NTMM_STATUS_SUCCESS)
            status = lock_process(c, request, &process);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        status = lock_valid(c, process, request);
        process_unlock_working_set(c, process);
        if (status != NTMM_STATUS_PENDING)
            return status;
    }
    return NTMM_STATUS_NO_MEMORY;
}

/* (W) is held. */
static ntmm_status unlock_locked(struct call *c, struct process *process,
                                 const struct lock_request *request)
{
    if (visit(c, process, request, 0, 0).all != pages_of(request))
        return NTMM_STATUS_NOT_LOCKED;
    (void)visit(c, process, request, 0, request->bits);
    uint64_t unlocked = visit(c, process, request, 0, 0).unlocked;
    process_subtract(&process->locked_pages, unlocked);
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status unlock_range(struct call *c, const struct lock_request *request)
{
    struct process *process;
    ntmm_status status = lock_process(c, request, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status = unlock_locked(c, process, request);
    uint64_t page = request->range.start;
    bool has_more = status == NTMM_STATUS_NOT_LOCKED;
    for (;;) {
        if (has_more)
            has_more = wsl_trim_range(c, process, &page, request->range.end, 0);
        process_unlock_working_set(c, process);
        if (!has_more || lock_process(c, request, &process) != NTMM_STATUS_SUCCESS)
            return status;
    }
}

ntmm_status ntmm_lock_virtual_memory(struct ntmm_system *system, ntmm_handle handle, uint64_t *base,
                                     uint64_t *size, uint32_t map_type)
{
    struct call c = call_begin_to_wait(system);
    struct lock_request request;
    ntmm_status status = capture(handle, base, size, map_type, &request);
    if (status == NTMM_STATUS_SUCCESS)
        status = lock_range(&c, &request);
    if (NTMM_SUCCEEDED(status))
        give_range(request.range, base, size);
    return status;
}

ntmm_status ntmm_unlock_virtual_memory(struct ntmm_system *system, ntmm_handle handle,
                                       uint64_t *base, uint64_t *size, uint32_t map_type)
{
    struct call c = call_begin(system);
    struct lock_request request;
    ntmm_status status = capture(handle, base, size, map_type, &request);
    if (status == NTMM_STATUS_SUCCESS)
        status = unlock_range(&c, &request);
    if (NTMM_SUCCEEDED(status))
        give_range(request.range, base, size);
    return status;
}
