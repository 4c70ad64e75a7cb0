/*
 * Reset, undo, offer, reclaim and discard of pages in every state that paging knows: what becomes
 * of frames, slots, lists and contents.
 */
#include "paging/page_out.h"
#include "unit/paging_scene.h"

#include "phys/slots.h"

#include <ntmm/memory.h>
#include <ntmm/offer.h>

#define PAGES 8u
#define SIZE (PAGES * PAGE)
/* Of SCENE_PAGES, by number: 0..3 in the file, 4 5 on standby, 8..11 being read, 12..15 and an
 * orphan being written, 20 read. */
#define SCENE_USED 16u
#define SCENE_USED_AT_REST 7u /* of these, by no transfer */
#define TABLES 3u             /* of BASE, below the root */
#define SECOND 10000000u      /* 100 ns */

static struct machine *open_machine(void)
{
    struct machine *m = machine_open(NULL);
    must_add_file(m, 4 * MIB, 0, NULL);
    must_allocate(m, BASE, SIZE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, SIZE);
    return m;
}

static ntmm_status reset(struct machine *m, uint64_t base, uint64_t size)
{
    ntmm_status status = try_allocate(m, base, size, NTMM_MEM_RESET, NTMM_PAGE_READWRITE);
    machine_assert_sound(m);
    return status;
}

static ntmm_status undo(struct machine *m, uint64_t base, uint64_t size)
{
    ntmm_status status = try_allocate(m, base, size, NTMM_MEM_RESET_UNDO, NTMM_PAGE_READWRITE);
    machine_assert_sound(m);
    return status;
}

static ntmm_status offer(struct machine *m, uint32_t priority)
{
    ntmm_status status = ntmm_offer_virtual_memory(m->system, m->process, BASE, SIZE, priority);
    machine_assert_sound(m);
    return status;
}

static ntmm_status reclaim(struct machine *m)
{
    ntmm_status status = ntmm_reclaim_virtual_memory(m->system, m->process, BASE, SIZE);
    machine_assert_sound(m);
    return status;
}

static uint64_t used(struct machine *m) { return must_query_file(m, 0).used_pages; }

static uint64_t standby(struct machine *m, uint32_t priority)
{
    return get64(&machine_partition(m)->standby[priority].count);
}

static void must_page_out(struct machine *m)
{
    page_out_everything(m->emu);
    machine_assert_sound(m);
}

static void expect_zeros(struct machine *m, uint64_t base, uint64_t size)
{
    for (uint64_t va = base; va < base + size; va += PAGE)
        assert_int_equal(must_read(m, va), 0);
}

static void valid_pages_become_clean(void **state)
{
    struct machine *m = open_machine();
    uint64_t commit = machine_process(m).commit_pages;
    (void)state;
    assert_int_equal(reset(m, BASE, SIZE), NTMM_STATUS_SUCCESS);
    assert_int_equal(machine_process(m).commit_pages, commit);
    must_hold(m, BASE, SIZE);
    must_trim(m, BASE, SIZE);
    assert_int_equal(machine_location(m, BASE), NTMM_FRAME_STANDBY);
    assert_int_equal(must_write_modified(m, 64), 0);
    machine_close(m);
}

static void what_is_taken_is_lost(void **state)
{
    struct machine *m = open_machine();
    (void)state;
    assert_int_equal(reset(m, BASE, SIZE), NTMM_STATUS_SUCCESS);
    must_page_out(m);
    assert_int_equal(used(m), TABLES);
    assert_int_equal(undo(m, BASE, SIZE), NTMM_STATUS_UNSUCCESSFUL);
    assert_int_equal(undo(m, BASE, SIZE), NTMM_STATUS_SUCCESS);
    expect_zeros(m, BASE, SIZE);
    machine_close(m);
}

static void a_page_read_as_zeros_stays_lost(void **state)
{
    struct machine *m = open_machine();
    (void)state;
    assert_int_equal(reset(m, BASE, PAGE), NTMM_STATUS_SUCCESS);
    must_page_out(m);
    expect_zeros(m, BASE, PAGE);
    must_page_out(m);
    (void)must_protect(m, BASE, PAGE, NTMM_PAGE_READONLY);
    assert_int_equal(undo(m, BASE, PAGE), NTMM_STATUS_UNSUCCESSFUL);
    assert_int_equal(undo(m, BASE, PAGE), NTMM_STATUS_SUCCESS);
    must_hold(m, BASE + PAGE, SIZE - PAGE);
    machine_close(m);
}

static void a_second_reset_forgets_the_first(void **state)
{
    struct machine *m = open_machine();
    (void)state;
    assert_int_equal(reset(m, BASE, SIZE), NTMM_STATUS_SUCCESS);
    must_page_out(m);
    must_fill(m, BASE, SIZE / 2);
    assert_int_equal(reset(m, BASE, SIZE), NTMM_STATUS_SUCCESS);
    assert_int_equal(undo(m, BASE, SIZE), NTMM_STATUS_SUCCESS);
    must_hold(m, BASE, SIZE / 2);
    expect_zeros(m, BASE + SIZE / 2, SIZE / 2);
    machine_close(m);
}

static void undo_keeps_what_is_there(void **state)
{
    struct machine *m = open_machine();
    (void)state;
    must_trim(m, BASE, SIZE / 2);
    assert_int_equal(reset(m, BASE, SIZE), NTMM_STATUS_SUCCESS);
    assert_int_equal(machine_location(m, BASE), NTMM_FRAME_STANDBY);
    assert_int_equal(undo(m, BASE, SIZE), NTMM_STATUS_SUCCESS);
    assert_int_equal(machine_location(m, BASE), NTMM_FRAME_MODIFIED);
    must_page_out(m);
    must_hold(m, BASE, SIZE);
    machine_close(m);
}

static void a_write_makes_it_ordinary(void **state)
{
    struct machine *m = open_machine();
    (void)state;
    must_trim(m, BASE, 2 * PAGE);
    assert_int_equal(reset(m, BASE, SIZE), NTMM_STATUS_SUCCESS);
    must_write(m, BASE, 0x51);
    must_write(m, BASE + 4 * PAGE, 0x54);
    must_page_out(m);
    assert_int_equal(must_read(m, BASE), 0x51);
    assert_int_equal(must_read(m, BASE + 4 * PAGE), 0x54);
    assert_int_equal(must_read(m, BASE + PAGE), 0);
    machine_close(m);
}

static void slots_are_freed(void **state)
{
    struct machine *m = open_machine();
    (void)state;
    must_trim(m, BASE, 4 * PAGE);
    assert_int_equal(must_write_modified(m, 64), 4);
    must_finish_transfers(m);
    assert_int_equal(used(m), 4);
    (void)must_read(m, BASE); /* valid, clean, and with its slot */
    assert_int_equal(reset(m, BASE, SIZE), NTMM_STATUS_SUCCESS);
    assert_int_equal(used(m), 0);
    assert_int_equal(standby(m, 5), 3);
    must_hold(m, BASE, SIZE);
    machine_close(m);
}

static void pages_in_the_file_are_zeros_at_once(void **state)
{
    struct machine *m = open_machine();
    (void)state;
    must_page_out(m);
    assert_int_equal(used(m), PAGES + TABLES);
    assert_int_equal(reset(m, BASE, 4 * PAGE), NTMM_STATUS_SUCCESS);
    assert_int_equal(used(m), PAGES - 4); /* the tables are in memory now, and modified */
    assert_int_equal(undo(m, BASE, SIZE), NTMM_STATUS_UNSUCCESSFUL);
    expect_zeros(m, BASE, 4 * PAGE);
    must_hold(m, BASE + 4 * PAGE, SIZE - 4 * PAGE);
    machine_close(m);
}

static void a_write_in_flight_leaves_no_slot(void **state)
{
    struct machine *m = open_machine();
    (void)state;
    must_trim(m, BASE, 4 * PAGE);
    assert_int_equal(must_write_modified(m, 64), 4);
    assert_int_equal(reset(m, BASE, SIZE), NTMM_STATUS_SUCCESS);
    assert_int_equal(used(m), 4);
    must_finish_transfers(m);
    machine_assert_sound(m);
    assert_int_equal(used(m), 0);
    assert_int_equal(machine_location(m, BASE), NTMM_FRAME_STANDBY);
    assert_int_equal(undo(m, BASE, SIZE), NTMM_STATUS_SUCCESS);
    must_hold(m, BASE, SIZE);
    machine_close(m);
}

static void an_undo_before_the_write_ends(void **state)
{
    struct machine *m = open_machine();
    (void)state;
    must_trim(m, BASE, 4 * PAGE);
    assert_int_equal(must_write_modified(m, 64), 4);
    assert_int_equal(reset(m, BASE, SIZE), NTMM_STATUS_SUCCESS);
    assert_int_equal(undo(m, BASE, SIZE), NTMM_STATUS_SUCCESS);
    must_finish_transfers(m);
    machine_assert_sound(m);
    assert_int_equal(machine_location(m, BASE), NTMM_FRAME_MODIFIED);
    must_page_out(m);
    must_hold(m, BASE, SIZE);
    machine_close(m);
}

static void a_failed_write_of_what_may_go(void **state)
{
    struct machine *m = machine_open(NULL);
    uint64_t device;
    (void)state;
    must_add_file(m, 4 * MIB, 0, &device);
    must_allocate(m, BASE, SIZE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, SIZE);
    must_fail_disk(m, device, NTMM_IO_WRITE, 100, NTMM_STATUS_DEVICE_DATA_ERROR, 0, 0);
    must_trim(m, BASE, PAGE);
    assert_int_equal(must_write_modified(m, 64), 1);
    assert_int_equal(reset(m, BASE, SIZE), NTMM_STATUS_SUCCESS);
    must_finish_transfers(m);
    machine_assert_sound(m);
    assert_int_equal(machine_location(m, BASE), NTMM_FRAME_STANDBY);
    must_hold(m, BASE, SIZE);
    machine_close(m);
}

enum what { RESET, OFFER, DISCARD };

/* In the scene, while its transfers are in flight. */
static void every_state_at_once(enum what what)
{
    struct machine *m = paging_scene_open();
    uint64_t before = used(m);
    uint64_t size = 64 * PAGE;
    /* faults that have not looked again keep the frames of pages 20 and then 8, deleted or not */
    uint64_t kept = what == DISCARD;
    ntmm_status status = NTMM_STATUS_SUCCESS;
    must_commit(m, SCENE_PAGES + 16 * PAGE, PAGE, NTMM_PAGE_READWRITE);
    switch (what) {
    case RESET:
        status = try_allocate(m, SCENE_PAGES, size, NTMM_MEM_RESET, NTMM_PAGE_READWRITE);
        break;
    case OFFER:
        status = ntmm_offer_virtual_memory(m->system, m->process, SCENE_PAGES, size, 1);
        break;
    case DISCARD:
        status = ntmm_discard_virtual_memory(m->system, m->process, SCENE_PAGES, size);
        break;
    }
    assert_int_equal(status, NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    assert_int_equal(used(m), before - SCENE_USED_AT_REST + kept);
    must_wait(m, SECOND);
    machine_assert_sound(m);
    assert_int_equal(used(m), before - SCENE_USED + 2 * kept);
    assert_int_equal(get64(&machine_partition(m)->modified.count), 0);
    must_write(m, SCENE_PAGES, 0x5C);
    assert_int_equal(must_read(m, SCENE_PAGES + 30 * PAGE),
                     what == DISCARD ? 0 : SCENE_PAGES + 30 * PAGE);
    paging_scene_close(m);
}

static void every_state_is_reset(void **state)
{
    (void)state;
    every_state_at_once(RESET);
}

static void every_state_is_offered(void **state)
{
    (void)state;
    every_state_at_once(OFFER);
}

static void every_state_is_discarded(void **state)
{
    (void)state;
    every_state_at_once(DISCARD);
}

static void reads_in_flight_survive_an_undo(void **state)
{
    struct machine *m = paging_scene_open();
    (void)state;
    assert_int_equal(reset(m, SCENE_PAGES + 8 * PAGE, 8 * PAGE), NTMM_STATUS_SUCCESS);
    assert_int_equal(undo(m, SCENE_PAGES + 8 * PAGE, 8 * PAGE), NTMM_STATUS_SUCCESS);
    must_wait(m, SECOND);
    must_hold(m, SCENE_PAGES + 8 * PAGE, 8 * PAGE);
    paging_scene_close(m);
}

static void tables_that_are_out_come_back(void **state)
{
    struct machine *m = paging_scene_open();
    (void)state;
    assert_int_equal(reset(m, SCENE_ABOVE_OUT, 2 * PAGE), NTMM_STATUS_SUCCESS);
    expect_zeros(m, SCENE_ABOVE_OUT, 2 * PAGE);
    assert_int_equal(undo(m, SCENE_LEAF_OUT, 4 * PAGE), NTMM_STATUS_SUCCESS);
    must_hold(m, SCENE_LEAF_OUT, 4 * PAGE);
    paging_scene_close(m);
}

static void offered_pages_stand_by_at_their_priority(void **state)
{
    struct machine *m = open_machine();
    (void)state;
    must_trim(m, BASE, 2 * PAGE);
    assert_int_equal(offer(m, NTMM_OFFER_LOW), NTMM_STATUS_SUCCESS);
    assert_int_equal(standby(m, 2), PAGES);
    assert_int_equal(machine_process(m).working_set_pages, 0);
    assert_int_equal(offer(m, NTMM_OFFER_VERY_LOW), NTMM_STATUS_SUCCESS);
    assert_int_equal(standby(m, 1), PAGES);
    assert_int_equal(reclaim(m), NTMM_STATUS_SUCCESS);
    assert_int_equal(standby(m, 1) + standby(m, 2), 0);
    assert_int_equal(pfn_priority(machine_row(m, machine_frame(m, BASE))), PRIORITY_DEFAULT);
    must_page_out(m);
    must_hold(m, BASE, SIZE);
    machine_close(m);
}

static void offered_pages_are_taken_first(void **state)
{
    struct machine *m = open_machine();
    struct call c = machine_call(m);
    struct frame_chain chain = chain_empty();
    uint64_t frame;
    (void)state;
    must_trim(m, BASE, 4 * PAGE); /* older on standby than what is offered */
    assert_int_equal(must_write_modified(m, 64), 4);
    must_finish_transfers(m);
    assert_int_equal(ntmm_offer_virtual_memory(m->system, m->process, BASE + 4 * PAGE, 4 * PAGE,
                                               NTMM_OFFER_NORMAL),
                     NTMM_STATUS_SUCCESS);
    while (standby(m, 4) > 0) {
        assert_true(frame_allocate(&c, NTMM_USE_FREE, &frame));
        chain_add(&c, &chain, frame);
    }
    assert_int_equal(standby(m, 5), 4);
    chain_free(&c, &chain);
    assert_int_equal(reclaim(m), NTMM_STATUS_UNSUCCESSFUL);
    must_hold(m, BASE, 4 * PAGE);
    expect_zeros(m, BASE + 4 * PAGE, 4 * PAGE);
    machine_close(m);
}

static void locked_pages_stay(void **state)
{
    struct machine *m = open_machine();
    uint64_t base = BASE;
    uint64_t size = 2 * PAGE;
    (void)state;
    assert_int_equal(
        ntmm_lock_virtual_memory(m->system, m->process, &base, &size, NTMM_MAP_PROCESS),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(offer(m, NTMM_OFFER_LOW), NTMM_STATUS_SUCCESS);
    assert_int_equal(machine_process(m).working_set_pages, 2);
    assert_int_equal(reclaim(m), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_discard_virtual_memory(m->system, m->process, BASE, SIZE),
                     NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    must_hold(m, BASE, 2 * PAGE);
    expect_zeros(m, BASE + 2 * PAGE, SIZE - 2 * PAGE);
    machine_close(m);
}

static void discard_frees_frames_and_slots(void **state)
{
    struct machine *m = open_machine();
    uint64_t commit = machine_process(m).commit_pages;
    (void)state;
    must_trim(m, BASE, 4 * PAGE);
    (void)must_write_modified(m, 2);
    must_finish_transfers(m);
    uint64_t before = machine_memory(m).free_pages + machine_memory(m).zeroed_pages;
    uint64_t freed = machine_counter(m, NTMM_COUNTER_PAGES_FREED);
    assert_int_equal(ntmm_discard_virtual_memory(m->system, m->process, BASE, SIZE),
                     NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGES_FREED), freed + PAGES);
    assert_int_equal(machine_memory(m).free_pages + machine_memory(m).zeroed_pages, before + PAGES);
    assert_int_equal(used(m), 0);
    assert_int_equal(machine_process(m).commit_pages, commit);
    assert_int_equal(reclaim(m), NTMM_STATUS_SUCCESS);
    expect_zeros(m, BASE, SIZE);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_pages_become_clean),
        cmocka_unit_test(what_is_taken_is_lost),
        cmocka_unit_test(a_page_read_as_zeros_stays_lost),
        cmocka_unit_test(a_second_reset_forgets_the_first),
        cmocka_unit_test(undo_keeps_what_is_there),
        cmocka_unit_test(a_write_makes_it_ordinary),
        cmocka_unit_test(slots_are_freed),
        cmocka_unit_test(pages_in_the_file_are_zeros_at_once),
        cmocka_unit_test(a_write_in_flight_leaves_no_slot),
        cmocka_unit_test(an_undo_before_the_write_ends),
        cmocka_unit_test(a_failed_write_of_what_may_go),
        cmocka_unit_test(every_state_is_reset),
        cmocka_unit_test(every_state_is_offered),
        cmocka_unit_test(every_state_is_discarded),
        cmocka_unit_test(reads_in_flight_survive_an_undo),
        cmocka_unit_test(tables_that_are_out_come_back),
        cmocka_unit_test(offered_pages_stand_by_at_their_priority),
        cmocka_unit_test(offered_pages_are_taken_first),
        cmocka_unit_test(locked_pages_stay),
        cmocka_unit_test(discard_frees_frames_and_slots),
    };
    return cmocka_run_group_tests_name("reset", tests, NULL, NULL);
}
