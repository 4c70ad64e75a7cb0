/**
 * @file
 * Call targets: what control flow guard lets a program call through a pointer.
 *
 * A process made with NTMM_PROCESS_CONTROL_FLOW_GUARD has a bitmap in its address space that its
 * code reads before such a call: bits ((address >> 3) & 62) and the next of the 8 bytes at
 * bitmap_base + (address >> 9) * 8 are 0 where no address of 16 bytes is a target, 1 where the
 * first is, 3 where all are. A page that is made executable holds targets everywhere, unless
 * NTMM_PAGE_TARGETS_INVALID or NTMM_PAGE_TARGETS_NO_UPDATE says otherwise;
 * ntmm_set_information_virtual_memory says it of single addresses. A view of an image that says
 * GUARD_CF and has a table of functions holds targets at these alone.
 */
#ifndef NTMM_CALL_TARGET_H
#define NTMM_CALL_TARGET_H

#include <ntmm/system.h>
#include <ntmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What is known of an address. */
struct ntmm_call_target {
    uint64_t bitmap_base;       /**< First byte of the bitmap; 0: the process has none. */
    uint64_t bitmap_size_bytes; /**< Reserved for it. */
    uint32_t is_valid;          /**< 1: it is a target, or the process has no bitmap; else 0. */
    uint32_t reserved;          /**< 0. */
};

/**
 * Whether an address may be called, and where the bitmap is that says so.
 *
 * @param system   any
 * @param process  needs NTMM_PROCESS_QUERY_INFORMATION
 * @param address  any user address
 * @param target   out: filled whole on success, untouched on failure
 * @return NTMM_STATUS_SUCCESS; or
 *         NTMM_STATUS_ACCESS_VIOLATION        target is NULL
 *         NTMM_STATUS_INVALID_PARAMETER_2     address above user space
 *         NTMM_STATUS_INVALID_HANDLE          no such process, or it has ended
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH    it is a handle of another kind
 *         NTMM_STATUS_ACCESS_DENIED           the handle lacks the right
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  the process is ending
 * Level: DISPATCH.
 * Locks: takes (A), (W). Never waits. Source: ours; the format: docs/fidelity.md.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_query_call_target(struct ntmm_system *system,
                                                          ntmm_handle process, uint64_t address,
                                                          struct ntmm_call_target *target);

#ifdef __cplusplus
}
#endif

#endif
