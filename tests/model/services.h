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
/* A protection without its flag about call targets, which only executable ones may have. */
uint32_t services_without_targets(uint32_t protect);
/* A base protection and a modifier that goes with it. */
bool services_is_legal_protection(uint32_t protect);
/* The byte after the highest that zero bits allow. */
uint64_t services_end_of_zero_bits(uint64_t zero_bits);
/* A free place of `size` bytes; 0: none. */
uint64_t services_search(const struct model_process *process, uint64_t size,
                         const struct model_bounds *bounds, uint32_t type);
bool services_is_free(const struct model_process *process, uint64_t base, uint64_t end);
/* Whether `pages` more may be promised. */
uint32_t services_check_commit(const struct model_process *process, uint64_t pages);
/* Extended parameters, in their order. */
uint32_t services_take_parameters(const struct model_parameter *given, uint32_t count,
                                  uint32_t type, struct model_bounds *bounds);
/* An empty region becomes a placeholder. */
void placeholders_become(struct model_region *region);
/* RELEASE with a flag of placeholders; every argument is legal. */
uint32_t placeholders_free(struct model_process *process, uint64_t *base, uint64_t *size,
                           uint32_t flag);

#endif
