/*
 * The checker finds each broken invariant of pages that clones share, and names it: CL1, CL2, and
 * what they add to L1, P9, PT1, PT2, V7 and V9.
 *
 *   SHARED  8 pages, written and cloned: 0 1 valid, the others not in the working set
 *   VIEW    2 pages, copied on write and cloned: 0 valid, 1 not in the working set
 *   OWN     1 page, written
 */
#include "space/clone_page.h"
#include "unit/corruption.h"

#include <ntmm/process.h>
#include <ntmm/section.h>
#include <ntmm/working_set.h>

#define SHARED BASE
#define OWN (BASE + 16 * MIB)
#define VIEW (BASE + 8 * MIB)
#define SHARED_PAGES 8u
#define COPIED_PAGES 2u
#define PROTOTYPES (SHARED_PAGES + COPIED_PAGES)

static void map_copies(struct machine *m)
{
    ntmm_handle section;
    uint64_t base = VIEW, size = 0, bytes = COPIED_PAGES * PAGE;
    assert_int_equal(ntmm_create_section(m->system, &section, NTMM_SECTION_ALL_ACCESS, NULL, &bytes,
                                         NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_map_view_of_section(m->system, section, m->process, &base, 0, 0, NULL,
                                              &size, NTMM_VIEW_SHARE, 0, NTMM_PAGE_WRITECOPY),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_close_section(m->system, section), NTMM_STATUS_SUCCESS);
    for (uint64_t i = 0; i < COPIED_PAGES; i++)
        must_write(m, VIEW + i * PAGE, i + 1);
}

static struct machine *open_scene(void)
{
    struct machine *m = machine_open(NULL);
    ntmm_handle child;
    must_allocate(m, SHARED, SHARED_PAGES * PAGE, NTMM_PAGE_READWRITE);
    for (uint64_t i = 0; i < SHARED_PAGES; i++)
        must_write(m, SHARED + i * PAGE, i + 1);
    map_copies(m);
    assert_int_equal(ntmm_clone_process(m->system, m->process, NULL, &child), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_empty_working_set(m->system, m->process), NTMM_STATUS_SUCCESS);
    (void)must_read(m, SHARED);
    (void)must_read(m, SHARED + PAGE);
    (void)must_read(m, VIEW);
    must_allocate(m, OWN, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, OWN, 1);
    return m;
}

static void add_32(le32 *word, uint32_t by) { set32(word, get32(word) + by); }

static uint64_t ref_of_block(struct machine *m) { return get64(&machine_anchor(m)->clone_blocks); }

static struct clone_block *block_of(struct machine *m)
{
    struct call c = machine_call(m);
    return clone_block_at(&c, ref_of_block(m));
}

static uint64_t address_of(struct machine *m, uint64_t index)
{
    struct call c = machine_call(m);
    return frame_ref(&c, get64(&block_of(m)->table_frame)) + index * sizeof(le64);
}

static le64 *prototype_of(struct machine *m, uint64_t index)
{
    struct call c = machine_call(m);
    return core_at(c.bias, address_of(m, index));
}

static struct pfn *row_of_table(struct machine *m)
{
    return machine_row(m, get64(&block_of(m)->table_frame));
}

static void set_use(struct machine *m, uint64_t frame, enum ntmm_frame_use use)
{
    pfn_change_state(machine_row(m, frame), PFN_USE, (uint32_t)use << PFN_USE_SHIFT);
}

/* --- blocks --- */

static uint64_t hold_the_lock(struct machine *m)
{
    store32_relaxed(&block_of(m)->lock, 1);
    return LOCK_SECTION;
}

static uint64_t lead_list_astray(struct machine *m)
{
    set64(&machine_anchor(m)->clone_blocks, ref_of_block(m) + 8);
    return ref_of_block(m);
}

static uint64_t lead_list_out_of_memory(struct machine *m)
{
    set64(&machine_anchor(m)->clone_blocks, 0xDEAD000000ull);
    return 0xDEAD000000ull;
}

/* It should have ended. */
static uint64_t keep_a_block_without_pages(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t ref = clone_block_make(&c, m->process);
    set32(&clone_block_at(&c, ref)->live, 0);
    return ref;
}

static uint64_t break_link(struct machine *m)
{
    set64(&block_of(m)->prev, 8);
    return ref_of_block(m);
}

static uint64_t name_the_block_twice(struct machine *m)
{
    set64(&block_of(m)->next, ref_of_block(m));
    return ref_of_block(m);
}

static uint64_t mistake_use_of_block(struct machine *m)
{
    struct call c = machine_call(m);
    set_use(m, ref_frame(&c, ref_of_block(m)), NTMM_USE_OBJECT);
    return ref_of_block(m);
}

static uint64_t have_no_table(struct machine *m)
{
    set64(&block_of(m)->table_frame, 0xABCDEF);
    return ref_of_block(m);
}

static uint64_t miscount_live(struct machine *m)
{
    add_32(&block_of(m)->live, 1);
    return ref_of_block(m);
}

static uint64_t hand_out_again(struct machine *m)
{
    add_32(&block_of(m)->used, ~0u);
    return ref_of_block(m);
}

static uint64_t keep_what_nobody_needs(struct machine *m)
{
    set32(&block_of(m)->references[2], 0);
    return address_of(m, 2);
}

static uint64_t need_what_is_not_there(struct machine *m)
{
    set32(&block_of(m)->references[PROTOTYPES], 1);
    return address_of(m, PROTOTYPES);
}

static uint64_t mistake_block_of_table(struct machine *m)
{
    struct pfn *row = row_of_table(m);
    set64(&row->entry_address, get64(&row->entry_address) + 8);
    return get64(&block_of(m)->table_frame);
}

static uint64_t miscount_used(struct machine *m)
{
    pfn_add_used(row_of_table(m), 1);
    return get64(&block_of(m)->table_frame);
}

static uint64_t be_valid_with_other_rights(struct machine *m)
{
    set64(prototype_of(m, 0), get64(prototype_of(m, 0)) ^ FIELD_MASK(HW_WRITE));
    return address_of(m, 0);
}

/* --- references --- */

static uint64_t refer_once_more(struct machine *m)
{
    add_32(&block_of(m)->references[3], 1);
    return 0;
}

static uint64_t refer_to_another_instead(struct machine *m)
{
    add_32(&block_of(m)->references[3], 1);
    add_32(&block_of(m)->references[4], ~0u);
    return 1;
}

static uint64_t refer_to_nothing(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t value = clone_page_value(address_of(m, PROTOTYPES), PROT_READWRITE);
    set64(machine_entry(m, SHARED + 2 * PAGE, 1), invalid_encode(value, c.sys->invalid_mask));
    return SHARED + 2 * PAGE;
}

static uint64_t refer_to_half_an_entry(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t value = clone_page_value(address_of(m, 2) + 4, PROT_READWRITE);
    set64(machine_entry(m, SHARED + 2 * PAGE, 1), invalid_encode(value, c.sys->invalid_mask));
    return SHARED + 2 * PAGE;
}

static uint64_t refer_out_of_memory(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t value = clone_page_value(frame_ref(&c, 0x123456), PROT_READWRITE);
    set64(machine_entry(m, SHARED + 2 * PAGE, 1), invalid_encode(value, c.sys->invalid_mask));
    return SHARED + 2 * PAGE;
}

static uint64_t map_no_frame(struct machine *m)
{
    le64 *entry = machine_entry(m, SHARED, 1);
    set64(entry, field_set(get64(entry), HW_FRAME, 0x123456));
    return 0x123456;
}

static uint64_t refer_to_no_table(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t value = clone_page_value(frame_ref(&c, machine_frame(m, OWN)), PROT_READWRITE);
    set64(machine_entry(m, SHARED + 2 * PAGE, 1), invalid_encode(value, c.sys->invalid_mask));
    return SHARED + 2 * PAGE;
}

static uint64_t have_no_protection(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t value = clone_page_value(address_of(m, 2), 0);
    set64(machine_entry(m, SHARED + 2 * PAGE, 1), invalid_encode(value, c.sys->invalid_mask));
    return SHARED + 2 * PAGE;
}

static uint64_t store_to_what_is_shared(struct machine *m)
{
    le64 *entry = machine_entry(m, SHARED, 1);
    set64(entry, get64(entry) | FIELD_MASK(HW_DIRTY1) | FIELD_MASK(HW_DIRTY));
    return SHARED;
}

static uint64_t map_a_private_frame(struct machine *m)
{
    uint64_t frame = machine_frame(m, OWN);
    le64 *entry = machine_entry(m, SHARED, 1);
    set64(entry, field_set(get64(entry), HW_FRAME, frame));
    return frame;
}

static uint64_t take_it_for_private(struct machine *m)
{
    le64 *entry = machine_entry(m, SHARED, 1);
    set64(entry, get64(entry) & ~(ENTRY_CLONED | ENTRY_SHARED));
    return machine_frame(m, SHARED);
}

/* --- copies in views --- */

static uint64_t copy_without_protection(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t value = clone_page_value(address_of(m, SHARED_PAGES + 1), 0);
    set64(machine_entry(m, VIEW + PAGE, 1), invalid_encode(value, c.sys->invalid_mask));
    return VIEW + PAGE;
}

static uint64_t copy_of_nothing(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t value = clone_page_value(address_of(m, PROTOTYPES), PROT_READWRITE);
    set64(machine_entry(m, VIEW + PAGE, 1), invalid_encode(value, c.sys->invalid_mask));
    return VIEW + PAGE;
}

static uint64_t forget_a_copy(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t value = entry_prototype(PROT_WRITECOPY);
    set64(machine_entry(m, VIEW + PAGE, 1), invalid_encode(value, c.sys->invalid_mask));
    return 0;
}

static uint64_t store_to_a_shared_copy(struct machine *m)
{
    le64 *entry = machine_entry(m, VIEW, 1);
    set64(entry, get64(entry) | FIELD_MASK(HW_DIRTY1) | FIELD_MASK(HW_DIRTY));
    return VIEW;
}

static uint64_t take_a_copy_for_the_section_s(struct machine *m)
{
    le64 *entry = machine_entry(m, VIEW, 1);
    set64(entry, get64(entry) & ~ENTRY_CLONED);
    return machine_frame(m, VIEW);
}

static const struct corruption corruptions[] = {
    {"L1", "a block is locked", hold_the_lock},
    {"CL1", "the list leads to no block", lead_list_astray},
    {"CL1", "the list leads out of memory", lead_list_out_of_memory},
    {"CL1", "a link back is wrong", break_link},
    {"CL1", "a block is on the list twice", name_the_block_twice},
    {"CL1", "the frame of a block has another use", mistake_use_of_block},
    {"CL1", "a block has no table", have_no_table},
    {"CL1", "prototypes that live are miscounted", miscount_live},
    {"CL1", "a block has no page", keep_a_block_without_pages},
    {"CL1", "a prototype would be handed out again", hand_out_again},
    {"CL1", "a page that nobody refers to is kept", keep_what_nobody_needs},
    {"CL1", "a page that is referred to is not there", need_what_is_not_there},
    {"PT2", "a table names another block", mistake_block_of_table},
    {"PT2", "a used count is off", miscount_used},
    {"PT1", "a prototype has other rights", be_valid_with_other_rights},
    {"CL2", "a reference too many", refer_once_more},
    {"CL2", "the references of one are counted for another", refer_to_another_instead},
    {"CL2", "an entry refers to an empty prototype", refer_to_nothing},
    {"CL2", "an entry refers to no table of prototypes", refer_to_no_table},
    {"CL2", "an entry refers to the middle of a prototype", refer_to_half_an_entry},
    {"CL2", "an entry refers to no memory", refer_out_of_memory},
    {"V9", "an entry that refers to a page has no protection", have_no_protection},
    {"V7", "an entry of a shared page allows writes", store_to_what_is_shared},
    {"P9", "an entry of a shared page names a private frame", map_a_private_frame},
    {"P9", "an entry of a shared page names no frame", map_no_frame},
    {"P9", "an entry of a shared page is taken for a private one", take_it_for_private},
    {"V9", "a copy in a view that refers to a page has no protection", copy_without_protection},
    {"CL2", "a copy in a view refers to an empty prototype", copy_of_nothing},
    {"CL2", "a copy in a view is the section's page again", forget_a_copy},
    {"V7", "the entry of a copy that is shared allows writes", store_to_a_shared_copy},
    {"P9", "a valid copy is taken for the section's page", take_a_copy_for_the_section_s},
};

int main(void)
{
    static const struct corruption_scene scene = {.open = open_scene, .close = machine_close};
    return corruption_run_in(&scene, "check_clones", corruptions,
                             sizeof corruptions / sizeof *corruptions);
}
