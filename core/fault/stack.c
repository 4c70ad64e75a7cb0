/*
 * Growing a user stack when its guard is hit.
 *
 *   before   dealloc [ reserved ........................ | guard | committed ] base
 *   after    dealloc [ reserved ............... | guard | hit page, committed ] base
 *                                                        ^ stack_limit
 *   the end  dealloc [ never | committed, no guard                            ] base
 *
 * The guard is one page and what the thread asked to be guaranteed. When it no longer fits above
 * the lowest page, which is never committed, the rest is committed without a guard and the overflow
 * is raised.
 *
 * Source: nt_semantics 13.3, after public descriptions; guard size x64: one page plus the
 * guarantee.
 */
#include "base/bits.h"
#include "fault/door.h"

static ntmm_status commit_stack(struct call *c, struct door *d, struct vad *vad, uint64_t start,
                                uint64_t end, uint32_t protection)
{
    if (start < vad_start(vad) || end > vad_end(vad))
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    return start < end ? private_commit(c, d->process, vad, start, end, protection)
                       : NTMM_STATUS_SUCCESS;
}

static ntmm_status overflow(struct call *c, struct door *d, struct vad *vad, uint64_t lowest)
{
    struct ntmm_thread_stack *stack = d->request->stack;
    if (commit_stack(c, d, vad, lowest, d->page, PROT_READWRITE) == NTMM_STATUS_SUCCESS)
        stack->stack_limit = lowest << NTMM_PAGE_SHIFT;
    return door_raise(c, d, NTMM_STATUS_STACK_OVERFLOW);
}

static uint64_t guard_pages_of(const struct ntmm_thread_stack *stack)
{
    return 1 + (round_up(stack->guaranteed_bytes, NTMM_PAGE_SIZE) >> NTMM_PAGE_SHIFT);
}

ntmm_status door_bring_stack(struct call *c, struct door *d, const struct vad *vad)
{
    const struct ntmm_thread_stack *stack = d->request->stack;
    uint64_t guard_pages = guard_pages_of(stack);
    uint64_t start = d->page - min_u64(guard_pages, d->page);
    uint64_t end = max_u64(d->page + 1, stack->stack_limit >> NTMM_PAGE_SHIFT);
    start = max_u64(start, vad_start(vad));
    end = min_u64(end, vad_end(vad));
    while (!tables_are_present(c, d->process, start, end)) {
        ntmm_status status = door_bring_tables_back(c, d->process, c->want.page, d->wait);
        if (status == NTMM_STATUS_PENDING)
            return status;
        if (status != NTMM_STATUS_SUCCESS)
            return door_raise_in_page_error(c, d, status);
    }
    d->span = table_find(c, d->process, d->page);
    return NTMM_STATUS_SUCCESS;
}

ntmm_status door_grow_stack(struct call *c, struct door *d, struct vad *vad)
{
    struct ntmm_thread_stack *stack = d->request->stack;
    uint64_t lowest = (stack->deallocation_stack >> NTMM_PAGE_SHIFT) + 1;
    uint64_t guard_pages = guard_pages_of(stack);
    uint64_t old_limit = stack->stack_limit >> NTMM_PAGE_SHIFT;

    if (d->page < lowest || d->page - lowest < guard_pages)
        return overflow(c, d, vad, min_u64(lowest, d->page));
    uint64_t guard = d->page - guard_pages;
    ntmm_status status = commit_stack(c, d, vad, guard, d->page, PROT_READWRITE | PROT_GUARD);
    if (status == NTMM_STATUS_SUCCESS && old_limit > d->page)
        status = commit_stack(c, d, vad, d->page, old_limit, PROT_READWRITE);
    if (status != NTMM_STATUS_SUCCESS)
        return door_raise(c, d, NTMM_STATUS_STACK_OVERFLOW);
    stack->stack_limit = d->page << NTMM_PAGE_SHIFT;
    d->result->kind = NTMM_FAULT_KIND_GUARD;
    process_count(d->process, NTMM_COUNTER_STACK_GROWTHS, 1);
    return NTMM_STATUS_SUCCESS;
}
