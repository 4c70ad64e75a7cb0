/*
 * A replay: programs, each with a trace and a process, in one emulated machine.
 *
 *   open traces -> choose RAM -> machine, system, page files -> process and regions of each program
 *     -> slices of references in the seed's order -> look (explain), check, tear down -> report
 *
 * What a trace touches is what its program had. A binary trace says so beforehand: its runs of
 * pages become reservations and commits (replay_regions.c). A text does not: the 64 KiB around an
 * address that raises an access violation are reserved and committed then, readable, writable and
 * executable.
 *
 * Who does what: replay.c the sequence, replay_machine.c RAM, system and page files,
 * replay_turns.c whose turn it is on which processor, replay_access.c one access with everything
 * that can happen to it, replay_plain.c and replay_verify.c the loops over references,
 * replay_report.c, replay_paging.c and replay_json.c the figures, replay_chart.c working sets over
 * time, replay_explain.c one address, replay_progress.c the bar.
 *
 * Invariants
 *  - Y1 services are called with the processor outside, references are replayed with it inside;
 *  - Y2 the shadow lies outside the arena; only replay_verify.c writes it, and replay_regions.c
 *       what a loader put there;
 *  - Y3 the order of references of a program is that of its trace; slices depend on the seed alone;
 *  - Y4 a program is run by one processor at a time, and a processor runs one program.
 */
#ifndef NTMM_SHELL_REPLAY_H
#define NTMM_SHELL_REPLAY_H

#include "trace.h"

#include <ntmm.h>
#include <ntmm/emulated.h>

#define REPLAY_BATCH 2048u
#define REPLAY_EXPLAIN_MAX 16u
#define REPLAY_PROCESSES_MAX 256u /* of a trace */
#define REPLAY_CPUS_MAX 64u
#define REPLAY_SAMPLES 128u /* of a working set, over the whole run */

struct shadow;

struct replay_address {
    uint32_t program; /* index of the program: of the trace, when each has one process */
    uint64_t address;
};

/* RAM as it was asked for: bytes, or a part of what the programs touch; 0, 0: what they need. */
struct replay_ram {
    uint64_t bytes;
    uint64_t parts;
    uint64_t of_parts; /* > 0 with parts */
};

struct replay_page_file {
    const char *path; /* NULL: a disk in memory */
    uint64_t initial_bytes;
    uint64_t maximum_bytes;
};

struct replay_options {
    struct replay_ram ram;
    uint64_t seed;
    bool is_verified;
    const char *json_path;          /* NULL: none; "-": standard output, instead of the text */
    uint64_t corrupt_reference;     /* UINT64_MAX: never; see replay_corrupt.c */
    uint32_t process_count;         /* of each trace, 1..REPLAY_PROCESSES_MAX */
    uint32_t cpu_count;             /* coroutines, one a processor; 0: one processor without them */
    uint32_t read_cluster_pages;    /* 0: the system's default */
    uint32_t minimum_latency_pumps; /* 0: the disk's default */
    uint32_t maximum_latency_pumps; /* 0: the disk's default */
    uint32_t paging_flags;          /* NTMM_PAGING_* */
    uint64_t working_set_minimum_pages; /* of each process, 0: the default */
    uint64_t working_set_maximum_pages; /* of each process, 0: the default */
    uint32_t page_file_count;
    struct replay_page_file page_files[NTMM_PAGING_FILES_MAXIMUM];
    uint32_t explain_count;
    struct replay_address explain[REPLAY_EXPLAIN_MAX];
};

struct replay_program {
    struct trace *trace;
    struct shadow *shadow; /* NULL without --verify */
    uint32_t copy;         /* 1.. of the programs of this trace; 0: it is the only one */
    ntmm_handle process;
    struct ntmm_cpu *cpu; /* that runs it, or ran it last */
    uint32_t cpu_index;
    bool is_running;  /* a processor has it (Y4) */
    bool has_regions; /* known beforehand; else made on demand */
    bool is_finished;
    uint64_t reference_count; /* replayed, folded ones included */
    uint64_t record_count;    /* replayed, the kept ones */
    uint64_t store_count;     /* stores and modifies verified so far */
    uint64_t bytes_seen;      /* what loads returned, so that they are not optimised away */
    uint64_t kind_count[TRACE_KINDS];
    uint64_t working_set_now;            /* pages, when it was last looked at */
    uint64_t samples[REPLAY_SAMPLES];    /* pages, one an interval of the chart */
    struct ntmm_process_information end; /* of the process after the last reference */
    size_t batch_next;
    size_t batch_count;
    struct trace_reference batch[REPLAY_BATCH];
};

/* When working sets are looked at; replay_chart.c. */
struct replay_chart {
    uint64_t interval; /* references between two samples */
    uint64_t next_at;  /* references, the next sample is due */
    uint32_t count;    /* samples of each program */
};

struct replay {
    struct replay_options options;
    uint32_t program_count;
    uint32_t alive_count; /* programs that are not finished */
    struct replay_program *programs;
    struct ntmm_emulated *emu;
    struct ntmm_system *system;
    uint64_t ram_bytes;
    uint64_t footprint_pages; /* that the programs touch, and their tables; 0: not known */
    uint64_t random;          /* state of the slices */
    uint64_t slice_count;     /* done */
    uint64_t reference_count; /* of all programs */
    uint64_t elapsed_ns;      /* of the references alone */
    uint64_t processor_ns;    /* of the host's processor, for them: the same on a busy host */
    bool is_corrupted;        /* the planted error is in place */
    struct replay_chart chart;
    uint64_t counters[NTMM_COUNTER_COUNT]; /* after the last reference */
    struct ntmm_memory_information memory; /* after the last reference */
    struct ntmm_paging_file_information page_files[NTMM_PAGING_FILES_MAXIMUM];
    struct ntmm_check_report check;
    struct ntmm_teardown teardown;
};

/* replay_machine.c: the size of RAM; a machine with a system and page files. */
bool replay_choose_ram(struct replay *replay, struct shell_error *error);
bool replay_make_machine(struct replay *replay, uint64_t ram_bytes, struct shell_error *error);
bool replay_make_process(struct replay *replay, struct replay_program *program,
                         struct shell_error *error);

/* A line about commit or frames that did not suffice for `what`, and what to add; false. */
bool replay_refuse_shortage(const struct replay *replay, ntmm_status status, const char *what,
                            struct shell_error *error);

/* Completes the transfers in flight; no call may be in progress. */
void replay_settle(struct replay *replay);

/* replay_turns.c: all references of all programs; an exit status. */
int replay_run_turns(struct replay *replay, struct shell_error *error);

/* replay_regions.c: pages that a program's commit and tables may need, pages and tables that its
 * references touch, and making what it had. */
bool replay_count_need(const struct replay_program *program, uint64_t *pages,
                       struct shell_error *error);
uint64_t replay_count_footprint(const struct replay_program *program);
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

/* replay_report.c, replay_paging.c, replay_json.c */
struct replay_program_name {
    char text[64];
};
void replay_print_report(const struct replay *replay, FILE *out);
void replay_print_paging(const struct replay *replay, FILE *out);
bool replay_write_json(const struct replay *replay, struct shell_error *error);

/* The last part of the trace's path, " #2" behind it for its second program; and the widest. */
const char *replay_short_name(const struct replay_program *program,
                              struct replay_program_name *name);
int replay_name_width(const struct replay *replay);

/* Transfers and pages of all page files together; the other fields are 0. */
struct ntmm_paging_file_information replay_sum_files(const struct replay *replay);

/* a / b, 0 for b == 0 */
double replay_mean(uint64_t a, uint64_t b);

/* replay_chart.c: looks at working sets when it is time, and draws them. */
void replay_chart_begin(struct replay *replay);
void replay_chart_sample(struct replay *replay);
void replay_print_chart(const struct replay *replay, FILE *out);

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
