/*
 * Sections, one operation at a time; _10, _1000: among so many others, each with a view. Those that
 * live are of 64 KiB.
 *
 *   section_life_10    create, map, unmap and close one of page files, untouched
 *   view_life_10       map and unmap of a section that lives on, its tables made
 *   copy_on_write      of a valid page that only this entry names; libc copies the page itself
 *   copy_on_write_bare the same of a page that others map too, as a library's, on a platform that
 *                      neither copies nor has processors: what is counted is the core alone
 *   section_demand_zero  the first access to a page of page files
 *   view_fault_shared  a page that another process has in memory already
 */
#include "scenarios.h"

#include "base/instance.h"

#include <ntmm/section.h>

#define SECTION_BYTES 0x10000u
#define LIVES 1000u

static ntmm_handle make_section(struct machine *m, uint64_t bytes)
{
    ntmm_handle section;
    must_be(ntmm_create_section(m->system, &section, NTMM_SECTION_ALL_ACCESS, NULL, &bytes,
                                NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0),
            NTMM_STATUS_SUCCESS);
    return section;
}

static void map_at(struct machine *m, ntmm_handle section, uint64_t base, uint32_t protect)
{
    uint64_t size_bytes = 0;
    must_be(ntmm_map_view_of_section(m->system, section, m->process, &base, 0, 0, NULL, &size_bytes,
                                     NTMM_VIEW_SHARE, 0, protect),
            NTMM_STATUS_SUCCESS);
}

static void unmap(struct machine *m, uint64_t base)
{
    must_be(ntmm_unmap_view_of_section(m->system, m->process, base, 0), NTMM_STATUS_SUCCESS);
}

static void touch(struct machine *m, uint64_t base, uint32_t error_code)
{
    for (uint64_t i = 0; i < PAGES; i++)
        must_be(knock(m, base + i * NTMM_PAGE_SIZE, error_code), NTMM_STATUS_SUCCESS);
}

/* --- states in which a scenario begins --- */

/* Other sections with views, and one life, so that slabs and tables of handles exist. */
static void prepare_lives(struct machine *m, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        map_at(m, make_section(m, SECTION_BYTES), BASE + 2 * i * SECTION_BYTES,
               NTMM_PAGE_READWRITE);
    m->section = make_section(m, SECTION_BYTES);
}

/* A view of a section at BASE, untouched; protect: of the view. */
static void prepare_untouched(struct machine *m, uint64_t protect)
{
    m->section = make_section(m, PAGES * NTMM_PAGE_SIZE);
    map_at(m, m->section, BASE, (uint32_t)protect);
}

/* The same, each page read once. */
static void prepare_view(struct machine *m, uint64_t protect)
{
    prepare_untouched(m, protect);
    touch(m, BASE, 0);
}

/* A second view of the same, untouched. */
static void prepare_shared(struct machine *m, uint64_t protect)
{
    prepare_view(m, protect);
    map_at(m, m->section, 2 * BASE, (uint32_t)protect);
}

static ntmm_status copy_nothing(void *context, const uint64_t *to, const uint64_t *from,
                                uint32_t count)
{
    (void)context, (void)to, (void)from, (void)count;
    return NTMM_STATUS_SUCCESS;
}

static void invalidate_nothing(void *context, const struct ntmm_shootdown *shootdown)
{
    (void)context, (void)shootdown;
}

/* The same on a platform of which nothing is counted. */
static void prepare_bare(struct machine *m, uint64_t protect)
{
    prepare_shared(m, protect);
    for (uint64_t i = 0; i < PAGES; i++)
        must_be(knock(m, 2 * BASE + i * NTMM_PAGE_SIZE, 0), NTMM_STATUS_SUCCESS);
    m->system->platform.copy = copy_nothing;
    m->system->platform.invalidate = invalidate_nothing;
}

/* --- operations --- */

static void run_section_lives(struct machine *m)
{
    for (uint32_t i = 0; i < LIVES; i++) {
        uint64_t base = 0, size_bytes = 0;
        ntmm_handle section = make_section(m, SECTION_BYTES);
        must_be(ntmm_map_view_of_section(m->system, section, m->process, &base, 0, 0, NULL,
                                         &size_bytes, NTMM_VIEW_SHARE, 0, NTMM_PAGE_READWRITE),
                NTMM_STATUS_SUCCESS);
        unmap(m, base);
        must_be(ntmm_close_section(m->system, section), NTMM_STATUS_SUCCESS);
    }
}

static void run_view_lives(struct machine *m)
{
    for (uint32_t i = 0; i < LIVES; i++) {
        map_at(m, m->section, 2 * BASE, NTMM_PAGE_READWRITE);
        unmap(m, 2 * BASE);
    }
}

static void run_copies(struct machine *m)
{
    uint32_t error_code = NTMM_FAULT_WRITE | NTMM_FAULT_PRESENT;
    touch(m, BASE, error_code);
}

static void run_first_reads(struct machine *m) { touch(m, BASE, 0); }

static void run_shared_faults(struct machine *m) { touch(m, 2 * BASE, 0); }

const struct scenario section_scenarios[] = {
    {"section_life_10", 32 * MEBIBYTE, 10, LIVES, prepare_lives, run_section_lives, false},
    {"section_life_1000", 64 * MEBIBYTE, 1000, LIVES, prepare_lives, run_section_lives, false},
    {"view_life_10", 32 * MEBIBYTE, 10, LIVES, prepare_lives, run_view_lives, false},
    {"copy_on_write", 64 * MEBIBYTE, NTMM_PAGE_WRITECOPY, PAGES, prepare_view, run_copies, false},
    {"copy_on_write_bare", 64 * MEBIBYTE, NTMM_PAGE_WRITECOPY, PAGES, prepare_bare, run_copies,
     false},
    {"section_demand_zero", 32 * MEBIBYTE, NTMM_PAGE_READWRITE, PAGES, prepare_untouched,
     run_first_reads, false},
    {"view_fault_shared", 32 * MEBIBYTE, NTMM_PAGE_READWRITE, PAGES, prepare_shared,
     run_shared_faults, false},
};

const uint32_t section_scenario_count = sizeof section_scenarios / sizeof *section_scenarios;
