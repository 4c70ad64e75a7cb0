/*
 * The end of a process, and that at the end of its system.
 */
#ifndef NTMM_SERVICES_PROCESS_END_H
#define NTMM_SERVICES_PROCESS_END_H

#include "space/process.h"

/* End a process that is ENDING, or MAKING, whose (A) and (W) are held, and released: SUCCESS; or,
 * in state END_FAILED, what ntmm_end_process says. Waits. */
ntmm_status process_run_down(struct call *c, struct process *process);

/* End a process whose slots go with the page files: tables that are out are not read for it. */
void process_end_with_system(struct call *c, ntmm_handle handle);

#endif
