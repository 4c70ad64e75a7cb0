/*
 * Large pages when something cannot move, or a move fails (space/move.h): another run is emptied,
 * or the call is refused; what could not move stays where it is, and nothing is lost.
 *
 *   |. . L . . .|   the cheapest run holds one page that stays: it is passed over
 */
#include "unit/fragments.h"

#include <ntmm/file.h>
#include <ntmm/memory.h>
#include <ntmm/physical.h>
#include <ntmm/section.h>

#define RAM (12 * MIB)
#define REFUSED NTMM_STATUS_INSUFFICIENT_RESOURCES
#define OTHER (BASE + 256 * MIB)
#define OTHER_BYTES (32 * PAGE)

static struct fragments f;

static void ok(ntmm_status status) { assert_int_equal(status, NTMM_STATUS_SUCCESS); }

static struct machine *open_fragments(void)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = RAM},
                                        .core = {.extra_commit_pages = 20000}};
    struct machine *m = machine_open(&setup);
    fragments_make(m, &f);
    return m;
}

static ntmm_status try_large(struct machine *m, uint64_t leaves)
{
    ntmm_status status = try_allocate(m, AT, leaves * LEAF, LARGE, RW);
    machine_assert_sound(m);
    return status;
}

static void lock(struct machine *m, uint64_t va, uint32_t type)
{
    uint64_t base = va, size = PAGE;
    ok(ntmm_lock_virtual_memory(m->system, m->process, &base, &size, type));
}

/* --- what stays --- */

/* Private pages, all but the first in the cheapest run. */
static uint64_t make_pages(struct machine *m)
{
    must_allocate(m, OTHER, OTHER_BYTES, RW);
    must_write(m, OTHER, OTHER);
    fragments_make_cheap(m, &f, CHEAP_RUN);
    must_fill(m, OTHER, OTHER_BYTES);
    return OTHER + OTHER_BYTES - PAGE;
}

/* Nothing else keeps the cheapest run from being taken than the frame, which is in it. */
static void expect_alone(struct machine *m, uint64_t frame)
{
    assert_int_equal(frame / LEAF_FRAMES, CHEAP_RUN);
    for (uint64_t i = CHEAP_RUN * LEAF_FRAMES; i < (CHEAP_RUN + 1) * LEAF_FRAMES; i++) {
        enum ntmm_frame_use use = pfn_use(machine_row(m, i));
        assert_true(use == pfn_use(machine_row(m, frame)) || use == NTMM_USE_FREE ||
                    use == NTMM_USE_PRIVATE || use == NTMM_USE_SECTION);
    }
}

/* The frame stays where it is, though its run holds the fewest pages. */
static void expect_passed_over(struct machine *m, uint64_t frame)
{
    expect_alone(m, frame);
    ok(try_large(m, 1));
    assert_int_not_equal(fragments_large_run(m), frame / LEAF_FRAMES);
    assert_true(fragments_expect_same(m, &f) > 100);
}

/* To see that it is for what is on the page: without that the run is taken. */
static void a_run_without_it_is_taken(void **state)
{
    (void)state;
    struct machine *m = open_fragments();
    uint64_t frame = machine_frame(m, make_pages(m));
    ok(try_large(m, 1));
    assert_int_equal(fragments_large_run(m), frame / LEAF_FRAMES);
    must_hold(m, OTHER, OTHER_BYTES);
    machine_close(m);
}

static void expect_locked_stays(uint32_t type)
{
    struct machine *m = open_fragments();
    uint64_t va = make_pages(m);
    uint64_t frame = machine_frame(m, va);
    lock(m, va, type);
    expect_passed_over(m, frame);
    assert_int_equal(machine_frame(m, va), frame);
    must_hold(m, OTHER, OTHER_BYTES);
    machine_close(m);
}

static void locked_pages_stay(void **state)
{
    (void)state;
    expect_locked_stays(NTMM_MAP_PROCESS);
    expect_locked_stays(NTMM_MAP_SYSTEM);
}

static void pages_that_are_not_paged_stay(void **state)
{
    const struct ntmm_mem_extended_parameter attributes = {
        .type = NTMM_MEM_PARAMETER_ATTRIBUTE_FLAGS,
        .value = NTMM_MEM_ATTRIBUTE_NONPAGED,
    };
    uint64_t base = OTHER + MIB, size = OTHER_BYTES;
    (void)state;
    struct machine *m = open_fragments();
    (void)make_pages(m);
    ok(ntmm_allocate_virtual_memory_ex(m->system, m->process, &base, &size,
                                       NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, RW, &attributes, 1));
    uint64_t frame = machine_frame(m, base + size - PAGE);
    expect_passed_over(m, frame);
    assert_int_equal(machine_frame(m, base + size - PAGE), frame);
    machine_close(m);
}

static void user_physical_pages_stay(void **state)
{
    uint64_t frames[32], count = 32;
    (void)state;
    struct machine *m = open_fragments();
    (void)make_pages(m);
    ok(ntmm_allocate_user_physical_pages(m->system, m->process, &count, frames));
    expect_passed_over(m, frames[31]);
    machine_close(m);
}

/* A call or a transfer that is in progress has a reference. */
static void held_frames_stay(void **state)
{
    (void)state;
    struct machine *m = open_fragments();
    uint64_t va = make_pages(m);
    uint64_t frame = machine_frame(m, va);
    struct call c = machine_call(m);
    expect_alone(m, frame);
    frame_hold(&c, frame);
    assert_int_equal(try_allocate(m, AT, LEAF, LARGE, RW), NTMM_STATUS_SUCCESS);
    assert_int_not_equal(fragments_large_run(m), frame / LEAF_FRAMES);
    assert_int_equal(machine_frame(m, va), frame);
    frame_end_reference(&c, frame);
    machine_assert_sound(m);
    must_hold(m, OTHER, OTHER_BYTES);
    machine_close(m);
}

static void pages_in_transfer_stay(void **state)
{
    (void)state;
    struct machine *m = open_fragments();
    (void)must_add_file(m, 2 * RAM, 2 * RAM, NULL);
    uint64_t va = make_pages(m);
    uint64_t frame = machine_frame(m, va);
    must_trim(m, va, PAGE);
    assert_int_equal(must_write_modified(m, 1), 1);
    expect_alone(m, frame);
    ok(try_large(m, 1));
    assert_int_not_equal(fragments_large_run(m), frame / LEAF_FRAMES);
    assert_int_equal(machine_frame(m, va), frame);
    must_finish_transfers(m);
    must_hold(m, OTHER, OTHER_BYTES);
    machine_close(m);
}

/* --- sections --- */

static ntmm_handle make_view(struct machine *m, uint64_t at)
{
    ntmm_handle section;
    uint64_t bytes = OTHER_BYTES, size = 0;
    ok(ntmm_create_section(m->system, &section, NTMM_SECTION_ALL_ACCESS, NULL, &bytes, RW,
                           NTMM_SEC_COMMIT, 0));
    ok(ntmm_map_view_of_section(m->system, section, m->process, &at, 0, 0, NULL, &size,
                                NTMM_VIEW_SHARE, 0, RW));
    must_write(m, at, at);
    fragments_make_cheap(m, &f, CHEAP_RUN);
    must_fill(m, at, OTHER_BYTES);
    return section;
}

static void expect_other_sees(struct machine *m, ntmm_handle other)
{
    for (uint64_t va = OTHER; va < OTHER + OTHER_BYTES; va += PAGE) {
        uint64_t value = 0, done;
        ok(ntmm_read_virtual_memory(m->system, other, va, &value, sizeof value, &done));
        assert_int_equal(value, va);
    }
}

/* Mapped by two processes, one of which only reads: they leave both, and come back softly. */
static void pages_of_sections_move(void **state)
{
    uint64_t at = OTHER, size = 0;
    (void)state;
    struct machine *m = open_fragments();
    ntmm_handle other = machine_add_process(m);
    uint64_t near = OTHER + MIB, little = PAGE, one = 1, done;
    ok(ntmm_allocate_virtual_memory(m->system, other, &near, 0, &little,
                                    NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, RW));
    ok(ntmm_write_virtual_memory(m->system, other, near, &one, sizeof one, &done)); /* tables */
    ntmm_handle section = make_view(m, OTHER);
    ok(ntmm_map_view_of_section(m->system, section, other, &at, 0, 0, NULL, &size, NTMM_VIEW_SHARE,
                                0, NTMM_PAGE_READONLY));
    expect_other_sees(m, other);
    uint64_t frame = machine_frame(m, OTHER + OTHER_BYTES - PAGE);
    uint64_t hard = machine_counter(m, NTMM_COUNTER_HARD_FAULTS);
    ok(try_large(m, 1));
    assert_int_equal(fragments_large_run(m), frame / LEAF_FRAMES);
    must_fill(m, AT, LEAF);
    must_hold(m, OTHER, OTHER_BYTES);
    expect_other_sees(m, other);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_HARD_FAULTS), hard);
    machine_assert_sound(m);
    ok(ntmm_close_section(m->system, section));
    ok(ntmm_end_process(m->system, other));
    machine_close(m);
}

static void locked_pages_of_sections_stay(void **state)
{
    (void)state;
    struct machine *m = open_fragments();
    ntmm_handle section = make_view(m, OTHER);
    uint64_t va = OTHER + OTHER_BYTES - PAGE;
    uint64_t frame = machine_frame(m, va);
    lock(m, va, NTMM_MAP_SYSTEM);
    expect_passed_over(m, frame);
    assert_int_equal(machine_frame(m, va), frame);
    must_hold(m, OTHER, OTHER_BYTES);
    ok(ntmm_close_section(m->system, section));
    machine_close(m);
}

/* Large pages themselves stay, mapped or not: with a locked page in each other run none is left. */
static void large_pages_stay(void **state)
{
    uint8_t has_locked[RAM / LEAF] = {0};
    uint64_t bytes = LEAF;
    ntmm_handle section;
    (void)state;
    struct machine *m = open_fragments();
    ok(try_large(m, 1));
    must_fill(m, AT, LEAF);
    ok(ntmm_create_section(m->system, &section, NTMM_SECTION_ALL_ACCESS, NULL, &bytes, RW,
                           NTMM_SEC_COMMIT | NTMM_SEC_LARGE_PAGES, 0));
    machine_assert_sound(m);
    fragments_look(m, &f);
    for (uint32_t i = 0; i < f.count; i++) {
        if (!has_locked[f.pages[i].frame / LEAF_FRAMES]++)
            lock(m, f.pages[i].va, NTMM_MAP_PROCESS);
    }
    fragments_look(m, &f);
    assert_true(machine_memory(m).free_pages >= LEAF_FRAMES);
    assert_int_equal(try_allocate(m, AT + 16 * MIB, LEAF, LARGE, RW), REFUSED);
    machine_assert_sound(m);
    assert_int_equal(fragments_expect_same(m, &f), 0);
    must_hold(m, AT, LEAF);
    ok(ntmm_close_section(m->system, section));
    machine_close(m);
}

/* --- failures --- */

static void with_too_few_frames_nothing_moves(void **state)
{
    (void)state;
    struct machine *m = open_fragments();
    uint64_t left = machine_memory(m).free_pages + machine_memory(m).zeroed_pages;
    must_allocate(m, OTHER, 2048 * PAGE, RW);
    for (uint64_t va = OTHER; left > LEAF_FRAMES - 1; va += PAGE) {
        must_write(m, va, va);
        left = machine_memory(m).free_pages + machine_memory(m).zeroed_pages;
    }
    assert_int_equal(try_large(m, 1), REFUSED);
    assert_int_equal(fragments_expect_same(m, &f), 0);
    machine_close(m);
}

/* Some pages are on modified. Copies fail after so many, so many; then none does. */
static ntmm_status make_with_failing_copies(uint64_t after, uint64_t count)
{
    struct machine *m = open_fragments();
    for (uint32_t i = 0; i < f.count; i += 40)
        must_trim(m, f.pages[i].va, PAGE);
    fragments_look(m, &f);
    uint64_t commit = machine_process(m).commit_pages;
    ntmm_emulated_inject_content(m->emu, NTMM_EMULATED_COPY, after, count,
                                 NTMM_STATUS_DEVICE_DATA_ERROR);
    ntmm_status status = try_large(m, 1);
    ntmm_emulated_inject_content(m->emu, 0, 0, 0, NTMM_STATUS_SUCCESS);
    if (status == REFUSED)
        assert_int_equal(machine_process(m).commit_pages, commit);
    fragments_expect_same(m, &f);
    fragments_look(m, &f); /* those that were trimmed are back */
    if (status == REFUSED)
        ok(try_large(m, 1));
    fragments_expect_same(m, &f);
    machine_close(m);
    return status;
}

static void a_copy_that_fails_leaves_its_pages(void **state)
{
    uint64_t after = 0;
    (void)state;
    while (make_with_failing_copies(after, UINT64_MAX) == REFUSED)
        after++;
    assert_true(after > 6); /* pages on the list one by one, valid ones 32 at once */
    for (uint64_t i = 0; i < after; i++)
        (void)make_with_failing_copies(i, 1);
}

/* The frames that pages move to may lack, one by one. */
static void each_frame_may_lack(void **state)
{
    (void)state;
    struct machine *m = open_fragments();
    ntmm_status status = REFUSED;
    uint64_t after = 0;
    for (; status != NTMM_STATUS_SUCCESS; after += after < 8 ? 1 : 16) {
        uint64_t commit = machine_process(m).commit_pages;
        m->system->failures.after = after;
        m->system->failures.count = UINT64_MAX;
        status = try_allocate(m, AT, LEAF, LARGE, RW);
        m->system->failures.count = 0;
        machine_assert_sound(m);
        assert_true(status == REFUSED || status == NTMM_STATUS_NO_MEMORY ||
                    status == NTMM_STATUS_SUCCESS);
        if (status != NTMM_STATUS_SUCCESS)
            assert_int_equal(machine_process(m).commit_pages, commit);
        if (status != NTMM_STATUS_SUCCESS)
            assert_int_equal(must_query(m, AT).state, NTMM_MEM_FREE);
    }
    assert_true(after > 8);
    fragments_expect_same(m, &f);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_without_it_is_taken),
        cmocka_unit_test(locked_pages_stay),
        cmocka_unit_test(pages_that_are_not_paged_stay),
        cmocka_unit_test(user_physical_pages_stay),
        cmocka_unit_test(held_frames_stay),
        cmocka_unit_test(pages_in_transfer_stay),
        cmocka_unit_test(pages_of_sections_move),
        cmocka_unit_test(locked_pages_of_sections_stay),
        cmocka_unit_test(large_pages_stay),
        cmocka_unit_test(with_too_few_frames_nothing_moves),
        cmocka_unit_test(a_copy_that_fails_leaves_its_pages),
        cmocka_unit_test(each_frame_may_lack),
    };
    return cmocka_run_group_tests_name("large_stuck", tests, NULL, NULL);
}
