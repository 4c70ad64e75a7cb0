/*
 * Privileges: looked at between the rights of a handle and whether its process lives.
 */
#ifndef NTMM_SERVICES_PRIVILEGE_H
#define NTMM_SERVICES_PRIVILEGE_H

#include "space/process.h"

/* As process_lock_working_set, and PRIVILEGE_NOT_HELD, no lock held, when the handle lacks one of
 * the privileges (HELD_*, 0: none). */
ntmm_status privileged_lock(struct call *c, ntmm_handle handle, uint32_t rights,
                            uint32_t privileges, struct process **process);

#endif
