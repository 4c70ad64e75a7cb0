/*
 * The checker's view of sections: objects, control areas, and the trees of prototype entries.
 *
 *   objects --> areas --> tables --> entries --> frames, each met by one prototype
 *
 * Areas come before processes, whose views then name areas that are known to be in use; shares are
 * compared when all entries of processes were met (check_frames.c).
 */
#include "inspect/checker.h"
#include "section/image_record.h"
#include "section/prototype.h"
#include "section/view.h"

static const uint32_t nobody = 0;

static bool is_object(struct checker *k, enum slab_kind kind, uint64_t ref)
{
    uint32_t owner = nobody;
    return ref != 0 && check_is_object(k, kind, ref, &owner);
}

/* --- objects --- */

/* OB1: an object of a kind, and what it names, is in use. */
static bool check_object(struct checker *k, uint32_t kind, uint64_t ref, uint64_t previous)
{
    enum slab_kind slab = kind == HANDLE_KIND_SECTION ? SLAB_SECTION : SLAB_FILE;
    if (!is_object(k, slab, ref))
        return check_fail(k, "OB1", ref, 1, 0);
    const struct object *object = core_at(k->c->bias, ref);
    bool has_name = get64(&object->name) != 0;
    k->names += has_name;
    k->handles[kind - HANDLE_KIND_SECTION] += get32(&object->handle_count);
    if (!check_equal(k, "OB1", ref, previous, get64(&object->prev)) ||
        (has_name && !is_object(k, SLAB_NAME, get64(&object->name))))
        return check_fail(k, "OB1", ref, 1, 0);
    if (kind == HANDLE_KIND_FILE) {
        k->files_known++;
        return true;
    }
    k->sections++;
    uint64_t area = get64(&section_at(k->c, ref)->area);
    return is_object(k, SLAB_CONTROL_AREA, area) || check_fail(k, "OB1", ref, 1, area);
}

static bool check_list(struct checker *k, uint32_t kind)
{
    uint64_t previous = 0;
    for (uint64_t ref = object_first(k->c, kind); ref;) {
        if (!check_object(k, kind, ref, previous))
            return false;
        previous = ref;
        ref = get64(&((const struct object *)core_at(k->c->bias, ref))->next);
    }
    return true;
}

/* OB1: a slot with a handle. */
static bool check_object_slot(struct checker *k, uint32_t number, const struct object_slot *slot)
{
    uint32_t kind = (uint32_t)(get64(&slot->handle) >> 56);
    enum slab_kind slab = kind == HANDLE_KIND_SECTION ? SLAB_SECTION : SLAB_FILE;
    if (kind != HANDLE_KIND_SECTION && kind != HANDLE_KIND_FILE)
        return check_fail(k, "OB1", number, HANDLE_KIND_SECTION, kind);
    if (!is_object(k, slab, get64(&slot->object)))
        return check_fail(k, "OB1", number, 1, get64(&slot->object));
    k->handles[kind - HANDLE_KIND_SECTION]--;
    return true;
}

/* OB2: a frame of the table. */
static bool check_table_frame(struct checker *k, uint64_t ref)
{
    uint64_t frame = ref_frame(k->c, ref);
    const struct pfn *pfn = pfn_find(k->c, frame);
    if (!pfn || frame_ref(k->c, frame) != ref)
        return check_fail(k, "OB2", ref, 1, 0);
    k->object_frames++;
    return check_equal(k, "OB2", ref, NTMM_USE_OBJECT, (uint64_t)pfn_use(pfn));
}

static bool check_slots(struct checker *k)
{
    const struct anchor *anchor = anchor_of(k->c);
    uint32_t slots = get32(&anchor->object_slots);
    uint64_t directory = get64(&anchor->objects_ref);
    if (slots > OBJECTS_MAX || slots % OBJECT_SLOTS_PER_FRAME)
        return check_fail(k, "OB1", 0, OBJECTS_MAX, slots);
    if (directory && !check_table_frame(k, directory))
        return false;
    if (!directory)
        return check_equal(k, "OB1", 0, 0, slots);
    const le64 *refs = core_at(k->c->bias, directory);
    for (uint32_t i = 0; i < slots / OBJECT_SLOTS_PER_FRAME; i++) {
        if (!check_table_frame(k, get64(&refs[i])))
            return false;
        const struct object_slot *slot = core_at(k->c->bias, get64(&refs[i]));
        for (uint32_t j = 0; j < OBJECT_SLOTS_PER_FRAME; j++) {
            bool is_used = get64(&slot[j].handle) != 0;
            if (is_used && !check_object_slot(k, i * OBJECT_SLOTS_PER_FRAME + j, &slot[j]))
                return false;
        }
    }
    return true;
}

static bool check_objects(struct checker *k)
{
    return check_list(k, HANDLE_KIND_SECTION) && check_list(k, HANDLE_KIND_FILE) &&
           check_slots(k) && check_equal(k, "OB1", 1, 0, k->handles[0]) &&
           check_equal(k, "OB1", 2, 0, k->handles[1]);
}

/* --- prototype entries --- */

/* A tree being walked. */
struct tree {
    struct checker *k;
    const struct control_area *area;
    uint64_t tables;
};

struct prototype_place {
    uint64_t page;
    uint64_t address;
    uint64_t table; /* frame */
};

/* PT1: the frame of an entry names the entry, and no other does. */
static bool check_frame_of(struct tree *t, uint64_t frame, const struct prototype_place *at)
{
    uint32_t *mark = check_mark(t->k, frame);
    if (!mark || *mark & MARK_PROTOTYPE)
        return check_fail(t->k, "PT1", frame, 1, mark ? 2 : 0);
    *mark |= MARK_PROTOTYPE;
    const struct pfn *pfn = pfn_at(t->k->c, frame);
    return check_equal(t->k, "PT1", frame, NTMM_USE_SECTION, (uint64_t)pfn_use(pfn)) &&
           check_equal(t->k, "PT1", frame, at->address, get64(&pfn->entry_address)) &&
           check_equal(t->k, "PT1", frame, at->table, pfn_table_frame(pfn));
}

/* PT1: a value that names no frame. */
static bool check_value(struct tree *t, uint64_t value, const struct prototype_place *at)
{
    const struct control_area *area = t->area;
    if (entry_is_of_file(value)) {
        const struct subsection *s = area_subsection(t->k->c, area, at->page);
        uint64_t expected = subsection_value(t->k->c, area, s) | (value & ENTRY_WRITTEN);
        return area_is(area, AREA_OF_FILE) &&
               check_equal(t->k, "PT1", at->address, expected, value);
    }
    uint64_t expected = slot_set(entry_software((uint32_t)field_get(value, SW_PROTECTION)),
                                 slot_file(value), slot_of(value));
    return check_equal(t->k, "PT1", at->address, expected, value) && check_name(t->k, value);
}

static bool check_prototype(struct tree *t, uint64_t raw, const struct prototype_place *at,
                            bool *is_shared)
{
    uint64_t value = entry_value(t->k->c, raw);
    enum pte_kind kind = entry_kind(t->k->c, raw);
    *is_shared = kind == PTE_VALID || kind == PTE_TRANSITION;
    if (at->page >= get64(&t->area->pages) && area_is(t->area, AREA_IMAGE))
        return check_fail(t->k, "PT2", at->address, get64(&t->area->pages), at->page);
    if (!*is_shared)
        return check_value(t, value, at);
    uint64_t frame = kind == PTE_VALID ? field_get(raw, HW_FRAME) : field_get(value, TR_FRAME);
    if (!check_frame_of(t, frame, at))
        return false;
    const struct pfn *pfn = pfn_at(t->k->c, frame);
    uint64_t original = load64_relaxed(&pfn->original_pte);
    bool is_active = pfn_location(pfn) == NTMM_FRAME_ACTIVE;
    return check_equal(t->k, "PT1", frame, kind == PTE_VALID, is_active) &&
           (!entry_is_of_file(original) || check_value(t, original, at));
}

/* PT2: a table, and those below it. */
static bool check_tree(struct tree *t, uint64_t frame, uint32_t level, uint64_t page)
{
    uint32_t *mark = check_mark(t->k, frame);
    if (!mark || *mark & MARK_PROTOTYPE)
        return check_fail(t->k, "PT2", frame, 1, 0);
    *mark |= MARK_PROTOTYPE;
    const struct pfn *pfn = pfn_at(t->k->c, frame);
    if (!check_equal(t->k, "PT2", frame, NTMM_USE_PROTOTYPE, (uint64_t)pfn_use(pfn)))
        return false;
    const le64 *table = table_at(t->k->c, frame);
    uint32_t used = 0, shares = 0;
    t->tables++;
    for (uint32_t i = 0; i < NTMM_ENTRIES_PER_TABLE; i++) {
        uint64_t raw = get64(&table[i]);
        struct prototype_place at = {.page = page + ((uint64_t)i << 9 * (level - 1)),
                                     .address = frame_ref(t->k->c, frame) + i * sizeof(le64),
                                     .table = frame};
        bool is_shared = true;
        if (raw == 0)
            continue;
        used++;
        if (level > 1 ? !check_tree(t, field_get(raw, HW_FRAME), level - 1, at.page)
                      : !check_prototype(t, raw, &at, &is_shared))
            return false;
        shares += is_shared;
    }
    return check_equal(t->k, "PT2", frame, used, pfn_used(pfn)) &&
           check_equal(t->k, "PT2", frame, shares + 1, get32(&pfn->share_count));
}

/* --- areas --- */

/* CA3. */
static bool check_subsections(struct checker *k, const struct control_area *area)
{
    uint64_t page = 0;
    uint32_t count = 0;
    for (uint64_t ref = get64(&area->subsections); ref; count++) {
        if (!is_object(k, SLAB_SUBSECTION, ref) || count == get32(&area->subsection_count))
            return check_fail(k, "CA3", ref, 1, 0);
        const struct subsection *s = subsection_at(k->c, ref);
        if (!check_equal(k, "CA3", ref, page, get64(&s->first_page)) ||
            !check_equal(k, "CA3", ref, area_ref(k->c, area), get64(&s->area)))
            return false;
        page += get64(&s->page_count);
        ref = get64(&s->next);
    }
    k->subsections += count;
    return check_equal(k, "CA3", area_ref(k->c, area), get32(&area->subsection_count), count) &&
           check_equal(k, "CA3", area_ref(k->c, area), get64(&area->pages), page);
}

/* CA2. */
static bool check_file_of(struct checker *k, const struct control_area *area, uint64_t ref)
{
    uint64_t file_ref = get64(&area->file);
    if (!area_is(area, AREA_OF_FILE))
        return check_equal(k, "CA2", ref, 0, file_ref);
    if (area_is(area, AREA_ENDING))
        return true;
    if (!is_object(k, SLAB_FILE, file_ref))
        return check_fail(k, "CA2", ref, 1, file_ref);
    const struct file *file = file_at(k->c, file_ref);
    return check_equal(k, "CA2", ref, ref,
                       get64(area_is(area, AREA_IMAGE) ? &file->image_area : &file->data_area));
}

static bool check_area(struct checker *k, const struct control_area *area, uint64_t ref)
{
    struct tree t = {.k = k, .area = area};
    uint64_t root = get64(&area->root_frame);
    if (!check_equal(k, "L1", LOCK_SECTION, 0, load32_relaxed(&area->lock)) ||
        !check_subsections(k, area) || !check_file_of(k, area, ref) ||
        !check_between(k, "PT2", ref, prototype_levels(get64(&area->pages)), 4,
                       get32(&area->levels)))
        return false;
    if (root != FRAME_NONE && !check_tree(&t, root, get32(&area->levels), 0))
        return false;
    if (get64(&area->image))
        k->image_frames += get32(&image_record_at(k->c, get64(&area->image))->charged_pages);
    k->area_sections += get32(&area->section_count);
    k->area_views += get32(&area->view_count);
    k->commit += get64(&area->commit_pages);
    k->area_tables += t.tables;
    return check_equal(k, "CA4", ref, t.tables, get64(&area->table_pages)) &&
           check_between(k, "CA4", ref, t.tables, UINT64_MAX, get64(&area->commit_pages));
}

static bool check_areas(struct checker *k)
{
    uint64_t previous = 0;
    for (uint64_t ref = get64(&anchor_of(k->c)->areas_head); ref;) {
        if (!is_object(k, SLAB_CONTROL_AREA, ref))
            return check_fail(k, "CA1", ref, 1, 0);
        const struct control_area *area = area_at(k->c, ref);
        if (!check_equal(k, "CA1", ref, previous, get64(&area->prev)) || !check_area(k, area, ref))
            return false;
        k->areas++;
        previous = ref;
        ref = get64(&area->next);
    }
    return true;
}

bool check_sections(struct checker *k)
{
    const struct partition *partition = partition_of(k->c);
    k->process = 0;
    if (!check_equal(k, "L1", LOCK_OBJECTS, 0, load32_relaxed(&anchor_of(k->c)->objects_lock)) ||
        !check_objects(k) || !check_areas(k))
        return false;
    k->commit += k->object_frames;
    k->commit += load64_relaxed(&partition->image_pages);
    return check_equal(k, "OB2", 0, k->object_frames, get64(&partition->object_pages)) &&
           check_equal(k, "CA4", 1, k->image_frames, load64_relaxed(&partition->image_pages)) &&
           check_equal(k, "CA4", 0, k->area_tables, load64_relaxed(&partition->area_tables)) &&
           check_equal(k, "CA1", 0, k->sections, k->area_sections);
}

bool check_section_owners(struct checker *k)
{
    return check_equal(k, "S4", SLAB_SECTION, k->sections, k->slabs[SLAB_SECTION].used) &&
           check_equal(k, "S4", SLAB_FILE, k->files_known, k->slabs[SLAB_FILE].used) &&
           check_equal(k, "S4", SLAB_NAME, k->names, k->slabs[SLAB_NAME].used) &&
           check_equal(k, "S4", SLAB_CONTROL_AREA, k->areas, k->slabs[SLAB_CONTROL_AREA].used) &&
           check_equal(k, "S4", SLAB_SUBSECTION, k->subsections, k->slabs[SLAB_SUBSECTION].used) &&
           check_equal(k, "CA1", 1, k->views, k->area_views);
}

/* --- views --- */

bool check_view(struct walk *w, const struct vad *vad)
{
    uint64_t area = get64(&vad->detail);
    w->k->views++;
    return is_object(w->k, SLAB_CONTROL_AREA, area) || check_fail(w->k, "CA1", area, 1, 0);
}

/* P9, V7: the entry of a page that the section has. */
static bool check_shared(struct walk *w, const struct vad *vad, uint64_t raw,
                         const struct entry_place *at)
{
    const uint64_t varies = FIELD_MASK(HW_ACCESSED) | FIELD_MASK(HW_DIRTY) | FIELD_MASK(HW_DIRTY1) |
                            FIELD_MASK(HW_AGE) | ENTRY_LOCKED;
    uint64_t frame = field_get(raw, HW_FRAME);
    uint32_t protection = entry_own_protection(raw);
    struct control_area *area = view_area(w->k->c, vad);
    struct prototype_span span = prototype_find(w->k->c, area, view_prototype(vad, at->page));
    uint32_t *mark = check_mark(w->k, frame);
    if (!mark || !span.entry)
        return check_fail(w->k, "P9", frame, 1, 0);
    ++*mark;
    const struct pfn *pfn = pfn_at(w->k->c, frame);
    uint64_t expected = entry_with_protection(frame, protection, false, ENTRY_SHARED);
    bool is_writable = (raw & FIELD_MASK(HW_DIRTY1)) != 0;
    bool may_be = (raw & FIELD_MASK(HW_WRITE)) && (raw & FIELD_MASK(HW_DIRTY));
    bool is_dirty = (raw & FIELD_MASK(HW_DIRTY)) != 0;
    if (((raw ^ expected) & ~varies) != 0 || (is_writable && !may_be))
        return check_fail(w->k, "V7", at->page << NTMM_PAGE_SHIFT, expected, raw);
    w->working_set++;
    w->locked += (raw & ENTRY_LOCKED) != 0;
    return check_equal(w->k, "P9", frame, (uint64_t)((uintptr_t)span.entry - w->k->c->bias),
                       get64(&pfn->entry_address)) &&
           check_equal(w->k, "P8", frame, 1, pfn_is_modified(pfn) || !is_dirty);
}

bool check_view_entry(struct walk *w, const struct vad *vad, uint64_t raw,
                      const struct entry_place *at, bool *is_shared)
{
    struct call *c = w->k->c;
    bool is_valid = (raw & FIELD_MASK(HW_VALID)) != 0;
    uint32_t protection;
    *is_shared = is_valid;
    if (is_valid && at->is_out)
        return true;
    if (is_valid) {
        protection = entry_own_protection(raw);
        if (!check_shared(w, vad, raw, at))
            return false;
    } else {
        uint64_t value = entry_value(c, raw);
        protection = (uint32_t)field_get(value, PROTO_PROTECTION);
        if (!check_equal(w->k, "V9", at->page << NTMM_PAGE_SHIFT, entry_prototype(protection),
                         value))
            return false;
    }
    check_view_charge(w, vad, at->page, protection_is_copy(protection));
    return true;
}

void check_view_charge(struct walk *w, const struct vad *vad, uint64_t page, bool is_charged)
{
    w->counted +=
        is_charged - (int64_t)protection_is_copy(view_default_protection(w->k->c, vad, page));
}
