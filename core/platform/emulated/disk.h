/*
 * Simulated disks, private to devices.c (which there are), disk.c (the queue), disk_store.c (the
 * bytes) and the snapshots.
 *
 *   in memory       image                    writes are durable when they complete
 *   with a cache    image, durable, cached   a set bit of `cached`: this sector of image is not
 *   durable in a file       file                     durable when they complete, as far as the host
 *   is concerned
 *
 * A file is a disk of any size, and so everything here is for both: a sector that the end cuts is
 * whole in memory.
 *
 * D1 where no bit of `cached` is set, image and durable are equal.
 * D2 is_on is 0 only between a power cut and ntmm_emulated_restore_power, or at the end.
 * D4 a disk whose in_flight is not 0 is not freed: a transfer's disk is there until it completes.
 */
#ifndef NTMM_EMULATED_DISK_H
#define NTMM_EMULATED_DISK_H

#include "platform/emulated/host.h"
#include "platform/emulated/machine.h"

/* Most numbers that a machine gives. */
#define DEVICES_MAXIMUM (1u << 24)

/* How transfers fail. */
#define DISK_ERRORS_REFUSE 0x1u /* submit returns the status */
#define DISK_ERRORS_TEAR 0x2u   /* a part of the bytes moves */

struct disk {
    uint64_t number;
    uint64_t size_bytes;    /* (K) now */
    uint64_t maximum_bytes; /* most that it may grow to */
    uint32_t flags;         /* NTMM_EMULATED_FILE_*, which those of a disk are too */
    uint32_t minimum_latency_pumps;
    uint32_t maximum_latency_pumps;
    uint32_t in_flight;      /* (K) transfers accepted whose bytes have not moved */
    uint32_t is_on;          /* (K) */
    uint32_t error_flags;    /* (K) DISK_ERRORS_* */
    int file;                /* or -1 */
    struct injection errors; /* (K) status PENDING: SUCCESS, of torn transfers */
    uint64_t errors_base;    /* (K) bytes that they are at */
    uint64_t errors_end;     /* (K) 0: anywhere */
    uint64_t stale_seed;     /* of what an extension finds, with NTMM_EMULATED_FILE_STALE */
    uint8_t *image;          /* (K) what reads see; NULL for a file */
    uint8_t *durable;        /* (K) with a cache: what a power cut leaves */
    uint64_t *cached;        /* (K) with a cache: a bit a sector */
};

/* devices.c; all (K) */

/* By number, or NULL. */
struct disk *device_at(const struct ntmm_emulated *emu, uint64_t number);
/* The one of the lowest number from this on, or NULL: the way over all of them. */
struct disk *device_from(const struct ntmm_emulated *emu, uint64_t number);
/* Into the index, under its number, which no other has. False: no memory. */
bool device_enter(struct ntmm_emulated *emu, struct disk *disk);
/* Close and free it, which may be in the index or not. */
void device_end(struct ntmm_emulated *emu, struct disk *disk);

/* disk.c */

/* The disk goes off, and every transfer of it fails at the next pump; tears: a drawn part of each
 * write in flight has happened. (K) */
void disk_abandon_transfers(struct ntmm_emulated *emu, struct disk *disk, bool tears);

/* disk_store.c */

/* Sectors of so many bytes, the last perhaps a part of one. */
static inline uint64_t store_sectors(uint64_t size_bytes)
{
    return size_bytes / NTMM_EMULATED_SECTOR_SIZE + (size_bytes % NTMM_EMULATED_SECTOR_SIZE != 0);
}

/* Bytes that the disk's memory is mapped for: whole pages, at least one. */
static inline uint64_t store_mapped_bytes(const struct disk *disk)
{
    uint64_t pages = (disk->maximum_bytes + NTMM_PAGE_SIZE - 1) / NTMM_PAGE_SIZE;
    return (pages != 0 ? pages : 1) * NTMM_PAGE_SIZE;
}

bool store_open(struct disk *disk, const char *path);
void store_close(struct disk *disk);
/* The first contents of a disk in memory, size_bytes of them; NULL: zeros. They are durable. */
void store_fill(struct disk *disk, const void *contents);
/* Bytes in a row on the disk, from or to pieces of memory, which are not the same afterwards. */
bool store_read(struct disk *disk, uint64_t offset_bytes, struct iovec *pieces, uint32_t count);
bool store_write(struct disk *disk, uint64_t offset_bytes, struct iovec *pieces, uint32_t count);
bool store_extend(struct disk *disk, uint64_t size_bytes);
bool store_truncate(struct disk *disk, uint64_t size_bytes);
bool store_flush(struct disk *disk);
void store_lose_cache(struct disk *disk, struct prng *kept);

#endif
