/**
 * @file
 * Contents that may go: offered and reclaimed, or discarded at once.
 *
 * A cache offers what it can make again. Offered pages leave the working set for the standby list
 * of a low priority, are never written to a page file, and are taken first when memory is short.
 * Reclaiming says whether they are all still there. All three keep commit and protection.
 */
#ifndef NTMM_OFFER_H
#define NTMM_OFFER_H

#include <ntmm/status.h>
#include <ntmm/system.h>
#include <ntmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @name How soon offered pages are taken: priorities of the standby list, lowest first
 * @{ */
#define NTMM_OFFER_VERY_LOW 1u     /**< First. */
#define NTMM_OFFER_LOW 2u          /**< After these. */
#define NTMM_OFFER_BELOW_NORMAL 3u /**< After these. */
#define NTMM_OFFER_NORMAL 4u       /**< Last; pages in ordinary use have 5. */
/** @} */

/**
 * Offer the contents of pages, as OfferVirtualMemory does. An access to an offered page brings it
 * back, with its contents or as zeros; a write makes it an ordinary page.
 *
 * @param system    any
 * @param process   whose memory; needs NTMM_PROCESS_VM_OPERATION
 * @param base      first byte, a multiple of 4 KiB
 * @param size      bytes, a multiple of 4 KiB, > 0
 * @param priority  NTMM_OFFER_*
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed,
 *         NTMM_STATUS_INVALID_PARAMETER       a misaligned, empty or too long range, or no such
 *                                             priority
 *         NTMM_STATUS_INVALID_HANDLE          no such process, or it has ended
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH    it is a handle of another kind
 *         NTMM_STATUS_ACCESS_DENIED           the handle lacks the right
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  the process is ending
 *         NTMM_STATUS_CONFLICTING_ADDRESSES   the range is not inside one region of private pages
 *         NTMM_STATUS_NOT_COMMITTED           a page of it is not committed
 *         NTMM_STATUS_NO_MEMORY               no frame came free in time for a page table that is
 *                                             out
 *         or the status of a page table that could not be read
 * Level: APC.
 * Locks: takes (A), (W), (F), (G), (L). Waits for one shootdown, and for page tables that are out.
 * Source: OfferVirtualMemory, Microsoft documentation; statuses and alignment: docs/fidelity.md.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_offer_virtual_memory(struct ntmm_system *system,
                                                             ntmm_handle process, uint64_t base,
                                                             uint64_t size, uint32_t priority);

/**
 * Take an offer back, as ReclaimVirtualMemory does: the pages are ordinary memory from now on.
 *
 * @param system   any
 * @param process  whose memory; needs NTMM_PROCESS_VM_OPERATION
 * @param base     first byte, a multiple of 4 KiB
 * @param size     bytes, a multiple of 4 KiB, > 0
 * @return NTMM_STATUS_SUCCESS: every page holds what it held;
 *         NTMM_STATUS_UNSUCCESSFUL  done, but the contents of some page have gone: it is zeros, or
 *                                   what was written since. (Win32's ERROR_BUSY.)
 *         or, with nothing changed, those of ntmm_offer_virtual_memory
 * Level: APC.
 * Locks: as there.
 * Source: ReclaimVirtualMemory, Microsoft documentation.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_reclaim_virtual_memory(struct ntmm_system *system,
                                                               ntmm_handle process, uint64_t base,
                                                               uint64_t size);

/**
 * Give the contents of pages up at once, as DiscardVirtualMemory does: frames and page-file slots
 * are freed, and the pages are zeros. Locked pages keep their frames and their contents.
 *
 * @param system   any
 * @param process  whose memory; needs NTMM_PROCESS_VM_OPERATION
 * @param base     first byte, a multiple of 4 KiB
 * @param size     bytes, a multiple of 4 KiB, > 0
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed, those of ntmm_offer_virtual_memory
 * Level: APC.
 * Locks: as there.
 * Source: DiscardVirtualMemory, Microsoft documentation.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_discard_virtual_memory(struct ntmm_system *system,
                                                               ntmm_handle process, uint64_t base,
                                                               uint64_t size);

#ifdef __cplusplus
}
#endif

#endif
