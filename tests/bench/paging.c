/*
 * Faults on pages that were trimmed, beside a locked compare and exchange of the host; the door
 * alone, as an embedder with a processor of its own calls it.
 *
 *   soft   the page is still on Standby or Modified, and becomes valid again
 *   hard   the page is in a page file whose device moves nothing: block, frame, transfer,
 *          completion and the second look at the entry count, the device and its bytes do not
 *
 *   hard faults go round a region of twice the memory that standby has, a part at a time:
 *
 *      | out  out  out  out | standby, oldest first ... newest |
 *        ^ part: timed        ^ the frames it takes
 *
 * Between the timed parts, without a clock, the working set is emptied. No page was written since
 * it got its slot, so nothing is written out. Each round's counters say that it measured what it
 * should have.
 */
#include "paging_world.h"

#include <stdlib.h>

#include <ntmm/paging.h>

#define LARGE_PAGES 65536u /* 256 MiB */
#define SMALL_PAGES 1024u
#define SOFT_BAR 20
#define HARD_BAR 60

struct paging {
    struct paging_world paging;
    uint64_t base;        /* of the region */
    uint64_t pages;       /* soft: of the region; hard: of a part */
    uint64_t laps;        /* parts a round */
    uint64_t next;        /* hard: page of the region at which the next part begins */
    uint64_t *order;      /* soft: the pages in the order of the faults */
    uint32_t error_code;  /* soft: NTMM_FAULT_WRITE or 0 */
    bool is_random;       /* soft: the order is: lines of table, row and list wait for memory */
    bool is_written;      /* soft: the pages are on Standby, not on Modified */
    bool takes_free;      /* hard: the frames come from the free list */
    bool is_asynchronous; /* hard: the transfer completes between two begins */
};

static double host_exchange(void *context) { return host_lock_cmpxchg(context); }

/* --- soft --- */

static double ours_soft(void *context)
{
    struct paging *p = context;
    struct world *w = &p->paging.world;
    uint64_t elapsed = 0;
    uint64_t before = world_counter(w, NTMM_COUNTER_TRANSITION_FAULTS);
    for (uint64_t lap = 0; lap < p->laps; lap++) {
        world_empty_working_set(w);
        if (p->is_written)
            world_write_modified(w);
        uint64_t begin = bench_now_ns();
        for (uint64_t i = 0; i < p->pages; i++)
            world_fault(w, p->base + p->order[i] * NTMM_PAGE_SIZE, p->error_code);
        elapsed += bench_now_ns() - begin;
    }
    bench_must(world_counter(w, NTMM_COUNTER_TRANSITION_FAULTS) - before == p->pages * p->laps,
               "a fault was not soft");
    return (double)elapsed / (double)(p->pages * p->laps);
}

static void measure_soft(struct bench *b, struct paging *p)
{
    static const struct {
        const char *name;
        uint32_t error_code;
        bool is_written;
    } kinds[] = {
        {"from Modified, write", NTMM_FAULT_WRITE, false},
        {"from Standby, read", 0, true},
        {"from Standby, write", NTMM_FAULT_WRITE, true},
    };
    unsigned mebibytes = (unsigned)(p->pages * NTMM_PAGE_SIZE >> 20);
    const char *order = p->is_random ? "at random" : "in order";
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct bench_figure *figure =
            bench_add(b, "ns", "soft fault %s, %u MiB %s", kinds[i].name, mebibytes, order);
        p->error_code = kinds[i].error_code;
        p->is_written = kinds[i].is_written;
        bench_bar(figure, p->is_random ? BAR_NONE : BAR_RATIO_AT_MOST, SOFT_BAR);
        bench_run(b, figure, ours_soft, "lock cmpxchg", host_exchange, p);
    }
}

static void soft_faults(struct bench *b, uint64_t pages, uint64_t laps, bool is_random)
{
    struct paging p = {.pages = pages, .laps = laps, .is_random = is_random};
    uint64_t bytes = pages * NTMM_PAGE_SIZE, state = 1;
    paging_world_open(&p.paging, bytes + bytes / 8 + (8u << 20), 2 * bytes + (1u << 20));
    p.base = world_allocate(&p.paging.world, 0, bytes, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT);
    p.order = bench_allocate(pages, sizeof *p.order);
    for (uint64_t i = 0; i < pages; i++) {
        p.order[i] = i;
        world_fault(&p.paging.world, p.base + i * NTMM_PAGE_SIZE, NTMM_FAULT_WRITE);
    }
    if (is_random)
        bench_shuffle(p.order, pages, &state);
    measure_soft(b, &p);
    free(p.order);
    paging_world_close(&p.paging);
}

/* --- hard --- */

static uint64_t next_part(struct paging *p, uint64_t region_pages)
{
    uint64_t first = p->next;
    p->next = first + p->pages < region_pages ? first + p->pages : 0;
    return p->base + first * NTMM_PAGE_SIZE;
}

/* The submission returns before the transfer is complete: the fault is begun a second time. */
static void fault_twice(struct world *w, uint64_t address)
{
    struct ntmm_fault_result result;
    struct ntmm_wait wait = {0};
    const struct ntmm_fault_request request = {
        .process = w->process, .address = address, .error_code = NTMM_FAULT_USER};
    bench_must(ntmm_fault_begin(w->system, &request, &wait, &result) == NTMM_STATUS_PENDING,
               "a fault did not wait");
    paging_world_complete();
    bench_must(ntmm_fault_begin(w->system, &request, &wait, &result) == NTMM_STATUS_SUCCESS,
               "a fault was not resolved");
}

static void fault_part(struct paging *p, uint64_t base)
{
    for (uint64_t i = 0; i < p->pages; i++) {
        if (p->is_asynchronous)
            fault_twice(&p->paging.world, base + i * NTMM_PAGE_SIZE);
        else
            world_fault(&p->paging.world, base + i * NTMM_PAGE_SIZE, 0);
    }
}

/* A region that took a part's frames gives them back. */
static void make_free_frames(struct paging *p)
{
    uint64_t base = world_allocate(&p->paging.world, 0, (p->pages + 2) * NTMM_PAGE_SIZE,
                                   NTMM_MEM_RESERVE | NTMM_MEM_COMMIT);
    for (uint64_t i = 0; i < p->pages + 2; i++)
        world_fault(&p->paging.world, base + i * NTMM_PAGE_SIZE, NTMM_FAULT_WRITE);
    world_release(&p->paging.world, base);
}

static double ours_hard(void *context)
{
    struct paging *p = context;
    struct world *w = &p->paging.world;
    uint64_t elapsed = 0, taken = 0;
    uint64_t hard = world_counter(w, NTMM_COUNTER_HARD_FAULTS);
    uint64_t written = world_counter(w, NTMM_COUNTER_PAGES_WRITTEN);
    for (uint64_t lap = 0; lap < p->laps; lap++) {
        if (p->takes_free)
            make_free_frames(p);
        uint64_t base = next_part(p, 4 * p->pages);
        uint64_t before = world_counter(w, NTMM_COUNTER_PAGES_REPURPOSED);
        paging_world_hold_reads(p->is_asynchronous);
        uint64_t begin = bench_now_ns();
        fault_part(p, base);
        elapsed += bench_now_ns() - begin;
        paging_world_hold_reads(false);
        taken += world_counter(w, NTMM_COUNTER_PAGES_REPURPOSED) - before;
        world_empty_working_set(w);
    }
    uint64_t pages = p->pages * p->laps;
    bench_must(world_counter(w, NTMM_COUNTER_HARD_FAULTS) - hard == pages, "a fault was not hard");
    bench_must(world_counter(w, NTMM_COUNTER_PAGES_WRITTEN) == written, "a page was written");
    bench_must(taken == (p->takes_free ? 0 : pages), "a frame was not of the list it should be of");
    return (double)elapsed / (double)pages;
}

/* Take frames for another process, for good, until only so many are free. */
static void leave_free_frames(struct world *w, uint64_t left)
{
    ntmm_handle process = w->process;
    struct ntmm_memory_information memory;
    bench_must(ntmm_create_process(w->system, NULL, &w->process) == NTMM_STATUS_SUCCESS,
               "no process");
    uint64_t size_bytes = 1u << 30;
    uint64_t base = world_allocate(w, 0, size_bytes, NTMM_MEM_RESERVE);
    for (uint64_t i = 0;; i++) {
        ntmm_query_memory(w->system, &memory);
        if (memory.free_pages + memory.zeroed_pages <= left)
            break;
        world_allocate(w, base + i * NTMM_PAGE_SIZE, NTMM_PAGE_SIZE, NTMM_MEM_COMMIT);
        world_fault(w, base + i * NTMM_PAGE_SIZE, NTMM_FAULT_WRITE);
    }
    w->process = process;
}

/* Every page of the region gets a slot; standby has those of its second half, and no frame is
 * free. */
static void fill_page_file(struct paging *p)
{
    struct world *w = &p->paging.world;
    for (uint64_t i = 0; i < 4 * p->pages; i++) {
        world_fault(w, p->base + i * NTMM_PAGE_SIZE, NTMM_FAULT_WRITE);
        if (i % 512 == 511) {
            world_empty_working_set(w);
            world_write_modified(w);
        }
    }
}

static void measure_hard(struct bench *b, struct paging *p)
{
    static const struct {
        const char *name;
        bool takes_free;
        bool is_asynchronous;
    } kinds[] = {
        {"standby frames", false, false},
        {"standby frames, begun twice", false, true},
        {"free frames", true, false},
    };
    unsigned mebibytes = (unsigned)(4 * p->pages * NTMM_PAGE_SIZE >> 20);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct bench_figure *figure =
            bench_add(b, "ns", "hard fault, %s, %u MiB", kinds[i].name, mebibytes);
        p->takes_free = kinds[i].takes_free;
        p->is_asynchronous = kinds[i].is_asynchronous;
        bench_bar(figure, BAR_RATIO_AT_MOST, HARD_BAR);
        bench_run(b, figure, ours_hard, "lock cmpxchg", host_exchange, p);
    }
}

static void hard_faults(struct bench *b, uint64_t region_pages, uint64_t laps)
{
    struct paging p = {.pages = region_pages / 4, .laps = laps};
    uint64_t bytes = region_pages * NTMM_PAGE_SIZE;
    uint64_t tables = region_pages / NTMM_ENTRIES_PER_TABLE + 8;
    paging_world_open(&p.paging, bytes / 2 + bytes / 32 + (8u << 20), 2 * bytes + (8u << 20));
    leave_free_frames(&p.paging.world, region_pages / 2 + tables);
    p.base = world_allocate(&p.paging.world, 0, bytes, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT);
    fill_page_file(&p);
    measure_hard(b, &p);
    paging_world_close(&p.paging);
}

void bench_paging(struct bench *b)
{
    uint64_t large = bench_scale(b, LARGE_PAGES, 2048);
    soft_faults(b, bench_scale(b, SMALL_PAGES, 256), bench_scale(b, 32, 1), false);
    soft_faults(b, large, 1, false);
    soft_faults(b, large, 1, true);
    hard_faults(b, bench_scale(b, 4 * SMALL_PAGES, 1024), bench_scale(b, 32, 1));
    hard_faults(b, 2 * large, 1);
    bench_page_out(b);
}
