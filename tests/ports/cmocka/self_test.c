/*
 * The assertions of cmocka.h, each of which must fail: `self_test N` runs the N-th, and ends with
 * status 1 and without a closing line. Without an argument: how many there are, and that each of
 * their opposites holds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

static const uint8_t BYTES[] = {1, 2, 3, 4};
static const uint8_t OTHERS[] = {1, 2, 3, 5};
static uint64_t high = UINT64_C(1) << 32; /* what 32 bits lose */

static void true_fails(void **state) { (void)state, assert_true(high == 0); }
static void false_fails(void **state) { (void)state, assert_false(high != 0); }
static void wide_true(void **state) { (void)state, assert_false(high); }
static void null_fails(void **state) { (void)state, assert_null(BYTES); }
static void non_null_fails(void **state) { assert_non_null(*state); }
static void equal_fails(void **state) { (void)state, assert_int_equal(high, 0); }
static void not_equal_fails(void **state) { (void)state, assert_int_not_equal(high, 1ull << 32); }
static void pointers_fail(void **state) { (void)state, assert_ptr_equal(BYTES, BYTES + 1); }
static void same_pointers_fail(void **state) { (void)state, assert_ptr_not_equal(BYTES, BYTES); }
static void below_range(void **state) { (void)state, assert_in_range(1, 2, high); }
static void above_range(void **state) { (void)state, assert_in_range(high, 0, 0xFFFFFFFF); }
static void strings_fail(void **state) { (void)state, assert_string_equal("ab", "ac"); }
static void same_strings_fail(void **state) { (void)state, assert_string_not_equal("ab", "ab"); }
static void bytes_fail(void **state) { (void)state, assert_memory_equal(BYTES, OTHERS, 4); }
static void same_bytes_fail(void **state)
{
    (void)state, assert_memory_not_equal(BYTES, OTHERS, 3);
}
static void fail_fails(void **state) { (void)state, fail(); }
static void message_fails(void **state) { (void)state, fail_msg("%d", 1); }

static int refuse(void **state) { return *state == NULL; }
static void nothing(void **state) { (void)state; }

static void all_hold(void **state)
{
    assert_true(high);
    assert_false(high == 0);
    assert_null(*state);
    assert_non_null(BYTES);
    assert_int_equal(high, 1ull << 32);
    assert_int_not_equal(high, 0);
    assert_ptr_equal(BYTES, BYTES);
    assert_ptr_not_equal(BYTES, OTHERS);
    assert_in_range(2, 2, 2);
    assert_string_equal("ab", "ab");
    assert_string_not_equal("ab", "ac");
    assert_memory_equal(BYTES, OTHERS, 3);
    assert_memory_not_equal(BYTES, OTHERS, 4);
}

static void skipped(void **state)
{
    (void)state;
    skip();
}

/* The runner's environment names it. */
static void named(void **state)
{
    (void)state;
    fail_msg("NTMM_PORTS_SKIP is not heard");
}

int main(int count, char **arguments)
{
    const struct CMUnitTest failing[] = {
        cmocka_unit_test(true_fails),
        cmocka_unit_test(false_fails),
        cmocka_unit_test(wide_true),
        cmocka_unit_test(null_fails),
        cmocka_unit_test(non_null_fails),
        cmocka_unit_test(equal_fails),
        cmocka_unit_test(not_equal_fails),
        cmocka_unit_test(pointers_fail),
        cmocka_unit_test(same_pointers_fail),
        cmocka_unit_test(below_range),
        cmocka_unit_test(above_range),
        cmocka_unit_test(strings_fail),
        cmocka_unit_test(same_strings_fail),
        cmocka_unit_test(bytes_fail),
        cmocka_unit_test(same_bytes_fail),
        cmocka_unit_test(fail_fails),
        cmocka_unit_test(message_fails),
        cmocka_unit_test_setup_teardown(nothing, refuse, NULL),
        cmocka_unit_test_setup_teardown(nothing, NULL, refuse),
    };
    const size_t failing_count = sizeof failing / sizeof *failing;
    const struct CMUnitTest holding[] = {
        cmocka_unit_test(all_hold),
        cmocka_unit_test(skipped),
        cmocka_unit_test(named),
    };
    if (count < 2) {
        printf("%u assertions fail\n", (unsigned)failing_count);
        return cmocka_run_group_tests(holding, NULL, NULL);
    }
    size_t number = (size_t)strtoul(arguments[1], NULL, 10);
    const struct CMUnitTest one[] = {failing[number < failing_count ? number : 0]};
    return cmocka_run_group_tests(one, NULL, NULL);
}
