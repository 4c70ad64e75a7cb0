/*
 * What is known of a frame and of an address, as plain records.
 */
#include "phys/slab.h"
#include "phys/slots.h"
#include "services/query.h"
#include "space/table.h"
#include "space/vad.h"

#include <ntmm/constants.h>
#include <ntmm/inspect.h>

#define OWNER_NONE 0xFFFFFFFFu

/* The process whose tables lead to a table frame: climb to the root, then look for it. */
static uint32_t owner_of_table(struct call *c, uint64_t frame)
{
    for (uint32_t level = 0; level < c->sys->levels; level++) {
        uint64_t parent = pfn_table_frame(pfn_at(c, frame));
        if (parent == frame)
            break;
        frame = parent;
    }
    uint32_t slots = load32_acquire(&anchor_of(c)->slot_count);
    for (uint32_t slot = 0; slot < slots; slot++) {
        const struct process *process = process_in_slot(c, slot);
        if (get64(&process->handle) && get64(&process->root_frame) == frame)
            return slot;
    }
    return OWNER_NONE;
}

static uint32_t used_of(struct call *c, uint64_t frame, const struct pfn *pfn)
{
    if (pfn_use(pfn) == NTMM_USE_SLAB)
        return get32(&((const struct slab *)table_at(c, frame))->used);
    return use_is_of_table(pfn_use(pfn)) ? pfn_used(pfn) : 0;
}

ntmm_status ntmm_query_frame(struct ntmm_system *system, uint64_t frame,
                             struct ntmm_frame_information *information)
{
    struct call c = call_begin(system);
    const struct pfn *pfn = pfn_find(&c, frame);
    if (!pfn)
        return NTMM_STATUS_INVALID_PARAMETER_2;
    bool is_owned = pfn_use(pfn) == NTMM_USE_PRIVATE || pfn_use(pfn) == NTMM_USE_TABLE;
    bool has_slot = is_owned || use_is_of_table(pfn_use(pfn));
    bool is_slab = pfn_use(pfn) == NTMM_USE_SLAB;
    uint64_t original = load64_relaxed(&pfn->original_pte);
    *information = (struct ntmm_frame_information){
        .frame = frame,
        .location = pfn_location(pfn),
        .use = pfn_use(pfn),
        .entry_address = get64(&pfn->entry_address),
        .original_pte = original,
        .table_frame = pfn_table_frame(pfn),
        .share_count = get32(&pfn->share_count),
        .slot = has_slot ? slot_of(original) : 0,
        .reference_count = get16(&pfn->reference_count),
        .priority = pfn_priority(pfn),
        .is_modified = pfn_is_modified(pfn),
        .tag = is_slab ? (uint32_t)original : 0,
        .used = used_of(&c, frame, pfn),
        .owner = is_owned ? owner_of_table(&c, pfn_table_frame(pfn)) : OWNER_NONE,
        .is_being_read = pfn_is_being_read(pfn),
        .is_being_written = pfn_is_being_written(pfn),
        .page_file = has_slot ? slot_file(original) : 0,
    };
    return NTMM_STATUS_SUCCESS;
}

/* The entries from the root down to where the walk stops. */
static void explain_tables(struct call *c, const struct process *process, uint64_t page,
                           struct ntmm_explanation *x)
{
    uint64_t frame = get64(&process->root_frame);
    x->levels = c->sys->levels;
    for (uint32_t level = c->sys->levels; level > 0; level--) {
        uint64_t index = page >> 9 * (level - 1) & (NTMM_ENTRIES_PER_TABLE - 1);
        uint64_t raw = load64_relaxed((le64 *)table_at(c, frame) + index);
        x->stopped_level = level;
        x->entry_address[level - 1] = frame_ref(c, frame) + index * sizeof(le64);
        x->entry[level - 1] = raw;
        if (pte_kind(raw, level, c->sys->invalid_mask) != PTE_VALID)
            return;
        frame = field_get(raw, HW_FRAME);
    }
}

/* What is known of a page whose table is not in memory and decides: if all pages of its region are
 * committed, then so it is. */
static uint32_t state_without_table(const struct vad *vad)
{
    bool is_committed_all_over = get64(&vad->commit_pages) == vad_end(vad) - vad_start(vad);
    return is_committed_all_over ? NTMM_MEM_COMMIT : 0;
}

/* The region, and what a query can say without waiting. */
static void explain_memory(struct call *c, struct process *process, uint64_t page,
                           struct ntmm_explanation *x)
{
    query_describe(c, process, page, &x->memory);
    x->is_partial = c->want.kind == WANT_TABLE;
    const struct vad *vad = vad_find(c, process, page);
    if (!vad)
        return;
    x->vad_address = vad_ref(c, vad);
    x->vad_base = vad_start(vad) << NTMM_PAGE_SHIFT;
    x->vad_end = vad_end(vad) << NTMM_PAGE_SHIFT;
    x->vad_commit_pages = get64(&vad->commit_pages);
    if (x->is_partial && x->memory.region_size == 0) {
        x->memory.state = state_without_table(vad);
        x->memory.protect = 0;
    }
}

/* What the last entry names: a frame, or a slot. */
static void explain_entry(struct call *c, uint64_t page, struct ntmm_explanation *x)
{
    uint64_t raw = x->entry[x->stopped_level - 1];
    uint64_t value = entry_value(c, raw);
    enum pte_kind kind = entry_kind(c, raw);
    const struct table_span span = {.level = x->stopped_level};
    bool is_large = x->stopped_level > 1 && kind == PTE_VALID;
    uint64_t frame =
        kind == PTE_TRANSITION ? field_get(value, TR_FRAME) : span_frame(&span, raw, page);
    x->missing_level = raw != 0 && !is_large ? x->stopped_level - 1 : 0;
    if (kind == PTE_PAGEFILE) {
        x->slot = slot_of(value);
        x->page_file = slot_file(value);
    }
    if (kind == PTE_VALID || kind == PTE_TRANSITION)
        x->has_frame = ntmm_query_frame(c->sys, frame, &x->frame) == NTMM_STATUS_SUCCESS;
}

ntmm_status ntmm_explain(struct ntmm_system *system, ntmm_handle handle, uint64_t address,
                         struct ntmm_explanation *explanation)
{
    struct call c = call_begin(system);
    struct ntmm_explanation x = {0};
    struct process *process;
    uint64_t page = address >> NTMM_PAGE_SHIFT;

    if (address > NTMM_HIGHEST_USER_ADDRESS)
        return NTMM_STATUS_INVALID_PARAMETER;
    ntmm_status status = process_lock_working_set(&c, handle, 0, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    explain_tables(&c, process, page, &x);
    explain_memory(&c, process, page, &x);
    explain_entry(&c, page, &x);
    process_unlock_working_set(&c, process);
    *explanation = x;
    return NTMM_STATUS_SUCCESS;
}
