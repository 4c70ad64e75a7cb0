/* The generator: published outputs, bounds, spread, and repetition from a saved state. */
#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The outputs of splitmix64 for the seed 1234567, as its users publish them. */
static void splitmix64_gives_its_published_outputs(void **state)
{
    (void)state;
    uint64_t seed = 1234567;
    assert_int_equal(splitmix64(&seed), UINT64_C(6457827717110365317));
    assert_int_equal(splitmix64(&seed), UINT64_C(3203168211198807973));
    assert_int_equal(splitmix64(&seed), UINT64_C(9817491932198370423));
    assert_int_equal(splitmix64(&seed), UINT64_C(4593380528125082431));
    assert_int_equal(splitmix64(&seed), UINT64_C(16408922859458223821));
}

/*
 * From the state 1, 2, 3, 4 by hand: the second word is 2, then 0, then 2^18 + 5, so that the first
 * outputs are rotl(2 * 5, 7) * 9 = 11520, 0 and rotl((2^18 + 5) * 5, 7) * 9.
 */
static void xoshiro_gives_its_first_outputs(void **state)
{
    (void)state;
    struct prng prng;
    for (unsigned i = 0; i < 4; i++) {
        set64(&prng.state[i], i + 1);
    }
    assert_int_equal(prng_next(&prng), 11520);
    assert_int_equal(prng_next(&prng), 0);
    assert_int_equal(prng_next(&prng), UINT64_C(1509978240));
    assert_int_equal(prng_next(&prng), UINT64_C(1215971899390074240));
}

static void the_same_seed_gives_the_same_run(void **state)
{
    (void)state;
    struct prng a, b, other;
    prng_seed(&a, 42);
    prng_seed(&b, 42);
    prng_seed(&other, 43);
    unsigned equal_to_other = 0;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t value = prng_next(&a);
        assert_int_equal(value, prng_next(&b));
        equal_to_other += value == prng_next(&other);
    }
    assert_int_equal(equal_to_other, 0);
}

static void a_saved_state_goes_on(void **state)
{
    (void)state;
    struct prng prng, saved;
    prng_seed(&prng, 7);
    prng_next(&prng);
    saved = prng;
    uint64_t expected = prng_next(&prng);
    assert_int_equal(prng_next(&saved), expected);
}

static void seed_0_is_a_seed(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 0);
    uint64_t bits = 0;
    for (unsigned i = 0; i < 64; i++) {
        bits |= prng_next(&prng);
    }
    assert_int_equal(bits, UINT64_MAX);
}

/* 60,000 draws below 6: each value 10,000 times, within 500: more than five standard deviations. */
static void draws_below_a_bound_are_even(void **state)
{
    (void)state;
    struct prng prng;
    unsigned seen[6] = {0};
    prng_seed(&prng, 1);
    for (unsigned i = 0; i < 60000; i++) {
        uint64_t draw = prng_below(&prng, 6);
        assert_in_range(draw, 0, 5);
        seen[draw]++;
    }
    for (unsigned i = 0; i < 6; i++) {
        assert_in_range(seen[i], 9500, 10500);
    }
}

static void bounds_may_be_extreme(void **state)
{
    (void)state;
    struct prng prng;
    uint64_t bits = 0;
    prng_seed(&prng, 2);
    for (unsigned i = 0; i < 64; i++) {
        assert_int_equal(prng_below(&prng, 1), 0);
        assert_in_range(prng_below(&prng, 2), 0, 1);
        assert_true(prng_below(&prng, (UINT64_C(1) << 63) + 1) <= UINT64_C(1) << 63);
        assert_int_equal(prng_between(&prng, 9, 9), 9);
        assert_in_range(prng_between(&prng, 10, 12), 10, 12);
        assert_true(prng_between(&prng, UINT64_MAX - 1, UINT64_MAX) >= UINT64_MAX - 1);
        bits |= prng_between(&prng, 0, UINT64_MAX);
    }
    assert_int_equal(bits, UINT64_MAX);
}

static void a_range_reaches_both_its_ends(void **state)
{
    (void)state;
    struct prng prng;
    unsigned seen[4] = {0};
    prng_seed(&prng, 3);
    for (unsigned i = 0; i < 200; i++) {
        seen[prng_between(&prng, 10, 13) - 10]++;
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_not_equal(seen[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splitmix64_gives_its_published_outputs),
        cmocka_unit_test(xoshiro_gives_its_first_outputs),
        cmocka_unit_test(the_same_seed_gives_the_same_run),
        cmocka_unit_test(a_saved_state_goes_on),
        cmocka_unit_test(seed_0_is_a_seed),
        cmocka_unit_test(draws_below_a_bound_are_even),
        cmocka_unit_test(bounds_may_be_extreme),
        cmocka_unit_test(a_range_reaches_both_its_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
