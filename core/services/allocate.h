/*
 * An allocation: what both forms of the service come to when their arguments are read.
 *
 *   ntmm_allocate_virtual_memory -----> check, capture --+
 *                                                        +--> struct allocation --> allocation_run
 *   ntmm_allocate_virtual_memory_ex --> check, capture --+
 */
#ifndef NTMM_SERVICES_ALLOCATE_H
#define NTMM_SERVICES_ALLOCATE_H

#include "services/space_search.h"

struct allocation {
    uint64_t base;              /* bytes, as given; 0: the system chooses */
    uint64_t size;              /* bytes, as given */
    struct space_bounds bounds; /* of a place that the system chooses */
    uint32_t type;              /* NTMM_MEM_* */
    uint32_t protect;           /* NTMM_PAGE_* */
    uint32_t protection;        /* the same as a PROT_* code */
    uint32_t attributes;        /* NTMM_ATTRIBUTE_*; the plain form has none */
    bool has_no_targets;        /* pages that become executable hold no call target */
};

/* What the type says by itself, placeholders aside: INVALID_PARAMETER_5, INVALID_PARAMETER_6. */
ntmm_status allocation_check_type(uint32_t type, uint32_t protect);

/*
 * The protection, the pointers and the range, in this order; *base and *size are captured.
 * INVALID_PAGE_PROTECTION, ACCESS_VIOLATION, INVALID_PARAMETER_2, INVALID_PARAMETER_4.
 */
ntmm_status allocation_capture(struct allocation *a, const uint64_t *base, const uint64_t *size);

/* Find the process and do it; *base and *size are written on success only. */
ntmm_status allocation_run(struct call *c, ntmm_handle handle, const struct allocation *a,
                           uint64_t *base, uint64_t *size);

#endif
