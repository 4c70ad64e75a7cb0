/*
 * The emulated processor's loads beside the host's, over the same number of words in the same
 * order:
 *
 *   throughput  a list of addresses, each loaded and added up; the list is read on both sides
 *   chain       each word holds the address of the next
 *   miss        one word of each of 65,536 pages: 64 times what the TLB holds, each a 4-level
 *               walk; over a process's own pages, where the data miss the host's cache too, and
 *               over tables made by hand that map one page everywhere, where the walk alone is left
 *
 * The words of one page after the other lie in different lines of the host's cache.
 */
#include "hand_made.h"
#include "world.h"

#include <stdlib.h>
#include <sys/mman.h>

#define HIT_PAGES 8u /* 32 KiB: as the host's first-level cache */
#define FAR_PAGES 256u
#define HIT_LOADS 4000000u
#define MISS_PAGES 65536u
#define MISS_LAPS 4u

struct loads {
    struct world world;
    struct ntmm_cpu *cpu;
    uint64_t base;
    uint64_t *places; /* linear addresses */
    uint64_t *native; /* host addresses of the words compared with */
    uint64_t *words;
    size_t place_count;
    size_t load_count;
    uint64_t sum; /* keeps the loads alive */
};

static double ours_throughput(void *context)
{
    struct loads *l = context;
    struct ntmm_cpu *cpu = l->cpu;
    const uint64_t *places = l->places;
    size_t count = l->place_count;
    uint64_t sum = 0, faults = 0;
    uint64_t begin = bench_now_ns();
    for (size_t laps = l->load_count / count; laps > 0; laps--) {
        for (size_t i = 0; i < count; i++) {
            uint64_t value = 0;
            faults |= ntmm_cpu_read64(cpu, places[i], &value);
            sum += value;
        }
    }
    uint64_t end = bench_now_ns();
    bench_must(faults == 0, "a load failed");
    l->sum += sum;
    return (double)(end - begin) / (double)l->load_count;
}

static double host_throughput(void *context)
{
    struct loads *l = context;
    const uint64_t *places = l->native;
    size_t count = l->place_count;
    uint64_t sum = 0;
    uint64_t begin = bench_now_ns();
    for (size_t laps = l->load_count / count; laps > 0; laps--) {
        for (size_t i = 0; i < count; i++)
            sum += __atomic_load_n((const uint64_t *)(uintptr_t)places[i], __ATOMIC_RELAXED);
    }
    uint64_t end = bench_now_ns();
    l->sum += sum;
    return (double)(end - begin) / (double)l->load_count;
}

static double ours_chain(void *context)
{
    struct loads *l = context;
    struct ntmm_cpu *cpu = l->cpu;
    uint64_t va = l->places[0], faults = 0;
    uint64_t begin = bench_now_ns();
    for (size_t i = 0; i < l->load_count; i++)
        faults |= ntmm_cpu_read64(cpu, va, &va);
    uint64_t end = bench_now_ns();
    bench_must(faults == 0, "a load failed");
    l->sum += va;
    return (double)(end - begin) / (double)l->load_count;
}

static double host_chain(void *context)
{
    struct loads *l = context;
    uint64_t at = l->native[0];
    uint64_t begin = bench_now_ns();
    for (size_t i = 0; i < l->load_count; i++)
        at = __atomic_load_n((const uint64_t *)(uintptr_t)at, __ATOMIC_RELAXED);
    uint64_t end = bench_now_ns();
    l->sum += at;
    return (double)(end - begin) / (double)l->load_count;
}

/* Words of some pages, `stride` bytes apart, in random order; each holds the address of the next.
 * */
static void lay_out(struct loads *l, uint64_t pages, uint64_t stride_bytes, uint64_t seed)
{
    uint64_t bytes = pages * NTMM_PAGE_SIZE;
    l->place_count = (size_t)(bytes / stride_bytes);
    l->places = bench_allocate(l->place_count, sizeof *l->places);
    l->native = bench_allocate(l->place_count, sizeof *l->native);
    l->words = bench_allocate((size_t)bytes, 1);
    for (size_t i = 0; i < l->place_count; i++)
        l->places[i] = i * stride_bytes;
    bench_shuffle(l->places, l->place_count, &seed);
    for (size_t i = 0; i < l->place_count; i++) {
        l->native[i] = (uint64_t)(uintptr_t)((uint8_t *)l->words + l->places[i]);
        l->places[i] += l->base;
    }
    for (size_t i = 0; i < l->place_count; i++) {
        size_t next = i + 1 < l->place_count ? i + 1 : 0;
        *(uint64_t *)(uintptr_t)l->native[i] = l->native[next];
        bench_must(ntmm_cpu_write64(l->cpu, l->places[i], l->places[next]) == NTMM_CPU_OK,
                   "a store failed");
    }
}

static void discard(struct loads *l)
{
    free(l->places);
    free(l->native);
    free(l->words);
    l->places = l->native = l->words = NULL;
}

static void measure_hits(struct bench *b, struct loads *l, uint64_t pages, const char *where,
                         bool has_bar)
{
    struct bench_figure *figure;
    lay_out(l, pages, 64, pages);
    size_t laps = bench_scale(b, HIT_LOADS, 10000) / l->place_count + 1;
    l->load_count = laps * l->place_count;
    figure = bench_add(b, "ns", "TLB hit, inlined, throughput, %s", where);
    if (has_bar)
        bench_bar(figure, BAR_RATIO_AT_MOST, 2);
    bench_run(b, figure, ours_throughput, "load", host_throughput, l);
    figure = bench_add(b, "ns", "TLB hit, inlined, dependent chain, %s", where);
    if (has_bar)
        bench_bar(figure, BAR_RATIO_AT_MOST, 3);
    bench_run(b, figure, ours_chain, "load", host_chain, l);
    discard(l);
}

/* The host's places too, if there are any, into the same order. */
static void shuffle_both(struct loads *l)
{
    uint64_t ours = 1, host = 1;
    bench_shuffle(l->places, l->place_count, &ours);
    if (l->native)
        bench_shuffle(l->native, l->place_count, &host);
}

/* Misses over the places, in order and at random. */
static void measure_misses(struct bench *b, struct loads *l, const char *what,
                           enum bench_bar_kind bar, const char *host_name, bench_round host)
{
    l->load_count = l->place_count * bench_scale(b, MISS_LAPS, 1);
    for (unsigned pass = 0; pass < 2; pass++) {
        struct bench_figure *figure =
            bench_add(b, "ns", "%s, %u pages %s", what, (unsigned)l->place_count,
                      pass ? "at random" : "in order");
        bench_bar(figure, bar, 5);
        if (pass)
            shuffle_both(l);
        bench_run(b, figure, ours_throughput, host_name, host, l);
    }
}

/* One word of each page; the words of neighbours lie in different lines. */
static void choose_words(struct loads *l, uint64_t pages)
{
    l->place_count = (size_t)pages;
    l->places = bench_allocate(l->place_count, sizeof *l->places);
    for (uint64_t i = 0; i < pages; i++)
        l->places[i] = l->base + i * NTMM_PAGE_SIZE + i % 64 * 64;
}

/* The walk alone: tables made by hand, whose leaves all map one page, which stays in the cache. */
static void measure_walks(struct bench *b, struct loads *l, uint64_t pages)
{
    struct hand_made *made = hand_made_open(pages);
    l->cpu = &made->cpu;
    l->base = 0;
    choose_words(l, pages);
    measure_misses(b, l, "TLB miss, 4-level walk", BAR_RATIO_AT_MOST, "lock cmpxchg",
                   host_lock_cmpxchg);
    discard(l);
    hand_made_close(made);
}

/* The walk and the data: a process's own pages, beside the host's loads from as many pages. */
static void measure_far_loads(struct bench *b, struct loads *l, uint64_t pages)
{
    size_t bytes = (size_t)pages * NTMM_PAGE_SIZE;
    uint8_t *host = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bench_must(host != MAP_FAILED, "mmap failed");
    (void)madvise(host, bytes, MADV_HUGEPAGE); /* as the arena */
    choose_words(l, pages);
    l->native = bench_allocate(l->place_count, sizeof *l->native);
    for (uint64_t i = 0; i < pages; i++) {
        l->native[i] = (uint64_t)(uintptr_t)(host + (l->places[i] - l->base));
        *(uint64_t *)(uintptr_t)l->native[i] = i;
    }
    measure_misses(b, l, "TLB miss, data too", BAR_NONE, "load", host_throughput);
    discard(l);
    munmap(host, bytes);
}

void bench_tlb(struct bench *b)
{
    uint64_t pages = bench_scale(b, MISS_PAGES, 4096);
    struct loads l = {0};
    world_open(&l.world, (pages + 8192) * NTMM_PAGE_SIZE);
    l.base =
        world_allocate(&l.world, 0, pages * NTMM_PAGE_SIZE, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT);
    world_touch(&l.world, l.base, pages);
    l.cpu = l.world.cpu;
    measure_hits(b, &l, HIT_PAGES, "32 KiB", true);
    measure_hits(b, &l, FAR_PAGES, "1 MiB", false);
    measure_far_loads(b, &l, pages);
    world_close(&l.world);
    measure_walks(b, &l, pages);
    bench_must(l.sum != 1, "the sum of all loads is one");
}
