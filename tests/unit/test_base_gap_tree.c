/*
 * The gap tree, case by case. A strip draws the pages: a letter is a page of that range (A has
 * reference 0), a dot is free.
 */
#include "test_base_gap_tree.h"

#define NONE UINT64_MAX

enum { A, B, C, D, E, F, G, H };

static void plant_strip(struct orchard *o, uint64_t granule, const char *strip)
{
    orchard_init(o, 4, granule);
    for (size_t start = 0; strip[start] != '\0';) {
        size_t end = start + 1;
        while (strip[end] == strip[start]) {
            end++;
        }
        if (strip[start] != '.') {
            plant(o, (size_t)(strip[start] - 'A'), start, end);
            assert_sound(o);
        }
        start = end;
    }
}

static void assert_range(const struct gap_range *range, size_t index, uint64_t start, uint64_t end)
{
    assert_int_equal(range->ref, ref_of(index));
    assert_int_equal(range->start, start);
    assert_int_equal(range->end, end);
}

/* In order the tree holds what the strip draws. */
static void assert_strip(const struct orchard *o, const char *strip)
{
    struct gap_range range = {.end = 0};
    uint64_t count = 0;
    assert_sound(o);
    for (size_t start = 0; strip[start] != '\0';) {
        size_t end = start + 1;
        while (strip[end] == strip[start]) {
            end++;
        }
        if (strip[start] != '.') {
            assert_true(gap_tree_find_at_or_after(o->bias, &o->tree, range.end, &range));
            assert_range(&range, (size_t)(strip[start] - 'A'), start, end);
            count++;
        }
        start = end;
    }
    assert_false(gap_tree_find_at_or_after(o->bias, &o->tree, range.end, &range));
    assert_int_equal(get64(&o->tree.count), count);
    struct gap_range first = {.ref = 0};
    (void)gap_tree_find_at_or_after(o->bias, &o->tree, 0, &first);
    assert_int_equal(gap_tree_first(o->bias, &o->tree), first.ref);
}

static uint64_t lowest(struct orchard *o, uint64_t lo, uint64_t hi, uint64_t pages, uint64_t align)
{
    const struct gap_wish wish = {lo, hi, pages, align};
    uint64_t start = NONE - 1;
    struct gap_place place;
    bool found = gap_tree_search_lowest(o->bias, &o->tree, &wish, &start, &place);
    assert_true(found || start == NONE - 1);
    return found ? start : NONE;
}

static uint64_t highest(struct orchard *o, uint64_t lo, uint64_t hi, uint64_t pages, uint64_t align)
{
    const struct gap_wish wish = {lo, hi, pages, align};
    uint64_t start = NONE - 1;
    struct gap_place place;
    bool found = gap_tree_search_highest(o->bias, &o->tree, &wish, &start, &place);
    assert_true(found || start == NONE - 1);
    return found ? start : NONE;
}

static void an_empty_tree(void **state)
{
    (void)state;
    struct orchard o;
    struct gap_range range = {.ref = 77};
    orchard_init(&o, 1, 16);
    assert_sound(&o);
    assert_int_equal(gap_tree_find(o.bias, &o.tree, 0), 0);
    assert_false(gap_tree_find_at_or_after(o.bias, &o.tree, 0, &range));
    assert_int_equal(range.ref, 77);
    assert_true(gap_tree_is_free(o.bias, &o.tree, 0, UINT64_MAX));
    assert_int_equal(lowest(&o, 17, 100, 16, 16), 32);
    assert_int_equal(highest(&o, 17, 100, 16, 16), 80);
    assert_int_equal(lowest(&o, 0, 16, 16, 16), 0);
    assert_int_equal(highest(&o, 0, 16, 16, 16), 0);
    assert_bare(&o);
    orchard_free(&o);
}

static void assert_next(const struct orchard *o, uint64_t page, size_t index)
{
    struct gap_range range;
    assert_true(gap_tree_find_at_or_after(o->bias, &o->tree, page, &range));
    assert_int_equal(range.ref, ref_of(index));
}

static void find_looks_at_both_ends(void **state)
{
    (void)state;
    struct orchard o;
    struct gap_range range;
    /*                  0  2   6  9  */
    plant_strip(&o, 1, "..AAAA...BBC");
    assert_int_equal(gap_tree_find(o.bias, &o.tree, 1), 0);
    assert_int_equal(gap_tree_find(o.bias, &o.tree, 2), ref_of(A));
    assert_int_equal(gap_tree_find(o.bias, &o.tree, 5), ref_of(A));
    assert_int_equal(gap_tree_find(o.bias, &o.tree, 6), 0);
    assert_int_equal(gap_tree_find(o.bias, &o.tree, 8), 0);
    assert_int_equal(gap_tree_find(o.bias, &o.tree, 9), ref_of(B));
    assert_int_equal(gap_tree_find(o.bias, &o.tree, 11), ref_of(C));
    assert_int_equal(gap_tree_find(o.bias, &o.tree, 12), 0);
    assert_next(&o, 0, A);
    assert_next(&o, 5, A);
    assert_next(&o, 6, B);
    assert_next(&o, 11, C);
    assert_false(gap_tree_find_at_or_after(o.bias, &o.tree, 12, &range));
    orchard_free(&o);
}

static void is_free_takes_half_open_ranges(void **state)
{
    (void)state;
    struct orchard o;
    plant_strip(&o, 1, "..AAAA...BBC");
    assert_true(gap_tree_is_free(o.bias, &o.tree, 0, 2));
    assert_false(gap_tree_is_free(o.bias, &o.tree, 0, 3));
    assert_true(gap_tree_is_free(o.bias, &o.tree, 6, 9));
    assert_false(gap_tree_is_free(o.bias, &o.tree, 5, 9));
    assert_false(gap_tree_is_free(o.bias, &o.tree, 6, 10));
    assert_false(gap_tree_is_free(o.bias, &o.tree, 0, 20));
    assert_true(gap_tree_is_free(o.bias, &o.tree, 12, UINT64_MAX));
    assert_true(gap_tree_is_free(o.bias, &o.tree, 3, 3));
    orchard_free(&o);
}

/* Ranges of 16 pages every 64, from page 0, in ascending order: the gaps are of 48. */
static void plant_field(struct orchard *o, size_t count)
{
    orchard_init(o, count, 16);
    for (size_t i = 0; i < count; i++) {
        plant(o, i, i * 64, i * 64 + 16);
    }
    assert_sound(o);
}

static struct gap_node *root_of(const struct orchard *o)
{
    return node_of(o, get64(&o->tree.root));
}

static struct gap_node *child_of(const struct orchard *o, uint32_t index)
{
    return node_of(o, get64(&root_of(o)->ref[index]));
}

/* How many entries the children of the root have, which has only two. */
static void assert_halves(const struct orchard *o, uint32_t left, uint32_t right)
{
    assert_sound(o);
    assert_int_equal(get32(&root_of(o)->level), 1);
    assert_int_equal(get32(&root_of(o)->count), 2);
    assert_int_equal(get32(&child_of(o, 0)->count), left);
    assert_int_equal(get32(&child_of(o, 1)->count), right);
}

/* A full leaf splits into one that has least and one that gets the next of the order, or evenly. */
static void a_leaf_splits_where_the_order_says(void **state)
{
    (void)state;
    struct orchard o;
    plant_field(&o, 56);
    assert_halves(&o, 43, 13);
    orchard_free(&o);

    orchard_init(&o, 3, 16);
    for (size_t i = 56; i-- > 0;) {
        plant(&o, i, i * 64, i * 64 + 16);
    }
    assert_halves(&o, 13, 43);
    orchard_free(&o);

    orchard_init(&o, 3, 16);
    for (size_t i = 0; i < 55; i++) {
        plant(&o, i, i * 64, i * 64 + 16);
    }
    plant(&o, 55, 30 * 64 + 32, 30 * 64 + 48);
    assert_halves(&o, 28, 28);
    assert_int_equal(get64(&root_of(&o)->key[0]), 0);
    assert_int_equal(get64(&root_of(&o)->key[1]), 28 * 64);
    orchard_free(&o);
}

/* 43 and 13; one less on the right: 27 and 28; sixteen less: 27 + 12 are one leaf. */
static void leaves_even_out_and_merge(void **state)
{
    (void)state;
    struct orchard o;
    plant_field(&o, 56);
    uproot(&o, 50 * 64);
    assert_halves(&o, 27, 28);
    assert_int_equal(get64(&root_of(&o)->key[1]), 27 * 64);
    for (size_t i = 0; i < 15; i++) {
        uproot(&o, (30 + i) * 64);
        assert_halves(&o, 27, 27 - (uint32_t)i);
    }
    uproot(&o, 27 * 64); /* the first of its leaf */
    assert_sound(&o);
    assert_int_equal(get32(&root_of(&o)->level), 0);
    assert_int_equal(get32(&root_of(&o)->count), 39);
    assert_int_equal(nodes_used(&o), 1);
    orchard_free(&o);
}

static void a_leaf_takes_from_the_left_and_from_the_right(void **state)
{
    (void)state;
    struct orchard o;
    plant_field(&o, 56);
    for (size_t i = 0; i < 31; i++) {
        uproot(&o, i * 64);
    }
    /* 12 on the left and 13 on the right are one. */
    assert_int_equal(get32(&root_of(&o)->level), 0);
    assert_int_equal(get32(&root_of(&o)->count), 25);
    orchard_free(&o);

    plant_field(&o, 56 + 30); /* 43, and the other 43 */
    assert_halves(&o, 43, 43);
    for (size_t i = 0; i < 31; i++) {
        uproot(&o, i * 64);
    }
    assert_halves(&o, 27, 28);
    orchard_free(&o);
}

/* The gaps in the root: of the left leaf up to the first range on the right, of the other open. */
static void the_root_knows_the_widest_gaps(void **state)
{
    (void)state;
    struct orchard o;
    plant_field(&o, 56);
    assert_int_equal(get64(&root_of(&o)->gap[0]), 48);
    assert_int_equal(get64(&root_of(&o)->gap[1]), GAP_TREE_OPEN);
    uproot(&o, 43 * 64); /* the first on the right: 12 are left, so both even out */
    assert_int_equal(get64(&root_of(&o)->gap[0]), 48);
    uproot(&o, 10 * 64);
    assert_int_equal(get64(&root_of(&o)->gap[0]), 48 + 64);
    plant(&o, 10, 10 * 64 + 1, 10 * 64 + 2); /* before it 49, after it 48 */
    assert_int_equal(get64(&root_of(&o)->gap[0]), 49);
    assert_sound(&o);
    gap_tree_resize(o.bias, &o.tree, 5 * 64, 5 * 64 + 3, 5 * 64 + 17); /* from 32 on, to 64: 32 */
    assert_int_equal(get64(&root_of(&o)->gap[0]), 51);                 /* before it, from 16 on */
    assert_sound(&o);
    orchard_free(&o);
}

/* However 20,000 ranges come and go, half of them in another order, the tree stays sound. */
static void every_order_keeps_the_tree_sound(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    for (size_t order = 0; order < 4; order++) {
        struct orchard o;
        orchard_init(&o, COUNT / 13 + 200, 1);
        for (size_t turn = 0; turn < 2; turn++) {
            for (size_t i = 0; i < COUNT; i++) {
                size_t zigzag = i % 2 == 0 ? i / 2 : COUNT - 1 - i / 2;
                size_t places[4] = {i, COUNT - 1 - i, zigzag, i * 7919 % COUNT};
                size_t place = places[(order + turn) % 4];
                if (turn == 0) {
                    plant(&o, place, place * 3, place * 3 + 2);
                } else {
                    assert_int_equal(gap_tree_find(o.bias, &o.tree, place * 3), ref_of(place));
                    uproot(&o, place * 3);
                }
                if (i % 97 == 0) {
                    assert_sound(&o);
                }
            }
        }
        assert_bare(&o);
        orchard_free(&o);
    }
}

/* Seven ranges; removing one or two of them, any. */
static void removing_keeps_the_rest(void **state)
{
    (void)state;
    static const char full[] = "A.B.CC..D.EE.F...G";
    for (unsigned first = A; first <= G; first++) {
        for (unsigned second = A; second <= G; second++) {
            struct orchard o;
            char strip[sizeof(full)];
            memcpy(strip, full, sizeof(full));
            plant_strip(&o, 2, full);
            for (size_t turn = 0; turn < (first == second ? 1 : 2); turn++) {
                char victim = (char)('A' + (int)(turn == 0 ? first : second));
                uproot(&o, (uint64_t)(strchr(full, victim) - full));
                for (size_t i = 0; strip[i] != '\0'; i++) {
                    strip[i] = strip[i] == victim ? '.' : strip[i];
                }
                assert_strip(&o, strip);
            }
            orchard_free(&o);
        }
    }
}

static void removing_all_leaves_no_node(void **state)
{
    (void)state;
    struct orchard o;
    plant_strip(&o, 1, "AB.CD.E");
    assert_int_equal(nodes_used(&o), 1);
    for (unsigned i = A; i <= E; i++) {
        uproot(&o, i + (i > B) + (i > D));
        assert_sound(&o);
    }
    assert_bare(&o);
    orchard_free(&o);
}

static void resizing_moves_either_end(void **state)
{
    (void)state;
    struct orchard o;
    plant_strip(&o, 4, "..AA....BBBB....CC..");
    gap_tree_resize(o.bias, &o.tree, 8, 8, 16); /* grow up to its successor */
    assert_strip(&o, "..AA....BBBBBBBBCC..");
    gap_tree_resize(o.bias, &o.tree, 8, 4, 16); /* grow down to its predecessor */
    assert_strip(&o, "..AABBBBBBBBBBBBCC..");
    gap_tree_resize(o.bias, &o.tree, 4, 5, 6); /* shrink at both ends */
    assert_strip(&o, "..AA.B..........CC..");
    gap_tree_resize(o.bias, &o.tree, 5, 9, 11); /* move off its old place */
    assert_strip(&o, "..AA.....BB.....CC..");
    gap_tree_resize(o.bias, &o.tree, 2, 0, 9); /* the first */
    assert_strip(&o, "AAAAAAAAABB.....CC..");
    gap_tree_resize(o.bias, &o.tree, 16, 17, 20); /* the last */
    assert_strip(&o, "AAAAAAAAABB......CCC");
    gap_tree_resize(o.bias, &o.tree, 17, 17, 20); /* nothing */
    assert_strip(&o, "AAAAAAAAABB......CCC");
    orchard_free(&o);
}

struct search {
    const char *strip;
    uint64_t granule, lo, hi, pages, align;
    uint64_t lowest, highest;
};

static const struct search searches[] = {
    /*0   4   8   12  16  20    gran lo  hi  pages align low   high */
    {"AA..BB....CC", 1, 0, 12, 1, 1, 2, 9},            /* any free page */
    {"AA..BB....CC", 1, 0, 12, 2, 1, 2, 8},            /* the first gap fits exactly */
    {"AA..BB....CC", 1, 0, 12, 3, 1, 6, 7},            /* the first gap is too small */
    {"AA..BB....CC", 1, 0, 12, 4, 1, 6, 6},            /* the second fits exactly */
    {"AA..BB....CC", 1, 0, 12, 5, 1, NONE, NONE},      /* none fits */
    {"AA..BB....CC", 1, 0, 17, 5, 1, 12, 12},          /* but the room after the last */
    {"AA..BB....CC", 1, 3, 9, 1, 1, 3, 8},             /* both bounds cut a gap */
    {"AA..BB....CC", 1, 3, 9, 2, 1, 6, 7},             /* what lo leaves is too small */
    {"AA..BB....CC", 1, 2, 7, 2, 1, 2, 2},             /* what hi leaves is too small */
    {"AA..BB....CC", 1, 3, 7, 2, 1, NONE, NONE},       /* both */
    {"AA..BB....CC", 1, 5, 11, 4, 1, 6, 6},            /* bounds inside nodes */
    {"AA..BB....CC", 1, 4, 6, 1, 1, NONE, NONE},       /* bounds on a node */
    {"AA..BB....CC", 1, 7, 9, 2, 1, 7, 7},             /* bounds inside one gap */
    {"AA..BB....CC", 1, 0, 12, 2, 4, 8, 8},            /* coarser than the granule */
    {"AA..BB....CC", 1, 0, 19, 4, 8, NONE, NONE},      /* 8 is free, but only for 2 */
    {"AA..BB....CC", 1, 0, 20, 4, 8, 16, 16},          /* 16 is free for 4 */
    {"AA..BB....CC", 1, 0, 20, 2, 8, 8, 16},           /* alignment in the tail */
    {"....BB..C..D", 1, 0, 12, 4, 4, 0, 0},            /* the room before the first */
    {"....BB..C..D", 1, 1, 12, 3, 1, 1, 1},            /* cut by lo */
    {"....BB..C..D", 1, 1, 12, 3, 2, NONE, NONE},      /* cut, and then misaligned */
    {"A..B..........CC", 4, 0, 16, 4, 4, 4, 8},        /* the granule's alignment */
    {"A..B..........CC", 4, 0, 16, 8, 4, 4, 4},        /* 4..12 of 4..14 */
    {"A..B..........CC", 4, 0, 16, 12, 4, NONE, NONE}, /* 10 pages, not 12 */
    {"A..B..........CC", 4, 0, 16, 1, 1, 1, 13},       /* finer: room that gap does not count */
    {"A..B..........CC", 4, 0, 16, 2, 2, 4, 12},       /* 2 is free for one page only */
    {"A.B.C.D", 4, 0, 7, 1, 1, 1, 5},                  /* all gaps are 0, not so the room */
    {"A.B.C.D", 4, 2, 5, 1, 1, 3, 3},
    {"A.B.C.D", 4, 0, 7, 2, 1, NONE, NONE},
    {"ABCDEFGH", 1, 0, 8, 1, 1, NONE, NONE}, /* full */
    {"ABCDEFGH", 1, 0, 9, 1, 1, 8, 8},
    {"AA..BB....CC", 1, 0, 12, 0, 1, NONE, NONE}, /* no pages */
    {"AA..BB....CC", 1, 6, 6, 1, 1, NONE, NONE},  /* no bounds */
    {"AA..BB....CC", 1, 8, 6, 1, 1, NONE, NONE},
    {"AA..BB....CC", 1, 6, 10, 5, 1, NONE, NONE}, /* bounds closer than pages */
};

static void searches_find_the_lowest_and_the_highest(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(searches) / sizeof(searches[0]); i++) {
        const struct search *s = &searches[i];
        struct orchard o;
        plant_strip(&o, s->granule, s->strip);
        uint64_t low = lowest(&o, s->lo, s->hi, s->pages, s->align);
        uint64_t high = highest(&o, s->lo, s->hi, s->pages, s->align);
        if (low != s->lowest || high != s->highest) {
            fail_msg("search %zu gave %lld and %lld", i, (long long)low, (long long)high);
        }
        orchard_free(&o);
    }
}

static void searches_survive_the_end_of_numbers(void **state)
{
    (void)state;
    struct orchard o;
    plant_strip(&o, 16, "A");
    plant(&o, B, GAP_TREE_END_MAX - 1, GAP_TREE_END_MAX);
    assert_sound(&o);
    assert_int_equal(lowest(&o, UINT64_MAX - 3, UINT64_MAX, 3, 1), UINT64_MAX - 3);
    assert_int_equal(highest(&o, UINT64_MAX - 3, UINT64_MAX, 3, 1), UINT64_MAX - 3);
    assert_int_equal(lowest(&o, UINT64_MAX - 3, UINT64_MAX, 1, 16), NONE);
    assert_int_equal(highest(&o, UINT64_MAX - 3, UINT64_MAX, 1, 16), NONE);
    assert_int_equal(lowest(&o, 0, UINT64_MAX, UINT64_MAX, 1), NONE);
    assert_int_equal(lowest(&o, 0, UINT64_MAX, GAP_TREE_END_MAX, 1), GAP_TREE_END_MAX);
    assert_int_equal(highest(&o, 0, GAP_TREE_END_MAX, 1, 16), GAP_TREE_END_MAX - 16);
    assert_int_equal(lowest(&o, 0, UINT64_MAX, 1, UINT64_C(1) << 63), UINT64_C(1) << 63);
    orchard_free(&o);
}

/* Two leaves, of 43 and 13 ranges; what each corruption breaks, and at which node it is seen. */
struct grove {
    struct orchard o;
    struct gap_node *root, *left, *right;
    uint64_t root_ref, left_ref, right_ref;
};

static void plant_grove(struct grove *g)
{
    plant_field(&g->o, 56);
    g->root = root_of(&g->o);
    g->left = child_of(&g->o, 0);
    g->right = child_of(&g->o, 1);
    g->root_ref = get64(&g->o.tree.root);
    g->left_ref = get64(&g->root->ref[0]);
    g->right_ref = get64(&g->root->ref[1]);
}

static void assert_defect(const struct grove *g, enum gap_tree_defect defect, uint64_t bad_ref)
{
    uint64_t seen = 0x5555, nodes = 0x6666;
    assert_int_equal(gap_tree_check(g->o.bias, &g->o.tree, &nodes, &seen), defect);
    assert_int_equal(seen, bad_ref);
    assert_int_equal(nodes, 0x6666);
}

/* Put value into the word, expect the defect, and take it back. */
static void corrupt(struct grove *g, le64 *word, uint64_t value, enum gap_tree_defect defect,
                    uint64_t bad_ref)
{
    uint64_t saved = get64(word);
    assert_int_not_equal(saved, value);
    set64(word, value);
    assert_defect(g, defect, bad_ref);
    set64(word, saved);
    assert_sound(&g->o);
}

static void corrupt32(struct grove *g, le32 *word, uint32_t value, enum gap_tree_defect defect,
                      uint64_t bad_ref)
{
    uint32_t saved = get32(word);
    assert_int_not_equal(saved, value);
    set32(word, value);
    assert_defect(g, defect, bad_ref);
    set32(word, saved);
    assert_sound(&g->o);
}

/* The trail: a byte a level, the leaf's lowest. */
static void assert_trail(const struct orchard *o, uint64_t in_root, uint64_t in_leaf)
{
    assert_int_equal(get64(&o->tree.trail), in_root << 8 | in_leaf);
}

static void a_change_leaves_its_trail(void **state)
{
    (void)state;
    struct grove g;
    plant_grove(&g); /* 43 and 13 ranges, each 64 after the last */
    plant(&g.o, 100, 45 * 64 + 32, 45 * 64 + 33);
    assert_trail(&g.o, 1, 3); /* at the new one */
    uproot(&g.o, 45 * 64 + 32);
    assert_trail(&g.o, 1, 2); /* at the one before: there the next one would go */
    uproot(&g.o, 0);
    assert_trail(&g.o, 0, 0);
    gap_tree_resize(g.o.bias, &g.o.tree, 7 * 64, 7 * 64, 7 * 64 + 2);
    assert_trail(&g.o, 0, 6);
    assert_sound(&g.o);
    orchard_free(&g.o);
}

/* Where the tree says that nothing is left for so many pages. */
static void assert_full(const struct orchard *o, uint64_t from, uint64_t until, uint64_t pages)
{
    assert_int_equal(get64(&o->tree.full_from), from);
    assert_int_equal(get64(&o->tree.full_until), until);
    assert_int_equal(get64(&o->tree.full_pages), pages);
}

static void what_is_full_is_not_searched_again(void **state)
{
    (void)state;
    struct grove g;
    plant_grove(&g); /* 56 ranges, each 64 after the last, with rooms of 48 */
    struct orchard *o = &g.o;
    assert_int_equal(lowest(o, 16, NONE, 64, 16), 55 * 64 + 16);
    assert_full(o, 16, 55 * 64 + 16, 64);
    plant(o, 100, 55 * 64 + 16, 56 * 64 + 16);
    assert_int_equal(lowest(o, 16, NONE, 64, 16), 56 * 64 + 16);
    assert_full(o, 16, 56 * 64 + 16, 64);
    assert_int_equal(lowest(o, 16, NONE, 65, 16), 56 * 64 + 16); /* more: it begins there too */
    assert_full(o, 16, 56 * 64 + 16, 64);
    uproot(o, 30 * 64); /* its room, and that before it */
    assert_full(o, 16, 29 * 64 + 16, 64);
    assert_int_equal(lowest(o, 16, NONE, 64, 16), 29 * 64 + 16);
    assert_int_equal(lowest(o, 16, NONE, 48, 16), 16); /* less: from the beginning */
    assert_full(o, 16, 16, 48);
    gap_tree_resize(o->bias, &o->tree, 7 * 64, 7 * 64, 7 * 64 + 2);
    assert_sound(o);
    uproot(o, 0);
    assert_int_equal(lowest(o, 0, NONE, 64, 16), 0);
    assert_sound(o);
    orchard_free(o);
}

/* Every index at either level, behind those in use too: the way is the same. */
static void no_trail_misleads(void **state)
{
    (void)state;
    struct grove g;
    plant_grove(&g);
    for (uint64_t trail = 0; trail < (2 << 8 | GAP_TREE_FANOUT); trail++) {
        if ((trail & 0xFF) >= GAP_TREE_FANOUT) {
            continue;
        }
        for (uint64_t i = 0; i < 56; i++) {
            struct gap_place place;
            set64(&g.o.tree.trail, trail);
            gap_tree_locate(g.o.bias, &g.o.tree, i * 64 + 5, &place);
            assert_int_equal(place.height, 2);
            assert_int_equal(place.step[1].index, i < 43 ? 0 : 1);
            assert_ptr_equal(place.step[0].node, i < 43 ? g.left : g.right);
            assert_int_equal(place.step[0].index, i < 43 ? i : i - 43);
        }
    }
    orchard_free(&g.o);
}

static void gt1_order(void **state)
{
    (void)state;
    struct grove g;
    plant_grove(&g);
    corrupt(&g, &g.left->end[5], 5 * 64, GAP_TREE_DEFECT_ORDER, g.left_ref);   /* empty */
    corrupt(&g, &g.left->key[5], 4 * 64, GAP_TREE_DEFECT_ORDER, g.left_ref);   /* where 4 starts */
    corrupt(&g, &g.left->key[42], 43 * 64, GAP_TREE_DEFECT_ORDER, g.left_ref); /* the next leaf's */
    corrupt(&g, &g.left->key[43], 1, GAP_TREE_DEFECT_ORDER, g.left_ref);       /* not in use */
    corrupt(&g, &g.right->key[55], 1 << 20, GAP_TREE_DEFECT_ORDER, g.right_ref);
    corrupt(&g, &g.root->key[1], 0, GAP_TREE_DEFECT_ORDER, g.root_ref);
    corrupt(&g, &g.right->end[12], GAP_TREE_END_MAX + 1, GAP_TREE_DEFECT_ORDER, g.right_ref);
    orchard_free(&g.o);
}

static void gt2_disjoint(void **state)
{
    (void)state;
    struct grove g;
    plant_grove(&g);
    corrupt(&g, &g.left->end[5], 6 * 64 + 1, GAP_TREE_DEFECT_OVERLAP, g.left_ref);
    corrupt(&g, &g.left->end[42], 43 * 64 + 1, GAP_TREE_DEFECT_OVERLAP, g.left_ref);
    orchard_free(&g.o);
}

static void gt3_level(void **state)
{
    (void)state;
    struct grove g;
    plant_grove(&g);
    corrupt32(&g, &g.left->level, 1, GAP_TREE_DEFECT_LEVEL, g.left_ref);
    corrupt32(&g, &g.right->level, 1, GAP_TREE_DEFECT_LEVEL, g.right_ref);
    corrupt32(&g, &g.root->level, 2, GAP_TREE_DEFECT_LEVEL, g.left_ref);
    corrupt32(&g, &g.root->level, 16, GAP_TREE_DEFECT_LEVEL, g.root_ref);
    corrupt(&g, &g.root->ref[0], g.root_ref, GAP_TREE_DEFECT_LEVEL, g.root_ref); /* a cycle */
    orchard_free(&g.o);
}

static void gt4_reference(void **state)
{
    (void)state;
    struct grove g;
    plant_grove(&g);
    corrupt(&g, &g.left->ref[7], 0, GAP_TREE_DEFECT_REFERENCE, g.left_ref);
    corrupt(&g, &g.root->ref[1], 0, GAP_TREE_DEFECT_REFERENCE, g.root_ref);
    corrupt(&g, &g.root->ref[1], g.right_ref + 32, GAP_TREE_DEFECT_REFERENCE, g.root_ref);
    corrupt(&g, &g.o.tree.root, g.root_ref + 8, GAP_TREE_DEFECT_REFERENCE, g.root_ref + 8);
    orchard_free(&g.o);
}

static void gt5_count(void **state)
{
    (void)state;
    struct grove g;
    plant_grove(&g);
    corrupt(&g, &g.o.tree.count, 55, GAP_TREE_DEFECT_COUNT, 0);
    corrupt(&g, &g.o.tree.count, 57, GAP_TREE_DEFECT_COUNT, 0);
    corrupt(&g, &g.o.tree.root, 0, GAP_TREE_DEFECT_COUNT, 0);
    orchard_free(&g.o);
}

static void gt6_fill(void **state)
{
    (void)state;
    struct grove g;
    plant_grove(&g);
    corrupt32(&g, &g.right->count, 12, GAP_TREE_DEFECT_FILL, g.right_ref);
    corrupt32(&g, &g.left->count, 56, GAP_TREE_DEFECT_FILL, g.left_ref);
    corrupt32(&g, &g.root->count, 1, GAP_TREE_DEFECT_FILL, g.root_ref);
    corrupt32(&g, &g.root->count, UINT32_MAX, GAP_TREE_DEFECT_FILL, g.root_ref);
    orchard_free(&g.o);
    plant_strip(&g.o, 1, "A");
    g.root = root_of(&g.o);
    corrupt32(&g, &g.root->count, 0, GAP_TREE_DEFECT_FILL, get64(&g.o.tree.root));
    orchard_free(&g.o);
}

static void gt7_key(void **state)
{
    (void)state;
    struct grove g;
    plant_grove(&g);
    corrupt(&g, &g.root->key[0], 1, GAP_TREE_DEFECT_KEY, g.left_ref);
    corrupt(&g, &g.root->key[1], 43 * 64 - 1, GAP_TREE_DEFECT_KEY, g.right_ref);
    corrupt(&g, &g.root->ref[1], g.left_ref, GAP_TREE_DEFECT_KEY, g.left_ref); /* twice */
    orchard_free(&g.o);
}

static void gt8_gap(void **state)
{
    (void)state;
    struct grove g;
    plant_grove(&g);
    corrupt(&g, &g.root->gap[0], 47, GAP_TREE_DEFECT_GAP, g.left_ref);
    corrupt(&g, &g.root->gap[0], 49, GAP_TREE_DEFECT_GAP, g.left_ref);
    corrupt(&g, &g.root->gap[1], 48, GAP_TREE_DEFECT_GAP, g.right_ref);
    corrupt(&g, &g.o.tree.granule, 32, GAP_TREE_DEFECT_GAP, g.left_ref); /* then gaps are of 32 */
    orchard_free(&g.o);
}

static void gt9_trail(void **state)
{
    (void)state;
    struct grove g;
    plant_grove(&g);
    corrupt(&g, &g.o.tree.trail, 55, GAP_TREE_DEFECT_TRAIL, 0);
    corrupt(&g, &g.o.tree.trail, 55ull << 56, GAP_TREE_DEFECT_TRAIL, 0);
    orchard_free(&g.o);
}

static void gt10_full(void **state)
{
    (void)state;
    struct grove g;
    plant_grove(&g); /* rooms of 48 from multiples of 16 */
    set64(&g.o.tree.full_from, 16);
    set64(&g.o.tree.full_pages, 49);
    set64(&g.o.tree.full_until, 55 * 64 + 16);
    assert_sound(&g.o);
    corrupt(&g, &g.o.tree.full_pages, 48, GAP_TREE_DEFECT_FULL, 0);
    corrupt(&g, &g.o.tree.full_until, 55 * 64 + 17, GAP_TREE_DEFECT_FULL, 0);
    orchard_free(&g.o);
    plant_strip(&g.o, 16, "........................A");
    set64(&g.o.tree.full_from, 0);
    set64(&g.o.tree.full_pages, 25);
    set64(&g.o.tree.full_until, 20);
    assert_sound(&g.o);
    corrupt(&g, &g.o.tree.full_pages, 24, GAP_TREE_DEFECT_FULL, 0); /* before the first */
    orchard_free(&g.o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_tree),
        cmocka_unit_test(find_looks_at_both_ends),
        cmocka_unit_test(is_free_takes_half_open_ranges),
        cmocka_unit_test(a_leaf_splits_where_the_order_says),
        cmocka_unit_test(leaves_even_out_and_merge),
        cmocka_unit_test(a_leaf_takes_from_the_left_and_from_the_right),
        cmocka_unit_test(the_root_knows_the_widest_gaps),
        cmocka_unit_test(every_order_keeps_the_tree_sound),
        cmocka_unit_test(removing_keeps_the_rest),
        cmocka_unit_test(removing_all_leaves_no_node),
        cmocka_unit_test(resizing_moves_either_end),
        cmocka_unit_test(searches_find_the_lowest_and_the_highest),
        cmocka_unit_test(searches_survive_the_end_of_numbers),
        cmocka_unit_test(a_change_leaves_its_trail),
        cmocka_unit_test(no_trail_misleads),
        cmocka_unit_test(what_is_full_is_not_searched_again),
        cmocka_unit_test(gt1_order),
        cmocka_unit_test(gt2_disjoint),
        cmocka_unit_test(gt3_level),
        cmocka_unit_test(gt4_reference),
        cmocka_unit_test(gt5_count),
        cmocka_unit_test(gt6_fill),
        cmocka_unit_test(gt7_key),
        cmocka_unit_test(gt8_gap),
        cmocka_unit_test(gt9_trail),
        cmocka_unit_test(gt10_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
