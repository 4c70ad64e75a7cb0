/*
 * What a query says of a page, for those who look without waiting, and the parts of a query by
 * class.
 */
#ifndef NTMM_SERVICES_QUERY_H
#define NTMM_SERVICES_QUERY_H

#include "services/relief.h"

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

/* --- query_parts.c --- */

/* A run of equal pages, as far as it was seen. */
struct query_run {
    struct ntmm_memory_basic_information found;
    uint64_t next; /* page behind what was found; 0: nothing was */
};

/*
 * Look at the run of a page, from where the last look ended. True: `found` is all of it, up to page
 * `limit` at most. False: WANT_TABLE. (W) is held.
 */
bool query_go_on(struct call *c, struct process *process, uint64_t page, uint64_t limit,
                 struct query_run *run);

/* A table is out at `page`, further than *reached or not. Whether what was seen is to be kept: the
 * tables do not fit into memory together. */
bool query_keeps_parts(struct relief *relief, uint64_t page, uint64_t *reached);

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
