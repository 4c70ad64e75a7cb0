/*
 * Regions of large pages. See large.h.
 */
#include "space/large.h"
#include "base/bits.h"
#include "space/job.h"

#define ZERO_BATCH 64u /* frames zeroed in one go; a kernel stack is short */

/* The entry that names a leaf, and the row of the table that holds it. */
struct leaf {
    le64 *entry;
    struct pfn *table;
};

/* What decides a page at the level of its region's leaves. */
static struct leaf leaf_of(const struct table_span *span, uint32_t level)
{
    return level == 1 ? (struct leaf){.entry = span->entry, .table = span->table}
                      : (struct leaf){.entry = span->upper, .table = span->upper_table};
}

uint64_t large_entry(uint64_t frame, uint32_t level, uint32_t protection)
{
    uint64_t kind = level == 1 ? ENTRY_NOT_IN_SET : FIELD_MASK(HWL_LARGE_PAGE);
    return entry_hardware(frame, protection, true) | kind;
}

uint64_t large_shared_entry(uint64_t frame, uint32_t protection)
{
    uint64_t kind = ENTRY_SHARED | FIELD_MASK(HWL_LARGE_PAGE);
    return entry_with_protection(frame, protection, true, kind);
}

static uint32_t protection_of_leaf(const struct call *c, uint64_t raw)
{
    if (raw & ENTRY_SHARED)
        return entry_own_protection(raw);
    uint64_t original = load64_relaxed(&pfn_at(c, field_get(raw, HW_FRAME))->original_pte);
    return (uint32_t)field_get(original, SW_PROTECTION);
}

static bool zero_frames(struct call *c, uint64_t base, uint64_t count)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    uint64_t frames[ZERO_BATCH];
    for (uint64_t done = 0; done < count; done += ZERO_BATCH) {
        for (uint32_t i = 0; i < ZERO_BATCH; i++)
            frames[i] = base + done + i;
        if (!NTMM_SUCCEEDED(platform->zero(platform->context, frames, ZERO_BATCH)))
            return false;
    }
    return true;
}

static void add_frames(struct call *c, struct frame_chain *chain, uint64_t base, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        chain_add(c, chain, base + i);
}

bool large_take_frames(struct call *c, enum ntmm_frame_use use, uint64_t count, uint64_t *base)
{
    if (!runs_allocate(c, use, count / RUN_FRAMES, base)) {
        c->want = (struct want){.kind = WANT_ROWS, .pages = count, .rows = 1};
        return false;
    }
    if (zero_frames(c, *base, count))
        return true;
    struct frame_chain chain = chain_empty();
    add_frames(c, &chain, *base, count);
    chain_free(c, &chain);
    return false;
}

void large_want_all_rows(struct call *c, uint64_t pages)
{
    if (c->want.kind == WANT_ROWS)
        c->want.rows = (uint32_t)(pages >> (c->want.pages == RUN_FRAMES ? 9 : 18));
}

/* Frames for one leaf, zeroed. False with c->want set: there are none. False without: they could
 * not be zeroed. */
static bool take_frames(struct call *c, uint64_t count, uint64_t *base)
{
    return count == 1 ? frame_allocate_zeroed(c, NTMM_USE_PRIVATE, base)
                      : large_take_frames(c, NTMM_USE_PRIVATE, count, base);
}

static void fill_rows(struct call *c, uint64_t base, uint64_t count, uint64_t entry_address,
                      uint32_t protection)
{
    for (uint64_t frame = base; frame < base + count; frame++) {
        struct pfn *pfn = pfn_at(c, frame);
        set64(&pfn->entry_address, entry_address);
        store64_relaxed(&pfn->original_pte, entry_software(protection));
        set64(&pfn->table_frame, ref_frame(c, entry_address));
        pfn_set_modified(pfn); /* nothing backs it */
        frame_step(c, pfn, "own_dirty");
    }
}

/* An empty entry becomes a leaf. */
static void publish(const struct leaf *leaf, uint64_t raw)
{
    store64_release(leaf->entry, raw);
    pfn_add_used(leaf->table, 1);
    pfn_add_share(leaf->table, 1);
}

/* The leaf that begins at a page. */
static ntmm_status enter_leaf(struct call *c, struct process *process, uint64_t page,
                              uint32_t level, uint32_t protection)
{
    uint64_t base;
    struct table_span span = level == 1 ? table_make(c, process, page, TABLE_FOR_SERVICE)
                                        : table_make_above(c, process, page, level);
    struct leaf leaf = leaf_of(&span, level);
    if (!leaf.entry)
        return want_status(c);
    if (!take_frames(c, large_leaf_pages(level), &base))
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    fill_rows(c, base, large_leaf_pages(level), core_ref(c, leaf.entry), protection);
    publish(&leaf, large_entry(base, level, protection));
    return NTMM_STATUS_SUCCESS;
}

/* The frames of a leaf are its no more; those of a section stay. */
static void empty_leaf(struct call *c, struct process *process, uint64_t page, uint64_t count,
                       const struct leaf *leaf, struct gather *g)
{
    uint64_t old = exchange64(leaf->entry, 0);
    pfn_add_used(leaf->table, -1);
    pfn_add_share(leaf->table, -1);
    gather_range(g, page, page + count);
    if (!(old & ENTRY_SHARED))
        add_frames(c, &g->freed, field_get(old, HW_FRAME), count);
    process_count(process, NTMM_COUNTER_PAGES_FREED, count);
}

/* Empty the leaves of [start, end), and the tables that then are empty. */
static void empty_leaves(struct call *c, struct process *process, uint64_t start, uint64_t end,
                         uint32_t level)
{
    uint64_t count = large_leaf_pages(level);
    struct gather g;
    gather_begin(&g, process, NTMM_SHOOTDOWN_UNMAP);
    for (uint64_t page = start; page < end; page += count) {
        struct table_span span = table_find(c, process, page);
        struct leaf leaf = leaf_of(&span, level);
        if (span.level == level && leaf.entry && load64_relaxed(leaf.entry) != 0)
            empty_leaf(c, process, page, count, &leaf, &g);
        if (level > 1 || page + 1 == min_u64(span.end, end))
            table_prune(c, process, page, &g);
    }
    gather_finish(c, process, &g);
}

bool large_charge_resident(struct call *c, uint64_t pages)
{
    struct partition *partition = partition_of(c);
    uint64_t usable =
        load64_relaxed(&partition->total_pages) - load64_relaxed(&partition->metadata_pages);
    if (pages > usable)
        return false;
    uint64_t kept = add64(&partition->large_pages, pages);
    if (load64_acquire(&partition->minimum_pages) + kept <= usable)
        return true;
    (void)add64(&partition->large_pages, 0 - pages);
    return false;
}

void large_return_resident(struct call *c, uint64_t pages)
{
    (void)add64(&partition_of(c)->large_pages, 0 - pages);
}

/* A region without leaves goes. */
static void give_up_region(struct call *c, struct process *process, struct vad *vad)
{
    uint64_t pages = vad_end(vad) - vad_start(vad);
    process_subtract(&process->virtual_pages, pages);
    return_private(c, process, pages);
    set64(&vad->commit_pages, 0);
    vad_delete(c, process, vad);
}

static ntmm_status enter_leaves(struct call *c, struct process *process, const struct vad *vad,
                                uint32_t protection)
{
    uint32_t level = large_level(vad);
    /* looking first keeps single frames from being taken and given back */
    if (level == 1 && !frames_are_available(c, vad_end(vad) - vad_start(vad)))
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    for (uint64_t page = vad_start(vad); page < vad_end(vad); page += large_leaf_pages(level)) {
        ntmm_status status = enter_leaf(c, process, page, level, protection);
        if (status != NTMM_STATUS_SUCCESS) {
            large_want_all_rows(c, vad_end(vad) - vad_start(vad));
            return status;
        }
    }
    return NTMM_STATUS_SUCCESS;
}

ntmm_status large_reserve(struct call *c, struct process *process, const struct vad_place *place,
                          uint32_t protection, uint32_t win32, uint32_t level)
{
    static const uint32_t flag_of_level[] = {[1] = VAD_SMALL_PAGES, [2] = 0, [3] = VAD_HUGE_PAGES};
    ntmm_status status = private_reserve(c, process, place, protection, win32, true);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    struct vad *vad = vad_find(c, process, place->start);
    set32(&vad->type, VAD_LARGE_PAGES);
    set32(&vad->flags, VAD_MEM_COMMIT | flag_of_level[level]);
    if (!large_charge_resident(c, place->end - place->start)) {
        give_up_region(c, process, vad);
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    }
    status = enter_leaves(c, process, vad, protection);
    if (status != NTMM_STATUS_SUCCESS) {
        struct want want = c->want;
        large_release(c, process, vad);
        c->want = want;
    }
    return status;
}

void large_release(struct call *c, struct process *process, struct vad *vad)
{
    uint64_t pages = vad_end(vad) - vad_start(vad);
    empty_leaves(c, process, vad_start(vad), vad_end(vad), large_level(vad));
    large_return_resident(c, pages);
    give_up_region(c, process, vad);
}

ntmm_status large_commit(struct call *c, struct process *process, const struct vad *vad,
                         uint64_t start, uint64_t end, uint32_t protection)
{
    uint64_t count = large_leaf_pages(large_level(vad));
    for (uint64_t page = round_down(start, count); page < end; page += count) {
        struct table_span span = table_find(c, process, page);
        if (protection_of_leaf(c, load64_relaxed(span_leaf(&span))) != protection)
            return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    }
    return NTMM_STATUS_SUCCESS;
}

static void protect_leaf(struct call *c, struct process *process, uint64_t page, uint32_t level,
                         uint32_t protection, struct gather *g)
{
    struct table_span span = table_find(c, process, page);
    uint64_t count = large_leaf_pages(level);
    uint64_t raw = load64_relaxed(span_leaf(&span));
    uint64_t base = field_get(raw, HW_FRAME);
    bool is_shared = (raw & ENTRY_SHARED) != 0;
    for (uint64_t frame = base; frame < base + count && !is_shared; frame++)
        store64_relaxed(&pfn_at(c, frame)->original_pte, entry_software(protection));
    exchange64(span_leaf(&span), is_shared ? large_shared_entry(base, protection)
                                           : large_entry(base, level, protection));
    gather_range(g, page, page + count);
}

ntmm_status large_protect(struct call *c, struct process *process, const struct vad *vad,
                          uint64_t start, uint64_t end, uint32_t protection, uint32_t *old)
{
    uint32_t level = large_level(vad);
    uint64_t count = large_leaf_pages(level);
    if (!large_is_protection(protection))
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    if (!is_multiple(start, count) || !is_multiple(end, count))
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    struct table_span first = table_find(c, process, start);
    *old = protection_of_leaf(c, load64_relaxed(span_leaf(&first)));
    struct gather g;
    gather_begin(&g, process, NTMM_SHOOTDOWN_PROTECT);
    for (uint64_t page = start; page < end; page += count)
        protect_leaf(c, process, page, level, protection, &g);
    gather_finish(c, process, &g);
    return NTMM_STATUS_SUCCESS;
}

/* --- views --- */

bool large_enter_shared(struct call *c, struct process *process, uint64_t page, uint64_t frame,
                        uint32_t protection)
{
    struct table_span span = table_make_above(c, process, page, 2);
    struct leaf leaf = leaf_of(&span, 2);
    if (leaf.entry)
        publish(&leaf, large_shared_entry(frame, protection));
    return leaf.entry != NULL;
}

void large_empty_shared(struct call *c, struct process *process, uint64_t start, uint64_t end)
{
    empty_leaves(c, process, start, end, 2);
}
