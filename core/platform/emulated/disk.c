/*
 * Transfers of simulated disks: in flight, latencies, errors, what a power cut leaves of them.
 *
 *   submit --refused--> status, no completion
 *      |
 *      +--inline--------------------------+
 *      v                                  v
 *   in flight until its pump is due --> bytes move --> completion, once
 *
 * Each transfer draws the pump at which it is due; of those due at one pump the order is drawn too.
 * Its bytes move under (K) when it completes; the completion runs with no lock held, and may
 * submit.
 *
 * D3 in_flight counts the transfers accepted whose completion has not returned.
 */
#include "platform/emulated/disk.h"

#include <stdlib.h>

/* How a transfer ends other than by itself. */
struct ending {
    ntmm_status forced; /* not SUCCESS: completes with it; PENDING: with SUCCESS, torn */
    uint32_t is_torn;   /* a part of the bytes moves, otherwise none */
};

struct transfer {
    struct transfer *next;
    struct disk *disk;
    struct ntmm_io *io;
    uint64_t due_pump;
    struct ending ending;
};

/* --- bytes --- */

static uint64_t length_of(const struct ntmm_io *io)
{
    uint64_t length_bytes = 0;
    for (uint32_t i = 0; i < io->span_count; i++)
        length_bytes += io->spans[i].size_bytes;
    return length_bytes;
}

static bool is_inside(const struct disk *disk, const struct ntmm_io *io)
{
    uint64_t length_bytes = length_of(io);
    return length_bytes <= disk->size_bytes && io->offset_bytes <= disk->size_bytes - length_bytes;
}

/* Pieces of memory moved together; a piece is frames side by side. */
#define PIECES_AT_ONCE 64u

typedef bool (*store_move)(struct disk *disk, uint64_t offset_bytes, struct iovec *pieces,
                           uint32_t count);

struct batch {
    struct disk *disk;
    store_move move;
    uint64_t offset_bytes; /* on the disk, of the first piece */
    uint64_t size_bytes;   /* of all pieces */
    uint32_t count;
    struct iovec pieces[PIECES_AT_ONCE];
};

static bool move_batch(struct batch *batch)
{
    bool is_moved = batch->move(batch->disk, batch->offset_bytes, batch->pieces, batch->count);
    batch->offset_bytes += batch->size_bytes;
    batch->size_bytes = 0;
    batch->count = 0;
    return is_moved;
}

static bool is_behind_last(const struct batch *batch, const uint8_t *bytes)
{
    if (batch->count == 0)
        return false;
    const struct iovec *last = &batch->pieces[batch->count - 1];
    return (const uint8_t *)last->iov_base + last->iov_len == bytes;
}

/* The next bytes of the transfer; moves those before them when there is no room for one more. */
static bool add_to_batch(struct batch *batch, uint8_t *bytes, size_t size)
{
    if (!is_behind_last(batch, bytes)) {
        if (batch->count == PIECES_AT_ONCE && !move_batch(batch))
            return false;
        batch->pieces[batch->count++] = (struct iovec){.iov_base = bytes};
    }
    batch->pieces[batch->count - 1].iov_len += size;
    batch->size_bytes += size;
    return true;
}

/* Pages of RAM to the disk while other threads run. A processor may be writing to such a page,
 * which is no error: its owner writes it again. So it is read as such a page must be. */
static ntmm_status write_shared(struct ntmm_emulated *emu, struct disk *disk, struct ntmm_io *io,
                                uint64_t limit_bytes)
{
    uint8_t page[NTMM_PAGE_SIZE];
    uint64_t done = 0;
    for (uint32_t i = 0; i < io->span_count && done < limit_bytes; i++) {
        uint64_t left = limit_bytes - done;
        size_t size = (size_t)(io->spans[i].size_bytes < left ? io->spans[i].size_bytes : left);
        struct iovec piece = {.iov_base = page, .iov_len = size};
        content_load_shared(page, span_at(emu, &io->spans[i]), size);
        if (!store_write(disk, io->offset_bytes + done, &piece, 1))
            return NTMM_STATUS_DEVICE_DATA_ERROR;
        done += size;
    }
    io->transferred_bytes = done;
    return NTMM_STATUS_SUCCESS;
}

/* The first limit_bytes of a transfer, which lie inside the disk. */
static ntmm_status move_spans(struct ntmm_emulated *emu, struct disk *disk, struct ntmm_io *io,
                              uint64_t limit_bytes, store_move move)
{
    if (has_threads(emu) && move == store_write)
        return write_shared(emu, disk, io, limit_bytes);
    struct batch batch; /* its pieces need no first value */
    batch.disk = disk;
    batch.move = move;
    batch.offset_bytes = io->offset_bytes;
    batch.size_bytes = 0;
    batch.count = 0;
    uint64_t left = limit_bytes;
    for (uint32_t i = 0; i < io->span_count && left != 0; i++) {
        uint64_t size = io->spans[i].size_bytes;
        if (size > left)
            size = left;
        if (!add_to_batch(&batch, span_at(emu, &io->spans[i]), (size_t)size))
            return NTMM_STATUS_DEVICE_DATA_ERROR;
        left -= size;
    }
    if (!move_batch(&batch))
        return NTMM_STATUS_DEVICE_DATA_ERROR;
    io->transferred_bytes = limit_bytes - left;
    return NTMM_STATUS_SUCCESS;
}

/* The first limit_bytes of a read, or what there is of it. */
static ntmm_status read_spans(struct ntmm_emulated *emu, struct disk *disk, struct ntmm_io *io,
                              uint64_t limit_bytes)
{
    uint64_t size = disk->size_bytes;
    uint64_t there_bytes = io->offset_bytes < size ? size - io->offset_bytes : 0;
    ntmm_status status = move_spans(
        emu, disk, io, there_bytes < limit_bytes ? there_bytes : limit_bytes, store_read);
    if (status == NTMM_STATUS_SUCCESS && there_bytes < length_of(io))
        return NTMM_STATUS_END_OF_FILE;
    return status;
}

/* The first limit_bytes of a write. */
static ntmm_status write_spans(struct ntmm_emulated *emu, struct disk *disk, struct ntmm_io *io,
                               uint64_t limit_bytes)
{
    if (!is_inside(disk, io))
        return NTMM_STATUS_DISK_FULL;
    return move_spans(emu, disk, io, limit_bytes, store_write);
}

static ntmm_status extend(struct disk *disk, const struct ntmm_io *io)
{
    if (io->offset_bytes > disk->maximum_bytes || !store_extend(disk, io->offset_bytes))
        return NTMM_STATUS_DISK_FULL;
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status truncate_to(struct disk *disk, const struct ntmm_io *io)
{
    if (io->offset_bytes > disk->size_bytes)
        return NTMM_STATUS_INVALID_PARAMETER;
    return store_truncate(disk, io->offset_bytes) ? NTMM_STATUS_SUCCESS
                                                  : NTMM_STATUS_DEVICE_DATA_ERROR;
}

static bool is_change(const struct ntmm_io *io)
{
    return io->operation != NTMM_IO_READ && io->operation != NTMM_IO_FLUSH;
}

/* limit_bytes: of a read or a write, at most */
static ntmm_status move_bytes(struct ntmm_emulated *emu, struct disk *disk, struct ntmm_io *io,
                              uint64_t limit_bytes)
{
    if (is_change(io) && (disk->flags & NTMM_EMULATED_FILE_READ_ONLY))
        return NTMM_STATUS_ACCESS_DENIED;
    switch (io->operation) {
    case NTMM_IO_READ:
        return read_spans(emu, disk, io, limit_bytes);
    case NTMM_IO_WRITE:
        return write_spans(emu, disk, io, limit_bytes);
    case NTMM_IO_FLUSH:
        return store_flush(disk) ? NTMM_STATUS_SUCCESS : NTMM_STATUS_DEVICE_DATA_ERROR;
    case NTMM_IO_EXTEND:
        return extend(disk, io);
    case NTMM_IO_TRUNCATE:
        return truncate_to(disk, io);
    }
    return NTMM_STATUS_INVALID_PARAMETER;
}

static bool can_be_torn(const struct ntmm_io *io)
{
    return io->operation == NTMM_IO_READ || io->operation == NTMM_IO_WRITE;
}

/* The bytes in a drawn number of the sectors that a transfer touches, from none to all, or to all
 * but the last. (K) */
static uint64_t draw_prefix(struct ntmm_emulated *emu, const struct ntmm_io *io, bool may_be_whole)
{
    uint64_t skipped = io->offset_bytes % NTMM_EMULATED_SECTOR_SIZE; /* of the first sector */
    uint64_t choices = store_sectors(skipped + length_of(io)) + may_be_whole;
    uint64_t kept = choices != 0 ? prng_below(&emu->io_prng, choices) : 0;
    return kept != 0 ? kept * NTMM_EMULATED_SECTOR_SIZE - skipped : 0;
}

/* --- the queue --- */

/* Moves what moves of it; the status of a transfer that somebody decided. (K) */
static ntmm_status end_forced(struct ntmm_emulated *emu, struct disk *disk, struct ntmm_io *io,
                              const struct ending *ending)
{
    bool is_short = ending->forced == NTMM_STATUS_PENDING;
    if (ending->is_torn && can_be_torn(io))
        (void)move_bytes(emu, disk, io, draw_prefix(emu, io, false));
    else if (is_short)
        return move_bytes(emu, disk, io, UINT64_MAX);
    return is_short ? NTMM_STATUS_SUCCESS : ending->forced;
}

/* Complete a transfer that is in no list any more. */
static void finish(struct ntmm_emulated *emu, struct disk *disk, struct ntmm_io *io,
                   const struct ending *ending)
{
    machine_lock(emu);
    io->transferred_bytes = 0;
    io->status = ending->forced != NTMM_STATUS_SUCCESS ? end_forced(emu, disk, io, ending)
                                                       : move_bytes(emu, disk, io, UINT64_MAX);
    disk->in_flight--; /* the completion may remove it */
    machine_unlock(emu);
    count_one(&emu->statistics.completions);
    schedule_point(POINT_COMPLETION);
    uint32_t old_level = scheduler_begin_completion(emu);
    io->complete(io); /* io is the submitter's again, and may be gone */
    scheduler_end_completion(emu, old_level);
    atomic_fetch_sub_explicit(&emu->in_flight, 1, memory_order_release);
}

/* Draw and unlink one transfer that is due at this pump. (K) */
static struct transfer *take_due(struct ntmm_emulated *emu, uint64_t pump)
{
    uint64_t count = 0;
    for (struct transfer *t = emu->transfers; t != NULL; t = t->next)
        count += t->due_pump <= pump;
    if (count == 0)
        return NULL;
    uint64_t skip = prng_below(&emu->io_prng, count);
    struct transfer **link = &emu->transfers;
    while ((*link)->due_pump > pump || skip-- != 0)
        link = &(*link)->next;
    struct transfer *taken = *link;
    *link = taken->next;
    return taken;
}

void disk_pump(struct ntmm_emulated *emu)
{
    uint64_t pump = atomic_fetch_add(&emu->statistics.pumps, 1) + 1;
    atomic_fetch_add_explicit(&emu->now_100ns, PUMP_100NS, memory_order_relaxed);
    for (;;) {
        machine_lock(emu);
        struct transfer *t = take_due(emu, pump);
        machine_unlock(emu);
        if (t == NULL)
            return;
        struct transfer copy = *t;
        free(t);
        finish(emu, copy.disk, copy.io, &copy.ending);
    }
}

static bool is_valid(const struct ntmm_emulated *emu, const struct ntmm_io *io)
{
    if (io->complete == NULL || (uint32_t)io->operation > NTMM_IO_TRUNCATE)
        return false;
    if (io->operation != NTMM_IO_READ && io->operation != NTMM_IO_WRITE)
        return true;
    for (uint32_t i = 0; i < io->span_count; i++) {
        if (span_at(emu, &io->spans[i]) == NULL)
            return false;
    }
    return true;
}

/* (K) */
static ntmm_status enqueue(struct ntmm_emulated *emu, struct disk *disk, struct ntmm_io *io,
                           const struct ending *ending)
{
    struct transfer *t = calloc(1, sizeof *t);
    if (t == NULL)
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    t->disk = disk;
    t->io = io;
    t->ending = *ending;
    t->due_pump =
        atomic_load(&emu->statistics.pumps) +
        prng_between(&emu->io_prng, disk->minimum_latency_pumps, disk->maximum_latency_pumps);
    struct transfer **link = &emu->transfers;
    while (*link != NULL)
        link = &(*link)->next;
    *link = t;
    return NTMM_STATUS_SUCCESS;
}

/* Whether the transfer touches a byte where errors were asked for. (K) */
static bool meets_errors(const struct disk *disk, const struct ntmm_io *io)
{
    if (disk->errors_end == 0)
        return true;
    if (io->operation != NTMM_IO_READ && io->operation != NTMM_IO_WRITE)
        return false;
    uint64_t length_bytes = length_of(io);
    return length_bytes != 0 && io->offset_bytes < disk->errors_end &&
           (io->offset_bytes >= disk->errors_base ||
            disk->errors_base - io->offset_bytes < length_bytes);
}

/* Accept a transfer or refuse it; *inline_disk: it is to be finished at once. (K) */
static ntmm_status accept(struct ntmm_emulated *emu, struct ntmm_io *io, struct ending *ending,
                          struct disk **inline_disk)
{
    struct disk *disk = device_at(emu, io->device);
    if (io->device >= emu->disk_count || !is_valid(emu, io))
        return NTMM_STATUS_INVALID_PARAMETER;
    if (disk == NULL || !disk->is_on)
        return NTMM_STATUS_VOLUME_DISMOUNTED;
    if (meets_errors(disk, io))
        ending->forced = take_injection(emu, &disk->errors, 1u << io->operation);
    if (ending->forced != NTMM_STATUS_SUCCESS && (disk->error_flags & DISK_ERRORS_REFUSE))
        return ending->forced;
    ending->is_torn = disk->error_flags & DISK_ERRORS_TEAR;
    if (disk->flags & NTMM_EMULATED_DISK_INLINE) {
        *inline_disk = disk;
    } else {
        ntmm_status status = enqueue(emu, disk, io, ending);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
    }
    disk->in_flight++;
    atomic_fetch_add_explicit(&emu->in_flight, 1, memory_order_relaxed);
    count_one(&emu->statistics.transfers);
    return NTMM_STATUS_SUCCESS;
}

ntmm_status disk_submit(void *context, struct ntmm_io *io)
{
    struct ntmm_emulated *emu = context;
    struct disk *inline_disk = NULL;
    struct ending ending = {.forced = NTMM_STATUS_SUCCESS};
    scheduler_check_level(emu);
    machine_lock(emu);
    ntmm_status status = accept(emu, io, &ending, &inline_disk);
    machine_unlock(emu);
    if (inline_disk != NULL)
        finish(emu, inline_disk, io, &ending);
    return status;
}

/* --- power --- */

/* A prefix of the sectors that it touches, from none to all, reaches the disk for good. (K) */
static void tear_write(struct ntmm_emulated *emu, struct disk *disk, struct ntmm_io *io)
{
    uint64_t kept_bytes = draw_prefix(emu, io, true);
    if (kept_bytes != 0)
        (void)write_spans(emu, disk, io, kept_bytes);
}

void disk_abandon_transfers(struct ntmm_emulated *emu, struct disk *disk, bool tears)
{
    disk->is_on = 0;
    for (struct transfer *t = emu->transfers; t != NULL; t = t->next) {
        if (t->disk != disk)
            continue;
        if (tears && t->io->operation == NTMM_IO_WRITE && t->ending.forced == NTMM_STATUS_SUCCESS)
            tear_write(emu, disk, t->io);
        t->ending = (struct ending){.forced = NTMM_STATUS_VOLUME_DISMOUNTED};
        t->due_pump = 0;
    }
}
