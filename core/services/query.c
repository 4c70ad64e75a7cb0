/*
 * NtQueryVirtualMemory, basic class.
 *
 * The answer runs forward from the page asked for, and ends where state or protection changes, at
 * the end of the region, or before a table that is not in memory: services bring that in and look
 * again.
 */
#include "services/query.h"
#include "section/view.h"
#include "services/capture.h"
#include "services/relief.h"
#include "services/space_search.h"
#include "space/borrowed.h"
#include "space/private.h"
#include "space/protection.h"
#include "space/readers.h"

#define USER_END (NTMM_USER_PROBE_ADDRESS >> NTMM_PAGE_SHIFT) /* page */

/* The permanent no-access reservation above the last region, and the embedder's ranges. */
static void describe_reserved(struct page_range range, uint64_t page,
                              struct ntmm_memory_basic_information *information)
{
    information->allocation_base = range.start << NTMM_PAGE_SHIFT;
    information->allocation_protect = NTMM_PAGE_NOACCESS;
    information->region_size = (range.end - page) << NTMM_PAGE_SHIFT;
    information->state = NTMM_MEM_RESERVE;
    information->type = NTMM_MEM_PRIVATE;
}

/* `next`: the page where the next region starts, or beyond all. */
static void describe_free(struct call *c, const struct process *process, uint64_t page,
                          uint64_t next, struct ntmm_memory_basic_information *information)
{
    const struct page_range top = {.start = (NTMM_HIGHEST_VAD_ADDRESS >> NTMM_PAGE_SHIFT) + 1,
                                   .end = USER_END};
    struct page_range foreign;
    uint64_t end = min_u64(top.start, next);

    if (page >= top.start) {
        describe_reserved(top, page, information);
        return;
    }
    if (foreign_at_or_after(c, process, page, &foreign)) {
        if (foreign.start <= page) {
            describe_reserved(foreign, page, information);
            return;
        }
        end = min_u64(end, foreign.start);
    }
    information->region_size = (end - page) << NTMM_PAGE_SHIFT;
    information->state = NTMM_MEM_FREE;
    information->protect = NTMM_PAGE_NOACCESS;
}

/* Nothing of the region is committed: no table has a say. */
static bool is_reserved_all_over(const struct vad *vad)
{
    return vad_is_private(vad) && get64(&vad->commit_pages) == 0;
}

static uint32_t type_of(const struct vad *vad)
{
    if (vad_type(vad) == VAD_IMAGE_MAP)
        return NTMM_MEM_IMAGE;
    bool is_mapped = vad_is_view(vad) || (vad_is_borrowed(vad) && vad_may_change(vad));
    return is_mapped ? NTMM_MEM_MAPPED : NTMM_MEM_PRIVATE;
}

static void describe_region(struct call *c, struct process *process, const struct vad *vad,
                            uint64_t page, uint64_t limit,
                            struct ntmm_memory_basic_information *information)
{
    uint64_t end = min_u64(limit, vad_end(vad));
    struct page_state state = {.is_committed = false};
    if (vad_is_view(vad))
        state = view_query(c, process, vad, page, limit, &end);
    else if (!is_reserved_all_over(vad))
        state = private_query(c, process, vad, page, limit, &end);
    information->allocation_base = vad_start(vad) << NTMM_PAGE_SHIFT;
    information->allocation_protect = get32(&vad->win32_protection);
    information->region_size = (end - page) << NTMM_PAGE_SHIFT;
    information->state = state.is_committed ? NTMM_MEM_COMMIT : NTMM_MEM_RESERVE;
    information->protect = state.is_committed ? protection_to_win32(state.protection) : 0;
    information->type = type_of(vad);
}

static inline __attribute__((always_inline)) void describe_until(
    struct call *c, struct process *process, uint64_t page, uint64_t limit,
    struct ntmm_memory_basic_information *information)
{
    uint64_t next;
    *information = (struct ntmm_memory_basic_information){.base_address = page << NTMM_PAGE_SHIFT};
    struct vad *vad = vad_find_or_next(c, process, page, &next);
    if (vad) {
        describe_region(c, process, vad, page, limit, information);
        return;
    }
    describe_free(c, process, page, next, information);
    if (limit < USER_END)
        information->region_size =
            min_u64(information->region_size, (limit - page) << NTMM_PAGE_SHIFT);
}

void query_describe_until(struct call *c, struct process *process, uint64_t page, uint64_t limit,
                          struct ntmm_memory_basic_information *information)
{
    describe_until(c, process, page, limit, information);
}

void query_describe(struct call *c, struct process *process, uint64_t page,
                    struct ntmm_memory_basic_information *information)
{
    query_describe_until(c, process, page, USER_END, information);
}

/* Describe the page's run once. */
static inline ntmm_status look(struct call *c, ntmm_handle handle, uint64_t page,
                               struct process **process,
                               struct ntmm_memory_basic_information *found)
{
    ntmm_status status = process_lock_to_read(c, handle, NTMM_PROCESS_QUERY_INFORMATION, process);
    if (status == NTMM_STATUS_SUCCESS) {
        describe_until(c, *process, page, USER_END, found);
        process_unlock_to_read(c, *process);
    }
    return status;
}

/* Look on, with what was seen so far. */
static ntmm_status look_on(struct call *c, ntmm_handle handle, uint64_t page,
                           struct process **process, struct query_run *run)
{
    ntmm_status status =
        process_lock_working_set(c, handle, NTMM_PROCESS_QUERY_INFORMATION, process);
    if (status == NTMM_STATUS_SUCCESS) {
        (void)query_go_on(c, *process, page, USER_END, run);
        process_unlock_working_set(c, *process);
    }
    return status;
}

/* A table was out: bring it in, and look again, as long as that helps. */
static __attribute__((noinline)) ntmm_status look_again(struct call *c, ntmm_handle handle,
                                                        uint64_t page, struct process *process,
                                                        struct ntmm_memory_basic_information *found)
{
    struct relief relief = relief_begin();
    struct query_run run = {.next = 0};
    uint64_t reached = 0;
    ntmm_status status = NTMM_STATUS_SUCCESS;
    while (relieve(c, &relief, process, &status)) {
        status = look_on(c, handle, page, &process, &run);
        if (status != NTMM_STATUS_SUCCESS)
            break;
        if (c->want.kind == WANT_TABLE && !query_keeps_parts(&relief, c->want.page, &reached))
            run.next = 0;
    }
    *found = run.found;
    return status;
}

__attribute__((flatten)) ntmm_status
ntmm_query_virtual_memory(struct ntmm_system *system, ntmm_handle handle, uint64_t address,
                          struct ntmm_memory_basic_information *information)
{
    struct call c = call_begin_to_wait(system);
    struct ntmm_memory_basic_information found;
    struct process *process;

    if (!information)
        return NTMM_STATUS_ACCESS_VIOLATION;
    if (address > NTMM_HIGHEST_USER_ADDRESS)
        return NTMM_STATUS_INVALID_PARAMETER;
    uint64_t page = address >> NTMM_PAGE_SHIFT;
    ntmm_status status = look(&c, handle, page, &process, &found);
    if (__builtin_expect(c.want.kind != WANT_NOTHING, 0))
        status = look_again(&c, handle, page, process, &found);
    if (status == NTMM_STATUS_SUCCESS)
        *information = found;
    return status;
}
