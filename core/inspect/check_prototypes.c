/*
 * The checker's view of the trees of prototype entries.
 *
 *   area --> table --> table --> entry --> frame, whose row names the entry
 *   block of clones -> table --> entry --> the same
 *
 * A frame is marked when it is met as a table or by an entry, so that nothing is walked twice. The
 * shares of a page are compared when all entries of processes were met (check_frames.c). Tables
 * that are out are looked at as those of processes are (check_tables.c).
 */
#include "inspect/checker.h"
#include "section/prototype.h"

/* A tree being walked. */
struct tree {
    struct checker *k;
    const struct control_area *area; /* NULL: a block of clones */
    struct tree_totals *totals;
};

/* Where an entry stands. */
struct prototype_place {
    uint64_t page;    /* first one that it decides */
    uint64_t address; /* core address; 0: above a root */
    uint64_t table;   /* frame; of a root its own; nothing when it is out */
    bool is_out;      /* its table is in a page file */
};

static bool is_of(const struct tree *t, uint32_t flag) { return t->area && area_is(t->area, flag); }

static bool is_of_file(const struct tree *t) { return is_of(t, AREA_OF_FILE); }

/* PT1: of a frame that an entry or a table names for the first time. */
static bool check_row(struct tree *t, const char *number, uint64_t frame, enum ntmm_frame_use use,
                      const struct prototype_place *at)
{
    uint32_t *mark = check_mark(t->k, frame);
    if (!mark || *mark & MARK_SECTION)
        return check_fail(t->k, number, frame, 1, mark ? 2 : 0);
    *mark |= MARK_SECTION;
    const struct pfn *pfn = pfn_at(t->k->c, frame);
    return check_equal(t->k, number, frame, use, (uint64_t)pfn_use(pfn)) &&
           check_equal(t->k, number, frame, at->address, get64(&pfn->entry_address)) &&
           check_equal(t->k, number, frame, at->table, pfn_table_frame(pfn));
}

/* The protection that all values of a page have. */
static uint32_t page_protection(const struct tree *t, uint64_t page)
{
    if (!is_of_file(t))
        return t->area ? get32(&t->area->protection) : PROT_READWRITE;
    return get32(&area_subsection(t->k->c, t->area, page)->protection);
}

/* What a value that names no frame is to be: the file's, or one of page files, which a page of a
 * data file never is. */
static uint64_t expected_value(const struct tree *t, uint64_t page, uint64_t value)
{
    bool is_image = is_of(t, AREA_IMAGE);
    if (entry_is_of_file(value) || (is_of_file(t) && !is_image)) {
        uint64_t written = is_image ? 0 : value & ENTRY_WRITTEN;
        if (!is_of_file(t))
            return 0;
        const struct subsection *s = area_subsection(t->k->c, t->area, page);
        return subsection_value(t->k->c, t->area, s) | written;
    }
    if (entry_is_damaged(value))
        return entry_damaged(page_protection(t, page));
    return slot_set(entry_software(page_protection(t, page)), slot_file(value), slot_of(value));
}

/* CA8: a modified page that no pass will come by has its area's time. */
static bool check_age(struct tree *t, uint64_t frame, uint64_t page)
{
    const struct control_area *area = t->area;
    const struct pfn *pfn = pfn_at(t->k->c, frame);
    bool is_dated = pfn_is_modified(pfn) && entry_is_of_file(load64_relaxed(&pfn->original_pte)) &&
                    t->k->c->sys->platform.now;
    if (!is_dated || !area)
        return true;
    bool is_ahead = get64(&area->age_next) != 0 && page + 1 >= get64(&area->age_next);
    return is_ahead || check_equal(t->k, "CA8", frame, 1, load64_relaxed(&area->age.since) != 0);
}

/* PT3: a page of an area of large pages, whose share is the section's own. */
static bool check_large(struct tree *t, uint64_t raw, uint64_t frame,
                        const struct prototype_place *at)
{
    struct call *c = t->k->c;
    const le64 *table = table_at(c, at->table);
    uint64_t inside = at->page % NTMM_ENTRIES_PER_TABLE;
    uint64_t first = field_get(get64(table), HW_FRAME);
    check_meet(check_mark(t->k, frame));
    return check_equal(t->k, "PT3", at->address, 1, raw & FIELD_MASK(HW_VALID)) &&
           check_equal(t->k, "PT3", at->address, 0, first % NTMM_ENTRIES_PER_TABLE) &&
           check_equal(t->k, "PT3", at->address, first + inside, frame) &&
           check_equal(t->k, "P8", frame, 1, pfn_is_modified(pfn_at(c, frame)));
}

/* PT1: the entry of a frame, valid or in transition, and what the frame's row says of the page. */
static bool check_frame_entry(struct tree *t, uint64_t raw, uint64_t frame,
                              const struct prototype_place *at)
{
    uint32_t protection = page_protection(t, at->page) & (PROT_COUNT - 1);
    bool is_valid = (raw & FIELD_MASK(HW_VALID)) != 0;
    uint64_t valid = x64_protection_bits[protection] | FIELD_MASK(HW_VALID) |
                     FIELD_MASK(HW_ACCESSED) | frame << NTMM_PAGE_SHIFT;
    uint64_t expected = is_valid ? valid : entry_transition(protection, frame);
    uint64_t found = is_valid ? raw : entry_value(t->k->c, raw);
    if (!check_row(t, "PT1", frame, NTMM_USE_SECTION, at))
        return false;
    if (is_of(t, AREA_LARGE_PAGES) && !check_large(t, raw, frame, at))
        return false;
    const struct pfn *pfn = pfn_at(t->k->c, frame);
    uint64_t original = load64_relaxed(&pfn->original_pte);
    bool is_active = pfn_location(pfn) == NTMM_FRAME_ACTIVE;
    return check_equal(t->k, "PT1", at->address, expected, found) &&
           check_equal(t->k, "PT1", frame, expected_value(t, at->page, original), original) &&
           check_equal(t->k, "PT1", frame, false, entry_is_damaged(original)) &&
           check_equal(t->k, "PT1", frame, is_valid, is_active) && check_age(t, frame, at->page) &&
           (is_valid || check_is_in_transition(t->k, frame));
}

static bool check_prototype(struct tree *t, uint64_t raw, const struct prototype_place *at,
                            bool *is_shared)
{
    uint64_t value = entry_value(t->k->c, raw);
    enum pte_kind kind = entry_kind(t->k->c, raw);
    *is_shared = kind == PTE_VALID || kind == PTE_TRANSITION;
    t->totals->entries++;
    uint64_t pages = t->area ? get64(&t->area->pages) : NTMM_ENTRIES_PER_TABLE;
    if (!check_between(t->k, "PT2", at->address, 0, pages, at->page + 1))
        return false;
    if (*is_shared && at->is_out)
        return true; /* PT2 has more to say */
    if (*is_shared) {
        uint64_t frame =
            field_get(kind == PTE_VALID ? raw : value, kind == PTE_VALID ? HW_FRAME : TR_FRAME);
        return check_frame_entry(t, raw, frame, at);
    }
    return check_equal(t->k, "PT1", at->address, expected_value(t, at->page, value), value) &&
           check_name(t->k, value);
}

/* PT2: an entry above the leaves is valid, and grants everything. */
static bool check_branch(struct tree *t, uint64_t raw, const struct prototype_place *at)
{
    const uint64_t bits = FIELD_MASK(HW_VALID) | FIELD_MASK(HW_DIRTY1) | FIELD_MASK(HW_ACCESSED) |
                          FIELD_MASK(HW_DIRTY) | FIELD_MASK(HW_WRITE);
    uint64_t expected = bits | field_get(raw, HW_FRAME) << NTMM_PAGE_SHIFT;
    return check_equal(t->k, "PT2", at->address, expected, raw);
}

/* Entries of a table, as counted. */
struct prototype_counts {
    uint32_t used;
    uint32_t shares;
};

static bool check_table(struct tree *t, uint64_t frame, uint32_t level,
                        const struct prototype_place *above);
static bool check_out(struct tree *t, uint64_t raw, uint32_t level,
                      const struct prototype_place *at);

/* An entry above the leaves, and the table that it names. *is_shared: that is in memory. */
static bool check_child(struct tree *t, uint64_t raw, uint32_t level,
                        const struct prototype_place *at, bool *is_shared)
{
    enum pte_kind kind = entry_kind(t->k->c, raw);
    *is_shared = kind == PTE_VALID || kind == PTE_TRANSITION;
    if (*is_shared && at->is_out)
        return true; /* PT2 has more to say, and what it names is not ours to follow */
    if (kind == PTE_TRANSITION || kind == PTE_PAGEFILE)
        return check_out(t, raw, level - 1, at);
    return check_branch(t, raw, at) && check_table(t, field_get(raw, HW_FRAME), level - 1, at);
}

/* `frame`: of a table that is in memory. */
static bool count_entries(struct tree *t, const le64 *table, uint64_t frame, uint32_t level,
                          const struct prototype_place *above, struct prototype_counts *counts)
{
    for (uint32_t i = 0; i < NTMM_ENTRIES_PER_TABLE; i++) {
        uint64_t raw = get64(&table[i]);
        struct prototype_place at = {
            .page = above->page + ((uint64_t)i << 9 * (level - 1)),
            .address = above->is_out ? 0 : frame_ref(t->k->c, frame) + i * sizeof(le64),
            .table = frame,
            .is_out = above->is_out};
        bool is_shared = true;
        if (raw == 0)
            continue;
        counts->used++;
        if (!(level == 1 ? check_prototype(t, raw, &at, &is_shared)
                         : check_child(t, raw, level, &at, &is_shared)))
            return false;
        counts->shares += is_shared;
    }
    return true;
}

/* PT2, P8: a table in use, and those below it; the depth is that of the tree. */
static bool check_table(struct tree *t, uint64_t frame, uint32_t level,
                        const struct prototype_place *above)
{
    struct call *c = t->k->c;
    struct prototype_counts counts = {0};
    const struct prototype_place here = {.page = above->page};
    if (!check_row(t, "PT2", frame, NTMM_USE_PROTOTYPE, above))
        return false;
    const struct pfn *pfn = pfn_at(c, frame);
    uint64_t original = load64_relaxed(&pfn->original_pte);
    t->totals->tables++;
    return count_entries(t, table_at(c, frame), frame, level, &here, &counts) &&
           check_equal(t->k, "PT2", frame, counts.used, pfn_used(pfn)) &&
           check_equal(t->k, "PT2", frame, counts.shares + 1, get32(&pfn->share_count)) &&
           (!t->area || (check_equal(t->k, "PT2", frame, check_table_value(original), original) &&
                         check_equal(t->k, "P8", frame, 1, pfn_is_modified(pfn))));
}

/* --- tables that are out --- */

/* PT4: whether a table of the area may be out, with so many entries. */
static bool may_be_out(const struct tree *t, uint32_t level, uint64_t page, uint64_t used)
{
    if (!t->area || is_of(t, AREA_LARGE_PAGES) || (is_of_file(t) && !is_of(t, AREA_IMAGE)))
        return false;
    uint64_t pages = get64(&t->area->pages);
    uint64_t most = min_u64(NTMM_ENTRIES_PER_TABLE, pages - min_u64(page, pages));
    return !is_of(t, AREA_RESERVE) || (level == 1 && used == most);
}

/* The entries of a table that cannot be looked at. */
static bool pass_unknown(struct tree *t, uint32_t level, uint64_t used)
{
    if (level == 1) {
        t->totals->entries += used;
        t->k->unknown.entries += used;
        return true;
    }
    t->totals->is_above_unknown = true;
    t->k->unknown.is_above = true;
    return true;
}

/* PT2, PT4: a table that is out has as many entries as is said of it, none of them in memory. */
static bool check_table_out(struct tree *t, const le64 *table, uint64_t used, uint32_t level,
                            const struct prototype_place *at)
{
    struct prototype_counts counts = {0};
    const struct prototype_place here = {.page = at->page, .is_out = true};
    uint64_t area = t->area ? area_ref(t->k->c, t->area) : 0;
    t->totals->tables++;
    t->totals->tables_out++;
    if (!check_between(t->k, "PT2", at->address, 1, NTMM_ENTRIES_PER_TABLE, used) ||
        !check_equal(t->k, "PT4", area, 1, may_be_out(t, level, at->page, used)))
        return false;
    if (!table)
        return pass_unknown(t, level, used);
    return count_entries(t, table, 0, level, &here, &counts) &&
           check_equal(t->k, "PT2", at->address, used, counts.used) &&
           check_equal(t->k, "PT2", at->address, 0, counts.shares);
}

static bool check_trimmed(struct tree *t, uint64_t value, uint32_t level,
                          const struct prototype_place *at)
{
    struct call *c = t->k->c;
    uint64_t frame = field_get(value, TR_FRAME);
    if (!check_equal(t->k, "PT2", at->address, entry_transition(PROT_READWRITE, frame), value) ||
        !check_row(t, "PT2", frame, NTMM_USE_PROTOTYPE, at) || !check_is_in_transition(t->k, frame))
        return false;
    const struct pfn *pfn = pfn_at(c, frame);
    uint64_t original = load64_relaxed(&pfn->original_pte);
    bool is_read = pfn_is_being_read(pfn) && slot_file(original) < t->k->file_count;
    if (!check_equal(t->k, "PT2", frame, check_table_value(original), original))
        return false;
    const le64 *table = is_read ? check_read_table(t->k, original, level) : table_at(c, frame);
    return check_table_out(t, table, pfn_used(pfn), level, at);
}

static bool check_out(struct tree *t, uint64_t raw, uint32_t level,
                      const struct prototype_place *at)
{
    uint64_t value = entry_value(t->k->c, raw);
    if (entry_kind(t->k->c, raw) == PTE_TRANSITION)
        return check_trimmed(t, value, level, at);
    return check_equal(t->k, "PT2", at->address, check_table_value(value), value) &&
           check_name(t->k, value) &&
           check_table_out(t, check_read_table(t->k, value, level), field_get(value, SW_USED),
                           level, at);
}

/* PT4. */
static bool check_out_count(struct checker *k, const struct control_area *area,
                            const struct tree_totals *totals)
{
    uint64_t most = totals->is_above_unknown ? UINT64_MAX : totals->tables_out;
    return check_between(k, "PT4", area_ref(k->c, area), totals->tables_out, most,
                         get32(&area->tables_out));
}

bool check_prototypes(struct checker *k, const struct control_area *area,
                      struct tree_totals *totals)
{
    bool is_large = area_is(area, AREA_LARGE_PAGES);
    struct tree t = {.k = k, .area = area, .totals = totals};
    uint64_t root = get64(&area->root_frame);
    const struct prototype_place above = {.table = root};
    return check_between(k, "PT2", area_ref(k->c, area), prototype_levels(get64(&area->pages)),
                         PROTOTYPE_LEVELS_MAX, get32(&area->levels)) &&
           (root == FRAME_NONE || check_table(&t, root, get32(&area->levels), &above)) &&
           check_out_count(k, area, totals) &&
           (!is_large ||
            check_equal(k, "PT3", area_ref(k->c, area), get64(&area->pages), totals->entries));
}

bool check_clone_table(struct checker *k, uint64_t frame, uint64_t block,
                       struct tree_totals *totals)
{
    struct tree t = {.k = k, .totals = totals};
    const struct prototype_place above = {.address = block, .table = frame};
    return check_table(&t, frame, 1, &above);
}
