/*
 * Page-table pages: finding, making and freeing them. See table.h.
 */
#include "space/table.h"
#include "base/bits.h"
#include "space/readers.h"

/* A table entry in use by the processor: what NT's own show, V D1 U A D W. */
#define TABLE_BITS                                                                                 \
    (FIELD_MASK(HW_VALID) | FIELD_MASK(HW_DIRTY1) | FIELD_MASK(HW_OWNER) |                         \
     FIELD_MASK(HW_ACCESSED) | FIELD_MASK(HW_DIRTY) | FIELD_MASK(HW_WRITE))

static inline uint64_t index_of(uint64_t page, uint32_t level)
{
    return page >> (9 * (level - 1)) & (NTMM_ENTRIES_PER_TABLE - 1);
}

struct table_span table_walk(struct call *c, struct process *process, uint64_t page)
{
    uint64_t frame = get64(&process->root_frame);
    for (uint32_t level = c->sys->levels; level > 1; level--) {
        le64 *table = table_at(c, frame);
        uint64_t entry = load64_relaxed(&table[index_of(page, level)]);
        if ((entry & (FIELD_MASK(HW_VALID) | FIELD_MASK(HW_LARGE_PAGE))) != FIELD_MASK(HW_VALID)) {
            uint64_t span = 1ull << 9 * (level - 1);
            bool is_valid = (entry & FIELD_MASK(HW_VALID)) != 0;
            return (struct table_span){
                .end = round_down(page, span) + span,
                .level = level,
                .is_out = !is_valid && entry != 0,
                .is_large = is_valid,
                .upper = &table[index_of(page, level)],
                .upper_table = pfn_at(c, frame),
            };
        }
        frame = field_get(entry, HW_FRAME);
    }
    if (c->reader) {
        readers_found_leaf(c, process, page, frame);
    } else {
        set64(&process->leaf_span, page >> 9);
        set64(&process->leaf_frame, frame);
    }
    return table_leaf_span(c, frame, page);
}

bool table_look_for_void(struct call *c, struct process *process, uint64_t start, uint64_t end)
{
    struct table_span span = table_find(c, process, start);
    uint64_t width = 1ull << 9 * (span.level - 1);
    if (span.entry || span.is_out || span.is_large)
        return false;
    if (!c->reader) {
        set64(&process->void_start, span.end - width);
        set64(&process->void_end, span.end);
    }
    return end <= span.end;
}

static bool charge_table(struct call *c, struct process *process, enum table_payer payer)
{
    uint64_t overdrawn;
    if (payer == TABLE_FOR_SERVICE)
        return commit_charge(c, 1);
    if (!commit_charge_fault(c, 1, &overdrawn))
        return false;
    process_count(process, NTMM_COUNTER_COMMIT_OVERDRAFTS, overdrawn);
    return true;
}

/* The frame of a new table under the entry at level (2..4) of a parent table. */
static bool add_table(struct call *c, struct process *process, uint64_t page, uint32_t level,
                      uint64_t parent_frame, enum table_payer payer)
{
    uint64_t frame;
    if (!charge_table(c, process, payer))
        return false;
    if (!frame_allocate_zeroed(c, NTMM_USE_TABLE, &frame)) {
        commit_return(c, 1);
        return false;
    }
    struct pfn *pfn = pfn_at(c, frame);
    struct pfn *parent = pfn_at(c, parent_frame);
    le64 *entry = (le64 *)table_at(c, parent_frame) + index_of(page, level);
    uint64_t ref = frame_ref(c, parent_frame) + index_of(page, level) * sizeof(le64);
    set64(&pfn->entry_address, ref);
    store64_relaxed(&pfn->original_pte, entry_software(PROT_READWRITE));
    set64(&pfn->table_frame, parent_frame);
    pfn_set_modified(pfn); /* no slot holds it */
    pfn_add_used(parent, 1);
    pfn_add_share(parent, 1);
    store64_release(entry, TABLE_BITS | frame << NTMM_PAGE_SHIFT);
    set64(&process->table_pages, get64(&process->table_pages) + 1);
    set64(&process->void_end, 0); /* it may be there */
    process_count(process, NTMM_COUNTER_TABLES_CREATED, 1);
    event_note(c, NTMM_EVENT_TABLE_CREATED, get64(&process->handle), page << NTMM_PAGE_SHIFT, frame,
               level - 1);
    return true;
}

/* Frame of the table whose entries at `level` decide the page, which exists. */
static uint64_t table_frame_at(struct call *c, const struct process *process, uint64_t page,
                               uint32_t level)
{
    uint64_t frame = get64(&process->root_frame);
    for (uint32_t l = c->sys->levels; l > level; l--) {
        le64 *table = table_at(c, frame);
        frame = field_get(load64_relaxed(&table[index_of(page, l)]), HW_FRAME);
    }
    return frame;
}

struct table_span table_make(struct call *c, struct process *process, uint64_t page,
                             enum table_payer payer)
{
    struct table_span span = table_find(c, process, page);
    while (__builtin_expect(!span.entry, 0)) {
        if (span.is_out) {
            c->want = (struct want){.kind = WANT_TABLE, .page = page};
            return span;
        }
        uint64_t parent = table_frame_at(c, process, page, span.level);
        if (!add_table(c, process, page, span.level, parent, payer))
            return span;
        span = table_find(c, process, page);
    }
    return span;
}

struct table_span table_make_above(struct call *c, struct process *process, uint64_t page,
                                   uint32_t level)
{
    struct table_span span = table_find(c, process, page);
    while (span.level > level) {
        uint64_t parent = table_frame_at(c, process, page, span.level);
        if (span.is_out)
            c->want = (struct want){.kind = WANT_TABLE, .page = page};
        if (span.is_out || !add_table(c, process, page, span.level, parent, TABLE_FOR_SERVICE)) {
            span.upper = NULL;
            return span;
        }
        span = table_find(c, process, page);
    }
    NTMM_ASSERT(span.level == level && !span.is_out && !span.is_large);
    return span;
}

/* Tables that lie below the entry where the walk stopped, for pages up to `end`. */
static uint64_t tables_below(const struct table_span *span, uint64_t page, uint64_t end)
{
    uint64_t tables = 0;
    for (uint32_t level = 1; level < span->level; level++) {
        uint32_t shift = 9 * level; /* pages that one table of the level decides */
        tables += ((end - 1) >> shift) - (page >> shift) + 1;
    }
    return tables;
}

static uint64_t count_missing(struct call *c, struct process *process, uint64_t start, uint64_t end)
{
    uint64_t tables = 0;
    for (uint64_t page = start; page < end;) {
        struct table_span span = table_find(c, process, page);
        if (!span.entry && !span.is_out)
            tables += tables_below(&span, page, min_u64(span.end, end));
        page = span.end;
    }
    return tables;
}

/* Where many are missing, none is made before there are frames for all: making some, giving them
 * back and asking for one more, again and again, would take longer than paging everything out. */
static bool are_within_reach(struct call *c, struct process *process, uint64_t start, uint64_t end)
{
    bool are_many = end - start > PAGES_PER_TABLE;
    return !are_many || frames_are_available(c, count_missing(c, process, start, end));
}

bool table_make_missing(struct call *c, struct process *process, uint64_t start, uint64_t end)
{
    if (!are_within_reach(c, process, start, end))
        return false;
    for (uint64_t page = start; page < end;) {
        struct table_span span = table_make(c, process, page, TABLE_FOR_SERVICE);
        if (!span.entry) {
            table_prune_range(c, process, start, end);
            return false;
        }
        page = span.end;
    }
    return true;
}

static void fill_upper_half(struct call *c, uint64_t root_frame)
{
    const struct anchor *anchor = anchor_of(c);
    const uint64_t *template = c->sys->platform.root_template;
    le64 *root = table_at(c, root_frame);
    uint32_t slot = get32(&anchor->self_map_slot);

    for (uint32_t i = 0; template && i < 256; i++)
        set64(&root[256 + i], template[i]);
    if (slot) {
        uint64_t bits = (TABLE_BITS & ~FIELD_MASK(HW_OWNER)) | FIELD_MASK(HW_NO_EXECUTE);
        set64(&root[slot], bits | root_frame << NTMM_PAGE_SHIFT);
    }
}

bool table_root_create(struct call *c, uint64_t *root_frame)
{
    if (!commit_charge(c, 1))
        return false;
    if (!frame_allocate_zeroed(c, NTMM_USE_TABLE, root_frame)) {
        commit_return(c, 1);
        return false;
    }
    fill_upper_half(c, *root_frame);
    uint32_t slot = get32(&anchor_of(c)->self_map_slot);
    struct pfn *pfn = pfn_at(c, *root_frame);
    set64(&pfn->entry_address, slot ? frame_ref(c, *root_frame) + slot * sizeof(le64) : 0);
    set64(&pfn->table_frame, *root_frame);
    return true;
}

bool tables_look_present(struct call *c, struct process *process, uint64_t start, uint64_t end)
{
    for (uint64_t page = start; page < end;) {
        struct table_span span = table_find(c, process, page);
        if (span.is_out) {
            c->want = (struct want){.kind = WANT_TABLE, .page = page};
            return false;
        }
        page = span.end;
    }
    return true;
}

bool table_reenter(struct call *c, le64 *upper, uint64_t bits)
{
    uint64_t frame = entry_lock_transition(c, upper);
    if (frame == FRAME_NONE)
        return false;
    if (pfn_is_being_read(pfn_at(c, frame))) {
        frame_unlock(c, frame);
        return false;
    }
    frame_reactivate(c, frame);
    store64_release(upper, bits | frame << NTMM_PAGE_SHIFT);
    frame_unlock(c, frame);
    frame_make_modified(c, frame);
    return true;
}

bool table_return(struct call *c, struct process *process, const struct table_span *span)
{
    if (!table_reenter(c, span->upper, TABLE_BITS))
        return false;
    process_subtract(&process->tables_out, 1);
    return true;
}

void table_abandon_entry(struct call *c, struct pfn *table, le64 *upper)
{
    uint64_t frame = entry_lock_transition(c, upper);
    struct frame_chain chain = chain_empty();
    if (frame != FRAME_NONE) {
        bool is_ours = frame_detach(c, frame);
        frame_unlock(c, frame);
        if (is_ours)
            frame_delete(c, frame, &chain);
        pfn_add_share(table, -1);
    }
    store64_release(upper, 0);
    pfn_add_used(table, -1);
    chain_free(c, &chain);
}

void table_root_free(struct call *c, uint64_t root_frame)
{
    frame_free(c, root_frame);
    commit_return(c, 1);
}

/* A table goes: perhaps the one that the hint names. */
static void forget_leaf(struct process *process) { set64(&process->leaf_span, ~0ull); }

/* Unlink the empty table that the entry at level (2..4) of its parent names. */
static void drop_table(struct call *c, struct process *process, uint64_t page, uint32_t level,
                       uint64_t frame, struct gather *g)
{
    uint64_t parent_frame = pfn_table_frame(pfn_at(c, frame));
    struct pfn *parent = pfn_at(c, parent_frame);
    le64 *entry = (le64 *)table_at(c, parent_frame) + index_of(page, level);
    uint64_t span = 1ull << 9 * (level - 1);
    uint64_t first = round_down(page, span);

    pfn_wait_for_last_share(c, pfn_at(c, frame));
    forget_leaf(process);
    exchange64(entry, 0);
    pfn_add_used(parent, -1);
    pfn_add_share(parent, -1);
    chain_add(c, &g->freed, frame);
    gather_range(g, first, first + span);
    process_subtract(&process->table_pages, 1);
    process_count(process, NTMM_COUNTER_TABLES_FREED, 1);
    commit_return(c, 1);
    event_note(c, NTMM_EVENT_TABLE_FREED, get64(&process->handle), first << NTMM_PAGE_SHIFT, frame,
               level - 1);
}

/* Nothing in a table that is used is in memory: it goes into transition itself. */
static void trim_table(struct call *c, struct process *process, uint64_t page, uint32_t level,
                       uint64_t frame, struct gather *g)
{
    uint64_t parent_frame = pfn_table_frame(pfn_at(c, frame));
    le64 *entry = (le64 *)table_at(c, parent_frame) + index_of(page, level);
    uint64_t span = 1ull << 9 * (level - 1);
    uint64_t first = round_down(page, span);
    uint64_t value = entry_transition(PROT_READWRITE, frame);

    forget_leaf(process);
    exchange64(entry, invalid_encode(value, c->sys->invalid_mask));
    chain_add(c, &g->trimmed, frame);
    gather_range(g, first, first + span);
    set64(&process->tables_out, get64(&process->tables_out) + 1);
    process_count(process, NTMM_COUNTER_TABLES_TRIMMED, 1);
}

/* The table of a level over a page: whether nothing in it is in memory. */
static bool is_idle(struct call *c, const struct process *process, uint64_t page, uint32_t level,
                    uint64_t *frame)
{
    *frame = table_frame_at(c, process, page, level);
    const struct pfn *table = pfn_at(c, *frame);
    return load32_acquire(&table->share_count) == 1 && pfn_used(table) != 0;
}

bool table_may_go(struct call *c, struct process *process, uint64_t page)
{
    struct table_span span = table_find(c, process, page);
    uint64_t frame;
    return span.level < c->sys->levels && is_idle(c, process, page, span.level, &frame);
}

uint32_t table_trim(struct call *c, struct process *process, uint64_t page, struct gather *g)
{
    struct table_span span = table_find(c, process, page);
    uint32_t trimmed = 0;
    for (uint32_t level = span.level; level < c->sys->levels; level++) {
        uint64_t frame;
        if (!is_idle(c, process, page, level, &frame))
            break;
        trim_table(c, process, page, level + 1, frame, g);
        trimmed++;
    }
    return trimmed;
}

void table_prune(struct call *c, struct process *process, uint64_t page, struct gather *g)
{
    struct table_span span = table_find(c, process, page);
    for (uint32_t level = span.level; !span.is_out && level < c->sys->levels; level++) {
        uint64_t frame = table_frame_at(c, process, page, level);
        if (pfn_used(pfn_at(c, frame)) != 0)
            return;
        drop_table(c, process, page, level + 1, frame, g);
    }
}

void table_prune_range(struct call *c, struct process *process, uint64_t start, uint64_t end)
{
    struct want want = c->want;
    struct gather g;
    gather_begin(&g, process, NTMM_SHOOTDOWN_UNMAP);
    for (uint64_t page = start; page < end;) {
        struct table_span span = table_find(c, process, page);
        table_prune(c, process, page, &g);
        page = span.end;
    }
    gather_finish(c, process, &g);
    c->want = want;
}
