/*
 * Where a disk's bytes lie: host memory, host memory with a volatile cache, or a host file.
 *
 * The caller checks bounds. Memory is mapped for the largest size at once, so that the image stays
 * in place when the disk grows; what was never written costs nothing.
 */
#define _GNU_SOURCE 1
#define _FILE_OFFSET_BITS 64
#include "platform/emulated/disk.h"
#include "platform/emulated/host.h"

#include <stdlib.h>
#include <string.h>

static uint64_t sector_count(const struct disk *disk) { return store_sectors(disk->maximum_bytes); }

static uint8_t *map_bytes(uint64_t size_bytes)
{
    if (size_bytes > SIZE_MAX / 2)
        return NULL;
    void *bytes = mmap(NULL, (size_t)size_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return bytes != MAP_FAILED ? bytes : NULL;
}

static bool open_file(struct disk *disk, const char *path)
{
    struct stat information;
    disk->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (disk->file < 0 || fstat(disk->file, &information) != 0)
        return false;
    if ((uint64_t)information.st_size >= disk->size_bytes)
        return true;
    return ftruncate(disk->file, (off_t)disk->size_bytes) == 0;
}

/* false: not opened; what there is, store_close frees. */
bool store_open(struct disk *disk, const char *path)
{
    disk->file = -1;
    if (path != NULL)
        return open_file(disk, path);
    disk->image = map_bytes(store_mapped_bytes(disk));
    if (!(disk->flags & NTMM_EMULATED_DISK_WRITE_CACHE))
        return disk->image != NULL;
    disk->durable = map_bytes(store_mapped_bytes(disk));
    disk->cached = calloc((size_t)(sector_count(disk) / 64 + 1), sizeof *disk->cached);
    return disk->image != NULL && disk->durable != NULL && disk->cached != NULL;
}

void store_close(struct disk *disk)
{
    if (disk->file >= 0)
        (void)close(disk->file);
    if (disk->image != NULL)
        (void)munmap(disk->image, (size_t)store_mapped_bytes(disk));
    if (disk->durable != NULL)
        (void)munmap(disk->durable, (size_t)store_mapped_bytes(disk));
    free(disk->cached);
}

void store_fill(struct disk *disk, const void *contents)
{
    if (contents == NULL || disk->size_bytes == 0)
        return;
    memcpy(disk->image, contents, (size_t)disk->size_bytes);
    if (disk->durable != NULL)
        memcpy(disk->durable, contents, (size_t)disk->size_bytes);
}

/* --- bytes of a file --- */

/* preadv, pwritev */
typedef ssize_t (*move_file)(int file, const struct iovec *pieces, int count, off_t offset_bytes);

/* Leave out what was moved, and pieces without bytes. Returns how many pieces are done with. */
static uint32_t pass_over(struct iovec *pieces, uint32_t count, size_t moved)
{
    uint32_t passed = 0;
    while (passed < count && moved >= pieces[passed].iov_len)
        moved -= pieces[passed++].iov_len;
    if (passed < count) {
        pieces[passed].iov_base = (uint8_t *)pieces[passed].iov_base + moved;
        pieces[passed].iov_len -= moved;
    }
    return passed;
}

static bool move_in_file(const struct disk *disk, move_file move, uint64_t offset_bytes,
                         struct iovec *pieces, uint32_t count)
{
    uint32_t done = pass_over(pieces, count, 0);
    while (done < count) {
        ssize_t part = move(disk->file, &pieces[done], (int)(count - done), (off_t)offset_bytes);
        if (part < 0 && errno == EINTR)
            continue;
        if (part <= 0)
            return false;
        done += pass_over(&pieces[done], count - done, (size_t)part);
        offset_bytes += (uint64_t)part;
    }
    return true;
}

/* --- bytes --- */

bool store_read(struct disk *disk, uint64_t offset_bytes, struct iovec *pieces, uint32_t count)
{
    if (disk->image == NULL)
        return move_in_file(disk, preadv, offset_bytes, pieces, count);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(pieces[i].iov_base, disk->image + offset_bytes, pieces[i].iov_len);
        offset_bytes += pieces[i].iov_len;
    }
    return true;
}

static void mark_cached(struct disk *disk, uint64_t offset_bytes, size_t size)
{
    uint64_t last = (offset_bytes + size - 1) / NTMM_EMULATED_SECTOR_SIZE;
    for (uint64_t s = offset_bytes / NTMM_EMULATED_SECTOR_SIZE; s <= last; s++)
        disk->cached[s / 64] |= UINT64_C(1) << (s % 64);
}

bool store_write(struct disk *disk, uint64_t offset_bytes, struct iovec *pieces, uint32_t count)
{
    if (disk->image == NULL)
        return move_in_file(disk, pwritev, offset_bytes, pieces, count);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(disk->image + offset_bytes, pieces[i].iov_base, pieces[i].iov_len);
        if (disk->cached != NULL && pieces[i].iov_len != 0)
            mark_cached(disk, offset_bytes, pieces[i].iov_len);
        offset_bytes += pieces[i].iov_len;
    }
    return true;
}

/* Byte `offset` of what the blocks held that files are extended by. None is 0, so that one that is
 * shown where a zero belongs is seen. */
static uint8_t stale_byte(const struct disk *disk, uint64_t offset)
{
    uint64_t state = disk->stale_seed ^ (offset / 8) << 20;
    return (uint8_t)(splitmix64(&state) >> offset % 8 * 8) | 1u;
}

/* Whoever extends finds them, and a power cut does not take them. */
static void leave_stale(struct disk *disk, uint64_t end_bytes)
{
    for (uint64_t at = disk->size_bytes; at < end_bytes; at++) {
        disk->image[at] = stale_byte(disk, at);
        if (disk->durable != NULL)
            disk->durable[at] = disk->image[at];
    }
}

bool store_extend(struct disk *disk, uint64_t size_bytes)
{
    if (size_bytes <= disk->size_bytes)
        return true;
    if (disk->image == NULL && ftruncate(disk->file, (off_t)size_bytes) != 0)
        return false;
    if (disk->flags & NTMM_EMULATED_FILE_STALE)
        leave_stale(disk, size_bytes);
    disk->size_bytes = size_bytes;
    return true;
}

/* The size is durable at once, as a file system's journal makes it, and so are the zeros that a
 * later extension finds. */
bool store_truncate(struct disk *disk, uint64_t size_bytes)
{
    size_t cut = (size_t)(disk->size_bytes - size_bytes);
    if (disk->image == NULL && ftruncate(disk->file, (off_t)size_bytes) != 0)
        return false;
    if (disk->image != NULL)
        memset(disk->image + size_bytes, 0, cut);
    if (disk->durable != NULL)
        memset(disk->durable + size_bytes, 0, cut);
    disk->size_bytes = size_bytes;
    return true;
}

/* One cached sector becomes what is durable, or durable becomes it. */
static void settle_sector(struct disk *disk, uint64_t sector, bool is_kept)
{
    size_t offset = (size_t)(sector * NTMM_EMULATED_SECTOR_SIZE);
    uint8_t *to = is_kept ? disk->durable : disk->image;
    const uint8_t *from = is_kept ? disk->image : disk->durable;
    memcpy(to + offset, from + offset, NTMM_EMULATED_SECTOR_SIZE);
    disk->cached[sector / 64] &= ~(UINT64_C(1) << (sector % 64));
}

static bool is_cached(const struct disk *disk, uint64_t sector)
{
    return (disk->cached[sector / 64] >> (sector % 64)) & 1u;
}

bool store_flush(struct disk *disk)
{
    if (disk->image == NULL)
        return fdatasync(disk->file) == 0;
    if (disk->cached == NULL)
        return true;
    for (uint64_t sector = 0; sector < sector_count(disk); sector++) {
        if (is_cached(disk, sector))
            settle_sector(disk, sector, true);
    }
    return true;
}

/* kept: draws which sectors were durable after all; NULL: none was. */
void store_lose_cache(struct disk *disk, struct prng *kept)
{
    if (disk->cached == NULL)
        return;
    for (uint64_t sector = 0; sector < sector_count(disk); sector++) {
        if (is_cached(disk, sector))
            settle_sector(disk, sector, kept != NULL && prng_below(kept, 2) == 0);
    }
}
