/*
 * The checker of gap_tree.h: one walk over the whole tree, each node looked at when it is entered.
 *
 * What the parent says of a child (its first key, where the next one begins, its widest gap) is
 * compared with the child itself, whose own words are then compared with its children's: so each
 * gap is in the end the maximum over ranges.
 *
 * The walk ends on any contents: levels fall on the way down, and a node that is met twice has a
 * first key that was already passed, while keys ascend.
 */
#include "base/gap_tree_node.h"

struct walk {
    uintptr_t bias;
    uint64_t granule; /* pages */
    const struct gap_tree *tree;
    uint64_t count; /* ranges met */
    uint64_t nodes; /* met */
    bool is_full;   /* GT10 holds so far */
    struct gap_place place;
};

static enum gap_tree_defect check_fill(const struct gap_step *step, bool is_root)
{
    uint32_t least = gap_node_level(step->node) > 0 ? 2 : 1;
    uint32_t count = gap_node_count(step->node);
    bool is_right = count >= (is_root ? least : GAP_TREE_LEAST) && count <= GAP_TREE_FANOUT;
    return is_right ? GAP_TREE_SOUND : GAP_TREE_DEFECT_FILL;
}

static enum gap_tree_defect check_keys(const struct gap_step *step)
{
    const struct gap_node *node = step->node;
    uint32_t count = gap_node_count(node);
    for (uint32_t i = 0; i < count; i++) {
        bool is_last = i + 1 == count;
        if (get64(&node->key[i]) >= (is_last ? step->bound : get64(&node->key[i + 1]))) {
            return GAP_TREE_DEFECT_ORDER;
        }
    }
    for (uint32_t i = count; i <= GAP_TREE_FANOUT; i++) {
        if (get64(&node->key[i]) != GAP_TREE_OPEN) {
            return GAP_TREE_DEFECT_ORDER;
        }
    }
    return GAP_TREE_SOUND;
}

static enum gap_tree_defect check_ranges(const struct gap_step *leaf)
{
    const struct gap_node *node = leaf->node;
    for (uint32_t i = 0; i < gap_node_count(node); i++) {
        uint64_t end = get64(&node->end[i]);
        if (get64(&node->key[i]) >= end || end > GAP_TREE_END_MAX) {
            return GAP_TREE_DEFECT_ORDER;
        }
        if (end > gap_next_key(node, i, leaf->bound)) {
            return GAP_TREE_DEFECT_OVERLAP;
        }
    }
    return GAP_TREE_SOUND;
}

static enum gap_tree_defect check_references(const struct gap_node *node)
{
    uint64_t unit = gap_node_level(node) > 0 ? 64 : 1;
    for (uint32_t i = 0; i < gap_node_count(node); i++) {
        uint64_t ref = get64(&node->ref[i]);
        if (ref == 0 || (ref & (unit - 1)) != 0) {
            return GAP_TREE_DEFECT_REFERENCE;
        }
    }
    return GAP_TREE_SOUND;
}

/* A node by itself: all but what its parent says of it. */
static enum gap_tree_defect check_node(const struct gap_step *step, bool is_root)
{
    enum gap_tree_defect defect = check_fill(step, is_root);
    if (defect == GAP_TREE_SOUND) {
        defect = check_keys(step);
    }
    if (defect == GAP_TREE_SOUND && gap_node_level(step->node) == 0) {
        defect = check_ranges(step);
    }
    return defect == GAP_TREE_SOUND ? check_references(step->node) : defect;
}

/* Whether room for full_pages begins where the tree says that none does. */
static bool has_room_where_full(const struct gap_tree *tree, uint64_t floor, uint64_t ceiling)
{
    uint64_t begin = round_up(max_u64(floor, get64(&tree->full_from)), get64(&tree->granule));
    return begin < get64(&tree->full_until) && begin < ceiling &&
           ceiling - begin >= get64(&tree->full_pages);
}

static bool check_full(const struct walk *w, const struct gap_step *leaf)
{
    for (uint32_t i = 0; i < gap_node_count(leaf->node); i++) {
        uint64_t ceiling = gap_next_key(leaf->node, i, leaf->bound);
        if (has_room_where_full(w->tree, get64(&leaf->node->end[i]), ceiling)) {
            return false;
        }
    }
    return true;
}

/* What the parent's entry, the step's, says of the child: its first key and its widest gap. */
static enum gap_tree_defect check_entry(const struct gap_step *upper, const struct gap_step *step,
                                        uint64_t granule)
{
    const struct gap_node *parent = upper->node;
    if (get64(&step->node->key[0]) != get64(&parent->key[upper->index])) {
        return GAP_TREE_DEFECT_KEY;
    }
    uint64_t widest = gap_widest(step->node, step->bound, granule, GAP_TREE_OPEN);
    return widest == get64(&parent->gap[upper->index]) ? GAP_TREE_SOUND : GAP_TREE_DEFECT_GAP;
}

/* Enter the child that the step of a level is at: into the step below it. */
static enum gap_tree_defect enter_child(struct walk *w, uint32_t level, uint64_t *bad_ref)
{
    const struct gap_step *upper = &w->place.step[level];
    const struct gap_step step = gap_step_down(w->bias, upper);
    *bad_ref = get64(&upper->node->ref[upper->index]);
    if (gap_node_level(step.node) != level - 1) {
        return GAP_TREE_DEFECT_LEVEL;
    }
    enum gap_tree_defect defect = check_node(&step, false);
    if (defect == GAP_TREE_SOUND) {
        defect = check_entry(upper, &step, w->granule);
    }
    w->place.step[level - 1] = step;
    w->nodes++;
    return defect;
}

static enum gap_tree_defect enter_root(struct walk *w, uint64_t root_ref, uint64_t *bad_ref)
{
    *bad_ref = root_ref;
    if ((root_ref & 63) != 0) {
        return GAP_TREE_DEFECT_REFERENCE;
    }
    const struct gap_step step = {gap_node_at(w->bias, root_ref), GAP_TREE_OPEN, 0};
    uint32_t level = gap_node_level(step.node);
    if (level >= GAP_TREE_LEVELS_MAX) {
        return GAP_TREE_DEFECT_LEVEL;
    }
    w->place.height = level + 1;
    w->place.step[level] = step;
    w->nodes++;
    return check_node(&step, true);
}

/* Down to the first leaf below the step of a level. */
static enum gap_tree_defect enter_below(struct walk *w, uint32_t level, uint64_t *bad_ref)
{
    for (; level > 0; level--) {
        enum gap_tree_defect defect = enter_child(w, level, bad_ref);
        if (defect != GAP_TREE_SOUND) {
            return defect;
        }
    }
    w->count += gap_node_count(w->place.step[0].node);
    w->is_full = w->is_full && check_full(w, &w->place.step[0]);
    return GAP_TREE_SOUND;
}

/* Up from a leaf to the first level that has an entry more, and on to it; false at the end. */
static bool step_on(struct walk *w, uint32_t *level)
{
    for (*level = 1; *level < w->place.height; ++*level) {
        struct gap_step *step = &w->place.step[*level];
        if (++step->index < gap_node_count(step->node)) {
            return true;
        }
    }
    return false;
}

static enum gap_tree_defect walk_all(struct walk *w, uint64_t root_ref, uint64_t *bad_ref)
{
    enum gap_tree_defect defect = enter_root(w, root_ref, bad_ref);
    if (defect != GAP_TREE_SOUND) {
        return defect;
    }
    uint32_t level = w->place.height - 1;
    do {
        defect = enter_below(w, level, bad_ref);
    } while (defect == GAP_TREE_SOUND && step_on(w, &level));
    return defect;
}

static bool is_trail(uint64_t trail)
{
    bool is_right = true;
    for (; trail != 0; trail >>= 8) {
        is_right = is_right && (trail & 0xFF) < GAP_TREE_FANOUT;
    }
    return is_right;
}

static uint64_t first_key(uintptr_t bias, const struct gap_tree *tree)
{
    return get64(&gap_node_at(bias, get64(&tree->root))->key[0]);
}

enum gap_tree_defect gap_tree_check(uintptr_t bias, const struct gap_tree *tree,
                                    uint64_t *node_count, uint64_t *bad_ref)
{
    struct walk w = {.bias = bias, .granule = get64(&tree->granule), .tree = tree};
    uint64_t root = get64(&tree->root), bad = 0;
    w.is_full = !has_room_where_full(tree, 0, root != 0 ? first_key(bias, tree) : GAP_TREE_OPEN);
    enum gap_tree_defect defect = root != 0 ? walk_all(&w, root, &bad) : GAP_TREE_SOUND;
    if (defect == GAP_TREE_SOUND && w.count != get64(&tree->count)) {
        bad = 0;
        defect = GAP_TREE_DEFECT_COUNT;
    }
    if (defect == GAP_TREE_SOUND && !is_trail(get64(&tree->trail))) {
        bad = 0;
        defect = GAP_TREE_DEFECT_TRAIL;
    }
    if (defect == GAP_TREE_SOUND && !w.is_full) {
        bad = 0;
        defect = GAP_TREE_DEFECT_FULL;
    }
    if (defect == GAP_TREE_SOUND) {
        *node_count = w.nodes;
    } else {
        *bad_ref = bad;
    }
    return defect;
}
