/*
 * What the calls of fuzz_calls work on: an input that is read byte by byte, a machine with a system
 * under pressure, the handles and ranges that came out of earlier calls, and the judgement of every
 * status.
 *
 * Judgement of a call: its status is one that its docstring lists; a failed one left its outputs as
 * they were and no process with another number of regions, size or commit.
 */
#ifndef FUZZ_CALLS_WORLD_H
#define FUZZ_CALLS_WORLD_H

#include "base/instance.h"
#include "phys/pfn.h"

#include <ntmm.h>
#include <ntmm/emulated.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A call that returns a status, by its docstring. */
struct documented {
    const char *name;
    bool is_platform; /* may also return what the platform returned */
    uint32_t count;
    const ntmm_status *statuses;
};

#include "calls_documented.h"

#define HANDLE_COUNT 16u
#define PROCESS_COUNT 4u
#define RANGE_COUNT 16u
#define DISK_COUNT 4u
#define DEVICE_COUNT 8u
#define FILE_COUNT 8u
#define SECTION_COUNT 8u
#define FRAME_COUNT 64u
#define WAIT_COUNT 2u
#define SECURE_COUNT 4u
#define UPPER_FRAMES 64u /* of RAM that is not there at first; one holds their rows */
#define CPU_COUNT 2u
#define BUFFER_LIMIT 0x20000u /* most bytes of one host buffer */
#define POISON 0xA5

struct range {
    uint64_t base;
    uint64_t size;
};

/* Of a process, what no failed call may change. */
struct account {
    uint64_t regions;
    uint64_t size_bytes;
    uint64_t commit_pages;
};

/* What the maker of the last image knows of it. */
struct known_image {
    ntmm_handle section; /* 0: none */
    uint64_t preferred_base;
    uint64_t size; /* bytes of the view */
    bool is_kept;  /* not of DYNAMIC_BASE, for sure: policies hold for it */
    bool is_stripped;
};

struct pending {
    struct ntmm_wait wait;
    struct ntmm_fault_request request;
    bool is_pending;
};

struct world {
    const uint8_t *data;
    size_t size;
    size_t at;
    struct ntmm_emulated *emu;
    struct ntmm_system *system;
    ntmm_handle handles[HANDLE_COUNT];    /* of anything, dead or alive */
    ntmm_handle processes[PROCESS_COUNT]; /* with all rights, dead or alive */
    struct account accounts[PROCESS_COUNT];
    unsigned next_handle;
    unsigned next_process;
    struct range ranges[RANGE_COUNT];
    unsigned next_range;
    uint64_t secures[SECURE_COUNT]; /* names of secured ranges, of any process */
    unsigned next_secure;
    ntmm_handle secure_process; /* of the last */
    struct ntmm_thread_stack stack;
    struct pending pending[WAIT_COUNT];
    struct ntmm_region_iterator iterator;
    uint64_t disks[DISK_COUNT];
    unsigned disk_count;
    uint64_t devices[DEVICE_COUNT]; /* of files; 0: not made yet */
    unsigned device_count;
    ntmm_handle files[FILE_COUNT]; /* open or closed */
    unsigned next_file;
    ntmm_handle sections[SECTION_COUNT]; /* open or closed */
    unsigned next_section;
    struct known_image image;
    ntmm_handle view_process; /* of the last view */
    uint64_t view_base;
    uint64_t frames[FRAME_COUNT]; /* user physical pages of any process */
    unsigned next_frame;
    void *lent; /* to the machine, from lent_frame on */
    uint64_t lent_frame;
    uint64_t upper_frame; /* the first of those that are not there at first */
    bool is_lending;      /* some frame may be no memory, or was taken back */
    bool is_injecting;    /* a disk or the host's memory is to fail */
    bool has_file;
    struct frame_chain hog; /* frames taken away from the system */
    unsigned hog_calls;     /* calls until they come back */
    void *arena;            /* RAM that was full of garbage; NULL: the machine's own */
    void *scratch;
    size_t scratch_size;
    void *buffer; /* of the call being made */
    bool is_traced;
};

/* The input. Past its end everything is 0. An expression takes once only where C leaves the order
 * open, so that an input means the same whatever compiled the program. */
bool has_input(const struct world *w);
uint8_t take8(struct world *w);
uint32_t take32(struct world *w);
uint64_t take64(struct world *w);
/* True about once in `n`. */
bool one_in(struct world *w, uint8_t n);

/* Arguments, biased to what is nearly right. */
ntmm_handle take_handle(struct world *w);
/* Of `count` handles the newest, before `next`, half of the time; any other once in 16. */
ntmm_handle take_of(struct world *w, const ntmm_handle *handles, unsigned next, unsigned count);
ntmm_handle take_section(struct world *w);
uint64_t take_file_offset(struct world *w);
ntmm_handle take_process(struct world *w); /* with all rights, most likely alive */
uint64_t take_address(struct world *w);
uint64_t take_size(struct world *w);
uint32_t take_protect(struct world *w);
uint32_t take_type(struct world *w);
uint64_t take_zero_bits(struct world *w);
uint64_t take_any(struct world *w);
/* Any value, but most likely below `bound`. */
uint32_t take_below(struct world *w, uint8_t bound);
/* A host buffer of exactly that many bytes, full of POISON, at any alignment; freed by release. */
uint8_t *take_buffer(struct world *w, uint64_t size);
void release_buffer(struct world *w);
/* Whether the buffer is still full of POISON. */
bool is_poison(const void *buffer, uint64_t size);

/* The machine. */
void world_begin(struct world *w);
void world_end(struct world *w);
void world_check(struct world *w);
void add_handle(struct world *w, ntmm_handle handle);
void add_process(struct world *w, ntmm_handle handle);
void add_range(struct world *w, uint64_t base, uint64_t size);
void add_disk(struct world *w);
void create_file_object(struct world *w);
void add_file_object(struct world *w, ntmm_handle handle);
void add_section(struct world *w, ntmm_handle handle);
/* A view in a process, where the system wants it. */
void map_view_in(struct world *w, ntmm_handle section, ntmm_handle process);
void lock_file(struct world *w);
void unlock_file(struct world *w);
void mend_devices(struct world *w);
void take_frames(struct world *w, uint64_t left, unsigned calls);
void give_frames(struct world *w);
bool is_waiting(const struct world *w);

_Noreturn void world_fail(const struct world *w, const char *why);
void must(const struct world *w, bool holds, const char *why);
ntmm_status judge(struct world *w, enum documented_call call, ntmm_status status);

/* ntmm_NAME(...), judged. */
#define CALL(w, name, ...) judge(w, CALL_##name, ntmm_##name(__VA_ARGS__))

static inline bool is_failure(ntmm_status status) { return status >= 0x80000000u; }

/* The calls. Each takes its arguments from the input. */
typedef void verb_function(struct world *w);
struct verb {
    const char *name;
    verb_function *run;
};
extern const struct verb VIRTUAL_VERBS[];
extern const unsigned VIRTUAL_VERB_COUNT;
extern const struct verb QUERY_VERBS[];
extern const unsigned QUERY_VERB_COUNT;
extern const struct verb MEMORY_VERBS[];
extern const unsigned MEMORY_VERB_COUNT;
extern const struct verb MAPPED_VERBS[];
extern const unsigned MAPPED_VERB_COUNT;
extern const struct verb SNAPSHOT_VERBS[];
extern const unsigned SNAPSHOT_VERB_COUNT;
extern const struct verb PHYSICAL_VERBS[];
extern const unsigned PHYSICAL_VERB_COUNT;
extern const struct verb SECTION_VERBS[];
extern const unsigned SECTION_VERB_COUNT;
extern const struct verb IMAGE_VERBS[];
extern const unsigned IMAGE_VERB_COUNT;
extern const struct verb FILE_VERBS[];
extern const unsigned FILE_VERB_COUNT;
extern const struct verb SYSTEM_VERBS[];
extern const unsigned SYSTEM_VERB_COUNT;

#endif
