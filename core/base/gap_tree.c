/*
 * The AVL tree of gap_tree.h.
 *
 * Gaps. The floor of a node, round_up(pred.end, granule), is never looked up: it is always
 *
 *     round_up(node.start - node.gap, granule)
 *
 * If gap > 0, start - gap is the floor itself. If gap = 0, then start <= floor by GT6 and
 * pred.end <= start by GT2, so that start and pred.end round up to the same multiple. Hence
 * inserting, removing and resizing touch the node's successor but not its predecessor.
 *
 * Repair. An edge is right if the parent's side_gap equals the widest gap of the child: of its gap,
 * left_gap and right_gap. A change makes at most two edges wrong, the one above the place where a
 * node was linked or unlinked and the one above the successor, whose gap changed. settle_gaps
 * climbs from a wrong edge until it finds a right one. Above it all edges are right, but perhaps
 * the one above the successor, which is settled next. A rotation carries side gaps along without
 * recomputing them from further below, so that it makes no other edge wrong.
 *
 * Mirror images share their code: side is LEFT or RIGHT, !side the other, and a node that is heavy
 * on a side has the balance bits side + 1; 0 is even.
 */
#include "base/gap_tree.h"

#include "base/bits.h"

#define BALANCE_BITS UINT64_C(3)

enum { LEFT = GAP_TREE_LEFT, RIGHT = GAP_TREE_RIGHT };

static inline struct gap_node *node_at(uintptr_t bias, uint64_t ref) { return core_at(bias, ref); }

static inline unsigned heavy_on(unsigned side) { return side + 1; }

static inline uint64_t parent_of(const struct gap_node *node)
{
    return get64(&node->parent) & ~BALANCE_BITS;
}

static inline unsigned balance_of(const struct gap_node *node)
{
    return (unsigned)(get64(&node->parent) & BALANCE_BITS);
}

static inline void set_balance(struct gap_node *node, unsigned balance)
{
    set64(&node->parent, parent_of(node) | balance);
}

static inline void set_parent(struct gap_node *node, uint64_t parent_ref)
{
    set64(&node->parent, parent_ref | balance_of(node));
}

static inline unsigned side_of(const struct gap_node *parent, uint64_t child_ref)
{
    return get64(&parent->child[RIGHT]) == child_ref ? RIGHT : LEFT;
}

/* Where the free room before the node begins, rounded up to the granule (see above). */
static inline uint64_t floor_of(const struct gap_node *node, uint64_t granule)
{
    return round_up(get64(&node->start) - get64(&node->gap), granule);
}

static inline uint64_t usable_gap(uint64_t start, uint64_t floor)
{
    return start - min_u64(start, floor);
}

static inline uint64_t widest_gap(const struct gap_node *node)
{
    uint64_t sides = max_u64(get64(&node->left_gap), get64(&node->right_gap));
    return max_u64(sides, get64(&node->gap));
}

/* What hung as old_ref below parent_ref (0: at the root) is from now on new_ref. */
static inline void replace_child(uintptr_t bias, struct gap_tree *tree, uint64_t parent_ref,
                                 uint64_t old_ref, uint64_t new_ref)
{
    if (parent_ref == 0) {
        set64(&tree->root, new_ref);
        return;
    }
    struct gap_node *parent = node_at(bias, parent_ref);
    set64(&parent->child[side_of(parent, old_ref)], new_ref);
}

void gap_tree_init(struct gap_tree *tree, uint64_t granule_pages)
{
    NTMM_ASSERT(is_power_of_two(granule_pages) && granule_pages < GAP_TREE_END_MAX);
    set64(&tree->root, 0);
    set64(&tree->count, 0);
    set64(&tree->granule, granule_pages);
}

/* ---- Looking up and walking ---- */

uint64_t gap_tree_find(uintptr_t bias, const struct gap_tree *tree, uint64_t page)
{
    uint64_t ref = get64(&tree->root);
    while (ref != 0) {
        const struct gap_node *node = node_at(bias, ref);
        if (page < get64(&node->start)) {
            ref = get64(&node->left);
        } else if (page < get64(&node->end)) {
            return ref;
        } else {
            ref = get64(&node->right);
        }
    }
    return 0;
}

uint64_t gap_tree_find_at_or_after(uintptr_t bias, const struct gap_tree *tree, uint64_t page)
{
    uint64_t ref = get64(&tree->root), found = 0;
    while (ref != 0) {
        const struct gap_node *node = node_at(bias, ref);
        if (page < get64(&node->end)) {
            found = ref;
            ref = get64(&node->left);
        } else {
            ref = get64(&node->right);
        }
    }
    return found;
}

bool gap_tree_is_free(uintptr_t bias, const struct gap_tree *tree, uint64_t start, uint64_t end)
{
    if (start >= end) {
        return true;
    }
    uint64_t ref = gap_tree_find_at_or_after(bias, tree, start);
    return ref == 0 || get64(&node_at(bias, ref)->start) >= end;
}

static inline uint64_t outermost(uintptr_t bias, uint64_t ref, unsigned side)
{
    uint64_t found = 0;
    while (ref != 0) {
        found = ref;
        ref = get64(&node_at(bias, ref)->child[side]);
    }
    return found;
}

static inline uint64_t neighbour(uintptr_t bias, uint64_t ref, unsigned side)
{
    const struct gap_node *node = node_at(bias, ref);
    if (get64(&node->child[side]) != 0) {
        return outermost(bias, get64(&node->child[side]), !side);
    }
    uint64_t parent_ref;
    while ((parent_ref = parent_of(node)) != 0) {
        node = node_at(bias, parent_ref);
        if (side_of(node, ref) != side) {
            return parent_ref;
        }
        ref = parent_ref;
    }
    return 0;
}

uint64_t gap_tree_first(uintptr_t bias, const struct gap_tree *tree)
{
    return outermost(bias, get64(&tree->root), LEFT);
}

uint64_t gap_tree_last(uintptr_t bias, const struct gap_tree *tree)
{
    return outermost(bias, get64(&tree->root), RIGHT);
}

uint64_t gap_tree_next(uintptr_t bias, uint64_t node_ref)
{
    return neighbour(bias, node_ref, RIGHT);
}

uint64_t gap_tree_prev(uintptr_t bias, uint64_t node_ref)
{
    return neighbour(bias, node_ref, LEFT);
}

/* ---- Changing ---- */

/* Make the edges above ref right, up to the first that already is. */
static void settle_gaps(uintptr_t bias, uint64_t ref)
{
    const struct gap_node *node = node_at(bias, ref);
    uint64_t parent_ref;
    while ((parent_ref = parent_of(node)) != 0) {
        struct gap_node *parent = node_at(bias, parent_ref);
        le64 *side_gap = &parent->side_gap[side_of(parent, ref)];
        uint64_t widest = widest_gap(node);
        if (get64(side_gap) == widest) {
            return;
        }
        set64(side_gap, widest);
        ref = parent_ref;
        node = parent;
    }
}

/*
 * Lift the child on that side above the node; returns its reference. Both are left with balance 0.
 *
 *        node                lifted
 *       /    \               /    \
 *     ...   lifted   ->    node   ...        (side = RIGHT)
 *           /    \         /  \
 *        inner   ...     ...  inner
 */
static uint64_t rotate(uintptr_t bias, struct gap_tree *tree, uint64_t ref, unsigned side)
{
    struct gap_node *node = node_at(bias, ref);
    uint64_t lifted_ref = get64(&node->child[side]);
    struct gap_node *lifted = node_at(bias, lifted_ref);
    uint64_t inner_ref = get64(&lifted->child[!side]);
    uint64_t parent_ref = parent_of(node);
    set64(&node->child[side], inner_ref);
    set64(&node->side_gap[side], get64(&lifted->side_gap[!side]));
    set64(&node->parent, lifted_ref);
    if (inner_ref != 0) {
        set_parent(node_at(bias, inner_ref), ref);
    }
    set64(&lifted->child[!side], ref);
    set64(&lifted->side_gap[!side], widest_gap(node));
    set64(&lifted->parent, parent_ref);
    replace_child(bias, tree, parent_ref, ref, lifted_ref);
    return lifted_ref;
}

/*
 * The node is two levels higher on that side: rotate. Returns the new top of the subtree, which is
 * one level lower than before if its balance is 0, else as high.
 */
static uint64_t rebalance(uintptr_t bias, struct gap_tree *tree, uint64_t ref, unsigned side)
{
    struct gap_node *node = node_at(bias, ref);
    uint64_t child_ref = get64(&node->child[side]);
    struct gap_node *child = node_at(bias, child_ref);
    unsigned child_balance = balance_of(child);
    if (child_balance != heavy_on(!side)) {
        rotate(bias, tree, ref, side);
        if (child_balance == 0) {
            set_balance(node, heavy_on(side));
            set_balance(child, heavy_on(!side));
        }
        return child_ref;
    }
    unsigned inner_balance = balance_of(node_at(bias, get64(&child->child[!side])));
    rotate(bias, tree, child_ref, !side);
    uint64_t top_ref = rotate(bias, tree, ref, side);
    if (inner_balance == heavy_on(side)) {
        set_balance(node, heavy_on(!side));
    } else if (inner_balance == heavy_on(!side)) {
        set_balance(child, heavy_on(side));
    }
    return top_ref;
}

/* A leaf was linked: restore balance and gaps above it. */
static void retrace_insertion(uintptr_t bias, struct gap_tree *tree, uint64_t ref)
{
    const struct gap_node *node = node_at(bias, ref);
    uint64_t parent_ref;
    while ((parent_ref = parent_of(node)) != 0) {
        struct gap_node *parent = node_at(bias, parent_ref);
        unsigned side = side_of(parent, ref);
        unsigned balance = balance_of(parent);
        set64(&parent->side_gap[side], widest_gap(node));
        ref = parent_ref;
        node = parent;
        if (balance == 0) {
            set_balance(parent, heavy_on(side));
            continue;
        }
        if (balance == heavy_on(side)) {
            ref = rebalance(bias, tree, ref, side);
        } else {
            set_balance(parent, 0);
        }
        settle_gaps(bias, ref);
        return;
    }
}

/* The subtree of ref on that side became one level lower: restore balance and gaps from ref up. */
static void retrace_removal(uintptr_t bias, struct gap_tree *tree, uint64_t ref, unsigned side)
{
    while (ref != 0) {
        struct gap_node *node = node_at(bias, ref);
        uint64_t child_ref = get64(&node->child[side]);
        unsigned balance = balance_of(node);
        uint64_t widest = child_ref != 0 ? widest_gap(node_at(bias, child_ref)) : 0;
        set64(&node->side_gap[side], widest);
        if (balance == 0) {
            set_balance(node, heavy_on(!side));
            settle_gaps(bias, ref);
            return;
        }
        if (balance == heavy_on(side)) {
            set_balance(node, 0);
        } else {
            ref = rebalance(bias, tree, ref, !side);
            node = node_at(bias, ref);
            if (balance_of(node) != 0) {
                settle_gaps(bias, ref);
                return;
            }
        }
        uint64_t parent_ref = parent_of(node);
        side = parent_ref != 0 ? side_of(node_at(bias, parent_ref), ref) : LEFT;
        ref = parent_ref;
    }
}

static void link_leaf(uintptr_t bias, struct gap_tree *tree, uint64_t ref, uint64_t parent_ref,
                      unsigned side)
{
    struct gap_node *node = node_at(bias, ref);
    set64(&node->left, 0);
    set64(&node->right, 0);
    set64(&node->left_gap, 0);
    set64(&node->right_gap, 0);
    set64(&node->parent, parent_ref);
    set64(&tree->count, get64(&tree->count) + 1);
    if (parent_ref == 0) {
        set64(&tree->root, ref);
    } else {
        set64(&node_at(bias, parent_ref)->child[side], ref);
    }
}

void gap_tree_insert(uintptr_t bias, struct gap_tree *tree, uint64_t node_ref)
{
    struct gap_node *node = node_at(bias, node_ref);
    uint64_t granule = get64(&tree->granule);
    uint64_t start = get64(&node->start), end = get64(&node->end);
    NTMM_ASSERT(node_ref != 0 && is_multiple(node_ref, sizeof(struct gap_node)));
    NTMM_ASSERT(start < end && end <= GAP_TREE_END_MAX);
    NTMM_ASSERT(gap_tree_is_free(bias, tree, start, end));

    uint64_t parent_ref = 0, succ_ref = 0, floor = 0;
    unsigned side = LEFT;
    for (uint64_t ref = get64(&tree->root); ref != 0;) {
        const struct gap_node *at = node_at(bias, ref);
        parent_ref = ref;
        side = start < get64(&at->start) ? LEFT : RIGHT;
        succ_ref = side == LEFT ? ref : succ_ref;
        ref = get64(&at->child[side]);
    }
    if (succ_ref != 0) {
        struct gap_node *succ = node_at(bias, succ_ref);
        floor = floor_of(succ, granule);
        set64(&succ->gap, usable_gap(get64(&succ->start), round_up(end, granule)));
    } else if (parent_ref != 0) { /* then the parent is the last node */
        floor = round_up(get64(&node_at(bias, parent_ref)->end), granule);
    }
    set64(&node->gap, usable_gap(start, floor));
    link_leaf(bias, tree, node_ref, parent_ref, side);
    retrace_insertion(bias, tree, node_ref);
    if (succ_ref != 0) {
        settle_gaps(bias, succ_ref);
    }
}

/* Unlink a node with at most one child, which is then a leaf and takes its place. */
static void unlink_outer(uintptr_t bias, struct gap_tree *tree, uint64_t ref)
{
    const struct gap_node *node = node_at(bias, ref);
    uint64_t parent_ref = parent_of(node);
    uint64_t child_ref = get64(&node->left) | get64(&node->right);
    unsigned side = parent_ref != 0 ? side_of(node_at(bias, parent_ref), ref) : LEFT;
    replace_child(bias, tree, parent_ref, ref, child_ref);
    if (child_ref != 0) {
        set_parent(node_at(bias, child_ref), parent_ref);
    }
    retrace_removal(bias, tree, parent_ref, side);
}

/* Unlink a node with two children: its successor, the leftmost on its right, takes its place. */
static void unlink_inner(uintptr_t bias, struct gap_tree *tree, uint64_t ref, uint64_t succ_ref)
{
    const struct gap_node *node = node_at(bias, ref);
    struct gap_node *succ = node_at(bias, succ_ref);
    uint64_t lowered_ref = parent_of(succ);
    unsigned side = LEFT;
    if (lowered_ref == ref) {
        lowered_ref = succ_ref;
        side = RIGHT;
    } else {
        uint64_t orphan_ref = get64(&succ->right);
        set64(&node_at(bias, lowered_ref)->left, orphan_ref);
        if (orphan_ref != 0) {
            set_parent(node_at(bias, orphan_ref), lowered_ref);
        }
        set64(&succ->right, get64(&node->right));
        set64(&succ->right_gap, get64(&node->right_gap));
        set_parent(node_at(bias, get64(&node->right)), succ_ref);
    }
    set64(&succ->left, get64(&node->left));
    set64(&succ->left_gap, get64(&node->left_gap));
    set_parent(node_at(bias, get64(&node->left)), succ_ref);
    set64(&succ->parent, get64(&node->parent));
    replace_child(bias, tree, parent_of(node), ref, succ_ref);
    retrace_removal(bias, tree, lowered_ref, side);
}

void gap_tree_remove(uintptr_t bias, struct gap_tree *tree, uint64_t node_ref)
{
    const struct gap_node *node = node_at(bias, node_ref);
    NTMM_ASSERT(gap_tree_find(bias, tree, get64(&node->start)) == node_ref);
    uint64_t succ_ref = gap_tree_next(bias, node_ref);
    if (succ_ref != 0) {
        struct gap_node *succ = node_at(bias, succ_ref);
        uint64_t floor = floor_of(node, get64(&tree->granule));
        set64(&succ->gap, usable_gap(get64(&succ->start), floor));
    }
    if (get64(&node->left) != 0 && get64(&node->right) != 0) {
        unlink_inner(bias, tree, node_ref, succ_ref);
    } else {
        unlink_outer(bias, tree, node_ref);
    }
    set64(&tree->count, get64(&tree->count) - 1);
    if (succ_ref != 0) {
        settle_gaps(bias, succ_ref);
    }
}

void gap_tree_resize(uintptr_t bias, struct gap_tree *tree, uint64_t node_ref, uint64_t new_start,
                     uint64_t new_end)
{
    struct gap_node *node = node_at(bias, node_ref);
    uint64_t granule = get64(&tree->granule);
    uint64_t old_start = get64(&node->start), old_end = get64(&node->end);
    NTMM_ASSERT(new_start < new_end && new_end <= GAP_TREE_END_MAX);
    NTMM_ASSERT(gap_tree_find(bias, tree, old_start) == node_ref);
    NTMM_ASSERT(gap_tree_is_free(bias, tree, new_start, min_u64(old_start, new_end)));
    NTMM_ASSERT(gap_tree_is_free(bias, tree, max_u64(old_end, new_start), new_end));
    if (new_start != old_start) {
        uint64_t floor = floor_of(node, granule);
        set64(&node->start, new_start);
        set64(&node->gap, usable_gap(new_start, floor));
        settle_gaps(bias, node_ref);
    }
    if (new_end != old_end) {
        set64(&node->end, new_end);
        uint64_t succ_ref = gap_tree_next(bias, node_ref);
        if (succ_ref != 0) {
            struct gap_node *succ = node_at(bias, succ_ref);
            uint64_t floor = round_up(new_end, granule);
            set64(&succ->gap, usable_gap(get64(&succ->start), floor));
            settle_gaps(bias, succ_ref);
        }
    }
}
