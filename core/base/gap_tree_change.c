/*
 * Changing the tree of gap_tree.h.
 *
 * Gaps. The gap of a range ends where the next begins, so a change touches at most two: its own
 * and the one before it. That one is in the same leaf, unless the range is the first of its leaf;
 * then the key of the leaf changes too, all the way up to where it is not the first child.
 *
 * Settling. When entries of a node change, of which the widest gap was `before` and is `after`, the
 * node's widest follows without looking at the others: `after`, if it is the widest; as it was, if
 * the old ones were not the widest; only else are all looked at. It ends where nothing changes.
 *
 * Splitting and merging leave each set of gaps whole, hence change nothing above the parent.
 */
#include "base/gap_tree_node.h"

#include <stddef.h>

struct entry {
    uint64_t key;
    uint64_t value; /* end of a range, or gap of a child */
    uint64_t ref;
};

/* So many entries are moved one by one: a call for each array costs more, and its wide loads would
 * wait for the narrow stores of the last change. */
#define FEW 8u

/* Copy entries within a node or to another; what overlaps stays right. */
static inline void move_entries(struct gap_node *to, uint32_t to_index, const struct gap_node *from,
                                uint32_t from_index, uint32_t count)
{
    size_t size_bytes = count * sizeof(le64);
    __builtin_memmove(&to->key[to_index], &from->key[from_index], size_bytes);
    __builtin_memmove(&to->end[to_index], &from->end[from_index], size_bytes);
    __builtin_memmove(&to->ref[to_index], &from->ref[from_index], size_bytes);
}

/* Keys in use end with the count. */
static void set_count(struct gap_node *node, uint32_t count)
{
    __builtin_memset(&node->key[count], 0xFF, (GAP_TREE_FANOUT + 1 - count) * sizeof(le64));
    set32(&node->count, count);
}

/* Put the carried entry in the place of one, which is then carried. */
static inline void exchange_entry(struct gap_node *node, uint32_t index, struct entry *carried)
{
    const struct entry old = {get64(&node->key[index]), get64(&node->end[index]),
                              get64(&node->ref[index])};
    set64(&node->key[index], carried->key);
    set64(&node->end[index], carried->value);
    set64(&node->ref[index], carried->ref);
    *carried = old;
}

static void open_entry(struct gap_node *node, uint32_t index, const struct entry *entry)
{
    uint32_t count = gap_node_count(node);
    struct entry carried = *entry;
    NTMM_ASSERT(count < GAP_TREE_FANOUT && index <= count);
    if (count - index > FEW) {
        move_entries(node, index + 1, node, index, count - index);
        count = index;
    }
    for (; index < count; index++)
        exchange_entry(node, index, &carried);
    set64(&node->key[index], carried.key);
    set64(&node->end[index], carried.value);
    set64(&node->ref[index], carried.ref);
    set32(&node->count, gap_node_count(node) + 1);
}

static inline void close_entry(struct gap_node *node, uint32_t index)
{
    uint32_t last = gap_node_count(node) - 1;
    NTMM_ASSERT(index <= last);
    set32(&node->count, last);
    if (last - index > FEW) {
        move_entries(node, index, node, index + 1, last - index);
        index = last;
    }
    for (; index < last; index++) {
        set64(&node->key[index], get64(&node->key[index + 1]));
        set64(&node->end[index], get64(&node->end[index + 1]));
        set64(&node->ref[index], get64(&node->ref[index + 1]));
    }
    set64(&node->key[last], GAP_TREE_OPEN);
}

/* The lowest start below a step changed: tell the keys above that it decides. */
static void raise_key(const struct gap_place *place, uint32_t level, uint64_t key)
{
    while (++level < place->height) {
        const struct gap_step *step = &place->step[level];
        set64(&step->node->key[step->index], key);
        if (step->index != 0) {
            return;
        }
    }
}

/* See "Settling": entries of the leaf changed. */
static void settle(const struct gap_place *place, uint64_t granule, uint64_t before, uint64_t after)
{
    for (uint32_t level = 0; level + 1 < place->height; level++) {
        const struct gap_step *step = &place->step[level], *upper = step + 1;
        le64 *word = &upper->node->gap[upper->index];
        uint64_t old = get64(word), now = old;
        if (after >= old) {
            now = after;
        } else if (before >= old) {
            now = gap_widest(step->node, step->bound, granule, old);
        }
        if (now == old) {
            return;
        }
        set64(word, now);
        before = old;
        after = now;
    }
}

/* The same from a level up whose node was changed in several entries. */
static void settle_from(const struct gap_place *place, uint32_t level, uint64_t granule)
{
    for (; level + 1 < place->height; level++) {
        const struct gap_step *step = &place->step[level], *upper = step + 1;
        le64 *word = &upper->node->gap[upper->index];
        uint64_t now = gap_widest(step->node, step->bound, granule, GAP_TREE_OPEN);
        if (get64(word) == now) {
            return;
        }
        set64(word, now);
    }
}

/* The trail leads to another entry of its leaf. */
static inline void end_trail(struct gap_tree *tree, uint32_t index)
{
    NTMM_ASSERT(index < GAP_TREE_FANOUT);
    set64(&tree->trail, (get64(&tree->trail) & ~0xFFull) | index);
}

/* Room may begin from the end of the entry before this one on; GT10 ends there. */
static inline void open_room(struct gap_tree *tree, const struct gap_step *leaf)
{
    uint64_t floor = leaf->index > 0 ? get64(&leaf->node->end[leaf->index - 1]) : 0;
    if (floor < get64(&tree->full_until)) {
        set64(&tree->full_until, floor);
    }
}

/* ---- Inserting ---- */

uint32_t gap_tree_count_full(const struct gap_place *place)
{
    uint32_t level = 0;
    while (level < place->height && gap_node_count(place->step[level].node) == GAP_TREE_FANOUT) {
        level++;
    }
    return level == place->height ? level + 1 : level;
}

static uint64_t take_node(struct gap_nodes *nodes)
{
    NTMM_ASSERT(nodes->count > 0);
    return nodes->ref[--nodes->count];
}

static __attribute__((noinline)) void plant_root(uintptr_t bias, struct gap_tree *tree,
                                                 uint32_t level, const struct entry *first,
                                                 uint64_t root_ref)
{
    struct gap_node *root = gap_node_at(bias, root_ref);
    set_count(root, 0);
    set32(&root->level, level);
    open_entry(root, 0, first);
    set64(&tree->root, root_ref);
}

/*
 * How many of FANOUT + 1 entries stay in the left half. Where entries come in order, most: the next
 * will come to the right half, or to the left one.
 */
static uint32_t split_at(uint32_t index)
{
    if (index == GAP_TREE_FANOUT) {
        return GAP_TREE_FANOUT + 1 - GAP_TREE_LEAST;
    }
    return index == 0 ? GAP_TREE_LEAST : (GAP_TREE_FANOUT + 1) / 2;
}

/* Split a full node, with one entry more, into itself and the node on its right. */
static void split(struct gap_node *left, struct gap_node *right, uint32_t index,
                  const struct entry *entry)
{
    uint32_t keep = split_at(index);
    uint32_t stays = index < keep ? keep - 1 : keep; /* of the old ones */
    move_entries(right, 0, left, stays, GAP_TREE_FANOUT - stays);
    set_count(right, GAP_TREE_FANOUT - stays);
    set32(&right->level, gap_node_level(left));
    set_count(left, stays);
    if (index < keep) {
        open_entry(left, index, entry);
    } else {
        open_entry(right, index - keep, entry);
    }
}

/* Insert into a full leaf: split it, and every node above it that is full too. */
static __attribute__((noinline)) void insert_splitting(uintptr_t bias, struct gap_tree *tree,
                                                       const struct gap_place *place,
                                                       uint32_t index, struct entry entry,
                                                       struct gap_nodes *nodes)
{
    uint64_t granule = get64(&tree->granule);
    uint32_t level = 0;
    for (;; level++) {
        const struct gap_step *step = &place->step[level], *upper = step + 1;
        if (gap_node_count(step->node) < GAP_TREE_FANOUT) {
            break;
        }
        uint64_t right_ref = take_node(nodes);
        struct gap_node *left = step->node, *right = gap_node_at(bias, right_ref);
        split(left, right, index, &entry);
        uint64_t middle = get64(&right->key[0]);
        uint64_t left_gap = gap_widest(left, middle, granule, GAP_TREE_OPEN);
        uint64_t right_gap = gap_widest(right, step->bound, granule, GAP_TREE_OPEN);
        entry = (struct entry){middle, right_gap, right_ref};
        if (level + 1 == place->height) {
            const struct entry first = {get64(&left->key[0]), left_gap, get64(&tree->root)};
            plant_root(bias, tree, level + 1, &first, take_node(nodes));
            open_entry(gap_node_at(bias, get64(&tree->root)), 1, &entry);
            return;
        }
        set64(&upper->node->gap[upper->index], left_gap);
        index = upper->index + 1;
    }
    open_entry(place->step[level].node, index, &entry);
    settle_from(place, level, granule);
}

static void insert_fitting(const struct gap_place *place, uint64_t granule, uint32_t index,
                           const struct entry *entry)
{
    const struct gap_step *leaf = &place->step[0];
    if (place->height == 1) { /* nobody above keeps its gaps */
        open_entry(leaf->node, index, entry);
        return;
    }
    uint64_t before = index > 0 ? gap_of(leaf->node, index - 1, leaf->bound, granule) : 0;
    open_entry(leaf->node, index, entry);
    uint64_t after = gap_of(leaf->node, index, leaf->bound, granule);
    if (index > 0) {
        after = max_u64(after, gap_of(leaf->node, index - 1, leaf->bound, granule));
    }
    settle(place, granule, before, after);
}

__attribute__((flatten)) void gap_tree_insert(uintptr_t bias, struct gap_tree *tree,
                                              const struct gap_place *place,
                                              const struct gap_range *range,
                                              struct gap_nodes *nodes)
{
    const struct gap_step *leaf = &place->step[0];
    const struct entry entry = {range->start, range->end, range->ref};
    NTMM_ASSERT(range->start < range->end && range->end <= GAP_TREE_END_MAX && range->ref != 0);
    NTMM_ASSERT(gap_tree_is_free(bias, tree, range->start, range->end));
    set64(&tree->count, get64(&tree->count) + 1);
    if (place->height == 0) {
        plant_root(bias, tree, 0, &entry, take_node(nodes));
        return;
    }
    bool is_first = range->start < get64(&leaf->node->key[leaf->index]); /* of all ranges */
    uint32_t index = is_first ? 0 : leaf->index + 1;
    if (is_first) {
        raise_key(place, 0, range->start);
    }
    if (gap_node_count(leaf->node) < GAP_TREE_FANOUT) {
        end_trail(tree, index);
        insert_fitting(place, get64(&tree->granule), index, &entry);
    } else {
        insert_splitting(bias, tree, place, index, entry, nodes);
    }
}

/* ---- Removing and resizing ---- */

/* The way to the last range of the leaf before the place's; false if there is none. */
static bool step_to_previous_leaf(uintptr_t bias, const struct gap_place *place,
                                  struct gap_place *previous)
{
    uint32_t level = 1;
    while (level < place->height && place->step[level].index == 0) {
        level++;
    }
    if (level >= place->height) {
        return false;
    }
    *previous = *place;
    for (previous->step[level].index--; level > 0; level--) {
        struct gap_step step = gap_step_down(bias, &previous->step[level]);
        step.index = gap_node_count(step.node) - 1;
        previous->step[level - 1] = step;
    }
    return true;
}

/* The first range of a leaf, which began at old_start, begins at start: adapt keys and gaps. */
static __attribute__((noinline)) void move_leaf_start(uintptr_t bias, const struct gap_place *place,
                                                      uint64_t granule, uint64_t old_start,
                                                      uint64_t start)
{
    struct gap_place previous;
    raise_key(place, 0, start);
    if (step_to_previous_leaf(bias, place, &previous)) {
        const struct gap_step *leaf = &previous.step[0];
        uint64_t end = get64(&leaf->node->end[leaf->index]);
        settle(&previous, granule, gap_between(end, old_start, granule),
               gap_between(end, start, granule));
    }
}

static void release_node(struct gap_nodes *nodes, uint64_t ref)
{
    NTMM_ASSERT(nodes->count < GAP_TREE_LEVELS_MAX);
    nodes->ref[nodes->count++] = ref;
}

/* Make both nodes one; the right one's entry of the parent goes. */
static void merge(struct gap_node *parent, uint32_t right_index, struct gap_node *left,
                  struct gap_node *right, struct gap_nodes *nodes)
{
    le64 *left_gap = &parent->gap[right_index - 1];
    uint32_t left_count = gap_node_count(left), right_count = gap_node_count(right);
    move_entries(left, left_count, right, 0, right_count);
    set_count(left, left_count + right_count);
    set64(left_gap, max_u64(get64(left_gap), get64(&parent->gap[right_index])));
    release_node(nodes, get64(&parent->ref[right_index]));
    close_entry(parent, right_index);
}

/* Share the entries of both nodes out evenly. */
static void even_out(const struct gap_step *upper, uint32_t right_index, uint64_t granule,
                     struct gap_node *left, struct gap_node *right)
{
    struct gap_node *parent = upper->node;
    uint32_t left_count = gap_node_count(left), right_count = gap_node_count(right);
    uint32_t wanted = (left_count + right_count) / 2;
    if (left_count < wanted) {
        uint32_t moved = wanted - left_count;
        move_entries(left, left_count, right, 0, moved);
        move_entries(right, 0, right, moved, right_count - moved);
    } else {
        uint32_t moved = left_count - wanted;
        move_entries(right, moved, right, 0, right_count);
        move_entries(right, 0, left, wanted, moved);
    }
    set_count(left, wanted);
    set_count(right, left_count + right_count - wanted);
    uint64_t middle = get64(&right->key[0]);
    uint64_t bound = gap_next_key(parent, right_index, upper->bound);
    set64(&parent->key[right_index], middle);
    set64(&parent->gap[right_index - 1], gap_widest(left, middle, granule, GAP_TREE_OPEN));
    set64(&parent->gap[right_index], gap_widest(right, bound, granule, GAP_TREE_OPEN));
}

/* A leaf has an entry less: restore GT6 from there up. */
static __attribute__((noinline)) void refill(uintptr_t bias, struct gap_tree *tree,
                                             const struct gap_place *place, struct gap_nodes *nodes)
{
    uint32_t level = 0;
    for (; level + 1 < place->height; level++) {
        const struct gap_step *step = &place->step[level], *upper = step + 1;
        if (gap_node_count(step->node) >= GAP_TREE_LEAST) {
            return;
        }
        uint32_t right_index = upper->index > 0 ? upper->index : 1;
        struct gap_node *left = gap_node_at(bias, get64(&upper->node->ref[right_index - 1]));
        struct gap_node *right = gap_node_at(bias, get64(&upper->node->ref[right_index]));
        if (gap_node_count(left) + gap_node_count(right) > GAP_TREE_MERGED) {
            even_out(upper, right_index, get64(&tree->granule), left, right);
            return;
        }
        merge(upper->node, right_index, left, right, nodes);
    }
    const struct gap_node *root = place->step[level].node;
    if (level > 0 && gap_node_count(root) == 1) {
        release_node(nodes, get64(&tree->root));
        set64(&tree->root, get64(&root->ref[0]));
    }
}

static void remove_entry(uintptr_t bias, const struct gap_place *place, uint64_t granule)
{
    const struct gap_step *leaf = &place->step[0];
    struct gap_node *node = leaf->node;
    if (place->height == 1) {
        close_entry(node, leaf->index);
        return;
    }
    uint64_t start = get64(&node->key[leaf->index]);
    uint64_t before = gap_of(node, leaf->index, leaf->bound, granule);
    close_entry(node, leaf->index);
    if (leaf->index > 0) { /* the gap before takes it up, and is wider than either was */
        settle(place, granule, before, gap_of(node, leaf->index - 1, leaf->bound, granule));
    } else {
        settle(place, granule, before, 0);
        move_leaf_start(bias, place, granule, start, get64(&node->key[0]));
    }
}

void gap_tree_remove(uintptr_t bias, struct gap_tree *tree, uint64_t start, struct gap_nodes *nodes)
{
    struct gap_place place;
    NTMM_ASSERT(get64(&tree->root) != 0);
    gap_follow(bias, tree, start, &place);
    const struct gap_step *leaf = &place.step[0];
    NTMM_ASSERT(get64(&leaf->node->key[leaf->index]) == start);
    set64(&tree->count, get64(&tree->count) - 1);
    end_trail(tree, leaf->index > 0 ? leaf->index - 1 : 0);
    open_room(tree, leaf);
    remove_entry(bias, &place, get64(&tree->granule));
    if (gap_node_count(leaf->node) == 0) { /* then it is the root */
        release_node(nodes, get64(&tree->root));
        set64(&tree->root, 0);
    } else if (place.height > 1 && gap_node_count(leaf->node) < GAP_TREE_LEAST) {
        refill(bias, tree, &place, nodes);
    }
}

/* The wider of the gaps of the entry and of the one before it in its leaf. */
static uint64_t gaps_around(const struct gap_step *leaf, uint64_t granule)
{
    uint64_t own = gap_of(leaf->node, leaf->index, leaf->bound, granule);
    if (leaf->index == 0) {
        return own;
    }
    return max_u64(own, gap_of(leaf->node, leaf->index - 1, leaf->bound, granule));
}

void gap_tree_resize(uintptr_t bias, struct gap_tree *tree, uint64_t start, uint64_t new_start,
                     uint64_t new_end)
{
    uint64_t granule = get64(&tree->granule);
    struct gap_place place;
    NTMM_ASSERT(get64(&tree->root) != 0);
    gap_follow(bias, tree, start, &place);
    const struct gap_step *leaf = &place.step[0];
    uint64_t end = get64(&leaf->node->end[leaf->index]);
    NTMM_ASSERT(get64(&leaf->node->key[leaf->index]) == start);
    NTMM_ASSERT(new_start < new_end && new_end <= GAP_TREE_END_MAX);
    NTMM_ASSERT(gap_tree_is_free(bias, tree, new_start, min_u64(start, new_end)));
    NTMM_ASSERT(gap_tree_is_free(bias, tree, max_u64(end, new_start), new_end));
    (void)end;
    open_room(tree, leaf);
    uint64_t before = gaps_around(leaf, granule);
    set64(&leaf->node->key[leaf->index], new_start);
    set64(&leaf->node->end[leaf->index], new_end);
    settle(&place, granule, before, gaps_around(leaf, granule));
    if (leaf->index == 0 && new_start != start) {
        move_leaf_start(bias, &place, granule, start, new_start);
    }
}
