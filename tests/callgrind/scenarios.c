/*
 * One operation, many times, for callgrind to count:
 *
 *   callgrind_scenarios --list     names and numbers of operations, one a line
 *   callgrind_scenarios NAME       prepare, then run NAME's operations with instrumentation on
 *
 * valgrind starts it with instrumentation off, so that preparing costs little. Nothing here may
 * depend on time, addresses or chance: a scenario executes the same instructions in every run.
 */
#include "scenarios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <valgrind/callgrind.h>

#define OPERATIONS 1000u
#define REGION_BYTES 0x10000u
#define SLOT_BYTES 0x40000u /* a region, a gap, a free place, a gap */
#define PLACE_OFFSET 0x20000u

void must(bool is_true, const char *what)
{
    if (!is_true) {
        fprintf(stderr, "callgrind_scenarios: %s\n", what);
        exit(1);
    }
}

void must_be(ntmm_status status, ntmm_status expected)
{
    must(status == expected, "a call returned another status than expected");
}

static uint64_t place_of(const struct machine *m, uint32_t i)
{
    uint64_t slots = m->region_count < OPERATIONS ? OPERATIONS : m->region_count;
    return BASE + (i * 7919ull) % slots * SLOT_BYTES;
}

/* Returns where. */
static uint64_t allocate_at(struct machine *m, uint64_t base, uint64_t size_bytes, uint32_t type,
                            uint32_t protect)
{
    must_be(
        ntmm_allocate_virtual_memory(m->system, m->process, &base, 0, &size_bytes, type, protect),
        NTMM_STATUS_SUCCESS);
    return base;
}

void allocate(struct machine *m, uint64_t base, uint64_t size_bytes, uint32_t type,
              uint32_t protect)
{
    (void)allocate_at(m, base, size_bytes, type, protect);
}

static void free_memory(struct machine *m, uint64_t base, uint64_t size_bytes, uint32_t type)
{
    must_be(ntmm_free_virtual_memory(m->system, m->process, &base, &size_bytes, type),
            NTMM_STATUS_SUCCESS);
}

ntmm_status knock(struct machine *m, uint64_t address, uint32_t error_code)
{
    struct ntmm_fault_result result;
    const struct ntmm_fault_request request = {
        .process = m->process, .address = address, .error_code = error_code | NTMM_FAULT_USER};
    return ntmm_page_fault(m->system, &request, &result);
}

void must_be_kind(struct machine *m, uint64_t address, uint32_t error_code,
                  enum ntmm_fault_kind kind)
{
    struct ntmm_fault_result result;
    const struct ntmm_fault_request request = {.process = m->process,
                                               .address = address,
                                               .error_code = error_code | NTMM_FAULT_USER,
                                               .stack = &m->stack};
    must_be(ntmm_page_fault(m->system, &request, &result), NTMM_STATUS_SUCCESS);
    must(result.kind == kind, "a fault was of another kind");
}

/* A committed region of PAGES pages at BASE, untouched. */
static void prepare_region(struct machine *m, uint64_t protect)
{
    allocate(m, BASE, PAGES * NTMM_PAGE_SIZE, RESERVE_COMMIT, (uint32_t)protect);
}

/* The same, each page read once: mapped, accessed, clean. */
static void prepare_clean_region(struct machine *m, uint64_t protect)
{
    prepare_region(m, protect);
    for (uint32_t i = 0; i < PAGES; i++)
        must_be(knock(m, BASE + i * NTMM_PAGE_SIZE, 0), NTMM_STATUS_SUCCESS);
}

/* The same, whose writes are watched. */
static void prepare_watched(struct machine *m, uint64_t protect)
{
    allocate(m, BASE, PAGES * NTMM_PAGE_SIZE, RESERVE_COMMIT | NTMM_MEM_WRITE_WATCH,
             (uint32_t)protect);
}

/* Reservations of 64 KiB with gaps between them. */
static void prepare_regions(struct machine *m, uint64_t count)
{
    m->region_count = count;
    for (uint64_t i = 0; i < count; i++)
        allocate(m, BASE + i * SLOT_BYTES, REGION_BYTES, NTMM_MEM_RESERVE, NTMM_PAGE_READWRITE);
}

/* The same where the system puts them: without gaps, from the bottom. */
static void prepare_regions_anywhere(struct machine *m, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        allocate(m, 0, REGION_BYTES, NTMM_MEM_RESERVE, NTMM_PAGE_READWRITE);
}

/* A reserved region whose first page is committed and touched, so that its tables exist. */
static void prepare_single_page(struct machine *m, uint64_t protect)
{
    allocate(m, BASE, REGION_BYTES, NTMM_MEM_RESERVE, (uint32_t)protect);
    allocate(m, BASE, 2 * NTMM_PAGE_SIZE, NTMM_MEM_COMMIT, (uint32_t)protect);
    must_be(knock(m, BASE, NTMM_FAULT_WRITE), NTMM_STATUS_SUCCESS);
    must_be(knock(m, BASE + NTMM_PAGE_SIZE, NTMM_FAULT_WRITE), NTMM_STATUS_SUCCESS);
}

static void run_tlb_misses(struct machine *m)
{
    for (uint32_t i = 0; i < PAGES; i++) {
        uint64_t value;
        must(ntmm_cpu_read64(m->cpu, BASE + i * NTMM_PAGE_SIZE, &value) == NTMM_CPU_OK, "a fault");
    }
}

static void run_write_faults(struct machine *m)
{
    for (uint32_t i = 0; i < PAGES; i++)
        must_be(knock(m, BASE + i * NTMM_PAGE_SIZE, NTMM_FAULT_WRITE), NTMM_STATUS_SUCCESS);
}

static void run_make_dirty_faults(struct machine *m)
{
    uint32_t error_code = NTMM_FAULT_WRITE | NTMM_FAULT_PRESENT;
    for (uint32_t i = 0; i < PAGES; i++)
        must_be(knock(m, BASE + i * NTMM_PAGE_SIZE, error_code), NTMM_STATUS_SUCCESS);
}

static void run_guard_faults(struct machine *m)
{
    for (uint32_t i = 0; i < PAGES; i++)
        must_be(knock(m, BASE + i * NTMM_PAGE_SIZE, 0), NTMM_STATUS_GUARD_PAGE_VIOLATION);
}

static void run_refused_writes(struct machine *m)
{
    uint32_t error_code = NTMM_FAULT_WRITE | NTMM_FAULT_PRESENT;
    for (uint32_t i = 0; i < PAGES; i++)
        must_be(knock(m, BASE + i * NTMM_PAGE_SIZE, error_code), NTMM_STATUS_ACCESS_VIOLATION);
}

static void run_stores(struct machine *m)
{
    for (uint64_t i = 0; i < PAGES; i++)
        must_be(ntmm_emulated_store(m->emu, 0, BASE + i * NTMM_PAGE_SIZE, &i, sizeof i, NULL, NULL),
                NTMM_STATUS_SUCCESS);
}

static void run_allocate_free(struct machine *m)
{
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        uint64_t base = place_of(m, i) + PLACE_OFFSET;
        allocate(m, base, REGION_BYTES, RESERVE_COMMIT, NTMM_PAGE_READWRITE);
        free_memory(m, base, 0, NTMM_MEM_RELEASE);
    }
}

static void run_reserve_release(struct machine *m)
{
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        uint64_t base = place_of(m, i) + PLACE_OFFSET;
        allocate(m, base, REGION_BYTES, NTMM_MEM_RESERVE, NTMM_PAGE_READWRITE);
        free_memory(m, base, 0, NTMM_MEM_RELEASE);
    }
}

static void run_reserve_release_anywhere(struct machine *m)
{
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        uint64_t base = allocate_at(m, 0, REGION_BYTES, NTMM_MEM_RESERVE, NTMM_PAGE_READWRITE);
        free_memory(m, base, 0, NTMM_MEM_RELEASE);
    }
}

static void run_queries(struct machine *m)
{
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        struct ntmm_memory_basic_information found;
        must_be(ntmm_query_virtual_memory(m->system, m->process, place_of(m, i), &found),
                NTMM_STATUS_SUCCESS);
    }
}

static void run_commit_decommit(struct machine *m)
{
    uint64_t page = BASE + 2 * NTMM_PAGE_SIZE;
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        allocate(m, page, NTMM_PAGE_SIZE, NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE);
        free_memory(m, page, NTMM_PAGE_SIZE, NTMM_MEM_DECOMMIT);
    }
}

static void run_protect_toggle(struct machine *m)
{
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        uint64_t base = BASE, size_bytes = NTMM_PAGE_SIZE;
        uint32_t protect = i & 1 ? NTMM_PAGE_READWRITE : NTMM_PAGE_READONLY, old;
        must_be(
            ntmm_protect_virtual_memory(m->system, m->process, &base, &size_bytes, protect, &old),
            NTMM_STATUS_SUCCESS);
    }
}

static const struct scenario scenarios[] = {
    {"tlb_miss", 32 * MEBIBYTE, NTMM_PAGE_READWRITE, PAGES, prepare_clean_region, run_tlb_misses,
     false},
    {"demand_zero_zeroed", 32 * MEBIBYTE, NTMM_PAGE_READWRITE, PAGES, prepare_region,
     run_write_faults, false},
    {"demand_zero_free", 32 * MEBIBYTE, NTMM_PAGE_READWRITE, PAGES, prepare_region,
     run_write_faults, true},
    {"demand_zero_store", 32 * MEBIBYTE, NTMM_PAGE_READWRITE, PAGES, prepare_region, run_stores,
     false},
    {"make_dirty", 32 * MEBIBYTE, NTMM_PAGE_READWRITE, PAGES, prepare_clean_region,
     run_make_dirty_faults, false},
    {"guard_fault", 32 * MEBIBYTE, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD, PAGES, prepare_region,
     run_guard_faults, false},
    {"write_watch_fault", 32 * MEBIBYTE, NTMM_PAGE_READWRITE, PAGES, prepare_watched,
     run_write_faults, false},
    {"access_violation", 32 * MEBIBYTE, NTMM_PAGE_READONLY, PAGES, prepare_clean_region,
     run_refused_writes, false},
    {"allocate_free_10", 32 * MEBIBYTE, 10, OPERATIONS, prepare_regions, run_allocate_free, false},
    {"allocate_free_1000000", 320 * MEBIBYTE, 1000000, OPERATIONS, prepare_regions,
     run_allocate_free, false},
    {"reserve_release_10", 32 * MEBIBYTE, 10, OPERATIONS, prepare_regions, run_reserve_release,
     false},
    {"reserve_release_50000", 64 * MEBIBYTE, 50000, OPERATIONS, prepare_regions,
     run_reserve_release, false},
    {"reserve_release_anywhere_10", 32 * MEBIBYTE, 10, OPERATIONS, prepare_regions_anywhere,
     run_reserve_release_anywhere, false},
    {"reserve_release_anywhere_50000", 64 * MEBIBYTE, 50000, OPERATIONS, prepare_regions_anywhere,
     run_reserve_release_anywhere, false},
    {"query_10", 32 * MEBIBYTE, 10, OPERATIONS, prepare_regions, run_queries, false},
    {"query_1000", 32 * MEBIBYTE, 1000, OPERATIONS, prepare_regions, run_queries, false},
    {"query_50000", 64 * MEBIBYTE, 50000, OPERATIONS, prepare_regions, run_queries, false},
    {"commit_decommit", 32 * MEBIBYTE, NTMM_PAGE_READWRITE, OPERATIONS, prepare_single_page,
     run_commit_decommit, false},
    {"protect_toggle", 32 * MEBIBYTE, NTMM_PAGE_READWRITE, OPERATIONS, prepare_single_page,
     run_protect_toggle, false},
};

static void open_machine(struct machine *m, const struct scenario *s)
{
    const struct ntmm_emulated_config config = {
        .size = sizeof config,
        .version = NTMM_EMULATED_CONFIG_VERSION,
        .ram_bytes = s->ram_bytes,
        .arena = s->is_given_arena ? aligned_alloc(NTMM_PAGE_SIZE, (size_t)s->ram_bytes) : NULL};
    m->arena = config.arena;
    must_be(ntmm_emulated_create(&config, &m->emu), NTMM_STATUS_SUCCESS);
}

static void open_system(struct machine *m)
{
    must_be(ntmm_emulated_create_system(m->emu, NULL, &m->system), NTMM_STATUS_SUCCESS);
    must_be(ntmm_create_process(m->system, NULL, &m->process), NTMM_STATUS_SUCCESS);
    must_be(ntmm_emulated_attach(m->emu, 0, m->process), NTMM_STATUS_SUCCESS);
    m->cpu = ntmm_emulated_cpu(m->emu, 0);
}

static void run_prepared(struct machine *m, const struct scenario *s)
{
    s->prepare(m, s->parameter);
    CALLGRIND_START_INSTRUMENTATION;
    s->run(m);
    CALLGRIND_STOP_INSTRUMENTATION;
}

static void run_plain(const struct scenario *s)
{
    static struct machine m;
    open_machine(&m, s);
    open_system(&m);
    run_prepared(&m, s);
    ntmm_emulated_destroy(m.emu, NULL);
    free(m.arena);
}

static void run_with_page_file(const struct scenario *s, uint32_t cluster_pages)
{
    static struct machine m;
    open_machine(&m, s);
    paging_open(&m, 4 * s->ram_bytes, cluster_pages);
    run_prepared(&m, s);
    paging_close(&m);
    ntmm_emulated_destroy(m.emu, NULL);
}

static void run_paging(const struct scenario *s) { run_with_page_file(s, 1); }

static void run_clustered(const struct scenario *s) { run_with_page_file(s, CLUSTER_PAGES); }

/* List the scenarios of a table, or run the one of this name. True: it was in the table. */
static bool serve(const char *name, const struct scenario *table, size_t count,
                  void (*run)(const struct scenario *))
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, "--list") == 0)
            printf("%s %u\n", table[i].name, (unsigned)table[i].operations);
        if (strcmp(name, table[i].name) == 0) {
            run(&table[i]);
            return true;
        }
    }
    return false;
}

int main(int count, char **arguments)
{
    const char *name = count == 2 ? arguments[1] : "";
    bool is_served = serve(name, scenarios, sizeof scenarios / sizeof *scenarios, run_plain) ||
                     serve(name, section_scenarios, section_scenario_count, run_plain) ||
                     serve(name, special_scenarios, special_scenario_count, run_plain) ||
                     serve(name, paging_scenarios, paging_scenario_count, run_paging) ||
                     serve(name, file_scenarios, file_scenario_count, run_paging) ||
                     serve(name, clustered_scenarios, clustered_scenario_count, run_clustered);
    if (is_served || strcmp(name, "--list") == 0)
        return 0;
    fputs("usage: callgrind_scenarios --list | NAME\n", stderr);
    return 2;
}
