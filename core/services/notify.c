/*
 * The public side of the conditions of memory. See phys/conditions.c.
 */
#include "phys/pfn.h"

#include <ntmm/statistics.h>

ntmm_status ntmm_query_memory_condition(struct ntmm_system *system, uint32_t condition,
                                        bool *is_signalled)
{
    struct call c = call_begin(system);
    if (condition >= NTMM_MEMORY_CONDITION_COUNT)
        return NTMM_STATUS_INVALID_PARAMETER_2;
    if (!is_signalled)
        return NTMM_STATUS_ACCESS_VIOLATION;
    *is_signalled = (conditions_now(&c) >> condition & 1u) != 0;
    return NTMM_STATUS_SUCCESS;
}

void ntmm_set_event_mask(struct ntmm_system *system, uint32_t mask)
{
    struct call c = call_begin(system);
    __atomic_store_n(&system->conditions, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&system->event_mask, mask, __ATOMIC_RELAXED);
    condition_note(&c); /* what holds already is news to whoever enables it */
}
