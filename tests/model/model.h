/*
 * The page-array model of NT's virtual memory: the judge of every random run.
 *
 * A system is a commit limit. A process is a sorted array of regions; a region is [base, end) with
 * the protection it was reserved with and a sorted array of its committed pages; a page is
 * {protection, contents}. A page of a region that is not in the array is reserved, an address in
 * no region is free. There are no page tables, no frames and no faults to resolve: everything is
 * answered from that array. A view is a region too; its pages find their contents in an array of
 * the section's, until they are copied (section.h).
 *
 * Independent on purpose: of the library only the status values are included, and nothing here was
 * derived from its code. Source of every rule: NtAllocateVirtualMemory,
 * NtFreeVirtualMemory, NtProtectVirtualMemory, NtQueryVirtualMemory as documented and as public
 * conformance tests observe them on Windows. Decisions of ours are marked "Ours".
 *
 * A page that was reset may be found as it was or as zeros, byte for byte, until it is written
 * (`loose`), and an undo may succeed or fail: whoever compares allows both.
 *
 * What it does not do: page tables' share of the commit charge, working sets, threads, stacks.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "model/nt.h"

#include <ntmm/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_PAGE_SIZE 0x1000u
#define MODEL_GRANULARITY 0x10000u
#define MODEL_LARGE_PAGE_SIZE 0x200000u

/* A commit limit that nothing reaches. */
#define MODEL_NO_LIMIT UINT64_MAX

/* The build from which a decommit of a whole region reports a size of 0. */
#define MODEL_BUILD_DECOMMIT_REPORTS_ZERO 17134u
/* The first build in which a watched region replaces a placeholder. */
#define MODEL_BUILD_REPLACE_BY_WATCH 18362u

struct model_file;
struct model_control;
struct model_object;

#define MODEL_SECTION_SLOTS 8u
#define MODEL_FILE_SLOTS 4u

/* Zeros, but for the limit and the build, are a system. */
struct model_system {
    uint64_t commit_pages;        /* pages promised: private ones of processes, and of sections */
    uint64_t commit_limit_pages;  /* commit_pages never exceeds it */
    uint32_t windows_build;       /* behave as this build where builds differ */
    struct model_object *handles; /* by handle - 1, closed ones too (section.h) */
    size_t handle_count;
    uint64_t section_slots[MODEL_SECTION_SLOTS]; /* handles that random operations name */
    uint64_t file_slots[MODEL_FILE_SLOTS];
};

struct model_page {
    uint64_t number;  /* address / 4096 */
    uint32_t protect; /* one base protection, and PAGE_GUARD or not; no cache attribute */
    uint8_t *bytes;   /* 4096 bytes, or NULL: all zero */
    uint8_t *loose;   /* 4096 flags, or NULL: none; a loose byte may be found zero instead */
    bool is_reset;    /* its contents were given up, and that was not undone */
    bool is_vague;    /* bytes were loose when they were given up: an undo cannot tell them */
    bool is_copied;   /* of a view: private since it was written, with bytes of its own */
    uint8_t locks;    /* MAP_PROCESS, MAP_SYSTEM */
};

struct model_region {
    uint64_t base;            /* first byte; what a query calls the allocation base */
    uint64_t end;             /* byte after the last */
    uint32_t protect;         /* as given when reserving, modifiers included */
    bool is_placeholder;      /* without committed pages */
    bool is_replaced;         /* took the place of a placeholder */
    bool is_watched;          /* its written pages are marked */
    bool is_window;           /* for physical pages: none of its own */
    bool is_large;            /* of large pages: one protection for each of them */
    bool is_small;            /* if so, nevertheless of small ones that stay in memory */
    struct model_page *pages; /* the committed ones, by rising number */
    size_t page_count;
    struct model_control *control; /* what a view shows (section.h); NULL: private memory */
    uint64_t offset;               /* of a view: its first byte in the section */
    uint64_t reach;                /* of a view: the byte in the section that ends it */
    uint64_t seen;                 /* of a view: the control's generation that `pages` shows */
    bool is_fixed;                 /* of a view: its protection cannot be changed */
    bool is_unshared;              /* of a view: a clone of the process has it not */
};

/* A page of a watched region that was written. */
struct model_mark {
    uint64_t number;
    bool is_latched; /* its protection was changed since: a decommit leaves the mark */
};

/* Pages whose access is promised to stay. */
struct model_secure {
    uint64_t base;
    uint64_t end;
    bool is_writable;
    bool is_over;
};

struct model_process {
    struct model_system *system;
    uint32_t handle_status;       /* what looking up its handle gives; SUCCESS while it lives */
    uint64_t bottom_up_start;     /* searches from below begin here */
    uint64_t highest_address;     /* last byte that a search may give */
    uint64_t commit_pages;        /* private pages promised */
    uint64_t commit_limit_pages;  /* commit_pages never exceeds it */
    struct model_region *regions; /* by rising base, disjoint */
    size_t region_count;
    struct model_mark *marks; /* by rising number */
    size_t mark_count;
    struct model_secure *secures; /* by handle - 1, those that are over too */
    size_t secure_count;
};

/* What a basic query reports. */
struct model_memory {
    uint64_t base;
    uint64_t allocation_base;
    uint32_t allocation_protect;
    uint64_t size_bytes;
    uint32_t state;
    uint32_t protect;
    uint32_t type;
};

/* The kinds of access; the value is the first parameter of the exception. */
enum model_access {
    MODEL_READ = 0,
    MODEL_WRITE = 1,
    MODEL_EXECUTE = 8,
};

/* The exception an access raises. status SUCCESS: none, and the rest is 0. */
struct model_fault {
    uint32_t status;
    uint32_t parameter_count;
    uint64_t parameters[3];
};

/* One extended parameter. Of address requirements `value` is the lowest start. */
struct model_parameter {
    uint64_t type;
    uint64_t value;
    uint64_t highest;   /* requirements: last byte, 0: any */
    uint64_t alignment; /* requirements: 0: any */
    bool is_null;       /* requirements: the pointer to them is NULL */
};

/* A process with an empty address space, NT's default bounds and no limit of its own. */
void model_process_begin(struct model_process *process, struct model_system *system);

/* *child, which is not begun, becomes a clone of a process; untouched on failure. */
uint32_t model_process_clone(struct model_process *process, struct model_process *child);

/* Frees everything and returns every charge; afterwards handle_status is INVALID_HANDLE. */
void model_process_end(struct model_process *process);

/*
 * The services. base, size and old are in/out as NT's are, may be NULL, and are written on success
 * only. Each returns the NTSTATUS.
 */
uint32_t model_allocate(struct model_process *process, uint64_t *base, uint64_t zero_bits,
                        uint64_t *size, uint32_t type, uint32_t protect);
uint32_t model_allocate_ex(struct model_process *process, uint64_t *base, uint64_t *size,
                           uint32_t type, uint32_t protect,
                           const struct model_parameter *parameters, uint32_t count);
/* Of the kernel's own users; the statuses and their order are ours. */
uint32_t model_secure(struct model_process *process, uint64_t base, uint64_t size, uint32_t mode,
                      uint64_t *handle);
uint32_t model_unsecure(struct model_process *process, uint64_t handle);
uint32_t model_offer(struct model_process *process, uint64_t base, uint64_t size,
                     uint32_t priority);
/* An answer as if nothing had been lost; see model_may_be_lost. */
uint32_t model_reclaim(struct model_process *process, uint64_t base, uint64_t size);
uint32_t model_discard(struct model_process *process, uint64_t base, uint64_t size);
uint32_t model_free(struct model_process *process, uint64_t *base, uint64_t *size, uint32_t type);
uint32_t model_protect(struct model_process *process, uint64_t *base, uint64_t *size,
                       uint32_t protect, uint32_t *old);
uint32_t model_query(struct model_process *process, uint64_t address, struct model_memory *memory);

/* addresses: room for *count; as NT's, written on success only. The granularity is left out. */
uint32_t model_get_write_watch(struct model_process *process, uint32_t flags, uint64_t base,
                               uint64_t size, uint64_t *addresses, uint64_t *count);
uint32_t model_reset_write_watch(struct model_process *process, uint64_t base, uint64_t size);

/* Read and write through a handle: *copied is set always. data: `size` bytes, NULL: none. */
uint32_t model_read_memory(struct model_process *process, uint64_t address, uint8_t *data,
                           uint64_t size, uint64_t *copied);
/* What a system service does before it moves bytes; access: READ or WRITE. */
uint32_t model_probe(struct model_process *process, uint64_t address, uint64_t size,
                     enum model_access access);
uint32_t model_write_memory(struct model_process *process, uint64_t address, uint8_t *data,
                            uint64_t size, uint64_t *copied);

/* Lock and unlock; kind: MAP_*. Pages that no access can reach have no lock. */
#define MODEL_WORKING_SET_MINIMUM 50u
#define MODEL_FLUID_PAGES 8u
uint32_t model_lock(struct model_process *process, uint64_t *base, uint64_t *size, uint32_t kind);
uint32_t model_unlock(struct model_process *process, uint64_t *base, uint64_t *size, uint32_t kind);

/*
 * One access of a user-mode instruction to `size` (1..64) bytes. All pages are checked, the lowest
 * first, before a byte moves. data is filled by MODEL_READ and MODEL_EXECUTE, read by MODEL_WRITE;
 * NULL: no byte moves, which is what the processor's page fault does. Returns fault->status.
 */
uint32_t model_access(struct model_process *process, uint64_t address, uint32_t size,
                      enum model_access access, uint8_t *data, struct model_fault *fault);

/* Whether a byte of a committed page may be found zero instead. */
bool model_is_loose(struct model_process *process, uint64_t address);

/* Whether an undo of a reset of these bytes may fail; and what is known once it has been tried. */
bool model_may_be_lost(struct model_process *process, uint64_t base, uint64_t size);
void model_settle(struct model_process *process, uint64_t base, uint64_t size, bool is_lost);

/* Whether the invariants of the array hold: regions and pages ordered, disjoint, legal; charges
 * exact. */
bool model_is_valid(const struct model_process *process);

/* Between the model's own files: the region that holds an address, or NULL. */
struct model_region *model_region_of(struct model_process *process, uint64_t address);
/* Index of the first page of the region whose number is not below `number`. */
size_t model_page_index(const struct model_region *region, uint64_t number);
/* The page that holds the contents of a region's page: of a view, one of its section. */
struct model_page *model_contents(const struct model_region *region, struct model_page *page);
/* What a query shows for a page: base protection, guard, and the region's cache attribute. */
uint32_t model_shown_protect(const struct model_region *region, uint32_t protect);

#endif
