/*
 * Page-out of a process to a page file on the host's disk, beside plain writes of as many bytes of
 * the same memory, one after another, to a fresh file beside it.
 *
 *   ours   working set emptied, modified pages written (transfers of 256 KiB) --> holes of a file
 *   host   pwrite of 1 MiB or 256 KiB at a time                               --> an empty file
 *
 * Both sides on the wall, with fdatasync (what the device takes) or both without (what the host's
 * page cache takes). Before each round, without a clock, both files are emptied and synchronized,
 * and every page is written to, so that it has no slot and is modified.
 */
#define _FILE_OFFSET_BITS 64
#include "paging_world.h"

#include <fcntl.h>
#include <ntmm/paging.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUT_PAGES 65536u /* 256 MiB */
#define MEBIBYTE 0x100000u
#define OUT_BAR 0.8

struct page_out {
    struct world world;
    uint64_t base;
    uint64_t pages;
    const uint8_t *arena;
    int our_file; /* the disk's, opened once more */
    int host_file;
    off_t our_bytes;
    size_t piece_bytes; /* of a host's write */
    bool is_synchronized;
};

static void empty_file(int file, off_t size_bytes)
{
    bench_must(ftruncate(file, 0) == 0 && ftruncate(file, size_bytes) == 0 && fsync(file) == 0,
               "a file cannot be emptied");
}

static void finish_file(const struct page_out *p, int file)
{
    if (p->is_synchronized)
        bench_must(fdatasync(file) == 0, "fdatasync failed");
}

static double speed(const struct page_out *p, uint64_t begin_ns)
{
    double seconds = (double)(bench_clock_ns() - begin_ns) / 1e9;
    return (double)(p->pages * NTMM_PAGE_SIZE) / MEBIBYTE / seconds;
}

static double ours_out(void *context)
{
    struct page_out *p = context;
    struct world *w = &p->world;
    struct ntmm_memory_information memory;
    world_touch(w, p->base, p->pages);
    empty_file(p->host_file, 0);
    empty_file(p->our_file, p->our_bytes);
    uint64_t written = world_counter(w, NTMM_COUNTER_PAGES_WRITTEN);
    uint64_t begin = bench_clock_ns();
    world_empty_working_set(w);
    world_write_modified(w);
    finish_file(p, p->our_file);
    double result = speed(p, begin);
    ntmm_query_memory(w->system, &memory);
    bench_must(memory.modified_pages == 0 &&
                   world_counter(w, NTMM_COUNTER_PAGES_WRITTEN) - written >= p->pages,
               "not every page was written");
    return result;
}

static double host_out(void *context)
{
    struct page_out *p = context;
    size_t bytes = (size_t)p->pages * NTMM_PAGE_SIZE;
    empty_file(p->our_file, p->our_bytes);
    empty_file(p->host_file, 0);
    uint64_t begin = bench_clock_ns();
    for (size_t done = 0; done < bytes; done += p->piece_bytes) {
        bench_must(pwrite(p->host_file, p->arena + done, p->piece_bytes, (off_t)done) ==
                       (ssize_t)p->piece_bytes,
                   "pwrite failed");
    }
    finish_file(p, p->host_file);
    return speed(p, begin);
}

static int open_file(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    bench_must(file >= 0, "a file cannot be made");
    bench_must(unlink(path) == 0, "a file cannot be removed");
    return file;
}

static char *path_of(const struct bench *b, const char *file)
{
    size_t size = strlen(b->disk_path) + strlen(file) + 32;
    char *path = bench_allocate(size, 1);
    snprintf(path, size, "%s/%s.%d", b->disk_path, file, (int)getpid());
    return path;
}

/* The page file, whose name is gone once both have it open. */
static void add_disk(struct bench *b, struct page_out *p)
{
    char *path = path_of(b, "page-out-ntmm");
    struct ntmm_emulated_disk_config disk = {
        .size = sizeof disk,
        .version = NTMM_EMULATED_DISK_VERSION,
        .size_bytes = (uint64_t)p->our_bytes,
        .path = path,
        .flags = NTMM_EMULATED_DISK_INLINE,
    };
    struct ntmm_paging_file_config file = {.size = sizeof file,
                                           .version = NTMM_PAGING_FILE_VERSION,
                                           .initial_bytes = (uint64_t)p->our_bytes};
    bench_must(ntmm_emulated_add_disk(p->world.emu, &disk, &file.device) == NTMM_STATUS_SUCCESS,
               "no disk");
    p->our_file = open_file(path);
    bench_must(ntmm_create_paging_file(p->world.system, &file, NULL) == NTMM_STATUS_SUCCESS,
               "no page file");
    free(path);
}

static void measure(struct bench *b, struct page_out *p)
{
    for (int i = 0; i < 4; i++) {
        p->is_synchronized = i < 2;
        p->piece_bytes = i & 1 ? MEBIBYTE / 4 : MEBIBYTE;
        struct bench_figure *figure = bench_add(b, "MiB/s", "page-out of %u MiB, %s fdatasync",
                                                (unsigned)(p->pages * NTMM_PAGE_SIZE / MEBIBYTE),
                                                p->is_synchronized ? "with" : "without");
        bench_bar(figure, p->is_synchronized ? BAR_RATIO_AT_LEAST : BAR_NONE, OUT_BAR);
        bench_run(b, figure, ours_out, i & 1 ? "pwrite 256 KiB" : "pwrite 1 MiB", host_out, p);
    }
}

void bench_page_out(struct bench *b)
{
    struct page_out p = {.pages = bench_scale(b, OUT_PAGES, 1024)};
    uint64_t bytes = p.pages * NTMM_PAGE_SIZE;
    char *path = path_of(b, "page-out-host");
    p.our_bytes = (off_t)(bytes + bytes / 4);
    world_open(&p.world, bytes + bytes / 8 + 8 * MEBIBYTE);
    p.arena = ntmm_emulated_arena(p.world.emu, NULL);
    p.host_file = open_file(path);
    add_disk(b, &p);
    p.base = world_allocate(&p.world, 0, bytes, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT);
    measure(b, &p);
    world_close(&p.world);
    close(p.our_file);
    close(p.host_file);
    free(path);
}
