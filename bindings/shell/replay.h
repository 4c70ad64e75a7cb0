/*
 * A replay: programs, each with a trace and a process, in one emulated machine.
 *
 *   open traces -> choose RAM -> machine, system -> process and regions of each trace
 *     -> slices of references in the seed's order -> look (explain), check, tear down -> report
 *
 * What a trace touches is what its program had. A binary trace says so beforehand: its runs of
 * pages become reservations and commits (replay_regions.c). A text does not: the 64 KiB around an
 * address that raises an access violation are reserved and committed then, readable, writable and
 * executable.
 *
 * Who does what: replay.c the sequence, replay_access.c one access with everything that can happen
 * to it, replay_plain.c and replay_verify.c the loops over references, replay_report.c and
 * replay_json.c the figures, replay_explain.c one address, replay_progress.c the bar.
 *
 * Invariants
 *  - Y1 services are called with the processor outside, references are replayed with it inside;
 *  - Y2 the shadow lies outside the arena; only replay_verify.c writes it, and replay_regions.c
 *       what a loader put there;
 *  - Y3 the order of references of a program is that of its trace; slices depend on the seed alone.
 */
#ifndef NTMM_SHELL_REPLAY_H
#define NTMM_SHELL_REPLAY_H

#include "trace.h"

#include <ntmm.h>
#include <ntmm/emulated.h>

#define REPLAY_BATCH 2048u
#define REPLAY_EXPLAIN_MAX 16u

struct shadow;

struct replay_address {
    uint32_t program; /* index of the trace on the command line */
    uint64_t address;
};

struct replay_options {
    uint64_t ram_bytes; /* 0: what the traces need */
    uint64_t seed;
    bool is_verified;
    const char *json_path;      /* NULL: none; "-": standard output, instead of the text */
    uint64_t corrupt_reference; /* UINT64_MAX: never; see replay_corrupt.c */
    uint32_t explain_count;
    struct replay_address explain[REPLAY_EXPLAIN_MAX];
};

struct replay_program {
    struct trace *trace;
    struct shadow *shadow; /* NULL without --verify */
    ntmm_handle process;
    bool has_regions; /* known beforehand; else made on demand */
    bool is_finished;
    uint64_t reference_count; /* replayed, folded ones included */
    uint64_t record_count;    /* replayed, the kept ones */
    uint64_t store_count;     /* stores and modifies verified so far */
    uint64_t kind_count[TRACE_KINDS];
    struct ntmm_process_information end; /* of the process after the last reference */
    size_t batch_next;
    size_t batch_count;
    struct trace_reference batch[REPLAY_BATCH];
};

struct replay {
    struct replay_options options;
    uint32_t program_count;
    struct replay_program *programs;
    struct ntmm_emulated *emu;
    struct ntmm_system *system;
    struct ntmm_cpu *cpu;
    uint64_t ram_bytes;
    uint64_t random;          /* state of the slices */
    uint64_t reference_count; /* of all programs */
    uint64_t bytes_seen;      /* what loads returned, so that they are not optimised away */
    uint64_t elapsed_ns;      /* of the references alone */
    uint64_t processor_ns;    /* of the host's processor, for them: the same on a busy host */
    bool is_corrupted;        /* the planted error is in place */
    uint64_t counters[NTMM_COUNTER_COUNT]; /* after the last reference */
    struct ntmm_memory_information memory; /* after the last reference */
    struct ntmm_check_report check;
    struct ntmm_teardown teardown;
};

/* How a status is called, such as "STATUS_NO_MEMORY", or its number. */
struct replay_status_name {
    char text[40];
};
const char *replay_status_name(ntmm_status status, struct replay_status_name *name);

/* replay_regions.c: pages that a program's commit and tables may need, and making them. */
bool replay_count_need(const struct replay_program *program, uint64_t *pages,
                       struct shell_error *error);
bool replay_make_regions(struct replay *replay, struct replay_program *program,
                         struct shell_error *error);

/* Reserves and commits the 64 KiB around an address. */
ntmm_status replay_make_region_at(struct replay *replay, struct replay_program *program,
                                  uint64_t address);

/*
 * replay_access.c: one access of any size, in pieces of at most 64 bytes, door and regions on
 * demand included. `bytes` has the reference's size: out for a fetch and a load, in for a store, in
 * (new) and out (old) for a modify. The reference is `references[index]`, the first of which
 * follows those counted in the program. SHELL_OK or SHELL_USAGE.
 */
int replay_access(struct replay *replay, struct replay_program *program,
                  const struct trace_reference *references, size_t index, unsigned char *bytes,
                  struct shell_error *error);

/* The number of references[index] in its trace, from 1, for messages. */
uint64_t replay_number(const struct replay_program *program,
                       const struct trace_reference *references, size_t index);

/*
 * Replays references that follow those counted in the program; the processor is inside. SHELL_OK
 * with all done, SHELL_WRONG when a byte differed, SHELL_USAGE when an access could not be made.
 */
int replay_run_plain(struct replay *replay, struct replay_program *program,
                     const struct trace_reference *references, size_t count,
                     struct shell_error *error);
int replay_run_verified(struct replay *replay, struct replay_program *program,
                        const struct trace_reference *references, size_t count,
                        struct shell_error *error);

/* replay_corrupt.c: how many of the next references come before the planted error. */
size_t replay_until_corruption(const struct replay *replay,
                               const struct trace_reference *references, size_t count);

/* Plants it, if the next reference reads bytes that are in RAM. */
void replay_corrupt(struct replay *replay, const struct replay_program *program,
                    const struct trace_reference *next);

/* replay_explain.c */
bool replay_explain(struct replay *replay, const struct replay_address *what, FILE *out,
                    struct shell_error *error);

/* replay_report.c, replay_json.c */
void replay_print_report(const struct replay *replay, FILE *out);
bool replay_write_json(const struct replay *replay, struct shell_error *error);

/* References of all traces, 0 when one does not know its number. */
uint64_t replay_expected_references(const struct replay *replay);

/* replay_progress.c */
struct replay_progress {
    bool is_shown;
    uint64_t begun_ns;
    uint64_t drawn_ns;
};
uint64_t replay_now_ns(void);
uint64_t replay_processor_ns(void);
void replay_progress_begin(struct replay_progress *progress);
void replay_progress_draw(struct replay_progress *progress, const struct replay *replay);
void replay_progress_end(struct replay_progress *progress);

#endif
