/**
 * @file
 * Who may touch whom: access rights of processes, and what a handle carries.
 *
 * A handle is what its holder has: the process, the rights that were granted when it was opened,
 * and the privileges of who opened it. ntmm_create_process returns one with everything, as kernel
 * code and the embedder itself have it. A service that needs a right which the handle lacks returns
 * NTMM_STATUS_ACCESS_DENIED; one that needs a privilege, NTMM_STATUS_PRIVILEGE_NOT_HELD. As in NT,
 * rights are decided when a handle is opened and not again: no state is kept for a handle, any
 * number of them may exist, and none needs to be closed.
 *
 * Source: public SDK headers for the values.
 */
#ifndef NTMM_ACCESS_H
#define NTMM_ACCESS_H

#include <ntmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @name Access rights of a process
 * @{ */
#define NTMM_PROCESS_TERMINATE 0x0001u                 /**< End it. */
#define NTMM_PROCESS_CREATE_THREAD 0x0002u             /**< Make a thread, and its stack. */
#define NTMM_PROCESS_VM_OPERATION 0x0008u              /**< Change its address space. */
#define NTMM_PROCESS_VM_READ 0x0010u                   /**< Read its memory. */
#define NTMM_PROCESS_VM_WRITE 0x0020u                  /**< Write its memory. */
#define NTMM_PROCESS_DUP_HANDLE 0x0040u                /**< Duplicate its handles. */
#define NTMM_PROCESS_CREATE_PROCESS 0x0080u            /**< Clone it. */
#define NTMM_PROCESS_SET_QUOTA 0x0100u                 /**< Set its limits. */
#define NTMM_PROCESS_SET_INFORMATION 0x0200u           /**< Set what it is. */
#define NTMM_PROCESS_QUERY_INFORMATION 0x0400u         /**< Query it. */
#define NTMM_PROCESS_SUSPEND_RESUME 0x0800u            /**< Suspend and resume it. */
#define NTMM_PROCESS_QUERY_LIMITED_INFORMATION 0x1000u /**< Query a few things. */
#define NTMM_PROCESS_SET_LIMITED_INFORMATION 0x2000u   /**< Set a few things. */
/** @} */

#ifdef __cplusplus
}
#endif

#endif
