/*
 * Pages of views: mapping what a prototype has, and copying on write.
 *
 *   protection of the page --> guard? --> share of the prototype's page --> tables --> entry
 *
 * A page is mapped in its state: clean, or dirty when it is written and not copied. The copy of a
 * page that was written at the first touch is made by going through the door once more.
 * Source: nt_semantics 6.1, 6.5.
 */
#include "section/view.h"
#include "fault/door.h"
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
static void enter(struct call *c, struct door *d, uint64_t frame, uint32_t protection,
                  bool is_dirty)
{
    struct process *process = d->process;
    if (is_dirty)
        frame_make_modified(c, frame);
    entry_make_valid(c, d->span.table, d->span.entry,
                     entry_with_protection(frame, protection, is_dirty, ENTRY_SHARED));
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
    if (c->want.is_new)
        process_count(d->process, NTMM_COUNTER_PAGES_READ, c->want.block->io.span_count);
    else
        process_count(
            d->process,
            c->want.kind == WANT_READ ? NTMM_COUNTER_COLLIDED_FAULTS : NTMM_COUNTER_FAULT_WAITS, 1);
    return NTMM_STATUS_PENDING;
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
    if (!door_make_tables(c, d, 0)) {
        struct want want = c->want;
        frame_end_share(c, frame);
        c->want = want;
        d->frames_needed++; /* the page, which is on a list again, is not there for a table */
        return door_give_up(c, d);
    }
    bool is_copied = d->access == DOOR_WRITE && protection_is_copy(state.protection);
    bool is_dirty = d->access == DOOR_WRITE && !is_copied;
    enter(c, d, frame, state.protection, is_dirty);
    status = resolved_as(d, kind);
    if (is_copied)
        return door_copy_on_write(c, d, d->span.entry, load64_relaxed(d->span.entry));
    return status;
}

/* --- copying --- */

/* The row of a frame that an entry of the process names alone. */
static void fill_row(struct call *c, uint64_t frame, const le64 *entry, uint32_t protection)
{
    struct pfn *pfn = pfn_at(c, frame);
    uint64_t address = (uint64_t)((uintptr_t)entry - c->bias);
    set64(&pfn->entry_address, address);
    store64_relaxed(&pfn->original_pte, entry_software(protection));
    set64(&pfn->table_frame, ref_frame(c, address));
    pfn_set_modified(pfn);
}

ntmm_status door_copy_on_write(struct call *c, struct door *d, le64 *entry, uint64_t raw)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    const uint64_t kept = ENTRY_LOCKED;
    uint64_t from = field_get(raw, HW_FRAME);
    uint32_t protection = protection_after_copy(entry_own_protection(raw));
    uint64_t to;
    d->frames_needed = 1;
    if (!frame_allocate(c, NTMM_USE_PRIVATE, &to))
        return door_give_up(c, d);
    ntmm_status status = platform->copy(platform->context, &to, &from, 1);
    if (!NTMM_SUCCEEDED(status)) {
        frame_free(c, to);
        return door_raise_in_page_error(c, d, status);
    }
    fill_row(c, to, entry, protection);
    struct gather g;
    gather_begin(&g, d->process, NTMM_SHOOTDOWN_PROTECT);
    uint64_t old = exchange64(entry, entry_hardware(to, protection, true) | (raw & kept));
    NTMM_ASSERT(field_get(old, HW_FRAME) == from);
    (void)old;
    gather_range(&g, d->page, d->page + 1);
    gather_share(c, d->process, &g, from);
    gather_finish(c, d->process, &g);
    return door_resolved(d, NTMM_FAULT_KIND_COPY_ON_WRITE, NTMM_COUNTER_COPY_ON_WRITE_FAULTS);
}
