/*
 * Pages of views, and pages that clones share: mapping what a prototype has, and copying on write.
 *
 *   protection of the page --> guard? --> share of the prototype's page --> tables --> entry
 *
 * A page is mapped in its state: clean, or dirty when it is written and not copied. Of one that is
 * written at the first touch and copied only the copy is mapped.
 * Source: nt_semantics 6.1, 6.5.
 */
#include "section/view.h"
#include "fault/door.h"
#include "space/clone_page.h"
#include "space/protection.h"

/* Count a fault by how the section's page was resolved. */
static ntmm_status resolved_as(struct door *d, enum ntmm_fault_kind kind)
{
    switch (kind) {
    case NTMM_FAULT_KIND_DEMAND_ZERO:
        return door_resolved(d, kind, NTMM_COUNTER_DEMAND_ZERO_FAULTS);
    case NTMM_FAULT_KIND_HARD:
        return door_resolved(d, kind, NTMM_COUNTER_HARD_FAULTS);
    default:
        return door_resolved(d, NTMM_FAULT_KIND_TRANSITION, NTMM_COUNTER_TRANSITION_FAULTS);
    }
}

/* The share that the entry of the process is. */
static inline __attribute__((always_inline)) void enter(struct call *c, struct door *d,
                                                        uint64_t frame, uint32_t protection,
                                                        bool is_dirty, uint64_t kind)
{
    struct process *process = d->process;
    if (is_dirty)
        frame_make_modified(c, frame);
    entry_make_valid(c, d->span.table, d->span.entry,
                     entry_with_protection(frame, protection, is_dirty, kind));
    process_add_peak(&process->working_set_pages, &process->working_set_peak, 1);
}

/* What an acquisition that did not bring the page means for the fault. */
static ntmm_status not_acquired(struct call *c, struct door *d, ntmm_status status)
{
    if (status == NTMM_STATUS_ACCESS_VIOLATION)
        return door_raise(c, d, status);
    if (status == NTMM_STATUS_COMMITMENT_LIMIT)
        return door_give_up(c, d);
    if (status != NTMM_STATUS_PENDING)
        return door_raise_in_page_error(c, d, status);
    if (c->want.kind == WANT_FRAME) {
        d->frames_needed = (uint32_t)c->want.pages;
        return door_give_up(c, d);
    }
    if (c->want.is_new && !c->want.is_prototype)
        process_count(d->process, NTMM_COUNTER_PAGES_READ, c->want.block->io.span_count);
    else
        process_count(
            d->process,
            c->want.kind == WANT_READ ? NTMM_COUNTER_COLLIDED_FAULTS : NTMM_COUNTER_FAULT_WAITS, 1);
    return NTMM_STATUS_PENDING;
}

/* There are too few frames for what the page of a share needs. */
static ntmm_status give_up_share(struct call *c, struct door *d, uint64_t frame)
{
    struct want want = c->want;
    frame_end_share(c, frame);
    c->want = want;
    d->frames_needed++; /* the page, which is on a list again, is not there for a table */
    return door_give_up(c, d);
}

/* The copy first: when it cannot be made, nothing has changed. False on shortage, or with another
 * *status. */
static bool make_copy(struct call *c, struct door *d, uint64_t from, uint64_t *to,
                      ntmm_status *status)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    d->frames_needed = d->span.level; /* the tables and the copy */
    if (!frames_are_available(c, d->frames_needed) || !frame_allocate(c, NTMM_USE_PRIVATE, to))
        return false;
    *status = platform->copy(platform->context, to, &from, 1);
    if (NTMM_SUCCEEDED(*status) && door_make_tables(c, d, 0))
        return true;
    struct want want = c->want;
    frame_free(c, *to);
    c->want = want;
    d->frames_needed = d->span.level;
    return false;
}

/* A copy of the page of a share, which is given back, becomes the process's. `cloned`: of a page of
 * clones, the prototype that the entry refers to so far; otherwise 0. */
static ntmm_status enter_copy(struct call *c, struct door *d, uint64_t from,
                              enum ntmm_fault_kind kind, uint32_t protection, uint64_t cloned)
{
    struct process *process = d->process;
    uint32_t after = protection_after_copy(protection);
    ntmm_status status = NTMM_STATUS_SUCCESS;
    uint64_t to;
    bool is_made = make_copy(c, d, from, &to, &status);
    if (!is_made && NTMM_SUCCEEDED(status))
        return give_up_share(c, d, from);
    frame_end_share(c, from);
    if (!is_made)
        return door_raise_in_page_error(c, d, status);
    entry_own(c, pfn_at(c, to), d->span.entry, entry_software(after));
    entry_make_valid(c, d->span.table, d->span.entry, entry_hardware(to, after, true));
    process_add_peak(&process->working_set_pages, &process->working_set_peak, 1);
    if (cloned)
        clone_page_release(c, cloned);
    (void)resolved_as(d, kind);
    return door_resolved(d, NTMM_FAULT_KIND_COPY_ON_WRITE, NTMM_COUNTER_COPY_ON_WRITE_FAULTS);
}

ntmm_status door_resolve_view(struct call *c, struct door *d, struct vad *vad, uint64_t raw)
{
    uint64_t frame;
    enum ntmm_fault_kind kind;
    struct page_state state = view_state_of(c, vad, d->page, raw);
    if (!state.is_committed || !door_is_allowed(d, state.protection))
        return door_raise(c, d, NTMM_STATUS_ACCESS_VIOLATION);
    if (protection_is_guard(state.protection))
        return door_consume_guard(c, d, vad, state.protection);
    ntmm_status status = prototype_acquire(c, view_area(c, vad), view_prototype(vad, d->page),
                                           d->wait, &frame, &kind);
    if (status != NTMM_STATUS_SUCCESS)
        return not_acquired(c, d, status);
    if (d->access == DOOR_WRITE && protection_is_copy(state.protection))
        return enter_copy(c, d, frame, kind, state.protection, 0);
    if (!door_make_tables(c, d, 0))
        return give_up_share(c, d, frame);
    enter(c, d, frame, state.protection, d->access == DOOR_WRITE, ENTRY_SHARED);
    return resolved_as(d, kind);
}

/* A private page, perhaps a view's copy. */
static ntmm_status resolve_cloned(struct call *c, struct door *d, struct vad *vad, uint64_t raw)
{
    uint32_t protection = page_state_of(c, vad, raw).protection;
    uint64_t prototype = clone_page_prototype(c, raw);
    uint64_t frame;
    enum ntmm_fault_kind kind;
    if (!door_is_allowed(d, protection))
        return door_raise(c, d, NTMM_STATUS_ACCESS_VIOLATION);
    if (protection_is_guard(protection))
        return door_consume_guard(c, d, vad, protection);
    ntmm_status status = prototype_acquire(c, NULL, prototype, d->wait, &frame, &kind);
    if (status != NTMM_STATUS_SUCCESS)
        return not_acquired(c, d, status);
    if (d->access == DOOR_WRITE)
        return enter_copy(c, d, frame, kind, protection, prototype);
    enter(c, d, frame, protection_before_copy(protection), false, ENTRY_SHARED | ENTRY_CLONED);
    return resolved_as(d, kind);
}

ntmm_status door_resolve_prototype(struct call *c, struct door *d, uint64_t raw)
{
    struct vad *vad = vad_find(c, d->process, d->page);
    return clone_page_is(c, raw) ? resolve_cloned(c, d, vad, raw)
                                 : door_resolve_view(c, d, vad, raw);
}

bool door_take_back(struct call *c, struct door *d, uint64_t raw)
{
    return clone_page_is(c, raw) && clone_page_take_back(c, d->span.table, d->span.entry);
}

/* --- copying --- */

/* Nobody is left with whom a page of clones is shared: it is written as any private page, and in no
 * watched region. */
static __attribute__((noinline)) bool is_taken_back(struct call *c, struct door *d, le64 *entry)
{
    const uint64_t dirty = FIELD_MASK(HW_DIRTY1) | FIELD_MASK(HW_DIRTY) | FIELD_MASK(HW_ACCESSED);
    if (!clone_page_take_back(c, d->span.table, entry))
        return false;
    uint64_t raw = load64_relaxed(entry);
    while (!cas64(entry, &raw, raw | dirty)) {
    }
    frame_make_modified(c, field_get(raw, HW_FRAME));
    return true;
}

ntmm_status door_copy_on_write(struct call *c, struct door *d, le64 *entry, uint64_t raw)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    const uint64_t kept = ENTRY_LOCKED;
    uint64_t from = field_get(raw, HW_FRAME);
    uint32_t protection = protection_after_copy(entry_own_protection(raw));
    uint64_t to;
    if (__builtin_expect((raw & ENTRY_CLONED) != 0, 0) && is_taken_back(c, d, entry))
        return door_resolved(d, NTMM_FAULT_KIND_MAKE_DIRTY, NTMM_COUNTER_MAKE_DIRTY_FAULTS);
    d->frames_needed = 1;
    if (!frame_allocate(c, NTMM_USE_PRIVATE, &to))
        return door_give_up(c, d);
    ntmm_status status = platform->copy(platform->context, &to, &from, 1);
    if (!NTMM_SUCCEEDED(status)) {
        frame_free(c, to);
        return door_raise_in_page_error(c, d, status);
    }
    entry_own(c, pfn_at(c, to), entry, entry_software(protection));
    struct gather g;
    gather_begin(&g, d->process, NTMM_SHOOTDOWN_PROTECT);
    uint64_t old = exchange64(entry, entry_hardware(to, protection, true) | (raw & kept));
    NTMM_ASSERT(field_get(old, HW_FRAME) == from);
    (void)old;
    gather_range(&g, d->page, d->page + 1);
    gather_share(c, d->process, &g, from | gather_mark(raw));
    gather_finish(c, d->process, &g);
    return door_resolved(d, NTMM_FAULT_KIND_COPY_ON_WRITE, NTMM_COUNTER_COPY_ON_WRITE_FAULTS);
}
