/*
 * Simulated disks, private to disk.c (the queue) and disk_store.c (the bytes).
 *
 *   in memory       image                    writes are durable when they complete
 *   with a cache    image, durable, cached   a set bit of `cached`: this sector of image is not
 *   durable in a file       file                     durable when they complete, as far as the host
 *   is concerned
 *
 * D1 where no bit of `cached` is set, image and durable are equal.
 * D2 is_on is 0 only between a power cut and ntmm_emulated_restore_power, or at the end.
 */
#ifndef NTMM_EMULATED_DISK_H
#define NTMM_EMULATED_DISK_H

#include "platform/emulated/machine.h"

#include <sys/uio.h>

struct disk {
    struct disk *next;
    uint64_t number;
    uint64_t size_bytes;    /* (K) now */
    uint64_t maximum_bytes; /* most that it may grow to */
    uint32_t flags;         /* NTMM_EMULATED_DISK_* */
    uint32_t minimum_latency_pumps;
    uint32_t maximum_latency_pumps;
    uint32_t is_on;          /* (K) */
    uint32_t refuses_errors; /* (K) submit returns the injected status */
    int file;                /* or -1 */
    struct injection errors; /* (K) */
    uint64_t errors_base;    /* (K) bytes that they are at */
    uint64_t errors_end;     /* (K) 0: anywhere */
    uint8_t *image;          /* (K) what reads see; NULL for a file */
    uint8_t *durable;        /* (K) with a cache: what a power cut leaves */
    uint64_t *cached;        /* (K) with a cache: a bit a sector */
};

bool store_open(struct disk *disk, const char *path);
void store_close(struct disk *disk);
/* Bytes in a row on the disk, from or to pieces of memory, which are not the same afterwards. */
bool store_read(struct disk *disk, uint64_t offset_bytes, struct iovec *pieces, uint32_t count);
bool store_write(struct disk *disk, uint64_t offset_bytes, struct iovec *pieces, uint32_t count);
bool store_extend(struct disk *disk, uint64_t size_bytes);
bool store_flush(struct disk *disk);
void store_lose_cache(struct disk *disk, struct prng *kept);

#endif
