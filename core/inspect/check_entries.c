/*
 * The checker's view of leaf entries, and of the rows of the frames that entries name.
 *
 *   valid        grants what the page's protection says; its frame is active
 *   transition   names a frame on standby or modified, or one that a transfer uses
 *   page file    names a slot
 *   software     a protection, or the mark of a decommitted page
 *   damaged      a protection
 *
 * Each kind is looked at before anything that it names is trusted.
 */
#include "inspect/checker.h"
#include "section/clone.h"
#include "space/borrowed.h"
#include "space/clone_page.h"
#include "space/large.h"
#include "space/protection.h"

bool check_owner(struct walk *w, uint64_t frame, const struct entry_place *at,
                 enum ntmm_frame_use use)
{
    uint32_t *mark = check_mark(w->k, frame);
    if (!mark)
        return check_fail(w->k, "P9", frame, 0, at->address);
    check_meet(mark);
    const struct pfn *pfn = pfn_at(w->k->c, frame);
    return check_equal(w->k, "P9", frame, at->address, get64(&pfn->entry_address)) &&
           check_equal(w->k, "P9", frame, at->table, pfn_table_frame(pfn)) &&
           check_equal(w->k, "P9", frame, use, (uint64_t)pfn_use(pfn));
}

bool check_is_in_transition(struct checker *k, uint64_t frame)
{
    const uint32_t *mark = check_mark(k, frame);
    if (!mark)
        return check_fail(k, "P4", frame, 1, 0);
    enum ntmm_frame_location location = pfn_location(pfn_at(k->c, frame));
    bool is_listed = location == NTMM_FRAME_STANDBY || location == NTMM_FRAME_MODIFIED;
    bool is_there = is_listed ? (*mark & MARK_LISTED) != 0 : location == NTMM_FRAME_TRANSITION;
    return check_equal(k, "P4", frame, 1, is_there);
}

static bool is_code(uint32_t protection)
{
    return protection == PROT_NOACCESS || (protection & PROT_ACCESS_MASK) != 0;
}

/* A value with a protection, and the slot of another value; no slot: as that is. */
static uint64_t value_with_slot(uint32_t protection, uint64_t value)
{
    return slot_set(entry_software(protection), slot_file(value), slot_of(value));
}

/* P11: what may go is in the frame alone. */
static bool check_disposable(struct walk *w, uint64_t frame, uint64_t original)
{
    const struct pfn *pfn = pfn_at(w->k->c, frame);
    bool is_used = pfn_is_being_read(pfn) || pfn_is_being_written(pfn);
    bool is_right =
        !pfn_is_modified(pfn) && !(original & ENTRY_LOST) && (slot_of(original) == 0 || is_used);
    return !(original & ENTRY_DISPOSABLE) || check_equal(w->k, "P11", frame, 1, is_right);
}

/* V9: the original entry of a page's frame holds a protection, perhaps a slot, what became of a
 * reset, and no more. */
static bool check_original(struct walk *w, uint64_t frame, const struct entry_place *at)
{
    uint64_t original = load64_relaxed(&pfn_at(w->k->c, frame)->original_pte);
    uint32_t protection = (uint32_t)field_get(original, SW_PROTECTION);
    uint64_t expected = is_code(protection) ? value_with_slot(protection, original) : 0;
    expected |= original & (ENTRY_DISPOSABLE | ENTRY_LOST);
    return check_equal(w->k, "V9", at->page << NTMM_PAGE_SHIFT, expected, original) &&
           check_disposable(w, frame, original);
}

/* V7: what an entry grants is what its page's protection says, the write bit only with dirty. */
static bool check_rights(struct walk *w, uint64_t raw, uint32_t protection,
                         const struct entry_place *at)
{
    const uint64_t varies = FIELD_MASK(HW_ACCESSED) | FIELD_MASK(HW_DIRTY) | FIELD_MASK(HW_DIRTY1) |
                            FIELD_MASK(HW_AGE) | ENTRY_LOCKED;
    uint64_t expected = entry_hardware(field_get(raw, HW_FRAME), protection, false);
    bool is_writable = (raw & FIELD_MASK(HW_DIRTY1)) != 0;
    bool may_be = (raw & FIELD_MASK(HW_WRITE)) && (raw & FIELD_MASK(HW_DIRTY));
    bool is_right = ((raw ^ expected) & ~varies) == 0 && protection_is_mappable(protection) &&
                    (may_be || !is_writable);
    return is_right || check_fail(w->k, "V7", at->page << NTMM_PAGE_SHIFT, expected, raw);
}

static bool check_valid(struct walk *w, uint64_t raw, const struct entry_place *at)
{
    uint64_t frame = field_get(raw, HW_FRAME);
    if (!check_owner(w, frame, at, NTMM_USE_PRIVATE))
        return false;
    const struct pfn *pfn = pfn_at(w->k->c, frame);
    uint64_t original = load64_relaxed(&pfn->original_pte);
    bool is_dirty = (raw & FIELD_MASK(HW_DIRTY)) != 0;
    if (!check_rights(w, raw, (uint32_t)field_get(original, SW_PROTECTION), at) ||
        !check_original(w, frame, at) ||
        !check_equal(w->k, "P8", frame, 1, pfn_is_modified(pfn) || !is_dirty))
        return false;
    w->working_set++;
    w->locked += (raw & ENTRY_LOCKED) != 0;
    return check_equal(w->k, "P7", frame, 1, get32(&pfn->share_count));
}

/* P4, V9: the entry and its frame agree on the page's protection. */
static bool check_transition(struct walk *w, uint64_t value, const struct entry_place *at)
{
    uint64_t frame = field_get(value, TR_FRAME);
    uint32_t protection = (uint32_t)field_get(value, TR_PROTECTION);
    if (!check_is_in_transition(w->k, frame) || !check_owner(w, frame, at, NTMM_USE_PRIVATE))
        return false;
    uint64_t original = load64_relaxed(&pfn_at(w->k->c, frame)->original_pte);
    return check_equal(w->k, "P4", frame, field_get(original, SW_PROTECTION), protection) &&
           check_equal(w->k, "V9", at->page << NTMM_PAGE_SHIFT, entry_transition(protection, frame),
                       value) &&
           check_original(w, frame, at);
}

/* V9, G1: a software entry holds what a private page can have, perhaps a slot, and no more. */
static bool check_software(struct walk *w, uint64_t value, const struct entry_place *at)
{
    uint32_t protection = (uint32_t)field_get(value, SW_PROTECTION);
    bool is_legal = is_code(protection) || (protection == PROT_DECOMMITTED && slot_of(value) == 0);
    uint64_t expected = is_legal ? value_with_slot(protection, value) : 0;
    if (protection != PROT_DECOMMITTED)
        expected |= value & ENTRY_LOST;
    if (is_code(protection) && entry_is_damaged(value))
        expected = entry_damaged(protection);
    return check_equal(w->k, "V9", at->page << NTMM_PAGE_SHIFT, expected, value) &&
           check_name(w->k, value);
}

/* is_plain: of a region whose pages clones may share. */
static bool check_kind(struct walk *w, uint64_t raw, const struct entry_place *at, bool is_plain,
                       bool *is_shared)
{
    uint64_t value = entry_value(w->k->c, raw);
    enum pte_kind kind = entry_kind(w->k->c, raw);
    *is_shared = kind == PTE_VALID || kind == PTE_TRANSITION;
    if (*is_shared && at->is_out)
        return true; /* V5 has more to say, and what it names is not ours to follow */
    if (is_plain && clone_page_is(w->k->c, raw))
        return check_clone_entry(w, raw, at);
    switch (kind) {
    case PTE_VALID:
        return check_valid(w, raw, at);
    case PTE_TRANSITION:
        return check_transition(w, value, at);
    case PTE_ZERO:
    case PTE_DEMAND_ZERO:
    case PTE_DECOMMITTED:
    case PTE_NO_ACCESS:
    case PTE_PAGEFILE:
    case PTE_PROTOTYPE:
    case PTE_LARGE:
        break;
    }
    return check_software(w, value, at);
}

/* P7, P9, V11: a frame of a large page. */
static bool check_large_frame(struct walk *w, uint64_t frame, uint32_t protection,
                              const struct entry_place *at)
{
    if (!check_owner(w, frame, at, NTMM_USE_PRIVATE))
        return false;
    const struct pfn *pfn = pfn_at(w->k->c, frame);
    return check_equal(w->k, "V11", at->page << NTMM_PAGE_SHIFT, entry_software(protection),
                       load64_relaxed(&pfn->original_pte)) &&
           check_equal(w->k, "P8", frame, 1, pfn_is_modified(pfn)) &&
           check_equal(w->k, "P7", frame, 1, get32(&pfn->share_count));
}

/* V11: a valid leaf that is of its region's size. */
static bool check_large(struct walk *w, uint64_t raw, uint32_t level, const struct entry_place *at)
{
    const uint64_t varies = FIELD_MASK(HW_ACCESSED);
    uint64_t va = at->page << NTMM_PAGE_SHIFT;
    uint64_t base = field_get(raw, HW_FRAME);
    if (!check_mark(w->k, base))
        return check_fail(w->k, "P9", base, 0, at->address);
    uint64_t original = load64_relaxed(&pfn_at(w->k->c, base)->original_pte);
    uint32_t protection = (uint32_t)field_get(original, SW_PROTECTION);
    uint64_t expected = large_is_protection(protection) ? large_entry(base, level, protection) : 0;
    if (((raw ^ expected) & ~varies) != 0)
        return check_fail(w->k, "V11", va, expected, raw);
    for (uint64_t i = 0; i < large_leaf_pages(level); i++) {
        if (!check_large_frame(w, base + i, protection, at))
            return false;
    }
    w->large_pages += large_leaf_pages(level);
    return true;
}

bool check_large_leaf(struct walk *w, uint64_t raw, uint32_t level, const struct entry_place *at)
{
    const struct vad *vad;
    if (!walk_reach(w, at->page, &vad))
        return false;
    if (vad_type(vad) == VAD_LARGE_PAGE_SECTION && level == 2)
        return check_view_leaf(w, vad, raw, at);
    if (vad_type(vad) != VAD_LARGE_PAGES || large_level(vad) != level)
        return check_fail(w->k, "V6", at->page << NTMM_PAGE_SHIFT, 0, raw);
    return check_large(w, raw, level, at);
}

/* V11: a leaf of small pages, which a region of large ones has only if it says so. */
static bool check_small_leaf(struct walk *w, const struct vad *vad, uint64_t raw,
                             const struct entry_place *at, bool *is_shared)
{
    bool is_valid = entry_kind(w->k->c, raw) == PTE_VALID;
    if (large_level(vad) != 1 || !is_valid || at->is_out)
        return check_fail(w->k, "V11", at->page << NTMM_PAGE_SHIFT, 0, raw);
    *is_shared = true;
    return check_large(w, raw, 1, at);
}

/* V7, V9: the entry of a page of the embedder's is made of its region, its place in it, and a
 * protection; nothing else is known of it, and it costs no commit. */
static bool check_borrowed(struct walk *w, const struct vad *vad, uint64_t raw,
                           const struct entry_place *at, bool *is_shared)
{
    const uint64_t varies = FIELD_MASK(HW_ACCESSED) | FIELD_MASK(HW_DIRTY);
    uint64_t object = at->page << NTMM_PAGE_SHIFT;
    *is_shared = entry_kind(w->k->c, raw) == PTE_VALID;
    if (!*is_shared)
        return check_equal(w->k, "V9", object, entry_software(PROT_NOACCESS),
                           entry_value(w->k->c, raw));
    uint64_t expected = borrowed_entry(vad, at->page, entry_own_protection(raw));
    return at->is_out || ((raw ^ expected) & ~varies) == 0 ||
           check_fail(w->k, "V7", object, expected, raw);
}

bool check_leaf(struct walk *w, uint64_t raw, const struct entry_place *at, bool *is_shared)
{
    const struct vad *vad = NULL;
    if (!walk_reach(w, at->page, &vad))
        return false;
    if (vad_type(vad) == VAD_LARGE_PAGES || vad_type(vad) == VAD_LARGE_PAGE_SECTION)
        return check_small_leaf(w, vad, raw, at, is_shared);
    if (vad_is_borrowed(vad))
        return check_borrowed(w, vad, raw, at, is_shared);
    if (vad_type(vad) == VAD_AWE) {
        *is_shared = true;
        return check_window_entry(w, raw, at);
    }
    if (vad_is_view(vad) && !check_view(w, vad))
        return false;
    if (vad_is_view(vad) && !view_entry_is_private(w->k->c, raw))
        return check_view_entry(w, vad, raw, at, is_shared);
    if (!check_kind(w, raw, at, clone_shares_pages(vad), is_shared))
        return false;
    if (*is_shared && at->is_out)
        return true;
    if (vad_is_view(vad)) {
        check_view_charge(w, vad, at->page, true);
        return true;
    }
    if (!check_watched_entry(w, vad, at->page, raw))
        return false;
    bool is_committed = page_state_of(w->k->c, vad, raw).is_committed;
    w->counted += is_committed - (int64_t)vad_is_committed_by_default(vad);
    return true;
}
