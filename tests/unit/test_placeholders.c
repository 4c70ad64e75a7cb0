/*
 * Placeholders and extended searches beyond what cases show: shortages, two processes, the end of a
 * process, and bounds against a search that tries every place.
 */
#include "unit/machine.h"

#include "base/prng.h"

#define RANGE (16 * KIB64)

static ntmm_status allocate_ex(struct machine *m, uint64_t *base, uint64_t size, uint32_t type,
                               uint32_t protect)
{
    return ntmm_allocate_virtual_memory_ex(m->system, m->process, base, &size, type, protect, NULL,
                                           0);
}

static void must_hold_place(struct machine *m, uint64_t base, uint64_t size)
{
    assert_int_equal(allocate_ex(m, &base, size, NTMM_MEM_RESERVE | NTMM_MEM_RESERVE_PLACEHOLDER,
                                 NTMM_PAGE_NOACCESS),
                     NTMM_STATUS_SUCCESS);
}

static ntmm_status replace(struct machine *m, uint64_t base, uint64_t size)
{
    return allocate_ex(m, &base, size,
                       NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_REPLACE_PLACEHOLDER,
                       NTMM_PAGE_READWRITE);
}

static ntmm_status preserve(struct machine *m, uint64_t base, uint64_t size)
{
    return try_free(m, base, size, NTMM_MEM_RELEASE | NTMM_MEM_PRESERVE_PLACEHOLDER);
}

static ntmm_status coalesce(struct machine *m, uint64_t base, uint64_t size)
{
    return try_free(m, base, size, NTMM_MEM_RELEASE | NTMM_MEM_COALESCE_PLACEHOLDERS);
}

/* With ever fuller slabs: so that the first new region, the second, or a node finds no room. */
static void a_split_that_lacks_frames_changes_nothing(void **state)
{
    struct machine *m = machine_open(NULL);
    uint32_t failed = 0;
    (void)state;
    must_hold_place(m, BASE, RANGE);
    for (uint64_t i = 0; i < 200; i++) {
        uint64_t regions = machine_process(m).region_count;
        m->system->failures = (struct allocation_failures){.count = UINT64_MAX};
        ntmm_status status = preserve(m, BASE + 4 * PAGE, 4 * PAGE);
        m->system->failures = (struct allocation_failures){0};
        machine_assert_sound(m);
        if (status != NTMM_STATUS_SUCCESS) {
            failed++;
            assert_int_equal(status, NTMM_STATUS_NO_MEMORY);
            assert_int_equal(machine_process(m).region_count, regions);
            assert_int_equal(must_query(m, BASE).region_size, RANGE);
        } else {
            assert_int_equal(machine_process(m).region_count, regions + 2);
            assert_int_equal(coalesce(m, BASE, RANGE), NTMM_STATUS_SUCCESS);
        }
        must_reserve(m, 2 * BASE + i * KIB64, PAGE, NTMM_PAGE_READWRITE);
    }
    assert_in_range(failed, 1, 199);
    machine_close(m);
}

static void a_replacement_beyond_commit_stays_a_placeholder(void **state)
{
    struct machine *m = machine_open(NULL);
    (void)state;
    must_hold_place(m, BASE, GIB);
    uint64_t commit = machine_memory(m).commit_pages;
    assert_int_equal(replace(m, BASE, GIB), NTMM_STATUS_COMMITMENT_LIMIT);
    machine_assert_sound(m);
    assert_int_equal(machine_memory(m).commit_pages, commit);
    assert_int_equal(preserve(m, BASE, PAGE), NTMM_STATUS_SUCCESS); /* still one */
    machine_close(m);
}

static void replaced_regions_charge_and_return(void **state)
{
    struct machine *m = machine_open(NULL);
    (void)state;
    must_hold_place(m, BASE, RANGE);
    assert_int_equal(machine_process(m).commit_pages, 0);
    assert_int_equal(replace(m, BASE, RANGE), NTMM_STATUS_SUCCESS);
    assert_int_equal(machine_process(m).commit_pages, RANGE / PAGE);
    must_fill(m, BASE, RANGE);
    assert_int_equal(preserve(m, BASE, RANGE), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    assert_int_equal(machine_process(m).commit_pages, 0);
    assert_int_equal(machine_process(m).working_set_pages, 0);
    assert_int_equal(machine_process(m).virtual_size_bytes, RANGE);
    machine_close(m);
}

static void processes_have_their_own(void **state)
{
    struct machine *m = machine_open(NULL);
    ntmm_handle first = m->process;
    ntmm_handle other = machine_add_process(m);
    (void)state;
    must_hold_place(m, BASE, RANGE);
    m->process = other;
    assert_int_equal(replace(m, BASE, RANGE), NTMM_STATUS_CONFLICTING_ADDRESSES);
    must_hold_place(m, BASE, RANGE);
    assert_int_equal(preserve(m, BASE, KIB64), NTMM_STATUS_SUCCESS);
    m->process = first;
    assert_int_equal(replace(m, BASE, RANGE), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_end_process(m->system, other), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    machine_close(m);
}

/* The lowest or highest legal place, found by trying. */
static uint64_t try_places(struct machine *m, const struct ntmm_mem_address_requirements *r,
                           uint64_t size, bool is_top_down)
{
    uint64_t found = 0;
    uint64_t end = r->highest_ending_address + 1;
    uint64_t lowest = r->lowest_starting_address ? r->lowest_starting_address : KIB64;
    for (uint64_t at = lowest; at + size <= end; at += KIB64) {
        bool is_free = at % r->alignment == 0;
        for (uint64_t va = at; is_free && va < at + size; va += PAGE)
            is_free = must_query(m, va).state == NTMM_MEM_FREE;
        if (is_free && (!found || is_top_down))
            found = at;
    }
    return found;
}

static void searches_are_exact(void **state)
{
    struct machine *m = machine_open(NULL);
    struct prng random;
    (void)state;
    prng_seed(&random, 7);
    for (uint32_t i = 0; i < 300; i++) {
        struct ntmm_mem_address_requirements r = {
            .lowest_starting_address = prng_next(&random) % 20 * KIB64,
            .highest_ending_address = (320 + prng_next(&random) % 320) * PAGE - 1,
            .alignment = KIB64 << prng_next(&random) % 4,
        };
        struct ntmm_mem_extended_parameter parameter = {
            .type = NTMM_MEM_PARAMETER_ADDRESS_REQUIREMENTS, .requirements = &r};
        bool is_top_down = (prng_next(&random) & 1) != 0;
        uint64_t size = (1 + prng_next(&random) % 24) * PAGE;
        uint64_t base = 0;
        uint64_t expected = try_places(m, &r, size, is_top_down);
        uint64_t given = size;
        ntmm_status status = ntmm_allocate_virtual_memory_ex(
            m->system, m->process, &base, &given,
            NTMM_MEM_RESERVE | (is_top_down ? NTMM_MEM_TOP_DOWN : 0), NTMM_PAGE_READWRITE,
            &parameter, 1);
        assert_int_equal(status, expected ? NTMM_STATUS_SUCCESS : NTMM_STATUS_NO_MEMORY);
        assert_int_equal(base, expected);
        if (base != 0 && i % 3 != 0)
            must_release(m, base, 0);
    }
    machine_assert_sound(m);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_split_that_lacks_frames_changes_nothing),
        cmocka_unit_test(a_replacement_beyond_commit_stays_a_placeholder),
        cmocka_unit_test(replaced_regions_charge_and_return),
        cmocka_unit_test(processes_have_their_own),
        cmocka_unit_test(searches_are_exact),
    };
    return cmocka_run_group_tests_name("placeholders", tests, NULL, NULL);
}
