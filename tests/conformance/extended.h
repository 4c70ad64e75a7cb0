/*
 * The model's extended parameters as the library takes them.
 */
#ifndef CONFORMANCE_EXTENDED_H
#define CONFORMANCE_EXTENDED_H

#include "model/model.h"

#include <ntmm/virtual.h>

#define EXTENDED_LIMIT 8u

struct extended_parameters {
    struct ntmm_mem_extended_parameter parameters[EXTENDED_LIMIT];
    struct ntmm_mem_address_requirements requirements[EXTENDED_LIMIT];
};

/* NULL for NULL; what is returned lies in *storage. At most EXTENDED_LIMIT are taken over. */
static inline const struct ntmm_mem_extended_parameter *extended_parameters(
    const struct model_parameter *given, uint32_t count, struct extended_parameters *storage)
{
    for (uint32_t i = 0; given && i < count && i < EXTENDED_LIMIT; i++) {
        storage->parameters[i].type = given[i].type;
        storage->parameters[i].value = given[i].value;
        if (given[i].type != NTMM_MEM_PARAMETER_ADDRESS_REQUIREMENTS) {
            continue;
        }
        storage->requirements[i].lowest_starting_address = given[i].value;
        storage->requirements[i].highest_ending_address = given[i].highest;
        storage->requirements[i].alignment = given[i].alignment;
        storage->parameters[i].value = 0;
        storage->parameters[i].requirements = given[i].is_null ? NULL : &storage->requirements[i];
    }
    return given ? storage->parameters : NULL;
}

#endif
