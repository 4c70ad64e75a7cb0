/*
 * Searching the tree of gap_tree.h for free room.
 *
 * Room lies before the first range, up to the root's first key, and after each range. A candidate
 * is a range whose gap is at least measure.least, the least that can hold the wish; the room after
 * any other surely cannot. The search begins at the room that the nearer bound lies in or
 * behind, whatever its gap, and steps from there to the next candidate in its direction: along the
 * leaf, and if there is none, up to the first level that has one beside the way, and down to it.
 *
 * When align equals the granule a candidate fails only where lo or hi cuts its room, hence at most
 * two in a search do, and a third ends it.
 */
#include "base/gap_tree_node.h"

/* What is added to an index: below 0 it becomes too large to be one. */
enum { UP = 1u, DOWN = UINT32_MAX };

/* The gaps of candidates. */
struct measure {
    uint64_t granule; /* pages: of the tree */
    uint64_t least;   /* pages */
};

/*
 * A gap is measured from a multiple of the granule. Room at a finer alignment may begin up to
 * granule - align pages before that.
 */
static struct measure measure_of(const struct gap_tree *tree, const struct gap_wish *wish)
{
    uint64_t granule = get64(&tree->granule);
    uint64_t slack = wish->align < granule ? granule - wish->align : 0;
    return (struct measure){granule, wish->pages - min_u64(wish->pages, slack)};
}

static inline bool is_possible(const struct gap_wish *wish)
{
    NTMM_ASSERT(is_power_of_two(wish->align));
    return wish->pages != 0 && wish->lo < wish->hi && wish->pages <= wish->hi - wish->lo;
}

/* floor is at least wish->lo. */
static inline bool place_lowest(const struct gap_wish *wish, uint64_t floor, uint64_t ceiling,
                                uint64_t *start)
{
    uint64_t top = min_u64(ceiling, wish->hi), place;
    if (round_up_overflows(floor, wish->align, &place) || place > top ||
        top - place < wish->pages) {
        return false;
    }
    *start = place;
    return true;
}

static bool place_highest(const struct gap_wish *wish, uint64_t floor, uint64_t ceiling,
                          uint64_t *start)
{
    uint64_t bottom = max_u64(floor, wish->lo), top = min_u64(ceiling, wish->hi);
    if (top < wish->pages) {
        return false;
    }
    uint64_t place = round_down(top - wish->pages, wish->align);
    if (place < bottom) {
        return false;
    }
    *start = place;
    return true;
}

/* The same in a leaf and in an inner node; each says of an entry what gap_of says. */
static inline uint32_t scan_leaf(const struct gap_step *leaf, uint32_t index, uint32_t direction,
                                 const struct measure *m)
{
    const struct gap_node *node = leaf->node;
    uint32_t count = gap_node_count(node);
    uint64_t granule = m->granule, least = m->least;
    while (index < count && gap_between(get64(&node->end[index]),
                                        gap_next_key(node, index, leaf->bound), granule) < least) {
        index += direction;
    }
    return index < count ? index : count;
}

static inline uint32_t scan_inner(const struct gap_node *node, uint32_t index, uint32_t direction,
                                  uint64_t least)
{
    uint32_t count = gap_node_count(node);
    while (index < count && get64(&node->gap[index]) < least) {
        index += direction;
    }
    return index < count ? index : count;
}

/* The first entry from index on, in a direction, whose gap is wide enough; the count if none. */
static uint32_t scan(const struct gap_step *step, uint32_t index, uint32_t direction,
                     const struct measure *m)
{
    return gap_node_level(step->node) == 0 ? scan_leaf(step, index, direction, m)
                                           : scan_inner(step->node, index, direction, m->least);
}

/* From a place to the next candidate in a direction; false, with the place lost, if none. */
static __attribute__((noinline)) bool next_candidate(uintptr_t bias, struct gap_tree *tree,
                                                     struct gap_place *place, uint32_t direction,
                                                     const struct gap_wish *wish)
{
    const struct measure m = measure_of(tree, wish);
    uint32_t level = 0;
    for (;; level++) {
        if (level == place->height) {
            return false;
        }
        struct gap_step *step = &place->step[level];
        step->index = scan(step, step->index + direction, direction, &m);
        if (step->index < gap_node_count(step->node)) {
            break;
        }
    }
    for (; level > 0; level--) {
        struct gap_step step = gap_step_down(bias, &place->step[level]);
        uint32_t first = direction == UP ? 0 : gap_node_count(step.node) - 1;
        step.index = scan(&step, first, direction, &m);
        place->step[level - 1] = step;
    }
    gap_leave_trail(tree, place);
    return true;
}

/* Where a search for the lowest begins: behind what is known to be full. */
static inline uint64_t beginning_of(const struct gap_tree *tree, const struct gap_wish *wish)
{
    uint64_t until = get64(&tree->full_until);
    bool is_known = wish->lo >= get64(&tree->full_from) && wish->lo < until &&
                    wish->pages >= get64(&tree->full_pages) && wish->align >= get64(&tree->granule);
    return is_known ? until : wish->lo;
}

/* A search that began there found its start: nothing before it is left for as much. */
static inline void note_full(struct gap_tree *tree, const struct gap_wish *wish, uint64_t beginning,
                             uint64_t start)
{
    if (wish->align != get64(&tree->granule)) {
        return;
    }
    if (beginning != wish->lo) {
        if (wish->pages == get64(&tree->full_pages)) {
            set64(&tree->full_until, start);
        }
    } else if (wish->lo <= get64(&tree->full_from)) {
        set64(&tree->full_from, wish->lo);
        set64(&tree->full_until, start);
        set64(&tree->full_pages, wish->pages);
    }
}

/* As gap_tree_search_lowest, in a tree that is not empty, from a beginning below hi. */
static inline bool find_lowest(uintptr_t bias, struct gap_tree *tree, const struct gap_wish *wish,
                               uint64_t beginning, uint64_t *start, struct gap_place *place)
{
    const struct gap_step *leaf = &place->step[0];
    gap_follow(bias, tree, beginning, place);
    uint64_t key = get64(&leaf->node->key[leaf->index]);
    if (beginning < key && place_lowest(wish, beginning, key, start)) { /* before all ranges */
        return true;
    }
    do {
        uint64_t ceiling = gap_next_key(leaf->node, leaf->index, leaf->bound);
        uint64_t floor = max_u64(get64(&leaf->node->end[leaf->index]), beginning);
        if (place_lowest(wish, floor, ceiling, start)) {
            return true;
        }
        if (ceiling >= wish->hi) {
            return false;
        }
    } while (next_candidate(bias, tree, place, UP, wish));
    return false;
}

bool gap_tree_search_lowest(uintptr_t bias, struct gap_tree *tree, const struct gap_wish *wish,
                            uint64_t *start, struct gap_place *place)
{
    if (!is_possible(wish)) {
        return false;
    }
    if (get64(&tree->root) == 0) {
        place->height = 0;
        return place_lowest(wish, wish->lo, GAP_TREE_OPEN, start);
    }
    uint64_t beginning = beginning_of(tree, wish);
    if (beginning >= wish->hi || !find_lowest(bias, tree, wish, beginning, start, place)) {
        return false;
    }
    note_full(tree, wish, beginning, *start);
    return true;
}

bool gap_tree_search_highest(uintptr_t bias, struct gap_tree *tree, const struct gap_wish *wish,
                             uint64_t *start, struct gap_place *place)
{
    const struct gap_step *leaf = &place->step[0];
    if (!is_possible(wish)) {
        return false;
    }
    if (get64(&tree->root) == 0) {
        place->height = 0;
        return place_highest(wish, 0, GAP_TREE_OPEN, start);
    }
    gap_follow(bias, tree, wish->hi - 1, place);
    do {
        uint64_t ceiling = gap_next_key(leaf->node, leaf->index, leaf->bound);
        if (place_highest(wish, get64(&leaf->node->end[leaf->index]), ceiling, start)) {
            return true;
        }
        if (get64(&leaf->node->key[leaf->index]) <= wish->lo) {
            return false;
        }
    } while (next_candidate(bias, tree, place, DOWN, wish));
    uint64_t first_key = get64(&gap_node_at(bias, get64(&tree->root))->key[0]);
    if (!place_highest(wish, 0, first_key, start)) {
        return false;
    }
    gap_tree_locate(bias, tree, *start, place);
    return true;
}
