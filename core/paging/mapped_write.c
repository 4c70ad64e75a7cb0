/*
 * Writes to files of sections: batches, and the mapped page writer.
 *
 *   modified list   b . . .            the oldest page
 *   file              a b c . e        its neighbours that are modified too go with it
 *   batch             a b c            one transfer, as long as the file is
 *
 * A page is written while programs may change it: its first write after the transfer began makes it
 * modified again (fault/door.c), and whoever maps it with the dirty bit set already keeps it
 * modified (frame_begin_flush). Bytes past the end of the file are not written; a page wholly past
 * it is done with at once. Nothing here waits. Source: nt_semantics 9.1.
 */
#include "base/bits.h"
#include "paging/transfers.h"
#include "section/prototype.h"

static void end_frames(struct call *c, const struct transfer_block *block, uint32_t count,
                       enum write_outcome outcome)
{
    for (uint32_t i = 0; i < count; i++)
        frame_end_write(c, block->spans[i].frame, outcome);
}

static uint64_t bytes_of(const struct ntmm_io *io)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < io->span_count; i++)
        bytes += io->spans[i].size_bytes;
    return bytes;
}

static void complete(struct ntmm_io *io)
{
    struct transfer_block *block = io->context;
    struct call c = call_begin(block->sys);
    struct control_area *area = area_at(&c, block->area);
    uint32_t pages = block->target; /* of the batch; the last ones may lie past the end */

    if (NTMM_SUCCEEDED(io->status) && io->transferred_bytes != bytes_of(io))
        io->status = NTMM_STATUS_DISK_FULL;
    bool is_written = NTMM_SUCCEEDED(io->status);
    if (is_written) {
        system_count(&c, NTMM_COUNTER_MAPPED_PAGE_WRITES, 1);
        system_count(&c, NTMM_COUNTER_MAPPED_PAGES_WRITTEN, io->span_count);
    } else {
        store32_release(&file_at(&c, get64(&area->file))->is_write_failed, 1);
    }
    end_frames(&c, block, pages, is_written ? WRITE_DONE : WRITE_FAILED);
    event_note(&c, NTMM_EVENT_PAGE_WRITE, 0, io->offset_bytes, io->status, pages);
    (void)add32(&area->io_count, ~0u);
    block_finish(&c, block);
    waiters_note_chance(&c);
}

bool mapped_batch_begin(struct call *c, struct control_area *area, uint64_t page,
                        struct mapped_batch *batch)
{
    struct transfer_block *block = block_take_write(c);
    if (block == NULL)
        return false;
    (void)add32(&area->io_count, 1);
    block->file = TRANSFER_OF_FILE;
    block->area = area_ref(c, area);
    block->target = 0;
    block->io.operation = NTMM_IO_WRITE;
    *batch = (struct mapped_batch){.block = block, .area = area, .page = page};
    return true;
}

bool mapped_batch_add(struct call *c, struct mapped_batch *batch, uint64_t frame)
{
    struct transfer_block *block = batch->block;
    const struct file *file = file_at(c, get64(&batch->area->file));
    uint64_t end = load64_relaxed(&file->size_bytes);
    uint64_t offset = (batch->page + block->target) << NTMM_PAGE_SHIFT;
    struct ntmm_content_span *span = &block->spans[block->target++];
    *span = (struct ntmm_content_span){.frame = frame};
    if (offset < end) {
        span->size_bytes = (uint32_t)min_u64(NTMM_PAGE_SIZE, end - offset);
        block->io.span_count = block->target;
    }
    return block->target >= c->sys->write_cluster;
}

/* Nothing is to be written. */
static void give_up(struct call *c, struct mapped_batch *batch)
{
    struct transfer_block *block = batch->block;
    end_frames(c, block, block->target, WRITE_DONE);
    (void)add32(&batch->area->io_count, ~0u);
    block_leave(c, block);
}

bool mapped_batch_submit(struct call *c, struct mapped_batch *batch, struct ntmm_wait *wait)
{
    struct transfer_block *block = batch->block;
    if (block->io.span_count == 0) {
        give_up(c, batch);
        return false;
    }
    block->io.device = get64(&file_at(c, get64(&batch->area->file))->device);
    block->io.offset_bytes = batch->page << NTMM_PAGE_SHIFT;
    block->io.complete = complete;
    if (wait) {
        block_join(c, block);
        wait->block = block;
        waiters_add(c, &block->waits, wait);
    }
    block_submit(c, block);
    return wait != NULL;
}

/* --- the writer --- */

/* Where a frame that is being written belongs; (F) is held. */
struct place {
    struct control_area *area;
    uint64_t page;
    le64 *entry;
};

static struct place place_of(struct call *c, uint64_t frame)
{
    const struct pfn *pfn = pfn_at(c, frame);
    const struct subsection *s = subsection_of(c, load64_relaxed(&pfn->original_pte));
    return (struct place){
        .area = area_at(c, get64(&s->area)),
        .page = prototype_page(c, get64(&pfn->entry_address)),
        .entry = core_at(c->bias, get64(&pfn->entry_address)),
    };
}

/* The frame of a neighbour that stands on the list of modified pages of files, now being written;
 * FRAME_NONE: there is none. The table stays, because the area counts a transfer. */
static uint64_t take_neighbour(struct call *c, const le64 *entry)
{
    uint64_t frame = entry_lock_transition(c, entry);
    if (frame == FRAME_NONE)
        return FRAME_NONE;
    const struct pfn *pfn = pfn_at(c, frame);
    bool is_ready = pfn_location(pfn) == NTMM_FRAME_MODIFIED &&
                    entry_is_of_file(load64_relaxed(&pfn->original_pte)) &&
                    frame_begin_flush(c, frame, 0);
    frame_unlock(c, frame);
    return is_ready ? frame : FRAME_NONE;
}

static uint32_t index_of(const le64 *entry)
{
    return (uint32_t)((uintptr_t)entry / sizeof(le64)) & (NTMM_ENTRIES_PER_TABLE - 1);
}

/* Write the oldest page of the list and its neighbours; returns how many. */
static uint32_t write_oldest(struct call *c, uint64_t most)
{
    struct mapped_batch batch;
    uint64_t before[NTMM_WRITE_CLUSTER_MAXIMUM];
    uint32_t count = 0;
    uint64_t frame = frame_begin_write(c, &partition_of(c)->modified_mapped);
    if (frame == FRAME_NONE)
        return 0;
    struct place at = place_of(c, frame);
    bool has_block = mapped_batch_begin(c, at.area, at.page, &batch);
    frame_unlock(c, frame);
    if (!has_block) {
        frame_end_write(c, frame, WRITE_FAILED);
        return 0;
    }
    most = min_u64(most, c->sys->write_cluster);
    uint32_t below = (uint32_t)min_u64(most - 1, index_of(at.entry));
    while (count < below) {
        before[count] = take_neighbour(c, at.entry - 1 - count);
        if (before[count] == FRAME_NONE)
            break;
        count++;
    }
    batch.page -= count;
    for (uint32_t i = count; i-- > 0;)
        (void)mapped_batch_add(c, &batch, before[i]);
    bool is_full = mapped_batch_add(c, &batch, frame);
    uint32_t above = NTMM_ENTRIES_PER_TABLE - 1 - index_of(at.entry);
    for (uint32_t i = 1; i <= above && !is_full && batch.block->target < most; i++) {
        uint64_t next = take_neighbour(c, at.entry + i);
        if (next == FRAME_NONE)
            break;
        is_full = mapped_batch_add(c, &batch, next);
    }
    count = batch.block->target;
    (void)mapped_batch_submit(c, &batch, NULL);
    return count;
}

/* Each page once at most: what fails at once is modified again at once. */
uint64_t mapped_writer_run(struct call *c, uint64_t budget_pages)
{
    uint64_t done = 0;
    budget_pages = min_u64(budget_pages, load64_relaxed(&partition_of(c)->modified_mapped.count));
    while (done < budget_pages) {
        uint32_t written = write_oldest(c, budget_pages - done);
        if (written == 0)
            break;
        done += written;
    }
    return done;
}
