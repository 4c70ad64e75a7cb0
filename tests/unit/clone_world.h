/*
 * A machine with a page file and a process, for the tests of clones: what a process shows of its
 * memory, and whether another shows the same.
 */
#ifndef NTMM_TEST_CLONE_WORLD_H
#define NTMM_TEST_CLONE_WORLD_H

#include "section_world.h"

#include "paging/page_out.h"

struct clone_world {
    struct world w;
    ntmm_handle parent, child;
};

static inline void begin_clones(struct clone_world *k)
{
    *k = (struct clone_world){.child = 0};
    make_section_world(&k->w, 8 * MIB);
    check_ok(page_out_add_file(k->w.emu));
    k->parent = make_process(&k->w);
    attach(&k->w, 0, k->parent);
}

static inline ntmm_handle clone_of(struct clone_world *k, ntmm_handle process)
{
    ntmm_handle child = 0;
    check_ok(ntmm_clone_process(k->w.system, process, NULL, &child));
    check_world(&k->w);
    return child;
}

/* The child, on the second processor. */
static inline void make_clone(struct clone_world *k)
{
    k->child = clone_of(k, k->parent);
    attach(&k->w, 1, k->child);
}

static inline void end_one(struct clone_world *k, ntmm_handle *process)
{
    check_ok(ntmm_end_process(k->w.system, *process));
    *process = 0;
    check_world(&k->w);
}

static inline void end_clones(struct clone_world *k)
{
    check_world(&k->w);
    if (k->child)
        end_one(k, &k->child);
    if (k->parent)
        end_one(k, &k->parent);
    end_world(&k->w);
}

static inline uint64_t peek(struct clone_world *k, ntmm_handle process, uint64_t va)
{
    uint64_t value = 0;
    check_ok(ntmm_read_virtual_memory(k->w.system, process, va, &value, sizeof value, NULL));
    return value;
}

static inline void poke(struct clone_world *k, ntmm_handle process, uint64_t va, uint64_t value)
{
    check_ok(ntmm_write_virtual_memory(k->w.system, process, va, &value, sizeof value, NULL));
}

/* Each page of a range holds its address, or is expected to. */
static inline void fill_pages(struct clone_world *k, ntmm_handle process, uint64_t base,
                              uint64_t pages)
{
    for (uint64_t i = 0; i < pages; i++)
        poke(k, process, base + i * PAGE + 8, base + i * PAGE);
}

static inline void expect_pages(struct clone_world *k, ntmm_handle process, uint64_t base,
                                uint64_t pages)
{
    for (uint64_t i = 0; i < pages; i++)
        assert_int_equal(peek(k, process, base + i * PAGE + 8), base + i * PAGE);
}

/* Both answer every query of their address space alike. */
static inline void expect_same_regions(struct clone_world *k, ntmm_handle one, ntmm_handle two)
{
    for (uint64_t va = 0; va <= NTMM_HIGHEST_VAD_ADDRESS;) {
        struct ntmm_memory_basic_information a = query(&k->w, one, va);
        struct ntmm_memory_basic_information b = query(&k->w, two, va);
        assert_memory_equal(&a, &b, sizeof a);
        va = a.base_address + a.region_size;
    }
}

#endif
