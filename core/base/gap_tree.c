/*
 * The tree of gap_tree.h: looking up. Changes stand in gap_tree_change.c.
 *
 * The entry that a descent ends at is the last one that starts at or before the page. If even the
 * first of all starts behind it, the descent ends there, and only then does the entry start behind
 * the page: in every other leaf the first key led the way.
 */
#include "base/gap_tree.h"
#include "base/gap_tree_node.h"

void gap_tree_init(struct gap_tree *tree, uint64_t granule_pages)
{
    NTMM_ASSERT(is_power_of_two(granule_pages) && granule_pages < GAP_TREE_END_MAX);
    set64(&tree->root, 0);
    set64(&tree->count, 0);
    set64(&tree->granule, granule_pages);
    set64(&tree->trail, 0);
    set64(&tree->full_from, GAP_TREE_OPEN);
    set64(&tree->full_until, 0);
    set64(&tree->full_pages, 0);
}

void gap_tree_locate(uintptr_t bias, struct gap_tree *tree, uint64_t page, struct gap_place *place)
{
    place->height = 0;
    if (get64(&tree->root) != 0) {
        gap_follow(bias, tree, page, place);
    }
}

/* The leaf of a tree that is not empty, without the steps above it. */
static inline __attribute__((always_inline)) struct gap_step leaf_of(uintptr_t bias,
                                                                     const struct gap_tree *tree,
                                                                     uint64_t page)
{
    struct gap_step step = {gap_node_at(bias, get64(&tree->root)), GAP_TREE_OPEN, 0};
    uint32_t height = gap_node_level(step.node);
    for (uint32_t level = height; level > 0; level--) {
        step.index = gap_node_search(step.node, page);
        step = gap_step_down(bias, &step);
    }
    gap_node_fetch_ranges(step.node, height);
    step.index = gap_node_search(step.node, page);
    return step;
}

uint64_t gap_tree_find(uintptr_t bias, const struct gap_tree *tree, uint64_t page)
{
    if (get64(&tree->root) == 0) {
        return 0;
    }
    struct gap_step at = leaf_of(bias, tree, page);
    bool is_inside =
        get64(&at.node->key[at.index]) <= page && page < get64(&at.node->end[at.index]);
    return is_inside ? get64(&at.node->ref[at.index]) : 0;
}

uint64_t gap_tree_find_or_next(uintptr_t bias, const struct gap_tree *tree, uint64_t page,
                               uint64_t *next)
{
    *next = GAP_TREE_OPEN;
    if (get64(&tree->root) == 0) {
        return 0;
    }
    struct gap_step at = leaf_of(bias, tree, page);
    uint64_t key = get64(&at.node->key[at.index]);
    if (page < key) {
        *next = key;
        return 0;
    }
    if (page < get64(&at.node->end[at.index])) {
        return get64(&at.node->ref[at.index]);
    }
    *next = gap_next_key(at.node, at.index, at.bound);
    return 0;
}

static struct gap_range range_of(const struct gap_step *at)
{
    return (struct gap_range){get64(&at->node->key[at->index]), get64(&at->node->end[at->index]),
                              get64(&at->node->ref[at->index])};
}

/* bound: where the next leaf begins, or GAP_TREE_OPEN: there is none. */
static __attribute__((noinline)) bool find_first_of_next_leaf(uintptr_t bias,
                                                              const struct gap_tree *tree,
                                                              uint64_t bound,
                                                              struct gap_range *range)
{
    if (bound == GAP_TREE_OPEN) {
        return false;
    }
    struct gap_step at = leaf_of(bias, tree, bound);
    *range = range_of(&at);
    return true;
}

bool gap_tree_find_at_or_after(uintptr_t bias, const struct gap_tree *tree, uint64_t page,
                               struct gap_range *range)
{
    if (get64(&tree->root) == 0) {
        return false;
    }
    struct gap_step at = leaf_of(bias, tree, page);
    if (get64(&at.node->end[at.index]) <= page) {
        bool is_last_of_leaf = get64(&at.node->key[at.index + 1]) == GAP_TREE_OPEN;
        if (is_last_of_leaf) {
            return find_first_of_next_leaf(bias, tree, at.bound, range);
        }
        at.index++;
    }
    *range = range_of(&at);
    return true;
}

uint64_t gap_tree_first(uintptr_t bias, const struct gap_tree *tree)
{
    struct gap_range range;
    return gap_tree_find_at_or_after(bias, tree, 0, &range) ? range.ref : 0;
}

static inline bool is_free_at(const struct gap_place *place, uint64_t start, uint64_t end)
{
    const struct gap_step *at = &place->step[0];
    if (start >= end || place->height == 0) {
        return true;
    }
    uint64_t key = get64(&at->node->key[at->index]);
    if (start < key) {
        return end <= key;
    }
    return get64(&at->node->end[at->index]) <= start &&
           end <= gap_next_key(at->node, at->index, at->bound);
}

bool gap_tree_is_free(uintptr_t bias, const struct gap_tree *tree, uint64_t start, uint64_t end)
{
    struct gap_place place;
    gap_descend(bias, tree, start, &place);
    return is_free_at(&place, start, end);
}

__attribute__((flatten)) bool gap_tree_locate_free(uintptr_t bias, struct gap_tree *tree,
                                                   uint64_t start, uint64_t end,
                                                   struct gap_place *place)
{
    gap_tree_locate(bias, tree, start, place);
    return is_free_at(place, start, end);
}
