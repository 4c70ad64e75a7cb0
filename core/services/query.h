/*
 * What a query says of a page, for those who look without waiting.
 */
#ifndef NTMM_SERVICES_QUERY_H
#define NTMM_SERVICES_QUERY_H

#include "space/process.h"

#include <ntmm/virtual.h>

/*
 * The page's region and run, as far as tables are in memory: c->want.kind is WANT_TABLE when one is
 * not, and region_size then ends before what it decides, at 0 when that is the page. (W) is held.
 */
void query_describe(struct call *c, struct process *process, uint64_t page,
                    struct ntmm_memory_basic_information *information);

#endif
