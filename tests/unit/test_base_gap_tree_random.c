/*
 * The gap tree against a model: long seeded runs of changes, each followed by the checker and by
 * every kind of question with random arguments.
 *
 * The model is a sorted array of ranges that answers by looking at all of it. At times there are no
 * nodes, or only one, so that insertions which need more are refused.
 */
#include "base/prng.h"
#include "test_base_gap_tree.h"

enum { MODEL_MAX = 4096 };

struct range {
    uint64_t start, end; /* pages */
    uint64_t ref;
};

struct model {
    size_t count;
    struct range ranges[MODEL_MAX];
};

struct run {
    struct orchard orchard;
    struct model model;
    struct prng prng;
    uint64_t pages;                 /* of the universe; ranges lie below it */
    uint64_t longest;               /* pages of a range, at most */
    size_t spare_count, population; /* population: ranges about which the run swings */
    size_t refused;                 /* insertions, for want of nodes */
    uint64_t spare[MODEL_MAX];
};

/* ---- The model ---- */

static size_t model_at_or_after(const struct model *m, uint64_t page)
{
    size_t i = 0;
    while (i < m->count && m->ranges[i].end <= page) {
        i++;
    }
    return i;
}

static uint64_t model_ref(const struct model *m, size_t i)
{
    return i < m->count ? m->ranges[i].ref : 0;
}

static bool model_is_free(const struct model *m, uint64_t start, uint64_t end)
{
    for (size_t i = 0; i < m->count; i++) {
        if (m->ranges[i].start < end && start < m->ranges[i].end) {
            return false;
        }
    }
    return true;
}

static void model_insert(struct model *m, uint64_t start, uint64_t end, uint64_t ref)
{
    size_t i = model_at_or_after(m, start);
    memmove(&m->ranges[i + 1], &m->ranges[i], (m->count - i) * sizeof(struct range));
    m->ranges[i] = (struct range){start, end, ref};
    m->count++;
}

static void model_remove(struct model *m, size_t i)
{
    m->count--;
    memmove(&m->ranges[i], &m->ranges[i + 1], (m->count - i) * sizeof(struct range));
}

/* The room before range i, or after the last, between the bounds; false if that is empty. */
static bool model_room(const struct model *m, size_t i, uint64_t lo, uint64_t hi,
                       struct range *room)
{
    uint64_t start = i > 0 ? m->ranges[i - 1].end : 0;
    uint64_t end = i < m->count ? m->ranges[i].start : UINT64_MAX;
    room->start = start > lo ? start : lo;
    room->end = end < hi ? end : hi;
    return room->start < room->end;
}

static bool model_lowest(const struct model *m, uint64_t lo, uint64_t hi, uint64_t pages,
                         uint64_t align, uint64_t *start)
{
    for (size_t i = 0; i <= m->count; i++) {
        struct range room;
        if (model_room(m, i, lo, hi, &room)) {
            uint64_t place = (room.start + align - 1) / align * align;
            if (place + pages <= room.end) {
                *start = place;
                return true;
            }
        }
    }
    return false;
}

static bool model_highest(const struct model *m, uint64_t lo, uint64_t hi, uint64_t pages,
                          uint64_t align, uint64_t *start)
{
    for (size_t i = m->count + 1; i-- > 0;) {
        struct range room;
        if (model_room(m, i, lo, hi, &room) && room.end >= pages) {
            uint64_t place = (room.end - pages) / align * align;
            if (place >= room.start) {
                *start = place;
                return true;
            }
        }
    }
    return false;
}

/* ---- Questions ---- */

static void ask_about_places(struct run *run)
{
    const struct gap_tree *tree = &run->orchard.tree;
    uintptr_t bias = run->orchard.bias;
    uint64_t page = prng_below(&run->prng, run->pages + 8);
    uint64_t end = page + prng_below(&run->prng, run->longest * 2);
    size_t i = model_at_or_after(&run->model, page);
    uint64_t ref = model_ref(&run->model, i);
    bool contains = ref != 0 && run->model.ranges[i].start <= page;
    struct gap_range range = {.ref = 0};
    assert_int_equal(gap_tree_find_at_or_after(bias, tree, page, &range), ref != 0);
    assert_int_equal(range.ref, ref);
    if (ref != 0) {
        assert_int_equal(range.start, run->model.ranges[i].start);
        assert_int_equal(range.end, run->model.ranges[i].end);
    }
    assert_int_equal(gap_tree_find(bias, tree, page), contains ? ref : 0);
    assert_int_equal(gap_tree_is_free(bias, tree, page, end),
                     page == end || model_is_free(&run->model, page, end));
}

/* A search's way is the one that a descent for its start takes. */
static void assert_leads_to(uintptr_t bias, struct gap_tree *tree, const struct gap_place *place,
                            uint64_t start)
{
    struct gap_place other;
    gap_tree_locate(bias, tree, start, &other);
    assert_int_equal(place->height, other.height);
    for (uint32_t level = 0; level < place->height; level++) {
        assert_ptr_equal(place->step[level].node, other.step[level].node);
        assert_int_equal(place->step[level].bound, other.step[level].bound);
        assert_int_equal(place->step[level].index, other.step[level].index);
    }
}

/* Bounds are of all kinds: none, or cutting off more and more; at times the wrong way round. */
static void ask_for_room(struct run *run)
{
    struct gap_tree *tree = &run->orchard.tree;
    uintptr_t bias = run->orchard.bias;
    uint64_t span = run->pages >> prng_below(&run->prng, 8);
    uint64_t lo = prng_below(&run->prng, 4) == 0 ? 0 : prng_below(&run->prng, run->pages);
    uint64_t hi =
        prng_below(&run->prng, 4) == 0 ? run->pages : lo + prng_below(&run->prng, span + 1);
    uint64_t pages = 1 + prng_below(&run->prng, UINT64_C(2) << prng_below(&run->prng, 8));
    uint64_t align = UINT64_C(1) << prng_below(&run->prng, 8);
    lo = prng_below(&run->prng, 64) == 0 ? hi + 1 : lo;
    const struct gap_wish wish = {lo, hi, pages, align};
    uint64_t seen = 0, expected = 0;
    struct gap_place place;
    bool fits = model_lowest(&run->model, lo, hi, pages, align, &expected);
    assert_int_equal(gap_tree_search_lowest(bias, tree, &wish, &seen, &place), fits);
    assert_int_equal(seen, expected);
    if (fits) {
        assert_leads_to(bias, tree, &place, seen);
    }
    fits = model_highest(&run->model, lo, hi, pages, align, &expected);
    assert_int_equal(gap_tree_search_highest(bias, tree, &wish, &seen, &place), fits);
    assert_int_equal(seen, expected);
    if (fits) {
        assert_leads_to(bias, tree, &place, seen);
    }
}

static void compare_all(const struct run *run)
{
    const struct orchard *o = &run->orchard;
    struct gap_range range = {.end = 0};
    assert_int_equal(get64(&o->tree.count), run->model.count);
    for (size_t i = 0; i < run->model.count; i++) {
        assert_true(gap_tree_find_at_or_after(o->bias, &o->tree, range.end, &range));
        assert_int_equal(range.ref, run->model.ranges[i].ref);
        assert_int_equal(range.start, run->model.ranges[i].start);
        assert_int_equal(range.end, run->model.ranges[i].end);
    }
    assert_false(gap_tree_find_at_or_after(o->bias, &o->tree, range.end, &range));
}

/* ---- Changes ---- */

/* An insertion that needs more nodes than there are is refused; the questions after it see that
 * nothing changed. */
static void try_insert(struct run *run)
{
    struct orchard *o = &run->orchard;
    uint64_t start = prng_below(&run->prng, run->pages);
    uint64_t end = start + 1 + prng_below(&run->prng, run->longest);
    if (run->spare_count == 0 || end > run->pages || !model_is_free(&run->model, start, end)) {
        return;
    }
    size_t nodes = o->spare_count;
    size_t left = prng_below(&run->prng, 8) == 0 ? (size_t)prng_below(&run->prng, 3) : nodes;
    uint64_t ref = run->spare[run->spare_count - 1];
    size_t hidden = nodes - left;
    o->spare_count = left;
    if (try_plant(o, ref, start, end)) {
        run->spare_count--;
        model_insert(&run->model, start, end, ref);
    } else {
        run->refused++;
        assert_int_equal(o->spare_count, left);
    }
    /* Nodes are alike: those hidden are moved behind those left. */
    memmove(&o->spare[o->spare_count], &o->spare[left], hidden * sizeof *o->spare);
    o->spare_count += hidden;
}

static void remove_any(struct run *run)
{
    size_t i = (size_t)prng_below(&run->prng, run->model.count);
    struct range range = run->model.ranges[i];
    uproot(&run->orchard, range.start);
    model_remove(&run->model, i);
    run->spare[run->spare_count++] = range.ref;
}

/* To anywhere between both neighbours; often against one of them. */
static void resize_any(struct run *run)
{
    size_t i = (size_t)prng_below(&run->prng, run->model.count);
    struct range *range = &run->model.ranges[i];
    uint64_t old_start = range->start;
    uint64_t floor = i > 0 ? range[-1].end : 0;
    uint64_t ceiling = i + 1 < run->model.count ? range[1].start : run->pages;
    uint64_t reach = prng_below(&run->prng, 8) == 0 ? run->pages : run->longest;
    uint64_t least =
        range->start > reach && range->start - reach > floor ? range->start - reach : floor;
    uint64_t most = ceiling - range->end > reach ? range->end + reach : ceiling;
    if (prng_below(&run->prng, 3) != 0) {
        range->start = prng_between(&run->prng, least, most - 1);
    }
    if (prng_below(&run->prng, 3) != 0 || range->end <= range->start) {
        range->end = prng_between(&run->prng, range->start + 1, most);
    }
    gap_tree_resize(run->orchard.bias, &run->orchard.tree, old_start, range->start, range->end);
}

static void change(struct run *run, bool grow)
{
    uint64_t kind = prng_below(&run->prng, 8);
    if (run->model.count == 0 || kind < (grow ? 6u : 2u)) {
        try_insert(run);
    } else if (kind < 7) {
        remove_any(run);
    } else {
        resize_any(run);
    }
}

struct setting {
    uint64_t seed, granule, pages, longest;
    size_t population;
    unsigned operations;
    unsigned check_every;
};

static void one_run(const struct setting *s)
{
    static struct run run;
    memset(&run, 0, sizeof(run));
    orchard_init(&run.orchard, MODEL_MAX / 13 + 20, s->granule);
    prng_seed(&run.prng, s->seed);
    run.pages = s->pages;
    run.longest = s->longest;
    for (size_t i = 0; i < MODEL_MAX - 1; i++) {
        run.spare[run.spare_count++] = ref_of(i);
    }
    bool grow = true;
    for (unsigned i = 0; i < s->operations; i++) {
        grow = i % 1000 == 999 ? run.model.count < s->population : grow;
        change(&run, grow);
        ask_about_places(&run);
        ask_for_room(&run);
        if (i % s->check_every == 0) {
            assert_sound(&run.orchard);
        }
        if (i % 512 == 0) {
            compare_all(&run);
        }
    }
    while (run.model.count > 0) {
        remove_any(&run);
        if (run.model.count < 64 || run.model.count % s->check_every == 0) {
            assert_sound(&run.orchard);
        }
    }
    assert_true(run.refused > 0);
    assert_bare(&run.orchard);
    orchard_free(&run.orchard);
}

/* Small and full, where every gap counts; alignments finer and coarser than each granule. */
static void crowded_runs_equal_the_model(void **state)
{
    (void)state;
    const struct setting settings[] = {
        {1, 1, 600, 8, 60, 100000, 1},     {2, 4, 600, 8, 60, 100000, 1},
        {3, 16, 2400, 24, 80, 100000, 1},  {4, 16, 1200, 4, 120, 100000, 1},
        {5, 256, 9000, 90, 60, 100000, 1}, {6, 1, 64, 3, 12, 100000, 1},
    };
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        one_run(&settings[i]);
    }
}

/* Large and sparse: deep trees, addresses near the bound of ranges. */
static void sparse_runs_equal_the_model(void **state)
{
    (void)state;
    const struct setting settings[] = {
        {7, 16, UINT64_C(1) << 17, 64, 1000, 100000, 64},
        {8, 16, UINT64_C(1) << 35, UINT64_C(1) << 20, 1500, 20000, 64},
        {9, 1, GAP_TREE_END_MAX, UINT64_C(1) << 50, 500, 20000, 64},
    };
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        one_run(&settings[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crowded_runs_equal_the_model),
        cmocka_unit_test(sparse_runs_equal_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
