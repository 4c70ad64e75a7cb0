/*
 * What a query says of a page, for those who look without waiting, and the parts of a query by
 * class.
 */
#ifndef NTMM_SERVICES_QUERY_H
#define NTMM_SERVICES_QUERY_H

#include "space/process.h"

#include <ntmm/query.h>
#include <ntmm/virtual.h>

/*
 * The page's region and run, as far as tables are in memory: c->want.kind is WANT_TABLE when one is
 * not, and region_size then ends before what it decides, at 0 when that is the page. (W) is held.
 */
void query_describe(struct call *c, struct process *process, uint64_t page,
                    struct ntmm_memory_basic_information *information);

/* The same for a run that ends at page `limit` if it does not end before. */
void query_describe_until(struct call *c, struct process *process, uint64_t page, uint64_t limit,
                          struct ntmm_memory_basic_information *information);

/* One call of ntmm_query_virtual_memory_class. */
struct question {
    struct ntmm_system *system;
    ntmm_handle process;
    uint64_t address;
    char *buffer;
    uint64_t length;
    uint64_t written; /* out: bytes, on success; of a name that does not fit, its own */
};

/* --- query_views.c --- */

ntmm_status query_mapped_name(struct question *q);
ntmm_status query_image(struct question *q);
ntmm_status query_shared_commit(struct question *q);

/* --- query_pages.c --- */

ntmm_status query_working_set(struct question *q);
ntmm_status query_single_pages(struct question *q);

#endif
