/*
 * Address spaces: what a region costs, committing by flag and by entries, many regions, the hint.
 */
#include "unit/machine.h"

#include "base/prng.h"
#include "x64/formats.h"

#define TIB (1024 * GIB)

/* Cost follows use: neither the reservation nor its release makes a table. */
static void a_tebibyte_costs_one_vad(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    struct ntmm_memory_information before = machine_memory(m);
    must_reserve(m, TIB, TIB, NTMM_PAGE_READWRITE);
    struct ntmm_memory_information after = machine_memory(m);
    /* A slab of VADs and one of their tree's nodes. */
    assert_int_equal(after.commit_pages - before.commit_pages, 2);
    assert_int_equal(after.active_pages - before.active_pages, 2);
    assert_int_equal(machine_process(m).table_pages, 1);
    assert_int_equal(machine_process(m).virtual_size_bytes, TIB);
    must_commit(m, TIB + TIB / 2, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, TIB + TIB / 2, 7);
    assert_int_equal(must_query(m, TIB).region_size, TIB / 2);
    assert_int_equal(machine_process(m).table_pages, 4);
    must_release(m, TIB, 0);
    assert_int_equal(machine_process(m).table_pages, 1);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_TABLES_CREATED), 3);
    machine_close(m);
}

/* The same 32 pages, committed with the reservation or page by page, behave alike. */
static void flag_and_entries_are_alike(void **state)
{
    const uint64_t pages = 32, far = BASE + 16 * MIB;
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, pages * PAGE, NTMM_PAGE_READWRITE);
    must_reserve(m, far, pages * PAGE, NTMM_PAGE_READWRITE);
    for (uint64_t i = 0; i < pages; i++)
        must_commit(m, far + i * PAGE, PAGE, NTMM_PAGE_READWRITE);
    for (unsigned side = 0; side < 2; side++) {
        uint64_t base = side ? far : BASE;
        must_write(m, base + 3 * PAGE, 3);
        must_protect(m, base + 5 * PAGE, 2 * PAGE, NTMM_PAGE_READONLY);
        must_decommit(m, base + 10 * PAGE, 4 * PAGE);
        must_decommit(m, base + 12 * PAGE, 4 * PAGE);
        must_commit(m, base + 11 * PAGE, PAGE, NTMM_PAGE_EXECUTE_READWRITE);
        must_release(m, base + 20 * PAGE, 2 * PAGE);
    }
    for (uint64_t offset = 0; offset < pages * PAGE; offset += PAGE) {
        struct ntmm_memory_basic_information a = must_query(m, BASE + offset);
        struct ntmm_memory_basic_information b = must_query(m, far + offset);
        assert_int_equal(a.state, b.state);
        assert_int_equal(a.protect, b.protect);
        /* The free space behind each is as long as what follows allows. */
        if (a.state != NTMM_MEM_FREE)
            assert_int_equal(a.region_size, b.region_size);
    }
    assert_int_equal(get64(&machine_vad(m, BASE)->commit_pages),
                     get64(&machine_vad(m, far)->commit_pages));
    assert_int_equal(get64(&machine_vad(m, BASE)->commit_pages), 20 - 6 + 1);
    assert_int_equal(must_read(m, far + 3 * PAGE), 3);
    machine_close(m);
}

/* A whole region committed later takes the flag: no table. */
static void a_whole_commit_makes_no_table(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_reserve(m, BASE, 2 * MIB, NTMM_PAGE_READWRITE);
    must_commit(m, BASE, 2 * MIB, NTMM_PAGE_READWRITE);
    assert_int_equal(machine_process(m).table_pages, 1);
    assert_int_equal(machine_process(m).commit_pages, 512);
    must_write(m, BASE + MIB, 9);
    must_decommit(m, BASE, 0);
    assert_int_equal(machine_process(m).commit_pages, 0);
    assert_int_equal(machine_process(m).table_pages, 1);
    assert_int_equal(must_query(m, BASE).state, NTMM_MEM_RESERVE);
    must_commit(m, BASE, 2 * MIB, NTMM_PAGE_READWRITE);
    assert_int_equal(must_read(m, BASE + MIB), 0);
    machine_close(m);
}

static void a_hundred_thousand_regions(void **state)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = 32 * MIB}};
    const uint64_t count = 100000;
    (void)state;
    struct machine *m = machine_open(&setup);
    uint64_t commit = machine_memory(m).commit_pages;
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(
            try_allocate(m, BASE + i * 2 * KIB64, PAGE, NTMM_MEM_RESERVE, NTMM_PAGE_READWRITE),
            NTMM_STATUS_SUCCESS);
    assert_int_equal(machine_process(m).region_count, count);
    machine_assert_sound(m);
    /* 59 VADs of 64 bytes and their owners fill a slab's frame, three nodes of the tree another. In
     * ascending order a leaf keeps 43 regions, the last 25, a node above keeps 43, the last 47. */
    const uint64_t leaves = 2325 + 1, branches = 53 + 1;
    assert_int_equal(count, 2325 * 43 + 25);
    assert_int_equal(leaves, 53 * 43 + 47);
    assert_int_equal(machine_memory(m).slab_pages,
                     (count + 58) / 59 + (leaves + branches + 1 + 2) / 3);
    struct prng prng;
    prng_seed(&prng, 3);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t j = i * 7919 % count; /* a permutation: 7919 is prime to count */
        must_release(m, BASE + j * 2 * KIB64, 0);
        if (prng_below(&prng, count / 4) == 0)
            machine_assert_sound(m);
    }
    assert_int_equal(machine_process(m).region_count, 0);
    assert_int_equal(machine_memory(m).slab_pages, 2); /* one empty slab of each kind is kept */
    assert_int_equal(machine_memory(m).commit_pages, commit + 2);
    machine_close(m);
}

/*
 * The region found last is remembered; it may be split, shrunk, or gone when it is looked for
 * again.
 */
static void the_hint_never_outlives_its_region(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, 16 * PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE + 15 * PAGE, 1);
    must_release(m, BASE + 12 * PAGE, 4 * PAGE);
    assert_int_equal(try_write(m, BASE + 15 * PAGE, 1), NTMM_STATUS_ACCESS_VIOLATION);
    must_write(m, BASE, 1);
    must_release(m, BASE + 4 * PAGE, 4 * PAGE);
    assert_int_equal(must_query(m, BASE + 8 * PAGE).allocation_base, BASE + 8 * PAGE);
    assert_int_equal(try_write(m, BASE + 5 * PAGE, 1), NTMM_STATUS_ACCESS_VIOLATION);
    must_write(m, BASE + 9 * PAGE, 1);
    must_release(m, BASE + 8 * PAGE, 0);
    machine_assert_sound(m);
    assert_int_equal(try_write(m, BASE + 9 * PAGE, 1), NTMM_STATUS_ACCESS_VIOLATION);
    must_allocate(m, BASE + 64 * PAGE, PAGE, NTMM_PAGE_READONLY); /* takes the freed VAD's place */
    assert_int_equal(try_write(m, BASE + 9 * PAGE, 1), NTMM_STATUS_ACCESS_VIOLATION);
    must_write(m, BASE, 1);
    machine_close(m);
}

/* The worked example of nt_semantics 22, as far as private memory goes. */
static void charges_follow_the_worked_example(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_reserve(m, BASE, MIB, NTMM_PAGE_READWRITE);
    struct ntmm_process_information p = machine_process(m);
    assert_int_equal(p.virtual_size_bytes, MIB);
    assert_int_equal(p.commit_pages, 0);
    must_commit(m, BASE, KIB64, NTMM_PAGE_READWRITE);
    assert_int_equal(machine_process(m).commit_pages, 16);
    must_read(m, BASE);
    p = machine_process(m);
    assert_int_equal(p.working_set_pages, 1);
    assert_int_equal(p.counters[NTMM_COUNTER_DEMAND_ZERO_FAULTS], 1);
    must_write(m, BASE, 1);
    assert_int_equal(machine_process(m).working_set_pages, 1);
    must_decommit(m, BASE, KIB64);
    p = machine_process(m);
    assert_int_equal(p.commit_pages, 0);
    assert_int_equal(p.working_set_pages, 0);
    assert_int_equal(p.virtual_size_bytes, MIB);
    must_release(m, BASE, 0);
    p = machine_process(m);
    assert_int_equal(p.virtual_size_bytes, 0);
    assert_int_equal(p.peak_virtual_size_bytes, MIB);
    assert_int_equal(p.peak_commit_pages, 16);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tebibyte_costs_one_vad),
        cmocka_unit_test(flag_and_entries_are_alike),
        cmocka_unit_test(a_whole_commit_makes_no_table),
        cmocka_unit_test(a_hundred_thousand_regions),
        cmocka_unit_test(the_hint_never_outlives_its_region),
        cmocka_unit_test(charges_follow_the_worked_example),
    };
    return cmocka_run_group_tests_name("space_regions", tests, NULL, NULL);
}
