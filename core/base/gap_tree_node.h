/*
 * Inside the nodes of gap_tree.h: finding an entry, the gaps, and the way down. For the tree's own
 * files alone.
 *
 * The widest gap of a node is that of all its entries: of an inner node the maximum of its words
 * gap, of a leaf computed from its ranges and the node's bound.
 */
#ifndef NTMM_BASE_GAP_TREE_NODE_H
#define NTMM_BASE_GAP_TREE_NODE_H

#include "base/bits.h"
#include "base/gap_tree.h"

/* Leaves so far below the root are more than 2 * 13^2: hardly one is in a near cache. */
#define GAP_TREE_FAR_LEVELS 3u

static inline struct gap_node *gap_node_at(uintptr_t bias, uint64_t ref)
{
    return core_at(bias, ref);
}

static inline uint32_t gap_node_level(const struct gap_node *node) { return get32(&node->level); }
static inline uint32_t gap_node_count(const struct gap_node *node) { return get32(&node->count); }

/*
 * The last entry whose key is at most page; 0 if there is none. Eight keys are a line of memory:
 * the first ones of all lines say which line, the others which of it. No comparison waits for
 * another, and none is guessed.
 */
static inline uint32_t gap_node_search(const struct gap_node *node, uint64_t page)
{
    const le64 *key = node->key;
    NTMM_ASSERT(page < GAP_TREE_OPEN);
    uint32_t line = 0u + (get64(&key[8]) <= page) + (get64(&key[16]) <= page) +
                    (get64(&key[24]) <= page) + (get64(&key[32]) <= page) +
                    (get64(&key[40]) <= page) + (get64(&key[48]) <= page);
    key += 8 * line;
    return 8 * line + (get64(&key[1]) <= page) + (get64(&key[2]) <= page) +
           (get64(&key[3]) <= page) + (get64(&key[4]) <= page) + (get64(&key[5]) <= page) +
           (get64(&key[6]) <= page) + (get64(&key[7]) <= page);
}

NTMM_STATIC_ASSERT(GAP_TREE_FANOUT + 1 == 7 * 8, "gap_node_search looks at seven lines of keys");

/* The same, where one index is likely to be right: below FANOUT. */
static inline uint32_t gap_node_search_near(const struct gap_node *node, uint64_t page,
                                            uint32_t likely)
{
    bool is_there = get64(&node->key[likely]) <= page && page < get64(&node->key[likely + 1]);
    return is_there ? likely : gap_node_search(node, page);
}

/* Where the entry after this one begins. */
static inline uint64_t gap_next_key(const struct gap_node *node, uint32_t index, uint64_t bound)
{
    uint64_t next = get64(&node->key[index + 1]);
    return next == GAP_TREE_OPEN ? bound : next;
}

static inline uint64_t gap_between(uint64_t end, uint64_t next, uint64_t granule)
{
    if (next == GAP_TREE_OPEN) {
        return GAP_TREE_OPEN;
    }
    return next - min_u64(next, (end + (granule - 1)) & ~(granule - 1));
}

/* The gap of an entry: after the range, or the widest below the child. */
static inline uint64_t gap_of(const struct gap_node *node, uint32_t index, uint64_t bound,
                              uint64_t granule)
{
    if (gap_node_level(node) > 0) {
        return get64(&node->gap[index]);
    }
    return gap_between(get64(&node->end[index]), gap_next_key(node, index, bound), granule);
}

/* The widest gap of a node, or the first one met that is at least `enough`. */
static inline uint64_t gap_widest(const struct gap_node *node, uint64_t bound, uint64_t granule,
                                  uint64_t enough)
{
    uint64_t widest = 0;
    for (uint32_t i = 0; i < gap_node_count(node) && widest < enough; i++) {
        widest = max_u64(widest, gap_of(node, i, bound, granule));
    }
    return widest;
}

/*
 * The step below an upper one, at the child of its entry; its index is 0. The child's keys are
 * asked for at once, before the search knows which it needs: so the host waits for one line of
 * memory instead of one after the other. (In a function of its own that does nothing else, gcc 12
 * takes a prefetch for no effect and drops it.)
 */
static inline struct gap_step gap_step_down(uintptr_t bias, const struct gap_step *upper)
{
    struct gap_node *node = gap_node_at(bias, get64(&upper->node->ref[upper->index]));
    __builtin_prefetch(&node->key[0]);
    __builtin_prefetch(&node->key[8]);
    __builtin_prefetch(&node->key[16]);
    __builtin_prefetch(&node->key[24]);
    __builtin_prefetch(&node->key[32]);
    __builtin_prefetch(&node->key[40]);
    __builtin_prefetch(&node->key[48]);
    return (struct gap_step){node, gap_next_key(upper->node, upper->index, upper->bound), 0};
}

/*
 * Of a leaf that is far away all lines are asked for: what is found there is used or changed next.
 * (This and the like above must stay where gcc 12 sees an effect: it drops a call of a function
 * that does nothing but prefetch, hence a macro.)
 */
#define gap_node_fetch_ranges(leaf, levels_above)                                                  \
    for (uint32_t line = 0; (levels_above) >= GAP_TREE_FAR_LEVELS && line < GAP_TREE_FANOUT;       \
         line += 8) {                                                                              \
        __builtin_prefetch(&(leaf)->end[line]);                                                    \
        __builtin_prefetch(&(leaf)->ref[line]);                                                    \
    }

/* As gap_tree_locate. */
static inline void gap_descend(uintptr_t bias, const struct gap_tree *tree, uint64_t page,
                               struct gap_place *place)
{
    uint64_t root = get64(&tree->root);
    place->height = 0;
    if (root == 0) {
        return;
    }
    struct gap_step step = {gap_node_at(bias, root), GAP_TREE_OPEN, 0};
    uint32_t height = gap_node_level(step.node);
    NTMM_ASSERT(height < GAP_TREE_LEVELS_MAX);
    place->height = height + 1;
    for (uint32_t level = height; level > 0; level--) {
        step.index = gap_node_search(step.node, page);
        place->step[level] = step;
        step = gap_step_down(bias, &step);
    }
    gap_node_fetch_ranges(step.node, height);
    step.index = gap_node_search(step.node, page);
    place->step[0] = step;
}

/* The byte of a level. Levels above the eighth have those of others, which is as good as any. */
static inline uint32_t gap_trail_index(uint64_t trail, uint32_t level)
{
    return (uint32_t)(trail >> (8 * level & 63)) & 0xFF;
}

static inline void gap_leave_trail(struct gap_tree *tree, const struct gap_place *place)
{
    uint64_t trail = 0;
    for (uint32_t level = place->height; level-- > 0;) {
        trail = trail << 8 | place->step[level].index;
    }
    set64(&tree->trail, trail);
}

/* The same for a change of a tree that is not empty: along the trail, and leaving it. */
static inline __attribute__((always_inline)) void gap_follow(uintptr_t bias, struct gap_tree *tree,
                                                             uint64_t page, struct gap_place *place)
{
    uint64_t old = get64(&tree->trail), trail = 0;
    struct gap_step step = {gap_node_at(bias, get64(&tree->root)), GAP_TREE_OPEN, 0};
    uint32_t height = gap_node_level(step.node);
    NTMM_ASSERT(height < GAP_TREE_LEVELS_MAX);
    place->height = height + 1;
    for (uint32_t level = height; level > 0; level--) {
        step.index = gap_node_search_near(step.node, page, gap_trail_index(old, level));
        trail = trail << 8 | step.index;
        place->step[level] = step;
        step = gap_step_down(bias, &step);
    }
    gap_node_fetch_ranges(step.node, height);
    step.index = gap_node_search_near(step.node, page, gap_trail_index(old, 0));
    set64(&tree->trail, trail << 8 | step.index);
    place->step[0] = step;
}

#endif
