/*
 * The door: decode the entry, check the access, call the resolver. See door.h.
 */
#include "fault/door.h"
#include "phys/slots.h"
#include "section/view.h"
#include "space/fault_log.h"
#include "space/protection.h"
#include "space/watch.h"
#include "workingset/balance.h"
#include "x64/formats.h"

#include <ntmm/constants.h>

ntmm_status door_raise(struct call *c, struct door *d, ntmm_status status)
{
    static const uint64_t code_of_access[] = {
        [DOOR_READ] = 0, [DOOR_WRITE] = 1, [DOOR_EXECUTE] = 8};
    bool is_canonical = x64_is_canonical(d->request->address, c->sys->levels);

    d->result->parameter_count = 2;
    d->result->parameters[0] = code_of_access[d->access];
    d->result->parameters[1] = is_canonical ? d->request->address : ~0ull;
    if (status == NTMM_STATUS_ACCESS_VIOLATION)
        process_count(d->process, NTMM_COUNTER_ACCESS_VIOLATIONS, 1);
    return status;
}

ntmm_status door_resolved(struct door *d, enum ntmm_fault_kind kind, enum ntmm_counter counter)
{
    d->result->kind = kind;
    process_count(d->process, counter, 1);
    return NTMM_STATUS_SUCCESS;
}

ntmm_status door_give_up(struct call *c, struct door *d)
{
    struct want want = c->want;
    struct gather g;
    gather_begin(&g, d->process, NTMM_SHOOTDOWN_UNMAP);
    table_prune(c, d->process, d->page, &g);
    gather_finish(c, d->process, &g);
    c->want = want;
    c->want.pages = d->frames_needed;
    if (want.kind == WANT_COMMIT)
        return door_raise(c, d, NTMM_STATUS_COMMITMENT_LIMIT);
    process_count(d->process, NTMM_COUNTER_FAULT_WAITS, 1);
    return NTMM_STATUS_PENDING;
}

bool door_is_allowed(const struct door *d, uint32_t protection)
{
    if ((protection & PROT_ACCESS_MASK) == 0)
        return false;
    if (d->access == DOOR_WRITE)
        return protection_can_write(protection);
    return d->access == DOOR_READ || protection_can_execute(protection);
}

/*
 * Make the page's tables if there are frames for all of them and `pages` more. Looking first keeps
 * a fault that lacks some from taking and giving back the others, and so from waking itself and
 * everybody else for nothing. False on shortage.
 */
bool door_make_tables(struct call *c, struct door *d, uint32_t pages)
{
    d->frames_needed = d->span.level - 1 + pages;
    if (d->span.entry)
        return true;
    if (!frames_are_available(c, d->frames_needed))
        return false;
    d->span = table_make(c, d->process, d->page, TABLE_FOR_FAULT);
    return d->span.entry != NULL;
}

/*
 * Make room for the mark of a page that is about to be written, in a watched region, if there are
 * frames for it, for the tables and for `pages` more, as make_tables does. False on shortage.
 */
static bool make_mark_room(struct call *c, struct door *d, uint32_t pages)
{
    bool is_there = watch_has_room(c, d->process, d->page);
    d->frames_needed = 1 + d->span.level - 1 + pages;
    d->has_mark = is_there || (frames_are_available(c, d->frames_needed) &&
                               watch_make_room(c, d->process, d->page));
    return d->has_mark;
}

/* The page of a fault that is over was written, or was not. */
static void end_mark(struct call *c, struct door *d, ntmm_status status)
{
    if (status == NTMM_STATUS_SUCCESS)
        watch_mark(c, d->process, d->page);
    else
        watch_drop_room(c, d->process, d->page);
}

static ntmm_status resolve_demand_zero(struct call *c, struct door *d, uint32_t protection)
{
    struct process *process = d->process;
    uint64_t frame;

    if (!door_make_tables(c, d, 1) || !frame_allocate_zeroed(c, NTMM_USE_PRIVATE, &frame))
        return door_give_up(c, d);
    uint64_t lost = entry_value(c, load64_relaxed(d->span.entry)) & ENTRY_LOST;
    entry_own(c, pfn_at(c, frame), d->span.entry, entry_software(protection) | lost);
    entry_make_valid(c, d->span.table, d->span.entry,
                     entry_hardware(frame, protection, d->access == DOOR_WRITE));
    process_add_peak(&process->working_set_pages, &process->working_set_peak, 1);
    return door_resolved(d, NTMM_FAULT_KIND_DEMAND_ZERO, NTMM_COUNTER_DEMAND_ZERO_FAULTS);
}

/* (F) of the frame is held, and released. */
static ntmm_status resolve_transition(struct call *c, struct door *d, uint64_t frame,
                                      uint32_t protection)
{
    struct process *process = d->process;
    bool is_write = d->access == DOOR_WRITE;

    if (pfn_is_being_read(pfn_at(c, frame)))
        return door_join_read(c, d, frame);
    frame_reactivate(c, frame);
    entry_make_valid(c, d->span.table, d->span.entry, entry_hardware(frame, protection, is_write));
    if (is_write)
        frame_mark_modified(c, frame);
    frame_unlock(c, frame);
    process_add_peak(&process->working_set_pages, &process->working_set_peak, 1);
    if (d->wait->flags & WAIT_IS_HARD)
        return door_resolved(d, NTMM_FAULT_KIND_HARD, NTMM_COUNTER_HARD_FAULTS);
    return door_resolved(d, NTMM_FAULT_KIND_TRANSITION, NTMM_COUNTER_TRANSITION_FAULTS);
}

static bool is_watched(struct call *c, struct door *d)
{
    return vad_is_watched(vad_find(c, d->process, d->page));
}

/* The first write of a clean writable page. Only this fault sets Dirty1, under (W). */
static ntmm_status make_dirty(struct call *c, struct door *d, le64 *entry, uint64_t seen)
{
    const uint64_t dirty = FIELD_MASK(HW_DIRTY1) | FIELD_MASK(HW_DIRTY) | FIELD_MASK(HW_ACCESSED);
    if (__builtin_expect(get32(&d->process->has_watch) != 0, 0) && is_watched(c, d) &&
        !make_mark_room(c, d, 0))
        return door_give_up(c, d);
    while (!cas64(entry, &seen, seen | dirty)) {
    }
    frame_make_modified(c, field_get(seen, HW_FRAME));
    return door_resolved(d, NTMM_FAULT_KIND_MAKE_DIRTY, NTMM_COUNTER_MAKE_DIRTY_FAULTS);
}

static ntmm_status resolve_valid(struct call *c, struct door *d, le64 *entry, uint64_t raw)
{
    bool is_refused = d->access == DOOR_EXECUTE && (raw & FIELD_MASK(HW_NO_EXECUTE));
    if (d->access == DOOR_WRITE && !(raw & FIELD_MASK(HW_DIRTY1))) {
        if (raw & FIELD_MASK(HW_WRITE))
            return make_dirty(c, d, entry, raw);
        if (raw & FIELD_MASK(HW_COPY_ON_WRITE))
            return door_copy_on_write(c, d, entry, raw);
        is_refused = true;
    }
    if (is_refused || !(raw & FIELD_MASK(HW_OWNER)))
        return door_raise(c, d, NTMM_STATUS_ACCESS_VIOLATION);
    return door_resolved(d, NTMM_FAULT_KIND_SPURIOUS, NTMM_COUNTER_SPURIOUS_FAULTS);
}

/* The first access to a guard page: the guard goes, for good, and the access is not made. */
ntmm_status door_consume_guard(struct call *c, struct door *d, struct vad *vad, uint32_t protection)
{
    const struct ntmm_thread_stack *stack = d->request->stack;
    uint64_t va = d->request->address;
    bool is_stack = stack && va >= stack->deallocation_stack && va < stack->stack_base;

    ntmm_status status = is_stack ? door_bring_stack(c, d, vad) : NTMM_STATUS_SUCCESS;

    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (!door_make_tables(c, d, 0))
        return door_give_up(c, d);
    uint32_t bare = protection_in_region(protection & PROT_ACCESS_MASK, get32(&vad->protection));
    if (vad_is_view(vad) && !view_entry_is_private(c, load64_relaxed(d->span.entry)))
        entry_write(c, d->span.table, d->span.entry, entry_prototype(bare));
    else
        entry_reprotect(c, d->span.table, d->span.entry, bare);
    process_count(d->process, NTMM_COUNTER_GUARD_FAULTS, 1);
    if (is_stack)
        return door_grow_stack(c, d, vad);
    return door_raise(c, d, NTMM_STATUS_GUARD_PAGE_VIOLATION);
}

/* An entry that is not valid, of a page that is committed. */
static ntmm_status resolve_committed(struct call *c, struct door *d, struct vad *vad, uint64_t raw,
                                     uint32_t protection)
{
    if (!door_is_allowed(d, protection))
        return door_raise(c, d, NTMM_STATUS_ACCESS_VIOLATION);
    if (protection_is_guard(protection))
        return door_consume_guard(c, d, vad, protection);
    bool is_marked = d->access == DOOR_WRITE && vad_is_watched(vad);
    enum pte_kind kind = entry_kind(c, raw);
    if (is_marked && kind != PTE_PAGEFILE && !make_mark_room(c, d, kind != PTE_TRANSITION))
        return door_give_up(c, d);
    if (kind == PTE_TRANSITION) {
        uint64_t frame = entry_lock_transition(c, d->span.entry);
        if (frame != FRAME_NONE)
            return resolve_transition(c, d, frame, protection);
        raw = load64_relaxed(d->span.entry); /* its frame was taken: what it was before */
    }
    if (entry_kind(c, raw) == PTE_PAGEFILE)
        return door_resolve_page_file(c, d);
    return resolve_demand_zero(c, d, protection);
}

/* The process pages against itself. Source: nt_semantics 3.10, 8. */
static bool is_at_hard_maximum(const struct process *process)
{
    return (get32(&process->limit_flags) & LIMIT_HARD_MAXIMUM) &&
           get64(&process->working_set_pages) >= get64(&process->working_set_maximum);
}

/* Whether pages of a working set at its hard maximum went, and tables perhaps with them. */
static bool has_made_room(struct call *c, struct process *process)
{
    return __builtin_expect(is_at_hard_maximum(process), 0) && balance_make_room(c, process) != 0;
}

static ntmm_status resolve_user(struct call *c, struct door *d)
{
    d->span = table_find(c, d->process, d->page);
    if (__builtin_expect(d->span.is_out, 0)) {
        ntmm_status status = door_resolve_tables(c, d);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
    }
    if (__builtin_expect(d->span.is_large, 0))
        return resolve_valid(c, d, d->span.upper, load64_relaxed(d->span.upper));
    uint64_t raw = d->span.entry ? load64_relaxed(d->span.entry) : 0;

    switch (entry_kind(c, raw)) {
    case PTE_VALID:
        return resolve_valid(c, d, d->span.entry, raw);
    case PTE_ZERO:
    case PTE_DEMAND_ZERO:
    case PTE_PAGEFILE:
    case PTE_TRANSITION: {
        struct vad *vad = vad_find(c, d->process, d->page);
        if (!vad)
            break;
        if (raw == 0 && vad_is_view(vad))
            return has_made_room(c, d->process) ? resolve_user(c, d)
                                                : door_resolve_view(c, d, vad, raw);
        struct page_state state = page_state_of(c, vad, raw);
        if (!state.is_committed)
            break;
        if (has_made_room(c, d->process))
            return resolve_user(c, d);
        return resolve_committed(c, d, vad, raw, state.protection);
    }
    case PTE_DECOMMITTED:
    case PTE_NO_ACCESS:
        break;
    case PTE_PROTOTYPE:
        if (has_made_room(c, d->process) || door_take_back(c, d, raw))
            return resolve_user(c, d);
        return door_resolve_prototype(c, d, raw);
    case PTE_LARGE:
        NTMM_ASSERT(false);
        return NTMM_STATUS_INTERNAL_ERROR;
    }
    return door_raise(c, d, NTMM_STATUS_ACCESS_VIOLATION);
}

/* Whether the fault brought a page into the working set. */
static bool has_brought_page(const struct door *d)
{
    enum ntmm_fault_kind kind = d->result->kind;
    return kind == NTMM_FAULT_KIND_DEMAND_ZERO || kind == NTMM_FAULT_KIND_TRANSITION ||
           kind == NTMM_FAULT_KIND_HARD || kind == NTMM_FAULT_KIND_COPY_ON_WRITE;
}

/* Somebody watches the working set. */
static void log_fault(struct call *c, const struct door *d)
{
    const struct ntmm_fault_request *request = d->request;
    uint64_t is_soft = d->result->kind != NTMM_FAULT_KIND_HARD;
    fault_log_add(c, d->process, request->instruction, (request->address & ~1ull) | is_soft,
                  request->thread);
}

ntmm_status door_resolve(struct call *c, struct process *process,
                         const struct ntmm_fault_request *request, struct ntmm_wait *wait,
                         struct ntmm_fault_result *result)
{
    struct door d = {
        .request = request,
        .result = result,
        .wait = wait,
        .process = process,
        .page = request->address >> NTMM_PAGE_SHIFT,
        .access = door_access(request),
    };
    ntmm_status status = request->address < NTMM_USER_PROBE_ADDRESS
                             ? resolve_user(c, &d)
                             : door_raise(c, &d, NTMM_STATUS_ACCESS_VIOLATION);
    if (d.has_mark)
        end_mark(c, &d, status);
    if (__builtin_expect(fault_log_is_kept(process), 0) && status == NTMM_STATUS_SUCCESS &&
        has_brought_page(&d))
        log_fault(c, &d);
    if (status != NTMM_STATUS_PENDING)
        process_count(process, NTMM_COUNTER_PAGE_FAULTS, 1);
    else
        door_want_beside_tables(c, process, d.page);
    if (c->zeroed_inline)
        process_count(process, NTMM_COUNTER_FRAMES_ZEROED_INLINE, c->zeroed_inline);
    c->zeroed_inline = 0;
    event_note(c, NTMM_EVENT_FAULT, get64(&process->handle), request->address, result->kind,
               request->error_code);
    return status;
}
