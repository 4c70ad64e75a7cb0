/*
 * The benchmark: figures of ntmm, each beside the host's own of the same run.
 *
 *   for each figure:  warm both, then  host, ours, host, ours, ...  -> best and median of each
 *
 * A bar is what the project asks for, as a ratio of the best rounds or as a limit of ours. It is
 * reported as PASS or MISS and fails nothing: absolute figures belong to a machine. The program
 * fails only when a call that must succeed does not.
 *
 *   main.c      arguments, order of the subjects      clock.c    time, one processor
 *   rounds.c    figures from rounds                   report.c json.c   table, JSON
 *   world.c     a machine with one process            host.c     what the host is compared by
 *   hand_made.c page tables without a memory manager
 *   paging_world.c one whose page file's device moves nothing
 *   operations.c what is compared with Wine, written once for both
 *   tlb.c faults.c regions.c single.c sections.c paging.c page_out.c replay.c metadata.c
 *   snapshot.c scaling.c wine.c  the subjects
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ntmm.h>
#include <ntmm/emulated.h>

#define BENCH_FIGURES_MAX 96u
#define BENCH_ROUNDS_MAX 31u

/* What a figure is held to. */
enum bench_bar_kind {
    BAR_NONE,           /* shown for comparison */
    BAR_RATIO_AT_MOST,  /* ours / host, of times */
    BAR_RATIO_AT_LEAST, /* ours / host, of speeds */
    BAR_AT_MOST,        /* ours, in the figure's unit */
    BAR_AT_LEAST,       /* ours, in the figure's unit */
};

/* Rounds of one side. */
struct bench_samples {
    uint32_t count;
    double values[BENCH_ROUNDS_MAX];
};

struct bench_figure {
    char name[64];
    char host_name[40]; /* empty: the host has nothing like it */
    const char *unit;
    enum bench_bar_kind bar_kind;
    double bar;
    bool is_paired; /* the ratio is the median of those of each round, not that of the best ones */
    char note[160]; /* what the reader must know; may be empty */
    struct bench_samples ours;
    struct bench_samples host; /* count 0: none */
};

struct bench {
    uint32_t figure_count;
    struct bench_figure figures[BENCH_FIGURES_MAX];
    uint32_t rounds;             /* of each side of a figure, at least */
    bool is_smoke;               /* as little as shows that it runs; the figures mean nothing */
    int processor;               /* the one that all runs on; -1: could not be pinned */
    int processor_pair[2];       /* those of two threads; -1: there is none */
    const char *ntmm_path;       /* the command, for replay */
    const char *trace_path;      /* folder of the binary traces */
    const char *disk_path;       /* folder of the files that pages are written to */
    const char *wine_path;       /* Wine; NULL: there is none */
    const char *operations_path; /* the program of windows/ */
};

/* One round of one side: nanoseconds an operation, or what the figure's unit says. */
typedef double (*bench_round)(void *context);

/* Add a figure, its text formatted as printf does. */
struct bench_figure *bench_add(struct bench *b, const char *unit, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void bench_bar(struct bench_figure *figure, enum bench_bar_kind kind, double bar);
void bench_note(struct bench_figure *figure, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Measure both sides in turn. host may be NULL. */
void bench_run(struct bench *b, struct bench_figure *figure, bench_round ours,
               const char *host_name, bench_round host, void *context);

/* The least disturbed round: the smallest of times, the largest of speeds. */
double bench_best(const struct bench_figure *figure, const struct bench_samples *samples);
double bench_median(const struct bench_samples *samples);
/* How far the median is from the best, as a part of the best. */
double bench_spread(const struct bench_figure *figure, const struct bench_samples *samples);
/* Of the best ones, or of rounds that were beside each other. */
double bench_ratio(const struct bench_figure *figure);
/* "PASS", "MISS", or "" without a bar. */
const char *bench_verdict(const struct bench_figure *figure);

/* clock.c */

/* Time that this thread has had a processor for, in user or kernel mode: other programs on the
 * machine cost us cache and shared units of the core, but not their time. */
uint64_t bench_now_ns(void);
/* Time on the wall. */
uint64_t bench_clock_ns(void);
/* Choose the processors of the benchmark, and stay on one. */
void bench_pin(struct bench *b);
/* The calling thread goes to a processor; -1: stays. */
void bench_move(int processor);
/* A number that repeats: the n-th of a sequence. */
uint64_t bench_random(uint64_t *state);
/* Put values in random order. */
void bench_shuffle(uint64_t *values, size_t count, uint64_t *state);
/* End the program when what must hold does not. */
void bench_must(bool is_true, const char *what);
void *bench_allocate(size_t count, size_t size_bytes);
/* Smaller in a smoke run. */
size_t bench_scale(const struct bench *b, size_t count, size_t smoke_count);

/* report.c, json.c */
void bench_print(const struct bench *b);
bool bench_write_json(const struct bench *b, const char *path);

/* host.c: rounds; context is not used. */
double host_lock_cmpxchg(void *context);

/* page_out.c: the part of paging that needs a disk. */
void bench_page_out(struct bench *b);

/* The subjects. */
void bench_tlb(struct bench *b);
void bench_faults(struct bench *b);
void bench_regions(struct bench *b);
void bench_single_pages(struct bench *b);
void bench_sections(struct bench *b);
void bench_paging(struct bench *b);
void bench_replay(struct bench *b);
void bench_metadata(struct bench *b);
void bench_snapshot(struct bench *b);
void bench_scaling(struct bench *b);
void bench_wine(struct bench *b);

#endif
