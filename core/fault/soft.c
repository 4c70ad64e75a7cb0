/*
 * Soft faults that need nothing but their page's entry: of private pages whose leaf table is there,
 * with (W) shared (space/readers.h). Whatever is not as simple is left to the door. A frame is
 * zeroed while (W) is not shared, so that who wants it for himself does not wait for that; then the
 * fault looks again, with the frame.
 *
 *   entry  empty or demand zero --a zeroed frame--> valid         by compare and exchange
 *          transition -----------its frame--------> valid         under (F)
 *          valid, clean -----------the write------> valid, dirty  by compare and exchange
 */
#include "fault/door.h"
#include "phys/slots.h"
#include "space/fault_log.h"
#include "space/protection.h"
#include "space/readers.h"
#include "x64/formats.h"

/* A fault of a reader, and what it did. */
struct soft {
    struct door *d;
    struct reader_done done;
    uint64_t frame; /* that it took and has no use for, or FRAME_NONE */
    bool is_zeroed;
};

/* The region's state says that the access to the page, which is not valid, brings it in. */
static bool is_plain(struct call *c, const struct door *d, uint64_t raw, uint32_t *protection)
{
    const struct vad *vad = vad_find(c, d->process, d->page);
    if (!vad || vad_is_view(vad))
        return false;
    struct page_state state = page_state_of(c, vad, raw);
    *protection = state.protection;
    return state.is_committed && door_is_allowed(d, state.protection) &&
           !protection_is_guard(state.protection);
}

/* A frame for the page. False: there is none, or it is to be zeroed first. */
static bool take_frame(struct call *c, struct soft *s)
{
    return (s->frame != FRAME_NONE ||
            frame_allocate_to_zero(c, NTMM_USE_PRIVATE, &s->frame, &s->is_zeroed)) &&
           s->is_zeroed;
}

/* Somebody else may do the same for the same page: then the frame is given back, and the door sees
 * what he did. */
static bool bring_zero(struct call *c, struct soft *s, uint64_t raw)
{
    struct door *d = s->d;
    uint32_t protection;
    if (!is_plain(c, d, raw, &protection) || !take_frame(c, s))
        return false;
    uint64_t frame = s->frame;
    struct pfn *pfn = pfn_at(c, frame);
    uint64_t hardware = entry_hardware(frame, protection, d->access == DOOR_WRITE);
    entry_own(c, pfn, d->span.entry,
              entry_software(protection) | (entry_value(c, raw) & ENTRY_LOST));
    bool was_empty = raw == 0;
    if (!cas64(d->span.entry, &raw, hardware))
        return false;
    s->frame = FRAME_NONE;
    readers_add_share(c, d->process, &d->span, was_empty);
    s->done.demand_zero = 1;
    d->result->kind = NTMM_FAULT_KIND_DEMAND_ZERO;
    return true;
}

static bool bring_back(struct call *c, struct soft *s, uint64_t raw)
{
    struct door *d = s->d;
    bool is_write = d->access == DOOR_WRITE;
    uint32_t protection;
    if (!is_plain(c, d, raw, &protection))
        return false;
    uint64_t frame = entry_lock_transition(c, d->span.entry);
    if (frame == FRAME_NONE)
        return false;
    bool is_there = !pfn_is_being_read(pfn_at(c, frame));
    if (is_there) {
        frame_reactivate(c, frame);
        store64_release(d->span.entry, entry_hardware(frame, protection, is_write));
        if (is_write)
            frame_mark_modified(c, frame);
        s->done.transition = 1;
        d->result->kind = NTMM_FAULT_KIND_TRANSITION;
    }
    frame_unlock(c, frame);
    return is_there;
}

/* The first write of a clean writable page. */
static bool make_dirty(struct call *c, struct soft *s, uint64_t raw)
{
    const uint64_t dirty = FIELD_MASK(HW_DIRTY1) | FIELD_MASK(HW_DIRTY) | FIELD_MASK(HW_ACCESSED);
    if (s->d->access != DOOR_WRITE || (raw & FIELD_MASK(HW_DIRTY1)) ||
        !(raw & FIELD_MASK(HW_WRITE)))
        return false;
    while (!cas64(s->d->span.entry, &raw, raw | dirty)) {
    }
    frame_make_modified(c, field_get(raw, HW_FRAME));
    s->done.made_dirty = 1;
    s->d->result->kind = NTMM_FAULT_KIND_MAKE_DIRTY;
    return true;
}

/* Nobody watches the process, and it needs no room for a page. */
static bool is_simple(const struct process *process)
{
    return get32(&process->has_watch) == 0 &&
           !(get32(&process->limit_flags) & LIMIT_HARD_MAXIMUM) && !fault_log_is_kept(process);
}

static bool resolve(struct call *c, struct soft *s)
{
    struct door *d = s->d;
    if (!is_simple(d->process) || d->request->address >= NTMM_USER_PROBE_ADDRESS)
        return false;
    d->span = readers_find(c, d->process, d->page);
    if (!d->span.entry)
        return false;
    uint64_t raw = load64_relaxed(d->span.entry);
    switch (entry_kind(c, raw)) {
    case PTE_ZERO:
    case PTE_DEMAND_ZERO:
        return bring_zero(c, s, raw);
    case PTE_TRANSITION:
        return bring_back(c, s, raw);
    case PTE_VALID:
        return make_dirty(c, s, raw);
    case PTE_PAGEFILE:
    case PTE_PROTOTYPE:
    case PTE_DECOMMITTED:
    case PTE_NO_ACCESS:
    case PTE_LARGE:
        break;
    }
    return false;
}

/* What the fault took and did not use: zeroed for another look, or given back. */
static uint64_t keep_frame(struct call *c, const struct soft *s)
{
    if (s->frame == FRAME_NONE)
        return FRAME_NONE;
    if (!s->is_zeroed)
        return frame_zero(c, NTMM_USE_PRIVATE, s->frame) ? s->frame : FRAME_NONE;
    frame_free_zeroed(c, NTMM_USE_PRIVATE, s->frame);
    return FRAME_NONE;
}

bool door_resolve_soft(struct call *c, struct process *process,
                       const struct ntmm_fault_request *request, const struct ntmm_wait *wait,
                       uint64_t *zeroed, struct ntmm_fault_result *result)
{
    struct door d = {.request = request,
                     .result = result,
                     .process = process,
                     .page = request->address >> NTMM_PAGE_SHIFT,
                     .access = door_access(request)};
    struct soft s = {.d = &d, .frame = *zeroed, .is_zeroed = true};
    bool is_new = !wait->block && wait->flags == 0;
    bool is_done = is_new && resolve(c, &s);
    if (is_done) {
        s.done.zeroed = c->zeroed_inline;
        c->zeroed_inline = 0;
    }
    uint64_t handle = get64(&process->handle);
    readers_add(c, process, &s.done);
    readers_leave(c, process);
    c->want = (struct want){.kind = WANT_NOTHING};
    *zeroed = keep_frame(c, &s);
    if (is_done)
        event_note(c, NTMM_EVENT_FAULT, handle, request->address, result->kind,
                   request->error_code);
    return is_done;
}
