/*
 * A balanced tree of disjoint half-open page ranges that also finds free room between them.
 *
 *        pred          gap of node       node            succ
 *   ...[start,end)..|<--------------->[start,end)......[start,end)...
 *                   ^ pred.end rounded up to the granule, or 0 without a pred
 *
 * Nodes are embedded in their owners and lie in managed memory; a reference is a core address, a
 * multiple of 64, 0 for none. One node is one cache line: a walk touches one line a level and never
 * a sibling, because each node knows the largest gap of both its subtrees.
 *
 * Invariants (gap_tree_check names the one that broke):
 *   GT1 order      start < end, and starts ascend in order
 *   GT2 disjoint   a node's start is at least its predecessor's end
 *   GT3 balance    a node's balance bits are the sign of (right height - left height), within +-1
 *   GT4 parent     child references are multiples of 64 and each child's parent is the node
 *   GT5 count      the tree's count is its number of nodes
 *   GT6 gap        gap = start - min(start, round_up(pred.end, granule)); pred.end = 0 without pred
 *   GT7 left gap   left_gap = the largest gap in the left subtree, 0 if empty
 *   GT8 right gap  right_gap = the largest gap in the right subtree, 0 if empty
 *
 * The tree locks nothing: whoever owns it holds its owner's lock, to read it or to change it.
 */
#ifndef NTMM_BASE_GAP_TREE_H
#define NTMM_BASE_GAP_TREE_H

#include "base/assert.h"
#include "base/le.h"

#include <stdbool.h>
#include <stdint.h>

/* The side of a child, and the direction of a walk. */
enum gap_tree_side { GAP_TREE_LEFT = 0, GAP_TREE_RIGHT = 1 };

struct gap_node {
    union {
        struct {
            le64 left, right; /* references */
        };
        le64 child[2]; /* the same two, by enum gap_tree_side */
    };
    le64 parent;     /* reference; bits 1:0 are the balance */
    le64 start, end; /* pages, half-open */
    le64 gap;        /* pages */
    union {
        struct {
            le64 left_gap, right_gap; /* pages */
        };
        le64 side_gap[2]; /* the same two, by enum gap_tree_side */
    };
};

NTMM_STATIC_ASSERT(sizeof(struct gap_node) == 64, "a node is one cache line");

struct gap_tree {
    le64 root;    /* reference */
    le64 count;   /* nodes */
    le64 granule; /* pages, a power of two: the alignment that searches find in O(log n) */
};

/* Ends of ranges are at most this, so that rounding one up never overflows. Pages. */
#define GAP_TREE_END_MAX (UINT64_C(1) << 62)

enum gap_tree_defect {
    GAP_TREE_SOUND = 0,
    GAP_TREE_DEFECT_ORDER = 1,
    GAP_TREE_DEFECT_OVERLAP = 2,
    GAP_TREE_DEFECT_BALANCE = 3,
    GAP_TREE_DEFECT_PARENT = 4,
    GAP_TREE_DEFECT_COUNT = 5,
    GAP_TREE_DEFECT_GAP = 6,
    GAP_TREE_DEFECT_LEFT_GAP = 7,
    GAP_TREE_DEFECT_RIGHT_GAP = 8
};

/* Empty. granule_pages is a power of two, at most 2^61. */
void gap_tree_init(struct gap_tree *tree, uint64_t granule_pages);

/* The node whose range contains page, or 0. */
uint64_t gap_tree_find(uintptr_t bias, const struct gap_tree *tree, uint64_t page);

/* The lowest node with end > page, which contains page or follows it; 0 if all end before. */
uint64_t gap_tree_find_at_or_after(uintptr_t bias, const struct gap_tree *tree, uint64_t page);

/* No node meets [start, end). An empty range is free. */
bool gap_tree_is_free(uintptr_t bias, const struct gap_tree *tree, uint64_t start, uint64_t end);

/*
 * Link a node, whose start and end the caller has set; its other words are overwritten.
 * start < end <= GAP_TREE_END_MAX; [start, end) is free.
 */
void gap_tree_insert(uintptr_t bias, struct gap_tree *tree, uint64_t node_ref);

/* Unlink a node of the tree. Its start and end stay as they were, its other words mean nothing. */
void gap_tree_remove(uintptr_t bias, struct gap_tree *tree, uint64_t node_ref);

/* Move the ends of a node in place: the new range is not empty and meets no other node. */
void gap_tree_resize(uintptr_t bias, struct gap_tree *tree, uint64_t node_ref, uint64_t new_start,
                     uint64_t new_end);

/* In ascending order; 0 past either end. first and last O(log n), a step O(1) amortised. */
uint64_t gap_tree_first(uintptr_t bias, const struct gap_tree *tree);
uint64_t gap_tree_last(uintptr_t bias, const struct gap_tree *tree);
uint64_t gap_tree_next(uintptr_t bias, uint64_t node_ref);
uint64_t gap_tree_prev(uintptr_t bias, uint64_t node_ref);

/*
 * The lowest (highest) start s that is a multiple of align_pages, a power of two, with lo <= s and
 * s + pages <= hi and [s, s + pages) free. False, with *start not written, if there is none or if
 * pages is 0. lo and hi are any values; the space after the last node counts as free up to hi.
 *
 * Exact for every alignment. Cost, in n nodes:
 *   align == granule  O(log n).
 *   align > granule   O((k + 1) log n), k the gaps passed over that are of at least pages but less
 *                     than pages + align - granule, and misaligned. Only these can be in vain.
 *   align < granule   the same, k the gaps passed over of at least pages - (granule - align) but
 *                     less than pages; O(n) at worst, and surely so where n nodes lie close
 *                     together and pages <= granule - align.
 */
bool gap_tree_search_lowest(uintptr_t bias, const struct gap_tree *tree, uint64_t lo, uint64_t hi,
                            uint64_t pages, uint64_t align_pages, uint64_t *start);
bool gap_tree_search_highest(uintptr_t bias, const struct gap_tree *tree, uint64_t lo, uint64_t hi,
                             uint64_t pages, uint64_t align_pages, uint64_t *start);

/*
 * Verify GT1 to GT8 in O(n), without recursion. Follows a reference only to a node that names the
 * way it was reached as its parent, so that it ends on any contents of the nodes.
 *
 * @param bad_ref  written unless the tree is sound: the node that broke the invariant, for GT4 the
 *                 one whose parent word or whose reference to a child is wrong; 0 for GT5
 */
enum gap_tree_defect gap_tree_check(uintptr_t bias, const struct gap_tree *tree, uint64_t *bad_ref);

#endif
