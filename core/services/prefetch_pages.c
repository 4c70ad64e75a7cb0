/*
 * The pages of a prefetch. See prefetch.h.
 *
 *   private page     its entry names a slot: read in place; or a prototype that clones share, which
 *                    does
 *   page of a view   copied: as private
 *                    otherwise its prototype says: of the file, or a slot; the prototype becomes
 *                    transition, the entry of the view stays as it is
 *
 * So a page of an image is read and relocated for all who map it, and whether this view grants
 * anything does not matter. Tables of prototypes are made where the file has bytes; the view's are
 * not. Nothing here waits. Source: nt_semantics 3.7.
 */
#include "base/bits.h"
#include "paging/transfers.h"
#include "section/view.h"
#include "services/prefetch.h"
#include "space/clone_page.h"
#include "space/protection.h"

/* A piece of a range that is looked at with one hold of (W). */
struct piece {
    struct process *process;
    const struct vad *vad;  /* region of the pages */
    uint64_t page;          /* to be looked at */
    uint64_t end;           /* of the range, in the region */
    struct table_span span; /* of the process's table */
    uint32_t spans;         /* looked at so far */
    struct transfer_block *found;
};

/* The next table of the region from p->page on; false: there is none, or it is out. */
static bool next_span(struct call *c, struct piece *p)
{
    if (p->page >= p->end || p->spans++ >= PREFETCH_SPANS)
        return false;
    p->span = table_find(c, p->process, p->page);
    if (p->span.is_out)
        c->want = (struct want){.kind = WANT_TABLE, .page = p->page};
    p->span.end = min_u64(p->span.end, p->end);
    return !p->span.is_out;
}

/* The next region that meets [page, end). */
static bool next_region(struct call *c, struct piece *p, uint64_t end)
{
    struct gap_range range;
    if (p->page >= end || !gap_tree_find_at_or_after(c->bias, &p->process->vads, p->page, &range) ||
        range.start >= end)
        return false;
    p->vad = vad_at(c, range.ref);
    p->page = max_u64(p->page, range.start);
    p->end = min_u64(range.end, end);
    return true;
}

static uint32_t cluster_of(const struct piece *p)
{
    return (uint32_t)min_u64(p->span.end - p->page, LARGE_READ_PAGES);
}

/* --- reading --- */

static void read_slot(struct call *c, struct piece *p, struct pfn *table, le64 *entry,
                      enum ntmm_frame_use use)
{
    const struct inpage_request request = {
        .table = table, .entry = entry, .use = use, .cluster = cluster_of(p), .is_prefetch = true};
    uint32_t pages = 0;
    p->found = inpage_begin(c, &request, &pages);
    process_count(p->process, NTMM_COUNTER_PAGES_READ, pages);
}

static void read_file(struct call *c, struct piece *p, struct control_area *area,
                      const struct prototype_span *at, uint64_t prototype)
{
    const struct mapped_request request = {.area = area,
                                           .table = at->table,
                                           .entry = at->entry,
                                           .page = prototype,
                                           .cluster = cluster_of(p),
                                           .is_prefetch = true};
    uint32_t pages = 0;
    p->found = mapped_read_begin(c, &request, &pages);
    process_count(p->process, NTMM_COUNTER_PAGES_READ, pages);
}

/* What a prototype is, and where: at->entry is NULL when there is no table. (X) is held. */
static uint64_t look_at_prototype(struct call *c, struct control_area *area, uint64_t prototype,
                                  struct prototype_span *at)
{
    *at = prototype_find(c, area, prototype);
    return at->entry ? load64_acquire(at->entry) : 0;
}

/* The value of a prototype that no frame has, or 0. */
static uint64_t value_out(struct call *c, const struct control_area *area, uint64_t prototype,
                          uint64_t raw)
{
    enum pte_kind kind = entry_kind(c, raw);
    if (prototype >= get64(&area->pages) || kind == PTE_VALID || kind == PTE_TRANSITION)
        return 0;
    return raw ? entry_value(c, raw) : prototype_default(c, area, prototype);
}

/* Whether that value has bytes on a device. */
static bool has_backing(struct call *c, const struct control_area *area, uint64_t prototype,
                        uint64_t value)
{
    uint64_t offset;
    if (entry_is_of_file(value))
        return area_backing(c, area, prototype, value, &offset) != 0;
    return slot_of(value) != 0;
}

/* A page of a view that no frame has. (X) is held. */
static void read_prototype(struct call *c, struct piece *p, struct control_area *area)
{
    struct prototype_span at;
    uint64_t prototype = view_prototype(p->vad, p->page);
    uint64_t raw = look_at_prototype(c, area, prototype, &at);
    uint64_t value = value_out(c, area, prototype, raw);
    if (prototype_is_out(&at))
        c->want = (struct want){.kind = WANT_TABLE, .page = p->page, .is_prototype = true};
    if (prototype_is_out(&at) || !has_backing(c, area, prototype, value))
        return;
    bool is_new = !at.entry;
    if (is_new)
        at = prototype_make(c, area, prototype, TABLE_FOR_SERVICE, 1);
    if (!at.entry)
        return;
    if (entry_is_of_file(value))
        read_file(c, p, area, &at, prototype);
    else
        read_slot(c, p, at.table, at.entry, NTMM_USE_SECTION);
    if (is_new && !p->found)
        prototype_prune_range(c, area, prototype, prototype + 1);
}

/* Whether a slot has a private page. */
static bool is_in_page_file(const struct call *c, uint64_t raw)
{
    return entry_kind(c, raw) == PTE_PAGEFILE && !entry_is_damaged(entry_value(c, raw));
}

/* A page that clones share, and that is not valid here: read for all of them. */
static void read_cloned(struct call *c, struct piece *p, uint64_t raw)
{
    uint64_t address = clone_page_prototype(c, raw);
    struct clone_block *block = clone_block_of(c, address);
    le64 *prototype = core_at(c->bias, address);
    clone_block_lock(c, block);
    if (is_in_page_file(c, load64_acquire(prototype)))
        read_slot(c, p, pfn_at(c, ref_frame(c, address)), prototype, NTMM_USE_SECTION);
    clone_block_unlock(c, block);
}

/* A private page that is not in memory. */
static void read_private(struct call *c, struct piece *p, le64 *entry, uint64_t raw)
{
    if (is_in_page_file(c, raw))
        read_slot(c, p, p->span.table, entry, NTMM_USE_PRIVATE);
    else if (!(raw & FIELD_MASK(HW_VALID)) && clone_page_is(c, raw))
        read_cloned(c, p, raw);
}

/* Look at a page; p->found or c->want say what came of it. (X) of a view's area is held, and given
 * up for a private page, whose block has an (X) of its own. */
static void read_page(struct call *c, struct piece *p, le64 *entry, struct control_area *area)
{
    uint64_t raw = entry ? load64_relaxed(entry) : 0;
    bool is_private = !area || view_entry_is_private(c, raw);
    if (!is_private && !(raw & FIELD_MASK(HW_VALID)))
        read_prototype(c, p, area);
    if (!is_private)
        return;
    if (area)
        area_unlock(c, area);
    read_private(c, p, entry, raw);
    if (area)
        area_lock(c, area);
}

/* The pages of p->span, as far as the first that is read. */
static void read_span(struct call *c, struct piece *p)
{
    struct control_area *area = vad_is_view(p->vad) ? view_area(c, p->vad) : NULL;
    le64 *entry = p->span.entry;
    if (!entry && !area)
        p->page = p->span.end;
    if (area)
        area_lock(c, area);
    while (p->page < p->span.end && !p->found && c->want.kind == WANT_NOTHING) {
        read_page(c, p, entry, area);
        if (c->want.kind != WANT_NOTHING)
            break;
        p->page++;
        if (entry)
            entry++;
    }
    if (area)
        area_unlock(c, area);
}

struct transfer_block *prefetch_begin_read(struct call *c, struct process *process, uint64_t *page,
                                           uint64_t end)
{
    struct piece p = {.process = process, .page = *page};
    bool has_more = true;
    while (has_more && !p.found && c->want.kind == WANT_NOTHING && p.spans < PREFETCH_SPANS) {
        has_more = next_region(c, &p, end);
        while (has_more && !p.found && c->want.kind == WANT_NOTHING && next_span(c, &p))
            read_span(c, &p);
    }
    *page = has_more ? p.page : end;
    return p.found;
}

/* --- into the working set --- */

static bool is_private_waiting(const struct call *c, uint64_t raw)
{
    enum pte_kind kind = entry_kind(c, raw);
    if (!is_in_page_file(c, raw) && kind != PTE_TRANSITION && kind != PTE_PROTOTYPE)
        return false;
    return protection_is_mappable((uint32_t)field_get(entry_value(c, raw), SW_PROTECTION));
}

/* Whether a page that is not valid has contents, and may be brought in without a trace. */
static bool is_waiting(struct call *c, const struct piece *p, uint64_t raw)
{
    if (!vad_is_view(p->vad) || view_entry_is_private(c, raw))
        return is_private_waiting(c, raw);
    struct page_state state = view_state_of(c, p->vad, p->page, raw);
    if (raw & FIELD_MASK(HW_VALID) || !state.is_committed ||
        !protection_is_mappable(state.protection))
        return false;
    struct prototype_span at;
    struct control_area *area = view_area(c, p->vad);
    uint64_t prototype = view_prototype(p->vad, p->page);
    area_lock(c, area);
    uint64_t found = look_at_prototype(c, area, prototype, &at);
    enum pte_kind kind = entry_kind(c, found);
    bool has_contents = !prototype_is_out(&at) && /* else: its pages came to nothing */
                        (kind == PTE_VALID || kind == PTE_TRANSITION ||
                         has_backing(c, area, prototype, value_out(c, area, prototype, found)));
    area_unlock(c, area);
    return has_contents;
}

/* In p->span. */
static bool find_in_span(struct call *c, struct piece *p)
{
    const le64 *entry = p->span.entry;
    if (!entry && !vad_is_view(p->vad))
        p->page = p->span.end;
    for (; p->page < p->span.end; p->page++) {
        if (is_waiting(c, p, entry ? load64_relaxed(entry) : 0))
            return true;
        if (entry)
            entry++;
    }
    return false;
}

bool prefetch_find_waiting(struct call *c, struct process *process, uint64_t *page, uint64_t end)
{
    struct piece p = {.process = process, .page = *page};
    bool has_more = true, is_found = false;
    while (has_more && !is_found && p.spans < PREFETCH_SPANS) {
        has_more = next_region(c, &p, end);
        while (has_more && !is_found && p.page < p.end && p.spans < PREFETCH_SPANS) {
            if (next_span(c, &p))
                is_found = find_in_span(c, &p);
            else
                p.page = p.span.end; /* a table that is out: its pages came to nothing */
        }
    }
    *page = has_more ? p.page + is_found : end;
    c->want = (struct want){.kind = WANT_NOTHING};
    return is_found;
}
