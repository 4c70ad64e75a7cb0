/*
 * Searching the tree of gap_tree.h for free room.
 *
 * A candidate is a node whose gap is at least request.least, the least that can hold the request;
 * the room before any other node surely cannot. Candidates are visited in order, in the direction
 * of the search, by walks that enter a subtree only if its widest gap is that large, so that each
 * step from one to the next is O(log n). The first walk goes down towards the bound that the search
 * starts from, as far as there are candidates that way, and steps on from there.
 *
 * When align equals the granule a candidate fails only where lo or hi cuts its room, hence at most
 * two in a search do, and a third ends it.
 */
#include "base/gap_tree.h"

#include "base/bits.h"

enum { LEFT = GAP_TREE_LEFT, RIGHT = GAP_TREE_RIGHT };

struct request {
    uint64_t lo, hi;  /* pages */
    uint64_t pages;   /* > 0, at most hi - lo */
    uint64_t align;   /* pages, a power of two */
    uint64_t granule; /* pages: of the tree */
    uint64_t least;   /* pages: the gap of a candidate */
};

static inline const struct gap_node *node_at(uintptr_t bias, uint64_t ref)
{
    return core_at(bias, ref);
}

static inline bool has_candidate(const struct gap_node *node, unsigned side, uint64_t least)
{
    return get64(&node->child[side]) != 0 && get64(&node->side_gap[side]) >= least;
}

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

/* The page from which the room before the node is free, exact but for rounding up to align. */
static inline uint64_t room_floor(uintptr_t bias, uint64_t ref, const struct request *r)
{
    if (r->align >= r->granule) {
        const struct gap_node *node = node_at(bias, ref);
        return round_up(get64(&node->start) - get64(&node->gap), r->granule);
    }
    uint64_t pred_ref = gap_tree_prev(bias, ref);
    return pred_ref != 0 ? get64(&node_at(bias, pred_ref)->end) : 0;
}

/* Where the room after all nodes begins. */
static inline uint64_t tail_floor(uintptr_t bias, const struct gap_tree *tree)
{
    uint64_t last_ref = gap_tree_last(bias, tree);
    return last_ref != 0 ? get64(&node_at(bias, last_ref)->end) : 0;
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

/* Of a subtree with a candidate, the first of them in the direction of side. */
static uint64_t first_below(uintptr_t bias, uint64_t ref, uint64_t least, unsigned side)
{
    for (;;) {
        const struct gap_node *node = node_at(bias, ref);
        if (has_candidate(node, !side, least)) {
            ref = get64(&node->child[!side]);
        } else if (get64(&node->gap) >= least) {
            return ref;
        } else {
            ref = get64(&node->child[side]);
        }
    }
}

/* The nearest candidate beyond the node in the direction of side; 0 if none. */
static uint64_t next_candidate(uintptr_t bias, uint64_t ref, uint64_t least, unsigned side)
{
    const struct gap_node *node = node_at(bias, ref);
    while (!has_candidate(node, side, least)) {
        bool climbed_from_side;
        do {
            uint64_t parent_ref = get64(&node->parent) & ~UINT64_C(3);
            if (parent_ref == 0) {
                return 0;
            }
            node = node_at(bias, parent_ref);
            climbed_from_side = get64(&node->child[side]) == ref;
            ref = parent_ref;
        } while (climbed_from_side);
        if (get64(&node->gap) >= least) {
            return ref;
        }
    }
    return first_below(bias, get64(&node->child[side]), least, side);
}

/* The lowest candidate with end > lo; 0 if none. The room before all lower nodes ends below lo. */
static uint64_t lowest_candidate(uintptr_t bias, const struct gap_tree *tree,
                                 const struct request *r)
{
    uint64_t ref = get64(&tree->root);
    while (ref != 0) {
        const struct gap_node *node = node_at(bias, ref);
        bool is_beyond = r->lo < get64(&node->end);
        unsigned side = is_beyond ? LEFT : RIGHT;
        if (has_candidate(node, side, r->least)) {
            ref = get64(&node->child[side]);
        } else if (is_beyond && get64(&node->gap) >= r->least) {
            return ref;
        } else {
            return next_candidate(bias, ref, r->least, RIGHT);
        }
    }
    return 0;
}

/*
 * The highest candidate whose room can begin below hi; 0 if none. cut is the lowest node met that
 * starts at or above hi: hi may cut its room, and only its. Candidates met above it have all their
 * room above hi and must not be begun with, for there may be many.
 */
static uint64_t highest_candidate(uintptr_t bias, const struct gap_tree *tree,
                                  const struct request *r)
{
    uint64_t ref = get64(&tree->root), met = 0, cut = 0;
    while (ref != 0) {
        const struct gap_node *node = node_at(bias, ref);
        bool is_beyond = get64(&node->start) >= r->hi;
        unsigned side = is_beyond ? LEFT : RIGHT;
        met = ref;
        cut = is_beyond ? ref : cut;
        ref = has_candidate(node, side, r->least) ? get64(&node->child[side]) : 0;
    }
    if (cut != 0 && get64(&node_at(bias, cut)->gap) >= r->least) {
        return cut;
    }
    if (met == 0 || get64(&node_at(bias, met)->gap) >= r->least) {
        return met;
    }
    return next_candidate(bias, met, r->least, LEFT);
}

bool gap_tree_search_lowest(uintptr_t bias, const struct gap_tree *tree, uint64_t lo, uint64_t hi,
                            uint64_t pages, uint64_t align_pages, uint64_t *start)
{
    struct request r;
    if (!request_init(&r, tree, lo, hi, pages, align_pages)) {
        return false;
    }
    uint64_t ref = lowest_candidate(bias, tree, &r);
    while (ref != 0) {
        uint64_t ceiling = get64(&node_at(bias, ref)->start);
        if (place_lowest(&r, room_floor(bias, ref, &r), ceiling, start)) {
            return true;
        }
        if (ceiling >= hi) {
            return false;
        }
        ref = next_candidate(bias, ref, r.least, RIGHT);
    }
    return place_lowest(&r, tail_floor(bias, tree), hi, start);
}

bool gap_tree_search_highest(uintptr_t bias, const struct gap_tree *tree, uint64_t lo, uint64_t hi,
                             uint64_t pages, uint64_t align_pages, uint64_t *start)
{
    struct request r;
    if (!request_init(&r, tree, lo, hi, pages, align_pages)) {
        return false;
    }
    if (place_highest(&r, tail_floor(bias, tree), hi, start)) {
        return true;
    }
    uint64_t ref = highest_candidate(bias, tree, &r);
    while (ref != 0) {
        uint64_t ceiling = get64(&node_at(bias, ref)->start);
        if (place_highest(&r, room_floor(bias, ref, &r), ceiling, start)) {
            return true;
        }
        if (ceiling <= lo) {
            return false;
        }
        ref = next_candidate(bias, ref, r.least, LEFT);
    }
    return false;
}
