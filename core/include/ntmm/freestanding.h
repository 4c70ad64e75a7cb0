/**
 * @file
 * The freestanding platform: the x86-64 side of the seam, for a kernel.
 *
 * Compiled into the kernel with the core, with the flags of CMake's ntmm_freestanding. It does what
 * the processor alone decides: contents through the direct map, address spaces (CR3, PCID),
 * invalidation, shootdown by interrupt, page attributes, the interrupt flag as level.
 *
 * What the kernel supplies, in porting order; docs/PORTING.md takes a kernel through it:
 *
 *   symbols  memcpy, memmove, memset, memcmp
 *   1        memory: the ranges, and a direct map that holds all of them
 *   2        the number of the running processor
 *   3        the upper half: a root table of its own, whose upper entries all roots get
 *   4        page faults: vector 14 calls ntmm_page_fault with interrupts on
 *   5        wait and wake: a thread that blocks until woken
 *   6        now, submit, pump: a clock, a disk, its completions
 *   7        several processors: an interrupt whose handler calls ntmm_freestanding_shootdown
 *
 * 1 to 3 and 7 go into ntmm_freestanding_config, 5 and 6 into the struct ntmm_platform that
 * ntmm_freestanding_init has filled in. Kernel code that waits for another processor with
 * interrupts off must call ntmm_freestanding_poll meanwhile. Nothing here allocates or blocks.
 */
#ifndef NTMM_FREESTANDING_H
#define NTMM_FREESTANDING_H

#include <ntmm/platform.h>
#include <ntmm/status.h>
#include <ntmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** ntmm_freestanding_config.version of this header. */
#define NTMM_FREESTANDING_VERSION 1u
/** Most processors. */
#define NTMM_FREESTANDING_PROCESSORS 64u
/** Address spaces whose translations a processor keeps while others run: its context identifiers 1
 * to this. */
#define NTMM_FREESTANDING_CONTEXTS 8u
/** Counts of rounds by address space; processes that share one flush more than they must. */
#define NTMM_FREESTANDING_GENERATIONS 256u

/** What a kernel supplies. Zero the struct, set `size` and `version`. */
struct ntmm_freestanding_config {
    uint32_t size;    /**< sizeof(struct ntmm_freestanding_config). */
    uint32_t version; /**< NTMM_FREESTANDING_VERSION. */
    void *kernel;     /**< The kernel's own; becomes ntmm_freestanding.kernel. */
    /** 1. As ntmm_platform.ranges: RAM that is there, and with NTMM_FRAMES_ABSENT where more may
     * come, as the firmware's tables say; then ntmm_add_frames says when (frames.h). */
    const struct ntmm_frame_range *ranges;
    uint32_t range_count;     /**< Ranges. */
    uint32_t processor_count; /**< Processors numbered from 0, 1..64. */
    /** Virtual address of physical address 0: a map, in every address space, that holds each range,
     * writable and cached; of an absent one what was added. It may grow later, in tables below
     * those entries of the root that are there now. */
    uintptr_t direct_map;
    /** 2. Number of the running processor, with the machine as context; interrupts may be off. */
    uint32_t (*processor)(void *context);
    /** 3. Virtual address of the kernel's own root table: loaded for no process, and its upper 256
     * entries are copied into each new root. They must not change afterwards. */
    const uint64_t *root;
    uint64_t root_frame; /**< Frame of that table. */
    /** 7. Interrupt another processor, which calls ntmm_freestanding_shootdown. Interrupts are off.
     * May be NULL with one processor. */
    void (*interrupt)(void *context, uint32_t processor);
};

/** What one processor did since ntmm_freestanding_init. */
struct ntmm_freestanding_statistics {
    uint64_t rounds;       /**< Shootdowns that it began. */
    uint64_t interrupts;   /**< Interrupts that it sent for them. */
    uint64_t served;       /**< Shootdowns of others that it served. */
    uint64_t pages;        /**< Pages that it invalidated one by one. */
    uint64_t flushes;      /**< Times it flushed a whole context, or all. */
    uint64_t entries;      /**< Address spaces that it entered. */
    uint64_t warm_entries; /**< Of these, those whose translations it had kept. */
};

/** A processor. Private: which fields others read, and how, stands with the code. */
struct ntmm_freestanding_processor {
    uint64_t active;      /**< Process whose tables are loaded, 0: the kernel's own. */
    uint32_t is_asked;    /**< A round waits for this processor. */
    uint32_t slot;        /**< Context identifier of `active`, less one. */
    uint32_t next_slot;   /**< To be given to the next address space. */
    uint32_t has_pcid;    /**< The processor keeps contexts apart. */
    uint32_t has_invpcid; /**< It has INVPCID. */
    uint32_t reserved;    /**< 0. */
    uint64_t owner[NTMM_FREESTANDING_CONTEXTS];     /**< Process of each context, or 0. */
    uint64_t seen[NTMM_FREESTANDING_CONTEXTS];      /**< Its generation when last made true. */
    struct ntmm_freestanding_statistics statistics; /**< Its own to write. */
    uint64_t padding[5]; /**< To 256 bytes, so that few lines of the cache are shared. */
};

/** A machine: the platform's context. Storage of the kernel's, zeroed, never moved. */
struct ntmm_freestanding {
    void *kernel;                                        /**< The kernel's own. */
    struct ntmm_freestanding_config config;              /**< As given. */
    uint32_t round_lock;                                 /**< Private. */
    uint32_t reserved;                                   /**< 0. */
    const struct ntmm_shootdown *round;                  /**< Private. */
    uint64_t generations[NTMM_FREESTANDING_GENERATIONS]; /**< Private. */
    struct ntmm_freestanding_processor processors[NTMM_FREESTANDING_PROCESSORS]; /**< Private. */
};

/**
 * Fill in a platform with the x86-64 side: ranges, direct map, content operations, invalidate, root
 * template, relax, levels, processor; context is the machine. The kernel fills in the rest.
 *
 * @param machine   zeroed; alive as long as the system
 * @param config    copied; its ranges and root are not
 * @param platform  out: filled whole; untouched on failure
 * @return NTMM_STATUS_SUCCESS; or
 *         NTMM_STATUS_INFO_LENGTH_MISMATCH  config's size or version is not this header's
 *         NTMM_STATUS_INVALID_PARAMETER_2   no processor or too many, no function that numbers
 *                                           them, no root, or several and no interrupt
 * Level: any.
 * Locks: none. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_freestanding_init(
    struct ntmm_freestanding *machine, const struct ntmm_freestanding_config *config,
    struct ntmm_platform *platform);

/**
 * Make the running processor ready: no-execute, write protection in supervisor mode, global pages,
 * SMEP and SMAP and context identifiers where it has them, protection keys off, the page attribute
 * table that the entries mean; then load the kernel's root.
 *
 * @param machine  initialized
 * Level: HIGH.
 * Locks: none. Once on each processor, in long mode. Source: the processor manuals; NT's page
 * attribute table as debuggers show it.
 */
NTMM_API void ntmm_freestanding_start_processor(struct ntmm_freestanding *machine);

/**
 * Load the address space of a process, or the kernel's own. To be left, for another or the
 * kernel's, before the process is ended.
 *
 * @param machine     initialized
 * @param process     its handle, as ntmm_create_process gave it; 0: the kernel's own
 * @param root_frame  ntmm_process_information.root_frame; ignored with 0
 * Level: HIGH.
 * Locks: none; never waits. Source: ours.
 */
NTMM_API void ntmm_freestanding_enter(struct ntmm_freestanding *machine, ntmm_handle process,
                                      uint64_t root_frame);

/**
 * Serve the round that waits for this processor, if there is one: what the handler of the
 * shootdown's interrupt calls.
 *
 * @param machine  initialized
 * Level: HIGH.
 * Locks: none; never waits. Source: ours.
 */
NTMM_API void ntmm_freestanding_shootdown(struct ntmm_freestanding *machine);

/**
 * The same for a spin with interrupts off, which the interrupt does not reach: one load when there
 * is nothing to do.
 *
 * @param machine  initialized
 * Level: HIGH.
 * Locks: none; never waits. Source: ours.
 */
NTMM_API void ntmm_freestanding_poll(struct ntmm_freestanding *machine);

/**
 * What a processor did.
 *
 * @param machine    initialized
 * @param processor  below the configured count
 * @param out        filled whole; zeros when there is no such processor
 * Level: any.
 * Locks: none; the numbers are of slightly different moments. Source: ours.
 */
NTMM_API void ntmm_freestanding_query(const struct ntmm_freestanding *machine, uint32_t processor,
                                      struct ntmm_freestanding_statistics *out);

#ifdef __cplusplus
}
#endif

#endif
