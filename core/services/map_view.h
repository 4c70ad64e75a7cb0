/*
 * What the two forms of mapping a view share, and the end of a process's views.
 */
#ifndef NTMM_SERVICES_MAP_VIEW_H
#define NTMM_SERVICES_MAP_VIEW_H

#include "services/space_search.h"

/* One call. */
struct map_request {
    ntmm_handle section;
    ntmm_handle process;
    uint64_t base; /* bytes; 0: the system chooses */
    uint64_t commit_size;
    uint64_t offset;
    uint64_t view_size; /* 0: to the section's end */
    uint32_t inherit;
    uint32_t type;
    uint32_t protect;
    uint32_t protection; /* PROT_* code */
    bool has_no_targets; /* what becomes executable holds no call target */
    struct space_bounds bounds;
};

/* Steps 4 and 5; captures the arguments. */
ntmm_status map_check_arguments(struct map_request *m, const uint64_t *base,
                                const uint64_t *view_size, const uint64_t *offset);

/* Steps 6 to 12. */
ntmm_status map_run(struct call *c, const struct map_request *m, uint64_t *base, uint64_t *offset,
                    uint64_t *view_size);

/* Unmap all views of an ending process, whose locks are given up in between. False with WANT_TABLE:
 * a table is out; call it again with *reached, 0 at first, as it was left. No more than one table
 * of a view needs to be in memory at once. */
bool views_run_down(struct call *c, struct process *process, uint64_t *reached);

#endif
