/**
 * @file
 * The door: page faults.
 *
 * A processor (emulated, real, or a host signal) reports a page fault; the door walks the tables,
 * decodes the entry it stopped at and calls the one resolver of that kind. A success means: run the
 * access again. Anything else is the exception that NT would raise in the program.
 *
 * ntmm_fault_begin may return NTMM_STATUS_PENDING: the fault waits for a frame, or for a page to be
 * read. When the wait is woken the fault is begun anew, from the walk. ntmm_page_fault is the
 * loop.
 */
#ifndef NTMM_FAULT_H
#define NTMM_FAULT_H

#include <ntmm/platform.h>
#include <ntmm/status.h>
#include <ntmm/system.h>
#include <ntmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @name Error code of a page fault, as the processor pushes it
 * @{ */
#define NTMM_FAULT_PRESENT 0x01u        /**< The translation existed; rights were missing. */
#define NTMM_FAULT_WRITE 0x02u          /**< A write. */
#define NTMM_FAULT_USER 0x04u           /**< At user privilege. */
#define NTMM_FAULT_RESERVED 0x08u       /**< A reserved bit was set in an entry. */
#define NTMM_FAULT_EXECUTE 0x10u        /**< An instruction fetch. */
#define NTMM_FAULT_PROTECTION_KEY 0x20u /**< A protection key denied it. */
/** @} */

/**
 * The user stack of the faulting thread, as its TEB describes it. A guard page hit inside
 * [deallocation_stack, stack_base) grows the stack instead of raising.
 */
struct ntmm_thread_stack {
    uint64_t stack_base;         /**< Byte after the highest of the stack. */
    uint64_t stack_limit;        /**< In/out: lowest accessible byte; lowered by growth. */
    uint64_t deallocation_stack; /**< Lowest byte of the reservation. */
    uint64_t guaranteed_bytes;   /**< Kept for handling an overflow. */
};

/** A page fault to resolve. */
struct ntmm_fault_request {
    ntmm_handle process;             /**< Whose address space. */
    uint64_t address;                /**< CR2. */
    uint32_t error_code;             /**< NTMM_FAULT_* bits. */
    uint32_t reserved;               /**< 0. */
    struct ntmm_thread_stack *stack; /**< Of the faulting thread, in/out; NULL: none. */
    uint64_t instruction; /**< Its address, for who watches the working set; 0: not known. */
    uint64_t thread;      /**< Id of the faulting thread, for the same; 0: not known. */
};

/** How a fault was resolved. */
enum ntmm_fault_kind {
    NTMM_FAULT_KIND_NONE,          /**< Not resolved. */
    NTMM_FAULT_KIND_DEMAND_ZERO,   /**< A zeroed frame was mapped. */
    NTMM_FAULT_KIND_TRANSITION,    /**< The page was still in memory, on a list. */
    NTMM_FAULT_KIND_MAKE_DIRTY,    /**< The first write of a clean writable page. */
    NTMM_FAULT_KIND_GUARD,         /**< A guard page of the thread's stack: it grew. */
    NTMM_FAULT_KIND_SPURIOUS,      /**< The entry already grants the access. */
    NTMM_FAULT_KIND_HARD,          /**< The page was read from a page file, or its own file. */
    NTMM_FAULT_KIND_COPY_ON_WRITE, /**< A page of a section was copied for the process. */
};

/** The outcome. */
struct ntmm_fault_result {
    enum ntmm_fault_kind kind; /**< How it was resolved. */
    uint32_t parameter_count;  /**< Parameters of the exception record; 0 on success. */
    uint64_t parameters[3];    /**< [0] 0 read, 1 write, 8 execute; [1] address; [2] I/O status. */
};

/**
 * Begin to resolve a page fault.
 *
 * @param system   any
 * @param request  the fault; its stack is written when a guard page grows it
 * @param wait     caller-owned; zeroed before the fault is begun for the first time, then handed in
 *                 as it is. After PENDING it is alive until the fault is begun again or
 *                 ntmm_fault_cancel has returned
 * @param result   out: filled whole
 * @return NTMM_STATUS_SUCCESS               resolved: run the access again
 *         NTMM_STATUS_PENDING               `wait` is queued; when it is woken begin again
 *         NTMM_STATUS_ACCESS_VIOLATION      raise it, two parameters; an address that is not
 *                                           canonical is reported as all ones
 *         NTMM_STATUS_IN_PAGE_ERROR         raise it, three parameters: the page, or a table above
 *                                           it, could not be read; the third is the I/O status
 *         NTMM_STATUS_GUARD_PAGE_VIOLATION  raise it, two parameters; the guard is gone
 *         NTMM_STATUS_STACK_OVERFLOW        raise it, two parameters; no room to grow the stack, of
 *                                           which the rest may have been committed
 *         NTMM_STATUS_INVALID_HANDLE        the process is gone
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH  it is a handle of another kind
 *         NTMM_STATUS_PROCESS_IS_TERMINATING  the process is ending
 *         NTMM_STATUS_COMMITMENT_LIMIT      a page table could not be charged, even to the reserve
 * Level: APC.
 * Locks: takes (W), (F), (G), (L), (P), (N), (C), (Q), and (W) of other processes when it trims;
 * soft faults may share (W). May wait for a shootdown, nothing else blocks. Submits transfers, with
 * no lock held. A guard consumed stays consumed.
 * Source: public descriptions of NT's fault handling; docs/fidelity.md.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_fault_begin(struct ntmm_system *system,
                                                    const struct ntmm_fault_request *request,
                                                    struct ntmm_wait *wait,
                                                    struct ntmm_fault_result *result);

/**
 * Give up a fault that waits. When this returns the wait is in no queue and will not be woken.
 *
 * @param system  any
 * @param wait    as given to ntmm_fault_begin
 * Level: DISPATCH.
 * Locks: takes the waiters' lock. Source: ours.
 */
NTMM_API void ntmm_fault_cancel(struct ntmm_system *system, struct ntmm_wait *wait);

/**
 * Resolve a page fault, waiting as long as it takes: the loop around ntmm_fault_begin.
 *
 * @param system   any
 * @param request  the fault
 * @param result   out: filled whole
 * @return as ntmm_fault_begin, never PENDING; NTMM_STATUS_NO_MEMORY when no frame came free within
 *         the configured time, or the platform cannot wait
 * Level: APC.
 * Locks: none held while waiting. Blocks in the platform's wait.
 * Source: ours.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_page_fault(struct ntmm_system *system,
                                                   const struct ntmm_fault_request *request,
                                                   struct ntmm_fault_result *result);

#ifdef __cplusplus
}
#endif

#endif
