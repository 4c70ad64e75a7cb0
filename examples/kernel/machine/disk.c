/*
 * One disk: virtio-blk through the legacy registers, one request in flight, the others in a queue.
 *
 * A transfer of ntmm is a run of the disk and a list of pieces of frames, just what a chain of
 * descriptors is. More pieces than PIECES go in several requests.
 *
 *   submitted --> queue[taken] in flight, part after part --> complete(), with no lock held
 */
#include "machine.h"

#include <ntmm/platform.h>
#include <ntmm/status.h>

#define QUEUE_TRANSFERS 64u /* more than ntmm has blocks */
#define PIECES 64u
#define RING 256u
#define SECTOR 512u
#define TYPE_READ 0u
#define TYPE_WRITE 1u
#define NEXT 1u /* another descriptor follows */
#define INTO 2u /* the device writes */

struct descriptor {
    uint64_t address;
    uint32_t bytes;
    uint16_t flags, next;
};

/* The legacy layout of a queue of RING descriptors. */
struct ring {
    struct descriptor descriptors[RING];
    uint16_t available_flags, available_index, available[RING], unused;
    uint8_t gap[4096 - 2 * (RING + 3)];
    uint16_t used_flags, used_index;
    struct {
        uint32_t id, bytes;
    } used[RING];
};

static struct {
    struct ring ring __attribute__((aligned(4096)));
    struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header;
    uint8_t result;
    uint16_t port, seen;
    uint32_t irq;
    uint64_t bytes;
    struct spin lock;
    struct ntmm_io *queue[QUEUE_TRANSFERS];
    uint32_t added, taken; /* modulo QUEUE_TRANSFERS */
    uint32_t next_span;    /* of the transfer in flight */
    uint64_t part_bytes;   /* of the request in flight; 0: none */
} disk;

static uint32_t read_config(uint32_t slot, uint32_t reg)
{
    out32(0xCF8, 0x80000000u | slot << 11 | reg);
    return in32(0xCFC);
}

static uint64_t physical_of(const void *of_kernel)
{
    return (uint64_t)(uintptr_t)of_kernel - KERNEL_BASE;
}

bool disk_start(void)
{
    uint32_t slot = 0;
    while (slot < 32 && read_config(slot, 0) != 0x10011AF4u)
        slot++;
    if (slot == 32)
        return false;
    disk.port = (uint16_t)(read_config(slot, 0x10) & ~3u);
    disk.irq = read_config(slot, 0x3C) & 0xFF;
    uint32_t command = read_config(slot, 4) | 5; /* ports and bus master */
    out32(0xCF8, 0x80000000u | slot << 11 | 4);
    out32(0xCFC, command);
    out8(disk.port + 0x12, 0);
    out8(disk.port + 0x12, 3);
    out32(disk.port + 4, 0); /* no feature wanted */
    out16(disk.port + 0xE, 0);
    if (in16(disk.port + 0xC) != RING)
        return false;
    out32(disk.port + 8, (uint32_t)(physical_of(&disk.ring) >> 12));
    out8(disk.port + 0x12, 7);
    disk.bytes = (in32(disk.port + 0x14) | (uint64_t)in32(disk.port + 0x18) << 32) * SECTOR;
    return true;
}

uint64_t disk_bytes(void) { return disk.bytes; }
bool disk_owns(uint32_t irq) { return irq == disk.irq; }

static void describe(uint32_t index, uint64_t address, uint32_t bytes, uint16_t flags)
{
    disk.ring.descriptors[index] =
        (struct descriptor){address, bytes, flags, (uint16_t)(index + 1)};
}

/* Ask for the next part of the transfer at the queue's head; the lock is held. */
static void start_part(void)
{
    const struct ntmm_io *io = disk.queue[disk.taken % QUEUE_TRANSFERS];
    bool is_read = io->operation == NTMM_IO_READ;
    uint32_t index = 1;
    disk.header.type = is_read ? TYPE_READ : TYPE_WRITE;
    disk.header.sector = (io->offset_bytes + io->transferred_bytes) / SECTOR;
    disk.part_bytes = 0;
    describe(0, physical_of(&disk.header), sizeof disk.header, NEXT);
    for (; index <= PIECES && disk.next_span < io->span_count; index++, disk.next_span++) {
        const struct ntmm_content_span *span = &io->spans[disk.next_span];
        describe(index, (span->frame << 12) + span->offset_bytes, span->size_bytes,
                 is_read ? NEXT | INTO : NEXT);
        disk.part_bytes += span->size_bytes;
    }
    describe(index, physical_of(&disk.result), 1, INTO);
    disk.ring.available[disk.ring.available_index % RING] = 0;
    __atomic_store_n(&disk.ring.available_index, disk.ring.available_index + 1, __ATOMIC_SEQ_CST);
    out16(disk.port + 0x10, 0);
}

static void start_transfer(void)
{
    if (disk.part_bytes != 0 || disk.taken == disk.added)
        return;
    disk.next_span = 0;
    start_part();
}

/* Of the transfers of a page file these remain; neither moves bytes. */
static ntmm_status answer_at_once(const struct ntmm_io *io)
{
    if (io->operation == NTMM_IO_EXTEND && io->offset_bytes > disk.bytes)
        return NTMM_STATUS_DISK_FULL;
    if (io->operation == NTMM_IO_TRUNCATE)
        return NTMM_STATUS_NOT_SUPPORTED;
    return NTMM_STATUS_SUCCESS;
}

void disk_submit(struct ntmm_io *io)
{
    io->transferred_bytes = 0;
    if (io->operation != NTMM_IO_READ && io->operation != NTMM_IO_WRITE) {
        io->status = answer_at_once(io);
        io->complete(io);
        return;
    }
    spin_lock(&disk.lock);
    if (disk.added - disk.taken == QUEUE_TRANSFERS)
        panic("more transfers than blocks", disk.added, disk.taken);
    disk.queue[disk.added++ % QUEUE_TRANSFERS] = io;
    start_transfer();
    spin_unlock(&disk.lock);
}

/* The transfer that the device has just ended, if it did; the lock is held. */
static struct ntmm_io *take_finished(void)
{
    if (__atomic_load_n(&disk.ring.used_index, __ATOMIC_ACQUIRE) == disk.seen)
        return NULL;
    disk.seen++;
    struct ntmm_io *io = disk.queue[disk.taken % QUEUE_TRANSFERS];
    io->status = disk.result == 0 ? NTMM_STATUS_SUCCESS : NTMM_STATUS_DEVICE_DATA_ERROR;
    if (disk.result == 0)
        io->transferred_bytes += disk.part_bytes;
    if (disk.result == 0 && disk.next_span < io->span_count) {
        start_part();
        return NULL;
    }
    disk.part_bytes = 0;
    disk.taken++;
    start_transfer();
    return io;
}

void disk_poll(void)
{
    (void)in8(disk.port + 0x13); /* the interrupt is taken back */
    for (;;) {
        spin_lock(&disk.lock);
        struct ntmm_io *io = take_finished();
        spin_unlock(&disk.lock);
        if (io == NULL)
            return;
        io->complete(io);
    }
}
