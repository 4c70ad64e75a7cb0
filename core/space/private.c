/*
 * Reserve, commit, protect and query private memory. See private.h; freeing stands in release.c.
 */
#include "space/private.h"
#include "base/bits.h"
#include "space/borrowed.h"
#include "space/clone_page.h"
#include "space/job.h"
#include "space/protection.h"
#include "space/watch.h"

struct page_state page_state_of(const struct call *c, const struct vad *vad, uint64_t entry)
{
    uint64_t value = entry_value(c, entry);
    switch (entry_kind(c, entry)) {
    case PTE_ZERO:
        return (struct page_state){.is_committed = vad_is_committed_by_default(vad),
                                   .protection = get32(&vad->protection)};
    case PTE_DECOMMITTED:
        return (struct page_state){.is_committed = false};
    case PTE_VALID: {
        if (entry & (ENTRY_BORROWED | ENTRY_SHARED))
            return (struct page_state){true, entry_own_protection(entry)};
        const struct pfn *pfn = pfn_at(c, field_get(entry, HW_FRAME));
        uint64_t original = load64_relaxed(&pfn->original_pte);
        return (struct page_state){true, (uint32_t)field_get(original, SW_PROTECTION)};
    }
    case PTE_DEMAND_ZERO:
    case PTE_NO_ACCESS:
    case PTE_PAGEFILE:
    case PTE_TRANSITION:
    case PTE_PROTOTYPE:
    case PTE_LARGE:
        break;
    }
    return (struct page_state){true, (uint32_t)field_get(value, SW_PROTECTION)};
}

/* State of a page whose table is not out. */
static struct page_state page_state_at(struct call *c, struct process *process,
                                       const struct vad *vad, uint64_t page)
{
    struct table_span span = table_find(c, process, page);
    return page_state_of(c, vad, span.entry ? load64_relaxed(span.entry) : 0);
}

ntmm_status private_reserve(struct call *c, struct process *process, const struct vad_place *place,
                            uint32_t protection, uint32_t win32, bool is_committed)
{
    uint64_t pages = place->end - place->start;
    uint64_t committed = is_committed ? pages : 0;
    ntmm_status status = charge_private(c, process, committed);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    struct vad *vad = vad_create(c, process, place);
    if (!vad) {
        return_private(c, process, committed);
        return want_status(c);
    }
    set32(&vad->type, VAD_PRIVATE);
    set32(&vad->flags, is_committed ? VAD_MEM_COMMIT : 0);
    set32(&vad->protection, protection);
    set32(&vad->win32_protection, win32);
    set64(&vad->commit_pages, committed);
    set64(&vad->detail, 0);
    process_add_peak(&process->virtual_pages, &process->virtual_peak, pages);
    return NTMM_STATUS_SUCCESS;
}

/* Pages of [start, end) that are committed. */
static uint64_t count_committed(struct call *c, struct process *process, const struct vad *vad,
                                uint64_t start, uint64_t end)
{
    uint64_t committed = 0;
    for (uint64_t page = start; page < end;) {
        struct table_span span = table_find(c, process, page);
        uint64_t stop = min_u64(span.end, end);
        if (!span.entry && vad_is_committed_by_default(vad))
            committed += stop - page;
        for (uint64_t i = 0; span.entry && i < stop - page; i++)
            committed += page_state_of(c, vad, load64_relaxed(&span.entry[i])).is_committed;
        page = stop;
    }
    return committed;
}

/* A valid page takes a protection under which it may stay valid. */
static void reprotect_valid(struct call *c, le64 *entry, uint64_t page, uint32_t protection,
                            struct gather *g)
{
    const uint64_t kept = FIELD_MASK(HW_ACCESSED) | FIELD_MASK(HW_DIRTY) | FIELD_MASK(HW_AGE) |
                          FIELD_MASK(HW_SOFTWARE);
    uint64_t old = load64_relaxed(entry);
    uint64_t frame = field_get(old, HW_FRAME);
    uint64_t new;
    do {
        bool is_dirty = (old & FIELD_MASK(HW_DIRTY)) != 0;
        new = (entry_hardware(frame, protection, is_dirty) & ~kept) | (old & kept);
    } while (!cas64(entry, &old, new));
    frame_set_protection(c, frame, protection);
    bool is_narrower = (old & ~new) != 0 || (new & ~old &FIELD_MASK(HW_NO_EXECUTE)) != 0;
    if (is_narrower)
        gather_range(g, page, page + 1);
}

/* It is committed, or being committed. */
void private_protect_page(struct call *c, struct process *process, struct table_span *span,
                          uint64_t index, uint64_t page, uint32_t protection, struct gather *g)
{
    le64 *entry = &span->entry[index];
    uint64_t raw = load64_relaxed(entry);
    enum pte_kind kind = entry_kind(c, raw);

    if (kind == PTE_VALID && protection_is_mappable(protection) && !(raw & ENTRY_CLONED)) {
        reprotect_valid(c, entry, page, protection, g);
    } else if (kind == PTE_VALID && (raw & ENTRY_CLONED)) {
        clone_page_protect(c, process, span->table, entry, page, protection, g);
    } else if (kind == PTE_VALID) {
        uint64_t frame = field_get(raw, HW_FRAME);
        entry_withdraw(c, process, span->table, entry, page, entry_transition(protection, frame),
                       g);
        frame_set_protection(c, frame, protection);
        chain_add(c, &g->trimmed, frame);
    } else {
        entry_reprotect(c, span->table, entry, protection);
    }
}

/* Apply a protection to all of [start, end), whose tables exist where they are needed. */
static __attribute__((flatten)) void reprotect_range(struct call *c, struct process *process,
                                                     const struct vad *vad, uint64_t start,
                                                     uint64_t end, uint32_t protection)
{
    struct gather g;
    gather_begin(&g, process, NTMM_SHOOTDOWN_PROTECT);
    uint32_t region = get32(&vad->protection);

    for (uint64_t page = start; page < end;) {
        struct table_span span = table_find(c, process, page);
        uint64_t stop = min_u64(span.end, end);
        for (uint64_t i = 0; span.entry && i < stop - page; i++) {
            bool is_default = load64_relaxed(&span.entry[i]) == 0 && protection == region &&
                              vad_is_committed_by_default(vad);
            if (!is_default)
                private_protect_page(c, process, &span, i, page + i, protection, &g);
        }
        page = stop;
    }
    gather_finish(c, process, &g);
}

/* Whether a page whose entry is 0 already is committed with this protection. */
static bool is_default_state(const struct vad *vad, uint32_t protection)
{
    return vad_is_committed_by_default(vad) && protection == get32(&vad->protection);
}

/* A whole region that was never committed takes its own protection: a flag says it all. */
static bool can_commit_by_flag(const struct vad *vad, uint64_t start, uint64_t end,
                               uint32_t protection)
{
    return start == vad_start(vad) && end == vad_end(vad) && get64(&vad->commit_pages) == 0 &&
           !vad_is_committed_by_default(vad) && protection == get32(&vad->protection);
}

ntmm_status private_commit(struct call *c, struct process *process, struct vad *vad, uint64_t start,
                           uint64_t end, uint32_t protection)
{
    uint32_t code = protection_in_region(protection, get32(&vad->protection));
    if (!tables_are_present(c, process, start, end))
        return want_status(c);
    uint64_t added = end - start - count_committed(c, process, vad, start, end);
    bool is_by_flag = can_commit_by_flag(vad, start, end, code);

    ntmm_status status = charge_private(c, process, added);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (!is_by_flag && !is_default_state(vad, code) && !table_make_range(c, process, start, end)) {
        return_private(c, process, added);
        return want_status(c);
    }
    set64(&vad->commit_pages, get64(&vad->commit_pages) + added);
    if (is_by_flag)
        set32(&vad->flags, get32(&vad->flags) | VAD_MEM_COMMIT);
    else
        reprotect_range(c, process, vad, start, end, code);
    return NTMM_STATUS_SUCCESS;
}

ntmm_status private_protect(struct call *c, struct process *process, struct vad *vad,
                            uint64_t start, uint64_t end, uint32_t protection, uint32_t *old)
{
    uint32_t code = protection_in_region(protection, get32(&vad->protection));
    if (!tables_are_present(c, process, start, end))
        return want_status(c);
    struct page_state first = page_state_at(c, process, vad, start);
    if (!first.is_committed ||
        count_committed(c, process, vad, start + 1, end) != end - (start + 1))
        return NTMM_STATUS_NOT_COMMITTED;
    if (!is_default_state(vad, code) && !table_make_range(c, process, start, end))
        return want_status(c);
    *old = first.protection;
    reprotect_range(c, process, vad, start, end, code);
    if (vad_is_watched(vad))
        watch_latch(c, process, start, end);
    return NTMM_STATUS_SUCCESS;
}

static bool is_same_state(struct page_state a, struct page_state b)
{
    return a.is_committed == b.is_committed && (!a.is_committed || a.protection == b.protection);
}

struct page_state private_query(struct call *c, struct process *process, const struct vad *vad,
                                uint64_t page, uint64_t limit, uint64_t *end)
{
    struct page_state first = {0};
    bool is_first = true;
    uint64_t stop = min_u64(limit, vad_end(vad));

    while (page < stop) {
        struct table_span span = table_find(c, process, page);
        if (span.is_out) {
            c->want = (struct want){.kind = WANT_TABLE, .page = page};
            break;
        }
        uint64_t span_end = min_u64(span.end, stop);
        uint64_t entries = span.entry ? span_end - page : 1;
        for (uint64_t i = 0; i < entries; i++) {
            uint64_t raw = span.entry      ? load64_relaxed(&span.entry[i])
                           : span.is_large ? load64_relaxed(span.upper)
                                           : 0;
            struct page_state state = page_state_of(c, vad, raw);
            if (is_first)
                first = state;
            is_first = false;
            if (!is_same_state(first, state)) {
                *end = page + i;
                return first;
            }
        }
        page = span_end;
    }
    *end = page;
    return first;
}
