/*
 * Regions of large pages. See large.h.
 */
#include "space/large.h"
#include "base/bits.h"
#include "space/job.h"

#define ZERO_BATCH 64u /* frames zeroed in one go; a kernel stack is short */

static uint64_t leaf_value(uint64_t frame, uint32_t protection)
{
    return entry_hardware(frame, protection, true) | FIELD_MASK(HWL_LARGE_PAGE);
}

static uint32_t protection_of_leaf(const struct call *c, uint64_t raw)
{
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

/* Frames for one leaf, zeroed. False: there are none, and waiting would not bring them. */
static bool take_frames(struct call *c, uint64_t count, uint64_t *base)
{
    if (!runs_allocate(c, NTMM_USE_PRIVATE, count / RUN_FRAMES, base)) {
        c->want = (struct want){.kind = WANT_NOTHING};
        return false;
    }
    if (zero_frames(c, *base, count))
        return true;
    struct frame_chain chain = chain_empty();
    add_frames(c, &chain, *base, count);
    chain_free(c, &chain);
    return false;
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
    }
}

/* The leaf that begins at a page. */
static ntmm_status enter_leaf(struct call *c, struct process *process, uint64_t page,
                              uint32_t level, uint32_t protection)
{
    uint64_t base;
    struct table_span span = table_make_above(c, process, page, level);
    if (!span.upper)
        return want_status(c);
    if (!take_frames(c, large_leaf_pages(level), &base))
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    fill_rows(c, base, large_leaf_pages(level), (uint64_t)((uintptr_t)span.upper - c->bias),
              protection);
    store64_release(span.upper, leaf_value(base, protection));
    pfn_add_used(span.upper_table, 1);
    pfn_add_share(span.upper_table, 1);
    (void)add64(&partition_of(c)->large_pages, large_leaf_pages(level));
    return NTMM_STATUS_SUCCESS;
}

/* Empty the leaves of [start, end), and the tables that then are empty. */
static void empty_leaves(struct call *c, struct process *process, uint64_t start, uint64_t end,
                         uint32_t level)
{
    uint64_t count = large_leaf_pages(level);
    struct gather g = gather_begin(process, NTMM_SHOOTDOWN_UNMAP);
    for (uint64_t page = start; page < end; page += count) {
        struct table_span span = table_find(c, process, page);
        if (span.is_large) {
            uint64_t old = exchange64(span.upper, 0);
            pfn_add_used(span.upper_table, -1);
            pfn_add_share(span.upper_table, -1);
            gather_range(&g, page, page + count);
            add_frames(c, &g.freed, field_get(old, HW_FRAME), count);
            process_count(process, NTMM_COUNTER_PAGES_FREED, count);
            (void)add64(&partition_of(c)->large_pages, 0 - count);
        }
        table_prune(c, process, page, &g);
    }
    gather_finish(c, process, &g);
}

ntmm_status large_reserve(struct call *c, struct process *process, const struct vad_place *place,
                          uint32_t protection, uint32_t win32, uint32_t level)
{
    ntmm_status status = private_reserve(c, process, place, protection, win32, true);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    struct vad *vad = vad_find(c, process, place->start);
    set32(&vad->type, VAD_LARGE_PAGES);
    set32(&vad->flags, VAD_MEM_COMMIT | (level == 3 ? VAD_HUGE_PAGES : 0u));
    for (uint64_t page = place->start; page < place->end; page += large_leaf_pages(level)) {
        status = enter_leaf(c, process, page, level, protection);
        if (status != NTMM_STATUS_SUCCESS) {
            struct want want = c->want;
            large_release(c, process, vad);
            c->want = want;
            return status;
        }
    }
    return NTMM_STATUS_SUCCESS;
}

void large_release(struct call *c, struct process *process, struct vad *vad)
{
    uint64_t pages = vad_end(vad) - vad_start(vad);
    empty_leaves(c, process, vad_start(vad), vad_end(vad), large_level(vad));
    process_subtract(&process->virtual_pages, pages);
    return_private(c, process, pages);
    set64(&vad->commit_pages, 0);
    vad_delete(c, process, vad);
}

ntmm_status large_commit(struct call *c, struct process *process, const struct vad *vad,
                         uint64_t start, uint64_t end, uint32_t protection)
{
    uint64_t count = large_leaf_pages(large_level(vad));
    for (uint64_t page = round_down(start, count); page < end; page += count) {
        struct table_span span = table_find(c, process, page);
        if (protection_of_leaf(c, load64_relaxed(span.upper)) != protection)
            return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    }
    return NTMM_STATUS_SUCCESS;
}

static void protect_leaf(struct call *c, struct process *process, uint64_t page, uint64_t count,
                         uint32_t protection, struct gather *g)
{
    struct table_span span = table_find(c, process, page);
    uint64_t base = field_get(load64_relaxed(span.upper), HW_FRAME);
    for (uint64_t frame = base; frame < base + count; frame++)
        store64_relaxed(&pfn_at(c, frame)->original_pte, entry_software(protection));
    exchange64(span.upper, leaf_value(base, protection));
    gather_range(g, page, page + count);
}

ntmm_status large_protect(struct call *c, struct process *process, const struct vad *vad,
                          uint64_t start, uint64_t end, uint32_t protection, uint32_t *old)
{
    uint64_t count = large_leaf_pages(large_level(vad));
    if (!large_is_protection(protection))
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    if (!is_multiple(start, count) || !is_multiple(end, count))
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    *old = protection_of_leaf(c, load64_relaxed(table_find(c, process, start).upper));
    struct gather g = gather_begin(process, NTMM_SHOOTDOWN_PROTECT);
    for (uint64_t page = start; page < end; page += count)
        protect_leaf(c, process, page, count, protection, &g);
    gather_finish(c, process, &g);
    return NTMM_STATUS_SUCCESS;
}
