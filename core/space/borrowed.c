/*
 * Mapping and protecting borrowed frames. See borrowed.h; releasing is private_release.
 */
#include "space/borrowed.h"
#include "base/bits.h"
#include "space/private.h"
#include "space/protection.h"

uint64_t borrowed_entry(const struct vad *vad, uint64_t page, uint32_t protection)
{
    uint64_t frame = get64(&vad->detail) + (page - vad_start(vad));
    return entry_with_protection(frame, protection, true, ENTRY_BORROWED) &
           ~FIELD_MASK(HW_ACCESSED);
}

/* One page takes a protection. */
static void set_page(struct call *c, const struct vad *vad, struct table_span *span, uint64_t index,
                     uint64_t page, uint32_t protection, struct gather *g)
{
    le64 *entry = &span->entry[index];
    uint64_t raw = load64_relaxed(entry);
    bool is_mappable = protection_is_mappable(protection);
    uint64_t new = borrowed_entry(vad, page, protection) | FIELD_MASK(HW_ACCESSED);
    if (raw & FIELD_MASK(HW_VALID)) {
        entry_replace_borrowed(c, span->table, entry,
                               is_mappable ? new : entry_software(PROT_NOACCESS));
        gather_range(g, page, page + 1);
    } else if (is_mappable) {
        entry_make_valid(c, span->table, entry, new);
    } else {
        entry_write(c, span->table, entry, entry_software(PROT_NOACCESS));
    }
}

/* All of [start, end), whose tables are there. */
static void set_range(struct call *c, struct process *process, const struct vad *vad,
                      uint64_t start, uint64_t end, uint32_t protection)
{
    struct gather g;
    gather_begin(&g, process, NTMM_SHOOTDOWN_PROTECT);
    for (uint64_t page = start; page < end;) {
        struct table_span span = table_find(c, process, page);
        uint64_t stop = min_u64(span.end, end);
        for (uint64_t i = 0; i < stop - page; i++)
            set_page(c, vad, &span, i, page + i, protection, &g);
        page = stop;
    }
    gather_finish(c, process, &g);
}

void borrowed_enter(struct call *c, struct process *process, const struct vad *vad, uint64_t page,
                    uint32_t protection)
{
    set_range(c, process, vad, page, page + 1, protection);
}

ntmm_status borrowed_map(struct call *c, struct process *process, const struct vad_place *place,
                         uint32_t protection, uint32_t win32, uint64_t first_frame)
{
    if (!table_make_range(c, process, place->start, place->end))
        return want_status(c);
    struct vad *vad = vad_create(c, process, place);
    if (!vad) {
        table_prune_range(c, process, place->start, place->end);
        return want_status(c);
    }
    set32(&vad->type, VAD_DEVICE_PHYSICAL);
    set32(&vad->flags, 0);
    set32(&vad->protection, protection);
    set32(&vad->win32_protection, win32);
    set64(&vad->commit_pages, 0);
    set64(&vad->detail, first_frame);
    process_add_peak(&process->virtual_pages, &process->virtual_peak, place->end - place->start);
    set_range(c, process, vad, place->start, place->end, protection);
    return NTMM_STATUS_SUCCESS;
}

/* Whether what was given allows what is wanted. */
static bool is_within(uint32_t given, uint32_t wanted)
{
    if (!protection_is_mappable(wanted))
        return true;
    if (!protection_is_mappable(given))
        return false;
    return (!protection_can_write(wanted) || protection_can_write(given)) &&
           (!protection_can_execute(wanted) || protection_can_execute(given));
}

ntmm_status borrowed_protect(struct call *c, struct process *process, const struct vad *vad,
                             uint64_t start, uint64_t end, uint32_t protection, uint32_t *old)
{
    uint32_t wanted = protection_in_region(protection, get32(&vad->protection));
    if (protection_is_guard(protection))
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    if (!is_within(get32(&vad->protection), wanted))
        return NTMM_STATUS_SECTION_PROTECTION;
    if (!tables_are_present(c, process, start, end))
        return want_status(c);
    struct table_span span = table_find(c, process, start);
    *old = page_state_of(c, vad, load64_relaxed(span.entry)).protection;
    set_range(c, process, vad, start, end, wanted);
    return NTMM_STATUS_SUCCESS;
}
