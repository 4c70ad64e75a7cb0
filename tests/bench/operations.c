/*
 * See operations.h. Values are NT's own, since this file is compiled for Windows too.
 */
#include "operations.h"

#define MEM_COMMIT 0x1000u
#define MEM_RESERVE 0x2000u
#define MEM_DECOMMIT 0x4000u
#define MEM_RELEASE 0x8000u
#define MEM_TOP_DOWN 0x100000u
#define MEM_WRITE_WATCH 0x200000u
#define PAGE_READONLY 0x02u
#define PAGE_READWRITE 0x04u
#define PAGE_WRITECOPY 0x08u

#define PAGE_BYTES 0x1000u
#define GRANULE_BYTES 0x10000u
#define REGION_PAGES 256u
#define MIDDLE (128u * PAGE_BYTES)
#define CROWD 1000u
#define WATCHED_PAGES 16u

static uint64_t reserve_with(uint32_t calls, uint32_t type)
{
    uint64_t begin = nt_clock_ns();
    for (uint32_t i = 0; i < calls; i++) {
        uint64_t base = nt_allocate(0, GRANULE_BYTES, type);
        nt_free(base, 0, MEM_RELEASE);
    }
    return nt_clock_ns() - begin;
}

static uint64_t reserve(uint32_t calls) { return reserve_with(calls, MEM_RESERVE); }

static uint64_t reserve_commit(uint32_t calls)
{
    return reserve_with(calls, MEM_RESERVE | MEM_COMMIT);
}

static uint64_t top_down(uint32_t calls) { return reserve_with(calls, MEM_RESERVE | MEM_TOP_DOWN); }

/* Another page of the region is in use, as in most programs: page tables stay. */
static uint64_t commit_with(uint32_t calls, int is_touched)
{
    uint64_t base = nt_allocate(0, REGION_PAGES * PAGE_BYTES, MEM_RESERVE);
    uint64_t page = base + MIDDLE;
    nt_allocate(base, PAGE_BYTES, MEM_COMMIT);
    nt_touch(base);
    uint64_t begin = nt_clock_ns();
    for (uint32_t i = 0; i < calls; i++) {
        nt_allocate(page, PAGE_BYTES, MEM_COMMIT);
        if (is_touched)
            nt_touch(page);
        nt_free(page, PAGE_BYTES, MEM_DECOMMIT);
    }
    uint64_t ns = nt_clock_ns() - begin;
    nt_free(base, 0, MEM_RELEASE);
    return ns;
}

static uint64_t commit(uint32_t calls) { return commit_with(calls, 0); }

static uint64_t commit_touch(uint32_t calls) { return commit_with(calls, 1); }

static uint64_t protect(uint32_t calls)
{
    uint64_t base = nt_allocate(0, REGION_PAGES * PAGE_BYTES, MEM_RESERVE | MEM_COMMIT);
    for (uint32_t i = 0; i < REGION_PAGES; i++)
        nt_touch(base + (uint64_t)i * PAGE_BYTES);
    uint64_t begin = nt_clock_ns();
    for (uint32_t i = 0; i < calls; i++)
        nt_protect(base + MIDDLE, PAGE_BYTES, i & 1 ? PAGE_READWRITE : PAGE_READONLY);
    uint64_t ns = nt_clock_ns() - begin;
    nt_free(base, 0, MEM_RELEASE);
    return ns;
}

/* Of one of many reservations, each the next one of a stride that meets all of them. */
static uint64_t query(uint32_t calls)
{
    static uint64_t bases[CROWD];
    uint32_t at = 0;
    for (uint32_t i = 0; i < CROWD; i++)
        bases[i] = nt_allocate(0, GRANULE_BYTES, MEM_RESERVE);
    uint64_t sum = 0, begin = nt_clock_ns();
    for (uint32_t i = 0; i < calls; i++) {
        sum += nt_query(bases[at]);
        at = (at + 617) % CROWD;
    }
    uint64_t ns = nt_clock_ns() - begin;
    nt_must(sum == (uint64_t)calls * GRANULE_BYTES);
    for (uint32_t i = 0; i < CROWD; i++)
        nt_free(bases[i], 0, MEM_RELEASE);
    return ns;
}

static uint64_t write_watch(uint32_t calls)
{
    uint64_t bytes = REGION_PAGES * PAGE_BYTES;
    uint64_t base = nt_allocate(0, bytes, MEM_RESERVE | MEM_COMMIT | MEM_WRITE_WATCH);
    uint64_t begin = nt_clock_ns();
    for (uint32_t i = 0; i < calls; i++) {
        for (uint32_t page = 0; page < WATCHED_PAGES; page++)
            nt_touch(base + (uint64_t)page * 2 * PAGE_BYTES);
        nt_must(nt_take_write_watch(base, bytes, 64) == WATCHED_PAGES);
    }
    uint64_t ns = nt_clock_ns() - begin;
    nt_free(base, 0, MEM_RELEASE);
    return ns;
}

static uint64_t section_life(uint32_t calls)
{
    uint64_t begin = nt_clock_ns();
    for (uint32_t i = 0; i < calls; i++) {
        uint64_t section = nt_create_section(GRANULE_BYTES);
        nt_unmap_view(nt_map_view(section, PAGE_READWRITE));
        nt_close_section(section);
    }
    return nt_clock_ns() - begin;
}

/* Another view stays, as of a library that others use. */
static uint64_t view_life_with(uint32_t calls, uint32_t protect, int is_touched)
{
    uint64_t section = nt_create_section(GRANULE_BYTES);
    uint64_t other = nt_map_view(section, PAGE_READWRITE);
    nt_touch(other);
    uint64_t begin = nt_clock_ns();
    for (uint32_t i = 0; i < calls; i++) {
        uint64_t view = nt_map_view(section, protect);
        if (is_touched)
            nt_touch(view);
        nt_unmap_view(view);
    }
    uint64_t ns = nt_clock_ns() - begin;
    nt_unmap_view(other);
    nt_close_section(section);
    return ns;
}

static uint64_t view_life(uint32_t calls) { return view_life_with(calls, PAGE_READWRITE, 0); }

static uint64_t copy_on_write(uint32_t calls) { return view_life_with(calls, PAGE_WRITECOPY, 1); }

const struct operation operations[OPERATION_COUNT] = {
    {"reserve, release 64 KiB", 250, reserve},
    {"reserve and commit, release 64 KiB", 250, reserve_commit},
    {"reserve from the top, release 64 KiB", 250, top_down},
    {"commit, decommit a page", 250, commit},
    {"commit, touch, decommit a page", 250, commit_touch},
    {"change protection of a touched page", 250, protect},
    {"query, 1,000 reservations", 1000, query},
    {"write watch: store to 16 pages, take them", 25, write_watch},
    {"create, map, unmap, close a section, 64 KiB", 250, section_life},
    {"map, unmap a view of 64 KiB", 250, view_life},
    {"map copy-on-write, store to a page, unmap", 250, copy_on_write},
};
