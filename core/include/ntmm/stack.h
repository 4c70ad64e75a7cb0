/**
 * @file
 * Stacks of threads, as NT's user mode makes them.
 *
 *     allocation base                        stack limit          stack base
 *     | lowest page, never committed ... reserved | guard | committed |
 *
 * The fault path grows such a stack: see struct ntmm_thread_stack in ntmm/fault.h, which each of
 * these fills in or follows.
 *
 * Source: RtlCreateUserStack, RtlFreeUserStack and ProcessThreadStackAllocation as observed;
 * decisions of ours stand in docs/fidelity.md.
 */
#ifndef NTMM_STACK_H
#define NTMM_STACK_H

#include <ntmm/fault.h>
#include <ntmm/status.h>
#include <ntmm/system.h>
#include <ntmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Reserved for a stack whose creator does not say: 1 MiB. */
#define NTMM_STACK_RESERVE_DEFAULT 0x100000u
/** Committed at least, its guard not counted: 8 KiB. */
#define NTMM_STACK_COMMIT_LEAST 0x2000u

/** What a stack is to be. Bytes throughout. */
struct ntmm_stack_request {
    uint64_t commit;            /**< Committed at its top; 0: the least. */
    uint64_t reserve;           /**< Reserved; 0: the default. */
    uint64_t zero_bits;         /**< As for ntmm_allocate_virtual_memory. */
    uint64_t commit_alignment;  /**< Commit is rounded up to it: a power of two. */
    uint64_t reserve_alignment; /**< Reserve is rounded up to it: a power of two. */
    uint64_t guaranteed_bytes;  /**< To be there still when the stack overflows. */
};

/**
 * Make a stack: reserve it, commit its top, set its guard.
 *
 * Commit is rounded to its alignment and to a page, reserve to its alignment and to 64 KiB; a
 * reserve that does not exceed the commit becomes the commit rounded up to 1 MiB. The guard is one
 * page and the guaranteed bytes, just below what is committed; a stack too small for it has none.
 *
 * @param system   any
 * @param process  with NTMM_PROCESS_VM_OPERATION
 * @param request  what is wanted
 * @param stack    out: filled whole on success, untouched on failure
 * @return NTMM_STATUS_SUCCESS; or, with nothing left behind,
 *         NTMM_STATUS_ACCESS_VIOLATION       request or stack is NULL
 *         NTMM_STATUS_INVALID_PARAMETER      an alignment is 0 or no power of two, or a size is
 *                                            beyond the address space
 *         and what ntmm_allocate_virtual_memory and ntmm_protect_virtual_memory return. With
 *         NTMM_STATUS_NO_MEMORY, or the status of a page table that could not be read, the region
 *         may stay reserved: releasing it may need that table
 * Level: APC.
 * Locks: as those, one after the other. Source: RtlCreateUserStack.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_create_user_stack(struct ntmm_system *system,
                                                          ntmm_handle process,
                                                          const struct ntmm_stack_request *request,
                                                          struct ntmm_thread_stack *stack);

/**
 * Free a stack: release its whole region.
 *
 * @param system   any
 * @param process  with NTMM_PROCESS_VM_OPERATION
 * @param stack    its deallocation_stack is the region's base
 * @return NTMM_STATUS_SUCCESS; NTMM_STATUS_ACCESS_VIOLATION: stack is NULL; or what
 *         ntmm_free_virtual_memory returns
 * Level: APC.
 * Locks: as that. Source: RtlFreeUserStack.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_free_user_stack(struct ntmm_system *system,
                                                        ntmm_handle process,
                                                        const struct ntmm_thread_stack *stack);

/**
 * Reserve the region of a stack and nothing more.
 *
 * @param system        any
 * @param process       with NTMM_PROCESS_VM_OPERATION
 * @param reserve_size  bytes, rounded up to a page
 * @param zero_bits     as for ntmm_allocate_virtual_memory
 * @param base          out: the region's base, which ntmm_free_virtual_memory releases; untouched
 *                      on failure
 * @return NTMM_STATUS_SUCCESS; or
 *         NTMM_STATUS_ACCESS_VIOLATION   base is NULL
 *         NTMM_STATUS_INVALID_PARAMETER  no address that zero_bits allows leaves room for the size
 *         and what ntmm_allocate_virtual_memory returns
 * Level: APC.
 * Locks: as that. Source: NtSetInformationProcess, ProcessThreadStackAllocation.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_allocate_thread_stack(struct ntmm_system *system,
                                                              ntmm_handle process,
                                                              uint64_t reserve_size,
                                                              uint64_t zero_bits, uint64_t *base);

/**
 * Follow a change of protection that a thread made within its own stack: a guard moves the stack
 * limit to the page above it. To be called after a commit or protect succeeded.
 *
 * @param stack    the thread's own
 * @param base     first byte of the range that was changed
 * @param size     bytes of it
 * @param protect  the protection it was given
 * Level: any.
 * Locks: none. Source: observed: the limit follows guards that are set, not those that are taken
 * away.
 */
NTMM_API void ntmm_follow_stack_guard(struct ntmm_thread_stack *stack, uint64_t base, uint64_t size,
                                      uint32_t protect);

#ifdef __cplusplus
}
#endif

#endif
