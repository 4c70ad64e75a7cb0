/*
 * Sections of large pages, and their views. See large_area.h.
 */
#include "section/large_area.h"
#include "space/large.h"

/* --- the area --- */

/* A run, zeroed, is what the prototypes of 512 pages name. Their table is there. (X) is held. */
static void enter_run(struct call *c, struct control_area *area, uint64_t page, uint64_t base)
{
    struct prototype_span span = prototype_find(c, area, page);
    uint64_t code = get32(&area->protection);
    for (uint64_t i = 0; i < PAGES_PER_TABLE; i++) {
        struct pfn *pfn = pfn_at(c, base + i);
        uint64_t address = core_ref(c, &span.entry[i]);
        set64(&pfn->entry_address, address);
        store64_relaxed(&pfn->original_pte, entry_software((uint32_t)code));
        set64(&pfn->table_frame, ref_frame(c, address));
        pfn_set_modified(pfn); /* nothing backs it */
        frame_step(c, pfn, "own_dirty");
        frame_note_first_share(c);
        entry_make_valid(c, span.table, &span.entry[i],
                         x64_protection_bits[code] | FIELD_MASK(HW_VALID) |
                             FIELD_MASK(HW_ACCESSED) | (base + i) << NTMM_PAGE_SHIFT);
    }
}

static ntmm_status fill_run(struct call *c, struct control_area *area, uint64_t page)
{
    uint64_t base;
    area_lock(c, area);
    bool has_table = prototype_make(c, area, page, TABLE_FOR_SERVICE, 0).entry != NULL;
    area_unlock(c, area);
    if (!has_table)
        return want_status(c);
    if (!large_take_frames(c, NTMM_USE_SECTION, PAGES_PER_TABLE, &base))
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    area_lock(c, area);
    enter_run(c, area, page, base);
    area_unlock(c, area);
    return NTMM_STATUS_SUCCESS;
}

ntmm_status large_area_fill(struct call *c, struct control_area *area)
{
    uint64_t pages = get64(&area->pages);
    ntmm_status status = NTMM_STATUS_SUCCESS;
    if (!large_charge_resident(c, pages))
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    set32(&area->is_resident, 1);
    for (uint64_t page = 0; page < pages && status == NTMM_STATUS_SUCCESS; page += PAGES_PER_TABLE)
        status = fill_run(c, area, page);
    if (status != NTMM_STATUS_SUCCESS)
        large_want_all_rows(c, pages);
    return status;
}

void large_area_empty(struct call *c, struct control_area *area)
{
    uint64_t pages = get64(&area->pages);
    struct frame_chain freed = chain_empty();
    for (uint64_t page = 0; page < pages;) {
        struct prototype_span span = prototype_find(c, area, page);
        for (le64 *entry = span.entry; entry && page < span.end; page++, entry++) {
            uint64_t raw = load64_relaxed(entry);
            if (raw == 0)
                continue;
            (void)entry_exchange(c, span.table, entry, 0);
            frame_delete_of_section(c, field_get(raw, HW_FRAME), &freed);
        }
        page = span.end;
    }
    chain_free(c, &freed);
    if (get32(&area->is_resident))
        large_return_resident(c, pages);
}

/* --- views --- */

bool large_view_is_protection(uint32_t code)
{
    return large_is_protection(code) && !protection_is_copy(code);
}

/* The frame that a page of an area begins a run with. */
static uint64_t run_of_page(struct call *c, struct control_area *area, uint64_t page)
{
    area_lock(c, area);
    struct prototype_span span = prototype_find(c, area, page);
    uint64_t frame = field_get(load64_relaxed(span.entry), HW_FRAME);
    area_unlock(c, area);
    return frame;
}

bool large_view_enter(struct call *c, struct process *process, const struct vad *vad)
{
    struct control_area *area = view_area(c, vad);
    for (uint64_t page = vad_start(vad); page < vad_end(vad); page += PAGES_PER_TABLE) {
        uint64_t frame = run_of_page(c, area, view_prototype(vad, page));
        if (!large_enter_shared(c, process, page, frame, get32(&vad->protection))) {
            struct want want = c->want;
            large_empty_shared(c, process, vad_start(vad), vad_end(vad));
            c->want = want;
            return false;
        }
    }
    return true;
}

ntmm_status large_view_protect(struct call *c, struct process *process, const struct vad *vad,
                               uint64_t start, uint64_t end, uint32_t protection, uint32_t *old)
{
    if (get32(&vad->flags) & VAD_SECTION_NO_CHANGE || protection & VIEW_REVERT ||
        !large_view_is_protection(protection))
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    if (!view_may_protect(get32(&vad->protection), protection))
        return NTMM_STATUS_SECTION_PROTECTION;
    return large_protect(c, process, vad, start, end, protection, old);
}
