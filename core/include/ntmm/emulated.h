/**
 * @file
 * The emulated platform: an arena as RAM, virtual processors with a software MMU, simulated disks,
 * and coroutines under a seeded scheduler, all in one opaque instance. Hosted code.
 *
 * Same seed, same run. With one host thread, time, entropy, the interleaving of coroutines and the
 * order of I/O come from the seed alone. NTMM_EMULATED_THREADS gives that up for real concurrency.
 *
 * Two rules for whoever drives processors:
 *  - a processor is owned by one thread or coroutine at a time;
 *  - services (every ntmm_ call that takes a system) are called with the caller's processor
 *    outside, that is, not between ntmm_cpu_enter and ntmm_cpu_leave: a shootdown waits until each
 *    processor that is inside has polled, the caller's own included. (With one host thread the
 *    machine applies the invalidation itself, and breaking this rule does no harm.) The accesses
 *    below step outside for the door by themselves, and leave the processor inside or outside as
 *    they found it.
 *
 * Glossary. Arena: the host memory that is RAM. Hole: physical addresses inside RAM that are not
 * RAM. Pump: a moment at which I/O may complete. Coroutine: a stack that the scheduler switches to;
 * one stands for a processor's thread of execution, or for a worker. Virtual time: 100 ns units
 * that the scheduler and the pump advance.
 */
#ifndef NTMM_EMULATED_H
#define NTMM_EMULATED_H

#include <ntmm/cpu.h>
#include <ntmm/fault.h>
#include <ntmm/platform.h>
#include <ntmm/system.h>
#include <ntmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** ntmm_emulated_config.version of this header. */
#define NTMM_EMULATED_CONFIG_VERSION 1u

/** Most buffers and devices that an instance has at a time. */
#define NTMM_EMULATED_MAXIMUM_LENT 16u

/** @name Flags of ntmm_emulated_config
 * @{ */
/** Several host threads make calls: waits block the thread until another one wakes it, and time is
 * the host's clock. Without it one thread at a time uses the machine, and a wait that neither a
 * coroutine nor a transfer can end returns NTMM_STATUS_TIMEOUT at once. */
#define NTMM_EMULATED_THREADS 0x1u
/** now() is the host's monotonic clock instead of virtual time. */
#define NTMM_EMULATED_HOST_CLOCK 0x2u
/** The caller's arena is all zero already. */
#define NTMM_EMULATED_ARENA_ZEROED 0x4u
/** Keep the interrupt level (enum ntmm_level): completions are run at DISPATCH, and waits, pumps
 * and transfers begun there are counted (statistics, `violations`). Not with
 * NTMM_EMULATED_THREADS. */
#define NTMM_EMULATED_CHECK_LEVEL 0x8u
/** Ask the host for huge pages under an arena that the instance allocates. */
#define NTMM_EMULATED_HUGE_PAGES 0x10u
/** Coroutines may also be switched at each content operation, each shootdown, and whenever the last
 * lock is released: many more interleavings, at a price. Not with NTMM_EMULATED_THREADS. */
#define NTMM_EMULATED_PREEMPT 0x20u
/** RAM behind the hole, of which there must be one, is not there until ntmm_add_frames: a range
 * with NTMM_FRAMES_ABSENT. It is part of hash, file and snapshots, and zero when the arena is. */
#define NTMM_EMULATED_UPPER_ABSENT 0x40u
/** @} */

/** Most virtual processors of an instance. */
#define NTMM_EMULATED_MAXIMUM_CPUS 256u

/** How an instance is made. Zero the struct, set `size`, `version` and `ram_bytes`. */
struct ntmm_emulated_config {
    uint32_t size;                  /**< sizeof(struct ntmm_emulated_config). */
    uint32_t version;               /**< NTMM_EMULATED_CONFIG_VERSION. */
    uint64_t ram_bytes;             /**< RAM, a multiple of 4096, the hole not counted. */
    uint64_t base_pa;               /**< Physical address of the first byte, a multiple of 4096. */
    uint64_t hole_base_pa;          /**< Where the hole begins, inside RAM; multiple of 4096. */
    uint64_t hole_bytes;            /**< Size of the hole, a multiple of 4096; 0: none. */
    void *arena;                    /**< RAM and hole, page-aligned; NULL: allocated. */
    uint32_t cpu_count;             /**< Virtual processors, 1..256; 0: 1. */
    uint32_t physical_address_bits; /**< MAXPHYADDR, 32..52; 0: 46. */
    uint32_t flags;                 /**< NTMM_EMULATED_* bits. */
    uint32_t reserved;              /**< 0. */
    uint64_t seed;                  /**< Of time, entropy, interleaving and I/O. */
    uint64_t step_limit;            /**< Switches before ntmm_emulated_run gives up; 0: no limit. */
};

/** One emulated machine; opaque. */
struct ntmm_emulated;

/** Sink of text lines, as ntmm_platform.log. */
typedef void (*ntmm_emulated_log_sink)(void *context, uint32_t level, const char *text);
/** Sink of event records, as ntmm_platform.event. */
typedef void (*ntmm_emulated_event_sink)(void *context, const struct ntmm_event *event);

/**
 * Make a machine: RAM, processors, no disk, no system.
 *
 * @param config  copied
 * @param emu     out: the instance; untouched on failure
 * @return NTMM_STATUS_SUCCESS; or, with nothing left behind,
 *         NTMM_STATUS_INFO_LENGTH_MISMATCH    config's size or version is not this header's
 *         NTMM_STATUS_INVALID_PARAMETER_1     a config value is out of range, unaligned, beyond
 *                                             MAXPHYADDR, or larger than the host can address
 *         NTMM_STATUS_INSUFFICIENT_RESOURCES  the host has no memory
 * Locks: none. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_create(const struct ntmm_emulated_config *config,
                                                        struct ntmm_emulated **emu);

/**
 * Destroy the machine, its system, disks, coroutines (finished or not) and the arena it allocated.
 * Transfers in flight complete first, with NTMM_STATUS_VOLUME_DISMOUNTED.
 *
 * @param emu       no call on it or its system may be in progress, and not called from a coroutine;
 *                  NULL: nothing
 * @param teardown  out, may be NULL: the report of ntmm_destroy_system; zeros without a system
 * Locks: none. Source: ours.
 */
NTMM_API void ntmm_emulated_destroy(struct ntmm_emulated *emu, struct ntmm_teardown *teardown);

/**
 * The machine's platform.
 *
 * @param emu  any
 * @return for ntmm_create_system; lives as long as the machine
 */
NTMM_API const struct ntmm_platform *ntmm_emulated_platform(struct ntmm_emulated *emu);

/**
 * Make the machine's system, in storage that the machine owns.
 *
 * @param emu     a machine without a system
 * @param config  as for ntmm_create_system; NULL: defaults. 0 in physical_address_bits and seed
 *                means the machine's
 * @param system  out: the system; untouched on failure
 * @return as ntmm_create_system; NTMM_STATUS_OBJECT_NAME_COLLISION when the machine has a system
 * Locks: none. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_create_system(struct ntmm_emulated *emu,
                                                               const struct ntmm_config *config,
                                                               struct ntmm_system **system);

/**
 * Take over the system that the arena holds already: after ntmm_emulated_restore, or one that the
 * caller mapped. The processors are attached to nothing.
 *
 * @param emu     a machine without a system
 * @param system  out: the system; untouched on failure
 * @return as ntmm_attach_system; NTMM_STATUS_OBJECT_NAME_COLLISION when the machine has a system
 * Locks: none. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_attach_system(struct ntmm_emulated *emu,
                                                               struct ntmm_system **system);

/**
 * The machine's system.
 *
 * @param emu  any
 * @return the system that was made or attached, or NULL
 */
NTMM_API struct ntmm_system *ntmm_emulated_system(struct ntmm_emulated *emu);

/**
 * The arena as the host sees it.
 *
 * @param emu         any
 * @param size_bytes  out, may be NULL: RAM and hole together
 * @return host address of physical address base_pa; the hole's bytes must not be touched
 * Locks: none. Source: ours.
 */
NTMM_API void *ntmm_emulated_arena(struct ntmm_emulated *emu, uint64_t *size_bytes);

/**
 * A hash of RAM, the hole left out: equal bytes give the equal hash on every host.
 *
 * @param emu  no call on it may be in progress
 * @return 64 bits
 * Locks: none. Cost: O(RAM). Source: ours.
 */
NTMM_API uint64_t ntmm_emulated_hash(const struct ntmm_emulated *emu);

/**
 * Write RAM, virtual time and the state of the random numbers to a file. Disks are not part of it.
 *
 * @param emu   no call on it may be in progress
 * @param path  a host file, created or replaced; pages that are zero take no room in it
 * @return NTMM_STATUS_SUCCESS; or NTMM_STATUS_CANT_WAIT while a coroutine is unfinished or a
 *         transfer in flight, NTMM_STATUS_UNSUCCESSFUL when the file cannot be written
 * Locks: none. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_save(struct ntmm_emulated *emu, const char *path);

/**
 * Make a machine from a file that ntmm_emulated_save wrote; ntmm_emulated_attach_system comes next.
 *
 * @param config  as for ntmm_emulated_create; ram_bytes, base_pa, hole_base_pa and hole_bytes are
 *                taken from the file and must be 0 or equal to the file's; for an arena of the
 *                caller's ram_bytes and hole_bytes must be equal; seed is not used
 * @param path    a host file
 * @param emu     out: the instance; untouched on failure
 * @return as ntmm_emulated_create; or NTMM_STATUS_OBJECT_NAME_NOT_FOUND when the file cannot be
 *         opened, NTMM_STATUS_FILE_INVALID when it is not such a file or is cut short
 * Locks: none. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_restore(const struct ntmm_emulated_config *config,
                                                         const char *path,
                                                         struct ntmm_emulated **emu);

/**
 * Where text lines go. Set it before calls are made from other threads.
 *
 * @param emu      any
 * @param sink     NULL: nowhere
 * @param context  handed to it
 */
NTMM_API void ntmm_emulated_set_log(struct ntmm_emulated *emu, ntmm_emulated_log_sink sink,
                                    void *context);

/**
 * Where event records go. Set it before calls are made from other threads.
 *
 * @param emu      any
 * @param sink     NULL: nowhere
 * @param context  handed to it
 */
NTMM_API void ntmm_emulated_set_event(struct ntmm_emulated *emu, ntmm_emulated_event_sink sink,
                                      void *context);

/** What the machine did so far. */
struct ntmm_emulated_statistics {
    uint64_t now_100ns;       /**< Its clock. */
    uint64_t shootdowns;      /**< Rounds of invalidation. */
    uint64_t flushes;         /**< Of these, of a whole address space. */
    uint64_t attach_flushes;  /**< Attachments that had to flush a PCID. */
    uint64_t pumps;           /**< Pumps. */
    uint64_t transfers;       /**< Transfers accepted. */
    uint64_t completions;     /**< Transfers completed. */
    uint64_t switches;        /**< Coroutine switches. */
    uint64_t schedule_hash;   /**< Hash of the order in which coroutines ran. */
    uint64_t broken_waits;    /**< Waits ended because nothing could wake them. */
    uint64_t violations;      /**< Blocking operations begun at raised level. */
    uint64_t injected_errors; /**< Errors that were asked for and given. */
};

/**
 * What the machine did so far; exact when no call is in progress.
 *
 * @param emu         any
 * @param statistics  out: filled whole
 */
NTMM_API void ntmm_emulated_query(struct ntmm_emulated *emu,
                                  struct ntmm_emulated_statistics *statistics);

/**
 * A virtual processor, for the inline path of ntmm/cpu.h.
 *
 * @param emu    any
 * @param index  from 0
 * @return lives as long as the machine; NULL when there are not so many
 */
NTMM_API struct ntmm_cpu *ntmm_emulated_cpu(struct ntmm_emulated *emu, uint32_t index);

/**
 * Run a process on a processor: its root into CR3, under a PCID made of the process's index. User
 * mode, with WP, NXE, SMEP, SMAP, PCIDE and PGE on and protection keys off. What the processor has
 * cached of the process stays; if another process used the PCID on this processor, the PCID is
 * flushed.
 *
 * @param emu      a machine with a system
 * @param index    processor; owned by the caller
 * @param process  a live process
 * @return NTMM_STATUS_SUCCESS, NTMM_STATUS_INVALID_PARAMETER_2 when there is no such processor,
 *         NTMM_STATUS_INVALID_PARAMETER_1 without a system; or as ntmm_query_process
 * Locks: takes the process's (W); so the processor must be outside. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_attach(struct ntmm_emulated *emu, uint32_t index,
                                                        ntmm_handle process);

/**
 * Number the calling host thread, for the platform's `processor`; threads start as processor 0.
 * Means something with NTMM_EMULATED_THREADS only.
 *
 * @param emu    any
 * @param index  below 4096; ignored otherwise
 */
NTMM_API void ntmm_emulated_bind_thread(struct ntmm_emulated *emu, uint32_t index);

/**
 * Load bytes of the attached process, with the door around it: on a page fault the processor steps
 * outside, ntmm_page_fault resolves it, and the access runs again.
 *
 * @param emu     a machine with a system
 * @param index   processor, attached and owned by the caller
 * @param va      address, bytes; one that is not canonical goes through the door too
 * @param buffer  out: the bytes. On failure the bytes before the last piece may be written
 * @param size    bytes, > 0. Up to 64 are one access, also across a page boundary; more are a
 *                series of accesses of 64 in rising order
 * @param stack   the thread's stack for guard pages, in/out; NULL: none
 * @param result  out, may be NULL: the outcome of the last fault, with the exception's parameters;
 *                of kind NTMM_FAULT_KIND_NONE and without parameters when there was no fault
 * @return NTMM_STATUS_SUCCESS; the exception that the door raised; NTMM_STATUS_INVALID_PARAMETER_2
 *         when the processor does not exist or runs no process; NTMM_STATUS_INVALID_PARAMETER_5
 *         when size is 0; NTMM_STATUS_INTERNAL_ERROR when the access still faults after 2^20
 *         resolved faults, or the tables name an address that is not RAM
 * Locks: as ntmm_page_fault; may wait. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_load(struct ntmm_emulated *emu, uint32_t index,
                                                      uint64_t va, void *buffer, size_t size,
                                                      struct ntmm_thread_stack *stack,
                                                      struct ntmm_fault_result *result);

/**
 * Store bytes; otherwise as ntmm_emulated_load.
 *
 * @param emu     as there
 * @param index   as there
 * @param va      as there
 * @param buffer  the bytes
 * @param size    as there
 * @param stack   as there
 * @param result  as there
 * @return as there
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_store(struct ntmm_emulated *emu, uint32_t index,
                                                       uint64_t va, const void *buffer, size_t size,
                                                       struct ntmm_thread_stack *stack,
                                                       struct ntmm_fault_result *result);

/**
 * Fetch bytes as instructions; otherwise as ntmm_emulated_load.
 *
 * @param emu     as there
 * @param index   as there
 * @param va      as there
 * @param buffer  out: the bytes
 * @param size    as there
 * @param stack   as there
 * @param result  as there
 * @return as there
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_fetch(struct ntmm_emulated *emu, uint32_t index,
                                                       uint64_t va, void *buffer, size_t size,
                                                       struct ntmm_thread_stack *stack,
                                                       struct ntmm_fault_result *result);

/**
 * Locked read-modify-write; otherwise as ntmm_emulated_load.
 *
 * @param emu       as there
 * @param index     as there
 * @param va        as there
 * @param size      bytes, 1..64
 * @param function  as for ntmm_cpu_update; may run once for each attempt
 * @param context   handed to it
 * @param stack     as there
 * @param result    as there
 * @return as there; or NTMM_STATUS_INVALID_PARAMETER_4 when size is above 64
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_update(struct ntmm_emulated *emu, uint32_t index,
                                                        uint64_t va, uint32_t size,
                                                        ntmm_cpu_update_function function,
                                                        void *context,
                                                        struct ntmm_thread_stack *stack,
                                                        struct ntmm_fault_result *result);

/**
 * Lend a buffer: its bytes become physical memory that is not RAM. The system does not know of it
 * until ntmm_map_borrowed maps its frames; then processors, reads and writes of memory and disks
 * reach the buffer's own bytes.
 *
 * @param emu          no processor inside, no call in progress
 * @param buffer       aligned to 4096; alive and in place until ntmm_emulated_take_back
 * @param size_bytes   a multiple of 4096, > 0
 * @param first_frame  in/out: the frame that the first byte is to have; 0: the lowest aligned to
 *                     1 GiB above everything there is. On success the frame it has
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed,
 *         NTMM_STATUS_INVALID_PARAMETER_2     buffer is NULL or not aligned
 *         NTMM_STATUS_INVALID_PARAMETER_3     size_bytes is 0 or not a multiple
 *         NTMM_STATUS_INVALID_PARAMETER_4     the frames meet RAM, the hole or what is lent, or
 *                                             reach past MAXPHYADDR
 *         NTMM_STATUS_INSUFFICIENT_RESOURCES  NTMM_EMULATED_MAXIMUM_LENT are lent already
 *         NTMM_STATUS_CANT_WAIT               a processor is inside
 * Locks: none. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_lend(struct ntmm_emulated *emu, void *buffer,
                                                      uint64_t size_bytes, uint64_t *first_frame);

/** A device behind physical addresses. Zero the struct and set `size`. */
struct ntmm_emulated_device {
    uint32_t size;               /**< sizeof(struct ntmm_emulated_device). */
    uint32_t reserved;           /**< 0. */
    ntmm_cpu_device_read read;   /**< Required. Called inside; must not call the machine. */
    ntmm_cpu_device_write write; /**< Required; the same. */
    void *context;               /**< Handed to both. */
};

/**
 * Put a device behind physical addresses: accesses of processors to its frames call its functions.
 * Nothing else reaches it: reads and writes of memory by services fail with
 * NTMM_STATUS_INVALID_PARAMETER.
 *
 * @param emu          as ntmm_emulated_lend
 * @param device       copied
 * @param size_bytes   as there
 * @param first_frame  as there
 * @return as there; NTMM_STATUS_INFO_LENGTH_MISMATCH when device->size is not this header's;
 *         NTMM_STATUS_INVALID_PARAMETER_2 when a function is missing
 * Locks: none. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_map_io(struct ntmm_emulated *emu,
                                                        const struct ntmm_emulated_device *device,
                                                        uint64_t size_bytes, uint64_t *first_frame);

/**
 * Take back what was lent, or a device. What still maps its frames is a bus error from then on.
 *
 * @param emu          as ntmm_emulated_lend
 * @param first_frame  that it has
 * @return NTMM_STATUS_SUCCESS, NTMM_STATUS_CANT_WAIT when a processor is inside, or
 *         NTMM_STATUS_INVALID_PARAMETER_2 when nothing lent begins there
 * Locks: none. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_take_back(struct ntmm_emulated *emu,
                                                           uint64_t first_frame);

/** What a coroutine runs. */
typedef void (*ntmm_emulated_function)(void *context);

/**
 * Add a coroutine; it begins in ntmm_emulated_run, or at once as one more of the running ones.
 *
 * @param emu          any
 * @param processor    what the platform's `processor` says while it runs, below 4096
 * @param function     runs once; when it returns the coroutine is finished
 * @param context      handed to it
 * @param stack_bytes  of its stack, rounded up to pages; 0: 256 KiB. A guard page lies below it
 * @return NTMM_STATUS_SUCCESS, NTMM_STATUS_INVALID_PARAMETER_2 when processor is too large, or
 *         NTMM_STATUS_INSUFFICIENT_RESOURCES
 * Locks: none; called by the thread that runs the scheduler only. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_spawn(struct ntmm_emulated *emu,
                                                       uint32_t processor,
                                                       ntmm_emulated_function function,
                                                       void *context, size_t stack_bytes);

/**
 * Run coroutines until all are finished. The next to run is drawn from the seed at each scheduling
 * point: relax (every spin), wait, pump, yield, the end of one, and what NTMM_EMULATED_PREEMPT
 * adds. Completions of I/O run on a coroutine of their own, one more in the draw while a transfer
 * is in flight.
 *
 * When it returns with all finished, nothing that ran in it is half done: no public call, and no
 * completion, whatever NTMM_EMULATED_PREEMPT interrupted. Transfers that are not due yet stay in
 * flight, for the platform's pump. So with one host thread the system may be checked or destroyed
 * at once. After NTMM_STATUS_CANT_WAIT no call may be made on it: whatever ran may stand in a call
 * or a completion and hold its locks, until another ntmm_emulated_run lets it go on.
 *
 * A wait that nothing can end any more (no runnable coroutine, no transfer in flight, one host
 * thread) is broken: the one with the earliest deadline returns NTMM_STATUS_TIMEOUT and virtual
 * time moves to that deadline.
 *
 * @param emu  not called from a coroutine
 * @return NTMM_STATUS_SUCCESS       all finished, no wait was broken
 *         NTMM_STATUS_TIMEOUT       all finished, but at least one wait was broken: a deadlock
 *         NTMM_STATUS_CANT_WAIT     step_limit was reached; unfinished ones stay, and may be run on
 *         NTMM_STATUS_INVALID_PARAMETER_1  called from a coroutine
 *         NTMM_STATUS_INSUFFICIENT_RESOURCES  no memory for the completion coroutine
 * Locks: none. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_run(struct ntmm_emulated *emu);

/**
 * A scheduling point; outside a coroutine it gives up the host processor.
 *
 * @param emu  any
 */
NTMM_API void ntmm_emulated_yield(struct ntmm_emulated *emu);

/** ntmm_emulated_disk_config.version of this header. */
#define NTMM_EMULATED_DISK_VERSION 1u

/** Bytes of a sector, the unit that is written whole or not at all when power is cut. */
#define NTMM_EMULATED_SECTOR_SIZE 512u

/** @name Flags of ntmm_emulated_disk_config
 * @{ */
/** Transfers complete before submit returns. */
#define NTMM_EMULATED_DISK_INLINE 0x1u
/** Finished writes lie in a cache that only NTMM_IO_FLUSH makes durable. Not with a path. */
#define NTMM_EMULATED_DISK_WRITE_CACHE 0x2u
/** @} */

/** How a disk is made. Zero the struct, set `size`, `version` and `size_bytes`. */
struct ntmm_emulated_disk_config {
    uint32_t size;                  /**< sizeof(struct ntmm_emulated_disk_config). */
    uint32_t version;               /**< NTMM_EMULATED_DISK_VERSION. */
    uint64_t size_bytes;            /**< Size at first, a multiple of 512. */
    uint64_t maximum_bytes;         /**< Most that NTMM_IO_EXTEND gives; 0: size_bytes. */
    const char *path;               /**< Host file, created if missing; NULL: in memory. */
    uint32_t flags;                 /**< NTMM_EMULATED_DISK_* bits. */
    uint32_t minimum_latency_pumps; /**< Pumps until completion, at least; 0: 1. */
    uint32_t maximum_latency_pumps; /**< At most; 0: 8, or the minimum if that is more. */
    uint32_t reserved;              /**< 0. */
};

/**
 * Add a disk. Each transfer completes at a pump drawn from the seed between the two latencies, in
 * any order; its bytes move at that moment. Transfers are checked when submitted: spans outside RAM
 * or an operation of no meaning are refused with NTMM_STATUS_INVALID_PARAMETER. A read past the end
 * completes with NTMM_STATUS_END_OF_FILE and has moved what is before it; a write past the end, or
 * an extension past maximum_bytes, with NTMM_STATUS_DISK_FULL and has moved nothing. Extension and
 * truncation to any byte are durable when they complete; a truncation to more than the size
 * completes with NTMM_STATUS_INVALID_PARAMETER.
 *
 * @param emu     any
 * @param config  copied
 * @param device  out: the number for ntmm_io.device, from 0; untouched on failure
 * @return NTMM_STATUS_SUCCESS, NTMM_STATUS_INFO_LENGTH_MISMATCH, NTMM_STATUS_INVALID_PARAMETER_2,
 *         NTMM_STATUS_OBJECT_NAME_NOT_FOUND when the file cannot be opened or sized, or
 *         NTMM_STATUS_INSUFFICIENT_RESOURCES, also when 2^24 numbers were given
 * Locks: takes the disks' lock. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_add_disk(
    struct ntmm_emulated *emu, const struct ntmm_emulated_disk_config *config, uint64_t *device);

/** ntmm_emulated_file_config.version of this header. */
#define NTMM_EMULATED_FILE_VERSION 1u

/** @name Flags of ntmm_emulated_file_config
 * @{ */
/** Transfers complete before submit returns. */
#define NTMM_EMULATED_FILE_INLINE 0x1u
/** Finished writes lie in a cache that only NTMM_IO_FLUSH makes durable. Not with a path. */
#define NTMM_EMULATED_FILE_WRITE_CACHE 0x2u
/** Writes, extensions and truncations complete with NTMM_STATUS_ACCESS_DENIED. */
#define NTMM_EMULATED_FILE_READ_ONLY 0x4u
/** A host file that is missing is made, empty. Not with NTMM_EMULATED_FILE_READ_ONLY. */
#define NTMM_EMULATED_FILE_CREATE 0x8u
/** New bytes of an extension are not zeros but what the blocks held before: bytes that depend on
 * the machine's seed, none of them 0. Not with a path. */
#define NTMM_EMULATED_FILE_STALE 0x10u
/** @} */

/** How a file is made. Zero the struct, set `size`, `version`, and `path` or `size_bytes`. */
struct ntmm_emulated_file_config {
    uint32_t size;                  /**< sizeof(struct ntmm_emulated_file_config). */
    uint32_t version;               /**< NTMM_EMULATED_FILE_VERSION. */
    const char *path;               /**< Regular file of the host; NULL: in memory. */
    const void *contents;           /**< In memory: the first size_bytes, copied; NULL: zeros. */
    uint64_t size_bytes;            /**< In memory: size at first, any; a host file has its own. */
    uint64_t maximum_bytes;         /**< Most that NTMM_IO_EXTEND gives; 0: the size at first in
                                         memory, what the host allows in a host file. */
    uint32_t flags;                 /**< NTMM_EMULATED_FILE_* bits. */
    uint32_t minimum_latency_pumps; /**< As of a disk. */
    uint32_t maximum_latency_pumps; /**< As of a disk. */
    uint32_t reserved;              /**< 0. */
};

/**
 * Add a file: a disk whose size is any number of bytes, for sections. All that is said of disks
 * holds for files, and each function that takes a disk takes a file.
 *
 * @param emu         any
 * @param config      copied
 * @param device      out: the number for ntmm_io.device, one more than the last that any disk or
 *                    file got; untouched on failure
 * @param size_bytes  out, may be NULL: its size, a host file's as it is now; untouched on failure
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed but that a host file may have been made,
 *         NTMM_STATUS_INFO_LENGTH_MISMATCH      config's size or version is not this header's
 *         NTMM_STATUS_INVALID_PARAMETER_2       a value or flag that does not go with the others
 *         NTMM_STATUS_OBJECT_NAME_NOT_FOUND     no such host file
 *         NTMM_STATUS_INVALID_FILE_FOR_SECTION  it is a directory, a pipe or a device
 *         NTMM_STATUS_ACCESS_DENIED             the host does not let us read it, or write it
 *                                               without NTMM_EMULATED_FILE_READ_ONLY
 *         NTMM_STATUS_INSUFFICIENT_RESOURCES    the host has no memory or no more open files, or
 *                                               2^24 numbers were given
 * Locks: takes the disks' lock. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status
ntmm_emulated_add_file(struct ntmm_emulated *emu, const struct ntmm_emulated_file_config *config,
                       uint64_t *device, uint64_t *size_bytes);

/**
 * Whether ntmm_emulated_add_file could read a host file, without a machine: for tools that name the
 * file in their message.
 *
 * @param path        of the host
 * @param size_bytes  out, may be NULL: its size; untouched on failure
 * @return NTMM_STATUS_SUCCESS, NTMM_STATUS_OBJECT_NAME_NOT_FOUND,
 *         NTMM_STATUS_INVALID_FILE_FOR_SECTION, NTMM_STATUS_ACCESS_DENIED or
 *         NTMM_STATUS_INSUFFICIENT_RESOURCES, when that function would with
 *         NTMM_EMULATED_FILE_READ_ONLY
 * Locks: none. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_query_host_file(const char *path,
                                                                 uint64_t *size_bytes);

/**
 * Remove a disk or a file. What was not flushed to a host file is the host's to write; bytes in
 * memory are gone. Its number is not given again: transfers to it are refused with
 * NTMM_STATUS_VOLUME_DISMOUNTED.
 *
 * @param emu     any
 * @param device  a disk or a file; may be that of the completion that calls
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed,
 *         NTMM_STATUS_INVALID_PARAMETER_2  there is no such device, or no longer
 *         NTMM_STATUS_CANT_WAIT            transfers are in flight whose bytes have not moved;
 *                                          nothing waits for them here
 * Locks: takes the disks' lock. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_remove_device(struct ntmm_emulated *emu,
                                                               uint64_t device);

/**
 * The size of a file or disk.
 *
 * @param emu     any
 * @param device  a disk or a file
 * @return bytes, as transfers that completed left it; UINT64_MAX when there is no such device
 * Locks: takes the disks' lock. Source: ours.
 */
NTMM_API uint64_t ntmm_emulated_file_size(struct ntmm_emulated *emu, uint64_t device);

/**
 * The bytes of a disk in memory, as reads would see them.
 *
 * @param emu         any
 * @param device      a disk
 * @param size_bytes  out, may be NULL: its size now
 * @return host address; NULL when the disk is a host file or does not exist
 * Locks: takes the disks' lock. Source: ours.
 */
NTMM_API void *ntmm_emulated_disk_image(struct ntmm_emulated *emu, uint64_t device,
                                        uint64_t *size_bytes);

/**
 * Read a disk as a look at it would: at once, without a transfer, whatever errors were asked for
 * and whether it has power or not. It is the reader that ntmm_check_with_storage takes, with the
 * emulator as its context.
 *
 * @param emulated      a struct ntmm_emulated
 * @param device        a disk
 * @param offset_bytes  any
 * @param buffer        out: what a read would see now; unspecified on failure
 * @param size_bytes    bytes at buffer
 * @return NTMM_STATUS_SUCCESS, NTMM_STATUS_INVALID_PARAMETER_2 when there is no such disk,
 *         NTMM_STATUS_END_OF_FILE past its size, or NTMM_STATUS_DEVICE_DATA_ERROR when the host
 *         cannot read its file
 * Locks: takes the disks' lock. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_read_disk(void *emulated, uint64_t device,
                                                           uint64_t offset_bytes, void *buffer,
                                                           size_t size_bytes);

/** Errors of a disk, to come. */
struct ntmm_emulated_disk_errors {
    uint32_t operations; /**< Bit (1 << ntmm_io_operation) of each kind that is counted. */
    uint32_t is_refused; /**< 1: submit returns the status; 0: the completion has it. */
    uint64_t after;      /**< Transfers of these kinds that still succeed. */
    uint64_t count;      /**< Transfers that then fail; UINT64_MAX: all. */
    ntmm_status status;  /**< What they fail with; SUCCESS only where is_torn is 1. */
    uint32_t is_torn;    /**< 1: see below; with is_refused it means nothing. */
    uint64_t base_bytes; /**< Only reads and writes that touch a byte from here on count. */
    uint64_t end_bytes;  /**< And before this; 0: anywhere, and every kind of transfer counts. */
};

/**
 * Make transfers fail. Replaces what was asked before; the count begins now. With a range of bytes
 * the disk is bad in one place: a transfer that only touches others is neither counted nor failed.
 *
 * A read or write that is torn moves a drawn prefix of the sectors that it touches, never all of
 * them, says so in transferred_bytes, and ends with the status: with SUCCESS it is short. Transfers
 * of other kinds are not torn: they fail, or with SUCCESS do what they always do.
 *
 * @param emu     any
 * @param device  a disk
 * @param errors  copied; NULL: no more errors
 * @return NTMM_STATUS_SUCCESS or NTMM_STATUS_INVALID_PARAMETER_2 when there is no such disk
 * Locks: takes the disks' lock. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_inject_disk(
    struct ntmm_emulated *emu, uint64_t device, const struct ntmm_emulated_disk_errors *errors);

/** @name What a power cut leaves
 * @{ */
/** Of each write in flight a prefix of sectors, drawn from the seed, is on the disk. */
#define NTMM_EMULATED_CUT_TEARS 0x1u
/** Of the cached sectors each one, by the seed, is durable or lost; otherwise all are lost. */
#define NTMM_EMULATED_CUT_KEEPS_SOME 0x2u
/** @} */

/**
 * Cut the power of a disk: transfers in flight complete at the next pump with
 * NTMM_STATUS_VOLUME_DISMOUNTED, writes that were not durable are lost, and submit refuses with
 * that status until ntmm_emulated_restore_power.
 *
 * @param emu     any
 * @param device  a disk
 * @param flags   NTMM_EMULATED_CUT_* bits
 * @return NTMM_STATUS_SUCCESS or NTMM_STATUS_INVALID_PARAMETER_2 when there is no such disk
 * Locks: takes the disks' lock. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_cut_power(struct ntmm_emulated *emu,
                                                           uint64_t device, uint32_t flags);

/**
 * Power again.
 *
 * @param emu     any
 * @param device  a disk
 * @return NTMM_STATUS_SUCCESS or NTMM_STATUS_INVALID_PARAMETER_2 when there is no such disk
 * Locks: takes the disks' lock. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_restore_power(struct ntmm_emulated *emu,
                                                               uint64_t device);

/** Content operations, as bits. */
enum ntmm_emulated_content {
    NTMM_EMULATED_ZERO = 1,    /**< ntmm_platform.zero. */
    NTMM_EMULATED_COPY = 2,    /**< ntmm_platform.copy. */
    NTMM_EMULATED_COMPARE = 4, /**< ntmm_platform.compare. */
    NTMM_EMULATED_READ = 8,    /**< ntmm_platform.read. */
    NTMM_EMULATED_WRITE = 16,  /**< ntmm_platform.write. */
};

/**
 * Make content operations fail, as a host whose memory is elsewhere may.
 *
 * @param emu         any
 * @param operations  enum ntmm_emulated_content bits that are counted; 0: no more errors
 * @param after       calls that still succeed
 * @param count       calls that then fail; UINT64_MAX: all
 * @param status      what they fail with
 * Locks: none; not while other threads make calls. Source: ours.
 */
NTMM_API void ntmm_emulated_inject_content(struct ntmm_emulated *emu, uint32_t operations,
                                           uint64_t after, uint64_t count, ntmm_status status);

#ifdef __cplusplus
}
#endif

#endif
