/**
 * @file
 * For embedders: translation for a TLB fill, the invalidation sink that empties what the fill put
 * there, and the embedder's own frames at an address.
 *
 * The contract of a TLB. Two rules make a cache of translations right, whatever else runs:
 *
 *  1. It is filled by ntmm_translate with NTMM_TRANSLATE_MARK alone, and holds only what was
 *     granted. A denial is not cached: rights that grow are not announced.
 *  2. What the invalidation sink (or ntmm_platform.invalidate) names is forgotten before that call
 *     returns. A translation that is being looked up meanwhile counts as held: from the call of
 *     ntmm_translate until the entry is in the TLB, the processor is inside, and the sink waits
 *     for it, as a shootdown waits for a processor that walks tables.
 *
 * Then no access uses a translation that the tables do not grant: a frame changes hands only after
 * the sink has returned. With one thread the second rule costs nothing. With the emulated
 * platform's threads, translating between ntmm_cpu_enter and the next poll or leave of a processor
 * keeps it.
 */
#ifndef NTMM_BORROW_H
#define NTMM_BORROW_H

#include <ntmm/platform.h>
#include <ntmm/status.h>
#include <ntmm/system.h>
#include <ntmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @name Accesses and rights of a translation
 * @{ */
#define NTMM_TRANSLATE_READ 0x01u    /**< Access, and right: read. */
#define NTMM_TRANSLATE_WRITE 0x02u   /**< Access, and right: write. */
#define NTMM_TRANSLATE_EXECUTE 0x04u /**< Access, and right: fetch instructions. */
#define NTMM_TRANSLATE_USER 0x08u    /**< Right only: at user privilege. */
/** Access only: at supervisor privilege; the tables need not grant it to a user. */
#define NTMM_TRANSLATE_SUPERVISOR 0x10u
/** Access only: set accessed, and dirty for a write, in the entries used, as a processor does that
 * fills its TLB. Without it nothing is written, and the answer must not be cached. */
#define NTMM_TRANSLATE_MARK 0x20u
/** @} */

/** @name How a translation wants to be cached: PCD and PWT of the leaf
 * @{ */
#define NTMM_TRANSLATE_WRITE_THROUGH 0x1u /**< PWT. */
#define NTMM_TRANSLATE_CACHE_DISABLE 0x2u /**< PCD. */
/** @} */

/** A translation that was granted. Zero the struct and set `size`. */
struct ntmm_translation {
    uint32_t size;             /**< In: sizeof(struct ntmm_translation). */
    uint32_t rights;           /**< NTMM_TRANSLATE_READ, WRITE, EXECUTE, USER: all that a TLB may
                                    grant. WRITE only where the leaf is dirty already. */
    uint32_t cache;            /**< NTMM_TRANSLATE_WRITE_THROUGH, _CACHE_DISABLE. */
    uint32_t reserved;         /**< 0. */
    uint64_t physical_address; /**< Of the byte asked for. */
    uint64_t leaf_bytes;       /**< Of the page in the tables: 4 KiB, 2 MiB or 1 GiB. */
    uint64_t run_base;         /**< First byte of the 4 KiB page asked for. */
    uint64_t run_bytes;        /**< Bytes from run_base whose frames are one behind the other, with
                                    the same rights and caching, accessed (and where WRITE is a
                                    right, dirty): all of them may be cached at once. A multiple of
                                    4 KiB; it ends with the leaf table or the large page. */
};

/**
 * Look an address up in the tables, as a processor does on a TLB miss.
 *
 * It takes no lock, allocates nothing, waits for nothing, and calls nothing of the platform, so it
 * may be called where a fault may not: from a TLB-fill hook, from a signal handler, while another
 * thread is in any call. That is right because it reads what a processor reads, by atomic loads,
 * and changes only accessed and dirty, by compare-exchange against the value it judged; tables are
 * freed only after an invalidation that waits for whoever is inside (see the contract above). It
 * retries only when an entry changed under it.
 *
 * @param system       any
 * @param process      whose address space; needs no right
 * @param va           any address, bytes
 * @param access       what the access needs, at least one of NTMM_TRANSLATE_READ, _WRITE and
 *                     _EXECUTE; all that are given must be granted. And _SUPERVISOR, _MARK
 * @param translation  in: `size`; out: filled whole on success, untouched on failure
 * @return NTMM_STATUS_SUCCESS               granted
 *         NTMM_STATUS_ACCESS_VIOLATION      the tables do not grant it: a page fault. Hand it to
 *                                           ntmm_page_fault, then translate again; only the door
 *                                           knows whether it is an exception of the program
 *         NTMM_STATUS_INVALID_PARAMETER_4   access names no access, or an unknown bit
 *         NTMM_STATUS_INVALID_PARAMETER_5   translation is NULL
 *         NTMM_STATUS_INFO_LENGTH_MISMATCH  translation->size is not this header's
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH,
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  as ntmm_query_process
 * Level: any.
 * Locks: none. Never waits. Source: the processor manuals' paging chapters.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_translate(struct ntmm_system *system, ntmm_handle process,
                                                  uint64_t va, uint32_t access,
                                                  struct ntmm_translation *translation);

/**
 * Told that translations are withdrawn.
 *
 * @param context  as registered
 * @param process  whose address space; the handle that ntmm_create_process gave
 * @param base     first byte withdrawn, page-aligned
 * @param end      byte after the last; base 0 and end UINT64_MAX: the whole address space
 * @param reason   why
 */
typedef void (*ntmm_invalidation_sink)(void *context, ntmm_handle process, uint64_t base,
                                       uint64_t end, enum ntmm_shootdown_reason reason);

/**
 * Be told of every withdrawn range, besides the platform's invalidate.
 *
 * Order: the entries have been changed; the platform's invalidate has returned; the sink is called
 * once for each range of the round; when it has returned for the last one, frames and tables that
 * the entries named may be reused, and the call that withdrew them may return. Whatever takes
 * rights, a frame, or an accessed or dirty bit from a translation calls it: protect, free,
 * decommit, trim, aging, moving pages for a large one, ending a process. Giving rights to a page
 * that had none does not.
 *
 * The sink runs on the thread that changed the tables, with the process's working-set lock held: it
 * may wait for processors that are inside (they must not wait for that lock, and ntmm_translate
 * does not), must not call anything else that takes this system, and must return.
 *
 * A sink is not part of a saved or forked system.
 *
 * @param system   no call on it may be in progress
 * @param sink     NULL: nobody
 * @param context  handed to it
 * Level: any.
 * Locks: none. Source: ours.
 */
NTMM_API void ntmm_set_invalidation_sink(struct ntmm_system *system, ntmm_invalidation_sink sink,
                                         void *context);

/**
 * Map frames that the embedder owns: buffers, devices, another machine's memory. The system does
 * not touch, count, page or free them; what lies behind them is the platform's business (on the
 * emulated one ntmm_emulated_lend and ntmm_emulated_map_io say). The same frames may be mapped any
 * number of times, into any processes: all see the same bytes.
 *
 * The region is mapped whole and needs no fault. It queries as committed, type NTMM_MEM_MAPPED; it
 * is charged no commit but for its page tables, and is in no working set. Protections within
 * `protect` may be set (else NTMM_STATUS_SECTION_PROTECTION), but no guard; it cannot be freed,
 * committed, reset or locked. Frames that the platform has no bytes for fail a read or write of
 * memory with the platform's status.
 *
 * @param system       any
 * @param process      target
 * @param base         in/out, bytes. 0: the system chooses. Rounded down to 64 KiB; on success the
 *                     rounded base, which the first frame has
 * @param size         in/out, bytes, > 0; on success rounded so that it covers the request
 * @param protect      one NTMM_PAGE_* value legal for private memory, its cache modifiers, no guard
 * @param first_frame  number of the first; the others follow
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed and base and size as they were,
 *         NTMM_STATUS_INVALID_PAGE_PROTECTION  protect is not legal here
 *         NTMM_STATUS_ACCESS_VIOLATION         base or size is NULL
 *         NTMM_STATUS_INVALID_PARAMETER_3      base lies outside the addresses a user may reserve
 *         NTMM_STATUS_INVALID_PARAMETER_4      size is 0 or reaches past the last address
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH, NTMM_STATUS_ACCESS_DENIED,
 *         NTMM_STATUS_PROCESS_IS_TERMINATING   see ntmm_allocate_virtual_memory
 *         NTMM_STATUS_CONFLICTING_ADDRESSES    the range meets a region
 *         NTMM_STATUS_INVALID_PARAMETER_6      a frame was handed to the system, or lies beyond
 *                                              MAXPHYADDR
 *         NTMM_STATUS_NO_MEMORY                no gap in the address space, or no frame for a table
 *         NTMM_STATUS_COMMITMENT_LIMIT         no commit for a table, or for call targets
 *         NTMM_STATUS_PAGEFILE_QUOTA_EXCEEDED  the process may not have pages for call targets
 *         or the status of a page table that could not be read
 * Level: APC.
 * Locks: takes (A), (W), (C). May wait for frames, or for tables to come in.
 * Source: ours, after views of the section of physical memory.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_map_borrowed(struct ntmm_system *system,
                                                     ntmm_handle process, uint64_t *base,
                                                     uint64_t *size, uint32_t protect,
                                                     uint64_t first_frame);

/**
 * Unmap what ntmm_map_borrowed mapped, whole.
 *
 * @param system   any
 * @param process  target
 * @param address  any address of the region, bytes
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed,
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH, NTMM_STATUS_ACCESS_DENIED,
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  see ntmm_allocate_virtual_memory
 *         NTMM_STATUS_NOT_MAPPED_VIEW         no such region is there
 *         or the status of a page table that could not be read
 * Level: APC.
 * Locks: takes (A), (W), (C). Waits for a shootdown, and for tables to come in.
 * Source: ours, after NtUnmapViewOfSection.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_unmap_borrowed(struct ntmm_system *system,
                                                       ntmm_handle process, uint64_t address);

/**
 * Map the page of KUSER_SHARED_DATA: one frame of the embedder's, which fills it in and keeps it
 * true, read-only at NTMM_SHARED_USER_DATA_ADDRESS for as long as the process lives.
 *
 * It queries as NT's: a region of one page of its own, committed, private, PAGE_READONLY. Nobody
 * can free, protect or commit it (NTMM_STATUS_INVALID_PAGE_PROTECTION), nor unmap it. A process
 * that ends below 2 GiB has it above its last reservation, as in NT.
 *
 * @param system   any
 * @param process  target
 * @param frame    as for ntmm_map_borrowed
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed,
 *         NTMM_STATUS_INVALID_HANDLE, NTMM_STATUS_OBJECT_TYPE_MISMATCH, NTMM_STATUS_ACCESS_DENIED,
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  see ntmm_allocate_virtual_memory
 *         NTMM_STATUS_CONFLICTING_ADDRESSES   a region is there
 *         NTMM_STATUS_INVALID_PARAMETER_3     the frame was handed to the system, or lies beyond
 *                                             MAXPHYADDR
 *         NTMM_STATUS_NO_MEMORY               no frame for a table
 *         NTMM_STATUS_COMMITMENT_LIMIT        no commit for a table
 *         or the status of a page table that could not be read
 * Level: APC.
 * Locks: takes (A), (W), (C). May wait for frames, or for tables to come in.
 * Source: the shared user data page as public conformance tests observe it.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_map_shared_user_data(struct ntmm_system *system,
                                                             ntmm_handle process, uint64_t frame);

#ifdef __cplusplus
}
#endif

#endif
