/*
 * What a program had, made of the pages that its trace touches.
 *
 *   touched     ..RR.X......W|................|.W...........WW.|      | 64 KiB
 *   reserved    [                             ]... a gap of one block separates two regions
 *   committed     RRRXXXXXXXXWWWWW...........
 *
 * Runs whose 64 KiB blocks meet or touch become one reservation, as a loader or an allocator would
 * have made it. It is committed from its first touched page to its last: a run has the protection
 * that its uses ask for, and the pages between it and the next run, which the program had but did
 * not touch in this trace, have the same. The first stack is reserved 1 MiB deep, NT's default, and
 * committed where it was used: these programs were compiled for a system that grows stacks without
 * probes, so guard pages would stop them.
 *
 * An executed page is execute-read, or execute-read-write when it was also written; a written one
 * read-write; any other read-only. With --verify the pages that the program only reads or executes
 * get contents first, as its loader gave them: committed read-write, written, then protected. So
 * what is read from them is checked against more than zeros; they fault once, as without, but
 * before the run.
 */
#include "replay.h"

#include "shadow.h"
#include "trace_binary.h"

#define BLOCK_PAGES (NTMM_ALLOCATION_GRANULARITY / NTMM_PAGE_SIZE)
#define STACK_PAGES (0x100000u / NTMM_PAGE_SIZE)
#define LOWEST_PAGE (NTMM_LOWEST_USER_ADDRESS >> NTMM_PAGE_SHIFT)
#define END_PAGE ((NTMM_HIGHEST_VAD_ADDRESS + 1) >> NTMM_PAGE_SHIFT)
/* Tables of a process and of a region at worst: one a level at each of its ends, and its leaves. */
#define PROCESS_PAGES 16u
#define REGION_TABLES 6u

/* Runs [first, end) of one reservation of pages [base, end_page). */
struct region {
    uint32_t first;
    uint32_t end;
    uint64_t base_page;
    uint64_t end_page;
};

static uint64_t block_down(uint64_t page) { return page & ~(uint64_t)(BLOCK_PAGES - 1); }

static uint64_t run_end(const struct trace_run *run) { return run->first_page + run->page_count; }

/* The next reservation after `last`; false at the end. */
static bool next_region(const struct trace_summary *summary, struct region *region)
{
    uint32_t first = region->end;
    uint64_t before = region->end_page;
    if (first == summary->run_count)
        return false;
    const struct trace_run *runs = summary->runs;
    bool is_stack = false;
    region->first = first;
    region->base_page = block_down(runs[first].first_page);
    do {
        is_stack = is_stack || (runs[region->end].rights & TRACE_STACK) != 0;
        region->end_page = block_down(run_end(&runs[region->end]) + BLOCK_PAGES - 1);
        region->end++;
    } while (region->end < summary->run_count &&
             block_down(runs[region->end].first_page) <= region->end_page);
    if (is_stack && region->end_page >= before + STACK_PAGES &&
        region->base_page > region->end_page - STACK_PAGES)
        region->base_page = region->end_page - STACK_PAGES;
    return true;
}

static uint64_t commit_pages_of(const struct trace_summary *summary, const struct region *region)
{
    return run_end(&summary->runs[region->end - 1]) - summary->runs[region->first].first_page;
}

bool replay_count_need(const struct replay_program *program, uint64_t *pages,
                       struct shell_error *error)
{
    const struct trace_summary *summary = trace_summary(program->trace);
    struct region region = {0, 0, LOWEST_PAGE, LOWEST_PAGE};
    *pages = PROCESS_PAGES;
    while (next_region(summary, &region)) {
        uint64_t commit = commit_pages_of(summary, &region);
        if (region.base_page < LOWEST_PAGE || region.end_page > END_PAGE)
            return shell_set_error(error, "%s: touches page %#llx, which no program can reserve",
                                   trace_name(program->trace),
                                   (unsigned long long)summary->runs[region.first].first_page
                                       << NTMM_PAGE_SHIFT);
        *pages += commit + commit / NTMM_ENTRIES_PER_TABLE + REGION_TABLES;
    }
    return true;
}

/* Tables of one level, each for 1 << shift pages. */
static uint64_t count_tables(const struct trace_summary *summary, unsigned shift)
{
    uint64_t count = 0;
    uint64_t next = 0; /* the first table that is not counted */
    for (uint32_t i = 0; i < summary->run_count; i++) {
        const struct trace_run *run = &summary->runs[i];
        uint64_t first = run->first_page >> shift;
        uint64_t end = ((run_end(run) - 1) >> shift) + 1;
        if (first < next)
            first = next;
        if (end > first)
            count += end - first;
        next = end;
    }
    return count;
}

uint64_t replay_count_footprint(const struct replay_program *program)
{
    const struct trace_summary *summary = trace_summary(program->trace);
    uint64_t pages = summary->page_count;
    for (unsigned shift = 9; shift <= 36; shift += 9)
        pages += count_tables(summary, shift);
    return pages;
}

static uint32_t protection_of(uint32_t rights)
{
    if ((rights & TRACE_EXECUTE) != 0)
        return (rights & TRACE_WRITE) != 0 ? NTMM_PAGE_EXECUTE_READWRITE : NTMM_PAGE_EXECUTE_READ;
    return (rights & TRACE_WRITE) != 0 ? NTMM_PAGE_READWRITE : NTMM_PAGE_READONLY;
}

static ntmm_status allocate(struct replay *replay, ntmm_handle process, uint64_t first_page,
                            uint64_t end_page, uint32_t type, uint32_t protect)
{
    uint64_t base = first_page << NTMM_PAGE_SHIFT;
    uint64_t size = (end_page - first_page) << NTMM_PAGE_SHIFT;
    return ntmm_allocate_virtual_memory(replay->system, process, &base, 0, &size, type, protect);
}

/* Bytes that a loader might have put into a page; two pages of a system are hardly alike. */
static void fill_page(unsigned char *bytes, uint64_t page, ntmm_handle process)
{
    uint64_t word = page * 0x9E3779B97F4A7C15ull + process;
    for (uint32_t i = 0; i < NTMM_PAGE_SIZE; i += 8) {
        word = word * 0xD1342543DE82EF95ull + 1;
        for (uint32_t j = 0; j < 8; j++)
            bytes[i + j] = (unsigned char)(word >> (8 * j));
    }
}

static ntmm_status load_pages(struct replay *replay, const struct replay_program *program,
                              const struct trace_run *run)
{
    ntmm_status status = NTMM_STATUS_SUCCESS;
    for (uint32_t i = 0; i < run->page_count && NTMM_SUCCEEDED(status); i++) {
        uint64_t address = (run->first_page + i) << NTMM_PAGE_SHIFT;
        unsigned char *bytes = shadow_at(program->shadow, address); /* Y2: here too */
        if (bytes == NULL)
            return NTMM_STATUS_INSUFFICIENT_RESOURCES;
        fill_page(bytes, run->first_page + i, program->process);
        status = ntmm_emulated_store(replay->emu, 0, address, bytes, NTMM_PAGE_SIZE, NULL, NULL);
    }
    return status;
}

/* Commits a run and what lies between it and `end_page`. */
static ntmm_status commit_run(struct replay *replay, const struct replay_program *program,
                              const struct trace_run *run, uint64_t end_page)
{
    uint32_t protect = protection_of(run->rights);
    bool is_loaded = program->shadow != NULL && (run->rights & TRACE_WRITE) == 0;
    ntmm_status status = allocate(replay, program->process, run->first_page, end_page,
                                  NTMM_MEM_COMMIT, is_loaded ? NTMM_PAGE_READWRITE : protect);
    if (!is_loaded || !NTMM_SUCCEEDED(status))
        return status;
    uint64_t base = run->first_page << NTMM_PAGE_SHIFT;
    uint64_t size = (end_page - run->first_page) << NTMM_PAGE_SHIFT;
    uint32_t old;
    status = load_pages(replay, program, run);
    return NTMM_SUCCEEDED(status) ? ntmm_protect_virtual_memory(replay->system, program->process,
                                                                &base, &size, protect, &old)
                                  : status;
}

static ntmm_status make_region(struct replay *replay, const struct replay_program *program,
                               const struct trace_summary *summary, const struct region *region)
{
    ntmm_status status = allocate(replay, program->process, region->base_page, region->end_page,
                                  NTMM_MEM_RESERVE, NTMM_PAGE_READWRITE);
    for (uint32_t i = region->first; i < region->end && NTMM_SUCCEEDED(status); i++) {
        const struct trace_run *run = &summary->runs[i];
        uint64_t end = i + 1 < region->end ? run[1].first_page : run_end(run);
        status = commit_run(replay, program, run, end);
    }
    return status;
}

bool replay_make_regions(struct replay *replay, struct replay_program *program,
                         struct shell_error *error)
{
    const struct trace_summary *summary = trace_summary(program->trace);
    struct region region = {0, 0, LOWEST_PAGE, LOWEST_PAGE};
    struct shell_status_name name;
    char what[512];
    snprintf(what, sizeof what, "what %s commits", trace_name(program->trace));
    if (!NTMM_SUCCEEDED(ntmm_emulated_attach(replay->emu, 0, program->process)))
        return shell_set_error(error, "%s: cannot attach its process", trace_name(program->trace));
    while (next_region(summary, &region)) {
        ntmm_status status = make_region(replay, program, summary, &region);
        if (status == NTMM_STATUS_COMMITMENT_LIMIT || status == NTMM_STATUS_NO_MEMORY)
            return replay_refuse_shortage(replay, status, what, error);
        if (!NTMM_SUCCEEDED(status))
            return shell_set_error(error, "%s: region at %#llx: %s", trace_name(program->trace),
                                   (unsigned long long)(region.base_page << NTMM_PAGE_SHIFT),
                                   shell_status_name(status, &name));
    }
    return true;
}

ntmm_status replay_make_region_at(struct replay *replay, struct replay_program *program,
                                  uint64_t address)
{
    uint64_t page = block_down(address >> NTMM_PAGE_SHIFT);
    if (page < LOWEST_PAGE || page >= END_PAGE)
        return NTMM_STATUS_ACCESS_VIOLATION;
    return allocate(replay, program->process, page, page + BLOCK_PAGES,
                    NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, NTMM_PAGE_EXECUTE_READWRITE);
}
