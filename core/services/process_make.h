/*
 * What making and cloning processes share.
 */
#ifndef NTMM_SERVICES_PROCESS_MAKE_H
#define NTMM_SERVICES_PROCESS_MAKE_H

#include "space/process.h"

#include <ntmm/process.h>

#include <stdbool.h>

/* The caller's configuration in this version's form. False: its size or version is unknown. */
bool process_capture_config(const struct ntmm_process_config *given,
                            struct ntmm_process_config *config);

/* A child that is being made gets the call targets of its parent, if that keeps any: its bitmap
 * begins where the parent's does, and has what that has. No lock is held. */
ntmm_status clone_targets(struct call *c, ntmm_handle parent, struct process *child);

/* Where the child, whose regions are all there, has none, it has no target: of a view that clones
 * do not get, or of what the parent made or released meanwhile. */
void clone_targets_end(struct call *c, struct process *child);

#endif
