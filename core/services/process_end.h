/*
 * The end of a process at the end of its system.
 */
#ifndef NTMM_SERVICES_PROCESS_END_H
#define NTMM_SERVICES_PROCESS_END_H

#include "space/process.h"

/* End a process whose slots go with the page files: tables that are out are not read for it. */
void process_end_with_system(struct call *c, ntmm_handle handle);

#endif
