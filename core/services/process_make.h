/*
 * What making and cloning processes share.
 */
#ifndef NTMM_SERVICES_PROCESS_MAKE_H
#define NTMM_SERVICES_PROCESS_MAKE_H

#include <ntmm/process.h>

#include <stdbool.h>

/* The caller's configuration in this version's form. False: its size or version is unknown. */
bool process_capture_config(const struct ntmm_process_config *given,
                            struct ntmm_process_config *config);

#endif
