/*
 * Addresses that are the embedder's: no region is put there, whether the system chooses from below
 * or from above or the caller asks for it. Expectations: ntmm/platform.h, operation 10;
 * nt_semantics 23 for where room is looked for.
 */
#include "unit/machine.h"

#include "base/instance.h"

#define MOST 4u

static struct ntmm_foreign_range ranges[MOST];
static uint32_t count;

static bool foreign(void *context, ntmm_handle process, uint64_t va,
                    struct ntmm_foreign_range *range)
{
    (void)context;
    (void)process;
    for (uint32_t i = 0; i < count; i++) {
        if (ranges[i].end > va) {
            *range = ranges[i];
            return true;
        }
    }
    return false;
}

static struct machine *open_machine(void)
{
    struct machine *m = machine_open(NULL);
    count = 0;
    m->system->platform.foreign_range = foreign;
    return m;
}

static ntmm_status reserve(struct machine *m, uint64_t *base, uint32_t type)
{
    uint64_t size = 3 * KIB64;
    return ntmm_allocate_virtual_memory(m->system, m->process, base, 0, &size,
                                        NTMM_MEM_RESERVE | type, NTMM_PAGE_READWRITE);
}

/* Where it goes when nothing is in the way; it goes again. */
static uint64_t place_of(struct machine *m, uint32_t type)
{
    uint64_t base = 0;
    assert_int_equal(reserve(m, &base, type), NTMM_STATUS_SUCCESS);
    must_release(m, base, 0);
    return base;
}

static void expect_clear(struct machine *m, uint64_t base)
{
    for (uint32_t i = 0; i < count; i++)
        assert_true(base + 3 * KIB64 <= ranges[i].base || ranges[i].end <= base);
    machine_assert_sound(m);
}

static void room_is_found_above(void **state)
{
    struct machine *m = open_machine();
    (void)state;
    uint64_t first = place_of(m, 0), base = 0;
    /* over its end; then one whose gap is too small behind it; then one that is farther away */
    ranges[0] = (struct ntmm_foreign_range){first + 2 * KIB64 + 5, first + 4 * KIB64};
    ranges[1] = (struct ntmm_foreign_range){first + 6 * KIB64, first + 7 * KIB64 + 1};
    ranges[2] = (struct ntmm_foreign_range){first + 40 * KIB64, first + 41 * KIB64};
    count = 3;
    assert_int_equal(reserve(m, &base, 0), NTMM_STATUS_SUCCESS);
    expect_clear(m, base);
    assert_int_equal(base, first + 8 * KIB64);
    machine_close(m);
}

static void room_is_found_below(void **state)
{
    struct machine *m = open_machine();
    (void)state;
    uint64_t first = place_of(m, NTMM_MEM_TOP_DOWN), base = 0;
    ranges[0] = (struct ntmm_foreign_range){first - 3 * KIB64, first - 2 * KIB64};
    ranges[1] = (struct ntmm_foreign_range){first, first + 1};
    count = 2;
    assert_int_equal(reserve(m, &base, NTMM_MEM_TOP_DOWN), NTMM_STATUS_SUCCESS);
    expect_clear(m, base);
    assert_int_equal(base, first - 6 * KIB64);
    machine_close(m);
}

static void there_is_no_room(void **state)
{
    struct machine *m = open_machine();
    uint64_t base = 0;
    (void)state;
    ranges[0] = (struct ntmm_foreign_range){0, UINT64_C(1) << 47};
    count = 1;
    assert_int_equal(reserve(m, &base, 0), NTMM_STATUS_NO_MEMORY);
    assert_int_equal(reserve(m, &base, NTMM_MEM_TOP_DOWN), NTMM_STATUS_NO_MEMORY);
    assert_int_equal(base, 0);
    assert_int_equal(machine_process(m).region_count, 0);
    machine_close(m);
}

static void what_is_asked_for_meets_it(void **state)
{
    struct machine *m = open_machine();
    (void)state;
    ranges[0] = (struct ntmm_foreign_range){BASE + 3 * KIB64, BASE + 4 * KIB64};
    count = 1;
    uint64_t base = BASE + KIB64;
    assert_int_equal(reserve(m, &base, 0), NTMM_STATUS_CONFLICTING_ADDRESSES);
    base = BASE + 3 * KIB64;
    assert_int_equal(reserve(m, &base, 0), NTMM_STATUS_CONFLICTING_ADDRESSES);
    base = BASE;
    assert_int_equal(reserve(m, &base, 0), NTMM_STATUS_SUCCESS);
    base = BASE + 4 * KIB64;
    assert_int_equal(reserve(m, &base, 0), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(room_is_found_above),
        cmocka_unit_test(room_is_found_below),
        cmocka_unit_test(there_is_no_room),
        cmocka_unit_test(what_is_asked_for_meets_it),
    };
    return cmocka_run_group_tests_name("foreign_ranges", tests, NULL, NULL);
}
