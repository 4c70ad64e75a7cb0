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

static le64 *table_slot_of(const struct call *c, uint64_t frame, uint64_t page, uint32_t level)
{
    return (le64 *)table_at(c, frame) + index_of(page, level);
}

static struct prototype_span missing(uint64_t page, uint32_t level)
{
    uint64_t width = 1ull << 9 * level;
    return (struct prototype_span){.end = round_down(page, width) + width};
}

struct prototype_span prototype_find(struct call *c, struct control_area *area, uint64_t page)
{
    uint64_t frame = load64_relaxed(&area->root_frame);
    uint32_t level = get32(&area->levels);
    if (frame == FRAME_NONE)
        return missing(page, level);
    for (; level > 1; level--) {
        le64 *upper = table_slot_of(c, frame, page, level);
        uint64_t entry = load64_relaxed(upper);
        if (!(entry & FIELD_MASK(HW_VALID))) {
            struct prototype_span span = missing(page, level - 1);
            span.upper = upper;
            return span;
        }
        frame = field_get(entry, HW_FRAME);
    }
    return (struct prototype_span){
        .entry = table_slot_of(c, frame, page, 1),
        .table = pfn_at(c, frame),
        .end = (page | (NTMM_ENTRIES_PER_TABLE - 1)) + 1,
    };
}

struct prototype_path prototype_walk(const struct call *c, const struct control_area *area,
                                     uint64_t page)
{
    struct prototype_path path = {.levels = get32(&area->levels)};
    uint64_t frame = load64_relaxed(&area->root_frame);
    uint32_t level = path.levels;
    while (frame != FRAME_NONE) {
        path.frames[path.count++] = frame;
        uint64_t entry = level > 1 ? load64_relaxed(table_slot_of(c, frame, page, level)) : 0;
        if (!(entry & FIELD_MASK(HW_VALID)))
            break;
        frame = field_get(entry, HW_FRAME);
        level--;
    }
    path.end = missing(page, path.count == 0 || level == 1 ? level : level - 1).end;
    return path;
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

static void count_table(struct call *c, struct control_area *area, uint64_t by)
{
    set64(&area->commit_pages, get64(&area->commit_pages) + by);
    store64_relaxed(&area->table_pages, get64(&area->table_pages) + by);
    (void)add64(&partition_of(c)->area_tables, by);
}

static void count_out(struct control_area *area, uint32_t by)
{
    store32_relaxed(&area->tables_out, get32(&area->tables_out) + by);
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
    store64_relaxed(&pfn->original_pte, entry_software(PROT_READWRITE));
    set64(&pfn->table_frame, entry_address ? ref_frame(c, entry_address) : frame);
    pfn_set_modified(pfn); /* no slot holds it */
    count_table(c, area, 1);
    return frame;
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
    store64_relaxed(entry, TABLE_BITS | frame << NTMM_PAGE_SHIFT);
    return frame;
}

/* None of the tables that lead to the page is out. False with c->want set; those made stay. */
static bool make_tables(struct call *c, struct control_area *area, uint64_t page,
                        enum table_payer payer)
{
    uint64_t frame = get64(&area->root_frame);
    if (frame == FRAME_NONE) {
        frame = new_table(c, area, 0, payer);
        store64_relaxed(&area->root_frame, frame);
    }
    for (uint32_t level = get32(&area->levels); level > 1 && frame != FRAME_NONE; level--)
        frame = make_child(c, area, frame, index_of(page, level), payer);
    return frame != FRAME_NONE;
}

struct prototype_span prototype_make(struct call *c, struct control_area *area, uint64_t page,
                                     enum table_payer payer, uint32_t beside)
{
    struct prototype_span span = prototype_find(c, area, page);
    if (span.entry || prototype_is_out(&span))
        return span;
    struct prototype_path path = prototype_walk(c, area, page);
    if (!frames_are_available(c, path.levels - path.count + beside))
        return span;
    if (make_tables(c, area, page, payer))
        return prototype_find(c, area, page);
    struct want want = c->want;
    prototype_prune(c, area, page);
    c->want = want;
    return (struct prototype_span){.end = page + 1};
}

/* Tables that are missing below the end of a path, for pages up to `end`. */
static uint64_t tables_below(const struct prototype_path *path, uint64_t page, uint64_t end)
{
    uint64_t tables = 0;
    for (uint32_t level = 1; level <= path->levels - path->count; level++) {
        uint32_t shift = 9 * level; /* pages that one table of the level decides */
        tables += ((end - 1) >> shift) - (page >> shift) + 1;
    }
    return tables;
}

static uint64_t count_missing(struct call *c, struct control_area *area, uint64_t start,
                              uint64_t end)
{
    uint64_t tables = 0;
    for (uint64_t page = start; page < end;) {
        struct prototype_span span = prototype_find(c, area, page);
        struct prototype_path path = prototype_walk(c, area, page);
        if (!span.entry && !prototype_is_out(&span))
            tables += tables_below(&path, page, min_u64(span.end, end));
        page = span.end;
    }
    return tables;
}

bool prototype_make_range(struct call *c, struct control_area *area, uint64_t start, uint64_t end)
{
    uint64_t missing_tables = count_missing(c, area, start, end);
    if (missing_tables != 0 && !frames_are_available(c, missing_tables))
        return false;
    for (uint64_t page = start; page < end;) {
        struct prototype_span span = prototype_make(c, area, page, TABLE_FOR_SERVICE, 0);
        if (!span.entry && !prototype_is_out(&span)) {
            prototype_prune_range(c, area, start, page + 1);
            return false;
        }
        page = span.end;
    }
    return true;
}

/* --- tables that go --- */

static void free_frame(struct call *c, uint64_t frame)
{
    struct frame_chain chain = chain_empty();
    if (get64(&pfn_at(c, frame)->entry_address) == 0)
        chain_add(c, &chain, frame); /* a root is in no transfer */
    else
        frame_delete(c, frame, &chain);
    chain_free(c, &chain);
    commit_return(c, 1);
    system_count(c, NTMM_COUNTER_PROTOTYPE_TABLES_FREED, 1);
}

void prototype_free_table(struct call *c, struct control_area *area, uint64_t frame)
{
    const struct pfn *pfn = pfn_at(c, frame);
    uint64_t address = get64(&pfn->entry_address);
    struct pfn *parent = pfn_at(c, pfn_table_frame(pfn));
    NTMM_ASSERT(pfn_used(pfn) == 0);
    pfn_wait_for_last_share(c, pfn);
    if (address == 0) {
        store64_relaxed(&area->root_frame, FRAME_NONE);
    } else {
        store64_relaxed(core_at(c->bias, address), 0);
        pfn_add_used(parent, -1);
        pfn_add_share(parent, -1);
    }
    free_frame(c, frame);
    count_table(c, area, ~0ull);
}

void prototype_prune(struct call *c, struct control_area *area, uint64_t page)
{
    struct prototype_path path = prototype_walk(c, area, page);
    for (uint32_t i = path.count; i-- > 0 && pfn_used(pfn_at(c, path.frames[i])) == 0;)
        prototype_free_table(c, area, path.frames[i]);
}

void prototype_prune_range(struct call *c, struct control_area *area, uint64_t start, uint64_t end)
{
    struct want want = c->want;
    for (uint64_t page = start; page < end;) {
        uint64_t next = prototype_find(c, area, page).end;
        prototype_prune(c, area, page);
        page = next;
    }
    c->want = want;
}

void prototype_trim_table(struct call *c, struct control_area *area, uint64_t frame)
{
    le64 *entry = core_at(c->bias, get64(&pfn_at(c, frame)->entry_address));
    uint64_t value = entry_transition(PROT_READWRITE, frame);
    store64_release(entry, invalid_encode(value, c->sys->invalid_mask));
    count_out(area, 1);
    system_count(c, NTMM_COUNTER_PROTOTYPE_TABLES_TRIMMED, 1);
    frame_end_share(c, frame);
}

bool prototype_return(struct call *c, struct control_area *area, const struct prototype_span *span)
{
    if (!table_reenter(c, span->upper, TABLE_BITS))
        return false;
    count_out(area, ~0u);
    return true;
}

void prototype_abandon_tables(struct call *c, struct control_area *area)
{
    for (uint64_t page = 0; page < 1ull << 9 * get32(&area->levels);) {
        struct prototype_span span = prototype_find(c, area, page);
        if (prototype_is_out(&span)) {
            struct pfn *table = pfn_at(c, ref_frame(c, core_ref(c, span.upper)));
            table_abandon_entry(c, table, span.upper);
        }
        page = span.end;
    }
    uint64_t lost = get32(&area->tables_out); /* those below them included */
    count_table(c, area, 0 - lost);
    store32_relaxed(&area->tables_out, 0);
    commit_return(c, lost);
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
    store64_relaxed((le64 *)table_at(c, root), TABLE_BITS | old << NTMM_PAGE_SHIFT);
    pfn_add_used(pfn_at(c, root), 1);
    pfn_add_share(pfn_at(c, root), 1);
    store64_relaxed(&area->root_frame, root);
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
    free_frame(c, frame);
    count_table(c, area, ~0ull);
}

void prototype_free_tables(struct call *c, struct control_area *area)
{
    uint64_t root = get64(&area->root_frame);
    NTMM_ASSERT(get32(&area->tables_out) == 0);
    if (root == FRAME_NONE)
        return;
    free_below(c, area, root, get32(&area->levels));
    store64_relaxed(&area->root_frame, FRAME_NONE);
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
