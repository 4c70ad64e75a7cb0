/**
 * @file
 * Snapshots of an emulated machine: a point to go back to, copies of the whole machine, files.
 *
 * What belongs to a snapshot: RAM and the system in it; disks and files in memory, what a power cut
 * would take from them, errors asked for; virtual time, statistics, the streams of random numbers;
 * registers of the processors, and which process each runs. What does not: TLBs, which are emptied;
 * sinks (log, events, invalidation) and the event mask, which stay the machine's own; buffers that
 * were lent, which stay shared. Host files cannot: a machine that has one is refused.
 *
 * Taking a snapshot, going back to it and forking all leave the machine in the same state to the
 * last bit, TLBs included, so that the same calls afterwards have the same results in all of them.
 *
 * Cost. The first snapshot copies what was ever touched. From then on, where the host has memory
 * files and tells written pages (Linux), everything costs what was written since: a page that is
 * written for the first time after a snapshot is copied by the host. Elsewhere, and for an arena
 * that the caller provides, bases are full copies and pages are compared: right, but O(RAM).
 *
 * A machine has one base. A new snapshot replaces it; while forks share the old one, they keep it,
 * and the new one costs a copy of what was ever touched. A fork has its parent's base: it can go
 * back to what the parent was then.
 *
 * All functions here need the machine quiet: no call in progress on it or its system, no fault
 * begun that waits, no coroutine unfinished, no transfer in flight, no processor inside. They
 * return NTMM_STATUS_CANT_WAIT, with nothing changed, when one of these can be seen not to hold;
 * transfers end by the platform's pump.
 */
#ifndef NTMM_SNAPSHOT_H
#define NTMM_SNAPSHOT_H

#include <ntmm/emulated.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Make the machine as it is now the base that ntmm_emulated_restore_snapshot goes back to.
 *
 * @param emu  quiet
 * @return NTMM_STATUS_SUCCESS
 *         NTMM_STATUS_CANT_WAIT               not quiet
 *         NTMM_STATUS_NOT_SUPPORTED           a disk or file is a host file
 *         NTMM_STATUS_INSUFFICIENT_RESOURCES  the host has no memory. The machine is as it was; a
 *                                             base that it had may be gone
 * Locks: none. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_snapshot(struct ntmm_emulated *emu);

/**
 * Go back to the base; any number of times. Disks and files added since are gone, those removed
 * since are there again; the pointer to the system stays good, handles are those of then.
 *
 * @param emu  quiet, with a base
 * @return NTMM_STATUS_SUCCESS
 *         NTMM_STATUS_CANT_WAIT               not quiet
 *         NTMM_STATUS_INVALID_PARAMETER_1     it has no base
 *         NTMM_STATUS_INSUFFICIENT_RESOURCES  the host refused; the machine may only be restored
 *                                             again or destroyed
 * Locks: none. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_restore_snapshot(struct ntmm_emulated *emu);

/**
 * Make a second machine that is as this one is now, and goes its own way. A machine without a base
 * gets one first, as by ntmm_emulated_snapshot. The two share nothing that either can change; they
 * may be used, and destroyed, by different threads and in any order, but one machine is not forked
 * by two threads at a time.
 *
 * @param emu   quiet
 * @param fork  out: the second machine, with a system if this one has one; untouched on failure
 * @return as ntmm_emulated_snapshot
 * Locks: none. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_fork(struct ntmm_emulated *emu,
                                                      struct ntmm_emulated **fork);

/**
 * Write the machine as it is now, disks and files included, to a file; pages of zeros take no room
 * in it.
 *
 * @param emu   quiet
 * @param path  a host file, created or replaced
 * @return NTMM_STATUS_SUCCESS
 *         NTMM_STATUS_CANT_WAIT               not quiet
 *         NTMM_STATUS_NOT_SUPPORTED           a disk or file is a host file
 *         NTMM_STATUS_UNSUCCESSFUL            the file cannot be written
 *         NTMM_STATUS_INSUFFICIENT_RESOURCES  the host has no memory
 * Locks: none. Cost: O(RAM and disks that were touched). Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_save_snapshot(struct ntmm_emulated *emu,
                                                               const char *path);

/**
 * Make a machine from a file that ntmm_emulated_save_snapshot wrote, with its disks, and its system
 * attached. It has no base yet.
 *
 * @param config  as for ntmm_emulated_create; ram_bytes, base_pa, hole_base_pa, hole_bytes,
 *                cpu_count and physical_address_bits are taken from the file and must be 0 or equal
 *                to the file's; for an arena of the caller's ram_bytes and hole_bytes must be
 *                equal; seed is not used
 * @param path    a host file
 * @param emu     out: the machine; untouched on failure
 * @return as ntmm_emulated_create; or NTMM_STATUS_OBJECT_NAME_NOT_FOUND when the file cannot be
 *         opened, NTMM_STATUS_FILE_INVALID when it is not such a file or is cut short
 * Locks: none. Cost: O(what the file holds). Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_load_snapshot(
    const struct ntmm_emulated_config *config, const char *path, struct ntmm_emulated **emu);

/** What a machine's base is. Zero the struct and set `size`. */
struct ntmm_snapshot_information {
    uint32_t size;          /**< In: sizeof(struct ntmm_snapshot_information). */
    uint32_t has_base;      /**< Whether there is one to go back to. */
    uint32_t sharers;       /**< Machines that have this base, this one included. */
    uint32_t is_compared;   /**< Whether written pages are found by comparing all of RAM. */
    uint64_t changed_pages; /**< Pages of RAM written since, and not compared: more than differ. */
};

/**
 * What the machine's base is.
 *
 * @param emu          any; no call on it in progress
 * @param information  in: `size`; out: filled whole on success, untouched on failure
 * @return NTMM_STATUS_SUCCESS or NTMM_STATUS_INFO_LENGTH_MISMATCH
 * Locks: none. Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_emulated_query_snapshot(
    struct ntmm_emulated *emu, struct ntmm_snapshot_information *information);

#ifdef __cplusplus
}
#endif

#endif
