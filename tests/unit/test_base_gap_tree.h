/*
 * Ground for the tests of the gap tree: nodes that the tree reaches by core addresses far from
 * their host addresses, so that a reference used as a pointer, or a forgotten bias, crashes. What
 * the tree is not using is filled with 0xa5.
 */
#ifndef NTMM_TEST_BASE_GAP_TREE_H
#define NTMM_TEST_BASE_GAP_TREE_H

#include "base/gap_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CORE_BASE UINT64_C(0x40000000)
#define NODE_BYTES 1344u

struct orchard {
    uint8_t *ground;
    uintptr_t bias;
    struct gap_tree tree;
    size_t node_count;
    uint64_t *spare; /* nodes that the tree does not use */
    size_t spare_count;
};

static inline void *node_of(const struct orchard *o, uint64_t ref)
{
    assert_true(ref >= CORE_BASE && ref < CORE_BASE + o->node_count * NODE_BYTES);
    return o->ground + (ref - CORE_BASE);
}

static inline void give_back(struct orchard *o, uint64_t ref)
{
    memset(node_of(o, ref), 0xa5, NODE_BYTES);
    o->spare[o->spare_count++] = ref;
}

static inline void orchard_init(struct orchard *o, size_t nodes, uint64_t granule)
{
    o->ground = aligned_alloc(64, nodes * NODE_BYTES);
    o->spare = malloc(nodes * sizeof *o->spare);
    assert_non_null(o->ground);
    assert_non_null(o->spare);
    o->bias = (uintptr_t)o->ground - (uintptr_t)CORE_BASE;
    o->node_count = nodes;
    o->spare_count = 0;
    for (size_t i = nodes; i-- > 0;) {
        give_back(o, CORE_BASE + i * NODE_BYTES);
    }
    gap_tree_init(&o->tree, granule);
}

/* The tree is empty and has returned every node. */
static inline void assert_bare(const struct orchard *o)
{
    assert_int_equal(get64(&o->tree.root), 0);
    assert_int_equal(get64(&o->tree.count), 0);
    assert_int_equal(o->spare_count, o->node_count);
}

static inline void orchard_free(struct orchard *o)
{
    free(o->ground);
    free(o->spare);
}

static inline size_t nodes_used(const struct orchard *o) { return o->node_count - o->spare_count; }

/* What stands for an owner; the tree must never follow it. */
static inline uint64_t ref_of(size_t index) { return 64 * (uint64_t)(index + 1); }

/* False, with nothing changed, if it would take more nodes than there are. */
static inline bool try_plant(struct orchard *o, uint64_t ref, uint64_t start, uint64_t end)
{
    const struct gap_range range = {start, end, ref};
    struct gap_nodes nodes = {.count = 0};
    struct gap_place place;
    gap_tree_locate(o->bias, &o->tree, start, &place);
    uint32_t needed = gap_tree_nodes_needed(&place);
    assert_in_range(needed, 0, place.height + 1);
    if (needed > o->spare_count) {
        return false;
    }
    while (nodes.count < needed) {
        nodes.ref[nodes.count++] = o->spare[--o->spare_count];
    }
    gap_tree_insert(o->bias, &o->tree, &place, &range, &nodes);
    assert_int_equal(nodes.count, 0);
    return true;
}

static inline void plant(struct orchard *o, size_t index, uint64_t start, uint64_t end)
{
    assert_true(try_plant(o, ref_of(index), start, end));
}

static inline void uproot(struct orchard *o, uint64_t start)
{
    struct gap_nodes nodes = {.count = 0};
    gap_tree_remove(o->bias, &o->tree, start, &nodes);
    while (nodes.count > 0) {
        give_back(o, nodes.ref[--nodes.count]);
    }
}

static inline void assert_sound(const struct orchard *o)
{
    uint64_t bad_ref = 0, nodes = 0;
    assert_int_equal(gap_tree_check(o->bias, &o->tree, &nodes, &bad_ref), GAP_TREE_SOUND);
    assert_int_equal(nodes, nodes_used(o));
}

#endif
