/*
 * The tool that puts conformance cases and fuzzing under the harshest pressure does what it says:
 * no page and no table stays, and everything comes back.
 */
#include "paging/page_out.h"
#include "unit/machine.h"

static void nothing_stays_and_everything_comes_back(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    assert_int_equal(page_out_add_file(m->emu), NTMM_STATUS_SUCCESS);
    must_allocate(m, BASE, 100 * PAGE, NTMM_PAGE_READWRITE);
    must_allocate(m, BASE + GIB, 3 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 100 * PAGE);
    must_fill(m, BASE + GIB, 3 * PAGE);
    page_out_everything(m->emu);
    machine_assert_sound(m);
    assert_int_equal(machine_process(m).working_set_pages, 0);
    assert_int_equal(machine_memory(m).user_pages, 0);
    assert_int_equal(machine_process(m).table_pages,
                     6); /* root, 1 of 512 GiB, 2 of 1 GiB, 2 leaves */
    assert_int_equal(get64(&machine_object(m)->tables_out), 5);
    must_hold(m, BASE, 100 * PAGE);
    must_hold(m, BASE + GIB, 3 * PAGE);
    assert_int_equal(get64(&machine_object(m)->tables_out), 0);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_TABLE_READS), 5);
    machine_close(m);
}

/* Far apart, so that nothing that was read ahead is ever asked for. */
static void what_nobody_asks_for_is_not_read_ahead_for_long(void **state)
{
    const struct machine_setup setup = {.core = {.read_cluster_pages = 8}};
    const uint64_t asked = 40, apart = 12;
    (void)state;
    struct machine *m = machine_open(&setup);
    assert_int_equal(page_out_add_file(m->emu), NTMM_STATUS_SUCCESS);
    must_allocate(m, BASE, asked * apart * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, asked * apart * PAGE);
    page_out_everything(m->emu);
    for (uint64_t i = 0; i < asked; i++)
        (void)must_read(m, BASE + i * apart * PAGE);
    uint64_t ahead = machine_counter(m, NTMM_COUNTER_READ_AHEAD_PAGES);
    assert_in_range(ahead, 1, asked);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_READ_AHEAD_HITS), 0);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_stays_and_everything_comes_back),
        cmocka_unit_test(what_nobody_asks_for_is_not_read_ahead_for_long),
    };
    return cmocka_run_group_tests_name("page_out", tests, NULL, NULL);
}
