/*
 * Regions and pages of clones. See clone.h.
 */
#include "section/clone.h"
#include "phys/slots.h"
#include "space/borrowed.h"

bool clone_has_region(const struct vad *vad)
{
    switch (vad_type(vad)) {
    case VAD_PRIVATE:
    case VAD_WRITE_WATCH:
    case VAD_DEVICE_PHYSICAL:
        return true;
    case VAD_IMAGE_MAP:
    case VAD_DATA_MAP:
        return (get32(&vad->flags) & VAD_UNMAP_IN_CLONE) == 0;
    case VAD_AWE:
    case VAD_LARGE_PAGES:
    case VAD_LARGE_PAGE_SECTION:
        break;
    }
    return false;
}

bool clone_is_same_region(const struct vad *seen, const struct vad *now, uint64_t page)
{
    if (vad_is_private(seen))
        return vad_is_private(now);
    if (vad_type(seen) != vad_type(now))
        return false;
    if (vad_is_view(seen))
        return get64(&seen->detail) == get64(&now->detail) &&
               view_prototype(seen, page) == view_prototype(now, page);
    return get64(&seen->detail) - vad_start(seen) == get64(&now->detail) - vad_start(now);
}

static struct vad *make_region(struct call *c, struct process *child, struct vad_place *place,
                               const struct vad *seen)
{
    bool is_borrowed = vad_is_borrowed(seen);
    gap_tree_locate(c->bias, &child->vads, place->start, &place->way);
    if (is_borrowed &&
        borrowed_map(c, child, place, get32(&seen->protection), get32(&seen->win32_protection),
                     get64(&seen->detail)) != NTMM_STATUS_SUCCESS)
        return NULL;
    if (is_borrowed)
        return vad_find(c, child, place->start);
    struct vad *vad = vad_create(c, child, place);
    if (vad)
        process_add_peak(&child->virtual_pages, &child->virtual_peak, place->end - place->start);
    return vad;
}

struct vad *clone_make_region(struct call *c, struct process *child, const struct vad *seen)
{
    struct vad_place place = {.start = vad_start(seen), .end = vad_end(seen)};
    struct vad *vad = make_region(c, child, &place, seen);
    if (!vad)
        return NULL;
    set32(&vad->type, vad_is_private(seen) ? VAD_PRIVATE : get32(&seen->type));
    set32(&vad->flags, get32(&seen->flags));
    set32(&vad->protection, get32(&seen->protection));
    set32(&vad->win32_protection, get32(&seen->win32_protection));
    set64(&vad->commit_pages, 0);
    set64(&vad->detail, get64(&seen->detail));
    set64(&vad->first_prototype, get64(&seen->first_prototype));
    return vad;
}

uint64_t clone_default_charge(const struct call *c, const struct vad *vad)
{
    if (vad_is_view(vad))
        return view_default_copies(c, vad);
    return vad_is_private(vad) && vad_is_committed_by_default(vad) ? vad_end(vad) - vad_start(vad)
                                                                   : 0;
}

bool clone_has_frame(const struct call *c, uint64_t raw)
{
    if (raw & FIELD_MASK(HW_VALID))
        return (raw & (ENTRY_SHARED | ENTRY_BORROWED)) == 0;
    return entry_kind(c, raw) == PTE_TRANSITION;
}

/* What the entry of a page means while nothing of it is known. */
static uint64_t value_by_default(const struct call *c, const struct vad *vad, uint64_t page)
{
    if (vad_is_borrowed(vad))
        return entry_software(get32(&vad->protection));
    return vad_is_view(vad) ? entry_prototype(view_default_protection(c, vad, page)) : 0;
}

uint64_t clone_value(const struct call *c, const struct vad *vad, uint64_t page, uint64_t raw)
{
    uint64_t value = entry_value(c, raw);
    if (raw & FIELD_MASK(HW_VALID))
        value = raw & ENTRY_BORROWED ? entry_software(entry_own_protection(raw))
                                     : entry_prototype(entry_own_protection(raw));
    return value == value_by_default(c, vad, page) ? 0 : value;
}

/* What the original entry of a copy is. */
static uint64_t original_of_copy(const struct call *c, uint64_t frame)
{
    uint64_t original = load64_relaxed(&pfn_at(c, frame)->original_pte);
    return entry_software((uint32_t)field_get(original, SW_PROTECTION)) | (original & ENTRY_LOST);
}

enum clone_copy clone_copy_frame(struct call *c, const le64 *entry, struct clone_page *page,
                                 uint64_t *source, ntmm_status *status)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    uint64_t raw = load64_relaxed(entry);
    bool is_valid = (raw & FIELD_MASK(HW_VALID)) != 0;
    *source = is_valid ? field_get(raw, HW_FRAME) : entry_lock_transition(c, entry);
    if (*source == FRAME_NONE)
        return CLONE_GONE;
    if (!is_valid && pfn_is_being_read(pfn_at(c, *source)))
        return CLONE_BEING_READ;
    page->value = original_of_copy(c, *source);
    if (!is_valid) {
        frame_hold_trimmed(c, *source);
        frame_unlock(c, *source);
    }
    *status = platform->copy(platform->context, &page->frame, source, 1);
    if (!is_valid)
        frame_end_reference(c, *source);
    return NTMM_SUCCEEDED(*status) ? CLONE_COPIED : CLONE_FAILED;
}

/* Whether a page is charged to its process. */
static bool is_charged(struct call *c, const struct vad *vad, uint64_t page, uint64_t raw)
{
    if (vad_is_private(vad))
        return page_state_of(c, vad, raw).is_committed;
    return vad_is_view(vad) && (view_entry_is_private(c, raw) ||
                                protection_is_copy(view_state_of(c, vad, page, raw).protection));
}

/* As a page that was touched and trimmed: it has no backing yet. */
static void enter_frame(struct call *c, struct table_span *span, const struct clone_page *page)
{
    struct pfn *pfn = pfn_at(c, page->frame);
    uint64_t address = core_ref(c, span->entry);
    uint32_t protection = (uint32_t)field_get(page->value, SW_PROTECTION);
    set64(&pfn->entry_address, address);
    store64_relaxed(&pfn->original_pte, page->value);
    set64(&pfn->table_frame, ref_frame(c, address));
    pfn_set_modified(pfn);
    frame_step(c, pfn, "own_dirty");
    entry_write(c, span->table, span->entry, entry_transition(protection, page->frame));
    frame_end_share(c, page->frame);
}

int64_t clone_enter_page(struct call *c, struct process *child, const struct vad *vad,
                         const struct clone_page *page)
{
    struct table_span span = table_find(c, child, page->page);
    if (vad_is_borrowed(vad)) {
        borrowed_enter(c, child, vad, page->page, (uint32_t)field_get(page->value, SW_PROTECTION));
        return 0;
    }
    NTMM_ASSERT(load64_relaxed(span.entry) == 0);
    bool was_charged = is_charged(c, vad, page->page, 0);
    if (page->frame != FRAME_NONE)
        enter_frame(c, &span, page);
    else
        entry_write(c, span.table, span.entry, page->value);
    return (int64_t)is_charged(c, vad, page->page, load64_relaxed(span.entry)) - was_charged;
}
