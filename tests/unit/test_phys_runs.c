/*
 * Aligned runs of 512 frames: found at once whatever was allocated and freed, over ragged ranges.
 *
 *   frames   ...|  run  |  run  |  run  |...     whole while all 512 are zeroed or free
 */
#include "unit/machine.h"

#include "base/prng.h"

#define MOST_RUNS 64u

/* Whole runs by looking at every row: the slow way. */
static uint64_t count_whole_runs(struct machine *m)
{
    uint64_t whole = 0;
    const struct anchor *anchor = machine_anchor(m);
    for (uint32_t i = 0; i < get32(&anchor->range_count); i++) {
        uint64_t base = get64(&anchor->ranges[i].base_frame);
        uint64_t end = base + get64(&anchor->ranges[i].frame_count);
        for (uint64_t run = (base + 511) / 512 * 512; run + 512 <= end; run += 512) {
            uint64_t count = 0;
            for (uint64_t frame = run; frame < run + 512; frame++)
                count += pfn_location(machine_row(m, frame)) <= NTMM_FRAME_FREE;
            whole += count == 512;
        }
    }
    return whole;
}

static void expect_whole(struct machine *m, uint64_t expected)
{
    assert_int_equal(machine_memory(m).free_large_runs, expected);
    assert_int_equal(count_whole_runs(m), expected);
    machine_assert_sound(m);
}

static uint64_t take_run(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t base = FRAME_NONE;
    assert_true(run_allocate(&c, NTMM_USE_FREE, &base));
    assert_int_equal(base % RUN_FRAMES, 0);
    for (uint64_t frame = base; frame < base + RUN_FRAMES; frame++) {
        assert_int_equal(pfn_location(machine_row(m, frame)), NTMM_FRAME_ACTIVE);
        assert_int_equal(get32(&machine_row(m, frame)->share_count), 1);
        assert_int_equal(get16(&machine_row(m, frame)->reference_count), 1);
    }
    return base;
}

static void give_run(struct machine *m, uint64_t base)
{
    struct call c = machine_call(m);
    for (uint64_t frame = base; frame < base + RUN_FRAMES; frame++)
        frame_free(&c, frame);
}

static void all_runs_are_found_and_come_back(void **state)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = 16 * MIB}};
    uint64_t bases[8];
    uint32_t count = 0;
    uint64_t none;
    (void)state;
    struct machine *m = machine_open_bare(&setup);
    struct call c = machine_call(m);
    expect_whole(m, 7); /* the first holds the metadata */
    for (; machine_memory(m).free_large_runs > 0; count++)
        bases[count] = take_run(m);
    assert_int_equal(count, 7);
    expect_whole(m, 0);
    assert_false(run_allocate(&c, NTMM_USE_FREE, &none));
    assert_int_equal(c.want.kind, WANT_FRAME);
    assert_int_equal(c.want.pages, RUN_FRAMES);
    for (uint32_t i = 0; i < count; i++)
        give_run(m, bases[i]);
    expect_whole(m, 7);
    machine_close(m);
}

static void one_frame_breaks_a_run_and_mends_it(void **state)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = 4 * MIB}};
    (void)state;
    struct machine *m = machine_open_bare(&setup);
    struct call c = machine_call(m);
    uint64_t base = take_run(m);
    for (uint64_t frame = base + RUN_FRAMES; frame-- > base;) {
        expect_whole(m, 0);
        frame_free(&c, frame);
        if (frame > base + 2)
            frame -= 2; /* leave two behind */
    }
    expect_whole(m, 0);
    for (uint64_t frame = base; frame < base + RUN_FRAMES; frame++) {
        if (pfn_location(machine_row(m, frame)) == NTMM_FRAME_ACTIVE)
            frame_free(&c, frame);
    }
    expect_whole(m, 1);
    machine_close(m);
}

/* Random single frames and runs; the count is right after each, and a whole run is always found. */
static void any_order(struct machine *m, uint64_t seed)
{
    static uint64_t singles[16384];
    uint64_t runs[MOST_RUNS];
    uint32_t single_count = 0, run_count = 0;
    struct call c = machine_call(m);
    struct prng prng;
    prng_seed(&prng, seed);
    for (uint32_t step = 0; step < 6000; step++) {
        uint64_t choice = prng_below(&prng, 100);
        if (choice < 2 && machine_memory(m).free_large_runs > 0) {
            runs[run_count++] = take_run(m);
        } else if (choice < 4 && run_count > 0) {
            give_run(m, runs[--run_count]);
        } else if (choice < (step < 3000 ? 70 : 30)) {
            single_count += frame_allocate_zeroed(&c, NTMM_USE_FREE, &singles[single_count]);
        } else if (single_count > 0) {
            uint64_t i = prng_below(&prng, single_count);
            frame_free(&c, singles[i]);
            singles[i] = singles[--single_count];
        }
        if (step % 500 == 0)
            expect_whole(m, count_whole_runs(m));
    }
    while (single_count > 0)
        frame_free(&c, singles[--single_count]);
    while (run_count > 0)
        give_run(m, runs[--run_count]);
}

static void runs_are_right_after_any_order(void **state)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = 12 * MIB}};
    (void)state;
    struct machine *m = machine_open_bare(&setup);
    uint64_t whole = machine_memory(m).free_large_runs;
    for (uint64_t seed = 0; seed < 3; seed++) {
        any_order(m, seed);
        expect_whole(m, whole);
    }
    machine_close(m);
}

/*
 * RAM from frame 100, a hole, ragged ends:
 *
 *   [100 .......... 1124)   hole   [2124 ........... 4596)
 *    run 1 at 512 only (the rest ragged)   runs 5 6 7 at 2560 3072 3584; 4096 is cut off
 *
 * 3,496 frames; metadata: the anchor and 13 pages of rows in the first range, 30 in the second.
 */
static void ranges_may_be_ragged(void **state)
{
    const struct machine_setup setup = {.hardware = {.base_pa = 100 * PAGE,
                                                     .ram_bytes = 3496 * PAGE,
                                                     .hole_base_pa = 1124 * PAGE,
                                                     .hole_bytes = 1000 * PAGE}};
    (void)state;
    struct machine *m = machine_open_bare(&setup);
    struct ntmm_frame_information row;
    assert_int_equal(get32(&machine_anchor(m)->range_count), 2);
    expect_whole(m, 1 + 3);
    assert_int_equal(ntmm_query_frame(m->system, 99, &row), NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(ntmm_query_frame(m->system, 100, &row), NTMM_STATUS_SUCCESS);
    assert_int_equal(row.use, NTMM_USE_METADATA);
    assert_int_equal(ntmm_query_frame(m->system, 1123, &row), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_query_frame(m->system, 1124, &row), NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(ntmm_query_frame(m->system, 2123, &row), NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(ntmm_query_frame(m->system, 2124, &row), NTMM_STATUS_SUCCESS);
    assert_int_equal(row.use, NTMM_USE_METADATA);
    assert_int_equal(ntmm_query_frame(m->system, 4595, &row), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_query_frame(m->system, 4596, &row), NTMM_STATUS_INVALID_PARAMETER_2);
    any_order(m, 9);
    expect_whole(m, 1 + 3);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_runs_are_found_and_come_back),
        cmocka_unit_test(one_frame_breaks_a_run_and_mends_it),
        cmocka_unit_test(runs_are_right_after_any_order),
        cmocka_unit_test(ranges_may_be_ragged),
    };
    return cmocka_run_group_tests_name("phys_runs", tests, NULL, NULL);
}
