/*
 * Tables of prototype entries: finding, making and freeing them. See prototype.h.
 */
#include "section/prototype.h"
#include "base/bits.h"

#define TABLE_BITS                                                                                 \
    (FIELD_MASK(HW_VALID) | FIELD_MASK(HW_DIRTY1) | FIELD_MASK(HW_ACCESSED) |                      \
     FIELD_MASK(HW_DIRTY) | FIELD_MASK(HW_WRITE))

static uint64_t index_of(uint64_t page, uint32_t level)
{
    return page >> (9 * (level - 1)) & (NTMM_ENTRIES_PER_TABLE - 1);
}

uint32_t prototype_levels(uint64_t pages)
{
    uint32_t levels = 1;
    while (levels < 4 && pages > 1ull << 9 * levels)
        levels++;
    return levels;
}

static struct prototype_span missing(uint64_t page, uint32_t level)
{
    uint64_t width = 1ull << 9 * level;
    return (struct prototype_span){.end = round_down(page, width) + width};
}

struct prototype_span prototype_find(struct call *c, struct control_area *area, uint64_t page)
{
    uint64_t frame = get64(&area->root_frame);
    uint32_t level = get32(&area->levels);
    if (frame == FRAME_NONE)
        return missing(page, level);
    for (; level > 1; level--) {
        const le64 *table = table_at(c, frame);
        uint64_t entry = get64(&table[index_of(page, level)]);
        if (entry == 0)
            return missing(page, level - 1);
        frame = field_get(entry, HW_FRAME);
    }
    return (struct prototype_span){
        .entry = (le64 *)table_at(c, frame) + index_of(page, 1),
        .table = pfn_at(c, frame),
        .end = (page | (NTMM_ENTRIES_PER_TABLE - 1)) + 1,
    };
}

static bool charge(struct call *c, enum table_payer payer)
{
    uint64_t overdrawn;
    if (payer == TABLE_FOR_SERVICE)
        return commit_charge(c, 1);
    if (!commit_charge_fault(c, 1, &overdrawn))
        return false;
    system_count(c, NTMM_COUNTER_COMMIT_OVERDRAFTS, overdrawn);
    return true;
}

/* A table whose parent entry has an address; 0: it is a root. FRAME_NONE with c->want set. */
static uint64_t new_table(struct call *c, struct control_area *area, uint64_t entry_address,
                          enum table_payer payer)
{
    uint64_t frame;
    if (!charge(c, payer))
        return FRAME_NONE;
    if (!frame_allocate_zeroed(c, NTMM_USE_PROTOTYPE, &frame)) {
        commit_return(c, 1);
        return FRAME_NONE;
    }
    struct pfn *pfn = pfn_at(c, frame);
    set64(&pfn->entry_address, entry_address);
    set64(&pfn->table_frame, entry_address ? ref_frame(c, entry_address) : frame);
    set64(&area->commit_pages, get64(&area->commit_pages) + 1);
    set64(&area->table_pages, get64(&area->table_pages) + 1);
    (void)add64(&partition_of(c)->area_tables, 1);
    return frame;
}

static void free_table(struct call *c, struct control_area *area, uint64_t frame)
{
    frame_free(c, frame);
    commit_return(c, 1);
    set64(&area->commit_pages, get64(&area->commit_pages) - 1);
    set64(&area->table_pages, get64(&area->table_pages) - 1);
    (void)add64(&partition_of(c)->area_tables, ~0ull);
}

/* The table below an entry of a table, made if it is missing. FRAME_NONE with c->want set. */
static uint64_t make_child(struct call *c, struct control_area *area, uint64_t parent,
                           uint64_t index, enum table_payer payer)
{
    le64 *entry = (le64 *)table_at(c, parent) + index;
    if (get64(entry) != 0)
        return field_get(get64(entry), HW_FRAME);
    uint64_t address = frame_ref(c, parent) + index * sizeof(le64);
    uint64_t frame = new_table(c, area, address, payer);
    if (frame == FRAME_NONE)
        return FRAME_NONE;
    pfn_add_used(pfn_at(c, parent), 1);
    pfn_add_share(pfn_at(c, parent), 1);
    set64(entry, TABLE_BITS | frame << NTMM_PAGE_SHIFT);
    return frame;
}

struct prototype_span prototype_make(struct call *c, struct control_area *area, uint64_t page,
                                     enum table_payer payer)
{
    uint64_t frame = get64(&area->root_frame);
    if (frame == FRAME_NONE) {
        frame = new_table(c, area, 0, payer);
        set64(&area->root_frame, frame);
    }
    for (uint32_t level = get32(&area->levels); level > 1 && frame != FRAME_NONE; level--)
        frame = make_child(c, area, frame, index_of(page, level), payer);
    if (frame == FRAME_NONE)
        return (struct prototype_span){.end = page + 1};
    return prototype_find(c, area, page);
}

bool prototype_make_range(struct call *c, struct control_area *area, uint64_t start, uint64_t end)
{
    for (uint64_t page = start; page < end;) {
        struct prototype_span span = prototype_make(c, area, page, TABLE_FOR_SERVICE);
        if (!span.entry)
            return false;
        page = span.end;
    }
    return true;
}

uint64_t prototype_page(const struct call *c, uint64_t entry_address)
{
    uint64_t page = 0;
    uint32_t shift = 0;
    while (entry_address) {
        page |= ((entry_address & (NTMM_PAGE_SIZE - 1)) / sizeof(le64)) << shift;
        shift += 9;
        entry_address = get64(&pfn_at(c, ref_frame(c, entry_address))->entry_address);
    }
    return page;
}

/* A table above the root, which becomes its first child. */
static bool raise_root(struct call *c, struct control_area *area)
{
    uint64_t old = get64(&area->root_frame);
    uint64_t root = new_table(c, area, 0, TABLE_FOR_SERVICE);
    if (root == FRAME_NONE)
        return false;
    struct pfn *pfn = pfn_at(c, old);
    set64(&pfn->entry_address, frame_ref(c, root));
    set64(&pfn->table_frame, (get64(&pfn->table_frame) & ~FRAME_NONE) | root);
    set64(table_at(c, root), TABLE_BITS | old << NTMM_PAGE_SHIFT);
    pfn_add_used(pfn_at(c, root), 1);
    pfn_add_share(pfn_at(c, root), 1);
    set64(&area->root_frame, root);
    return true;
}

bool prototype_grow(struct call *c, struct control_area *area, uint64_t pages)
{
    uint32_t levels = prototype_levels(pages);
    while (get32(&area->levels) < levels) {
        if (get64(&area->root_frame) != FRAME_NONE && !raise_root(c, area))
            return false;
        set32(&area->levels, get32(&area->levels) + 1);
    }
    return true;
}

/* A table, and those below it, none of which has an entry that names a page; the depth is that of
 * the tree. */
static void free_below(struct call *c, struct control_area *area, uint64_t frame, uint32_t level)
{
    le64 *table = table_at(c, frame);
    for (uint32_t i = 0; level > 1 && i < NTMM_ENTRIES_PER_TABLE; i++) {
        uint64_t entry = get64(&table[i]);
        if (!entry)
            continue;
        free_below(c, area, field_get(entry, HW_FRAME), level - 1);
        set64(&table[i], 0);
        pfn_add_share(pfn_at(c, frame), -1);
    }
    pfn_wait_for_last_share(c, pfn_at(c, frame));
    free_table(c, area, frame);
}

void prototype_free_tables(struct call *c, struct control_area *area)
{
    uint64_t root = get64(&area->root_frame);
    if (root == FRAME_NONE)
        return;
    free_below(c, area, root, get32(&area->levels));
    set64(&area->root_frame, FRAME_NONE);
}

uint64_t prototype_default(const struct call *c, const struct control_area *area, uint64_t page)
{
    if (!area_is(area, AREA_OF_FILE))
        return area_is(area, AREA_RESERVE) ? 0 : entry_software(get32(&area->protection));
    const struct subsection *subsection = area_subsection(c, area, page);
    return subsection_value(c, area, subsection);
}

uint64_t prototype_lock_frame(struct call *c, const le64 *entry)
{
    for (;;) {
        uint64_t raw = load64_acquire(entry);
        if (!(raw & FIELD_MASK(HW_VALID)))
            return entry_lock_transition(c, entry);
        uint64_t frame = field_get(raw, HW_FRAME);
        frame_lock(c, frame);
        if (load64_relaxed(entry) == raw)
            return frame;
        frame_unlock(c, frame);
    }
}
