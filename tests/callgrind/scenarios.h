/*
 * What the scenarios share: a machine, and how a scenario is described.
 *
 *   scenarios.c  the program; demand-zero faults, regions, single pages
 *   sections.c   sections of page files, views, copies on write
 *   paging.c     soft and hard faults, trimming and writing, over a device that moves nothing
 *   files.c      pages of mapped files and of images
 *   special.c    stacks, clones, windows of user physical pages, large pages
 */
#ifndef CALLGRIND_SCENARIOS_H
#define CALLGRIND_SCENARIOS_H

#include <ntmm.h>
#include <ntmm/emulated.h>

#define MEBIBYTE 0x100000ull
#define PAGES 4096u /* four times what the processor's TLB holds */
#define CLUSTER_PAGES 8u
#define BASE 0x100000000ull
#define RESERVE_COMMIT (NTMM_MEM_RESERVE | NTMM_MEM_COMMIT)

struct machine {
    struct ntmm_emulated *emu;
    struct ntmm_system *system;
    struct ntmm_cpu *cpu; /* paging: NULL */
    ntmm_handle process;
    ntmm_handle section; /* sections */
    uint64_t image;      /* where its .text is mapped */
    struct ntmm_thread_stack stack;
    uint64_t frames[PAGES]; /* user physical pages */
    uint64_t region_count;
    void *arena;   /* ours, or NULL */
    void *storage; /* paging: of the system */
};

struct scenario {
    const char *name;
    uint64_t ram_bytes;
    uint64_t parameter; /* of prepare */
    uint32_t operations;
    void (*prepare)(struct machine *m, uint64_t parameter);
    void (*run)(struct machine *m);
    bool is_given_arena; /* whose frames are free at first; the machine's own are zeroed */
};

void must(bool is_true, const char *what);
void must_be(ntmm_status status, ntmm_status expected);
void allocate(struct machine *m, uint64_t base, uint64_t size_bytes, uint32_t type,
              uint32_t protect);

/* A page fault of a program; error_code: NTMM_FAULT_* bits. */
ntmm_status knock(struct machine *m, uint64_t address, uint32_t error_code);

/* The same, which must be resolved as this kind. */
void must_be_kind(struct machine *m, uint64_t address, uint32_t error_code,
                  enum ntmm_fault_kind kind);

/* The machine's system, with a page file of file_bytes on a device that moves nothing; hard faults
 * read clusters of so many pages. */
void paging_open(struct machine *m, uint64_t file_bytes, uint32_t cluster_pages);
void paging_close(struct machine *m);

extern const struct scenario paging_scenarios[];
extern const uint32_t paging_scenario_count;
extern const struct scenario section_scenarios[];
extern const uint32_t section_scenario_count;
extern const struct scenario file_scenarios[];
extern const uint32_t file_scenario_count;
extern const struct scenario clustered_scenarios[]; /* hard faults read CLUSTER_PAGES pages */
extern const uint32_t clustered_scenario_count;
extern const struct scenario special_scenarios[];
extern const uint32_t special_scenario_count;

#endif
