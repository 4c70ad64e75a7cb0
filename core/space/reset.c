/*
 * Reset, offer, undo, reclaim and discard, page by page. See reset.h.
 */
#include "space/reset.h"
#include "base/bits.h"
#include "phys/slots.h"
#include "space/clone_page.h"

struct reset {
    struct process *process;
    struct gather gather;
    struct table_span span;
    enum reset_kind kind;
    uint32_t priority; /* of RESET_OFFER */
    bool is_lost;      /* contents of some page had gone */
};

static bool is_undo(const struct reset *r)
{
    return r->kind == RESET_UNDO || r->kind == RESET_RECLAIM;
}

static uint32_t priority_of(const struct reset *r, const struct pfn *pfn)
{
    if (r->kind == RESET_OFFER)
        return r->priority;
    return r->kind == RESET_RECLAIM ? PRIORITY_DEFAULT : pfn_priority(pfn);
}

/* The next write of a page faults, and makes it ordinary. */
static void make_clean(struct reset *r, le64 *entry, uint64_t page)
{
    const uint64_t dirty = FIELD_MASK(HW_DIRTY1) | FIELD_MASK(HW_DIRTY);
    uint64_t raw = load64_relaxed(entry);
    if (!(raw & dirty))
        return;
    while (!cas64(entry, &raw, raw & ~dirty)) {
    }
    gather_range(&r->gather, page, page + 1);
}

/* A frame that holds a page; (F) is held. */
static void change_frame(struct call *c, struct reset *r, uint64_t frame)
{
    uint32_t priority = priority_of(r, pfn_at(c, frame));
    if (!is_undo(r))
        frame_reset(c, frame, priority);
    else if (!frame_undo_reset(c, frame, priority))
        r->is_lost = true;
}

static void trim(struct call *c, struct reset *r, le64 *entry, uint64_t page, uint32_t protection)
{
    uint64_t frame = field_get(load64_relaxed(entry), HW_FRAME);
    entry_withdraw(c, r->process, r->span.table, entry, page, entry_transition(protection, frame),
                   &r->gather);
    chain_add(c, &r->gather.trimmed, frame);
}

static void change_valid(struct call *c, struct reset *r, le64 *entry, uint64_t page,
                         uint32_t protection)
{
    uint64_t raw = load64_relaxed(entry);
    uint64_t frame = field_get(raw, HW_FRAME);
    bool is_locked = (raw & ENTRY_LOCKED) != 0;
    if (r->kind == RESET_DISCARD && !is_locked) {
        chain_add(c, &r->gather.freed,
                  entry_withdraw(c, r->process, r->span.table, entry, page,
                                 entry_software(protection), &r->gather));
        process_count(r->process, NTMM_COUNTER_PAGES_FREED, 1);
        return;
    }
    if (!is_undo(r))
        make_clean(r, entry, page);
    frame_lock(c, frame);
    change_frame(c, r, frame);
    frame_unlock(c, frame);
    if (r->kind == RESET_OFFER && !is_locked)
        trim(c, r, entry, page, protection);
}

/* In transition; (F) of its frame is held, and released. */
static void change_transition(struct call *c, struct reset *r, le64 *entry, uint64_t frame,
                              uint32_t protection)
{
    if (r->kind != RESET_DISCARD) {
        change_frame(c, r, frame);
        frame_unlock(c, frame);
        return;
    }
    entry_write(c, r->span.table, entry, entry_software(protection));
    bool is_ours = frame_detach(c, frame);
    frame_unlock(c, frame);
    if (is_ours)
        chain_add(c, &r->gather.freed, frame);
    process_count(r->process, NTMM_COUNTER_PAGES_FREED, 1);
}

/* No frame: a slot, or nothing that is not zero. */
static void change_absent(struct call *c, struct reset *r, le64 *entry)
{
    uint64_t value = entry_value(c, load64_relaxed(entry));
    uint64_t new = value & ~ENTRY_LOST;
    if (is_undo(r)) {
        r->is_lost |= (value & ENTRY_LOST) != 0;
    } else if (slot_of(value) || entry_is_damaged(value)) {
        slot_release(c, value);
        new = slot_set(new & ~ENTRY_DAMAGED, 0, 0) | (r->kind == RESET_DISCARD ? 0 : ENTRY_LOST);
    }
    if (new != value)
        entry_write(c, r->span.table, entry, new);
}

/* A page that clones share: nobody may give up what others see. To leave the working set, or to be
 * zero, is this process's own business. */
static void change_cloned(struct call *c, struct reset *r, le64 *entry, uint64_t page,
                          uint32_t protection)
{
    uint64_t raw = load64_relaxed(entry);
    bool is_valid = (raw & FIELD_MASK(HW_VALID)) != 0;
    if (is_valid && (raw & ENTRY_LOCKED))
        return;
    if (r->kind == RESET_DISCARD)
        clone_page_drop(c, r->process, r->span.table, entry, page, entry_software(protection),
                        &r->gather);
    else if (r->kind == RESET_OFFER && is_valid)
        entry_withdraw_shared(c, r->process, r->span.table, entry, page, entry_when_trimmed(c, raw),
                              &r->gather);
}

static void change_page(struct call *c, struct reset *r, const struct vad *vad, le64 *entry,
                        uint64_t page)
{
    uint64_t raw = load64_relaxed(entry);
    struct page_state state = page_state_of(c, vad, raw);
    if (raw == 0 || !state.is_committed)
        return;
    if (clone_page_is(c, raw)) {
        change_cloned(c, r, entry, page, state.protection);
        return;
    }
    if (raw & FIELD_MASK(HW_VALID)) {
        change_valid(c, r, entry, page, state.protection);
        return;
    }
    uint64_t frame = entry_lock_transition(c, entry);
    if (frame != FRAME_NONE)
        change_transition(c, r, entry, frame, state.protection);
    else
        change_absent(c, r, entry);
}

ntmm_status private_reset(struct call *c, struct process *process, struct vad *vad, uint64_t start,
                          uint64_t end, enum reset_kind kind, uint32_t priority)
{
    struct reset r = {
        .process = process,
        .kind = kind,
        .priority = priority,
    };
    gather_begin(&r.gather, process,
                 kind == RESET_DISCARD ? NTMM_SHOOTDOWN_UNMAP
                 : kind == RESET_OFFER ? NTMM_SHOOTDOWN_TRIM
                                       : NTMM_SHOOTDOWN_ACCESSED);
    if (!tables_are_present(c, process, start, end))
        return want_status(c);
    for (uint64_t page = start; page < end;) {
        r.span = table_find(c, process, page);
        uint64_t stop = min_u64(r.span.end, end);
        for (uint64_t i = 0; r.span.entry && i < stop - page; i++)
            change_page(c, &r, vad, &r.span.entry[i], page + i);
        page = stop;
    }
    gather_finish(c, process, &r.gather);
    return r.is_lost ? NTMM_STATUS_UNSUCCESSFUL : NTMM_STATUS_SUCCESS;
}
