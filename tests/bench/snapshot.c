/*
 * Snapshots of a machine of 1 GiB, a quarter of it in use, by how many pages were written since:
 *
 *   restore   the machine goes back to its base
 *   fork      a second machine is made that is as this one is now
 *
 * beside a copy of the whole RAM, which is what either would be without a base.
 */
#include "bench.h"

#include <ntmm/snapshot.h>

#include "world.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define RAM_BYTES ((uint64_t)1 << 30)
#define RAM_BYTES_SMOKE ((uint64_t)32 << 20)

struct scene {
    struct world world;
    uint8_t *arena;
    uint64_t pages;
    uint8_t *plain;  /* as much memory that is no machine's */
    uint64_t *order; /* pages in random order */
    size_t dirty_pages;
};

/* Pages all over RAM become private to the machine; what they hold stays. */
static void make_dirty(const struct scene *s)
{
    for (size_t i = 0; i < s->dirty_pages; i++) {
        volatile uint8_t *byte = s->arena + s->order[i] * NTMM_PAGE_SIZE;
        *byte = *byte;
    }
}

static void restore(const struct scene *s)
{
    bench_must(ntmm_emulated_restore_snapshot(s->world.emu) == NTMM_STATUS_SUCCESS, "restore");
}

static double time_restore(void *context)
{
    const struct scene *s = context;
    make_dirty(s);
    uint64_t begin = bench_now_ns();
    restore(s);
    return (double)(bench_now_ns() - begin) / 1e6;
}

static double time_fork(void *context)
{
    const struct scene *s = context;
    struct ntmm_emulated *fork;
    make_dirty(s);
    uint64_t begin = bench_now_ns();
    bench_must(ntmm_emulated_fork(s->world.emu, &fork) == NTMM_STATUS_SUCCESS, "fork");
    double time_ms = (double)(bench_now_ns() - begin) / 1e6;
    ntmm_emulated_destroy(fork, NULL);
    restore(s);
    return time_ms;
}

static double time_full_copy(void *context)
{
    const struct scene *s = context;
    size_t size = (size_t)s->pages * NTMM_PAGE_SIZE;
    uint64_t begin = bench_now_ns();
    void *copy = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    bench_must(copy != MAP_FAILED, "memory for a copy");
    memcpy(copy, s->plain, size);
    double time_ms = (double)(bench_now_ns() - begin) / 1e6;
    munmap(copy, size);
    return time_ms;
}

static void open_scene(struct bench *b, struct scene *s)
{
    uint64_t ram_bytes = b->is_smoke ? RAM_BYTES_SMOKE : RAM_BYTES;
    uint64_t used_pages = ram_bytes / 4 / NTMM_PAGE_SIZE, state = 1;
    world_open_small_pages(&s->world, ram_bytes);
    uint64_t base = world_allocate(&s->world, 0, used_pages * NTMM_PAGE_SIZE,
                                   NTMM_MEM_RESERVE | NTMM_MEM_COMMIT);
    world_touch(&s->world, base, used_pages);
    s->arena = ntmm_emulated_arena(s->world.emu, NULL);
    s->pages = ram_bytes / NTMM_PAGE_SIZE;
    s->order = bench_allocate((size_t)s->pages, sizeof *s->order);
    s->plain = bench_allocate((size_t)s->pages, NTMM_PAGE_SIZE);
    memset(s->plain, 1, (size_t)ram_bytes);
    for (uint64_t i = 0; i < s->pages; i++)
        s->order[i] = i;
    bench_shuffle(s->order, (size_t)s->pages, &state);
    bench_must(ntmm_emulated_snapshot(s->world.emu) == NTMM_STATUS_SUCCESS, "snapshot");
}

void bench_snapshot(struct bench *b)
{
    static const size_t counts[] = {10, 1000, 100000};
    struct scene s = {.dirty_pages = 0};
    open_scene(b, &s);
    for (size_t i = 0; i < 2 * sizeof counts / sizeof *counts; i++) {
        bool is_fork = (i & 1) != 0;
        s.dirty_pages = bench_scale(b, counts[i / 2], 10);
        struct bench_figure *figure = bench_add(b, "ms", "snapshot: %s 1 GiB, %zu pages written",
                                                is_fork ? "fork" : "restore", counts[i / 2]);
        if (counts[i / 2] == 1000)
            bench_bar(figure, BAR_AT_MOST, 5);
        bench_run(b, figure, is_fork ? time_fork : time_restore, "full copy",
                  counts[i / 2] == 10 ? NULL : time_full_copy, &s);
    }
    free(s.order);
    free(s.plain);
    world_close(&s.world);
}
