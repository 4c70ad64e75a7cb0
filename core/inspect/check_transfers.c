/*
 * The checker's view of transfers: blocks, the frames in them, and the queues of waits.
 *
 *   block --spans--> frames, marked as read or written; check_frames expects the rows to say so
 *   queue --first--> wait <--> wait <--> ... in a circle
 *
 * Blocks and waits are the host's: no bit of managed memory leads to them.
 */
#include "inspect/checker.h"

/* The slot that a frame in a transfer must name is the block's, in the order of the spans. */
static bool check_slot(struct checker *k, const char *invariant, uint64_t frame,
                       const struct transfer_block *block, uint32_t span)
{
    uint64_t original = load64_relaxed(&pfn_at(k->c, frame)->original_pte);
    return check_equal(k, invariant, frame,
                       check_slot_object(block->file, block->first_slot + span),
                       check_slot_object(slot_file(original), slot_of(original)));
}

/* A frame is met in a transfer, once. */
static bool meet_frame(struct checker *k, const char *invariant, uint64_t frame, uint32_t bit)
{
    uint32_t *mark = check_mark(k, frame);
    if (!mark)
        return check_fail(k, invariant, frame, 1, 0);
    if (*mark & bit)
        return check_fail(k, invariant, frame, 1, 2);
    *mark |= bit;
    return true;
}

/* I1: the frames of a read in flight, which name the block. */
static bool check_read(struct checker *k, const struct transfer_block *block, uint32_t number)
{
    uint64_t dummy = get64(&partition_of(k->c)->dummy_frame);
    for (uint32_t i = 0; i < block->io.span_count; i++) {
        uint64_t frame = block->spans[i].frame;
        if (frame == dummy)
            continue;
        if (!meet_frame(k, "I1", frame, MARK_READ) ||
            !check_equal(k, "I1", frame, number, get64(&pfn_at(k->c, frame)->flink)))
            return false;
        if (block->file != TRANSFER_OF_FILE && !check_slot(k, "I1", frame, block, i))
            return false;
    }
    return true;
}

/* A read that is over keeps its page for those who have yet to look. */
static bool keep_target(struct checker *k, const struct transfer_block *block)
{
    if (block->target_frame == FRAME_NONE || !NTMM_SUCCEEDED(block->io.status))
        return true;
    uint32_t *mark = check_mark(k, block->target_frame);
    if (!mark)
        return check_fail(k, "I1", block->target_frame, 1, 0);
    *mark += 1u << MARK_KEPT_SHIFT;
    return true;
}

static bool check_read_block(struct checker *k, const struct transfer_block *block, uint32_t number)
{
    if (block->users == 0 || block->io.operation != NTMM_IO_READ)
        return true;
    return block->is_done ? keep_target(k, block) : check_read(k, block, number);
}

/* I3: the frames of a write to a section's file, those past its end included. */
static bool check_mapped_write(struct checker *k, const struct transfer_block *block)
{
    for (uint32_t i = 0; i < block->target; i++) {
        if (!meet_frame(k, "I3", block->spans[i].frame, MARK_WRITTEN))
            return false;
    }
    return true;
}

/* I3: the frames of a write in flight. */
static bool check_write_block(struct checker *k, const struct transfer_block *block)
{
    if (block->users == 0 || block->is_done)
        return true;
    if (block->file == TRANSFER_OF_FILE)
        return check_mapped_write(k, block);
    if (block->file >= k->file_count)
        return check_fail(k, "G6", block->file, k->file_count, block->file);
    k->files[block->file].writes++;
    for (uint32_t i = 0; i < block->io.span_count; i++) {
        uint64_t frame = block->spans[i].frame;
        if (!meet_frame(k, "I3", frame, MARK_WRITTEN) || !check_slot(k, "I3", frame, block, i))
            return false;
    }
    return true;
}

bool check_transfers(struct checker *k)
{
    const struct transfers *transfers = &k->c->sys->transfers;
    uint32_t in_use = 0;
    for (uint32_t i = 0; i < READ_BLOCKS; i++) {
        in_use += transfers->reads[i].users != 0;
        if (!check_read_block(k, &transfers->reads[i], i))
            return false;
    }
    for (uint32_t i = 0; i < WRITE_BLOCKS; i++) {
        in_use += transfers->writes[i].users != 0;
        if (!check_write_block(k, &transfers->writes[i]))
            return false;
    }
    for (uint32_t i = 0; i < k->file_count; i++) {
        uint32_t outstanding = get32(&page_file_at(k->c, i)->outstanding_writes);
        if (!check_equal(k, "G6", i, k->files[i].writes, outstanding))
            return false;
    }
    return check_equal(k, "B1", READ_BLOCKS + WRITE_BLOCKS, in_use, transfers->in_flight);
}

/* --- waits --- */

enum { QUEUE_FOR_FRAME, QUEUE_FOR_BLOCK, QUEUE_FOR_GROWTH, QUEUE_FOR_FILE_LOCK, QUEUES_OF_BLOCKS };

/* I2: `object` is the queue's number. */
static bool check_queue(struct checker *k, const struct wait_queue *queue, uint32_t object)
{
    uint64_t length = 0;
    const struct ntmm_wait *wait = queue->first;
    while (wait && (length == 0 || wait != queue->first)) {
        length++;
        if (!wait->is_queued || wait->next->prev != wait)
            return check_fail(k, "I2", object, 1, 0);
        wait = wait->next;
    }
    return check_equal(k, "I2", object, length, load32_relaxed(&queue->count));
}

/* I2, B1: nobody waits for a block that is free or done with its transfer. */
static bool check_block_waits(struct checker *k, const struct transfer_block *block,
                              uint32_t number)
{
    bool is_idle = block->users == 0 || block->is_done;
    if (!check_queue(k, &block->waits, QUEUES_OF_BLOCKS + number))
        return false;
    return !is_idle || check_equal(k, "B1", number, 0, load32_relaxed(&block->waits.count));
}

bool check_waits(struct checker *k)
{
    const struct ntmm_system *sys = k->c->sys;
    if (!check_queue(k, &sys->for_frame, QUEUE_FOR_FRAME) ||
        !check_queue(k, &sys->transfers.for_block, QUEUE_FOR_BLOCK) ||
        !check_queue(k, &sys->for_file_lock, QUEUE_FOR_FILE_LOCK) ||
        !check_queue(k, &sys->transfers.for_growth, QUEUE_FOR_GROWTH))
        return false;
    for (uint32_t i = 0; i < READ_BLOCKS; i++) {
        if (!check_block_waits(k, &sys->transfers.reads[i], i))
            return false;
    }
    for (uint32_t i = 0; i < WRITE_BLOCKS; i++) {
        if (!check_block_waits(k, &sys->transfers.writes[i], READ_BLOCKS + i))
            return false;
    }
    return true;
}
