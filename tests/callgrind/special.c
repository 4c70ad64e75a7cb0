/*
 * Pages that are not had by a plain fault, one at a time.
 *
 *   stack_growth      the guard page of a stack is hit: it moves down a page
 *   clone_store       a store of a clone to a page that its parent wrote
 *   window_map        a frame is mapped in a window of user physical pages: no fault follows
 *   large_page_life   a large page, allocated and released; libc zeroes it, and no fault follows
 */
#include "scenarios.h"

#include <ntmm/physical.h>
#include <ntmm/stack.h>

#define LARGE_BYTES (2 * MEBIBYTE)
#define LIVES 20u

static void prepare_stack(struct machine *m, uint64_t pages)
{
    const struct ntmm_stack_request request = {.reserve = (pages + 16) * NTMM_PAGE_SIZE,
                                               .commit_alignment = NTMM_PAGE_SIZE,
                                               .reserve_alignment = NTMM_PAGE_SIZE};
    must_be(ntmm_create_user_stack(m->system, m->process, &request, &m->stack),
            NTMM_STATUS_SUCCESS);
}

/* A clone of a process that wrote PAGES pages at BASE. */
static void prepare_clone(struct machine *m, uint64_t protect)
{
    allocate(m, BASE, PAGES * NTMM_PAGE_SIZE, RESERVE_COMMIT, (uint32_t)protect);
    for (uint64_t i = 0; i < PAGES; i++)
        must_be(knock(m, BASE + i * NTMM_PAGE_SIZE, NTMM_FAULT_WRITE), NTMM_STATUS_SUCCESS);
    must_be(ntmm_clone_process(m->system, m->process, NULL, &m->process), NTMM_STATUS_SUCCESS);
}

static void prepare_window(struct machine *m, uint64_t pages)
{
    uint64_t count = pages;
    allocate(m, BASE, pages * NTMM_PAGE_SIZE, NTMM_MEM_RESERVE | NTMM_MEM_PHYSICAL,
             NTMM_PAGE_READWRITE);
    must_be(ntmm_allocate_user_physical_pages(m->system, m->process, &count, m->frames),
            NTMM_STATUS_SUCCESS);
    must(count == pages, "frames are missing");
}

static void run_growths(struct machine *m)
{
    for (uint64_t i = 0; i < PAGES; i++)
        must_be_kind(m, m->stack.stack_limit - sizeof i, NTMM_FAULT_WRITE, NTMM_FAULT_KIND_GUARD);
}

static void run_stores(struct machine *m)
{
    for (uint64_t i = 0; i < PAGES; i++)
        must_be(knock(m, BASE + i * NTMM_PAGE_SIZE, NTMM_FAULT_WRITE | NTMM_FAULT_PRESENT),
                NTMM_STATUS_SUCCESS);
}

static void run_maps(struct machine *m)
{
    for (uint64_t i = 0; i < PAGES; i++)
        must_be(ntmm_map_user_physical_pages(m->system, m->process, BASE + i * NTMM_PAGE_SIZE, 1,
                                             &m->frames[i]),
                NTMM_STATUS_SUCCESS);
}

static void prepare_nothing(struct machine *m, uint64_t parameter)
{
    (void)m;
    (void)parameter;
}

static void run_large_lives(struct machine *m)
{
    for (uint32_t i = 0; i < LIVES; i++) {
        uint64_t base = BASE, size_bytes = 0;
        allocate(m, BASE, LARGE_BYTES, RESERVE_COMMIT | NTMM_MEM_LARGE_PAGES, NTMM_PAGE_READWRITE);
        must_be(
            ntmm_free_virtual_memory(m->system, m->process, &base, &size_bytes, NTMM_MEM_RELEASE),
            NTMM_STATUS_SUCCESS);
    }
}

const struct scenario special_scenarios[] = {
    {"stack_growth", 32 * MEBIBYTE, PAGES, PAGES, prepare_stack, run_growths, false},
    {"clone_store", 64 * MEBIBYTE, NTMM_PAGE_READWRITE, PAGES, prepare_clone, run_stores, false},
    {"window_map", 32 * MEBIBYTE, PAGES, PAGES, prepare_window, run_maps, false},
    {"large_page_life", 32 * MEBIBYTE, 0, LIVES, prepare_nothing, run_large_lives, false},
};
const uint32_t special_scenario_count = sizeof special_scenarios / sizeof *special_scenarios;
