/*
 * The extended form of allocation, and what free does to placeholders.
 *
 * Every argument that the plain form refuses by its number is INVALID_PARAMETER here. Address
 * requirements that are not all zero need a place that is searched, and RESERVE; a placeholder is
 * reserved without access, alone, and replaced where it is and as large as it is.
 */
#include "model/services.h"

#define PLACEHOLDERS (MEM_RESERVE_PLACEHOLDER | MEM_REPLACE_PLACEHOLDER)
#define KINDS (MEM_WRITE_WATCH | MEM_PHYSICAL | MEM_LARGE_PAGES)
#define PARTITION_THIS UINT64_MAX
#define PARTITION_SYSTEM (UINT64_MAX - 1)
#define PARTITION_EXISTING (UINT64_MAX - 2)
#define BUILD_WATCHED_REPLACEMENT 18362u
#define NO_NODE 0xFFFFFFFFull

static bool is_power_of_two(uint64_t value) { return value && !(value & (value - 1)); }

static uint32_t take_requirements(const struct model_parameter *given, struct model_bounds *bounds)
{
    uint64_t highest = given->highest ? given->highest : HIGHEST_USER_ADDRESS;

    if (given->is_null) {
        return NTMM_STATUS_ACCESS_VIOLATION;
    }
    if ((highest + 1) % MODEL_PAGE_SIZE || highest > HIGHEST_USER_ADDRESS ||
        given->value % MODEL_GRANULARITY || given->value > highest) {
        return NTMM_STATUS_INVALID_PARAMETER;
    }
    if (given->alignment &&
        (!is_power_of_two(given->alignment) || given->alignment < MODEL_GRANULARITY)) {
        return NTMM_STATUS_INVALID_PARAMETER;
    }
    bounds->is_given = given->value || given->highest || given->alignment;
    bounds->lowest = given->value ? given->value : bounds->lowest;
    bounds->end = given->highest ? highest + 1 : bounds->end;
    bounds->alignment = given->alignment ? given->alignment : bounds->alignment;
    return NTMM_STATUS_SUCCESS;
}

static uint32_t take_partition(uint64_t value, uint32_t type)
{
    if (value == PARTITION_EXISTING && (type & MEM_RESERVE)) {
        return NTMM_STATUS_INVALID_PARAMETER;
    }
    return value >= PARTITION_EXISTING ? NTMM_STATUS_SUCCESS : NTMM_STATUS_INVALID_HANDLE;
}

static uint32_t take_attributes(uint64_t value, uint32_t type, struct model_bounds *bounds)
{
    uint64_t large = ATTRIBUTE_NONPAGED_LARGE | ATTRIBUTE_NONPAGED_HUGE;
    uint64_t ignored = ATTRIBUTE_ZERO_PAGES_OPTIONAL | ATTRIBUTE_SOFT_FAULT_PAGES;
    uint32_t wanted = MEM_RESERVE | MEM_COMMIT;
    uint32_t unwanted = MEM_WRITE_WATCH | MEM_PHYSICAL | PLACEHOLDERS;

    if ((value & ~(large | ignored | ATTRIBUTE_NONPAGED)) ||
        ((value & large) && !(type & MEM_LARGE_PAGES))) {
        return NTMM_STATUS_INVALID_PARAMETER;
    }
    bounds->is_resident = (value & ATTRIBUTE_NONPAGED) != 0;
    return bounds->is_resident && (type & (wanted | unwanted)) != wanted
               ? NTMM_STATUS_INVALID_PARAMETER
               : NTMM_STATUS_SUCCESS;
}

static uint32_t take_parameter(const struct model_parameter *given, uint32_t type,
                               struct model_bounds *bounds)
{
    switch (given->type) {
    case PARAMETER_REQUIREMENTS:
        return take_requirements(given, bounds);
    case PARAMETER_NODE: /* there is node 0 */
        return (given->value & ~NODE_MANDATORY) == 0 || given->value == NO_NODE
                   ? NTMM_STATUS_SUCCESS
                   : NTMM_STATUS_INVALID_PARAMETER;
    case PARAMETER_PARTITION:
        return take_partition(given->value, type);
    case PARAMETER_PHYSICAL: /* there are no sections of physical pages */
        return type & MEM_PHYSICAL ? NTMM_STATUS_INVALID_HANDLE : NTMM_STATUS_INVALID_PARAMETER;
    case PARAMETER_ATTRIBUTES:
        return take_attributes(given->value, type, bounds);
    default:
        return NTMM_STATUS_INVALID_PARAMETER;
    }
}

uint32_t services_take_parameters(const struct model_parameter *given, uint32_t count,
                                  uint32_t type, struct model_bounds *bounds)
{
    if (count && !given) {
        return NTMM_STATUS_INVALID_PARAMETER;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t status = NTMM_STATUS_SUCCESS;

        for (uint32_t j = 0; j < i; j++) {
            if (given[j].type == given[i].type) {
                status = NTMM_STATUS_INVALID_PARAMETER;
            }
        }
        if (status == NTMM_STATUS_SUCCESS) {
            status = take_parameter(&given[i], type, bounds);
        }
        if (status != NTMM_STATUS_SUCCESS) {
            return status;
        }
    }
    return NTMM_STATUS_SUCCESS;
}

static bool is_legal_placeholder(uint32_t type, uint32_t protect)
{
    switch (type & PLACEHOLDERS) {
    case 0:
        return true;
    case MEM_RESERVE_PLACEHOLDER:
        return (type & MEM_RESERVE) && !(type & (MEM_COMMIT | KINDS)) && protect == PAGE_NOACCESS;
    case MEM_REPLACE_PLACEHOLDER:
        return (type & MEM_RESERVE) && !(type & (MEM_TOP_DOWN | MEM_PHYSICAL | MEM_LARGE_PAGES));
    default:
        return false;
    }
}

static uint32_t without_number(uint32_t status)
{
    return status >= NTMM_STATUS_INVALID_PARAMETER_1 && status <= NTMM_STATUS_INVALID_PARAMETER_6
               ? NTMM_STATUS_INVALID_PARAMETER
               : status;
}

/* What base and type say together, once both are legal; the handle is looked up after it. */
static bool is_legal_place(uint64_t base, uint32_t type, const struct model_bounds *bounds)
{
    if (bounds->is_given && (base || !(type & MEM_RESERVE))) {
        return false;
    }
    return base || !(type & MEM_REPLACE_PLACEHOLDER);
}

static uint32_t check(const struct model_process *process, const uint64_t *base,
                      const uint64_t *size, uint32_t type, uint32_t protect,
                      const struct model_bounds *bounds)
{
    struct model_process alive = *process;
    uint32_t status = services_check_type(type & ~PLACEHOLDERS, protect);

    if (status != NTMM_STATUS_SUCCESS) {
        return status;
    }
    if (!is_legal_placeholder(type, protect) ||
        ((type & MEM_REPLACE_PLACEHOLDER) && (type & MEM_WRITE_WATCH) &&
         process->system->windows_build < BUILD_WATCHED_REPLACEMENT)) {
        return NTMM_STATUS_INVALID_PARAMETER;
    }
    if (bounds->is_resident && !services_is_resident_protection(protect)) {
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    }
    alive.handle_status = NTMM_STATUS_SUCCESS;
    status = services_check_arguments(&alive, base, size, 0, protect);
    if (status == NTMM_STATUS_SUCCESS && !is_legal_place(*base, type, bounds)) {
        status = NTMM_STATUS_INVALID_PARAMETER;
    }
    return status == NTMM_STATUS_SUCCESS
               ? services_check_arguments(process, base, size, type, protect)
               : status;
}

uint32_t model_allocate_ex(struct model_process *process, uint64_t *base, uint64_t *size,
                           uint32_t type, uint32_t protect,
                           const struct model_parameter *parameters, uint32_t count)
{
    struct model_bounds bounds = {LOWEST_USER_ADDRESS, UINT64_MAX, MODEL_GRANULARITY, false, false};
    uint32_t status = services_take_parameters(parameters, count, type, &bounds);

    protect = services_without_targets(protect);
    if (status == NTMM_STATUS_SUCCESS) {
        status = check(process, base, size, type, protect, &bounds);
    }
    if (status == NTMM_STATUS_SUCCESS) {
        status = services_allocate(process, base, size, type, protect, &bounds);
    }
    return without_number(status);
}

void placeholders_become(struct model_region *region)
{
    region->is_placeholder = true;
    region->is_replaced = false;
    region->is_watched = false;
    region->protect = PAGE_NOACCESS;
}

static uint32_t preserve(struct model_process *process, struct model_region *region, uint64_t start,
                         uint64_t end)
{
    bool is_whole = start == region->base && end == region->end;

    if (end > region->end) {
        return NTMM_STATUS_UNABLE_TO_FREE_VM;
    }
    if (region->control) {
        return NTMM_STATUS_UNABLE_TO_DELETE_SECTION;
    }
    if (secures_forbid_removal(process, start, end)) {
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    }
    if (region->is_placeholder && !is_whole) {
        if (end < region->end) {
            regions_cut(process, region, end);
        }
        region = model_region_of(process, start);
        if (start > region->base) {
            regions_cut(process, region, start);
        }
        return NTMM_STATUS_SUCCESS;
    }
    if (!region->is_replaced || !is_whole) {
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    }
    pages_decommit(process, region, start, end);
    marks_remove(process, start, end, true);
    placeholders_become(region);
    return NTMM_STATUS_SUCCESS;
}

static uint32_t coalesce(struct model_process *process, struct model_region *first, uint64_t start,
                         uint64_t end)
{
    const struct model_region *last = first;
    const struct model_region *past = process->regions + process->region_count;

    if (first->control) {
        return NTMM_STATUS_UNABLE_TO_DELETE_SECTION;
    }
    if (secures_forbid_removal(process, start, end < first->end ? end : first->end)) {
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    }
    while (last + 1 < past && last->is_placeholder && last->end < end &&
           last[1].base == last->end) {
        last++;
    }
    if (first == last || first->base != start || last->end != end || !last->is_placeholder) {
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    }
    while (first->end < end) {
        regions_join(process, first);
    }
    return NTMM_STATUS_SUCCESS;
}

uint32_t placeholders_free(struct model_process *process, uint64_t *base, uint64_t *size,
                           uint32_t flag)
{
    uint64_t start = *base & ~(uint64_t)(MODEL_PAGE_SIZE - 1);
    uint64_t end = (*base + *size + MODEL_PAGE_SIZE - 1) & ~(uint64_t)(MODEL_PAGE_SIZE - 1);
    struct model_region *region = model_region_of(process, *base);
    uint32_t status;

    if (!region) {
        return NTMM_STATUS_MEMORY_NOT_ALLOCATED;
    }
    status = flag == MEM_PRESERVE_PLACEHOLDER ? preserve(process, region, start, end)
                                              : coalesce(process, region, start, end);
    if (status == NTMM_STATUS_SUCCESS) {
        *base = start;
        *size = end - start;
    }
    return status;
}
