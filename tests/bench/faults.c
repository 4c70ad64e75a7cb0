/*
 * Demand-zero faults, one a page, in order, beside the host kernel's first touch of as many pages.
 *
 *   the door       ntmm_page_fault alone, as an embedder with a processor of its own calls it
 *   whole access   a store: the processor walks and faults, the door resolves, the store runs again
 *
 *   frames zeroed  the zeroed list serves them all: background zeroing was ahead
 *   frames free    the free list does: each is zeroed by the fault
 *
 * Making the page tables (one in 512 pages) is part of it on both sides. The arena, the machine's
 * RAM, has been touched; the host has its memory from its own free lists.
 */
#include "world.h"

#include <sys/mman.h>

#define FAULT_PAGES 65536u /* 256 MiB */
#define HOT_PAGES 1024u

struct faults {
    struct world world;
    uint64_t pages;
    uint64_t laps;
    bool is_zeroed; /* the frames, before */
};

static void knock_on_door(struct world *w, uint64_t base, uint64_t pages)
{
    world_fault_pages(w, w->process, base, pages);
}

static double round_of(struct faults *f, void (*fault)(struct world *, uint64_t, uint64_t))
{
    uint64_t elapsed = 0;
    for (uint64_t lap = 0; lap < f->laps; lap++) {
        uint64_t base = world_allocate(&f->world, 0, f->pages * NTMM_PAGE_SIZE,
                                       NTMM_MEM_RESERVE | NTMM_MEM_COMMIT);
        uint64_t begin = bench_now_ns();
        fault(&f->world, base, f->pages);
        elapsed += bench_now_ns() - begin;
        world_release(&f->world, base);
        if (f->is_zeroed)
            world_zero_frames(&f->world);
    }
    return (double)elapsed / (double)(f->pages * f->laps);
}

static double ours_door(void *context) { return round_of(context, knock_on_door); }

static double ours_access(void *context) { return round_of(context, world_touch); }

static double host_first_touch(void *context)
{
    const struct faults *f = context;
    size_t bytes = (size_t)f->pages * NTMM_PAGE_SIZE;
    uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bench_must(memory != MAP_FAILED, "mmap failed");
    bench_must(madvise(memory, bytes, MADV_NOHUGEPAGE) == 0, "madvise failed");
    uint64_t begin = bench_now_ns();
    for (size_t i = 0; i < bytes; i += NTMM_PAGE_SIZE)
        *(volatile uint64_t *)(void *)(memory + i) = i;
    uint64_t end = bench_now_ns();
    munmap(memory, bytes);
    return (double)(end - begin) / (double)f->pages;
}

static void measure(struct bench *b, struct faults *f, const char *how, enum bench_bar_kind kind,
                    double bar)
{
    struct bench_figure *figure;
    unsigned mebibytes = (unsigned)(f->pages * NTMM_PAGE_SIZE >> 20);
    const char *frames = f->is_zeroed ? "zeroed" : "free";
    figure = bench_add(b, "ns", "demand zero, %s %s, %u MiB: door", how, frames, mebibytes);
    bench_bar(figure, kind, bar);
    bench_run(b, figure, ours_door, "first touch", host_first_touch, f);
    figure = bench_add(b, "ns", "demand zero, %s %s, %u MiB: access", how, frames, mebibytes);
    bench_bar(figure, kind == BAR_AT_MOST ? BAR_NONE : kind, bar); /* 150 ns are the fault's */
    bench_run(b, figure, ours_access, "first touch", host_first_touch, f);
}

void bench_faults(struct bench *b)
{
    struct faults f = {.pages = bench_scale(b, FAULT_PAGES, 2048), .laps = 1, .is_zeroed = true};
    uint64_t ram_bytes = (f.pages + f.pages / 8 + 2048) * NTMM_PAGE_SIZE;

    world_open(&f.world, ram_bytes);
    measure(b, &f, "frames", BAR_AT_MOST, 150);
    f.is_zeroed = false;
    measure(b, &f, "frames", BAR_RATIO_AT_MOST, 0.5);
    world_close(&f.world);

    world_open_small_pages(&f.world, ram_bytes);
    measure(b, &f, "arena on 4 KiB pages, frames", BAR_NONE, 0);
    world_close(&f.world);

    f = (struct faults){.pages = bench_scale(b, HOT_PAGES, 256), .laps = 16, .is_zeroed = true};
    world_open(&f.world, (f.pages + 1024) * NTMM_PAGE_SIZE);
    measure(b, &f, "frames", BAR_AT_MOST, 150);
    world_close(&f.world);
}
