/*
 * What is not in memory: tables and pages that are on a list, being read, or in a page file.
 *
 *   transition, on a list    reactivated at once
 *   transition, being read   joined: PENDING on the block that the frame's row names
 *   page file                read: PENDING on a new block
 *
 * A fault that comes again after a read that failed gets the read's status; after a cluster that
 * failed it first tries alone, because the slot that cannot be read may be a neighbour's.
 */
#include "fault/door.h"
#include "paging/transfers.h"

ntmm_status door_earlier_read(struct call *c, const struct ntmm_wait *wait, const le64 *entry,
                              uint32_t *span_count)
{
    const struct transfer_block *block = wait->block;
    ntmm_status status = NTMM_STATUS_SUCCESS;
    if (!block)
        return status;
    lock_acquire(c, &c->sys->waiters_lock, LOCK_WAITERS);
    if (block->is_done && block->target_entry == core_ref(c, entry)) {
        status = block->io.status;
        *span_count = block->io.span_count;
        block_step(c, block, NTMM_SUCCEEDED(status) ? "again" : "refuse");
    }
    lock_release(c, &c->sys->waiters_lock, LOCK_WAITERS);
    return status;
}

ntmm_status door_join(struct call *c, uint64_t frame)
{
    struct transfer_block *block = block_at(c, (uint32_t)get64(&pfn_at(c, frame)->flink));
    frame_step(c, pfn_at(c, frame), "collide");
    block_join(c, block);
    frame_unlock(c, frame);
    c->want = (struct want){.kind = WANT_READ, .block = block};
    return NTMM_STATUS_PENDING;
}

ntmm_status door_begin_read(struct call *c, const struct ntmm_wait *wait,
                            struct inpage_request *request, uint32_t *pages)
{
    uint32_t span_count = 0;
    ntmm_status earlier = door_earlier_read(c, wait, request->entry, &span_count);
    if (!NTMM_SUCCEEDED(earlier) && span_count == 1)
        return earlier;
    if (!NTMM_SUCCEEDED(earlier))
        request->cluster = 1;
    struct transfer_block *block = inpage_begin(c, request, pages);
    if (block)
        c->want = (struct want){.kind = WANT_READ, .block = block, .is_new = true};
    return NTMM_STATUS_PENDING;
}

ntmm_status door_read_table(struct call *c, const struct ntmm_wait *wait, le64 *upper,
                            enum ntmm_frame_use use)
{
    uint64_t frame = entry_lock_transition(c, upper);
    if (frame != FRAME_NONE && pfn_is_being_read(pfn_at(c, frame)))
        return door_join(c, frame);
    if (frame != FRAME_NONE) {
        frame_unlock(c, frame); /* its read has just ended */
        return NTMM_STATUS_SUCCESS;
    }
    struct pfn *table = pfn_at(c, ref_frame(c, core_ref(c, upper)));
    struct inpage_request request = {.table = table, .entry = upper, .use = use, .cluster = 1};
    uint32_t pages = 0;
    return door_begin_read(c, wait, &request, &pages);
}

/* The table that the walk found out. SUCCESS: it is back. */
static ntmm_status bring_table(struct call *c, struct process *process, struct ntmm_wait *wait,
                               const struct table_span *span)
{
    if (table_return(c, process, span))
        return NTMM_STATUS_SUCCESS;
    ntmm_status status = door_read_table(c, wait, span->upper, NTMM_USE_TABLE);
    if (c->want.is_new)
        process_count(process, NTMM_COUNTER_TABLE_READS, 1);
    return status;
}

ntmm_status door_bring_tables_back(struct call *c, struct process *process, uint64_t page,
                                   struct ntmm_wait *wait)
{
    for (;;) {
        struct table_span span = table_find(c, process, page);
        if (!span.is_out)
            return NTMM_STATUS_SUCCESS;
        c->want = (struct want){.kind = WANT_NOTHING};
        ntmm_status status = bring_table(c, process, wait, &span);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
    }
}

void door_want_beside_tables(struct call *c, struct process *process, uint64_t page)
{
    if (c->want.kind == WANT_FRAME && table_may_go(c, process, page))
        c->want.pages++;
}

ntmm_status door_bring_tables(struct call *c, struct process *process, uint64_t page,
                              struct ntmm_wait *wait)
{
    ntmm_status status = door_bring_tables_back(c, process, page, wait);
    if (status == NTMM_STATUS_PENDING)
        door_want_beside_tables(c, process, page);
    return status;
}

ntmm_status door_raise_in_page_error(struct call *c, struct door *d, ntmm_status io_status)
{
    ntmm_status status = door_raise(c, d, NTMM_STATUS_IN_PAGE_ERROR);
    d->result->parameter_count = 3;
    d->result->parameters[2] = io_status;
    process_count(d->process, NTMM_COUNTER_IN_PAGE_ERRORS, 1);
    return status;
}

ntmm_status door_resolve_tables(struct call *c, struct door *d)
{
    ntmm_status status = door_bring_tables_back(c, d->process, d->page, d->wait);
    if (status == NTMM_STATUS_SUCCESS)
        d->span = table_find(c, d->process, d->page);
    else if (status != NTMM_STATUS_PENDING)
        status = door_raise_in_page_error(c, d, status);
    return status;
}

ntmm_status door_join_read(struct call *c, struct door *d, uint64_t frame)
{
    process_count(d->process, NTMM_COUNTER_COLLIDED_FAULTS, 1);
    return door_join(c, frame);
}

ntmm_status door_resolve_page_file(struct call *c, struct door *d)
{
    struct inpage_request request = {.table = d->span.table,
                                     .entry = d->span.entry,
                                     .use = NTMM_USE_PRIVATE,
                                     .cluster = c->sys->read_cluster};
    uint32_t pages = 0;
    if (entry_is_damaged(entry_value(c, load64_relaxed(d->span.entry))))
        return door_raise_in_page_error(c, d, NTMM_STATUS_HARDWARE_MEMORY_ERROR);
    c->want = (struct want){.kind = WANT_NOTHING};
    ntmm_status status = door_begin_read(c, d->wait, &request, &pages);
    if (status != NTMM_STATUS_PENDING)
        return door_raise_in_page_error(c, d, status);
    if (c->want.is_new) {
        d->wait->flags |= WAIT_IS_HARD;
        process_count(d->process, NTMM_COUNTER_PAGES_READ, pages);
    } else {
        process_count(d->process, NTMM_COUNTER_FAULT_WAITS, 1);
    }
    return status;
}
