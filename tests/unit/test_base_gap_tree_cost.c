/*
 * What searches of the gap tree cost, counted in nodes looked at: the source is compiled here once
 * more with an accessor that counts.
 */
#include "test_base_gap_tree.h"

#include "base/bits.h"
#include "base/prng.h"

static uint64_t looks;

static void *counted_core_at(uintptr_t bias, uint64_t ref)
{
    looks++;
    return core_at(bias, ref);
}

#define core_at counted_core_at
#define gap_tree_search_lowest counted_search_lowest
#define gap_tree_search_highest counted_search_highest
bool counted_search_lowest(uintptr_t bias, struct gap_tree *tree, const struct gap_wish *wish,
                           uint64_t *start, struct gap_place *place);
bool counted_search_highest(uintptr_t bias, struct gap_tree *tree, const struct gap_wish *wish,
                            uint64_t *start, struct gap_place *place);
#include "base/gap_tree_search.c" /* NOLINT: the subject, with its accessor replaced */

enum { NODES = 1 << 16, STRIDE = 64, SEARCHES = 20000, LEVELS = 3 };

/* A range every 64 pages, of 16, 32 or 48, so that gaps of 48, 32 and 16 lie everywhere. */
static void plant_field(struct orchard *o)
{
    struct prng prng;
    prng_seed(&prng, 1);
    orchard_init(o, NODES / 13, 16);
    for (size_t i = 0; i < NODES; i++) {
        size_t place = i * 40503 % NODES;
        plant(o, i, place * STRIDE, place * STRIDE + 16 * prng_between(&prng, 1, 3));
    }
    assert_sound(o);
    assert_int_equal(get32(&((struct gap_node *)node_of(o, get64(&o->tree.root)))->level),
                     LEVELS - 1);
}

/*
 * A search at the granule's alignment walks down once and to at most two more candidates, up and
 * down again, whereby the way up is known; the root is looked at once more, for the room before
 * all.
 */
static void bounded_searches_look_at_few_nodes(void **state)
{
    (void)state;
    struct orchard o;
    struct prng prng;
    struct gap_place place;
    plant_field(&o);
    prng_seed(&prng, 2);
    for (unsigned i = 0; i < SEARCHES; i++) {
        uint64_t lo = prng_below(&prng, NODES * STRIDE);
        uint64_t hi = lo + prng_below(&prng, NODES * STRIDE >> prng_below(&prng, 16));
        uint64_t pages = 16 * prng_between(&prng, 1, 4), start;
        uint64_t first = i % 3 == 0 ? 0 : lo, last = i % 3 == 1 ? NODES * STRIDE : hi;
        looks = 0;
        const struct gap_wish wish = {first, last, pages, 16};
        counted_search_lowest(o.bias, &o.tree, &wish, &start, &place);
        assert_in_range(looks, 0, 3 * LEVELS + 1);
        looks = 0;
        counted_search_highest(o.bias, &o.tree, &wish, &start, &place);
        assert_in_range(looks, 0, 3 * LEVELS + 1);
    }
    orchard_free(&o);
}

/* Where nothing fits, inner nodes say so; only the room after the last range is then looked at. */
static void searches_in_vain_look_at_two_paths(void **state)
{
    (void)state;
    struct orchard o;
    uint64_t start;
    struct gap_place place;
    const struct gap_wish wish = {0, NODES * STRIDE, 64, 16};
    plant_field(&o);
    looks = 0;
    assert_false(counted_search_lowest(o.bias, &o.tree, &wish, &start, &place));
    assert_in_range(looks, 1, 2 * LEVELS + 1);
    looks = 0;
    assert_false(counted_search_highest(o.bias, &o.tree, &wish, &start, &place));
    assert_in_range(looks, 1, 2 * LEVELS + 1);
    orchard_free(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounded_searches_look_at_few_nodes),
        cmocka_unit_test(searches_in_vain_look_at_two_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
