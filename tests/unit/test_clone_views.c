/*
 * Copies on write in views, which a process shares with its clones until one stores to them again.
 * Expectations: nt_semantics 24 (private pages are shared through prototypes), 6.5 and 4.7 (a copy
 * is a private page, the file is never modified), 3.2 (REVERT_TO_FILE_MAP), 4.6 (copies go with
 * their view); docs/clones.md says what blocks cost, and who is the last.
 *
 *   page of the view   0 ... 15           16 ... 23
 *                      copied: address    the section's: 7
 */
#include "clone_world.h"

#include "base/instance.h"
#include "pe_file.h"

#include <ntmm/frames.h>
#include <ntmm/working_set.h>

#define AT UINT64_C(0x10000000)
#define PAGES 24u
#define COPIED 16u
#define MANY 300u
#define FROM_THERE_ON UINT64_MAX

static void map_at(struct clone_world *k, ntmm_handle process, ntmm_handle section, uint64_t base,
                   uint32_t protect)
{
    uint64_t at = base, size = 0;
    check_ok(ntmm_map_view_of_section(k->w.system, section, process, &at, 0, 0, NULL, &size,
                                      NTMM_VIEW_SHARE, 0, protect));
    assert_int_equal(at, base);
}

/* The section is written through a view that goes; the one at AT copies on write. */
static void begin_copies(struct clone_world *k, uint64_t pages, uint64_t copied)
{
    begin_clones(k);
    ntmm_handle section =
        make_section(&k->w, pages * PAGE, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0);
    map_at(k, k->parent, section, 2 * AT, NTMM_PAGE_READWRITE);
    for (uint64_t i = copied; i < pages; i++)
        poke(k, k->parent, 2 * AT + i * PAGE, 7);
    unmap(&k->w, k->parent, 2 * AT);
    map_at(k, k->parent, section, AT, NTMM_PAGE_WRITECOPY);
    fill_pages(k, k->parent, AT, copied);
    close_section(&k->w, section);
}

static void begin_pair(struct clone_world *k)
{
    begin_copies(k, PAGES, COPIED);
    make_clone(k);
}

static void expect_all(struct clone_world *k, ntmm_handle process)
{
    expect_pages(k, process, AT, COPIED);
    for (uint64_t i = COPIED; i < PAGES; i++)
        assert_int_equal(peek(k, process, AT + i * PAGE), 7);
}

/* --- cost --- */

/* What a view shows by itself need not be written down: a clone has no table for it. */
static void a_clone_takes_no_table_for_what_is_the_sections(void **state)
{
    struct clone_world k;
    uint64_t tables[2];
    (void)state;
    begin_clones(&k);
    ntmm_handle section = make_section(&k.w, 8 * PAGE, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0);
    map_at(&k, k.parent, section, AT, NTMM_PAGE_READWRITE);
    close_section(&k.w, section);
    for (int is_touched = 0; is_touched < 2; is_touched++) {
        if (is_touched)
            fill_pages(&k, k.parent, AT, 8);
        make_clone(&k);
        tables[is_touched] = about(&k.w, k.child).table_pages;
        if (is_touched)
            expect_pages(&k, k.child, AT, 8);
        end_one(&k, &k.child);
    }
    assert_int_equal(tables[1], tables[0]);
    end_clones(&k);
}

static void a_clone_takes_no_frame_for_a_copy(void **state)
{
    struct clone_world k;
    (void)state;
    begin_copies(&k, MANY, MANY);
    struct ntmm_memory_information before = memory(&k);
    uint64_t frames = unused(&k);
    make_clone(&k);
    struct ntmm_memory_information after = memory(&k);
    uint64_t objects =
        after.slab_pages - before.slab_pages + after.process_pages - before.process_pages;
    uint64_t tables = about(&k.w, k.child).table_pages;
    assert_int_equal(frames - unused(&k), BLOCK_FRAMES + objects + tables);
    assert_int_equal(after.commit_pages - before.commit_pages,
                     MANY + BLOCK_FRAMES + objects + tables);
    expect_pages(&k, k.child, AT, MANY);
    expect_pages(&k, k.parent, AT, MANY);
    assert_int_equal(frames - unused(&k), BLOCK_FRAMES + objects + tables);
    ntmm_handle third = clone_of(&k, k.child); /* needs no more prototypes */
    expect_pages(&k, third, AT, MANY);
    end_one(&k, &third);
    end_clones(&k);
}

/* --- stores --- */

static void the_first_store_of_either_copies(void **state)
{
    struct clone_world k;
    (void)state;
    begin_pair(&k);
    (void)peek(&k, k.child, AT + PAGE); /* valid; page 2 is not */
    uint64_t before = copies(&k, k.parent);
    check_ok(store64(&k.w, 0, AT, 1));
    check_ok(store64(&k.w, 0, AT, 2));
    assert_int_equal(copies(&k, k.parent), before + 1);
    check_ok(store64(&k.w, 1, AT + PAGE, 3));
    check_ok(store64(&k.w, 1, AT + 2 * PAGE, 4));
    check_ok(store64(&k.w, 1, AT + COPIED * PAGE, 5)); /* the section's */
    assert_int_equal(copies(&k, k.child), 3);
    check_world(&k.w);
    assert_int_equal(peek(&k, k.child, AT), 0);
    assert_int_equal(peek(&k, k.parent, AT + PAGE), 0);
    assert_int_equal(peek(&k, k.parent, AT + 2 * PAGE), 0);
    assert_int_equal(peek(&k, k.parent, AT + COPIED * PAGE), 7);
    assert_int_equal(peek(&k, k.child, AT + PAGE), 3);
    assert_int_equal(peek(&k, k.child, AT + COPIED * PAGE), 5);
    expect_pages(&k, k.parent, AT, COPIED);
    expect_pages(&k, k.child, AT, COPIED);
    end_clones(&k);
}

static void the_last_one_stores_without_a_copy(void **state)
{
    struct clone_world k;
    (void)state;
    for (int is_child_left = 0; is_child_left < 2; is_child_left++) {
        begin_pair(&k);
        ntmm_handle left = is_child_left ? k.child : k.parent;
        expect_all(&k, left);
        if (is_child_left)
            end_one(&k, &k.parent);
        else
            unmap(&k.w, k.child, AT); /* copies go with the view */
        check_world(&k.w);
        uint64_t frames = unused(&k), before = copies(&k, left);
        for (uint64_t i = 0; i < COPIED; i++)
            check_ok(store64(&k.w, is_child_left ? 1 : 0, AT + i * PAGE, i));
        assert_int_equal(copies(&k, left), before);
        assert_int_equal(unused(&k), frames + BLOCK_FRAMES);
        check_world(&k.w);
        expect_all(&k, left);
        assert_int_equal(state_of(&k, left, AT) & NTMM_PAGE_STATE_SHARED, 0);
        end_clones(&k);
    }
}

/* --- page files --- */

static void a_slot_is_shared_and_freed_once(void **state)
{
    struct clone_world k;
    (void)state;
    for (int is_out_before = 0; is_out_before < 2; is_out_before++) {
        begin_copies(&k, PAGES, COPIED);
        if (is_out_before)
            page_out_everything(k.w.emu);
        make_clone(&k);
        page_out_everything(k.w.emu);
        /* the section's, the copies', some for tables */
        assert_in_range(slots(&k), PAGES + COPIED, PAGES + COPIED + 15);
        expect_all(&k, k.child);
        page_out_everything(k.w.emu);
        check_ok(store64(&k.w, 1, AT, 1)); /* what is out is read, and copied */
        page_out_everything(k.w.emu);
        check_world(&k.w);
        expect_all(&k, k.parent);
        assert_int_equal(peek(&k, k.parent, AT), 0);
        assert_int_equal(peek(&k, k.child, AT), 1);
        page_out_everything(k.w.emu);
        end_one(&k, &k.parent);
        expect_all(&k, k.child);
        page_out_everything(k.w.emu);
        end_one(&k, &k.child);
        assert_int_equal(slots(&k), 0);
        end_clones(&k);
    }
}

/* What one process asks for is there for the other too: copies, and pages of the section. */
static void prefetch_reads_for_both(void **state)
{
    struct clone_world k;
    (void)state;
    begin_pair(&k);
    page_out_everything(k.w.emu);
    prefetch_pages(&k, k.child, AT, PAGES);
    check_world(&k.w);
    uint64_t before = counted(&k, k.parent, NTMM_COUNTER_HARD_FAULTS);
    expect_all(&k, k.parent);
    expect_all(&k, k.child);
    assert_int_equal(counted(&k, k.parent, NTMM_COUNTER_HARD_FAULTS), before);
    assert_int_equal(counted(&k, k.child, NTMM_COUNTER_HARD_FAULTS), 0);
    end_clones(&k);
}

/* --- what services say and do --- */

static void a_query_says_mapped_and_shared(void **state)
{
    struct clone_world k;
    (void)state;
    begin_pair(&k);
    expect_same_regions(&k, k.parent, k.child);
    assert_int_equal(about(&k.w, k.child).commit_pages, PAGES);
    assert_int_equal(query(&k.w, k.child, AT).type, NTMM_MEM_MAPPED);
    assert_int_equal(query(&k.w, k.child, AT).protect, NTMM_PAGE_READWRITE);
    assert_int_equal(query(&k.w, k.child, AT).region_size, COPIED * PAGE);
    assert_int_equal(state_of(&k, k.child, AT) & (NTMM_PAGE_STATE_VALID | NTMM_PAGE_STATE_SHARED),
                     NTMM_PAGE_STATE_SHARED);
    (void)peek(&k, k.child, AT);
    assert_int_equal(query(&k.w, k.child, AT).region_size, COPIED * PAGE);
    assert_int_equal(shares_of(&k, k.child, AT), 2);
    assert_int_equal(state_of(&k, k.child, AT) >> NTMM_PAGE_STATE_PROTECTION_SHIFT & 0x7FF,
                     NTMM_PAGE_READWRITE);
    assert_int_equal(frame_of(&k, k.child, AT), frame_of(&k, k.parent, AT));
    poke(&k, k.child, AT, 1);
    assert_int_equal(state_of(&k, k.child, AT) & NTMM_PAGE_STATE_SHARED, 0);
    assert_int_equal(about(&k.w, k.child).commit_pages, PAGES);
    end_clones(&k);
}

/* Valid and not valid here; the other's protection, and guard, stay. */
static void protections_and_guards_are_of_one_side(void **state)
{
    struct clone_world k;
    uint64_t value;
    (void)state;
    begin_pair(&k);
    expect_pages(&k, k.child, AT, 3);
    for (uint64_t i = 0; i < 6; i++) {
        uint64_t va = AT + i * PAGE;
        uint32_t protect = i % 3 == 0   ? NTMM_PAGE_READONLY
                           : i % 3 == 1 ? NTMM_PAGE_NOACCESS
                                        : NTMM_PAGE_WRITECOPY | NTMM_PAGE_GUARD;
        uint32_t shown = i % 3 == 2 ? NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD : protect;
        protect_page(&k.w, k.child, va, protect);
        assert_int_equal(query(&k.w, k.child, va).protect, shown);
        assert_int_equal(query(&k.w, k.parent, va).protect, NTMM_PAGE_READWRITE);
        check_world(&k.w);
        ntmm_status refused =
            i % 3 == 2 ? NTMM_STATUS_GUARD_PAGE_VIOLATION : NTMM_STATUS_ACCESS_VIOLATION;
        assert_int_equal(store64(&k.w, 1, va, 1), refused);
        check_world(&k.w);
        assert_int_equal(load64(&k.w, 0, va, &value), NTMM_STATUS_SUCCESS);
    }
    for (uint64_t i = 0; i < 6; i++)
        protect_page(&k.w, k.child, AT + i * PAGE, NTMM_PAGE_WRITECOPY); /* READWRITE of a copy */
    assert_int_equal(query(&k.w, k.child, AT).region_size, COPIED * PAGE);
    expect_all(&k, k.child);
    for (uint64_t i = 0; i < 6; i++)
        check_ok(store64(&k.w, 1, AT + i * PAGE, 1));
    assert_int_equal(copies(&k, k.child), 6);
    expect_all(&k, k.parent);
    assert_int_equal(peek(&k, k.parent, AT), 0);
    end_clones(&k);
}

/* The copy of one goes, that of the other stays. */
static void one_side_reverts_to_the_file(void **state)
{
    struct clone_world k;
    (void)state;
    begin_pair(&k);
    (void)peek(&k, k.child, AT);
    for (uint64_t i = 0; i < 2; i++) { /* valid, and not */
        uint64_t base = AT + i * PAGE, size = PAGE;
        uint32_t old;
        check_ok(ntmm_protect_virtual_memory(k.w.system, k.child, &base, &size,
                                             NTMM_PAGE_WRITECOPY | NTMM_PAGE_REVERT_TO_FILE_MAP,
                                             &old));
        assert_int_equal(old, NTMM_PAGE_READWRITE);
        check_world(&k.w);
        assert_int_equal(peek(&k, k.child, base + 8), 0);
        assert_int_equal(query(&k.w, k.child, base).protect, NTMM_PAGE_WRITECOPY);
    }
    expect_all(&k, k.parent);
    uint64_t before = copies(&k, k.parent);
    check_ok(store64(&k.w, 0, AT + PAGE, 1)); /* nobody else has it */
    assert_int_equal(copies(&k, k.parent), before);
    end_clones(&k);
}

static void a_locked_copy_is_not_shared(void **state)
{
    struct clone_world k;
    uint64_t base = AT, size = 2 * PAGE;
    (void)state;
    begin_copies(&k, PAGES, COPIED);
    check_ok(ntmm_lock_virtual_memory(k.w.system, k.parent, &base, &size, NTMM_MAP_PROCESS));
    uint64_t frame = frame_of(&k, k.parent, AT), before = copies(&k, k.parent);
    make_clone(&k);
    check_ok(store64(&k.w, 0, AT, 1));
    assert_int_equal(copies(&k, k.parent), before);
    assert_int_equal(frame_of(&k, k.parent, AT), frame); /* a lock keeps its frame */
    expect_all(&k, k.child);
    assert_int_equal(peek(&k, k.child, AT), 0);
    end_clones(&k);
}

static void a_bad_frame_is_left_by_both(void **state)
{
    struct clone_world k;
    uint32_t outcome;
    (void)state;
    begin_pair(&k);
    (void)peek(&k, k.child, AT);
    uint64_t frame = frame_of(&k, k.parent, AT);
    check_ok(ntmm_mark_frame_bad(k.w.system, frame, NTMM_BAD_FRAME_READABLE, &outcome));
    check_world(&k.w);
    expect_all(&k, k.child);
    expect_all(&k, k.parent);
    assert_int_equal(frame_of(&k, k.child, AT), frame_of(&k, k.parent, AT));
    assert_int_not_equal(frame_of(&k, k.child, AT), frame);
    check_ok(ntmm_mark_frame_good(k.w.system, frame));
    end_clones(&k);
}

/* --- files and images --- */

/* A page that is copied in the view that is flushed, and shared with a clone there, is none of the
 * file's: what another view stores to the file's page afterwards is written too. */
static void a_flush_knows_its_own_pages(void **state)
{
    struct clone_world k;
    uint64_t base = AT, size = 0, word;
    struct ntmm_io_status io;
    (void)state;
    begin_clones(&k);
    uint64_t device = add_memory_file(&k.w, 4 * PAGE, 4 * PAGE, 0);
    ntmm_handle file = open_device(&k.w, device, 4 * PAGE);
    ntmm_handle section = make_section(&k.w, 0, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, file);
    map_at(&k, k.parent, section, AT, NTMM_PAGE_WRITECOPY);
    check_ok(store64(&k.w, 0, AT, 1));
    make_clone(&k);
    ntmm_handle other = make_process(&k.w);
    attach(&k.w, 2, other);
    map_at(&k, other, section, AT, NTMM_PAGE_READWRITE);
    check_ok(store64(&k.w, 2, AT, 2));
    check_ok(ntmm_flush_virtual_memory(k.w.system, k.parent, &base, &size, &io));
    check_world(&k.w);
    check_ok(store64(&k.w, 2, AT, 3));
    check_ok(ntmm_flush_file(k.w.system, file, 0, 0));
    memcpy(&word, ntmm_emulated_disk_image(k.w.emu, device, NULL), sizeof word);
    assert_int_equal(word, 3);
    assert_int_equal(peek(&k, k.parent, AT), 1);
    assert_int_equal(peek(&k, k.child, AT), 1);
    end_one(&k, &other);
    close_section(&k.w, section);
    close_file(&k.w, file);
    end_clones(&k);
}

static void written_pages_of_an_image_are_shared(void **state)
{
    static struct pe_file pe;
    struct clone_world k;
    uint64_t base = 0, size = 0;
    (void)state;
    begin_clones(&k);
    pe_make(&pe, true);
    ntmm_handle file = open_contents(&k.w, pe.bytes, pe.size_bytes);
    ntmm_handle section = make_section(&k.w, 0, NTMM_PAGE_EXECUTE_READ, NTMM_SEC_IMAGE, file);
    assert_true(
        NTMM_SUCCEEDED(ntmm_map_view_of_section(k.w.system, section, k.parent, &base, 0, 0, NULL,
                                                &size, NTMM_VIEW_SHARE, 0, NTMM_PAGE_READONLY)));
    close_section(&k.w, section);
    close_file(&k.w, file);
    uint64_t va = base + 3 * PAGE;
    check_ok(store64(&k.w, 0, va, 0x77));
    make_clone(&k);
    expect_same_regions(&k, k.parent, k.child);
    assert_int_equal(peek(&k, k.child, va), 0x77);
    assert_int_equal(frame_of(&k, k.child, va), frame_of(&k, k.parent, va));
    assert_int_equal(query(&k.w, k.child, va).type, NTMM_MEM_IMAGE);
    assert_int_equal(query(&k.w, k.child, va).protect, NTMM_PAGE_READWRITE);
    check_ok(store64(&k.w, 1, va, 0x78));
    assert_int_equal(peek(&k, k.parent, va), 0x77);
    end_one(&k, &k.parent);
    assert_int_equal(peek(&k, k.child, va), 0x78);
    end_clones(&k);
}

/* --- failure --- */

static void a_copy_that_fails_changes_nothing(void **state)
{
    struct clone_world k;
    (void)state;
    begin_pair(&k);
    (void)peek(&k, k.child, AT);
    for (uint64_t i = 0; i < 2; i++) { /* valid, and not */
        ntmm_emulated_inject_content(k.w.emu, NTMM_EMULATED_COPY, 0, 1,
                                     NTMM_STATUS_DEVICE_DATA_ERROR);
        assert_int_equal(store64(&k.w, 1, AT + i * PAGE, 1), NTMM_STATUS_IN_PAGE_ERROR);
        check_world(&k.w);
    }
    expect_all(&k, k.child);
    check_ok(store64(&k.w, 1, AT, 1));
    assert_int_equal(peek(&k, k.parent, AT), 0);
    end_clones(&k);
}

/* A load and a store in the child, of a page that is valid, or not, or out with its table, while
 * the 1st, 2nd, 3rd ... allocation of a frame and all after it fail. */
static bool try_with(uint64_t after, uint32_t kind, bool is_store)
{
    struct clone_world k;
    uint64_t value = AT;
    begin_pair(&k);
    if (kind == 0)
        (void)peek(&k, k.child, AT);
    if (kind == 2)
        page_out_everything(k.w.emu);
    k.w.system->failures = (struct allocation_failures){.after = after, .count = FROM_THERE_ON};
    ntmm_status status = is_store ? store64(&k.w, 1, AT + 8, 5) : load64(&k.w, 1, AT + 8, &value);
    k.w.system->failures = (struct allocation_failures){.count = 0};
    check_world(&k.w);
    bool is_done = status == NTMM_STATUS_SUCCESS;
    assert_int_equal(value, AT);
    assert_int_equal(peek(&k, k.child, AT + 8), is_done && is_store ? 5 : AT);
    expect_all(&k, k.parent);
    check_ok(store64(&k.w, 1, AT + 8, AT));
    expect_all(&k, k.child);
    end_clones(&k);
    return is_done;
}

static void accesses_without_frames_change_nothing(void **state)
{
    uint32_t failed = 0;
    (void)state;
    for (uint32_t way = 0; way < 6; way++) {
        for (uint64_t after = 0; !try_with(after, way / 2, way % 2 != 0); after++)
            failed++;
    }
    assert_true(failed >= 5); /* a copy each, and what is out has tables and a page */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clone_takes_no_table_for_what_is_the_sections),
        cmocka_unit_test(a_clone_takes_no_frame_for_a_copy),
        cmocka_unit_test(the_first_store_of_either_copies),
        cmocka_unit_test(the_last_one_stores_without_a_copy),
        cmocka_unit_test(a_slot_is_shared_and_freed_once),
        cmocka_unit_test(prefetch_reads_for_both),
        cmocka_unit_test(a_query_says_mapped_and_shared),
        cmocka_unit_test(protections_and_guards_are_of_one_side),
        cmocka_unit_test(one_side_reverts_to_the_file),
        cmocka_unit_test(a_locked_copy_is_not_shared),
        cmocka_unit_test(a_bad_frame_is_left_by_both),
        cmocka_unit_test(a_flush_knows_its_own_pages),
        cmocka_unit_test(written_pages_of_an_image_are_shared),
        cmocka_unit_test(a_copy_that_fails_changes_nothing),
        cmocka_unit_test(accesses_without_frames_change_nothing),
    };
    return cmocka_run_group_tests_name("clone_views", tests, NULL, NULL);
}
