/*
 * Two threads on two processors: of one system, beside one each of two systems that share nothing.
 *
 *   two processes   each thread has a process of its own
 *   one process     each thread has a region of its own in the process of both
 *
 * The two systems are what the machine gives to two threads (cache, memory, what else runs); the
 * ratio, the median of those of all rounds, is what one system makes of it. A round begins when
 * both threads are ready and ends when the last is done; making and releasing regions is not
 * measured, unless it is the subject.
 */
#include "world.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#define THREADS 2u
#define FAULT_PAGES 16384u /* of each thread: 64 MiB */
#define QUERY_REGIONS 64u
#define QUERY_BASE 0x100000000ull
#define QUERIES 400000u
#define CYCLES 40000u
#define CYCLE_PAGES 4u

struct party {
    struct scaling *s;
    struct world *world;
    ntmm_handle process;
    uint64_t base;
    uint64_t count; /* pages, queries or cycles */
    uint64_t begin_ns, end_ns;
    int processor; /* -1: any */
    uint32_t index;
};

struct scaling {
    struct world worlds[THREADS];
    ntmm_handle second; /* another process of worlds[0] */
    void (*work)(struct party *party);
    uint64_t count;
    bool is_one_process;
    bool is_zeroed;
    bool has_regions; /* each party has one of `count` pages */
    atomic_uint ready;
    int processors[THREADS];
};

static ntmm_status allocate(struct party *p, uint64_t *base, uint64_t pages)
{
    uint64_t size = pages * NTMM_PAGE_SIZE;
    *base = 0;
    return ntmm_allocate_virtual_memory(p->world->system, p->process, base, 0, &size,
                                        NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE);
}

static ntmm_status release(struct party *p, uint64_t base)
{
    uint64_t size = 0;
    return ntmm_free_virtual_memory(p->world->system, p->process, &base, &size, NTMM_MEM_RELEASE);
}

static void do_faults(struct party *p)
{
    world_fault_pages(p->world, p->process, p->base, p->count);
}

static void do_cycles(struct party *p)
{
    for (uint64_t i = 0; i < p->count; i++) {
        uint64_t base;
        bench_must(allocate(p, &base, CYCLE_PAGES) == NTMM_STATUS_SUCCESS, "an allocation failed");
        world_fault_pages(p->world, p->process, base, CYCLE_PAGES);
        bench_must(release(p, base) == NTMM_STATUS_SUCCESS, "a release failed");
    }
}

static void do_queries(struct party *p)
{
    struct ntmm_memory_basic_information information;
    for (uint64_t i = 0; i < p->count; i++) {
        uint64_t address = QUERY_BASE + i % QUERY_REGIONS * NTMM_ALLOCATION_GRANULARITY;
        bench_must(ntmm_query_virtual_memory(p->world->system, p->process, address, &information) ==
                       NTMM_STATUS_SUCCESS,
                   "a query failed");
    }
}

/* What each process has besides: what is asked for, and so that no tree becomes empty. */
static void make_regions(struct world *w, ntmm_handle process)
{
    for (uint64_t i = 0; i < QUERY_REGIONS; i++) {
        uint64_t base = QUERY_BASE + i * NTMM_ALLOCATION_GRANULARITY, size = NTMM_PAGE_SIZE;
        ntmm_status status =
            ntmm_allocate_virtual_memory(w->system, process, &base, 0, &size,
                                         NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE);
        bench_must(status == NTMM_STATUS_SUCCESS, "an allocation failed");
    }
}

static void *run_party(void *context)
{
    struct party *p = context;
    bench_move(p->processor);
    ntmm_emulated_bind_thread(p->world->emu, p->index);
    (void)atomic_fetch_add(&p->s->ready, 1);
    while (atomic_load(&p->s->ready) != THREADS)
        (void)sched_yield();
    p->begin_ns = bench_clock_ns();
    p->s->work(p);
    p->end_ns = bench_clock_ns();
    return NULL;
}

/* Operations a microsecond of both together. */
static double together(struct scaling *s, struct party *parties)
{
    pthread_t threads[THREADS];
    uint64_t begin = UINT64_MAX, end = 0, count = 0;
    atomic_store(&s->ready, 0);
    for (uint32_t i = 0; i < THREADS; i++)
        bench_must(pthread_create(&threads[i], NULL, run_party, &parties[i]) == 0, "no thread");
    for (uint32_t i = 0; i < THREADS; i++) {
        bench_must(pthread_join(threads[i], NULL) == 0, "a thread is lost");
        begin = parties[i].begin_ns < begin ? parties[i].begin_ns : begin;
        end = parties[i].end_ns > end ? parties[i].end_ns : end;
        count += parties[i].count;
    }
    return (double)count * 1000.0 / (double)(end - begin);
}

static double round_of(struct scaling *s, struct party *parties)
{
    for (uint32_t i = 0; i < THREADS; i++) {
        parties[i].s = s;
        parties[i].count = s->count;
        parties[i].processor = s->processors[i];
        parties[i].index = i;
        if (s->has_regions)
            bench_must(allocate(&parties[i], &parties[i].base, s->count) == NTMM_STATUS_SUCCESS,
                       "an allocation failed");
    }
    double speed = together(s, parties);
    for (uint32_t i = 0; i < THREADS; i++) {
        if (s->has_regions)
            bench_must(release(&parties[i], parties[i].base) == NTMM_STATUS_SUCCESS,
                       "a release failed");
        if (s->is_zeroed)
            world_zero_frames(parties[i].world);
    }
    return speed;
}

static double ours(void *context)
{
    struct scaling *s = context;
    struct world *w = &s->worlds[0];
    struct party parties[THREADS] = {{.world = w, .process = w->process},
                                     {.world = w, .process = w->process}};
    if (!s->is_one_process)
        parties[1].process = s->second;
    return round_of(s, parties);
}

static double two_systems(void *context)
{
    struct scaling *s = context;
    struct party parties[THREADS];
    for (uint32_t i = 0; i < THREADS; i++)
        parties[i] = (struct party){.world = &s->worlds[i], .process = s->worlds[i].process};
    return round_of(s, parties);
}

static void measure(struct bench *b, struct scaling *s, const char *what, bool is_one_process,
                    double bar)
{
    const char *of = is_one_process ? "one process" : "two processes";
    struct bench_figure *figure = bench_add(b, "1/us", "2 threads, %s: %s", of, what);
    s->is_one_process = is_one_process;
    bench_bar(figure, BAR_RATIO_AT_LEAST, bar);
    figure->is_paired = true;
    if (b->processor_pair[1] < 0)
        bench_note(figure, "both threads on one processor: the ratio says nothing");
    bench_run(b, figure, ours, "two systems", two_systems, s);
}

static void measure_both(struct bench *b, struct scaling *s, const char *what)
{
    measure(b, s, what, false, 0.9);
    measure(b, s, what, true, 0.8);
}

void bench_scaling(struct bench *b)
{
    struct scaling *s = bench_allocate(1, sizeof *s);
    uint64_t pages = bench_scale(b, FAULT_PAGES, 1024);
    for (uint32_t i = 0; i < THREADS; i++) {
        world_open_threads(&s->worlds[i], (THREADS * pages + 4096) * NTMM_PAGE_SIZE);
        make_regions(&s->worlds[i], s->worlds[i].process);
        s->processors[i] = b->processor_pair[i];
    }
    bench_must(ntmm_create_process(s->worlds[0].system, NULL, &s->second) == NTMM_STATUS_SUCCESS,
               "no process");
    make_regions(&s->worlds[0], s->second);

    s->work = do_faults;
    s->count = pages;
    s->has_regions = true;
    s->is_zeroed = true;
    measure_both(b, s, "demand zero, frames zeroed");
    s->is_zeroed = false;
    measure_both(b, s, "demand zero, frames free");
    s->has_regions = false;
    s->work = do_cycles;
    s->count = bench_scale(b, CYCLES, 500);
    measure_both(b, s, "commit, 4 pages touched, release");
    s->work = do_queries;
    s->count = bench_scale(b, QUERIES, 1000);
    measure(b, s, "query", true, 0.95);

    bench_must(ntmm_end_process(s->worlds[0].system, s->second) == NTMM_STATUS_SUCCESS,
               "a process does not end");
    for (uint32_t i = 0; i < THREADS; i++)
        world_close(&s->worlds[i]);
    free(s);
}
