/*
 * Explanations: what ntmm_explain, ntmm_query_frame and ntmm_format_entry say of known states.
 */
#include "unit/paging_scene.h"

static struct ntmm_explanation explain(struct machine *m, uint64_t va)
{
    struct ntmm_explanation x;
    assert_int_equal(ntmm_explain(m->system, m->process, va, &x), NTMM_STATUS_SUCCESS);
    return x;
}

static void of_free_space(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    struct ntmm_explanation x = explain(m, BASE);
    assert_int_equal(x.memory.state, NTMM_MEM_FREE);
    assert_int_equal(x.vad_address, 0);
    assert_int_equal(x.levels, 4);
    assert_int_equal(x.stopped_level, 4);
    assert_int_equal(x.entry[3], 0);
    assert_int_not_equal(x.entry_address[3], 0);
    assert_int_equal(x.has_frame, 0);
    machine_close(m);
}

static void of_a_touched_page(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, KIB64, NTMM_PAGE_READWRITE);
    must_write(m, BASE + PAGE, 7);
    struct ntmm_explanation x = explain(m, BASE + PAGE + 5);
    assert_int_equal(x.vad_base, BASE);
    assert_int_equal(x.vad_end, BASE + KIB64);
    assert_int_equal(x.vad_commit_pages, 16);
    assert_int_equal(x.stopped_level, 1);
    assert_int_equal(x.has_frame, 1);
    assert_int_equal(x.frame.frame, x.entry[0] >> 12 & 0xFFFFFFFFFF);
    assert_int_equal(x.frame.location, NTMM_FRAME_ACTIVE);
    assert_int_equal(x.frame.use, NTMM_USE_PRIVATE);
    assert_int_equal(x.frame.entry_address, x.entry_address[0]);
    assert_int_equal(x.frame.table_frame, x.entry[1] >> 12 & 0xFFFFFFFFFF);
    assert_int_equal(x.frame.share_count, 1);
    assert_int_equal(x.frame.reference_count, 1);
    assert_int_equal(x.frame.owner, (uint32_t)m->process);
    for (uint32_t level = 2; level <= 4; level++)
        assert_int_equal(x.entry[level - 1] & 0xFFF, 0x867); /* V D1 U A D W, as NT's own */
    machine_close(m);
}

static void of_a_page_on_a_list(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 7);
    must_protect(m, BASE, PAGE, NTMM_PAGE_NOACCESS);
    struct ntmm_explanation x = explain(m, BASE);
    assert_int_equal(x.memory.protect, NTMM_PAGE_NOACCESS);
    assert_int_equal(x.has_frame, 1);
    assert_int_equal(x.frame.location, NTMM_FRAME_MODIFIED);
    assert_int_equal(x.frame.is_modified, 1);
    assert_int_equal(x.frame.share_count, 0);
    machine_close(m);
}

/* --- what is out of memory: see paging_scene.h --- */

static void of_a_page_in_a_page_file(void **state)
{
    (void)state;
    struct machine *m = paging_scene_open();
    struct ntmm_explanation x = explain(m, SCENE_PAGES + 5);
    assert_int_equal(x.memory.state, NTMM_MEM_COMMIT);
    assert_int_equal(x.memory.protect, NTMM_PAGE_READWRITE);
    assert_int_equal(x.memory.region_size, 16 * PAGE); /* page 16 is decommitted */
    assert_int_equal(x.is_partial, 0);
    assert_int_equal(x.stopped_level, 1);
    assert_int_equal(x.has_frame, 0);
    assert_int_equal(x.page_file, 0);
    assert_int_equal(x.slot, 1); /* the first that the writer sorted and wrote */
    assert_int_equal(explain(m, SCENE_PAGES + PAGE).slot, 2);
    paging_scene_close(m);
}

static void of_pages_on_their_way(void **state)
{
    (void)state;
    struct machine *m = paging_scene_open();
    struct ntmm_explanation x = explain(m, SCENE_PAGES + 9 * PAGE);
    assert_int_equal(x.has_frame, 1);
    assert_int_equal(x.missing_level, 0);
    assert_int_equal(x.frame.location, NTMM_FRAME_TRANSITION);
    assert_int_equal(x.frame.is_being_read, 1);
    assert_int_equal(x.frame.is_being_written, 0);
    assert_int_equal(x.frame.slot, 6); /* after pages 0 to 3 and 8 */
    x = explain(m, SCENE_PAGES + 12 * PAGE);
    assert_int_equal(x.frame.location, NTMM_FRAME_TRANSITION);
    assert_int_equal(x.frame.is_being_read, 0);
    assert_int_equal(x.frame.is_being_written, 1);
    assert_int_not_equal(x.frame.slot, 0);
    x = explain(m, SCENE_PAGES + 4 * PAGE);
    assert_int_equal(x.frame.location, NTMM_FRAME_STANDBY);
    assert_int_equal(x.frame.is_modified, 0);
    assert_int_equal(x.frame.is_being_read | x.frame.is_being_written, 0);
    assert_int_not_equal(x.frame.slot, 0);
    x = explain(m, SCENE_PAGES + 6 * PAGE);
    assert_int_equal(x.frame.location, NTMM_FRAME_MODIFIED);
    assert_int_equal(x.frame.slot, 0);
    paging_scene_close(m);
}

/* The region and where the table is are known, the page is not; and nothing is brought in for it.
 * All pages of the region are committed, so this one is. */
static void of_a_page_whose_table_is_out(void **state)
{
    (void)state;
    struct machine *m = paging_scene_open();
    struct call c = machine_call(m);
    uint32_t in_use = transfers_in_use(&c);
    uint64_t out = get64(&machine_object(m)->tables_out);
    struct ntmm_explanation x = explain(m, SCENE_LEAF_OUT + PAGE);
    assert_int_equal(x.stopped_level, 2);
    assert_int_equal(x.missing_level, 1);
    assert_int_equal(x.is_partial, 1);
    assert_int_equal(x.memory.base_address, SCENE_LEAF_OUT + PAGE);
    assert_int_equal(x.memory.allocation_base, SCENE_LEAF_OUT);
    assert_int_equal(x.memory.allocation_protect, NTMM_PAGE_READWRITE);
    assert_int_equal(x.memory.type, NTMM_MEM_PRIVATE);
    assert_int_equal(x.memory.region_size, 0);
    assert_int_equal(x.memory.state, NTMM_MEM_COMMIT);
    assert_int_equal(x.memory.protect, 0);
    assert_int_equal(x.vad_base, SCENE_LEAF_OUT);
    assert_int_equal(x.vad_end, SCENE_LEAF_OUT + 4 * PAGE);
    assert_int_equal(x.vad_commit_pages, 4);
    assert_int_equal(x.has_frame, 0);
    assert_int_equal(x.page_file, 0);
    assert_int_not_equal(x.slot, 0);
    assert_int_equal(x.slot, slot_of(scene_value(m, SCENE_LEAF_OUT, 2)));
    assert_int_equal(transfers_in_use(&c), in_use);
    assert_int_equal(get64(&machine_object(m)->tables_out), out);
    paging_scene_close(m);
}

/* The table above the leaf: that there is a leaf, and where, only it knows. */
static void of_a_page_whose_upper_table_is_out(void **state)
{
    (void)state;
    struct machine *m = paging_scene_open();
    struct ntmm_explanation x = explain(m, SCENE_ABOVE_OUT);
    assert_int_equal(x.stopped_level, 3);
    assert_int_equal(x.missing_level, 2);
    assert_int_equal(x.slot, slot_of(scene_value(m, SCENE_ABOVE_OUT, 3)));
    assert_int_equal(x.entry_address[1], 0);
    assert_int_equal(x.vad_base, SCENE_ABOVE_OUT - 15 * PAGE);
    assert_int_equal(x.memory.allocation_protect, NTMM_PAGE_READWRITE);
    paging_scene_close(m);
}

/* Of a region with committed and reserved pages nothing but the table says which is which. */
static void of_a_page_that_may_be_committed(void **state)
{
    (void)state;
    struct machine *m = paging_scene_open();
    struct vad *vad = machine_vad(m, SCENE_LEAF_OUT);
    const uint32_t expected[] = {NTMM_MEM_RESERVE, 0, 0, 0, NTMM_MEM_COMMIT};
    for (uint64_t committed = 0; committed <= 4; committed++) {
        set64(&vad->commit_pages, committed);
        struct ntmm_explanation x = explain(m, SCENE_LEAF_OUT + PAGE);
        assert_int_equal(x.memory.state, expected[committed]);
        assert_int_equal(x.memory.region_size, committed ? 0 : 3 * PAGE); /* none: to the end */
    }
    paging_scene_close(m);
}

static void of_a_page_whose_table_is_on_a_list(void **state)
{
    (void)state;
    struct machine *m = paging_scene_open();
    struct ntmm_explanation x = explain(m, SCENE_TRIMMED);
    assert_int_equal(x.stopped_level, 2);
    assert_int_equal(x.missing_level, 1);
    assert_int_equal(x.is_partial, 1);
    assert_int_equal(x.has_frame, 1);
    assert_int_equal(x.slot, 0);
    assert_int_equal(x.frame.frame, scene_value(m, SCENE_TRIMMED, 2) >> 12 & 0xFFFFFFFFFF);
    assert_int_equal(x.frame.use, NTMM_USE_TABLE);
    assert_int_equal(x.frame.location, NTMM_FRAME_STANDBY);
    assert_int_equal(x.frame.used, 4);
    x = explain(m, SCENE_TABLE_READ);
    assert_int_equal(x.missing_level, 1);
    assert_int_equal(x.frame.use, NTMM_USE_TABLE);
    assert_int_equal(x.frame.is_being_read, 1);
    paging_scene_close(m);
}

/* No table is missing where none was ever made. */
static void of_a_page_without_a_table(void **state)
{
    (void)state;
    struct machine *m = paging_scene_open();
    must_allocate(m, BASE + 4 * GIB, PAGE, NTMM_PAGE_READWRITE);
    struct ntmm_explanation x = explain(m, BASE + 4 * GIB);
    assert_int_equal(x.stopped_level, 3);
    assert_int_equal(x.missing_level, 0);
    assert_int_equal(x.is_partial, 0);
    assert_int_equal(x.memory.state, NTMM_MEM_COMMIT);
    assert_int_equal(x.memory.protect, NTMM_PAGE_READWRITE);
    paging_scene_close(m);
}

/* The leaf of the first of two pages is back: what is known ends where the other's begins. */
static void of_a_run_that_goes_on_in_a_table_out(void **state)
{
    uint64_t value;
    (void)state;
    struct machine *m = paging_scene_open();
    assert_int_equal(try_read(m, SCENE_ABOVE_OUT, &value), NTMM_STATUS_SUCCESS);
    struct ntmm_explanation x = explain(m, SCENE_ABOVE_OUT - PAGE);
    assert_int_equal(x.stopped_level, 1);
    assert_int_equal(x.is_partial, 1);
    assert_int_equal(x.memory.state, NTMM_MEM_COMMIT);
    assert_int_equal(x.memory.protect, NTMM_PAGE_READWRITE);
    assert_int_equal(x.memory.region_size, 2 * PAGE);
    paging_scene_close(m);
}

static void refusals_write_nothing(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    struct ntmm_explanation x, before;
    struct ntmm_frame_information f, f_before;
    memset(&x, 0x5A, sizeof x);
    memset(&f, 0x5A, sizeof f);
    before = x;
    f_before = f;
    assert_int_equal(ntmm_explain(m->system, m->process, NTMM_HIGHEST_USER_ADDRESS + 1, &x),
                     NTMM_STATUS_INVALID_PARAMETER);
    assert_int_equal(ntmm_explain(m->system, 0, BASE, &x), NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(ntmm_explain(m->system, 2ull << 56, BASE, &x),
                     NTMM_STATUS_OBJECT_TYPE_MISMATCH);
    assert_memory_equal(&x, &before, sizeof x);
    assert_int_equal(ntmm_query_frame(m->system, 1ull << 30, &f), NTMM_STATUS_INVALID_PARAMETER_2);
    assert_memory_equal(&f, &f_before, sizeof f);
    machine_close(m);
}

static void uses_of_frames(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    struct ntmm_frame_information f;
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 7);
    assert_int_equal(ntmm_query_frame(m->system, 0, &f), NTMM_STATUS_SUCCESS);
    assert_int_equal(f.use, NTMM_USE_METADATA);
    uint64_t leaf = machine_table_frame(m, BASE, 1);
    assert_int_equal(ntmm_query_frame(m->system, leaf, &f), NTMM_STATUS_SUCCESS);
    assert_int_equal(f.use, NTMM_USE_TABLE);
    assert_int_equal(f.used, 1);
    assert_int_equal(f.share_count, 2);
    assert_int_equal(f.owner, (uint32_t)m->process);
    struct call c = machine_call(m);
    uint64_t slab = ref_frame(&c, vad_ref(&c, machine_vad(m, BASE)));
    assert_int_equal(ntmm_query_frame(m->system, slab, &f), NTMM_STATUS_SUCCESS);
    assert_int_equal(f.use, NTMM_USE_SLAB);
    assert_int_equal(f.tag, 'V' | 'a' << 8 | 'd' << 16 | 'S' << 24);
    assert_int_equal(f.used, 1);
    machine_close(m);
}

static void expect_text(uint64_t entry, uint32_t level, const char *expected)
{
    char text[256];
    size_t length = ntmm_format_entry(entry, level, text, sizeof text);
    assert_string_equal(text, expected);
    assert_int_equal(length, strlen(expected));
}

/* The last two are the golden vector of a real Windows: its PXE and its transition PTE. */
static void entries_as_text(void **state)
{
    (void)state;
    expect_text(0, 1, "empty");
    expect_text(0x80, 1, "demand zero Protection=0x4");
    expect_text(0x200, 1, "decommitted Protection=0x10");
    expect_text(0x300, 1, "no access Protection=0x18");
    expect_text(0x000001A300000084, 1, "page file 0 slot 0x1a3 PageFileAllocated Protection=0x4");
    expect_text(0x000000070010F084, 2,
                "page file 15 slot 0x7 PageFileAllocated Protection=0x4 UsedPageTableEntries=0x10");
    expect_text(0x8A00000059B75867, 4,
                "valid Dirty1 Owner Accessed Dirty Write PageFrameNumber=0x59b75 WsleAge=0xa "
                "NoExecute");
    expect_text(0x0000000060533860, 1,
                "transition Protection=0x3 Transition PageFrameNumber=0x60533");
}

static void text_is_cut_to_fit(void **state)
{
    (void)state;
    char text[8];
    memset(text, 'x', sizeof text);
    assert_int_equal(ntmm_format_entry(0, 1, text, 4), 5);
    assert_memory_equal(text, "emp\0xxxx", 8);
    assert_int_equal(ntmm_format_entry(0, 1, NULL, 0), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_free_space),
        cmocka_unit_test(of_a_touched_page),
        cmocka_unit_test(of_a_page_on_a_list),
        cmocka_unit_test(uses_of_frames),
        cmocka_unit_test(refusals_write_nothing),
        cmocka_unit_test(entries_as_text),
        cmocka_unit_test(text_is_cut_to_fit),
        cmocka_unit_test(of_a_page_in_a_page_file),
        cmocka_unit_test(of_pages_on_their_way),
        cmocka_unit_test(of_a_page_whose_table_is_out),
        cmocka_unit_test(of_a_page_whose_upper_table_is_out),
        cmocka_unit_test(of_a_page_that_may_be_committed),
        cmocka_unit_test(of_a_page_without_a_table),
        cmocka_unit_test(of_a_page_whose_table_is_on_a_list),
        cmocka_unit_test(of_a_run_that_goes_on_in_a_table_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
