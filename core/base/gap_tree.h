/*
 * A B+ tree of disjoint half-open page ranges that also finds free room between them.
 *
 *    key  2                  30               inner: the first page below each child
 *    gap  7 |              OPEN |             and the widest gap below it, here by a granule of 4
 *         [2,4) [5,9) [19,30)  [30,33) [40,41)  leaves: ranges, each with its owner's reference
 *                    12-->19                    a gap: from a multiple of the granule to the next
 *                                               start; of a leaf's last, that is the next key above
 *
 * A node is 21 lines of memory, a descent reads keys and one line of each other array. Room before
 * the first range is no gap: it ends at the root's first key. The last range's gap is OPEN.
 *
 *   GT1 order      start < end; keys ascend strictly, below the next node's first, then are OPEN
 *   GT2 disjoint   a range's start is at least its predecessor's end
 *   GT3 level      a leaf's level is 0, a child's is its parent's less one, the root's below 16
 *   GT4 reference  references are not 0, those to nodes multiples of 64
 *   GT5 count      the tree's count is its number of ranges
 *   GT6 fill       a node has at most 55 entries, at least 13, the root 1 or, with children, 2
 *   GT7 key        the key of a child is the lowest start below it
 *   GT8 gap        the gap of a child is the widest below it
 *   GT9 trail      the indexes of the trail are below 55
 *   GT10 full      no room of full_pages, from a multiple of the granule, begins in [full_from,
 *                  full_until)
 *
 * The tree has no memory of its own (see struct gap_nodes) and locks nothing: its owner's lock is
 * held to read it or to change it.
 */
#ifndef NTMM_BASE_GAP_TREE_H
#define NTMM_BASE_GAP_TREE_H

#include "base/assert.h"
#include "base/le.h"

#include <stdbool.h>
#include <stdint.h>

/* Three nodes fill a slab's frame. A node that lost entries below LEAST takes some from a sibling
 * or, if both then have at most MERGED, becomes one with it; so neither is undone by the next
 * change. */
#define GAP_TREE_FANOUT 55u
#define GAP_TREE_LEAST 13u
#define GAP_TREE_MERGED 41u

/* 2 * 13^15 ranges are more than the 2^58 objects of 64 bytes that 2^64 bytes hold. */
#define GAP_TREE_LEVELS_MAX 16u

/* Ends of ranges are at most this, so that rounding one up never overflows. Pages. */
#define GAP_TREE_END_MAX (UINT64_C(1) << 62)

/* The gap after the last range, the bound of a node that no other follows, and the keys of entries
 * not in use. Pages: above all that are asked for. */
#define GAP_TREE_OPEN UINT64_MAX

struct gap_node {
    le64 key[GAP_TREE_FANOUT + 1]; /* pages: of a range its start, of a child the lowest one below;
                                      behind those in use GAP_TREE_OPEN */
    union {
        le64 end[GAP_TREE_FANOUT]; /* leaf: pages, of the range */
        le64 gap[GAP_TREE_FANOUT]; /* inner: pages, the widest below the child */
    };
    le64 ref[GAP_TREE_FANOUT]; /* leaf: the owner's reference; inner: the child's */
    le32 count;                /* entries in use: the first ones */
    le32 level;                /* 0: a leaf */
};

NTMM_STATIC_ASSERT(sizeof(struct gap_node) == 1336, "in slabs 1344, three beside 64 of a header");

/*
 * The trail is where the last change was: a byte a level, the lowest the leaf's, the index of the
 * entry. The next change is often nearby, above all the removal of what was just inserted, so each
 * level looks there first; its keys say whether that is right. It is never relied upon.
 *
 * What is full is where the last search for the lowest room found none, and where none was opened
 * since: the next one, for as much, begins behind it. So a program that takes memory wherever it
 * lies does not have all that it already has looked at each time.
 */
struct gap_tree {
    le64 root;    /* reference, 0 when empty */
    le64 count;   /* ranges */
    le64 granule; /* pages, a power of two: the alignment that searches find in O(log n) */
    le64 trail;   /* indexes, see above; 0 at first */
    le64 full_from, full_until; /* pages, half-open, see above; at first empty */
    le64 full_pages;
};

/*
 * Nodes on their way: what an insertion is given, what a removal leaves. Each is the tree's from
 * the one to the other. A node given is a multiple of 64, its contents are of no matter.
 */
struct gap_nodes {
    uint32_t count;
    uint64_t ref[GAP_TREE_LEVELS_MAX];
};

/* One level of the way down to a place. */
struct gap_step {
    struct gap_node *node;
    uint64_t bound; /* pages: where the next node of the level begins, or GAP_TREE_OPEN */
    uint32_t index; /* the last entry whose key is at most the page sought; 0 if there is none */
};

/* The way down to a page. It holds until the tree changes, and lies on a stack, never in frames. */
struct gap_place {
    uint32_t height; /* levels; step[0] is in a leaf, step[height - 1] in the root */
    struct gap_step step[GAP_TREE_LEVELS_MAX];
};

/* Room that is sought, see gap_tree_search_lowest. */
struct gap_wish {
    uint64_t lo, hi; /* pages, any values */
    uint64_t pages;
    uint64_t align; /* pages, a power of two */
};

struct gap_range {
    uint64_t start, end; /* pages, half-open */
    uint64_t ref;        /* the owner's, never 0 */
};

enum gap_tree_defect {
    GAP_TREE_SOUND = 0,
    GAP_TREE_DEFECT_ORDER = 1,
    GAP_TREE_DEFECT_OVERLAP = 2,
    GAP_TREE_DEFECT_LEVEL = 3,
    GAP_TREE_DEFECT_REFERENCE = 4,
    GAP_TREE_DEFECT_COUNT = 5,
    GAP_TREE_DEFECT_FILL = 6,
    GAP_TREE_DEFECT_KEY = 7,
    GAP_TREE_DEFECT_GAP = 8,
    GAP_TREE_DEFECT_TRAIL = 9,
    GAP_TREE_DEFECT_FULL = 10
};

/* Empty. granule_pages is a power of two, at most 2^61. */
void gap_tree_init(struct gap_tree *tree, uint64_t granule_pages);

/* The reference of the range that contains page, or 0. */
uint64_t gap_tree_find(uintptr_t bias, const struct gap_tree *tree, uint64_t page);

/* The same; where it is 0, *next is where the next range starts, or GAP_TREE_OPEN. */
uint64_t gap_tree_find_or_next(uintptr_t bias, const struct gap_tree *tree, uint64_t page,
                               uint64_t *next);

/* The lowest range with end > page, which contains page or follows it; false, with *range not
 * written, if all end before. */
bool gap_tree_find_at_or_after(uintptr_t bias, const struct gap_tree *tree, uint64_t page,
                               struct gap_range *range);

/* The reference of the lowest range, or 0. */
uint64_t gap_tree_first(uintptr_t bias, const struct gap_tree *tree);

/* No range meets [start, end). An empty range is free. */
bool gap_tree_is_free(uintptr_t bias, const struct gap_tree *tree, uint64_t start, uint64_t end);

/* The way to the range that contains or precedes page; to the first if there is none. For a change
 * there: it leaves the trail. */
void gap_tree_locate(uintptr_t bias, struct gap_tree *tree, uint64_t page, struct gap_place *place);

/* The way to start, as by gap_tree_locate, and what gap_tree_is_free says. */
bool gap_tree_locate_free(uintptr_t bias, struct gap_tree *tree, uint64_t start, uint64_t end,
                          struct gap_place *place);

uint32_t gap_tree_count_full(const struct gap_place *place);

/* How many nodes an insertion there uses up: one for each full node from the leaf up, and one for a
 * new root. Mostly 0; at most height + 1. */
static inline uint32_t gap_tree_nodes_needed(const struct gap_place *place)
{
    if (place->height > 0 && get32(&place->step[0].node->count) < GAP_TREE_FANOUT) {
        return 0;
    }
    return gap_tree_count_full(place);
}

/*
 * Add a range. start < end <= GAP_TREE_END_MAX; [start, end) is free; place is the way to start;
 * nodes holds at least as many as needed there, and keeps what is left over.
 */
void gap_tree_insert(uintptr_t bias, struct gap_tree *tree, const struct gap_place *place,
                     const struct gap_range *range, struct gap_nodes *nodes);

/* Take out the range that starts at start. Nodes no longer used are added to nodes: at most one a
 * level. */
void gap_tree_remove(uintptr_t bias, struct gap_tree *tree, uint64_t start,
                     struct gap_nodes *nodes);

/* Move the ends of the range that starts at start: the new one is not empty and meets no other. */
void gap_tree_resize(uintptr_t bias, struct gap_tree *tree, uint64_t start, uint64_t new_start,
                     uint64_t new_end);

/*
 * The lowest (highest) start s that is a multiple of align with lo <= s and s + pages <= hi and
 * [s, s + pages) free. False, with *start not written, if there is none or if pages is 0. The space
 * after the last range counts as free up to hi. *place is the way to start, as by gap_tree_locate.
 *
 * Exact for every alignment. Cost, in n ranges:
 *   align == granule  O(log n).
 *   align > granule   O((k + 1) log n), k the gaps passed over that are of at least pages but less
 *                     than pages + align - granule, and misaligned. Only these can be in vain.
 *   align < granule   the same, k the gaps passed over of at least pages - (granule - align) but
 *                     less than pages; O(n) at worst, and surely so where n ranges lie close
 *                     together and pages <= granule - align.
 */
bool gap_tree_search_lowest(uintptr_t bias, struct gap_tree *tree, const struct gap_wish *wish,
                            uint64_t *start, struct gap_place *place);
bool gap_tree_search_highest(uintptr_t bias, struct gap_tree *tree, const struct gap_wish *wish,
                             uint64_t *start, struct gap_place *place);

/*
 * Verify GT1 to GT10 in O(n), without recursion. Ends on any contents of the nodes; what it follows
 * are references to nodes, which the caller has verified to lead to some.
 *
 * @param node_count  written if the tree is sound: its nodes
 * @param bad_ref  written unless the tree is sound: the node that broke the invariant, for GT3, GT7
 *                 and GT8 the one of which its parent says something else; 0 for GT5, GT9
 *                 and GT10
 */
enum gap_tree_defect gap_tree_check(uintptr_t bias, const struct gap_tree *tree,
                                    uint64_t *node_count, uint64_t *bad_ref);

#endif
