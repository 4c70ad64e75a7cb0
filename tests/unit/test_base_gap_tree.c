/*
 * The gap tree, case by case. A strip draws the pages: a letter is a page of that node (A is node
 * 0), a dot is free.
 */
#include "test_base_gap_tree.h"

#define NONE UINT64_MAX

enum { A, B, C, D, E, F, G, H };

static void plant_strip(struct orchard *o, uint64_t granule, const char *strip)
{
    orchard_init(o, 26, granule);
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

/* In order, and by both directions, the tree holds what the strip draws. */
static void assert_strip(const struct orchard *o, const char *strip)
{
    uint64_t ref = gap_tree_first(o->bias, &o->tree), prev = 0, count = 0;
    assert_sound(o);
    for (size_t start = 0; strip[start] != '\0';) {
        size_t end = start + 1;
        while (strip[end] == strip[start]) {
            end++;
        }
        if (strip[start] != '.') {
            assert_int_equal(ref, ref_of((size_t)(strip[start] - 'A')));
            assert_int_equal(get64(&node_of(o, ref)->start), start);
            assert_int_equal(get64(&node_of(o, ref)->end), end);
            assert_int_equal(gap_tree_prev(o->bias, ref), prev);
            prev = ref;
            ref = gap_tree_next(o->bias, ref);
            count++;
        }
        start = end;
    }
    assert_int_equal(ref, 0);
    assert_int_equal(gap_tree_last(o->bias, &o->tree), prev);
    assert_int_equal(get64(&o->tree.count), count);
}

static uint64_t lowest(const struct orchard *o, uint64_t lo, uint64_t hi, uint64_t pages,
                       uint64_t align)
{
    uint64_t start = NONE - 1;
    bool found = gap_tree_search_lowest(o->bias, &o->tree, lo, hi, pages, align, &start);
    assert_true(found || start == NONE - 1);
    return found ? start : NONE;
}

static uint64_t highest(const struct orchard *o, uint64_t lo, uint64_t hi, uint64_t pages,
                        uint64_t align)
{
    uint64_t start = NONE - 1;
    bool found = gap_tree_search_highest(o->bias, &o->tree, lo, hi, pages, align, &start);
    assert_true(found || start == NONE - 1);
    return found ? start : NONE;
}

static void an_empty_tree(void **state)
{
    (void)state;
    struct orchard o;
    orchard_init(&o, 1, 16);
    assert_sound(&o);
    assert_int_equal(gap_tree_find(o.bias, &o.tree, 0), 0);
    assert_int_equal(gap_tree_find_at_or_after(o.bias, &o.tree, 0), 0);
    assert_int_equal(gap_tree_first(o.bias, &o.tree), 0);
    assert_int_equal(gap_tree_last(o.bias, &o.tree), 0);
    assert_true(gap_tree_is_free(o.bias, &o.tree, 0, UINT64_MAX));
    assert_int_equal(lowest(&o, 17, 100, 16, 16), 32);
    assert_int_equal(highest(&o, 17, 100, 16, 16), 80);
    assert_int_equal(lowest(&o, 0, 16, 16, 16), 0);
    assert_int_equal(highest(&o, 0, 16, 16, 16), 0);
    orchard_free(&o);
}

static void find_looks_at_both_ends(void **state)
{
    (void)state;
    struct orchard o;
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
    assert_int_equal(gap_tree_find_at_or_after(o.bias, &o.tree, 0), ref_of(A));
    assert_int_equal(gap_tree_find_at_or_after(o.bias, &o.tree, 5), ref_of(A));
    assert_int_equal(gap_tree_find_at_or_after(o.bias, &o.tree, 6), ref_of(B));
    assert_int_equal(gap_tree_find_at_or_after(o.bias, &o.tree, 11), ref_of(C));
    assert_int_equal(gap_tree_find_at_or_after(o.bias, &o.tree, 12), 0);
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

/*
 * With a granule of 4: the room before A starts at 0; A ends at 5, so room starts at 8 and none is
 * left before B at 7; B ends at 8 and C starts at 19, 11 pages; C ends at 21, D starts at 30: 24 to
 * 30.
 */
static void gaps_begin_at_multiples_of_the_granule(void **state)
{
    (void)state;
    struct orchard o;
    /*                  0   4   8   12  16  20  24  28 */
    plant_strip(&o, 4, "...AA..B...........CC.........DD");
    assert_int_equal(get64(&o.nodes[A].gap), 3);
    assert_int_equal(get64(&o.nodes[B].gap), 0);
    assert_int_equal(get64(&o.nodes[C].gap), 11);
    assert_int_equal(get64(&o.nodes[D].gap), 6);
    assert_int_equal(get64(&o.tree.root), ref_of(B)); /* ascending insertions rotate B up */
    assert_int_equal(get64(&o.nodes[B].left_gap), 3);
    assert_int_equal(get64(&o.nodes[B].right_gap), 11);
    assert_int_equal(get64(&o.nodes[C].left_gap), 0);
    assert_int_equal(get64(&o.nodes[C].right_gap), 6);
    orchard_free(&o);
}

static unsigned height_below(const struct orchard *o, uint64_t ref)
{
    if (ref == 0) {
        return 0;
    }
    unsigned left = height_below(o, get64(&node_of(o, ref)->left));
    unsigned right = height_below(o, get64(&node_of(o, ref)->right));
    return 1 + (left > right ? left : right);
}

/* However 1,023 nodes come, an AVL tree of them has 10 to 14 levels; the sorted orders give 10. */
static void every_order_of_insertion_stays_balanced(void **state)
{
    (void)state;
    enum { COUNT = 1023 };
    for (size_t order = 0; order < 4; order++) {
        struct orchard o;
        orchard_init(&o, COUNT, 1);
        for (size_t i = 0; i < COUNT; i++) {
            size_t zigzag = i % 2 == 0 ? i / 2 : COUNT - 1 - i / 2;
            size_t places[4] = {i, COUNT - 1 - i, zigzag, i * 512 % COUNT};
            plant(&o, places[order], places[order] * 3, places[order] * 3 + 2);
            assert_sound(&o);
        }
        unsigned height = height_below(&o, get64(&o.tree.root));
        assert_in_range(height, 10, order < 2 ? 10 : 14);
        orchard_free(&o);
    }
}

/*
 * Seven nodes, a full tree: D at the root, B and F below, A C E G leaves. Removing one or two nodes
 * passes a leaf, one child, two children with the successor near and far, and the root itself.
 */
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
                unsigned victim = turn == 0 ? first : second;
                for (size_t i = 0; strip[i] != '\0'; i++) {
                    strip[i] = strip[i] == (char)('A' + (int)victim) ? '.' : strip[i];
                }
                gap_tree_remove(o.bias, &o.tree, ref_of(victim));
                assert_strip(&o, strip);
            }
            orchard_free(&o);
        }
    }
}

static void removing_all_leaves_an_empty_tree(void **state)
{
    (void)state;
    struct orchard o;
    plant_strip(&o, 1, "AB.CD.E");
    for (unsigned i = A; i <= E; i++) {
        assert_int_equal(get64(&o.nodes[i].start), i + (i > B) + (i > D));
        gap_tree_remove(o.bias, &o.tree, ref_of(i));
        assert_sound(&o);
    }
    assert_int_equal(get64(&o.tree.root), 0);
    assert_int_equal(get64(&o.tree.count), 0);
    orchard_free(&o);
}

static void resizing_moves_either_end(void **state)
{
    (void)state;
    struct orchard o;
    plant_strip(&o, 4, "..AA....BBBB....CC..");
    gap_tree_resize(o.bias, &o.tree, ref_of(B), 8, 16); /* grow up to its successor */
    assert_strip(&o, "..AA....BBBBBBBBCC..");
    gap_tree_resize(o.bias, &o.tree, ref_of(B), 4, 16); /* grow down to its predecessor */
    assert_strip(&o, "..AABBBBBBBBBBBBCC..");
    gap_tree_resize(o.bias, &o.tree, ref_of(B), 5, 6); /* shrink at both ends */
    assert_strip(&o, "..AA.B..........CC..");
    gap_tree_resize(o.bias, &o.tree, ref_of(B), 9, 11); /* move off its old place */
    assert_strip(&o, "..AA.....BB.....CC..");
    gap_tree_resize(o.bias, &o.tree, ref_of(A), 0, 9); /* the first */
    assert_strip(&o, "AAAAAAAAABB.....CC..");
    gap_tree_resize(o.bias, &o.tree, ref_of(C), 17, 20); /* the last */
    assert_strip(&o, "AAAAAAAAABB......CCC");
    gap_tree_resize(o.bias, &o.tree, ref_of(C), 17, 20); /* nothing */
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

/* Seven nodes with D at the root; what each corruption breaks, and at which node it is seen. */
static const char defect_strip[] = "AA..BB....CC.DD.EE...FF.GG";

static void assert_defect(const struct orchard *o, enum gap_tree_defect defect, uint64_t bad_ref)
{
    uint64_t seen = 0x5555;
    assert_int_equal(gap_tree_check(o->bias, &o->tree, &seen), defect);
    assert_int_equal(seen, bad_ref);
}

/* Put value into the word, expect the defect, and take it back. */
static void corrupt(struct orchard *o, le64 *word, uint64_t value, enum gap_tree_defect defect,
                    uint64_t bad_ref)
{
    uint64_t saved = get64(word);
    assert_int_not_equal(saved, value);
    set64(word, value);
    assert_defect(o, defect, bad_ref);
    set64(word, saved);
    assert_sound(o);
}

static void gt1_order(void **state)
{
    (void)state;
    struct orchard o;
    plant_strip(&o, 1, defect_strip);
    corrupt(&o, &o.nodes[B].start, 6, GAP_TREE_DEFECT_ORDER, ref_of(B));  /* empty */
    corrupt(&o, &o.nodes[E].start, 13, GAP_TREE_DEFECT_ORDER, ref_of(E)); /* where D starts */
    corrupt(&o, &o.nodes[G].end, GAP_TREE_END_MAX + 1, GAP_TREE_DEFECT_ORDER, ref_of(G));
    orchard_free(&o);
}

static void gt2_disjoint(void **state)
{
    (void)state;
    struct orchard o;
    plant_strip(&o, 1, defect_strip);
    corrupt(&o, &o.nodes[C].end, 14, GAP_TREE_DEFECT_OVERLAP, ref_of(D));
    corrupt(&o, &o.nodes[E].start, 14, GAP_TREE_DEFECT_OVERLAP, ref_of(E));
    orchard_free(&o);
}

static void gt3_balance(void **state)
{
    (void)state;
    struct orchard o;
    plant_strip(&o, 1, defect_strip);
    for (unsigned balance = 1; balance <= 3; balance++) {
        corrupt(&o, &o.nodes[D].parent, balance, GAP_TREE_DEFECT_BALANCE, ref_of(D));
        corrupt(&o, &o.nodes[A].parent, get64(&o.nodes[A].parent) | balance,
                GAP_TREE_DEFECT_BALANCE, ref_of(A));
    }
    gap_tree_remove(o.bias, &o.tree, ref_of(G)); /* F is now heavy on the left */
    corrupt(&o, &o.nodes[F].parent, ref_of(D), GAP_TREE_DEFECT_BALANCE, ref_of(F));
    corrupt(&o, &o.nodes[F].parent, ref_of(D) | 2, GAP_TREE_DEFECT_BALANCE, ref_of(F));
    orchard_free(&o);
}

/* A chain of right children, all else in order: bits cannot make a difference of 2 legal. */
static void gt3_chain(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    for (size_t count = 3; count <= COUNT; count += COUNT - 3) {
        struct orchard o;
        orchard_init(&o, COUNT, 1);
        memset(o.nodes, 0, COUNT * sizeof(struct gap_node));
        for (size_t i = 0; i < count; i++) {
            set64(&o.nodes[i].start, i);
            set64(&o.nodes[i].end, i + 1);
            set64(&o.nodes[i].right, i + 1 < count ? ref_of(i + 1) : 0);
            set64(&o.nodes[i].parent, (i > 0 ? ref_of(i - 1) : 0) | (i + 1 < count ? 2 : 0));
        }
        set64(&o.tree.root, ref_of(0));
        set64(&o.tree.count, count);
        /* Deeper than any balanced tree, it is given up at the 86th level. */
        assert_defect(&o, GAP_TREE_DEFECT_BALANCE, count == 3 ? ref_of(0) : ref_of(85));
        orchard_free(&o);
    }
}

static void gt4_parent(void **state)
{
    (void)state;
    struct orchard o;
    plant_strip(&o, 1, defect_strip);
    corrupt(&o, &o.nodes[A].parent, ref_of(C), GAP_TREE_DEFECT_PARENT, ref_of(A));
    corrupt(&o, &o.nodes[F].parent, 0, GAP_TREE_DEFECT_PARENT, ref_of(F));
    corrupt(&o, &o.nodes[D].parent, ref_of(A), GAP_TREE_DEFECT_PARENT, ref_of(D)); /* the root */
    corrupt(&o, &o.nodes[B].left, ref_of(A) + 32, GAP_TREE_DEFECT_PARENT, ref_of(B));
    corrupt(&o, &o.nodes[B].right, ref_of(A), GAP_TREE_DEFECT_PARENT, ref_of(B)); /* twice */
    corrupt(&o, &o.nodes[A].left, ref_of(D), GAP_TREE_DEFECT_PARENT, ref_of(D));  /* a cycle */
    corrupt(&o, &o.tree.root, ref_of(D) + 8, GAP_TREE_DEFECT_PARENT, ref_of(D) + 8);
    orchard_free(&o);
}

static void gt5_count(void **state)
{
    (void)state;
    struct orchard o;
    plant_strip(&o, 1, defect_strip);
    corrupt(&o, &o.tree.count, 6, GAP_TREE_DEFECT_COUNT, 0);
    corrupt(&o, &o.tree.count, 8, GAP_TREE_DEFECT_COUNT, 0);
    corrupt(&o, &o.tree.root, 0, GAP_TREE_DEFECT_COUNT, 0);
    orchard_free(&o);
}

static void gt6_gap(void **state)
{
    (void)state;
    struct orchard o;
    plant_strip(&o, 1, defect_strip);
    for (unsigned i = A; i <= G; i++) {
        corrupt(&o, &o.nodes[i].gap, 9, GAP_TREE_DEFECT_GAP, ref_of(i));
    }
    corrupt(&o, &o.tree.granule, 4, GAP_TREE_DEFECT_GAP, ref_of(B)); /* 0, not 2..4 */
    orchard_free(&o);
}

static void gt7_left_gap(void **state)
{
    (void)state;
    struct orchard o;
    plant_strip(&o, 1, defect_strip);
    for (unsigned i = A; i <= G; i++) {
        corrupt(&o, &o.nodes[i].left_gap, 9, GAP_TREE_DEFECT_LEFT_GAP, ref_of(i));
    }
    orchard_free(&o);
}

static void gt8_right_gap(void **state)
{
    (void)state;
    struct orchard o;
    plant_strip(&o, 1, defect_strip);
    for (unsigned i = A; i <= G; i++) {
        corrupt(&o, &o.nodes[i].right_gap, 9, GAP_TREE_DEFECT_RIGHT_GAP, ref_of(i));
    }
    orchard_free(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_tree),
        cmocka_unit_test(find_looks_at_both_ends),
        cmocka_unit_test(is_free_takes_half_open_ranges),
        cmocka_unit_test(gaps_begin_at_multiples_of_the_granule),
        cmocka_unit_test(every_order_of_insertion_stays_balanced),
        cmocka_unit_test(removing_keeps_the_rest),
        cmocka_unit_test(removing_all_leaves_an_empty_tree),
        cmocka_unit_test(resizing_moves_either_end),
        cmocka_unit_test(searches_find_the_lowest_and_the_highest),
        cmocka_unit_test(searches_survive_the_end_of_numbers),
        cmocka_unit_test(gt1_order),
        cmocka_unit_test(gt2_disjoint),
        cmocka_unit_test(gt3_balance),
        cmocka_unit_test(gt3_chain),
        cmocka_unit_test(gt4_parent),
        cmocka_unit_test(gt5_count),
        cmocka_unit_test(gt6_gap),
        cmocka_unit_test(gt7_left_gap),
        cmocka_unit_test(gt8_right_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
