/*
 * What of this kernel exists because of ntmm, all of it in this folder: ci/kernel-lines counts it.
 *
 *   seam.c      memory handed over, the platform's operations, page faults, the start
 *   services.c  programs, and their system calls to ntmm's services
 *   report.c    the memory report, the end
 */
#ifndef KERNEL_NTMM_SEAM_H
#define KERNEL_NTMM_SEAM_H

#include "../machine/program.h"
#include "../user/calls.h"

#include <ntmm.h>
#include <ntmm/freestanding.h>

/* What is kept of a thread of a program: its stack as ntmm grows it, and its last fault. */
struct program_thread {
    struct ntmm_thread_stack stack;
    uint64_t faults, last_kind, last_away; /* away: time stamps switched out */
};

extern struct ntmm_freestanding machine;
extern struct ntmm_system *mm;

void must(ntmm_status status, const char *what);
void start_program(uint32_t slot, uint32_t number, uint64_t share);
void report_memory(void);
void report_end(void) __attribute__((noreturn));

#endif
