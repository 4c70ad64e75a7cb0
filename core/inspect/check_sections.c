/*
 * The checker's view of sections: the table of objects, and the control areas that they name.
 *
 *   slots --> sections, files (a list each) --> control areas --> subsections
 *                                            one list <---/--> tree of prototypes (the next file)
 *
 * Slabs are sound when it begins, so a reference can be seen to name an object in use. At its end
 * every control area in use was met and has a tree that can be walked: views may name any of them.
 * Sections are counted for each area before the areas are looked at, views while processes are.
 */
#include "base/prng.h"
#include "inspect/checker.h"
#include "section/file_lock.h"
#include "section/prototype.h"

#include <ntmm/section.h>

bool check_is_shared_object(struct checker *k, enum slab_kind kind, uint64_t ref)
{
    uint32_t owner;
    return ref != 0 && check_is_object(k, kind, ref, &owner);
}

/* --- objects --- */

/* OB1: the name that an object has. */
static bool check_object_name(struct checker *k, const struct object *object, uint64_t ref)
{
    uint64_t name = get64(&object->name);
    if (name == 0)
        return check_equal(k, "OB1", ref, 0, get32(&object->name_units));
    if (!check_is_shared_object(k, SLAB_NAME, name))
        return check_fail(k, "OB1", ref, 1, name);
    k->names++;
    return check_between(k, "OB1", ref, 1, NTMM_SECTION_NAME_MAXIMUM, get32(&object->name_units));
}

/* So that sums over objects do not agree by accident. */
static uint64_t weight_of(uint64_t ref)
{
    uint64_t state = ref;
    return splitmix64(&state);
}

/* OB1, CA1: a section that somebody can find, and its area. */
static bool check_section(struct checker *k, uint64_t ref)
{
    const struct section *section = section_at(k->c, ref);
    uint64_t area = get64(&section->area);
    k->sections++;
    if (get32(&section->object.handle_count) == 0)
        return check_fail(k, "OB1", ref, 1, 0);
    if (!check_is_shared_object(k, SLAB_CONTROL_AREA, area))
        return check_fail(k, "CA1", ref, 1, area);
    check_references(k, area)->sections++;
    return true;
}

/* CA2: what a file says of one of its areas. */
static bool check_area_of_file(struct checker *k, uint64_t ref, uint64_t area_ref, uint32_t flags)
{
    const uint32_t looked_at = AREA_OF_FILE | AREA_IMAGE | AREA_ENDING;
    if (area_ref == 0)
        return true;
    if (!check_is_shared_object(k, SLAB_CONTROL_AREA, area_ref))
        return check_fail(k, "CA2", ref, 1, area_ref);
    const struct control_area *area = area_at(k->c, area_ref);
    return check_equal(k, "CA2", area_ref, ref, get64(&area->file)) &&
           check_equal(k, "CA2", area_ref, flags, get32(&area->flags) & looked_at);
}

/* OB4: the locks of a file, no more than there are. */
static bool check_file_locks(struct checker *k, const struct file *file, uint64_t file_ref)
{
    for (uint64_t ref = get64(&file->locks), found = 0; ref;
         ref = get64(&file_lock_at(k->c, ref)->next)) {
        uint64_t handle;
        if (!check_is_shared_object(k, SLAB_FILE_LOCK, ref))
            return check_fail(k, "OB4", file_ref, 1, ref);
        if (++k->file_locks > k->slabs[SLAB_FILE_LOCK].used)
            return check_fail(k, "OB4", file_ref, k->slabs[SLAB_FILE_LOCK].used, k->file_locks);
        handle = get64(&file_lock_at(k->c, ref)->handle);
        if (object_find(k->c, handle, HANDLE_KIND_FILE, 0, &found) != NTMM_STATUS_SUCCESS ||
            found != file_ref)
            return check_fail(k, "OB4", ref, file_ref, found);
    }
    return true;
}

/* OB3, OB4, CA2. */
static bool check_file(struct checker *k, uint64_t ref)
{
    const struct file *file = file_at(k->c, ref);
    k->files_known++;
    return check_between(k, "OB3", ref, 0, get64(&file->size_bytes), get64(&file->valid_bytes)) &&
           check_equal(k, "OB3", ref, 0, get32(&file->is_resizing)) &&
           check_file_locks(k, file, ref) &&
           check_area_of_file(k, ref, get64(&file->data_area), AREA_OF_FILE) &&
           check_area_of_file(k, ref, get64(&file->image_area), AREA_OF_FILE | AREA_IMAGE);
}

/* OB1: an object of a kind, and what it names. */
static bool check_object(struct checker *k, uint32_t kind, uint64_t ref, uint64_t previous)
{
    bool is_section = kind == HANDLE_KIND_SECTION;
    if (!check_is_shared_object(k, is_section ? SLAB_SECTION : SLAB_FILE, ref))
        return check_fail(k, "OB1", ref, 1, ref);
    const struct object *object = core_at(k->c->bias, ref);
    k->handles[kind - HANDLE_KIND_SECTION] += get32(&object->handle_count) * weight_of(ref);
    return check_equal(k, "OB1", ref, previous, get64(&object->prev)) &&
           check_object_name(k, object, ref) &&
           (is_section ? check_section(k, ref) : check_file(k, ref));
}

/* OB1: the objects of a kind, whose links back prove that the list ends. */
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
static bool check_slot(struct checker *k, uint32_t number, const struct object_slot *slot)
{
    uint64_t handle = get64(&slot->handle);
    uint64_t ref = get64(&slot->object);
    uint32_t kind = (uint32_t)(handle >> 56);
    bool is_section = kind == HANDLE_KIND_SECTION;
    if (!is_section && kind != HANDLE_KIND_FILE)
        return check_fail(k, "OB1", number, HANDLE_KIND_SECTION, kind);
    if (!check_is_shared_object(k, is_section ? SLAB_SECTION : SLAB_FILE, ref))
        return check_fail(k, "OB1", number, 1, ref);
    k->handles[kind - HANDLE_KIND_SECTION] -= weight_of(ref);
    return check_equal(k, "OB1", number, handle >> 32 << 32 | number, handle);
}

bool check_object_frame(struct checker *k, const char *invariant, uint64_t ref)
{
    uint64_t frame = ref_frame(k->c, ref);
    uint32_t *mark = check_mark(k, frame);
    if (!mark || frame_ref(k->c, frame) != ref || *mark & MARK_SECTION)
        return check_fail(k, invariant, ref, 1, 0);
    *mark |= MARK_SECTION;
    return check_equal(k, invariant, ref, NTMM_USE_OBJECT, (uint64_t)pfn_use(pfn_at(k->c, frame)));
}

/* OB2: a frame of the table. */
static bool check_table_frame(struct checker *k, uint64_t ref)
{
    k->object_frames++;
    return check_object_frame(k, "OB2", ref);
}

/* A slot of a table whose frames are sound. */
static const struct object_slot *slot_at(const struct checker *k, uint32_t number)
{
    const le64 *directory = core_at(k->c->bias, get64(&anchor_of(k->c)->objects_ref));
    uint64_t frame = get64(&directory[number / OBJECT_SLOTS_PER_FRAME]);
    const struct object_slot *slots = core_at(k->c->bias, frame);
    return slots + number % OBJECT_SLOTS_PER_FRAME;
}

/* OB1: the chain holds every free slot, and no other. */
static bool check_free_slots(struct checker *k, uint32_t slots, uint32_t used)
{
    uint64_t next = get32(&anchor_of(k->c)->free_object);
    uint32_t chained = 0;
    for (; next && chained <= slots; chained++) {
        if (next > slots)
            return check_fail(k, "OB1", slots, slots, next);
        const struct object_slot *slot = slot_at(k, (uint32_t)next - 1);
        if (!check_equal(k, "OB1", next - 1, 0, get64(&slot->handle)))
            return false;
        next = get64(&slot->object);
    }
    return check_equal(k, "OB1", slots, slots - used, chained);
}

/* OB2: the frames of the table, before a slot is looked at. */
static bool check_table(struct checker *k, uint32_t slots)
{
    uint64_t directory = get64(&anchor_of(k->c)->objects_ref);
    if (slots > OBJECTS_MAX || slots % OBJECT_SLOTS_PER_FRAME || (slots && !directory))
        return check_fail(k, "OB2", 0, directory ? OBJECTS_MAX : 0, slots);
    if (directory && !check_table_frame(k, directory))
        return false;
    for (uint32_t i = 0; i < slots / OBJECT_SLOTS_PER_FRAME; i++) {
        const le64 *refs = core_at(k->c->bias, directory);
        if (!check_table_frame(k, get64(&refs[i])))
            return false;
    }
    k->commit += k->object_frames;
    return check_equal(k, "OB2", 0, k->object_frames, get64(&partition_of(k->c)->object_pages));
}

/* OB1: every object counts the slots that name it; the sums are weighted by object. */
static bool check_objects(struct checker *k)
{
    uint32_t slots = get32(&anchor_of(k->c)->object_slots);
    uint32_t used = 0;
    if (!check_list(k, HANDLE_KIND_SECTION) || !check_list(k, HANDLE_KIND_FILE) ||
        !check_table(k, slots))
        return false;
    for (uint32_t i = 0; i < slots; i++) {
        const struct object_slot *slot = slot_at(k, i);
        if (get64(&slot->handle) == 0)
            continue;
        used++;
        if (!check_slot(k, i, slot))
            return false;
    }
    return check_free_slots(k, slots, used) && check_equal(k, "OB1", 1, 0, k->handles[0]) &&
           check_equal(k, "OB1", 2, 0, k->handles[1]);
}

/* --- areas --- */

/* CA3: there is at least one, so that each page is in one. */
static bool check_subsections(struct checker *k, const struct control_area *area, uint64_t area_ref)
{
    uint64_t page = 0;
    uint64_t count = 0;
    for (uint64_t ref = get64(&area->subsections); ref; count++) {
        if (!check_is_shared_object(k, SLAB_SUBSECTION, ref) ||
            count == get32(&area->subsection_count))
            return check_fail(k, "CA3", area_ref, get32(&area->subsection_count), ref);
        const struct subsection *s = subsection_at(k->c, ref);
        if (!check_equal(k, "CA3", ref, page, get64(&s->first_page)) ||
            !check_equal(k, "CA3", ref, area_ref, get64(&s->area)) ||
            !check_between(k, "CA3", ref, 0, AREA_PAGES_MAX, get64(&s->page_count)))
            return false;
        page += get64(&s->page_count);
        ref = get64(&s->next);
        if (++k->subsections > k->slabs[SLAB_SUBSECTION].used)
            return check_fail(k, "CA3", area_ref, k->slabs[SLAB_SUBSECTION].used, k->subsections);
    }
    return check_between(k, "CA3", area_ref, 1, UINT32_MAX, count) &&
           check_equal(k, "CA3", area_ref, count, get32(&area->subsection_count)) &&
           check_equal(k, "CA3", area_ref, page, get64(&area->pages)) &&
           check_between(k, "CA3", area_ref, 0, AREA_PAGES_MAX, page);
}

/* CA2: one that is ending names a file that may be gone. */
static bool check_file_of(struct checker *k, const struct control_area *area, uint64_t ref)
{
    uint64_t file_ref = get64(&area->file);
    bool is_image = area_is(area, AREA_IMAGE);
    if (!area_is(area, AREA_OF_FILE))
        return check_equal(k, "CA2", ref, 0, file_ref) && check_equal(k, "CA2", ref, 0, is_image);
    if (area_is(area, AREA_ENDING))
        return true;
    if (!check_is_shared_object(k, SLAB_FILE, file_ref))
        return check_fail(k, "CA2", ref, 1, file_ref);
    const struct file *file = file_at(k->c, file_ref);
    return check_equal(k, "CA2", ref, ref, get64(is_image ? &file->image_area : &file->data_area));
}

/* CA1: nobody calls, so nobody refers to an area but sections and views; to one that is ending, not
 * even these. */
static bool check_counts(struct checker *k, const struct control_area *area, uint64_t ref)
{
    bool is_ending = area_is(area, AREA_ENDING);
    return check_equal(k, "CA1", ref, check_references(k, ref)->sections,
                       get32(&area->section_count)) &&
           check_equal(k, "CA1", ref, 0, get32(&area->user_count)) &&
           (!is_ending || (check_equal(k, "CA1", ref, 0, get32(&area->section_count)) &&
                           check_equal(k, "CA1", ref, 0, get32(&area->view_count))));
}

/* Whether a transfer looks at a control area when it ends. */
static bool is_counted(const struct transfer_block *block, bool is_image)
{
    bool is_write = block->io.operation == NTMM_IO_WRITE;
    return block->users != 0 && !block->is_done && block->file == TRANSFER_OF_FILE &&
           (is_write || (is_image && block->io.operation == NTMM_IO_READ));
}

/* CA5. */
static bool check_transfers_of(struct checker *k, const struct control_area *area, uint64_t ref)
{
    const struct transfers *transfers = &k->c->sys->transfers;
    bool is_image = area_is(area, AREA_IMAGE);
    uint32_t count = 0;
    for (uint32_t i = 0; i < READ_BLOCKS; i++)
        count += transfers->reads[i].area == ref && is_counted(&transfers->reads[i], is_image);
    for (uint32_t i = 0; i < WRITE_BLOCKS; i++)
        count += transfers->writes[i].area == ref && is_counted(&transfers->writes[i], is_image);
    return check_equal(k, "CA5", ref, count, load32_relaxed(&area->io_count));
}

/* Pages of an image that are written in place. */
static uint64_t count_shared(const struct checker *k, const struct control_area *area)
{
    uint64_t pages = 0;
    for (uint64_t ref = get64(&area->subsections); ref;) {
        const struct subsection *s = subsection_at(k->c, ref);
        pages += get32(&s->is_shared) ? get64(&s->page_count) : 0;
        ref = get64(&s->next);
    }
    return pages;
}

/* CA4: what an area's pages are charged, and its tables. */
static bool check_charge(struct checker *k, const struct control_area *area, uint64_t ref,
                         const struct tree_totals *totals)
{
    uint64_t commit = get64(&area->commit_pages);
    uint64_t pages = get64(&area->pages);
    k->commit += commit;
    k->area_tables += get64(&area->table_pages);
    uint64_t most = totals->is_above_unknown ? UINT64_MAX : totals->tables;
    if (!check_between(k, "CA4", ref, totals->tables, most, get64(&area->table_pages)))
        return false;
    if (area_is(area, AREA_OF_FILE))
        pages = area_is(area, AREA_IMAGE) ? count_shared(k, area) : 0;
    else if (area_is(area, AREA_RESERVE))
        pages = totals->entries;
    return check_equal(k, "CA4", ref, get64(&area->table_pages) + pages, commit);
}

/* CA8: the partition's time is no later than an area's, or than a pass that is to go on. */
static bool check_mapped_since(struct checker *k, const struct control_area *area, uint64_t ref)
{
    uint64_t oldest = load64_relaxed(&partition_of(k->c)->mapped_since);
    uint64_t since = get64(&area->age_next) ? 1 : load64_relaxed(&area->age.since);
    return since == 0 || check_between(k, "CA8", ref, 1, since, oldest);
}

/* PT3, P12: pages of an area of large pages are promised to stay. */
static bool check_resident(struct checker *k, const struct control_area *area, uint64_t ref)
{
    bool is_large = area_is(area, AREA_LARGE_PAGES);
    k->large_pages += is_large ? get64(&area->pages) : 0;
    return check_equal(k, "PT3", ref, is_large, get32(&area->is_resident));
}

static bool check_area(struct checker *k, const struct control_area *area, uint64_t ref)
{
    struct tree_totals totals = {0};
    return check_equal(k, "L1", LOCK_SECTION, 0, load32_relaxed(&area->lock)) &&
           check_counts(k, area, ref) && check_subsections(k, area, ref) &&
           check_file_of(k, area, ref) && check_transfers_of(k, area, ref) &&
           check_image(k, area) && check_resident(k, area, ref) &&
           check_prototypes(k, area, &totals) && check_charge(k, area, ref, &totals) &&
           check_mapped_since(k, area, ref);
}

/* CA1: the list of all areas, whose links back prove that it ends; CA7; PT4. */
static bool check_areas(struct checker *k)
{
    const struct anchor *anchor = anchor_of(k->c);
    uint64_t hand = get64(&anchor->partition.area_hand);
    uint64_t previous = 0, kept = 0;
    bool is_hand_met = hand == 0;
    for (uint64_t ref = get64(&anchor->areas_head); ref;) {
        if (!check_is_shared_object(k, SLAB_CONTROL_AREA, ref))
            return check_fail(k, "CA1", ref, 1, ref);
        const struct control_area *area = area_at(k->c, ref);
        if (!check_equal(k, "CA1", ref, previous, get64(&area->prev)) || !check_area(k, area, ref))
            return false;
        k->areas++;
        kept += area_is(area, AREA_ENDING) && area_is_idle(area);
        is_hand_met |= ref == hand;
        previous = ref;
        ref = get64(&area->next);
    }
    return check_equal(k, "CA7", 0, kept, get32(&anchor->areas_kept)) &&
           check_equal(k, "PT4", 0, 1, is_hand_met);
}

/* S4: what is in use was met: no area escaped the list. */
static bool check_owners(struct checker *k)
{
    return check_equal(k, "S4", SLAB_SECTION, k->sections, k->slabs[SLAB_SECTION].used) &&
           check_equal(k, "S4", SLAB_FILE, k->files_known, k->slabs[SLAB_FILE].used) &&
           check_equal(k, "S4", SLAB_NAME, k->names, k->slabs[SLAB_NAME].used) &&
           check_equal(k, "S4", SLAB_CONTROL_AREA, k->areas, k->slabs[SLAB_CONTROL_AREA].used) &&
           check_equal(k, "S4", SLAB_FILE_LOCK, k->file_locks, k->slabs[SLAB_FILE_LOCK].used) &&
           check_equal(k, "S4", SLAB_SUBSECTION, k->subsections, k->slabs[SLAB_SUBSECTION].used);
}

/* CA4, CA6: what all areas come to. */
static bool check_sums(struct checker *k)
{
    const struct partition *partition = partition_of(k->c);
    k->commit += k->image_frames;
    return check_equal(k, "CA4", 0, k->area_tables, load64_relaxed(&partition->area_tables)) &&
           check_equal(k, "CA6", 0, k->image_frames, load64_relaxed(&partition->image_pages));
}

bool check_sections(struct checker *k)
{
    k->process = 0;
    return check_equal(k, "L1", LOCK_OBJECTS, 0, load32_relaxed(&anchor_of(k->c)->objects_lock)) &&
           check_objects(k) && check_areas(k) && check_owners(k) && check_sums(k);
}

bool check_area_views(struct checker *k)
{
    k->process = 0;
    for (uint64_t ref = get64(&anchor_of(k->c)->areas_head); ref;) {
        const struct control_area *area = area_at(k->c, ref);
        const struct area_references *met = check_references(k, ref);
        if (!check_equal(k, "CA1", ref, met->views, get32(&area->view_count)) ||
            !check_equal(k, "CA1", ref, met->writable_views, get32(&area->writable_views)))
            return false;
        ref = get64(&area->next);
    }
    return true;
}
