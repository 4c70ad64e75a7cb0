/* Checked arithmetic and rounding at their edges. */
#include "base/bits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define TOP (UINT64_C(1) << 63)

static void sums_wrap_only_beyond_the_end(void **state)
{
    (void)state;
    uint64_t sum;
    assert_false(add_overflows(0, 0, &sum));
    assert_int_equal(sum, 0);
    assert_false(add_overflows(UINT64_MAX - 5, 5, &sum));
    assert_int_equal(sum, UINT64_MAX);
    assert_true(add_overflows(UINT64_MAX - 5, 6, &sum));
    assert_int_equal(sum, 0);
    assert_true(add_overflows(UINT64_MAX, UINT64_MAX, &sum));
    assert_int_equal(sum, UINT64_MAX - 1);
}

static void products_wrap_only_beyond_the_end(void **state)
{
    (void)state;
    uint64_t product;
    assert_false(mul_overflows(0, UINT64_MAX, &product));
    assert_int_equal(product, 0);
    assert_false(mul_overflows(UINT64_C(0xffffffff), UINT64_C(0x100000001), &product));
    assert_int_equal(product, UINT64_MAX);
    assert_true(mul_overflows(UINT64_C(1) << 32, UINT64_C(1) << 32, &product));
    assert_int_equal(product, 0);
    assert_true(mul_overflows(3, TOP, &product));
    assert_int_equal(product, TOP);
}

static void powers_of_two_are_recognised(void **state)
{
    (void)state;
    assert_false(is_power_of_two(0));
    assert_true(is_power_of_two(1));
    assert_true(is_power_of_two(2));
    assert_false(is_power_of_two(3));
    assert_true(is_power_of_two(TOP));
    assert_false(is_power_of_two(TOP + 1));
    assert_false(is_power_of_two(UINT64_MAX));
}

static void rounding_keeps_multiples(void **state)
{
    (void)state;
    assert_int_equal(round_down(0x12345, 0x1000), 0x12000);
    assert_int_equal(round_up(0x12345, 0x1000), 0x13000);
    assert_int_equal(round_down(0x12000, 0x1000), 0x12000);
    assert_int_equal(round_up(0x12000, 0x1000), 0x12000);
    assert_int_equal(round_up(0, 0x1000), 0);
    assert_int_equal(round_up(77, 1), 77);
    assert_int_equal(round_down(UINT64_MAX, TOP), TOP);
    assert_true(is_multiple(0x12000, 0x1000));
    assert_false(is_multiple(0x12001, 0x1000));
    assert_true(is_multiple(0, TOP));
}

static void rounding_up_tells_overflow(void **state)
{
    (void)state;
    uint64_t rounded;
    assert_false(round_up_overflows(0, 0x1000, &rounded));
    assert_int_equal(rounded, 0);
    assert_false(round_up_overflows(UINT64_MAX - 0xfff, 0x1000, &rounded));
    assert_int_equal(rounded, UINT64_MAX - 0xfff);
    assert_true(round_up_overflows(UINT64_MAX - 0xffe, 0x1000, &rounded));
    assert_int_equal(rounded, 0);
    assert_false(round_up_overflows(UINT64_MAX, 1, &rounded));
    assert_int_equal(rounded, UINT64_MAX);
}

static void the_lesser_and_the_greater(void **state)
{
    (void)state;
    assert_int_equal(min_u64(3, UINT64_MAX), 3);
    assert_int_equal(min_u64(4, 4), 4);
    assert_int_equal(min_u64(5, 3), 3);
    assert_int_equal(max_u64(3, UINT64_MAX), UINT64_MAX);
    assert_int_equal(max_u64(5, 3), 5);
}

static void logarithms_round_both_ways(void **state)
{
    (void)state;
    assert_int_equal(floor_log2(1), 0);
    assert_int_equal(ceil_log2(1), 0);
    assert_int_equal(floor_log2(4096), 12);
    assert_int_equal(ceil_log2(4096), 12);
    assert_int_equal(floor_log2(4097), 12);
    assert_int_equal(ceil_log2(4097), 13);
    assert_int_equal(floor_log2(4095), 11);
    assert_int_equal(ceil_log2(4095), 12);
    assert_int_equal(floor_log2(UINT64_MAX), 63);
    assert_int_equal(ceil_log2(TOP), 63);
    assert_int_equal(ceil_log2(TOP + 1), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_wrap_only_beyond_the_end),
        cmocka_unit_test(products_wrap_only_beyond_the_end),
        cmocka_unit_test(powers_of_two_are_recognised),
        cmocka_unit_test(rounding_keeps_multiples),
        cmocka_unit_test(rounding_up_tells_overflow),
        cmocka_unit_test(the_lesser_and_the_greater),
        cmocka_unit_test(logarithms_round_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
