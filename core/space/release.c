/*
 * Freeing private memory: decommit, release, and the end of a process.
 *
 * Entries are emptied first and what they mapped is gathered; frames go back only after the one
 * shootdown of the operation.
 */
#include "base/bits.h"
#include "phys/slab.h"
#include "phys/slots.h"
#include "space/awe.h"
#include "space/borrowed.h"
#include "space/clone_page.h"
#include "space/fault_log.h"
#include "space/job.h"
#include "space/large.h"
#include "space/secure.h"
#include "space/watch.h"

/* A valid entry whose frame is not the page's alone. Returns as private_delete_page. */
static __attribute__((noinline)) uint64_t withdraw_others(struct call *c, struct process *process,
                                                          struct pfn *table, le64 *entry,
                                                          uint64_t page, uint64_t value,
                                                          struct gather *g)
{
    if (load64_relaxed(entry) & ENTRY_CLONED) {
        clone_page_drop(c, process, table, entry, page, value, g);
        return 1;
    }
    entry_replace_borrowed(c, table, entry, value);
    gather_range(g, page, page + 1);
    return 0;
}

/* What an entry names that names no frame, in favour of nobody: a slot, or a page of clones. */
static __attribute__((noinline)) void give_up_page(struct call *c, uint64_t raw, struct gather *g)
{
    if (entry_kind(c, raw) == PTE_PAGEFILE)
        slot_release(c, entry_value(c, raw));
    else
        clone_page_give_up(c, clone_page_prototype(c, raw), &g->freed);
}

uint64_t private_delete_page(struct call *c, struct process *process, const struct vad *vad,
                             struct table_span *span, uint64_t index, uint64_t page, uint64_t value,
                             struct gather *g)
{
    le64 *entry = &span->entry[index];
    uint64_t raw = load64_relaxed(entry);
    enum pte_kind kind = entry_kind(c, raw);
    uint64_t committed = page_state_of(c, vad, raw).is_committed;

    if (kind == PTE_VALID && (raw & (ENTRY_BORROWED | ENTRY_CLONED)))
        return withdraw_others(c, process, span->table, entry, page, value, g);
    if (kind == PTE_VALID) {
        chain_add(c, &g->freed, entry_withdraw(c, process, span->table, entry, page, value, g));
        process_count(process, NTMM_COUNTER_PAGES_FREED, 1);
        return committed;
    }
    uint64_t frame = entry_lock_transition(c, entry);
    if (frame != FRAME_NONE) {
        entry_write(c, span->table, entry, value);
        bool is_ours = frame_detach(c, frame);
        frame_unlock(c, frame);
        if (is_ours)
            chain_add(c, &g->freed, frame);
        process_count(process, NTMM_COUNTER_PAGES_FREED, 1);
        return committed;
    }
    raw = load64_relaxed(entry);
    kind = entry_kind(c, raw);
    if (kind == PTE_PAGEFILE || kind == PTE_PROTOTYPE)
        give_up_page(c, raw, g);
    if (raw != value)
        entry_write(c, span->table, entry, value);
    return committed;
}

/* Empty [start, end); returns the committed pages that went. Missing tables hold nothing to empty.
 * */
static uint64_t delete_range(struct call *c, struct process *process, const struct vad *vad,
                             uint64_t start, uint64_t end, uint64_t value)
{
    if (table_is_void(c, process, start, end))
        return vad_is_committed_by_default(vad) ? end - start : 0;
    struct gather g;
    gather_begin(&g, process, NTMM_SHOOTDOWN_UNMAP);
    uint64_t committed = 0;

    for (uint64_t page = start; page < end;) {
        struct table_span span = table_find(c, process, page);
        uint64_t stop = min_u64(span.end, end);
        if (!span.entry && vad_is_committed_by_default(vad))
            committed += stop - page;
        for (uint64_t i = 0; span.entry && i < stop - page; i++)
            committed += private_delete_page(c, process, vad, &span, i, page + i, value, &g);
        if (span.entry && pfn_used(span.table) == 0)
            table_prune(c, process, page, &g);
        page = stop;
    }
    gather_finish(c, process, &g);
    return committed;
}

static void give_up_commit(struct call *c, struct process *process, struct vad *vad, uint64_t pages)
{
    if (pages == 0)
        return;
    /* what an abandoned table held is not known, and counts with the last of its region */
    if (get32(&process->state) != PROCESS_LIVE)
        pages = min_u64(pages, get64(&vad->commit_pages));
    process_subtract(&vad->commit_pages, pages);
    return_private(c, process, pages);
}

ntmm_status private_decommit(struct call *c, struct process *process, struct vad *vad,
                             uint64_t start, uint64_t end)
{
    bool is_whole = start == vad_start(vad) && end == vad_end(vad);
    bool needs_marks = vad_is_committed_by_default(vad) && !is_whole;

    if (!tables_are_present(c, process, start, end))
        return want_status(c);
    if (needs_marks && !table_make_range(c, process, start, end))
        return want_status(c);
    uint64_t value = needs_marks ? entry_software(PROT_DECOMMITTED) : 0;
    give_up_commit(c, process, vad, delete_range(c, process, vad, start, end, value));
    if (vad_is_watched(vad))
        watch_clear(c, process, start, end, WATCH_NOT_LATCHED);
    if (is_whole)
        set32(&vad->flags, get32(&vad->flags) & ~(uint32_t)VAD_MEM_COMMIT);
    return NTMM_STATUS_SUCCESS;
}

/* Committed pages of [start, end): by looking, unless the VAD's count already says it. */
static uint64_t commit_in(struct call *c, struct process *process, const struct vad *vad,
                          uint64_t start, uint64_t end)
{
    uint64_t committed = 0;
    for (uint64_t page = start; page < end;) {
        uint64_t run_end;
        struct page_state state = private_query(c, process, vad, page, end, &run_end);
        committed += state.is_committed ? run_end - page : 0;
        page = run_end;
    }
    return committed;
}

/* The hole of a VAD's middle; `spare` holds what the rest behind it needs. */
static void pierce(struct call *c, struct process *process, struct vad *vad, uint64_t start,
                   uint64_t end, struct vad_spare *spare)
{
    uint64_t commit = commit_in(c, process, vad, end, vad_end(vad));
    struct vad *rest = vad_split(c, process, vad, start, end, spare);
    set64(&rest->commit_pages, commit);
    process_subtract(&vad->commit_pages, commit);
}

/* Empty [start, end) and give up what it was charged. */
static inline void release_pages(struct call *c, struct process *process, struct vad *vad,
                                 uint64_t start, uint64_t end)
{
    uint64_t committed = delete_range(c, process, vad, start, end, 0);
    if (!vad_is_borrowed(vad))
        give_up_commit(c, process, vad, committed);
    if (vad_is_watched(vad))
        watch_clear(c, process, start, end, WATCH_ALL);
    process_subtract(&process->virtual_pages, end - start);
}

static __attribute__((noinline)) ntmm_status release_part(struct call *c, struct process *process,
                                                          struct vad *vad, uint64_t start,
                                                          uint64_t end)
{
    bool is_middle = start > vad_start(vad) && end < vad_end(vad);
    struct vad_spare spare;

    if (!tables_are_present(c, process, start, is_middle ? vad_end(vad) : end))
        return want_status(c);
    if (is_middle && !vad_spare_take(c, process, end, &spare))
        return want_status(c);
    release_pages(c, process, vad, start, end);
    if (is_middle)
        pierce(c, process, vad, start, end, &spare);
    else if (start > vad_start(vad))
        vad_resize(c, process, vad, vad_start(vad), start);
    else
        vad_resize(c, process, vad, end, vad_end(vad));
    return NTMM_STATUS_SUCCESS;
}

__attribute__((flatten)) ntmm_status private_release(struct call *c, struct process *process,
                                                     struct vad *vad, uint64_t start, uint64_t end)
{
    if (start != vad_start(vad) || end != vad_end(vad))
        return release_part(c, process, vad, start, end);
    if (!tables_are_present(c, process, start, end))
        return want_status(c);
    release_pages(c, process, vad, start, end);
    give_up_commit(c, process, vad, get64(&vad->commit_pages)); /* of tables that were abandoned */
    vad_delete(c, process, vad);
    return NTMM_STATUS_SUCCESS;
}

void private_discard(struct call *c, struct process *process, struct vad *vad, uint64_t start,
                     uint64_t end)
{
    struct gather g;
    gather_begin(&g, process, NTMM_SHOOTDOWN_UNMAP);
    uint64_t committed = 0;

    for (uint64_t page = start; page < end;) {
        struct table_span span = table_find(c, process, page);
        uint64_t stop = min_u64(span.end, end);
        for (uint64_t i = 0; span.entry && i < stop - page; i++) {
            if (entry_kind(c, load64_relaxed(&span.entry[i])) != PTE_DECOMMITTED)
                committed += private_delete_page(c, process, vad, &span, i, page + i, 0, &g);
        }
        if (span.entry && pfn_used(span.table) == 0)
            table_prune(c, process, page, &g);
        page = stop;
    }
    gather_finish(c, process, &g);
    if (vad_is_watched(vad))
        watch_clear(c, process, start, end, WATCH_NOT_LATCHED);
    if (!vad_is_committed_by_default(vad))
        give_up_commit(c, process, vad, committed);
}

void private_discard_resident(struct call *c, struct process *process)
{
    struct gap_range range;
    uint64_t page = 0;
    if (get64(&process->tables_out) == 0)
        return;
    while (gap_tree_find_at_or_after(c->bias, &process->vads, page, &range)) {
        struct vad *vad = vad_at(c, range.ref);
        if (vad_is_private(vad))
            private_discard(c, process, vad, vad_start(vad), vad_end(vad));
        page = range.end;
    }
}

/* Release a region from its start as far as its tables are in memory. */
static bool run_down_region(struct call *c, struct process *process, struct vad *vad)
{
    uint64_t start = vad_start(vad);
    uint64_t end = start;
    if (__builtin_expect(vad_is_secured(vad), 0))
        secure_remove_all(c, vad);
    if (vad_type(vad) == VAD_LARGE_PAGES) {
        large_release(c, process, vad);
        return true;
    }
    if (vad_type(vad) == VAD_AWE) {
        awe_release(c, process, vad);
        return true;
    }
    while (end < vad_end(vad)) {
        struct table_span span = table_find(c, process, end);
        if (span.is_out) {
            c->want = (struct want){.kind = WANT_TABLE, .page = end};
            break;
        }
        end = min_u64(span.end, vad_end(vad));
    }
    bool is_whole = end == vad_end(vad);
    if (end == start)
        return false;
    ntmm_status status = private_release(c, process, vad, start, end);
    NTMM_ASSERT(status == NTMM_STATUS_SUCCESS);
    (void)status;
    return is_whole;
}

bool private_run_down(struct call *c, struct process *process)
{
    for (uint64_t ref; (ref = gap_tree_first(c->bias, &process->vads)) != 0;) {
        if (!run_down_region(c, process, vad_at(c, ref)))
            return false;
    }
    vad_drop_spare(c, process);
    awe_free_all(c, process);
    fault_log_end(c, process);
    return true;
}

void private_abandon_table(struct call *c, struct process *process, uint64_t page)
{
    struct table_span span = table_find(c, process, page);
    struct gather g;
    NTMM_ASSERT(span.is_out);
    gather_begin(&g, process, NTMM_SHOOTDOWN_UNMAP);
    table_abandon_entry(c, span.upper_table, span.upper);
    process_subtract(&process->tables_out, 1);
    table_prune(c, process, page, &g);
    gather_finish(c, process, &g);
}
