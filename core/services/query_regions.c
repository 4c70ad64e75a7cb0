/*
 * Runs of an address space, many at once or one after another.
 *
 *   from |--free--|--reserved--|-committed-|-committed-|--free--| to
 *          record   record       record      record      record
 *
 * A scan looks at all runs under one hold of (W). Where a table is out of memory it ends early with
 * what it has, or, when that is nothing, brings the table in and begins anew, or goes on where a
 * run has more tables than fit into memory; so it never needs those of its whole range at once.
 */
#include "base/bits.h"
#include "services/query.h"
#include "services/relief.h"

struct scan {
    uint64_t page; /* to be looked at next */
    uint64_t end;  /* page after the last */
    uint32_t flags;
    uint32_t capacity;
    uint32_t count;
    struct ntmm_memory_basic_information *records;
    struct query_run run; /* that begins at `page` */
};

static bool is_wanted(uint32_t flags, uint32_t state)
{
    switch (state) {
    case NTMM_MEM_FREE:
        return (flags & NTMM_REGIONS_FREE) != 0;
    case NTMM_MEM_RESERVE:
        return (flags & NTMM_REGIONS_RESERVED) != 0;
    }
    return (flags & NTMM_REGIONS_COMMITTED) != 0;
}

/* (W) is held. */
static void scan_runs(struct call *c, struct process *process, struct scan *s)
{
    while (s->page < s->end && s->count < s->capacity) {
        if (!query_go_on(c, process, s->page, s->end, &s->run))
            break;
        s->page += s->run.found.region_size >> NTMM_PAGE_SHIFT;
        s->run.next = 0;
        if (is_wanted(s->flags, s->run.found.state))
            s->records[s->count++] = s->run.found;
    }
    if (s->count > 0)
        c->want = (struct want){.kind = WANT_NOTHING};
}

static ntmm_status scan(struct ntmm_system *system, ntmm_handle handle, struct scan *s)
{
    struct call c = call_begin_to_wait(system);
    struct relief relief = relief_begin();
    const uint64_t first = s->page;
    uint64_t reached = 0;
    struct process *process;
    ntmm_status status;
    do {
        status = process_lock_working_set(&c, handle, NTMM_PROCESS_QUERY_INFORMATION, &process);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        scan_runs(&c, process, s);
        process_unlock_working_set(&c, process);
        if (c.want.kind == WANT_TABLE && !query_keeps_parts(&relief, c.want.page, &reached)) {
            s->page = first;
            s->run.next = 0;
        }
    } while (relieve(&c, &relief, process, &status));
    return status;
}

ntmm_status ntmm_scan_regions(struct ntmm_system *system, ntmm_handle process, uint64_t from,
                              uint64_t to, uint32_t flags,
                              struct ntmm_memory_basic_information *records, uint32_t capacity,
                              uint32_t *count, uint64_t *next)
{
    if (!records || !count || !next)
        return NTMM_STATUS_ACCESS_VIOLATION;
    bool are_flags_known = flags != 0 && (flags & ~NTMM_REGIONS_ALL) == 0;
    if (from > to || to > NTMM_USER_PROBE_ADDRESS || capacity == 0 || !are_flags_known)
        return NTMM_STATUS_INVALID_PARAMETER;
    struct scan s = {
        .page = from >> NTMM_PAGE_SHIFT,
        .end = round_up(to, NTMM_PAGE_SIZE) >> NTMM_PAGE_SHIFT,
        .flags = flags,
        .capacity = capacity,
        .records = records,
    };
    ntmm_status status = scan(system, process, &s);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    *count = s.count;
    *next = s.page << NTMM_PAGE_SHIFT;
    return NTMM_STATUS_SUCCESS;
}

void ntmm_begin_regions(struct ntmm_region_iterator *iterator, ntmm_handle process, uint32_t flags)
{
    *iterator = (struct ntmm_region_iterator){
        .process = process,
        .end = NTMM_USER_PROBE_ADDRESS,
        .flags = flags,
    };
}

ntmm_status ntmm_next_region(struct ntmm_system *system, struct ntmm_region_iterator *iterator,
                             struct ntmm_memory_basic_information *information)
{
    struct ntmm_memory_basic_information found;
    uint64_t next;
    uint32_t count;
    if (!information)
        return NTMM_STATUS_ACCESS_VIOLATION;
    ntmm_status status = ntmm_scan_regions(system, iterator->process, iterator->next, iterator->end,
                                           iterator->flags, &found, 1, &count, &next);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    iterator->next = next;
    if (count == 0)
        return NTMM_STATUS_NO_MORE_ENTRIES;
    *information = found;
    return NTMM_STATUS_SUCCESS;
}
