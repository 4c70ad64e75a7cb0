/*
 * The checker of gap_tree.h: one walk over the whole tree.
 *
 * A node is met three times: on the way down (its references), after its left subtree (GT1, GT2,
 * GT6, in order) and after its right one (GT3, GT7, GT8, from what both subtrees were found to be).
 * Heights are measured, never derived from balance bits; one byte for each side of each level on
 * the path holds them, so that no recursion is needed. Side gaps are compared with the children's
 * own three words: as the leaves' are 0 and every gap is verified, each is then the maximum over
 * its subtree.
 *
 * The walk ends on any contents. A child is entered only from the node that it names as its parent,
 * and not twice from there, and the root names none; hence no node is entered twice.
 */
#include "base/gap_tree.h"

#include "base/bits.h"

enum { LEFT = GAP_TREE_LEFT, RIGHT = GAP_TREE_RIGHT };

/* Higher than an AVL tree of 2^58 nodes, as many as 2^64 bytes hold: 1.44 * 58 < 84. */
enum { LEVELS_MAX = 84 };

enum stage { ENTERED, LEFT_DONE, RIGHT_DONE };

struct walk {
    uintptr_t bias;
    uint64_t granule;                  /* pages */
    uint64_t count;                    /* nodes met in order */
    uint64_t prev_start, prev_end;     /* pages: of the node met last in order */
    unsigned level;                    /* of the node being met; the root's is 0 */
    uint8_t height[LEVELS_MAX + 1][2]; /* levels of both subtrees of the path's nodes */
};

static inline const struct gap_node *node_at(uintptr_t bias, uint64_t ref)
{
    return core_at(bias, ref);
}

static inline uint64_t parent_of(const struct gap_node *node)
{
    return get64(&node->parent) & ~UINT64_C(3);
}

static enum gap_tree_defect check_references(const struct gap_node *node)
{
    uint64_t left = get64(&node->left), right = get64(&node->right);
    if (!is_multiple(left | right, sizeof(struct gap_node)) || (left == right && left != 0)) {
        return GAP_TREE_DEFECT_PARENT;
    }
    return GAP_TREE_SOUND;
}

static enum gap_tree_defect check_in_order(struct walk *w, const struct gap_node *node)
{
    uint64_t start = get64(&node->start), end = get64(&node->end);
    if (start >= end || end > GAP_TREE_END_MAX || (w->count != 0 && start <= w->prev_start)) {
        return GAP_TREE_DEFECT_ORDER;
    }
    if (start < w->prev_end) {
        return GAP_TREE_DEFECT_OVERLAP;
    }
    uint64_t floor = (w->prev_end + w->granule - 1) & ~(w->granule - 1);
    if (get64(&node->gap) != start - min_u64(start, floor)) {
        return GAP_TREE_DEFECT_GAP;
    }
    w->count++;
    w->prev_start = start;
    w->prev_end = end;
    return GAP_TREE_SOUND;
}

static uint64_t widest_below(const struct walk *w, uint64_t ref)
{
    if (ref == 0) {
        return 0;
    }
    const struct gap_node *node = node_at(w->bias, ref);
    uint64_t sides = max_u64(get64(&node->left_gap), get64(&node->right_gap));
    return max_u64(sides, get64(&node->gap));
}

static bool is_balanced(const struct gap_node *node, unsigned left_height, unsigned right_height)
{
    unsigned balance = (unsigned)(get64(&node->parent) & 3);
    return (balance == 0 && left_height == right_height) ||
           (balance == 1 && left_height == right_height + 1) ||
           (balance == 2 && left_height + 1 == right_height);
}

static enum gap_tree_defect check_subtree(const struct walk *w, const struct gap_node *node)
{
    if (!is_balanced(node, w->height[w->level][LEFT], w->height[w->level][RIGHT])) {
        return GAP_TREE_DEFECT_BALANCE;
    }
    if (get64(&node->left_gap) != widest_below(w, get64(&node->left))) {
        return GAP_TREE_DEFECT_LEFT_GAP;
    }
    if (get64(&node->right_gap) != widest_below(w, get64(&node->right))) {
        return GAP_TREE_DEFECT_RIGHT_GAP;
    }
    return GAP_TREE_SOUND;
}

/* Go to the child on that side, or note that there is none and go on with the same node. */
static enum gap_tree_defect descend(struct walk *w, uint64_t *ref, enum stage *stage, unsigned side)
{
    uint64_t child_ref = get64(&node_at(w->bias, *ref)->child[side]);
    if (child_ref == 0) {
        w->height[w->level][side] = 0;
        *stage = side == LEFT ? LEFT_DONE : RIGHT_DONE;
        return GAP_TREE_SOUND;
    }
    uint64_t parent_ref = *ref;
    *ref = child_ref;
    *stage = ENTERED;
    if (parent_of(node_at(w->bias, child_ref)) != parent_ref) {
        return GAP_TREE_DEFECT_PARENT;
    }
    return w->level++ < LEVELS_MAX ? GAP_TREE_SOUND : GAP_TREE_DEFECT_BALANCE;
}

/* Go back to the parent, 0 from the root, and note there how high this subtree was. */
static void ascend(struct walk *w, uint64_t *ref, enum stage *stage)
{
    uint64_t parent_ref = parent_of(node_at(w->bias, *ref));
    if (parent_ref != 0) {
        const uint8_t *heights = w->height[w->level];
        unsigned height = 1u + (heights[LEFT] > heights[RIGHT] ? heights[LEFT] : heights[RIGHT]);
        unsigned side = get64(&node_at(w->bias, parent_ref)->right) == *ref ? RIGHT : LEFT;
        w->height[--w->level][side] = (uint8_t)height;
        *stage = side == LEFT ? LEFT_DONE : RIGHT_DONE;
    }
    *ref = parent_ref;
}

/* One of the three meetings; *ref and *stage become the next one's, or stay at the defect. */
static enum gap_tree_defect meet(struct walk *w, uint64_t *ref, enum stage *stage)
{
    const struct gap_node *node = node_at(w->bias, *ref);
    enum gap_tree_defect defect = GAP_TREE_SOUND;
    switch (*stage) {
    case ENTERED:
        defect = check_references(node);
        return defect != GAP_TREE_SOUND ? defect : descend(w, ref, stage, LEFT);
    case LEFT_DONE:
        defect = check_in_order(w, node);
        return defect != GAP_TREE_SOUND ? defect : descend(w, ref, stage, RIGHT);
    case RIGHT_DONE:
        defect = check_subtree(w, node);
        if (defect == GAP_TREE_SOUND) {
            ascend(w, ref, stage);
        }
        return defect;
    }
    return defect;
}

enum gap_tree_defect gap_tree_check(uintptr_t bias, const struct gap_tree *tree, uint64_t *bad_ref)
{
    struct walk w = {.bias = bias, .granule = get64(&tree->granule)};
    enum stage stage = ENTERED;
    uint64_t ref = get64(&tree->root);
    if (!is_multiple(ref, sizeof(struct gap_node)) ||
        (ref != 0 && parent_of(node_at(bias, ref)) != 0)) {
        *bad_ref = ref;
        return GAP_TREE_DEFECT_PARENT;
    }
    while (ref != 0) {
        enum gap_tree_defect defect = meet(&w, &ref, &stage);
        if (defect != GAP_TREE_SOUND) {
            *bad_ref = ref;
            return defect;
        }
    }
    if (w.count != get64(&tree->count)) {
        *bad_ref = 0;
        return GAP_TREE_DEFECT_COUNT;
    }
    return GAP_TREE_SOUND;
}
