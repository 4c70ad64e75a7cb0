/*
 * The checker finds each broken invariant of objects and control areas, and names it: OB1 to OB3,
 * CA1 to CA6, and what sections add to L1 and S4.
 */
#include "unit/corruption.h"
#include "unit/section_scene.h"

#include "section/image_record.h"

#define NOWHERE 0xDEAD000000ull

static const struct section_scene *scene(void) { return section_scene(); }

static void add_32(le32 *word, uint32_t by) { set32(word, get32(word) + by); }
static void add_64(le64 *word, int64_t by) { set64(word, get64(word) + (uint64_t)by); }

/* --- the table of objects --- */

static uint32_t number_of(ntmm_handle handle) { return (uint32_t)(handle & 0xFFFFFF); }

static struct object_slot *slot_of_number(struct machine *m, uint32_t number)
{
    struct call c = machine_call(m);
    const le64 *directory = core_at(c.bias, get64(&machine_anchor(m)->objects_ref));
    return (struct object_slot *)core_at(c.bias, get64(&directory[0])) + number;
}

static struct object_slot *slot_of_pages(struct machine *m)
{
    return slot_of_number(m, number_of(scene()->pages));
}

static struct section *section_of(struct machine *m, ntmm_handle handle)
{
    struct call c = machine_call(m);
    return section_at(&c, scene_object(m, handle));
}

static struct file *file_of(struct machine *m, ntmm_handle handle)
{
    struct call c = machine_call(m);
    return file_at(&c, scene_object(m, handle));
}

static uint64_t make_handle_of_no_kind(struct machine *m)
{
    set64(&slot_of_pages(m)->handle, 9ull << 56 | number_of(scene()->pages));
    return number_of(scene()->pages);
}

static uint64_t make_section_a_file(struct machine *m)
{
    uint64_t handle = get64(&slot_of_pages(m)->handle);
    set64(&slot_of_pages(m)->handle, handle + (1ull << 56));
    return number_of(scene()->pages);
}

static uint64_t lead_slot_astray(struct machine *m)
{
    set64(&slot_of_pages(m)->object, NOWHERE);
    return number_of(scene()->pages);
}

static uint64_t name_another_slot(struct machine *m)
{
    add_64(&slot_of_pages(m)->handle, 1);
    return number_of(scene()->pages);
}

static uint64_t keep_a_handle_that_lacks(struct machine *m)
{
    add_64(&slot_of_pages(m)->handle, 1ll << OBJECT_LACKS_SHIFT);
    return number_of(scene()->pages);
}

static uint64_t miscount_handles(struct machine *m)
{
    add_32(&section_of(m, scene()->data)->object.handle_count, 1);
    return 1;
}

static uint64_t miscount_handles_of_two(struct machine *m)
{
    add_32(&file_of(m, scene()->file)->object.handle_count, 2);
    add_32(&file_of(m, scene()->unmapped_file)->object.handle_count, ~0u);
    return 2;
}

static uint64_t lead_sections_astray(struct machine *m)
{
    set64(&machine_anchor(m)->objects_head[0], NOWHERE);
    return NOWHERE;
}

static uint64_t mistake_link_between_files(struct machine *m)
{
    set64(&file_of(m, scene()->file)->object.prev, 0);
    return scene_object(m, scene()->file);
}

static uint64_t lead_name_astray(struct machine *m)
{
    uint64_t ref = scene_object(m, scene()->pages);
    set64(&section_of(m, scene()->pages)->object.name, NOWHERE);
    return ref;
}

static uint64_t forget_units(struct machine *m)
{
    set32(&section_of(m, scene()->pages)->object.name_units, 0);
    return scene_object(m, scene()->pages);
}

static uint64_t count_too_many_units(struct machine *m)
{
    set32(&file_of(m, scene()->unmapped_file)->object.name_units, 256);
    return scene_object(m, scene()->unmapped_file);
}

static uint64_t count_units_of_no_name(struct machine *m)
{
    set32(&section_of(m, scene()->data)->object.name_units, 3);
    return scene_object(m, scene()->data);
}

static uint64_t close_every_handle(struct machine *m)
{
    uint64_t ref = scene_object(m, scene()->data);
    set32(&section_of(m, scene()->data)->object.handle_count, 0);
    return ref;
}

static uint64_t chain_beyond(struct machine *m)
{
    set32(&machine_anchor(m)->free_object, OBJECT_SLOTS_PER_FRAME + 1);
    return OBJECT_SLOTS_PER_FRAME;
}

static uint64_t chain_a_used_slot(struct machine *m)
{
    set32(&machine_anchor(m)->free_object, number_of(scene()->pages) + 1);
    return number_of(scene()->pages);
}

static uint64_t cut_chain(struct machine *m)
{
    set32(&machine_anchor(m)->free_object, 0);
    return OBJECT_SLOTS_PER_FRAME;
}

static uint64_t close_chain(struct machine *m)
{
    uint32_t first = get32(&machine_anchor(m)->free_object);
    set64(&slot_of_number(m, first - 1)->object, first);
    return OBJECT_SLOTS_PER_FRAME;
}

static uint64_t miscount_slots(struct machine *m)
{
    add_32(&machine_anchor(m)->object_slots, 1);
    return 0;
}

static uint64_t count_too_many_slots(struct machine *m)
{
    set32(&machine_anchor(m)->object_slots, OBJECTS_MAX + OBJECT_SLOTS_PER_FRAME);
    return 0;
}

static uint64_t lose_directory(struct machine *m)
{
    set64(&machine_anchor(m)->objects_ref, 0);
    return 0;
}

static uint64_t lead_directory_astray(struct machine *m)
{
    set64(&machine_anchor(m)->objects_ref, NOWHERE);
    return NOWHERE;
}

static le64 *directory_of(struct machine *m)
{
    struct call c = machine_call(m);
    return core_at(c.bias, get64(&machine_anchor(m)->objects_ref));
}

static uint64_t lead_into_a_frame(struct machine *m)
{
    add_64(directory_of(m), 16);
    return get64(directory_of(m));
}

static uint64_t lead_to_itself(struct machine *m)
{
    uint64_t directory = get64(&machine_anchor(m)->objects_ref);
    set64(directory_of(m), directory);
    return directory;
}

static uint64_t mistake_use_of_slots(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t ref = get64(directory_of(m));
    scene_set_use(m, ref_frame(&c, ref), NTMM_USE_PROTOTYPE);
    return ref;
}

static uint64_t miscount_object_pages(struct machine *m)
{
    add_64(&machine_partition(m)->object_pages, 1);
    return 0;
}

static uint64_t leave_a_frame_of_objects(struct machine *m)
{
    scene_set_use(m, scene_free_frame(m), NTMM_USE_OBJECT);
    return scene_free_frame(m);
}

static uint64_t have_more_valid_than_there_is(struct machine *m)
{
    struct file *file = file_of(m, scene()->file);
    set64(&file->valid_bytes, get64(&file->size_bytes) + 1);
    return scene_object(m, scene()->file);
}

static uint64_t leave_a_file_resizing(struct machine *m)
{
    set32(&file_of(m, scene()->file)->is_resizing, 1);
    return scene_object(m, scene()->file);
}

/* A used slot becomes free: nothing finds its object any more. */
static void lose_slot(struct machine *m, ntmm_handle handle)
{
    struct object_slot *slot = slot_of_number(m, number_of(handle));
    set64(&slot->handle, 0);
    set64(&slot->object, get32(&machine_anchor(m)->free_object));
    set32(&machine_anchor(m)->free_object, number_of(handle) + 1);
}

static uint64_t lose_a_section(struct machine *m)
{
    struct call c = machine_call(m);
    add_32(&scene_area(m, scene()->data)->section_count, ~0u);
    object_unlist(&c, HANDLE_KIND_SECTION, &section_of(m, scene()->data)->object);
    lose_slot(m, scene()->data);
    return SLAB_SECTION;
}

static uint64_t lose_a_file(struct machine *m)
{
    struct call c = machine_call(m);
    object_unlist(&c, HANDLE_KIND_FILE, &file_of(m, scene()->unmapped_file)->object);
    lose_slot(m, scene()->unmapped_file);
    return SLAB_FILE;
}

static uint64_t lose_a_name(struct machine *m)
{
    set64(&section_of(m, scene()->pages)->object.name, 0);
    set32(&section_of(m, scene()->pages)->object.name_units, 0);
    return SLAB_NAME;
}

static uint64_t lose_a_subsection(struct machine *m)
{
    struct call c = machine_call(m);
    assert_true(slab_has_room(&c, SLAB_SUBSECTION));
    assert_int_not_equal(slab_allocate(&c, SLAB_SUBSECTION, 0), 0);
    return SLAB_SUBSECTION;
}

/* --- control areas --- */

static struct control_area *data_area(struct machine *m) { return scene_area(m, scene()->data); }

static struct control_area *pages_area(struct machine *m) { return scene_area(m, scene()->pages); }

static struct control_area *sparse_area(struct machine *m)
{
    return scene_area(m, scene()->sparse);
}

static uint64_t lead_section_astray(struct machine *m)
{
    set64(&section_of(m, scene()->pages)->area, NOWHERE);
    return scene_object(m, scene()->pages);
}

static uint64_t miscount_sections(struct machine *m)
{
    add_32(&data_area(m)->section_count, 1);
    return scene_ref(m, data_area(m));
}

/* The sums of all areas stay as they are. The newest area is the first of the list. */
static uint64_t miscount_sections_of_two(struct machine *m)
{
    add_32(&data_area(m)->section_count, 1);
    add_32(&sparse_area(m)->section_count, ~0u);
    return scene_ref(m, sparse_area(m));
}

static uint64_t miscount_views_of_two(struct machine *m)
{
    add_32(&data_area(m)->view_count, 1);
    add_32(&sparse_area(m)->view_count, ~0u);
    return scene_ref(m, sparse_area(m));
}

static uint64_t miscount_views(struct machine *m)
{
    add_32(&pages_area(m)->view_count, 1);
    return scene_ref(m, pages_area(m));
}

static uint64_t miscount_writable_views(struct machine *m)
{
    add_32(&data_area(m)->writable_views, 1);
    return scene_ref(m, data_area(m));
}

static uint64_t forget_that_a_view_writes(struct machine *m)
{
    struct vad *vad = machine_vad(m, SCENE_DATA);
    set32(&vad->flags, get32(&vad->flags) & ~(uint32_t)VAD_WRITES_FILE);
    return scene_ref(m, data_area(m));
}

static uint64_t keep_a_call(struct machine *m)
{
    add_32(&data_area(m)->user_count, 1);
    return scene_ref(m, data_area(m));
}

static uint64_t end_an_area_with_sections(struct machine *m)
{
    set32(&pages_area(m)->flags, get32(&pages_area(m)->flags) | AREA_ENDING);
    return scene_ref(m, pages_area(m));
}

/* The view of it is there still. */
static uint64_t end_an_area_with_views(struct machine *m)
{
    struct control_area *area = sparse_area(m);
    assert_int_equal(ntmm_close_section(m->system, scene()->sparse), NTMM_STATUS_SUCCESS);
    set32(&area->flags, get32(&area->flags) | AREA_ENDING);
    return scene_ref(m, area);
}

static uint64_t lead_list_astray(struct machine *m)
{
    set64(&machine_anchor(m)->areas_head, NOWHERE);
    return NOWHERE;
}

static uint64_t mistake_link_back(struct machine *m)
{
    set64(&pages_area(m)->prev, 0);
    return scene_ref(m, pages_area(m));
}

static uint64_t lose_an_area(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t next = get64(&scene_area(m, scene()->image)->next);
    set64(&machine_anchor(m)->areas_head, next);
    set64(&area_at(&c, next)->prev, 0);
    return SLAB_CONTROL_AREA;
}

static uint64_t lead_view_astray(struct machine *m)
{
    set64(&machine_vad(m, SCENE_PAGES)->detail, NOWHERE);
    return scene_ref(m, machine_vad(m, SCENE_PAGES));
}

static uint64_t lead_empty_view_astray(struct machine *m)
{
    set64(&machine_vad(m, SCENE_EMPTY)->detail, scene_object(m, scene()->pages));
    return scene_ref(m, machine_vad(m, SCENE_EMPTY));
}

static uint64_t make_private_memory_a_view(struct machine *m)
{
    set32(&machine_vad(m, SCENE_PRIVATE)->type, VAD_DATA_MAP);
    return scene_ref(m, machine_vad(m, SCENE_PRIVATE));
}

static uint64_t lead_data_astray(struct machine *m)
{
    set64(&file_of(m, scene()->file)->data_area, NOWHERE);
    return scene_object(m, scene()->file);
}

static uint64_t take_another_area(struct machine *m)
{
    set64(&file_of(m, scene()->unmapped_file)->data_area, scene_ref(m, data_area(m)));
    return scene_ref(m, data_area(m));
}

static uint64_t take_data_for_an_image(struct machine *m)
{
    set64(&file_of(m, scene()->file)->image_area, scene_ref(m, data_area(m)));
    return scene_ref(m, data_area(m));
}

static uint64_t forget_data(struct machine *m)
{
    set64(&file_of(m, scene()->file)->data_area, 0);
    return scene_ref(m, data_area(m));
}

static uint64_t lead_area_to_no_file(struct machine *m)
{
    set64(&file_of(m, scene()->file)->data_area, 0);
    set64(&data_area(m)->file, NOWHERE);
    return scene_ref(m, data_area(m));
}

static uint64_t name_a_file_of_page_files(struct machine *m)
{
    set64(&pages_area(m)->file, scene_object(m, scene()->file));
    return scene_ref(m, pages_area(m));
}

static uint64_t make_an_image_of_no_file(struct machine *m)
{
    set32(&pages_area(m)->flags, AREA_IMAGE);
    return scene_ref(m, pages_area(m));
}

static struct subsection *subsection_of_pages(struct machine *m)
{
    struct call c = machine_call(m);
    return subsection_at(&c, get64(&pages_area(m)->subsections));
}

static uint64_t have_no_subsection(struct machine *m)
{
    set64(&pages_area(m)->subsections, 0);
    set32(&pages_area(m)->subsection_count, 0);
    set64(&pages_area(m)->pages, 0);
    return scene_ref(m, pages_area(m));
}

static uint64_t lead_subsections_astray(struct machine *m)
{
    set64(&pages_area(m)->subsections, NOWHERE);
    return scene_ref(m, pages_area(m));
}

static uint64_t go_round_subsections(struct machine *m)
{
    struct subsection *s = subsection_of_pages(m);
    set64(&s->page_count, 0);
    set64(&s->next, scene_ref(m, s));
    set32(&pages_area(m)->subsection_count, UINT32_MAX);
    return scene_ref(m, pages_area(m));
}

static uint64_t miscount_subsections(struct machine *m)
{
    add_32(&pages_area(m)->subsection_count, 1);
    return scene_ref(m, pages_area(m));
}

static uint64_t begin_a_subsection_late(struct machine *m)
{
    add_64(&subsection_of_pages(m)->first_page, 1);
    return scene_ref(m, subsection_of_pages(m));
}

static uint64_t give_a_subsection_away(struct machine *m)
{
    set64(&subsection_of_pages(m)->area, scene_ref(m, data_area(m)));
    return scene_ref(m, subsection_of_pages(m));
}

static uint64_t cover_too_little(struct machine *m)
{
    add_64(&subsection_of_pages(m)->page_count, -1);
    return scene_ref(m, pages_area(m));
}

static uint64_t cover_beyond_measure(struct machine *m)
{
    set64(&subsection_of_pages(m)->page_count, AREA_PAGES_MAX + 1);
    return scene_ref(m, subsection_of_pages(m));
}

static uint64_t miscount_commit_of_pages(struct machine *m)
{
    add_64(&pages_area(m)->commit_pages, 1);
    return scene_ref(m, pages_area(m));
}

static uint64_t miscount_commit_of_sparse(struct machine *m)
{
    add_64(&sparse_area(m)->commit_pages, -1);
    return scene_ref(m, sparse_area(m));
}

static uint64_t miscount_commit_of_data(struct machine *m)
{
    add_64(&data_area(m)->commit_pages, 1);
    return scene_ref(m, data_area(m));
}

static uint64_t miscount_tables(struct machine *m)
{
    add_64(&sparse_area(m)->table_pages, -1);
    return scene_ref(m, sparse_area(m));
}

static uint64_t miscount_all_tables(struct machine *m)
{
    add_64(&machine_partition(m)->area_tables, 1);
    return 0;
}

static uint64_t forget_a_transfer(struct machine *m)
{
    assert_int_equal(get32(&data_area(m)->io_count), 1);
    set32(&data_area(m)->io_count, 0);
    return scene_ref(m, data_area(m));
}

static uint64_t forget_age(struct machine *m)
{
    store64_relaxed(&data_area(m)->age.since, 0);
    return field_get(get64(scene_prototype(m, scene()->data, 0)), HW_FRAME);
}

static uint64_t make_oldest_age_later(struct machine *m)
{
    uint64_t since = load64_relaxed(&data_area(m)->age.since);
    assert_true(since != 0);
    store64_relaxed(&machine_partition(m)->mapped_since, since + 1);
    return scene_ref(m, data_area(m));
}

static uint64_t miscount_kept_areas(struct machine *m)
{
    struct call c = call_begin(m->system);
    set32(&anchor_of(&c)->areas_kept, 1);
    return 0;
}

/* --- images --- */

static struct control_area *image_area(struct machine *m) { return scene_area(m, scene()->image); }

static struct image_record *record_of(struct machine *m)
{
    struct call c = machine_call(m);
    return image_record_at(&c, get64(&image_area(m)->image));
}

static uint64_t keep_no_record(struct machine *m)
{
    set64(&image_area(m)->image, 0);
    return 0;
}

static uint64_t keep_a_record_of_no_image(struct machine *m)
{
    set64(&pages_area(m)->image, scene_ref(m, record_of(m)));
    return scene_ref(m, pages_area(m));
}

static uint64_t list_too_many_frames(struct machine *m)
{
    set32(&record_of(m)->frame_count, IMAGE_LISTS * 512 + 1);
    return scene_ref(m, record_of(m));
}

static uint64_t relocate_with_what_is_not_there(struct machine *m)
{
    add_32(&record_of(m)->chunk_count, get32(&record_of(m)->frame_count));
    return scene_ref(m, record_of(m));
}

static uint64_t have_other_pages(struct machine *m)
{
    add_32(&record_of(m)->image_pages, 1);
    return scene_ref(m, record_of(m));
}

static uint64_t be_relocated_elsewhere(struct machine *m)
{
    add_64(&record_of(m)->base, 1 << 16);
    return scene_ref(m, record_of(m));
}

static uint64_t relocate_nowhere(struct machine *m)
{
    set64(&record_of(m)->bounce, NOWHERE);
    return NOWHERE;
}

static uint64_t relocate_in_the_record(struct machine *m)
{
    set64(&record_of(m)->scratch, scene_ref(m, record_of(m)));
    return scene_ref(m, record_of(m));
}

static uint64_t list_nowhere(struct machine *m)
{
    set64(&record_of(m)->lists[0], NOWHERE);
    return NOWHERE;
}

static uint64_t list_no_frame(struct machine *m)
{
    struct call c = machine_call(m);
    le64 *list = core_at(c.bias, get64(&record_of(m)->lists[0]));
    set64(list, 0);
    return 0;
}

static uint64_t miscount_frames_of_record(struct machine *m)
{
    add_32(&record_of(m)->charged_pages, 1);
    return scene_ref(m, record_of(m));
}

static uint64_t miscount_frames_of_images(struct machine *m)
{
    add_64(&machine_partition(m)->image_pages, 1);
    return 0;
}

static uint64_t miscount_commit_of_image(struct machine *m)
{
    add_64(&image_area(m)->commit_pages, -1);
    return scene_ref(m, image_area(m));
}

/* --- locks --- */

static uint64_t lock_a_record(struct machine *m)
{
    set32(&record_of(m)->lock, 1);
    return LOCK_IMAGE;
}

static uint64_t lock_objects(struct machine *m)
{
    set32(&machine_anchor(m)->objects_lock, 1);
    return LOCK_OBJECTS;
}

static uint64_t lock_an_area(struct machine *m)
{
    set32(&pages_area(m)->lock, 1);
    return LOCK_SECTION;
}

static const struct corruption of_objects[] = {
    {"OB1", "a handle of no kind", make_handle_of_no_kind},
    {"OB1", "a section is said to be a file", make_section_a_file},
    {"OB1", "a slot names nothing", lead_slot_astray},
    {"OB1", "a handle names another slot", name_another_slot},
    {"OB1", "a slot's handle lacks rights", keep_a_handle_that_lacks},
    {"OB1", "handles are miscounted", miscount_handles},
    {"OB1", "handles of two files are miscounted", miscount_handles_of_two},
    {"OB1", "the list of sections leads nowhere", lead_sections_astray},
    {"OB1", "a link back is wrong", mistake_link_between_files},
    {"OB1", "a name is none", lead_name_astray},
    {"OB1", "a name has no units", forget_units},
    {"OB1", "a name has more units than fit", count_too_many_units},
    {"OB1", "units of no name", count_units_of_no_name},
    {"OB1", "a section has no handle", close_every_handle},
    {"OB1", "the free chain leads beyond the table", chain_beyond},
    {"OB1", "a used slot is on the free chain", chain_a_used_slot},
    {"OB1", "free slots are not on the chain", cut_chain},
    {"OB1", "the free chain goes round", close_chain},
    {"OB2", "slots do not fill frames", miscount_slots},
    {"OB2", "more slots than there can be", count_too_many_slots},
    {"OB2", "slots without a directory", lose_directory},
    {"OB2", "the directory is nowhere", lead_directory_astray},
    {"OB2", "slots begin inside a frame", lead_into_a_frame},
    {"OB2", "the directory holds itself", lead_to_itself},
    {"OB2", "a frame of slots has another use", mistake_use_of_slots},
    {"OB2", "the count of frames is off", miscount_object_pages},
    {"OB2", "a frame of objects is in no table", leave_a_frame_of_objects},
    {"OB3", "valid data ends behind the file", have_more_valid_than_there_is},
    {"OB3", "a file is still being resized", leave_a_file_resizing},
    {"S4", "a section is on no list", lose_a_section},
    {"S4", "a file is on no list", lose_a_file},
    {"S4", "a name is nobody's", lose_a_name},
    {"S4", "a subsection is nobody's", lose_a_subsection},
    {"S4", "an area is not on the list", lose_an_area},
    {"L1", "the objects are locked", lock_objects},
    {"L1", "an area is locked", lock_an_area},
    {"L1", "a record is locked", lock_a_record},
};

static const struct corruption of_areas[] = {
    {"CA1", "a section names no area", lead_section_astray},
    {"CA1", "sections are miscounted", miscount_sections},
    {"CA1", "sections of two areas are miscounted", miscount_sections_of_two},
    {"CA1", "views are miscounted", miscount_views},
    {"CA1", "views of two areas are miscounted", miscount_views_of_two},
    {"CA1", "views that write are miscounted", miscount_writable_views},
    {"CA1", "a view that writes does not say so", forget_that_a_view_writes},
    {"CA1", "a call refers to an area, and there is none", keep_a_call},
    {"CA1", "an area is ending and has sections", end_an_area_with_sections},
    {"CA1", "an area is ending and has views", end_an_area_with_views},
    {"CA1", "the list of areas leads nowhere", lead_list_astray},
    {"CA1", "a link back is wrong", mistake_link_back},
    {"CA1", "a view names nothing", lead_view_astray},
    {"CA1", "a view without entries names a section", lead_empty_view_astray},
    {"CA1", "private memory is a view", make_private_memory_a_view},
    {"CA2", "a file's data is nothing", lead_data_astray},
    {"CA2", "two files have one area", take_another_area},
    {"CA2", "data is an image", take_data_for_an_image},
    {"CA2", "a file does not know its area", forget_data},
    {"CA2", "an area's file is nothing", lead_area_to_no_file},
    {"CA2", "an area of page files names a file", name_a_file_of_page_files},
    {"CA2", "an image of no file", make_an_image_of_no_file},
    {"CA3", "there is no subsection", have_no_subsection},
    {"CA3", "the subsections are nowhere", lead_subsections_astray},
    {"CA3", "the subsections go round", go_round_subsections},
    {"CA3", "subsections are miscounted", miscount_subsections},
    {"CA3", "a subsection begins late", begin_a_subsection_late},
    {"CA3", "a subsection names another area", give_a_subsection_away},
    {"CA3", "the last page is in no subsection", cover_too_little},
    {"CA3", "a subsection has more pages than a tree", cover_beyond_measure},
    {"CA4", "the charge of a section of page files", miscount_commit_of_pages},
    {"CA4", "the charge of a reserved section", miscount_commit_of_sparse},
    {"CA4", "the charge of a file's data", miscount_commit_of_data},
    {"CA4", "tables are miscounted", miscount_tables},
    {"CA4", "tables of all areas are miscounted", miscount_all_tables},
    {"CA4", "the charge of an image", miscount_commit_of_image},
    {"CA5", "a transfer is not counted", forget_a_transfer},
    {"CA6", "an image has no record", keep_no_record},
    {"CA6", "what is no image has a record", keep_a_record_of_no_image},
    {"CA6", "a record lists more than it can", list_too_many_frames},
    {"CA6", "a record lacks its directory", relocate_with_what_is_not_there},
    {"CA6", "a record has other pages", have_other_pages},
    {"CA6", "a record has another base", be_relocated_elsewhere},
    {"CA6", "a page to relocate in is nowhere", relocate_nowhere},
    {"CA6", "a page to relocate in is used twice", relocate_in_the_record},
    {"CA6", "a list is nowhere", list_nowhere},
    {"CA6", "a list names nothing", list_no_frame},
    {"CA6", "frames of a record are miscounted", miscount_frames_of_record},
    {"CA6", "frames of all records are miscounted", miscount_frames_of_images},
    {"CA7", "areas that were kept are miscounted", miscount_kept_areas},
    {"CA8", "a file with modified pages has no age", forget_age},
    {"CA8", "the partition's oldest age is a later one", make_oldest_age_later},
};

int main(void)
{
#define RUN(name, rows) corruption_run_in(&where, name, rows, sizeof(rows) / sizeof *(rows))
    const struct corruption_scene where = {.open = section_scene_open,
                                           .close = section_scene_close};
    int failed = RUN("check_sections objects", of_objects);
    failed += RUN("check_sections areas", of_areas);
    return failed;
}
