/*
 * The parts of allocation that both forms of the service share in the model.
 */
#ifndef MODEL_SERVICES_H
#define MODEL_SERVICES_H

#include "model/pages.h"

/* Where a place is searched: bytes, half-open, at multiples of the alignment. */
struct model_bounds {
    uint64_t lowest;
    uint64_t end;
    uint64_t alignment;
    bool is_given;    /* by requirements that are not all zero */
    bool is_resident; /* what is made there is of small pages that stay in memory */
};

/* Steps 2 to 7: what may be asked for, and together with what. */
uint32_t services_check_type(uint32_t type, uint32_t protect);
/* Whether pages that stay in memory can have a protection: no modifier, and some access. */
bool services_is_resident_protection(uint32_t protect);
/* Steps 8 to 13: protection, pointers, range, handle. */
uint32_t services_check_arguments(const struct model_process *process, const uint64_t *base,
                                  const uint64_t *size, uint32_t type, uint32_t protect);
/* What follows when every argument is legal. */
uint32_t services_allocate(struct model_process *process, uint64_t *base, uint64_t *size,
                           uint32_t type, uint32_t protect, const struct model_bounds *bounds);
/* RELEASE with a flag of placeholders; every argument is legal. */
uint32_t placeholders_free(struct model_process *process, uint64_t *base, uint64_t *size,
                           uint32_t flag);

#endif
