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

#include <ntmm/status.h>
#include <ntmm/system.h>
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
#define NTMM_PROCESS_ALL 0x3FFFu                       /**< All of these. */
#define NTMM_MAXIMUM_ALLOWED 0x02000000u               /**< Asks for whatever is not denied. */
/** @} */

/** @name Privileges of a caller
 * A set: bit n stands for the privilege that NT numbers n.
 * @{ */
#define NTMM_PRIVILEGE_LOCK_MEMORY (1ull << 4)             /**< Large pages, AWE, MAP_SYSTEM. */
#define NTMM_PRIVILEGE_INCREASE_QUOTA (1ull << 5)          /**< Raise quotas. */
#define NTMM_PRIVILEGE_PROFILE_SINGLE_PROCESS (1ull << 13) /**< Memory-list commands. */
#define NTMM_PRIVILEGE_INCREASE_WORKING_SET (1ull << 33)   /**< Raise working-set limits. */
/** @} */

/** @name Protection of a process: PS_PROTECTION
 * Type in bits 2:0, audit in bit 3, signer in bits 7:4.
 * @{ */
#define NTMM_PROTECTION_NONE 0u     /**< Type: not protected. */
#define NTMM_PROTECTION_LIGHT 1u    /**< Type: protected process light. */
#define NTMM_PROTECTION_FULL 2u     /**< Type: protected process. */
#define NTMM_PROTECTION_AUDIT 0x08u /**< Report, do not enforce; has no effect here. */
#define NTMM_SIGNER_NONE 0u         /**< Signer: nobody. */
#define NTMM_SIGNER_AUTHENTICODE 1u /**< Signer: Authenticode. */
#define NTMM_SIGNER_CODEGEN 2u      /**< Signer: .NET native code generation. */
#define NTMM_SIGNER_ANTIMALWARE 3u  /**< Signer: antimalware services. */
#define NTMM_SIGNER_LSA 4u          /**< Signer: the local security authority. */
#define NTMM_SIGNER_WINDOWS 5u      /**< Signer: Windows. */
#define NTMM_SIGNER_WINTCB 6u       /**< Signer: the trusted computing base of Windows. */
#define NTMM_SIGNER_WINSYSTEM 7u    /**< Signer: the system itself. */
#define NTMM_SIGNER_APP 8u          /**< Signer: store applications. */
/** The byte of a type and a signer. */
#define NTMM_PROTECTION(type, signer) ((uint32_t)(type) | (uint32_t)(signer) << 4)
/** @} */

/** ntmm_caller.version of this header. */
#define NTMM_CALLER_VERSION 1u

/** Who asks. Zero the struct, set `size` and `version`. */
struct ntmm_caller {
    uint32_t size;       /**< sizeof(struct ntmm_caller). */
    uint32_t version;    /**< NTMM_CALLER_VERSION. */
    ntmm_handle process; /**< The calling process, whose protection counts; 0: kernel mode. */
    uint64_t privileges; /**< NTMM_PRIVILEGE_* bits that its token holds, enabled. */
};

/**
 * Open a process for a caller: a handle with the rights that the target's protection leaves, and
 * the caller's privileges.
 *
 * Whether the caller may have what it asks for by the target's security descriptor is the
 * embedder's to decide, before. A target that is protected grants a caller everything if the
 * caller's type is at least the target's and its signer dominates the target's; otherwise it denies
 * what its signer denies: of a protected process little more remains than to query a few things, to
 * suspend it and, for some signers, to end it. Kernel mode is never denied anything. No privilege
 * helps, SeDebugPrivilege included.
 *
 * @param system   any
 * @param caller   who asks; NULL: kernel mode with every privilege
 * @param target   a handle of the process; what it lacks does not matter
 * @param desired  NTMM_PROCESS_* bits, standard rights and SYNCHRONIZE (which are not carried), or
 *                 NTMM_MAXIMUM_ALLOWED
 * @param handle   out: the handle; untouched on failure. It needs no closing
 * @return NTMM_STATUS_SUCCESS; or
 *         NTMM_STATUS_ACCESS_VIOLATION       handle is NULL
 *         NTMM_STATUS_INFO_LENGTH_MISMATCH   the caller's size or version is not this header's
 *         NTMM_STATUS_INVALID_PARAMETER_2    the caller's process names nothing alive
 *         NTMM_STATUS_INVALID_HANDLE         target names nothing alive
 *         NTMM_STATUS_OBJECT_TYPE_MISMATCH   target is a handle of another kind
 *         NTMM_STATUS_PROCESS_IS_TERMINATING target is ending
 *         NTMM_STATUS_ACCESS_DENIED          the target's protection denies a right asked for
 * Level: DISPATCH.
 * Locks: takes (W) of the caller's process and of the target, one after the other.
 * Source: NtOpenProcess; the rule and the masks are public knowledge of protected processes.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_open_process(struct ntmm_system *system,
                                                     const struct ntmm_caller *caller,
                                                     ntmm_handle target, uint32_t desired,
                                                     ntmm_handle *handle);

/**
 * What a handle grants.
 *
 * @param handle  of a process; whether it is alive does not matter
 * @return NTMM_PROCESS_* bits; 0 for a handle of another kind
 * Level: any.
 * Locks: none; looks at the handle alone. Source: ours.
 */
NTMM_API uint32_t ntmm_granted_access(ntmm_handle handle);

/**
 * The privileges that a handle carries.
 *
 * @param handle  of a process
 * @return NTMM_PRIVILEGE_* bits; 0 for a handle of another kind
 * Level: any.
 * Locks: none; looks at the handle alone. Source: ours.
 */
NTMM_API uint64_t ntmm_held_privileges(ntmm_handle handle);

#ifdef __cplusplus
}
#endif

#endif
