/*
 * A machine with a page file and a process, for the tests of clones: what a process shows of its
 * memory, and whether another shows the same.
 */
#ifndef NTMM_TEST_CLONE_WORLD_H
#define NTMM_TEST_CLONE_WORLD_H

#include "section_world.h"

#include "paging/page_out.h"

#include <ntmm/inspect.h>
#include <ntmm/memory.h>
#include <ntmm/query.h>

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

#define BOTH (NTMM_MEM_RESERVE | NTMM_MEM_COMMIT)

static inline void allocate_at(struct clone_world *k, uint64_t base, uint64_t pages, uint32_t type,
                               uint32_t protect)
{
    uint64_t size = pages * PAGE;
    check_ok(ntmm_allocate_virtual_memory(k->w.system, k->parent, &base, 0, &size, type, protect));
}

static inline void free_at(struct clone_world *k, ntmm_handle process, uint64_t base,
                           uint64_t pages, uint32_t type)
{
    uint64_t size = pages * PAGE;
    check_ok(ntmm_free_virtual_memory(k->w.system, process, &base, &size, type));
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

/* A view of a section of its own, whose pages are copied on write. */
static inline void map_to_copy(struct clone_world *k, uint64_t base, uint64_t pages)
{
    uint64_t size = 0;
    ntmm_handle section =
        make_section(&k->w, pages * PAGE, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0);
    check_ok(ntmm_map_view_of_section(k->w.system, section, k->parent, &base, 0, 0, NULL, &size,
                                      NTMM_VIEW_SHARE, 0, NTMM_PAGE_WRITECOPY));
    close_section(&k->w, section);
}

/* Pages are asked for, and what is read for them has come. */
static inline void prefetch_pages(struct clone_world *k, ntmm_handle process, uint64_t base,
                                  uint64_t pages)
{
    const struct ntmm_memory_range_entry range = {base, pages * PAGE};
    const struct ntmm_platform *platform = ntmm_emulated_platform(k->w.emu);
    uint32_t value = 0;
    check_ok(ntmm_set_information_virtual_memory(k->w.system, process, NTMM_VM_PREFETCH_INFORMATION,
                                                 1, &range, &value, sizeof value));
    for (uint32_t i = 0; i < 100; i++)
        platform->pump(platform->context);
}

/* --- what is counted --- */

/* Frames, and pages of commit, of the prototypes of up to 512 pages. */
#define BLOCK_FRAMES 2u

static inline struct ntmm_memory_information memory(struct clone_world *k)
{
    struct ntmm_memory_information information;
    ntmm_query_memory(k->w.system, &information);
    return information;
}

/* Frames that hold nothing. */
static inline uint64_t unused(struct clone_world *k)
{
    struct ntmm_memory_information m = memory(k);
    return m.zeroed_pages + m.free_pages;
}

static inline uint64_t counted(struct clone_world *k, ntmm_handle process,
                               enum ntmm_counter counter)
{
    return about(&k->w, process).counters[counter];
}

static inline uint64_t copies(struct clone_world *k, ntmm_handle process)
{
    return counted(k, process, NTMM_COUNTER_COPY_ON_WRITE_FAULTS);
}

static inline uint64_t slots(struct clone_world *k)
{
    struct ntmm_paging_file_information file;
    check_ok(ntmm_query_paging_file(k->w.system, 0, &file));
    return file.used_pages;
}

static inline uint64_t state_of(struct clone_world *k, ntmm_handle process, uint64_t va)
{
    struct ntmm_memory_page_information page = {.virtual_address = va};
    check_ok(ntmm_query_virtual_memory_class(
        k->w.system, process, 0, NTMM_MEMORY_WORKING_SET_EX_INFORMATION, &page, sizeof page, NULL));
    return page.attributes;
}

static inline uint64_t shares_of(struct clone_world *k, ntmm_handle process, uint64_t va)
{
    return state_of(k, process, va) >> NTMM_PAGE_STATE_SHARE_COUNT_SHIFT & 7;
}

static inline uint64_t frame_of(struct clone_world *k, ntmm_handle process, uint64_t va)
{
    struct ntmm_explanation x;
    check_ok(ntmm_explain(k->w.system, process, va, &x));
    assert_true(x.has_frame);
    return x.frame.frame;
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
