/*
 * NtAllocateVirtualMemory, and what its two forms share.
 *
 * The order of the checks is the spec's 2.1, each returning before anything is touched; then one of
 * two paths: reserve (a new region, perhaps wholly committed) or commit (pages of one region). What
 * a region is made of is decided in one place, make_region, and what a commit does to a region that
 * exists in another, commit_in_region.
 */
#include "services/allocate.h"
#include "phys/rows.h"
#include "section/view.h"
#include "services/relief.h"
#include "space/awe.h"
#include "space/call_targets.h"
#include "space/large.h"
#include "space/placeholder.h"
#include "space/protection.h"
#include "space/reset.h"
#include "space/secure.h"
#include "space/watch.h"

#include <ntmm/virtual.h>

#define KNOWN_TYPES                                                                                \
    (NTMM_MEM_COMMIT | NTMM_MEM_RESERVE | NTMM_MEM_RESET | NTMM_MEM_RESET_UNDO |                   \
     NTMM_MEM_TOP_DOWN | NTMM_MEM_WRITE_WATCH | NTMM_MEM_PHYSICAL | NTMM_MEM_LARGE_PAGES)
#define PLACEHOLDERS (NTMM_MEM_RESERVE_PLACEHOLDER | NTMM_MEM_REPLACE_PLACEHOLDER)
#define ACTIONS (NTMM_MEM_COMMIT | NTMM_MEM_RESERVE | NTMM_MEM_RESET | NTMM_MEM_RESET_UNDO)
#define KINDS (NTMM_MEM_WRITE_WATCH | NTMM_MEM_PHYSICAL | NTMM_MEM_LARGE_PAGES)
/* Legal in each combination that has an action, and all that most programs ever ask for. What only
 * other types need stands in functions of its own, out of the way. */
#define PLAIN (NTMM_MEM_COMMIT | NTMM_MEM_RESERVE | NTMM_MEM_TOP_DOWN)

static __attribute__((noinline)) ntmm_status check_unusual_type(uint32_t type, uint32_t protect)
{
    bool is_reset = (type & (NTMM_MEM_RESET | NTMM_MEM_RESET_UNDO)) != 0;
    bool is_reserve = (type & NTMM_MEM_RESERVE) != 0;
    bool is_commit = (type & NTMM_MEM_COMMIT) != 0;

    if (type & ~KNOWN_TYPES || !(type & ACTIONS))
        return NTMM_STATUS_INVALID_PARAMETER_5;
    if (is_reset && type != NTMM_MEM_RESET && type != NTMM_MEM_RESET_UNDO)
        return NTMM_STATUS_INVALID_PARAMETER_5;
    if (type & NTMM_MEM_WRITE_WATCH && !is_reserve)
        return NTMM_STATUS_INVALID_PARAMETER_5;
    if (type & NTMM_MEM_PHYSICAL && (!is_reserve || is_commit))
        return NTMM_STATUS_INVALID_PARAMETER_5;
    if (type & NTMM_MEM_PHYSICAL && protect != NTMM_PAGE_READWRITE)
        return NTMM_STATUS_INVALID_PARAMETER_6;
    if (type & NTMM_MEM_LARGE_PAGES && !(is_reserve && is_commit))
        return NTMM_STATUS_INVALID_PARAMETER_5;
    /* large pages and windows have nothing that could be watched */
    if (type & NTMM_MEM_WRITE_WATCH && type & (NTMM_MEM_PHYSICAL | NTMM_MEM_LARGE_PAGES))
        return NTMM_STATUS_INVALID_PARAMETER_5;
    return NTMM_STATUS_SUCCESS;
}

/* Steps 2 to 7. */
ntmm_status allocation_check_type(uint32_t type, uint32_t protect)
{
    bool is_plain = !(type & ~PLAIN) && type & (NTMM_MEM_COMMIT | NTMM_MEM_RESERVE);
    return is_plain ? NTMM_STATUS_SUCCESS : check_unusual_type(type, protect);
}

/* Whether all of it stays in memory, from the beginning. */
static bool is_resident(const struct allocation *a)
{
    return (a->type & NTMM_MEM_LARGE_PAGES) || (a->attributes & NTMM_MEM_ATTRIBUTE_NONPAGED);
}

static uint32_t level_of_leaves(const struct allocation *a)
{
    if (!(a->type & NTMM_MEM_LARGE_PAGES))
        return 1;
    return a->attributes & NTMM_MEM_ATTRIBUTE_NONPAGED_HUGE ? 3 : 2;
}

/* A region of large pages is whole leaves. */
static ntmm_status check_large(const struct allocation *a)
{
    uint64_t leaf_bytes = large_leaf_pages(level_of_leaves(a)) << NTMM_PAGE_SHIFT;
    if (!is_multiple(a->base, leaf_bytes))
        return NTMM_STATUS_INVALID_PARAMETER_2;
    return is_multiple(a->size, leaf_bytes) ? NTMM_STATUS_SUCCESS : NTMM_STATUS_INVALID_PARAMETER_4;
}

/* Steps 8 to 10. */
ntmm_status allocation_capture(struct allocation *a, const uint64_t *base, const uint64_t *size)
{
    uint32_t protection;
    if (!protection_of_private(a->protect, &protection)) {
        a->has_no_targets = protection_take_targets_flag(&a->protect);
        if (!a->has_no_targets || !protection_of_private(a->protect, &protection))
            return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    }
    a->protection = protection;
    if (is_resident(a) && !large_is_protection(a->protection))
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    if (!base || !size)
        return NTMM_STATUS_ACCESS_VIOLATION;
    a->base = *base;
    a->size = *size;
    if (a->base > NTMM_HIGHEST_VAD_ADDRESS)
        return NTMM_STATUS_INVALID_PARAMETER_2;
    if (a->size == 0 || reaches_past(a->base, a->size, NTMM_HIGHEST_VAD_ADDRESS))
        return NTMM_STATUS_INVALID_PARAMETER_4;
    return a->type & NTMM_MEM_LARGE_PAGES ? check_large(a) : NTMM_STATUS_SUCCESS;
}

/* Where a reservation goes: the caller's place, checked, or one that is searched. */
static ntmm_status find_place(struct call *c, struct process *process, const struct allocation *a,
                              struct vad_place *place)
{
    if (a->base == 0) {
        struct space_bounds bounds = a->bounds;
        if (a->type & NTMM_MEM_LARGE_PAGES)
            bounds.align = max_u64(bounds.align, large_leaf_pages(level_of_leaves(a)));
        return search_space(c, process, round_up(a->size, NTMM_PAGE_SIZE) >> NTMM_PAGE_SHIFT,
                            &bounds, place);
    }
    uint64_t granule_pages = NTMM_ALLOCATION_GRANULARITY / NTMM_PAGE_SIZE;
    struct page_range asked = capture_range(a->base, a->size);
    place->start = round_down(asked.start, granule_pages);
    place->end = asked.end;
    if (place->start < NTMM_LOWEST_USER_ADDRESS >> NTMM_PAGE_SHIFT ||
        a->base >> NTMM_PAGE_SHIFT >= get64(&process->highest_page))
        return NTMM_STATUS_INVALID_PARAMETER_2;
    if (place->end > get64(&process->highest_page))
        return NTMM_STATUS_INVALID_PARAMETER_4;
    return space_is_free(c, process, place) ? NTMM_STATUS_SUCCESS
                                            : NTMM_STATUS_CONFLICTING_ADDRESSES;
}

/* Whether pages become executable, of a process that keeps targets. */
static bool makes_code(const struct process *process, const struct allocation *a)
{
    return __builtin_expect(targets_are_kept(process), 0) && (a->type & NTMM_MEM_COMMIT) &&
           protection_can_execute(a->protection);
}

/* What the bitmap of call targets needs for it. */
static ntmm_status prepare_targets(struct call *c, struct process *process,
                                   const struct allocation *a, struct page_range range)
{
    if (!makes_code(process, a) || a->has_no_targets)
        return NTMM_STATUS_SUCCESS;
    return targets_prepare(c, process, range.start, range.end);
}

/* It was done, or not. */
static void finish_targets(struct call *c, struct process *process, const struct allocation *a,
                           struct page_range range, ntmm_status status)
{
    if (!makes_code(process, a))
        return;
    if (status == NTMM_STATUS_SUCCESS)
        targets_set(c, process, range.start, range.end, !a->has_no_targets);
    targets_prune(c, process, range.start, range.end);
}

/* A region over a placeholder, which is exactly as large. */
static ntmm_status replace(struct call *c, struct process *process, const struct allocation *a,
                           struct page_range *range)
{
    bool is_committed = (a->type & NTMM_MEM_COMMIT) != 0;
    *range = capture_range(a->base, a->size);
    bool is_watched = (a->type & NTMM_MEM_WRITE_WATCH) != 0;
    struct vad *vad = placeholder_find(c, process, range->start, range->end);
    if (!vad)
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    ntmm_status status = prepare_targets(c, process, a, *range);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status = placeholder_replace(c, process, vad, a->protection, a->protect, is_committed);
    if (status == NTMM_STATUS_SUCCESS && is_watched)
        watch_begin(process, vad);
    return status;
}

static __attribute__((noinline)) ntmm_status make_unusual_region(struct call *c,
                                                                 struct process *process,
                                                                 struct allocation a,
                                                                 const struct vad_place *place)
{
    if (a.type & NTMM_MEM_RESERVE_PLACEHOLDER)
        return placeholder_create(c, process, place);
    if (is_resident(&a))
        return large_reserve(c, process, place, a.protection, a.protect, level_of_leaves(&a));
    if (a.type & NTMM_MEM_PHYSICAL)
        return awe_reserve(c, process, place, a.protection, a.protect);
    return watch_reserve(c, process, place, a.protection, a.protect,
                         (a.type & NTMM_MEM_COMMIT) != 0);
}

/* A region of the kind that the type asks for; the type has at most one of KINDS. */
static ntmm_status make_region(struct call *c, struct process *process, const struct allocation *a,
                               const struct vad_place *place)
{
    if (a->type & (KINDS | NTMM_MEM_RESERVE_PLACEHOLDER) || is_resident(a))
        return make_unusual_region(c, process, *a, place);
    return private_reserve(c, process, place, a->protection, a->protect,
                           (a->type & NTMM_MEM_COMMIT) != 0);
}

static ntmm_status reserve(struct call *c, struct process *process, const struct allocation *a,
                           struct page_range *range)
{
    struct vad_place place;
    ntmm_status status = find_place(c, process, a, &place);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    *range = (struct page_range){.start = place.start, .end = place.end};
    status = prepare_targets(c, process, a, *range);
    return status == NTMM_STATUS_SUCCESS ? make_region(c, process, a, &place) : status;
}

/* Spec 2.5: what a commit does depends on what the region is. */
static ntmm_status commit_in_region(struct call *c, struct process *process,
                                    const struct allocation *a, struct vad *vad,
                                    struct page_range range)
{
    uint32_t flags = get32(&vad->flags);
    if (flags & VAD_NO_CHANGE ||
        secure_forbids_protection(c, vad, range.start, range.end, a->protection))
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    if (vad_is_placeholder(vad))
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    switch (vad_type(vad)) {
    case VAD_PRIVATE:
    case VAD_WRITE_WATCH:
        return private_commit(c, process, vad, range.start, range.end, a->protection);
    case VAD_LARGE_PAGES:
    case VAD_LARGE_PAGE_SECTION:
        return large_commit(c, process, vad, range.start, range.end, a->protection);
    case VAD_DATA_MAP:
        return view_commit(c, process, vad, range.start, range.end, a->protection);
    case VAD_IMAGE_MAP:
        return NTMM_STATUS_ALREADY_COMMITTED;
    case VAD_DEVICE_PHYSICAL:
    case VAD_AWE:
        break;
    }
    return NTMM_STATUS_CONFLICTING_ADDRESSES;
}

static ntmm_status commit(struct call *c, struct process *process, const struct allocation *a,
                          struct page_range *range)
{
    *range = capture_range(a->base, a->size);
    struct vad *vad = vad_find(c, process, range->start);
    if (!vad || range->end > vad_end(vad))
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    ntmm_status status = prepare_targets(c, process, a, *range);
    return status == NTMM_STATUS_SUCCESS ? commit_in_region(c, process, a, vad, *range) : status;
}

/* Spec 2.7: the whole pages inside what is asked for, which lies in one region. */
static ntmm_status reset(struct call *c, struct process *process, const struct allocation *a,
                         struct page_range *range)
{
    bool is_undo = (a->type & NTMM_MEM_RESET_UNDO) != 0;
    struct page_range asked = capture_range(a->base, a->size);
    struct vad *vad = vad_find(c, process, asked.start);
    if (!vad || asked.end > vad_end(vad) || !(vad_is_private(vad) || vad_is_view(vad)))
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    if (vad_is_view(vad) && area_is(view_area(c, vad), AREA_OF_FILE))
        return NTMM_STATUS_USER_MAPPED_FILE;
    range->start = round_up(a->base, NTMM_PAGE_SIZE) >> NTMM_PAGE_SHIFT;
    range->end = max_u64(range->start, (a->base + a->size) >> NTMM_PAGE_SHIFT);
    if (vad_is_view(vad))
        return NTMM_STATUS_SUCCESS; /* others may see the pages: their contents stay */
    return private_reset(c, process, vad, range->start, range->end,
                         is_undo ? RESET_UNDO : RESET_CONTENTS, 0);
}

static inline ntmm_status make_pages(struct call *c, struct process *process,
                                     const struct allocation *a, struct page_range *range)
{
    if (a->type & NTMM_MEM_REPLACE_PLACEHOLDER)
        return replace(c, process, a, range);
    bool is_reserve = a->base == 0 || a->type & NTMM_MEM_RESERVE;
    return is_reserve ? reserve(c, process, a, range) : commit(c, process, a, range);
}

static ntmm_status allocate(struct call *c, struct process *process, const struct allocation *a,
                            struct page_range *range)
{
    if (a->type & (NTMM_MEM_RESET | NTMM_MEM_RESET_UNDO))
        return reset(c, process, a, range);
    const uint32_t special = NTMM_PROCESS_NO_DYNAMIC_CODE | NTMM_PROCESS_CONTROL_FLOW_GUARD;
    if (__builtin_expect((get32(&process->flags) & special) == 0, 1))
        return make_pages(c, process, a, range);
    if (process_forbids_code(process, a->protection)) /* step 15 */
        return NTMM_STATUS_DYNAMIC_CODE_BLOCKED;
    ntmm_status status = make_pages(c, process, a, range);
    finish_targets(c, process, a, *range, status);
    return status;
}

static void note(struct call *c, ntmm_handle process, const struct allocation *a,
                 struct page_range range)
{
    uint64_t base, size;
    give_range(range, &base, &size);
    if (a->base == 0 || a->type & NTMM_MEM_RESERVE)
        event_note(c, NTMM_EVENT_RESERVE, process, base, size, 0);
    if (a->type & NTMM_MEM_COMMIT)
        event_note(c, NTMM_EVENT_COMMIT, process, base, size, 0);
}

/* Step 12. */
static uint32_t privilege_needed(const struct allocation *a)
{
    return is_resident(a) ? HELD_LOCK_MEMORY : 0;
}

static inline ntmm_status run_once(struct call *c, ntmm_handle handle, const struct allocation *a,
                                   uint64_t *base, uint64_t *size, struct process **process)
{
    struct page_range range = {.start = 0};
    ntmm_status status =
        process_lock_privileged(c, handle, NTMM_PROCESS_VM_OPERATION, privilege_needed(a), process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status = allocate(c, *process, a, &range);
    if (status == NTMM_STATUS_SUCCESS) {
        give_range(range, base, size);
        note(c, handle, a, range);
    }
    process_unlock_address(c, *process);
    return status;
}

/* It lacked something. The allocation is a copy, so that its first run may keep it in registers. */
static __attribute__((noinline)) ntmm_status run_again(struct call *c, ntmm_handle handle,
                                                       struct allocation a, uint64_t *base,
                                                       uint64_t *size, struct process *process,
                                                       ntmm_status status)
{
    struct relief relief = relief_begin();
    while (relieve(c, &relief, process, &status)) {
        status = run_once(c, handle, &a, base, size, &process);
    }
    rows_give_back(c);
    return status;
}

ntmm_status allocation_run(struct call *c, ntmm_handle handle, const struct allocation *a,
                           uint64_t *base, uint64_t *size)
{
    struct process *process;
    ntmm_status status = run_once(c, handle, a, base, size, &process);
    if (relief_is_wanted(c))
        return run_again(c, handle, *a, base, size, process, status);
    return status;
}

__attribute__((flatten)) ntmm_status
ntmm_allocate_virtual_memory(struct ntmm_system *system, ntmm_handle handle, uint64_t *base,
                             uint64_t zero_bits, uint64_t *size, uint32_t type, uint32_t protect)
{
    struct call c = call_begin_to_wait(system);
    struct allocation a = {.bounds = space_bounds_none(), .type = type, .protect = protect};

    if (zero_bits > 21 && zero_bits < 32)
        return NTMM_STATUS_INVALID_PARAMETER_3;
    /* placeholders came with the other form, and with its status */
    if (type & PLACEHOLDERS && !(type & ~(PLACEHOLDERS | KNOWN_TYPES)))
        return NTMM_STATUS_INVALID_PARAMETER;
    ntmm_status status = allocation_check_type(type, protect);
    if (status == NTMM_STATUS_SUCCESS)
        status = allocation_capture(&a, base, size);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    a.bounds.end = space_end_of_zero_bits(zero_bits);
    a.bounds.is_top_down = (type & NTMM_MEM_TOP_DOWN) != 0;
    return allocation_run(&c, handle, &a, base, size);
}
