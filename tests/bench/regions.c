/*
 * Reserving, committing and freeing 64 KiB, and asking what an address is, with few and many other
 * regions, beside mmap and munmap.
 *
 *   slot n:  [ other region 64 KiB ][ 64 KiB ][ place 64 KiB ][ 64 KiB ]
 *
 * Neither side can join neighbours: there is a gap on each side of everything. The places are the
 * same random slots on both sides. A host that allows fewer mappings than we have regions is
 * measured with as many as it allows, which is in its favour; the figure's note says so.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define REGION_BYTES 0x10000u
#define SLOT_BYTES 0x40000u
#define PLACE_OFFSET 0x20000u
#define OURS_BASE 0x100000000ull
#define PLACES 10000u
#define QUERIES 100000u
#define MAPPINGS_TO_SPARE 1000u /* of the host's limit: for libraries, heap and arena */

struct regions {
    struct world world;
    uint64_t count;      /* other regions of ours */
    uint64_t host_count; /* other mappings of the host */
    uint64_t slot_count;
    uint8_t *host_base;
    uint64_t *slots;  /* all, in random order: the first `count` are taken */
    uint64_t *places; /* offsets from either base, random */
    size_t place_count;
    size_t calls; /* of one round */
};

static uint64_t host_limit(void)
{
    unsigned long limit = 65530;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
    if (file) {
        if (fscanf(file, "%lu", &limit) != 1)
            limit = 65530;
        fclose(file);
    }
    return limit;
}

static double ours_allocate_free(void *context)
{
    struct regions *r = context;
    uint64_t begin = bench_now_ns();
    for (size_t i = 0, at = 0; i < r->calls; i++, at = at + 1 < r->place_count ? at + 1 : 0) {
        uint64_t base = OURS_BASE + r->places[at];
        world_allocate(&r->world, base, REGION_BYTES, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT);
        world_release(&r->world, base);
    }
    return (double)(bench_now_ns() - begin) / (double)r->calls;
}

static double host_map_unmap(void *context)
{
    struct regions *r = context;
    uint64_t begin = bench_now_ns();
    for (size_t i = 0, at = 0; i < r->calls; i++, at = at + 1 < r->place_count ? at + 1 : 0) {
        void *place = r->host_base + r->places[at];
        void *memory = mmap(place, REGION_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        bench_must(memory == place, "mmap failed");
        munmap(memory, REGION_BYTES);
    }
    return (double)(bench_now_ns() - begin) / (double)r->calls;
}

static double ours_query(void *context)
{
    struct regions *r = context;
    struct ntmm_memory_basic_information found;
    uint64_t size_bytes = 0;
    uint64_t begin = bench_now_ns();
    for (size_t i = 0, at = 0; i < r->calls; i++, at = at + 1 < r->count ? at + 1 : 0) {
        uint64_t va = OURS_BASE + r->slots[at] * SLOT_BYTES;
        ntmm_status status =
            ntmm_query_virtual_memory(r->world.system, r->world.process, va, &found);
        bench_must(status == NTMM_STATUS_SUCCESS, "a query failed");
        size_bytes += found.region_size;
    }
    uint64_t end = bench_now_ns();
    bench_must(size_bytes == r->calls * (uint64_t)REGION_BYTES, "a query said something else");
    return (double)(end - begin) / (double)r->calls;
}

/* A range of addresses as wide as all slots, then given back: the mappings go where it was. */
static uint8_t *find_host_room(uint64_t bytes)
{
    void *room =
        mmap(NULL, (size_t)bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    bench_must(room != MAP_FAILED, "no room for mappings");
    munmap(room, (size_t)bytes);
    return room;
}

static void lay_out(struct regions *r)
{
    uint64_t seed = r->count;
    uint64_t limit = host_limit();
    uint64_t allowed = limit > MAPPINGS_TO_SPARE ? limit - MAPPINGS_TO_SPARE : 0;

    r->slot_count = r->count > PLACES ? r->count : PLACES;
    r->host_count = r->count < allowed ? r->count : allowed;
    r->slots = bench_allocate((size_t)r->slot_count, sizeof *r->slots);
    r->places = bench_allocate((size_t)r->slot_count, sizeof *r->places);
    for (uint64_t i = 0; i < r->slot_count; i++) {
        r->slots[i] = i;
        r->places[i] = i * SLOT_BYTES + PLACE_OFFSET;
    }
    bench_shuffle(r->slots, (size_t)r->slot_count, &seed);
    bench_shuffle(r->places, (size_t)r->slot_count, &seed);
    r->host_base = find_host_room(r->slot_count * SLOT_BYTES);
}

static void fill(struct regions *r)
{
    for (uint64_t i = 0; i < r->count; i++)
        world_allocate(&r->world, OURS_BASE + r->slots[i] * SLOT_BYTES, REGION_BYTES,
                       NTMM_MEM_RESERVE);
    for (uint64_t i = 0; i < r->host_count; i++) {
        void *place = r->host_base + r->slots[i] * SLOT_BYTES;
        void *memory = mmap(place, REGION_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
        bench_must(memory == place, "mmap failed");
    }
}

static void empty(struct regions *r)
{
    munmap(r->host_base, (size_t)(r->slot_count * SLOT_BYTES));
    free(r->slots);
    free(r->places);
    world_close(&r->world);
}

static void note_limit(const struct regions *r, struct bench_figure *figure)
{
    if (r->host_count < r->count)
        bench_note(figure, "host with %u mappings: vm.max_map_count allows no more",
                   (unsigned)r->host_count);
}

static void measure_with(struct bench *b, uint64_t count)
{
    struct regions r = {.count = count};
    struct bench_figure *figure;

    world_open(&r.world, (16384 + count / 16) * NTMM_PAGE_SIZE); /* 256 bytes a region */
    lay_out(&r);
    fill(&r);
    r.calls = bench_scale(b, PLACES, 100);
    r.place_count = 1;
    figure = bench_add(b, "ns", "alloc+free 64 KiB, one place, %u regions", (unsigned)count);
    bench_bar(figure, count == 10 ? BAR_RATIO_AT_MOST : BAR_NONE, 0.2);
    note_limit(&r, figure);
    bench_run(b, figure, ours_allocate_free, "mmap+munmap", host_map_unmap, &r);
    r.place_count = PLACES;
    figure =
        bench_add(b, "ns", "alloc+free 64 KiB, 10^4 random places, %u regions", (unsigned)count);
    bench_bar(figure, BAR_RATIO_AT_MOST, 0.5);
    note_limit(&r, figure);
    bench_run(b, figure, ours_allocate_free, "mmap+munmap", host_map_unmap, &r);
    r.calls = bench_scale(b, QUERIES, 100);
    figure = bench_add(b, "ns", "query, random regions of %u", (unsigned)count);
    bench_bar(figure, count <= 1000 ? BAR_RATIO_AT_MOST : BAR_NONE, 10);
    bench_run(b, figure, ours_query, "lock cmpxchg", host_lock_cmpxchg, &r);
    empty(&r);
}

void bench_regions(struct bench *b)
{
    static const uint64_t counts[] = {10, 1000, 100000, 1000000};
    size_t most = bench_scale(b, sizeof counts / sizeof *counts, 2);
    for (size_t i = 0; i < most; i++)
        measure_with(b, counts[i]);
}
