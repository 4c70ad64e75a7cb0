/*
 * NtMapViewOfSectionEx: extended parameters, and views over placeholders.
 *
 * What the plain form answers by the number of an argument is INVALID_PARAMETER here. An alignment
 * of 0 is all that address requirements may ask for. Source: nt_semantics 4.4.
 */
#include "services/map_view.h"

#include <ntmm/section.h>

#define TYPE_BITS 0xFFu
#define MACHINE_NATIVE 0x8664u
#define MACHINE_UNKNOWN 0u
#define KNOWN_TYPES                                                                                \
    (NTMM_MEM_RESERVE | NTMM_MEM_TOP_DOWN | NTMM_MEM_LARGE_PAGES |                                 \
     NTMM_MEM_DIFFERENT_IMAGE_BASE_OK | NTMM_SEC_NO_CHANGE | NTMM_MEM_REPLACE_PLACEHOLDER)

static ntmm_status take_requirements(const struct ntmm_mem_address_requirements *given,
                                     struct map_request *m, bool *is_bounded)
{
    if (!given)
        return NTMM_STATUS_ACCESS_VIOLATION;
    uint64_t lowest = given->lowest_starting_address;
    uint64_t highest = given->highest_ending_address;
    if (given->alignment != 0 || lowest % NTMM_ALLOCATION_GRANULARITY)
        return NTMM_STATUS_INVALID_PARAMETER;
    if (highest &&
        ((highest + 1) % NTMM_PAGE_SIZE || highest > NTMM_HIGHEST_USER_ADDRESS || lowest > highest))
        return NTMM_STATUS_INVALID_PARAMETER;
    *is_bounded = (lowest | highest) != 0;
    m->bounds.lowest = lowest >> NTMM_PAGE_SHIFT;
    if (highest)
        m->bounds.end = (highest + 1) >> NTMM_PAGE_SHIFT;
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status take_machine(uint64_t machine)
{
    if (machine > UINT16_MAX)
        return NTMM_STATUS_INVALID_PARAMETER;
    bool is_ours = machine == MACHINE_UNKNOWN || machine == 1 || machine == MACHINE_NATIVE;
    return is_ours ? NTMM_STATUS_SUCCESS : NTMM_STATUS_NOT_SUPPORTED;
}

static ntmm_status take_parameter(const struct ntmm_mem_extended_parameter *given,
                                  struct map_request *m, uint32_t *seen, bool *is_bounded)
{
    uint32_t bit = 1u << (given->type & TYPE_BITS & 31u);
    if (given->type == 0 || given->type >= NTMM_MEM_PARAMETER_MAX || *seen & bit)
        return NTMM_STATUS_INVALID_PARAMETER;
    *seen |= bit;
    switch ((uint32_t)given->type) {
    case NTMM_MEM_PARAMETER_ADDRESS_REQUIREMENTS:
        return take_requirements(given->requirements, m, is_bounded);
    case NTMM_MEM_PARAMETER_NUMA_NODE:
        return capture_node(given->value);
    case NTMM_MEM_PARAMETER_ATTRIBUTE_FLAGS:
        return given->value == 0 ? NTMM_STATUS_SUCCESS : NTMM_STATUS_INVALID_PARAMETER;
    case NTMM_MEM_PARAMETER_IMAGE_MACHINE:
        return take_machine(given->value);
    }
    return NTMM_STATUS_INVALID_PARAMETER;
}

static ntmm_status take_parameters(const struct ntmm_mem_extended_parameter *given, uint32_t count,
                                   struct map_request *m, bool *is_bounded)
{
    uint32_t seen = 0;
    if (count > 0 && !given)
        return NTMM_STATUS_INVALID_PARAMETER;
    for (uint32_t i = 0; i < count; i++) {
        ntmm_status status = take_parameter(&given[i], m, &seen, is_bounded);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
    }
    return NTMM_STATUS_SUCCESS;
}

/* Statuses that name an argument of the plain form. */
static ntmm_status without_number(ntmm_status status)
{
    bool has_number =
        status >= NTMM_STATUS_INVALID_PARAMETER_1 && status <= NTMM_STATUS_INVALID_PARAMETER_10;
    return has_number ? NTMM_STATUS_INVALID_PARAMETER : status;
}

/* A placeholder is named exactly, and is where it is. */
static bool is_legal_place(const struct map_request *m, bool is_bounded)
{
    if (is_bounded && m->base != 0)
        return false;
    if (!(m->type & NTMM_MEM_REPLACE_PLACEHOLDER))
        return true;
    return m->base != 0 && m->view_size != 0 && !(m->type & NTMM_MEM_RESERVE);
}

ntmm_status ntmm_map_view_of_section_ex(struct ntmm_system *system, ntmm_handle section,
                                        ntmm_handle process, uint64_t *base, uint64_t *offset,
                                        uint64_t *view_size, uint32_t type, uint32_t protect,
                                        const struct ntmm_mem_extended_parameter *parameters,
                                        uint32_t count)
{
    struct call c = call_begin_to_wait(system);
    struct map_request m = {.section = section,
                            .process = process,
                            .inherit = NTMM_VIEW_UNMAP,
                            .type = type,
                            .protect = protect,
                            .bounds = space_bounds_none()};
    bool is_bounded = false;
    ntmm_status status = take_parameters(parameters, count, &m, &is_bounded);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (type & ~KNOWN_TYPES)
        return NTMM_STATUS_INVALID_PARAMETER;
    m.bounds.is_top_down = (type & NTMM_MEM_TOP_DOWN) != 0;
    status = map_check_arguments(&m, base, view_size, offset);
    if (status == NTMM_STATUS_SUCCESS && !is_legal_place(&m, is_bounded))
        status = NTMM_STATUS_INVALID_PARAMETER;
    if (status == NTMM_STATUS_SUCCESS)
        status = map_run(&c, &m, base, offset, view_size);
    return without_number(status);
}
