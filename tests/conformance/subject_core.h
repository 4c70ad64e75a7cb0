/*
 * The library as a subject: what its parts share.
 */
#ifndef CONFORMANCE_SUBJECT_CORE_H
#define CONFORMANCE_SUBJECT_CORE_H

#include "conformance/subject.h"

#include <ntmm/emulated.h>
#include <ntmm/process.h>

struct sweep_events;

struct core_self {
    struct ntmm_emulated *emu;
    struct ntmm_system *system;
    ntmm_handle handles[CALLER_COUNT];
    struct ntmm_process_config live; /* how the live process is made */
    bool is_paged;                   /* everything goes out after each call */
    struct sweep_events *events;     /* that fail, or NULL */
};

/* To be called after every call of the library. */
void subject_core_after_call(struct core_self *self);
/* NULL, or the invariant that the checker found broken. */
const char *subject_core_check(struct core_self *self);

extern const struct subject_sections subject_core_sections;

#endif
