/*
 * The checker's view of page tables, from the root down, in address order.
 *
 *   entry above the leaves     the table                     its used count
 *   valid                      in its frame                  in the frame's row
 *   transition                 in its frame; while that is   in the frame's row
 *                              being read, in its slot
 *   page file                  in its slot                   in the entry
 *
 * A table in a slot is read through the caller's reader, into a page of the scratch memory of its
 * level. Without a reader, or when it fails, what lies in the table is unknown: sums become bounds.
 */
#include "inspect/checker.h"

/* A table as it lies before us. */
struct table_view {
    const le64 *entries; /* NULL: they cannot be looked at */
    uint64_t ref;        /* core address of the first entry; 0: it lies in a page file */
    uint64_t frame;      /* that holds it */
    uint64_t page;       /* first page that it decides */
    uint32_t level;      /* of its entries */
    bool is_out;         /* the processor does not use it */
};

/* Entries of a table, as counted. */
struct entry_counts {
    uint32_t used;
    uint32_t shares;
};

static bool check_branch(struct walk *w, uint64_t raw, uint32_t level, const struct entry_place *at,
                         bool *is_shared);

static bool count_entries(struct walk *w, const struct table_view *view,
                          struct entry_counts *counts)
{
    bool is_root = view->level == w->k->c->sys->levels;
    uint32_t entries = is_root ? NTMM_ENTRIES_PER_TABLE / 2 : NTMM_ENTRIES_PER_TABLE;
    for (uint32_t i = 0; i < entries; i++) {
        uint64_t raw = get64(&view->entries[i]);
        struct entry_place at = {
            .page = view->page + ((uint64_t)i << 9 * (view->level - 1)),
            .address = view->ref ? view->ref + i * sizeof(le64) : 0,
            .table = view->frame,
            .is_out = view->is_out,
        };
        bool is_shared = false;
        if (raw == 0)
            continue;
        counts->used++;
        if (!(view->level == 1 ? check_leaf(w, raw, &at, &is_shared)
                               : check_branch(w, raw, view->level, &at, &is_shared)))
            return false;
        counts->shares += is_shared;
    }
    return true;
}

/* V10: a leaf table in use that the hint is about. */
static bool check_hint(struct walk *w, uint64_t frame, uint64_t page)
{
    if (get64(&w->process->leaf_span) != page / PAGES_PER_TABLE)
        return true;
    w->is_hint_met = true;
    return check_equal(w->k, "V10", page << NTMM_PAGE_SHIFT, frame, get64(&w->process->leaf_frame));
}

/* RD3: a leaf table in use that hints of readers are about; what they have to add to its row. */
static bool check_readers(struct walk *w, uint64_t frame, uint64_t page,
                          struct entry_counts *pending)
{
    for (uint32_t i = 0; i < READERS; i++) {
        const struct readers *readers = &w->process->readers[i];
        if (get64(&readers->leaf_span) != 1 + page / PAGES_PER_TABLE)
            continue;
        w->readers_met++;
        if (!check_equal(w->k, "RD3", page << NTMM_PAGE_SHIFT, frame, get64(&readers->leaf_frame)))
            return false;
        pending->used += get32(&readers->used);
        pending->shares += get32(&readers->shares);
    }
    return true;
}

/* RD3: what a reader's hint is about was met; without one there is nothing to add to a row. */
static bool check_readers_met(struct walk *w)
{
    uint32_t hints = 0;
    for (uint32_t i = 0; i < READERS; i++) {
        const struct readers *readers = &w->process->readers[i];
        bool has_hint = get64(&readers->leaf_span) != 0;
        hints += has_hint;
        if (!has_hint &&
            !check_equal(w->k, "RD3", i, 0, get32(&readers->used) + get32(&readers->shares)))
            return false;
    }
    return check_equal(w->k, "RD3", READERS, hints, w->readers_met);
}

/* V12: no table lies in the range that is said to have none. */
static bool check_void(struct walk *w, const struct table_view *view)
{
    uint64_t end = view->page + ((uint64_t)NTMM_ENTRIES_PER_TABLE << 9 * (view->level - 1));
    bool is_inside =
        view->page >= get64(&w->process->void_start) && end <= get64(&w->process->void_end);
    return check_equal(w->k, "V12", view->page << NTMM_PAGE_SHIFT, false, is_inside);
}

/* V3, V5, P8: a table in use. */
static bool check_table(struct walk *w, uint64_t frame, uint32_t level, uint64_t page)
{
    struct call *c = w->k->c;
    const struct pfn *pfn = pfn_at(c, frame);
    struct table_view view = {.entries = table_at(c, frame),
                              .ref = frame_ref(c, frame),
                              .frame = frame,
                              .page = page,
                              .level = level};
    struct entry_counts counts = {0}, pending = {0};
    bool is_root = level == c->sys->levels;

    w->tables++;
    if (!check_void(w, &view) ||
        (level == 1 && (!check_hint(w, frame, page) || !check_readers(w, frame, page, &pending))))
        return false;
    if (!count_entries(w, &view, &counts))
        return false;
    if (counts.used == 0 && !is_root)
        return check_fail(w->k, "V3", frame, 1, 0);
    return check_equal(w->k, "V3", frame, counts.used, pfn_used(pfn) + pending.used) &&
           check_equal(w->k, "V5", frame, counts.shares + 1,
                       get32(&pfn->share_count) + pending.shares) &&
           check_equal(w->k, "P8", frame, 1, is_root || pfn_is_modified(pfn));
}

/* --- tables that are out --- */

const le64 *check_read_table(struct checker *k, uint64_t value, uint32_t level)
{
    le64 *page = k->pages + (uint64_t)(level - 1) * NTMM_ENTRIES_PER_TABLE;
    uint64_t device = get64(&page_file_at(k->c, slot_file(value))->device);
    if (!k->reader)
        return NULL;
    ntmm_status status = k->reader(k->reader_context, device, slot_of(value) << NTMM_PAGE_SHIFT,
                                   page, NTMM_PAGE_SIZE);
    return NTMM_SUCCEEDED(status) ? page : NULL;
}

/* V3: the entries of a table that cannot be looked at. */
static bool pass_unknown(struct walk *w, const struct table_view *view, uint64_t used,
                         uint64_t object)
{
    uint64_t end = view->page + ((uint64_t)NTMM_ENTRIES_PER_TABLE << 9 * (view->level - 1));
    if (!check_between(w->k, "V3", object, 1, NTMM_ENTRIES_PER_TABLE, used))
        return false;
    if (view->level == 1)
        w->k->unknown.entries += used;
    else
        w->k->unknown.is_above = w->is_above_unknown = true;
    return walk_pass_unknown(w, view->page, end);
}

/* V3, V5: a table that is out holds as many entries as is said of it, none of them in memory. */
static bool check_table_out(struct walk *w, const struct table_view *view, uint64_t used,
                            uint64_t object)
{
    struct entry_counts counts = {0};
    w->tables++;
    w->tables_out++;
    if (!check_void(w, view))
        return false;
    if (!view->entries)
        return pass_unknown(w, view, used, object);
    if (!count_entries(w, view, &counts) ||
        !check_between(w->k, "V3", object, 1, NTMM_ENTRIES_PER_TABLE, counts.used))
        return false;
    return check_equal(w->k, "V3", object, counts.used, used) &&
           check_equal(w->k, "V5", object, 0, counts.shares);
}

/* V6: what an entry that is not valid says of its table. */
uint64_t check_table_value(uint64_t value)
{
    uint64_t expected = slot_set(entry_software(PROT_READWRITE), slot_file(value), slot_of(value));
    return field_set(expected, SW_USED, field_get(value, SW_USED));
}

static bool check_paged_out(struct walk *w, uint64_t value, uint32_t level,
                            const struct entry_place *at)
{
    uint64_t va = at->page << NTMM_PAGE_SHIFT;
    if (!check_equal(w->k, "V6", va, check_table_value(value), value) || !check_name(w->k, value))
        return false;
    struct table_view view = {.entries = check_read_table(w->k, value, level - 1),
                              .page = at->page,
                              .level = level - 1,
                              .is_out = true};
    return check_table_out(w, &view, field_get(value, SW_USED), va);
}

static bool check_trimmed(struct walk *w, uint64_t value, uint32_t level,
                          const struct entry_place *at)
{
    struct call *c = w->k->c;
    uint64_t va = at->page << NTMM_PAGE_SHIFT;
    uint64_t frame = field_get(value, TR_FRAME);
    if (!check_equal(w->k, "V6", va, entry_transition(PROT_READWRITE, frame), value) ||
        !check_is_in_transition(w->k, frame) || !check_owner(w, frame, at, NTMM_USE_TABLE))
        return false;
    const struct pfn *pfn = pfn_at(c, frame);
    uint64_t original = load64_relaxed(&pfn->original_pte);
    bool is_read = pfn_is_being_read(pfn) && slot_file(original) < w->k->file_count;
    if (!check_equal(w->k, "V6", va, check_table_value(original), original))
        return false;
    struct table_view view = {.entries = is_read ? check_read_table(w->k, original, level - 1)
                                                 : table_at(c, frame),
                              .ref = frame_ref(c, frame),
                              .frame = frame,
                              .page = at->page,
                              .level = level - 1,
                              .is_out = true};
    return check_table_out(w, &view, pfn_used(pfn), frame);
}

/* V6: an entry of a table in use is valid, and grants everything. */
static bool check_in_use(struct walk *w, uint64_t raw, uint32_t level, const struct entry_place *at)
{
    uint64_t va = at->page << NTMM_PAGE_SHIFT;
    uint64_t frame = field_get(raw, HW_FRAME);
    const uint64_t varies = FIELD_MASK(HW_ACCESSED) | FIELD_MASK(HW_DIRTY) | FIELD_MASK(HW_AGE) |
                            FIELD_MASK(HW_SOFTWARE);
    const uint64_t expected = FIELD_MASK(HW_VALID) | FIELD_MASK(HW_DIRTY1) | FIELD_MASK(HW_OWNER) |
                              FIELD_MASK(HW_WRITE) | frame << NTMM_PAGE_SHIFT;
    if (((raw ^ expected) & ~varies) != 0)
        return check_fail(w->k, "V6", va, expected, raw);
    if (!check_owner(w, frame, at, NTMM_USE_TABLE))
        return false;
    uint64_t original = load64_relaxed(&pfn_at(w->k->c, frame)->original_pte);
    return check_equal(w->k, "V6", va, check_table_value(original), original) &&
           check_table(w, frame, level - 1, at->page);
}

/* An entry above the leaves, and everything below it; the depth is that of the tables. */
static bool check_branch(struct walk *w, uint64_t raw, uint32_t level, const struct entry_place *at,
                         bool *is_shared)
{
    uint64_t value = entry_value(w->k->c, raw);
    enum pte_kind kind = pte_kind(raw, level, w->k->c->sys->invalid_mask);
    *is_shared = kind == PTE_VALID || kind == PTE_LARGE || kind == PTE_TRANSITION;
    if (*is_shared && at->is_out)
        return true; /* V5 has more to say, and what it names is not ours to follow */
    if (kind == PTE_LARGE)
        return check_large_leaf(w, raw, level, at);
    if (kind == PTE_TRANSITION)
        return check_trimmed(w, value, level, at);
    if (kind == PTE_PAGEFILE)
        return check_paged_out(w, value, level, at);
    return check_in_use(w, raw, level, at);
}

bool check_tables(struct walk *w, uint64_t root)
{
    uint64_t hint = get64(&w->process->leaf_span);
    return check_table(w, root, w->k->c->sys->levels, 0) &&
           (w->is_hint_met || check_equal(w->k, "V10", hint, ~0ull, hint)) && check_readers_met(w);
}
