/*
 * Searching the tree of gap_tree.h for free room.
 *
 * Room lies before the first range, up to the root's first key, and after each range. A candidate
 * is a range whose gap is at least request.least, the least that can hold the request; the room
 * after any other surely cannot. The search begins at the room that the nearer bound lies in or
 * behind, whatever its gap, and steps from there to the next candidate in its direction: along the
 * leaf, and if there is none, up to the first level that has one beside the way, and down to it.
 *
 * When align equals the granule a candidate fails only where lo or hi cuts its room, hence at most
 * two in a search do, and a third ends it.
 */
#include "base/gap_tree_node.h"

/* What is added to an index: below 0 it becomes too large to be one. */
enum { UP = 1u, DOWN = UINT32_MAX };

struct request {
    uint64_t lo, hi;  /* pages */
    uint64_t pages;   /* > 0, at most hi - lo */
    uint64_t align;   /* pages, a power of two */
    uint64_t granule; /* pages: of the tree */
    uint64_t least;   /* pages: the gap of a candidate */
};

/*
 * A gap is measured from a multiple of the granule. Room at a finer alignment may begin up to
 * granule - align pages before that.
 */
static inline uint64_t least_gap(uint64_t granule, uint64_t pages, uint64_t align)
{
    uint64_t slack = align < granule ? granule - align : 0;
    return pages - min_u64(pages, slack);
}

static bool request_init(struct request *r, const struct gap_tree *tree, uint64_t lo, uint64_t hi,
                         uint64_t pages, uint64_t align)
{
    NTMM_ASSERT(is_power_of_two(align));
    r->lo = lo;
    r->hi = hi;
    r->pages = pages;
    r->align = align;
    r->granule = get64(&tree->granule);
    r->least = least_gap(r->granule, pages, align);
    return pages != 0 && lo < hi && pages <= hi - lo;
}

/* Where the room before all ranges ends. */
static inline uint64_t head_ceiling(uintptr_t bias, const struct gap_tree *tree)
{
    uint64_t root = get64(&tree->root);
    return root != 0 ? get64(&gap_node_at(bias, root)->key[0]) : GAP_TREE_OPEN;
}

static bool place_lowest(const struct request *r, uint64_t floor, uint64_t ceiling, uint64_t *start)
{
    uint64_t bottom = max_u64(floor, r->lo), top = min_u64(ceiling, r->hi), place;
    if (round_up_overflows(bottom, r->align, &place) || place > top || top - place < r->pages) {
        return false;
    }
    *start = place;
    return true;
}

static bool place_highest(const struct request *r, uint64_t floor, uint64_t ceiling,
                          uint64_t *start)
{
    uint64_t bottom = max_u64(floor, r->lo), top = min_u64(ceiling, r->hi);
    if (top < r->pages) {
        return false;
    }
    uint64_t place = round_down(top - r->pages, r->align);
    if (place < bottom) {
        return false;
    }
    *start = place;
    return true;
}

/* The first entry from index on, in a direction, whose gap is wide enough; the count if none. */
static uint32_t scan(const struct gap_step *step, uint32_t index, uint32_t direction,
                     const struct request *r)
{
    uint32_t count = gap_node_count(step->node);
    while (index < count && gap_of(step->node, index, step->bound, r->granule) < r->least) {
        index += direction;
    }
    return index < count ? index : count;
}

/* From a place to the next candidate in a direction; false, with the place lost, if none. */
static bool next_candidate(uintptr_t bias, struct gap_place *place, uint32_t direction,
                           const struct request *r)
{
    uint32_t level = 0;
    for (;; level++) {
        if (level == place->height) {
            return false;
        }
        struct gap_step *step = &place->step[level];
        step->index = scan(step, step->index + direction, direction, r);
        if (step->index < gap_node_count(step->node)) {
            break;
        }
    }
    for (; level > 0; level--) {
        struct gap_step step = gap_step_down(bias, &place->step[level]);
        step.index = scan(&step, direction == UP ? 0 : gap_node_count(step.node) - 1, direction, r);
        place->step[level - 1] = step;
    }
    return true;
}

bool gap_tree_search_lowest(uintptr_t bias, const struct gap_tree *tree, uint64_t lo, uint64_t hi,
                            uint64_t pages, uint64_t align_pages, uint64_t *start)
{
    struct request r;
    struct gap_place place;
    if (!request_init(&r, tree, lo, hi, pages, align_pages)) {
        return false;
    }
    if (place_lowest(&r, 0, head_ceiling(bias, tree), start)) {
        return true;
    }
    gap_descend(bias, tree, lo, &place);
    if (place.height == 0) {
        return false;
    }
    do {
        const struct gap_step *leaf = &place.step[0];
        uint64_t ceiling = gap_next_key(leaf->node, leaf->index, leaf->bound);
        if (place_lowest(&r, get64(&leaf->node->end[leaf->index]), ceiling, start)) {
            return true;
        }
        if (ceiling >= hi) {
            return false;
        }
    } while (next_candidate(bias, &place, UP, &r));
    return false;
}

bool gap_tree_search_highest(uintptr_t bias, const struct gap_tree *tree, uint64_t lo, uint64_t hi,
                             uint64_t pages, uint64_t align_pages, uint64_t *start)
{
    struct request r;
    struct gap_place place;
    if (!request_init(&r, tree, lo, hi, pages, align_pages)) {
        return false;
    }
    gap_descend(bias, tree, hi - 1, &place);
    if (place.height == 0) {
        return place_highest(&r, 0, GAP_TREE_OPEN, start);
    }
    do {
        const struct gap_step *leaf = &place.step[0];
        uint64_t ceiling = gap_next_key(leaf->node, leaf->index, leaf->bound);
        if (place_highest(&r, get64(&leaf->node->end[leaf->index]), ceiling, start)) {
            return true;
        }
        if (get64(&leaf->node->key[leaf->index]) <= lo) {
            return false;
        }
    } while (next_candidate(bias, &place, DOWN, &r));
    return place_highest(&r, 0, head_ceiling(bias, tree), start);
}
