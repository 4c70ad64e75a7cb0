/*
 * Ground for the tests of the gap tree: an array of nodes that the tree reaches by core addresses
 * far from their host addresses, so that a reference used as a pointer, or a forgotten bias,
 * crashes.
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

struct orchard {
    struct gap_node *nodes;
    uintptr_t bias;
    struct gap_tree tree;
};

static inline void orchard_init(struct orchard *o, size_t nodes, uint64_t granule)
{
    o->nodes = aligned_alloc(64, nodes * sizeof(struct gap_node));
    assert_non_null(o->nodes);
    memset(o->nodes, 0xa5, nodes * sizeof(struct gap_node));
    o->bias = (uintptr_t)o->nodes - (uintptr_t)CORE_BASE;
    gap_tree_init(&o->tree, granule);
}

static inline void orchard_free(struct orchard *o) { free(o->nodes); }

static inline uint64_t ref_of(size_t index) { return CORE_BASE + index * sizeof(struct gap_node); }

static inline struct gap_node *node_of(const struct orchard *o, uint64_t ref)
{
    return &o->nodes[(ref - CORE_BASE) / sizeof(struct gap_node)];
}

static inline void plant(struct orchard *o, size_t index, uint64_t start, uint64_t end)
{
    set64(&o->nodes[index].start, start);
    set64(&o->nodes[index].end, end);
    gap_tree_insert(o->bias, &o->tree, ref_of(index));
}

static inline void assert_sound(const struct orchard *o)
{
    uint64_t bad_ref = 0;
    assert_int_equal(gap_tree_check(o->bias, &o->tree, &bad_ref), GAP_TREE_SOUND);
}

#endif
