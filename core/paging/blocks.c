/*
 * The pools of blocks, their users, and waiting for a transfer.
 *
 *   users   free 0 --take--> 2 (transfer, fault) --join--> 3 --finish--> 2 --leave--> 1 --leave-->
 *   0
 *
 * A block whose transfer is in flight has the transfer as a user, so it stays in use even when
 * whoever asked for it has given up. Nothing here allocates: the pools are arrays of the system.
 */
#include "paging/transfers.h"

#define FIRST_LARGE_READ (READ_BLOCKS - LARGE_READ_BLOCKS)

void transfers_init(struct ntmm_system *sys)
{
    struct transfers *transfers = &sys->transfers;
    for (uint32_t i = 0; i < READ_BLOCKS; i++) {
        transfers->reads[i].sys = sys;
        transfers->reads[i].spans = i < FIRST_LARGE_READ
                                        ? transfers->read_spans[i]
                                        : transfers->large_read_spans[i - FIRST_LARGE_READ];
    }
    for (uint32_t i = 0; i < WRITE_BLOCKS; i++) {
        transfers->writes[i].sys = sys;
        transfers->writes[i].spans = transfers->write_spans[i];
    }
}

static void lock_queues(struct call *c) { lock_acquire(c, &c->sys->waiters_lock, LOCK_WAITERS); }

static void unlock_queues(struct call *c) { lock_release(c, &c->sys->waiters_lock, LOCK_WAITERS); }

/* --- the pools --- */

uint32_t transfers_in_use(struct call *c)
{
    lock_queues(c);
    uint32_t count = c->sys->transfers.in_flight;
    unlock_queues(c);
    return count;
}

bool transfers_are_writing(struct call *c)
{
    const struct transfers *transfers = &c->sys->transfers;
    uint32_t users = 0;
    lock_queues(c);
    for (uint32_t i = 0; i < WRITE_BLOCKS; i++)
        users |= transfers->writes[i].users;
    unlock_queues(c);
    return users != 0;
}

/* (Q) is held. */
static struct transfer_block *find_free(struct transfer_block *blocks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (blocks[i].users == 0)
            return &blocks[i];
    }
    return NULL;
}

/* (Q) is held. */
static struct transfer_block *take(struct call *c, struct transfer_block *blocks, uint32_t count,
                                   uint32_t users)
{
    struct transfer_block *block = find_free(blocks, count);
    if (block == NULL)
        return NULL;
    NTMM_ASSERT(block->waits.first == NULL);
    block->io = (struct ntmm_io){.spans = block->spans, .context = block};
    block->users = users;
    block->is_done = 0;
    block->target_frame = FRAME_NONE;
    block->target_entry = 0;
    c->sys->transfers.in_flight++;
    block_step(c, block, "take");
    return block;
}

/* The first block that has room for so many pages. */
static uint32_t first_read(uint64_t pages)
{
    return pages > NTMM_READ_CLUSTER_MAXIMUM ? FIRST_LARGE_READ : 0;
}

struct transfer_block *block_take_read_of(struct call *c, uint32_t users, uint32_t pages)
{
    uint32_t first = first_read(pages);
    lock_queues(c);
    struct transfer_block *block =
        take(c, &c->sys->transfers.reads[first], READ_BLOCKS - first, users);
    unlock_queues(c);
    if (block == NULL)
        c->want = (struct want){.kind = WANT_BLOCK, .pages = pages};
    return block;
}

struct transfer_block *block_take_read(struct call *c, uint32_t users)
{
    return block_take_read_of(c, users, 1);
}

struct transfer_block *block_take_write(struct call *c)
{
    lock_queues(c);
    struct transfer_block *block = take(c, c->sys->transfers.writes, WRITE_BLOCKS, 1);
    unlock_queues(c);
    return block;
}

bool block_wait_for_read(struct call *c, struct ntmm_wait *wait)
{
    struct transfers *transfers = &c->sys->transfers;
    uint32_t first = c->want.kind == WANT_BLOCK ? first_read(c->want.pages) : 0;
    lock_queues(c);
    bool is_full = find_free(&transfers->reads[first], READ_BLOCKS - first) == NULL;
    if (is_full)
        waiters_add_locked(&transfers->for_block, wait);
    unlock_queues(c);
    return is_full;
}

uint32_t block_number(const struct call *c, const struct transfer_block *block)
{
    return (uint32_t)(block - c->sys->transfers.reads);
}

struct transfer_block *block_at(const struct call *c, uint32_t number)
{
    NTMM_ASSERT(number < READ_BLOCKS);
    return &c->sys->transfers.reads[number];
}

/* --- users --- */

void block_join(struct call *c, struct transfer_block *block)
{
    lock_queues(c);
    NTMM_ASSERT(block->users != 0);
    block->users++;
    block_step(c, block, "join");
    unlock_queues(c);
}

/* One user less. (Q) is held. Whether the block, now free, held a reference of its target. */
static bool leave(struct call *c, struct transfer_block *block)
{
    NTMM_ASSERT(block->users != 0);
    --block->users;
    block_step(c, block, block->users != 0 ? "leave" : "free");
    if (block->users != 0)
        return false;
    c->sys->transfers.in_flight--;
    if (block->io.operation != NTMM_IO_WRITE)
        waiters_wake_locked(c, &c->sys->transfers.for_block);
    return block->is_done && block->io.operation == NTMM_IO_READ &&
           NTMM_SUCCEEDED(block->io.status) && block->target_frame != FRAME_NONE;
}

/* (Q) is held and released. */
static void leave_and_unlock(struct call *c, struct transfer_block *block)
{
    uint64_t frame = block->target_frame;
    bool has_reference = leave(c, block);
    unlock_queues(c);
    if (has_reference)
        frame_end_reference(c, frame);
}

void block_leave(struct call *c, struct transfer_block *block)
{
    lock_queues(c);
    leave_and_unlock(c, block);
}

void block_finish(struct call *c, struct transfer_block *block)
{
    lock_queues(c);
    block->is_done = 1;
    waiters_wake_locked(c, &block->waits);
    block_step(c, block, NTMM_SUCCEEDED(block->io.status) ? "finish" : "fail");
    leave_and_unlock(c, block);
}

/* --- transfers --- */

void block_submit(struct call *c, struct transfer_block *block)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    ntmm_status status = NTMM_STATUS_NOT_SUPPORTED;
    block_step(c, block, "submit");
    if (platform->submit)
        status = platform->submit(platform->context, &block->io);
    if (NTMM_SUCCEEDED(status))
        return;
    block->io.status = status;
    block->io.transferred_bytes = 0;
    block->io.complete(&block->io);
}

bool wait_until_woken(struct call *c, struct ntmm_wait *wait)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    if (platform->wait) {
        while (!wait_is_woken(wait) &&
               platform->wait(platform->context, wait, UINT64_MAX) == NTMM_STATUS_SUCCESS) {
        }
        return wait_is_woken(wait);
    }
    while (!wait_is_woken(wait) && platform->pump)
        platform->pump(platform->context);
    return wait_is_woken(wait);
}

/* A read block for the transfer and for us, or NULL: there is none, and we cannot wait for one. */
static struct transfer_block *take_or_wait(struct call *c)
{
    struct transfers *transfers = &c->sys->transfers;
    for (;;) {
        struct ntmm_wait wait = {0};
        struct transfer_block *block = block_take_read(c, 2);
        if (block != NULL)
            return block;
        if (!block_wait_for_read(c, &wait))
            continue;
        bool has_waited = wait_until_woken(c, &wait);
        waiters_cancel(c, &transfers->for_block, &wait);
        if (!has_waited)
            return NULL;
    }
}

static void finish_alone(struct ntmm_io *io)
{
    struct transfer_block *block = io->context;
    struct call c = call_begin(block->sys);
    block_finish(&c, block);
}

ntmm_status transfer_and_wait(struct call *c, uint64_t device, enum ntmm_io_operation operation,
                              uint64_t offset_bytes)
{
    struct ntmm_wait wait = {0};
    struct transfer_block *block = take_or_wait(c);
    if (block == NULL)
        return NTMM_STATUS_CANT_WAIT;
    block->io.device = device;
    block->io.operation = operation;
    block->io.offset_bytes = offset_bytes;
    block->io.complete = finish_alone;
    waiters_add(c, &block->waits, &wait);
    block_submit(c, block);
    bool is_over = wait_until_woken(c, &wait);
    waiters_cancel(c, &block->waits, &wait);
    ntmm_status status = is_over ? block->io.status : NTMM_STATUS_CANT_WAIT;
    block_leave(c, block);
    return status;
}
