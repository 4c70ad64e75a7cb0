/*
 * NtFreeVirtualMemory, with placeholders, and NtProtectVirtualMemory.
 */
#include "base/bits.h"
#include "section/large_area.h"
#include "section/view.h"
#include "services/capture.h"
#include "services/relief.h"
#include "space/awe.h"
#include "space/borrowed.h"
#include "space/call_targets.h"
#include "space/large.h"
#include "space/placeholder.h"
#include "space/protection.h"
#include "space/secure.h"

#include <ntmm/virtual.h>

/* First build whose decommit with size 0 reports size 0: Windows 10 1803. */
#define BUILD_DECOMMIT_SIZE_ZERO 17134u

#define RELEASE_PRESERVING (NTMM_MEM_RELEASE | NTMM_MEM_PRESERVE_PLACEHOLDER)
#define RELEASE_COALESCING (NTMM_MEM_RELEASE | NTMM_MEM_COALESCE_PLACEHOLDERS)

static bool is_for_placeholders(uint32_t type)
{
    return type == RELEASE_PRESERVING || type == RELEASE_COALESCING;
}

/* The region and pages that a free names. What is joined is more than one region. */
static ntmm_status find_free_range(struct call *c, struct process *process, uint32_t type,
                                   uint64_t base, uint64_t size, struct vad **vad,
                                   struct page_range *range)
{
    uint64_t page = base >> NTMM_PAGE_SHIFT;
    *vad = vad_find(c, process, page);
    if (!*vad)
        return NTMM_STATUS_MEMORY_NOT_ALLOCATED;
    if (size == 0) {
        bool is_refused_whole = vad_is_view(*vad) || vad_is_borrowed(*vad);
        if (page != vad_start(*vad) && !is_refused_whole)
            return NTMM_STATUS_FREE_VM_NOT_AT_BASE;
        *range = (struct page_range){.start = vad_start(*vad), .end = vad_end(*vad)};
        return NTMM_STATUS_SUCCESS;
    }
    *range = capture_range(base, size);
    bool is_outside = range->end > vad_end(*vad) && type != RELEASE_COALESCING;
    return is_outside ? NTMM_STATUS_UNABLE_TO_FREE_VM : NTMM_STATUS_SUCCESS;
}

/* Regions whose pages cannot be freed one by one. Source: nt_semantics 3.1; ours where in doubt. */
static ntmm_status free_whole(struct call *c, struct process *process, uint32_t type,
                              struct vad *vad, struct page_range range)
{
    bool is_large = vad_type(vad) == VAD_LARGE_PAGES;
    if (type == NTMM_MEM_DECOMMIT)
        return is_large ? NTMM_STATUS_UNABLE_TO_DECOMMIT_VM : NTMM_STATUS_MEMORY_NOT_ALLOCATED;
    if (is_for_placeholders(type))
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    if (range.start != vad_start(vad))
        return NTMM_STATUS_FREE_VM_NOT_AT_BASE;
    if (range.end != vad_end(vad))
        return NTMM_STATUS_UNABLE_TO_FREE_VM;
    if (is_large)
        large_release(c, process, vad);
    else
        awe_release(c, process, vad);
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status free_pages(struct call *c, struct process *process, uint32_t type, uint64_t base,
                              uint64_t size, struct page_range *range)
{
    struct vad *vad;
    ntmm_status status = find_free_range(c, process, type, base, size, &vad, range);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (!vad_may_change(vad))
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    if (vad_is_borrowed(vad) || vad_is_view(vad))
        return NTMM_STATUS_UNABLE_TO_DELETE_SECTION;
    if (secure_forbids_removal(c, vad, range->start, range->end))
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    if (!vad_is_private(vad))
        return free_whole(c, process, type, vad, *range);
    switch (type) {
    case NTMM_MEM_DECOMMIT:
        return private_decommit(c, process, vad, range->start, range->end);
    case RELEASE_PRESERVING:
        return placeholder_preserve(c, process, vad, range->start, range->end);
    case RELEASE_COALESCING:
        return placeholder_coalesce(c, process, vad, range->start, range->end);
    }
    return private_release(c, process, vad, range->start, range->end);
}

static ntmm_status free_range(struct call *c, struct process *process, uint32_t type, uint64_t base,
                              uint64_t size, struct page_range *range)
{
    if (__builtin_expect(!targets_are_kept(process), 1))
        return free_pages(c, process, type, base, size, range);
    ntmm_status status = free_pages(c, process, type, base, size, range);
    if (status == NTMM_STATUS_SUCCESS)
        targets_clear(c, process, range->start, range->end);
    return status;
}

/* Whether a free needs nothing but the tables of its range, and these only once: what is left
 * behind a hole is counted, and pages of a region committed by default are marked one by one. */
static bool can_go_in_parts(const struct vad *vad, uint32_t type, struct page_range range)
{
    bool has_start = range.start == vad_start(vad);
    bool has_end = range.end == vad_end(vad);
    if (!vad_is_private(vad))
        return false;
    if (type == NTMM_MEM_RELEASE)
        return has_start || has_end;
    return type == NTMM_MEM_DECOMMIT &&
           (!vad_is_committed_by_default(vad) || (has_start && has_end));
}

static void free_in_parts(struct call *c, struct process *process, struct relief *relief,
                          uint32_t type, struct page_range range)
{
    if (!relief_wants_parts(c, relief))
        return;
    struct vad *vad = vad_find(c, process, range.start);
    uint64_t tables = get64(&process->table_pages);
    if (!can_go_in_parts(vad, type, range))
        return;
    private_discard(c, process, vad, range.start, relief_end_of_part(c, relief, range.end));
    if (get64(&process->table_pages) < tables)
        relief_part_is_done(relief);
}

static void note_free(struct call *c, ntmm_handle process, uint32_t type, uint64_t base,
                      uint64_t size)
{
    if (type == NTMM_MEM_DECOMMIT)
        event_note(c, NTMM_EVENT_DECOMMIT, process, base, size, 0);
    else if (type == NTMM_MEM_RELEASE)
        event_note(c, NTMM_EVENT_RELEASE, process, base, size, 0);
}

static inline ntmm_status free_once(struct call *c, ntmm_handle handle, uint32_t type,
                                    uint64_t base, uint64_t size, struct process **process,
                                    struct page_range *range)
{
    ntmm_status status = process_lock_address(c, handle, NTMM_PROCESS_VM_OPERATION, process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status = free_range(c, *process, type, base, size, range);
    process_unlock_address(c, *process);
    return status;
}

/* The first attempt lacked something. */
static __attribute__((noinline)) ntmm_status free_again(struct call *c, ntmm_handle handle,
                                                        uint32_t type, uint64_t base, uint64_t size,
                                                        struct process *process, ntmm_status status,
                                                        struct page_range *range)
{
    struct relief relief = relief_begin();
    while (relieve(c, &relief, process, &status)) {
        status = process_lock_address(c, handle, NTMM_PROCESS_VM_OPERATION, &process);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        status = free_range(c, process, type, base, size, range);
        free_in_parts(c, process, &relief, type, *range);
        process_unlock_address(c, process);
    }
    return status;
}

__attribute__((flatten)) ntmm_status ntmm_free_virtual_memory(struct ntmm_system *system,
                                                              ntmm_handle handle, uint64_t *base,
                                                              uint64_t *size, uint32_t type)
{
    struct call c = call_begin_to_wait(system);
    struct process *process;
    struct page_range range = {.start = 0};

    if (type != NTMM_MEM_DECOMMIT && type != NTMM_MEM_RELEASE && !is_for_placeholders(type))
        return NTMM_STATUS_INVALID_PARAMETER_4;
    if (!base || !size)
        return NTMM_STATUS_ACCESS_VIOLATION;
    uint64_t asked = *size;
    if (*base > NTMM_HIGHEST_USER_ADDRESS)
        return NTMM_STATUS_INVALID_PARAMETER_2;
    if (reaches_past(*base, asked, NTMM_HIGHEST_USER_ADDRESS))
        return NTMM_STATUS_INVALID_PARAMETER_3;
    if (asked == 0 && is_for_placeholders(type))
        return NTMM_STATUS_INVALID_PARAMETER_3;
    ntmm_status status = free_once(&c, handle, type, *base, asked, &process, &range);
    if (relief_is_wanted(&c))
        status = free_again(&c, handle, type, *base, asked, process, status, &range);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    give_range(range, base, size);
    note_free(&c, handle, type, *base, *size);
    if (asked == 0 && type == NTMM_MEM_DECOMMIT &&
        get32(&anchor_of(&c)->windows_build) >= BUILD_DECOMMIT_SIZE_ZERO)
        *size = 0;
    return status;
}

/* Code of an image would be written to, which a policy forbids. */
static bool is_code_changed(const struct call *c, const struct process *process,
                            const struct vad *vad, struct page_range range, uint32_t protection)
{
    if (!(get32(&process->flags) & NTMM_PROCESS_NO_DYNAMIC_CODE) ||
        vad_type(vad) != VAD_IMAGE_MAP || !protection_can_write(protection))
        return false;
    for (uint64_t page = range.start; page < range.end; page++) {
        if (protection_can_execute(view_default_protection(c, vad, page)))
            return true;
    }
    return false;
}

static ntmm_status protect_pages(struct call *c, struct process *process, struct page_range range,
                                 uint32_t protection, uint32_t *old)
{
    struct vad *vad = vad_find(c, process, range.start);
    if (!vad || range.end > vad_end(vad))
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    if (!vad_may_change(vad) ||
        secure_forbids_protection(c, vad, range.start, range.end, protection))
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    if (!vad_is_view(vad) && (protection_is_copy(protection) || protection & VIEW_REVERT))
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    if (process_forbids_code(process, protection) ||
        is_code_changed(c, process, vad, range, protection))
        return NTMM_STATUS_DYNAMIC_CODE_BLOCKED;
    if (vad_is_borrowed(vad))
        return borrowed_protect(c, process, vad, range.start, range.end, protection, old);
    if (vad_type(vad) == VAD_AWE)
        return awe_protect(c, process, vad, range.start, range.end, protection, old);
    if (vad_type(vad) == VAD_LARGE_PAGES)
        return large_protect(c, process, vad, range.start, range.end, protection, old);
    if (vad_type(vad) == VAD_LARGE_PAGE_SECTION)
        return large_view_protect(c, process, vad, range.start, range.end, protection, old);
    uint64_t locked = get64(&process->locked_pages);
    ntmm_status status =
        vad_is_view(vad)
            ? view_protect(c, process, vad, range.start, range.end, protection, old)
            : private_protect(c, process, vad, range.start, range.end, protection, old);
    bool is_unlocked = get64(&process->locked_pages) < locked;
    return is_unlocked ? NTMM_STATUS_WAS_UNLOCKED : status;
}

/* In the protection of protect_range: call targets stay as they are. */
#define TARGETS_STAY 0x200u

static ntmm_status protect_range(struct call *c, struct process *process, struct page_range range,
                                 uint32_t protection, uint32_t *old)
{
    if (__builtin_expect(!targets_are_kept(process), 1))
        return protect_pages(c, process, range, protection & ~TARGETS_STAY, old);
    bool is_marked = !(protection & TARGETS_STAY) && protection_can_execute(protection);
    const struct vad *vad = is_marked ? vad_find(c, process, range.start) : NULL;
    ntmm_status status = NTMM_STATUS_SUCCESS;
    is_marked = vad && range.end <= vad_end(vad) && vad_may_change(vad);
    if (is_marked)
        status = targets_prepare(c, process, range.start, range.end);
    if (status == NTMM_STATUS_SUCCESS)
        status = protect_pages(c, process, range, protection & ~TARGETS_STAY, old);
    if (is_marked && NTMM_SUCCEEDED(status))
        targets_set(c, process, range.start, range.end, true);
    else if (is_marked)
        targets_prune(c, process, range.start, range.end);
    return status;
}

static inline ntmm_status protect_once(struct call *c, ntmm_handle handle, struct page_range range,
                                       uint32_t protection, uint32_t *old, struct process **process)
{
    ntmm_status status = process_lock_address(c, handle, NTMM_PROCESS_VM_OPERATION, process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status = protect_range(c, *process, range, protection, old);
    process_unlock_address(c, *process);
    return status;
}

/* The first attempt lacked something. */
static __attribute__((noinline)) ntmm_status protect_again(struct call *c, ntmm_handle handle,
                                                           struct page_range range,
                                                           uint32_t protection, uint32_t *old,
                                                           struct process *process,
                                                           ntmm_status status)
{
    struct relief relief = relief_begin();
    while (relieve(c, &relief, process, &status)) {
        status = protect_once(c, handle, range, protection, old, &process);
    }
    return status;
}

__attribute__((flatten)) ntmm_status ntmm_protect_virtual_memory(struct ntmm_system *system,
                                                                 ntmm_handle handle, uint64_t *base,
                                                                 uint64_t *size, uint32_t protect,
                                                                 uint32_t *old)
{
    struct call c = call_begin_to_wait(system);
    struct process *process;
    uint32_t protection;
    uint32_t before;

    bool targets_stay = protection_take_targets_flag(&protect);
    if (!protection_of_view(protect & ~NTMM_PAGE_REVERT_TO_FILE_MAP, &protection))
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    if (targets_stay)
        protection |= TARGETS_STAY;
    if (protect & NTMM_PAGE_REVERT_TO_FILE_MAP)
        protection |= VIEW_REVERT;
    if (!base || !size || !old)
        return NTMM_STATUS_ACCESS_VIOLATION;
    if (*base > NTMM_HIGHEST_USER_ADDRESS)
        return NTMM_STATUS_INVALID_PARAMETER_2;
    if (*size == 0 || reaches_past(*base, *size, NTMM_HIGHEST_USER_ADDRESS))
        return NTMM_STATUS_INVALID_PARAMETER_3;
    struct page_range range = capture_range(*base, *size);
    ntmm_status status = protect_once(&c, handle, range, protection, &before, &process);
    if (relief_is_wanted(&c))
        status = protect_again(&c, handle, range, protection, &before, process, status);
    if (!NTMM_SUCCEEDED(status))
        return status;
    give_range(range, base, size);
    *old = protection_to_win32(before);
    event_note(&c, NTMM_EVENT_PROTECT, handle, *base, *size, protect);
    return status;
}
