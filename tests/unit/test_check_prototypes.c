/*
 * The checker finds each broken invariant of prototype entries and views, and names it: PT1, PT2,
 * V13, V14, and what sections add to G1, P4, P8 to P10, V7 and V9.
 */
#include "unit/corruption.h"
#include "unit/section_scene.h"

#include "x64/formats.h"

static const struct section_scene *scene(void) { return section_scene(); }

static void add_32(le32 *word, uint32_t by) { set32(word, get32(word) + by); }
static void add_64(le64 *word, int64_t by) { set64(word, get64(word) + (uint64_t)by); }

/* --- prototype entries --- */

static le64 *data_entry(struct machine *m, uint64_t page)
{
    return scene_prototype(m, scene()->data, page);
}

static le64 *pages_entry(struct machine *m, uint64_t page)
{
    return scene_prototype(m, scene()->pages, page);
}

static uint64_t value_of(struct machine *m, const le64 *entry)
{
    return invalid_decode(get64(entry), m->system->invalid_mask);
}

static void set_value(struct machine *m, le64 *entry, uint64_t value)
{
    set64(entry, invalid_encode(value, m->system->invalid_mask));
}

/* The frame that an entry names. */
static uint64_t frame_in(struct machine *m, const le64 *entry)
{
    uint64_t raw = get64(entry);
    return raw & FIELD_MASK(HW_VALID) ? field_get(raw, HW_FRAME)
                                      : field_get(value_of(m, entry), TR_FRAME);
}

static struct pfn *row_in(struct machine *m, const le64 *entry)
{
    return machine_row(m, frame_in(m, entry));
}

static uint64_t name_no_frame(struct machine *m)
{
    set64(pages_entry(m, 0), field_set(get64(pages_entry(m, 0)), HW_FRAME, 0xABCDEF));
    return 0xABCDEF;
}

static uint64_t name_a_frame_twice(struct machine *m)
{
    uint64_t frame = frame_in(m, data_entry(m, 0));
    set64(data_entry(m, 1), get64(data_entry(m, 0)));
    return frame;
}

static uint64_t name_a_private_frame(struct machine *m)
{
    uint64_t frame = machine_frame(m, SCENE_PRIVATE);
    set64(pages_entry(m, 0), field_set(get64(pages_entry(m, 0)), HW_FRAME, frame));
    return frame;
}

static uint64_t mistake_entry_address(struct machine *m)
{
    add_64(&row_in(m, pages_entry(m, 0))->entry_address, 8);
    return frame_in(m, pages_entry(m, 0));
}

static uint64_t mistake_table(struct machine *m)
{
    add_64(&row_in(m, pages_entry(m, 0))->table_frame, 1);
    return frame_in(m, pages_entry(m, 0));
}

static uint64_t be_valid_with_other_rights(struct machine *m)
{
    set64(pages_entry(m, 0), get64(pages_entry(m, 0)) & ~FIELD_MASK(HW_NO_EXECUTE));
    return scene_ref(m, pages_entry(m, 0));
}

static uint64_t be_in_transition_with_other_rights(struct machine *m)
{
    le64 *entry = pages_entry(m, 1);
    set_value(m, entry, entry_transition(PROT_READONLY, frame_in(m, entry)));
    return scene_ref(m, entry);
}

static uint64_t mistake_original(struct machine *m)
{
    struct pfn *row = row_in(m, data_entry(m, 0));
    store64_relaxed(&row->original_pte, entry_software(PROT_READWRITE));
    return frame_in(m, data_entry(m, 0));
}

static uint64_t damage_in_memory(struct machine *m)
{
    struct pfn *row = row_in(m, pages_entry(m, 0));
    store64_relaxed(&row->original_pte, entry_damaged(PROT_READWRITE));
    return frame_in(m, pages_entry(m, 0));
}

static uint64_t withdraw_an_active_page(struct machine *m)
{
    le64 *entry = data_entry(m, 0);
    uint64_t frame = frame_in(m, entry);
    set_value(m, entry, entry_transition(PROT_READWRITE, frame));
    return frame;
}

static uint64_t be_valid_on_standby(struct machine *m)
{
    le64 *entry = data_entry(m, 6); /* being read: no list knows of it */
    uint64_t valid = get64(data_entry(m, 0));
    set64(entry, field_set(valid, HW_FRAME, frame_in(m, entry)));
    return frame_in(m, entry);
}

static uint64_t be_in_transition_nowhere(struct machine *m)
{
    le64 *entry = data_entry(m, 6);
    pfn_change_state(row_in(m, entry), PFN_LOCATION, NTMM_FRAME_BAD);
    return frame_in(m, entry);
}

static uint64_t mistake_subsection(struct machine *m)
{
    le64 *entry = data_entry(m, 7);
    assert_true(entry_is_of_file(value_of(m, entry)));
    set_value(m, entry, field_set(value_of(m, entry), SUBSECTION_PROTECTION, PROT_READONLY));
    return scene_ref(m, entry);
}

static uint64_t take_data_from_page_files(struct machine *m)
{
    le64 *entry = data_entry(m, 7);
    set_value(m, entry, entry_software(PROT_READWRITE));
    return scene_ref(m, entry);
}

static uint64_t take_pages_from_a_file(struct machine *m)
{
    le64 *entry = pages_entry(m, 3);
    set_value(m, entry, value_of(m, data_entry(m, 7)));
    return scene_ref(m, entry);
}

static uint64_t name_no_slot(struct machine *m)
{
    le64 *entry = pages_entry(m, 3);
    assert_int_not_equal(slot_of(value_of(m, entry)), 0);
    set_value(m, entry, slot_set(value_of(m, entry), 0, 4095));
    return 4095;
}

static uint64_t commit_with_other_rights(struct machine *m)
{
    le64 *entry = scene_prototype(m, scene()->sparse, 510);
    set_value(m, entry, entry_software(PROT_READONLY));
    return scene_ref(m, entry);
}

/* What was written to a page of an image is nothing that the file has. */
static uint64_t mistake_page_of_image(struct machine *m)
{
    le64 *entry = scene_prototype(m, scene()->image, scene()->shared_page);
    struct pfn *row = row_in(m, entry);
    assert_false(entry_is_of_file(load64_relaxed(&row->original_pte)));
    store64_relaxed(&row->original_pte, entry_software(PROT_EXECUTE));
    return frame_in(m, entry);
}

static uint64_t forget_that_a_page_is_an_images(struct machine *m)
{
    le64 *entry = scene_prototype(m, scene()->image, 1);
    struct pfn *row = row_in(m, entry);
    store64_relaxed(&row->original_pte, load64_relaxed(&row->original_pte) & ~ENTRY_OF_IMAGE);
    return frame_in(m, entry);
}

static uint64_t miscount_shares(struct machine *m)
{
    add_32(&row_in(m, data_entry(m, 2))->share_count, 1);
    return frame_in(m, data_entry(m, 2));
}

/* Whoever was reading it has no entry to put it into. */
static uint64_t lose_a_prototype(struct machine *m)
{
    le64 *entry = data_entry(m, 6);
    uint64_t frame = frame_in(m, entry);
    struct call c = machine_call(m);
    struct pfn *table = machine_row(m, ref_frame(&c, scene_ref(m, entry)));
    set64(entry, 0);
    pfn_add_used(table, -1);
    pfn_add_share(table, -1);
    return frame;
}

/* --- trees --- */

static le64 *root_of_sparse(struct machine *m)
{
    struct call c = machine_call(m);
    return table_at(&c, get64(&scene_area(m, scene()->sparse)->root_frame));
}

static uint64_t leaf_of_sparse(struct machine *m, uint32_t index)
{
    return field_get(get64(root_of_sparse(m) + index), HW_FRAME);
}

static uint64_t have_too_few_levels(struct machine *m)
{
    set32(&scene_area(m, scene()->sparse)->levels, 1);
    return scene_ref(m, scene_area(m, scene()->sparse));
}

static uint64_t have_too_many_levels(struct machine *m)
{
    set32(&scene_area(m, scene()->sparse)->levels, PROTOTYPE_LEVELS_MAX + 1);
    return scene_ref(m, scene_area(m, scene()->sparse));
}

static uint64_t have_a_level_more(struct machine *m)
{
    uint64_t first = scene_ref(m, pages_entry(m, 0));
    set32(&scene_area(m, scene()->pages)->levels, 2);
    return first;
}

static uint64_t lead_root_astray(struct machine *m)
{
    set64(&scene_area(m, scene()->pages)->root_frame, 0xABCDEF);
    return 0xABCDEF;
}

static uint64_t share_a_root(struct machine *m)
{
    uint64_t root = get64(&scene_area(m, scene()->pages)->root_frame);
    set64(&scene_area(m, scene()->data)->root_frame, root);
    return root;
}

static uint64_t name_a_table_twice(struct machine *m)
{
    uint64_t leaf = leaf_of_sparse(m, 0);
    set64(root_of_sparse(m) + 1, get64(root_of_sparse(m)));
    return leaf;
}

static uint64_t make_a_branch_read_only(struct machine *m)
{
    set64(root_of_sparse(m), get64(root_of_sparse(m)) & ~FIELD_MASK(HW_WRITE));
    return scene_ref(m, root_of_sparse(m));
}

static uint64_t mistake_entry_of_table(struct machine *m)
{
    add_64(&machine_row(m, leaf_of_sparse(m, 1))->entry_address, 8);
    return leaf_of_sparse(m, 1);
}

static uint64_t mistake_table_of_root(struct machine *m)
{
    uint64_t root = get64(&scene_area(m, scene()->sparse)->root_frame);
    add_64(&machine_row(m, root)->table_frame, 1);
    return root;
}

static uint64_t mistake_use_of_table(struct machine *m)
{
    scene_set_use(m, leaf_of_sparse(m, 1), NTMM_USE_SECTION);
    return leaf_of_sparse(m, 1);
}

static uint64_t miscount_used(struct machine *m)
{
    pfn_add_used(machine_row(m, leaf_of_sparse(m, 0)), 1);
    return leaf_of_sparse(m, 0);
}

static uint64_t miscount_shares_of_table(struct machine *m)
{
    add_32(&machine_row(m, leaf_of_sparse(m, 0))->share_count, 1);
    return leaf_of_sparse(m, 0);
}

static uint64_t have_a_page_too_many(struct machine *m)
{
    le64 *entry = scene_prototype(m, scene()->sparse, 600);
    set_value(m, entry, entry_software(PROT_READWRITE));
    return scene_ref(m, entry);
}

static uint64_t leave_a_table(struct machine *m)
{
    scene_set_use(m, scene_free_frame(m), NTMM_USE_PROTOTYPE);
    return scene_free_frame(m);
}

/* --- views --- */

static uint64_t grant_execution(struct machine *m)
{
    le64 *entry = machine_entry(m, SCENE_DATA, 1);
    set64(entry, get64(entry) & ~FIELD_MASK(HW_NO_EXECUTE));
    return SCENE_DATA;
}

/* The entry agrees with itself, but not with its view. */
static uint64_t write_to_what_is_copied(struct machine *m)
{
    le64 *entry = machine_entry(m, SCENE_COPY, 1);
    uint64_t frame = field_get(get64(entry), HW_FRAME);
    set64(entry, entry_with_protection(frame, PROT_READWRITE, false, ENTRY_SHARED));
    return SCENE_COPY;
}

static uint64_t map_a_page_without_access(struct machine *m)
{
    le64 *entry = machine_entry(m, SCENE_DATA, 1);
    uint64_t frame = field_get(get64(entry), HW_FRAME);
    set64(entry, entry_with_protection(frame, PROT_NOACCESS, false, ENTRY_SHARED));
    return SCENE_DATA;
}

static uint64_t write_without_dirty(struct machine *m)
{
    le64 *entry = machine_entry(m, SCENE_DATA + 2 * PAGE, 1);
    set64(entry, get64(entry) | FIELD_MASK(HW_DIRTY1));
    return SCENE_DATA + 2 * PAGE;
}

static uint64_t map_another_page(struct machine *m)
{
    le64 *entry = machine_entry(m, SCENE_DATA, 1);
    uint64_t frame = machine_frame(m, SCENE_DATA + PAGE);
    set64(entry, field_set(get64(entry), HW_FRAME, frame));
    return frame;
}

static uint64_t show_other_pages(struct machine *m)
{
    set64(&machine_vad(m, SCENE_DATA)->first_prototype, 1);
    return machine_frame(m, SCENE_DATA);
}

static uint64_t map_no_frame(struct machine *m)
{
    le64 *entry = machine_entry(m, SCENE_DATA, 1);
    set64(entry, field_set(get64(entry), HW_FRAME, 0xABCDEF));
    return 0xABCDEF;
}

static uint64_t be_clean_and_dirty(struct machine *m)
{
    uint64_t frame = machine_frame(m, SCENE_DATA);
    pfn_change_state(machine_row(m, frame), PFN_MODIFIED, 0);
    return frame;
}

static uint64_t look_for_more_than_a_protection(struct machine *m)
{
    le64 *entry = machine_entry(m, SCENE_COPY + 5 * PAGE, 1);
    set_value(m, entry, value_of(m, entry) | 1ull << 11);
    return SCENE_COPY + 5 * PAGE;
}

static uint64_t promise_more_than_the_view(struct machine *m)
{
    set_value(m, machine_entry(m, SCENE_COPY + 5 * PAGE, 1), entry_prototype(PROT_READWRITE));
    return SCENE_COPY + 5 * PAGE;
}

static uint64_t miscount_copies(struct machine *m)
{
    add_64(&machine_vad(m, SCENE_COPY)->commit_pages, 1);
    return scene_ref(m, machine_vad(m, SCENE_COPY));
}

static uint64_t charge_what_is_not_copied(struct machine *m)
{
    add_64(&machine_vad(m, SCENE_PAGES)->commit_pages, 1);
    return scene_ref(m, machine_vad(m, SCENE_PAGES));
}

static uint64_t take_data_view_for_an_image(struct machine *m)
{
    set32(&machine_vad(m, SCENE_PAGES)->type, VAD_IMAGE_MAP);
    return scene_ref(m, machine_vad(m, SCENE_PAGES));
}

static uint64_t commit_a_view_of_reserved(struct machine *m)
{
    struct vad *vad = machine_vad(m, SCENE_SPARSE);
    set32(&vad->flags, get32(&vad->flags) | VAD_MEM_COMMIT);
    return scene_ref(m, vad);
}

static uint64_t show_what_is_not_there(struct machine *m)
{
    set64(&machine_vad(m, SCENE_EMPTY)->first_prototype, 1);
    return scene_ref(m, machine_vad(m, SCENE_EMPTY));
}

/* --- sums and locks --- */

static uint64_t miscount_section_shares(struct machine *m)
{
    add_64(&machine_partition(m)->section_shares, 1);
    return 4;
}

static uint64_t miscount_active_pages(struct machine *m)
{
    add_64(&machine_partition(m)->section_active, 1);
    return 5;
}

static const struct corruption of_pages[] = {
    {"PT1", "an entry names no frame", name_no_frame},
    {"PT1", "two entries name one frame", name_a_frame_twice},
    {"PT1", "an entry names a private frame", name_a_private_frame},
    {"PT1", "a frame names another entry", mistake_entry_address},
    {"PT1", "a frame names another table", mistake_table},
    {"PT1", "a valid entry has other rights", be_valid_with_other_rights},
    {"PT1", "an entry in transition has other rights", be_in_transition_with_other_rights},
    {"PT1", "a frame of a file is of page files", mistake_original},
    {"PT1", "a page in memory is damaged", damage_in_memory},
    {"PT1", "an active frame's entry is in transition", withdraw_an_active_page},
    {"PT1", "a frame's entry is valid, and it is not active", be_valid_on_standby},
    {"PT1", "a value of a file is another", mistake_subsection},
    {"PT1", "a page of a file comes from page files", take_data_from_page_files},
    {"PT1", "a page of page files comes from a file", take_pages_from_a_file},
    {"PT1", "a committed page has other rights", commit_with_other_rights},
    {"PT1", "a page of an image has other rights", mistake_page_of_image},
    {"PT1", "a page of an image would be written to its file", forget_that_a_page_is_an_images},
    {"PT1", "a share too many", miscount_shares},
    {"PT1", "a frame has lost its entry", lose_a_prototype},
    {"P4", "a frame in transition is nowhere", be_in_transition_nowhere},
    {"G1", "an entry names a slot that is free", name_no_slot},
    {"PT2", "too few levels", have_too_few_levels},
    {"PT2", "too many levels", have_too_many_levels},
    {"PT2", "a leaf is taken for a branch", have_a_level_more},
    {"PT2", "the root is no frame", lead_root_astray},
    {"PT2", "two areas have one root", share_a_root},
    {"PT2", "two entries name one table", name_a_table_twice},
    {"PT2", "a branch is not writable", make_a_branch_read_only},
    {"PT2", "a table names another entry", mistake_entry_of_table},
    {"PT2", "a root names another table", mistake_table_of_root},
    {"PT2", "a table has another use", mistake_use_of_table},
    {"PT2", "a used count is off", miscount_used},
    {"PT2", "a share count is off", miscount_shares_of_table},
    {"PT2", "an entry beyond the pages", have_a_page_too_many},
    {"PT2", "a table is in no tree", leave_a_table},
    {"P10", "shares are miscounted", miscount_section_shares},
    {"P10", "active pages are miscounted", miscount_active_pages},
};

static const struct corruption of_views[] = {
    {"V7", "an entry allows execution that it does not say", grant_execution},
    {"V7", "an entry allows more than its view", write_to_what_is_copied},
    {"V7", "a page without access is valid", map_a_page_without_access},
    {"V7", "a clean entry lets the processor write", write_without_dirty},
    {"P9", "an entry names another page", map_another_page},
    {"P9", "an entry names no frame", map_no_frame},
    {"P9", "a view shows other pages", show_other_pages},
    {"P8", "a dirty page is not modified", be_clean_and_dirty},
    {"V9", "an entry says more than a protection", look_for_more_than_a_protection},
    {"V9", "an entry promises more than its view", promise_more_than_the_view},
    {"V13", "copies are miscounted", miscount_copies},
    {"V13", "a page that is not copied is charged", charge_what_is_not_copied},
    {"V14", "a view of data is one of an image", take_data_view_for_an_image},
    {"V14", "a view of reserved memory is committed", commit_a_view_of_reserved},
    {"V14", "a view shows what is not there", show_what_is_not_there},
};

int main(void)
{
#define RUN(name, rows) corruption_run_in(&where, name, rows, sizeof(rows) / sizeof *(rows))
    const struct corruption_scene where = {.open = section_scene_open,
                                           .close = section_scene_close};
    int failed = RUN("check_prototypes", of_pages);
    failed += RUN("check_views", of_views);
    return failed;
}
