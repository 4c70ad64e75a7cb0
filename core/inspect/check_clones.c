/*
 * The checker's view of pages that a process and its clones share.
 *
 *   list --> block --> table --> prototype --> frame, or slot
 *               references ........^   ^
 *                                  entry of a private region
 *
 * Blocks are looked at before processes, so that an entry which names a table that was met can be
 * followed. References are compared with the entries as sums, of all and weighted by prototype,
 * when all processes were met. Tables that are out, and cannot be read, leave only a bound.
 */
#include "inspect/checker.h"
#include "space/clone_page.h"
#include "space/protection.h"

/* A factor for each prototype, so that one more of one and one less of another do not cancel. */
static uint64_t weight_of(uint64_t prototype)
{
    uint64_t mixed = (prototype ^ prototype >> 29) * 0x9E3779B97F4A7C15ull;
    return mixed ^ mixed >> 32;
}

/* CL1: a frame of its own, of use PROTOTYPE. */
static bool check_frame_of_block(struct checker *k, uint64_t ref)
{
    uint64_t frame = ref_frame(k->c, ref);
    uint32_t *mark = check_mark(k, frame);
    if (!mark || *mark & MARK_SECTION || ref != frame_ref(k->c, frame))
        return check_fail(k, "CL1", ref, 1, 0);
    *mark |= MARK_SECTION;
    return check_equal(k, "CL1", ref, NTMM_USE_PROTOTYPE, (uint64_t)pfn_use(pfn_at(k->c, frame)));
}

/* CL1: what is counted of each prototype. */
static bool check_counts(struct checker *k, const struct clone_block *block, uint64_t ref)
{
    uint64_t table = get64(&block->table_frame);
    const le64 *prototypes = table_at(k->c, table);
    uint32_t live = 0, end = 0;
    for (uint32_t i = 0; i < PAGES_PER_TABLE; i++) {
        uint32_t references = get32(&block->references[i]);
        uint64_t address = frame_ref(k->c, table) + i * sizeof(le64);
        if (!check_equal(k, "CL1", address, references != 0, get64(&prototypes[i]) != 0))
            return false;
        live += references != 0;
        end = references ? i + 1 : end;
        k->clone_pages += references;
        k->clone_balance -= references * weight_of(address);
    }
    return check_equal(k, "CL1", ref, live, get32(&block->live)) &&
           check_between(k, "CL1", ref, end, PAGES_PER_TABLE, get32(&block->used)) &&
           check_between(k, "CL1", ref, 1, PAGES_PER_TABLE, live);
}

static bool check_block(struct checker *k, const struct clone_block *block, uint64_t ref)
{
    struct tree_totals totals = {0};
    uint64_t table = get64(&block->table_frame);
    uint32_t *mark = check_mark(k, table);
    if (!mark)
        return check_fail(k, "CL1", ref, 1, table);
    if (!check_equal(k, "L1", LOCK_SECTION, 0, load32_relaxed(&block->lock)) ||
        !check_clone_table(k, table, ref, &totals) || !check_counts(k, block, ref))
        return false;
    *mark |= MARK_CLONES;
    k->commit += CLONE_BLOCK_COMMIT;
    return true;
}

/* Links back prove that the list ends. */
bool check_clones(struct checker *k)
{
    uint64_t previous = 0;
    for (uint64_t ref = get64(&anchor_of(k->c)->clone_blocks); ref;) {
        if (!check_frame_of_block(k, ref))
            return false;
        const struct clone_block *block = clone_block_at(k->c, ref);
        if (!check_equal(k, "CL1", ref, previous, get64(&block->prev)) ||
            !check_block(k, block, ref))
            return false;
        previous = ref;
        ref = get64(&block->next);
    }
    return true;
}

bool check_clone_references(struct checker *k)
{
    const struct unknown *unknown = &k->unknown;
    k->process = 0;
    if (unknown->is_above)
        return check_between(k, "CL2", 0, 0, k->clone_pages, k->clone_entries);
    if (unknown->entries)
        return check_between(k, "CL2", 0,
                             k->clone_pages - min_u64(k->clone_pages, unknown->entries),
                             k->clone_pages, k->clone_entries);
    return check_equal(k, "CL2", 0, k->clone_pages, k->clone_entries) &&
           check_equal(k, "CL2", 1, 0, k->clone_balance);
}

/* CL2: the entry names a prototype with references, in a table that was met. */
static bool check_reference(struct walk *w, uint64_t prototype, uint64_t va)
{
    struct call *c = w->k->c;
    const uint32_t *mark = check_mark(w->k, ref_frame(c, prototype));
    bool is_there = mark && *mark & MARK_CLONES && is_multiple(prototype, sizeof(le64)) &&
                    get64(core_at(c->bias, prototype)) != 0;
    w->k->clone_entries++;
    w->k->clone_balance += weight_of(prototype);
    return check_equal(w->k, "CL2", va, 1, is_there);
}

/* V7: what a valid entry grants; nobody stores to the page through it. */
static bool check_rights(struct walk *w, uint64_t raw, uint64_t va)
{
    const uint64_t varies = FIELD_MASK(HW_ACCESSED) | FIELD_MASK(HW_AGE) | ENTRY_LOCKED;
    uint32_t protection = entry_own_protection(raw);
    uint64_t expected =
        entry_with_protection(field_get(raw, HW_FRAME), protection_before_copy(protection), false,
                              ENTRY_SHARED | ENTRY_CLONED);
    bool is_right = ((raw ^ expected) & ~varies) == 0 && protection_is_mappable(protection);
    return is_right || check_fail(w->k, "V7", va, expected, raw);
}

/* P9: the frame of a valid entry is that of a prototype. */
static bool check_valid(struct walk *w, uint64_t raw, uint64_t va)
{
    uint64_t frame = field_get(raw, HW_FRAME);
    uint32_t *mark = check_mark(w->k, frame);
    if (!mark || pfn_use(pfn_at(w->k->c, frame)) != NTMM_USE_SECTION)
        return check_fail(w->k, "P9", frame, 1, 0);
    uint64_t prototype = clone_page_prototype(w->k->c, raw);
    if (!check_reference(w, prototype, va))
        return false;
    uint64_t found = get64(core_at(w->k->c->bias, prototype));
    uint64_t expected = entry_of_prototype(frame, PROT_READWRITE);
    check_meet(mark);
    w->working_set++;
    w->locked += (raw & ENTRY_LOCKED) != 0;
    return check_equal(w->k, "P9", frame, expected, found) && check_rights(w, raw, va);
}

bool check_clone_entry(struct walk *w, uint64_t raw, const struct entry_place *at)
{
    uint64_t va = at->page << NTMM_PAGE_SHIFT;
    if (raw & FIELD_MASK(HW_VALID))
        return check_valid(w, raw, va);
    uint64_t value = entry_value(w->k->c, raw);
    uint32_t protection = (uint32_t)field_get(value, PROTO_PROTECTION);
    uint64_t prototype = clone_page_prototype(w->k->c, raw);
    bool is_code = protection == PROT_NOACCESS || (protection & PROT_ACCESS_MASK) != 0;
    uint64_t expected = is_code ? clone_page_value(prototype, protection) : 0;
    return check_equal(w->k, "V9", va, expected, value) && check_reference(w, prototype, va);
}
