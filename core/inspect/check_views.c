/*
 * The checker's view of views: regions that name a control area, and entries of the area's pages.
 *
 *   VAD --> control area --> prototype --> frame <-- entry of the view
 *
 * A view is looked at when the walk over a process reaches it, before its area is followed: areas
 * in use are known to be sound by then. Private copies are checked as private pages are.
 */
#include "inspect/checker.h"
#include "section/large_area.h"
#include "space/large.h"
#include "space/protection.h"

/* V14: a view is of its area's kind, and shows pages that the area has; of a file's data it may
 * reach past the end. One of large pages is of whole leaves. */
static bool check_view_shape(struct walk *w, const struct vad *vad, const struct control_area *area)
{
    bool is_image = area_is(area, AREA_IMAGE);
    bool is_large = area_is(area, AREA_LARGE_PAGES);
    uint64_t inside = (vad_start(vad) | vad_end(vad) | get64(&vad->first_prototype)) % 512;
    enum vad_type type = is_large   ? VAD_LARGE_PAGE_SECTION
                         : is_image ? VAD_IMAGE_MAP
                                    : VAD_DATA_MAP;
    bool is_reserve = area_is(area, AREA_RESERVE);
    uint64_t pages = get64(&area->pages);
    uint64_t first = get64(&vad->first_prototype);
    uint64_t ref = vad_ref(w->k->c, vad);
    if (!check_equal(w->k, "V14", ref, type, get32(&vad->type)) ||
        !check_equal(w->k, "V14", ref, 0, is_large ? inside : 0) ||
        !check_equal(w->k, "V14", ref, !is_reserve, vad_is_committed_by_default(vad)))
        return false;
    if (area_is(area, AREA_OF_FILE) && !is_image)
        pages = AREA_PAGES_MAX;
    uint64_t most = pages - min_u64(pages, vad_end(vad) - vad_start(vad));
    return check_between(w->k, "V14", ref, 0, most, first);
}

bool check_view(struct walk *w, const struct vad *vad)
{
    uint64_t ref = get64(&vad->detail);
    if (w->view == vad_ref(w->k->c, vad))
        return true;
    if (!check_is_shared_object(w->k, SLAB_CONTROL_AREA, ref))
        return check_fail(w->k, "CA1", vad_ref(w->k->c, vad), 1, ref);
    w->view = vad_ref(w->k->c, vad);
    return check_view_shape(w, vad, view_area(w->k->c, vad));
}

bool check_view_commit(struct walk *w, const struct vad *vad)
{
    uint64_t known = view_default_copies(w->k->c, vad) + (uint64_t)w->counted;
    uint64_t least = known - min_u64(known, w->unknown_pages);
    struct area_references *met = check_references(w->k, get64(&vad->detail));
    met->views++;
    met->writable_views += view_user(vad) == AREA_WRITING_VIEW;
    return check_between(w->k, "V13", w->at.ref, least, known + w->unknown_pages,
                         get64(&vad->commit_pages));
}

/* Whether a page of a view may have a protection: views of data keep to what they were mapped
 * with. */
static bool is_granted(const struct vad *vad, uint32_t protection)
{
    return vad_type(vad) == VAD_IMAGE_MAP || view_may_protect(get32(&vad->protection), protection);
}

/* V7: what an entry grants is what the protection that it carries says, and its view allows. */
static bool check_rights(struct walk *w, const struct vad *vad, uint64_t raw,
                         const struct entry_place *at)
{
    const uint64_t varies = FIELD_MASK(HW_ACCESSED) | FIELD_MASK(HW_DIRTY) | FIELD_MASK(HW_DIRTY1) |
                            FIELD_MASK(HW_AGE) | ENTRY_LOCKED;
    uint32_t protection = entry_own_protection(raw);
    uint64_t expected =
        entry_with_protection(field_get(raw, HW_FRAME), protection, false, ENTRY_SHARED);
    bool is_writable = (raw & FIELD_MASK(HW_DIRTY1)) != 0;
    bool may_be = (raw & FIELD_MASK(HW_WRITE)) && (raw & FIELD_MASK(HW_DIRTY));
    if (!protection_is_mappable(protection) || !is_granted(vad, protection))
        return check_fail(w->k, "V7", at->page << NTMM_PAGE_SHIFT, 0, raw);
    bool is_right = ((raw ^ expected) & ~varies) == 0 && (may_be || !is_writable);
    return is_right || check_fail(w->k, "V7", at->page << NTMM_PAGE_SHIFT, expected, raw);
}

bool check_view_leaf(struct walk *w, const struct vad *vad, uint64_t raw,
                     const struct entry_place *at)
{
    const uint64_t varies = FIELD_MASK(HW_ACCESSED);
    struct call *c = w->k->c;
    uint64_t va = at->page << NTMM_PAGE_SHIFT;
    uint32_t protection = entry_own_protection(raw);
    if (!check_view(w, vad))
        return false;
    if (!large_view_is_protection(protection) || !is_granted(vad, protection))
        return check_fail(w->k, "V11", va, get32(&vad->protection), raw);
    struct prototype_span span =
        prototype_find(c, view_area(c, vad), view_prototype(vad, at->page));
    uint64_t frame = span.entry ? field_get(get64(span.entry), HW_FRAME) : 0;
    uint64_t expected = large_shared_entry(frame, protection);
    if (((raw ^ expected) & ~varies) != 0)
        return check_fail(w->k, "V11", va, expected, raw);
    w->large_pages += large_leaf_pages(2);
    return true;
}

/* P8, P9: the frame of a valid entry is that of the page's prototype. */
static bool check_shared(struct walk *w, const struct vad *vad, uint64_t raw,
                         const struct entry_place *at)
{
    struct call *c = w->k->c;
    uint64_t frame = field_get(raw, HW_FRAME);
    struct prototype_span span =
        prototype_find(c, view_area(c, vad), view_prototype(vad, at->page));
    uint32_t *mark = check_mark(w->k, frame);
    uint64_t prototype = span.entry ? get64(span.entry) : 0;
    bool is_there = prototype & FIELD_MASK(HW_VALID) && field_get(prototype, HW_FRAME) == frame;
    if (!mark || !is_there)
        return check_fail(w->k, "P9", frame, prototype, raw);
    check_meet(mark);
    bool is_dirty = (raw & FIELD_MASK(HW_DIRTY)) != 0;
    if (!check_rights(w, vad, raw, at))
        return false;
    w->working_set++;
    w->locked += (raw & ENTRY_LOCKED) != 0;
    return check_equal(w->k, "P8", frame, 1, pfn_is_modified(pfn_at(c, frame)) || !is_dirty);
}

bool check_view_entry(struct walk *w, const struct vad *vad, uint64_t raw,
                      const struct entry_place *at, bool *is_shared)
{
    uint64_t va = at->page << NTMM_PAGE_SHIFT;
    uint64_t value = entry_value(w->k->c, raw);
    uint32_t protection = (uint32_t)field_get(value, PROTO_PROTECTION);
    *is_shared = (raw & FIELD_MASK(HW_VALID)) != 0;
    if (*is_shared && at->is_out)
        return true; /* V5 has more to say */
    if (*is_shared) {
        protection = entry_own_protection(raw);
        if (!check_shared(w, vad, raw, at))
            return false;
    } else if (!check_equal(w->k, "V9", va, entry_prototype(protection), value)) {
        return false;
    } else if (!is_granted(vad, protection)) {
        return check_fail(w->k, "V9", va, get32(&vad->protection), protection);
    }
    check_view_charge(w, vad, at->page, protection_is_copy(protection));
    return true;
}

void check_view_charge(struct walk *w, const struct vad *vad, uint64_t page, bool is_charged)
{
    uint32_t protection = view_default_protection(w->k->c, vad, page);
    w->counted += is_charged - (int64_t)protection_is_copy(protection);
}
