/*
 * NtAllocateVirtualMemoryEx: extended parameters and placeholders.
 *
 * Order: the parameters, the type, then as the plain form from the protection on; whatever that one
 * answers by the number of its argument is INVALID_PARAMETER here.
 */
#include "services/allocate.h"

#include <ntmm/virtual.h>

#define TYPE_BITS 0xFFu
/* First build that replaces a placeholder by a watched region: Windows 10 1903. */
#define BUILD_WATCHED_REPLACEMENT 18362u
#define PLACEHOLDERS (NTMM_MEM_RESERVE_PLACEHOLDER | NTMM_MEM_REPLACE_PLACEHOLDER)
#define KINDS (NTMM_MEM_WRITE_WATCH | NTMM_MEM_PHYSICAL | NTMM_MEM_LARGE_PAGES)
#define ATTRIBUTES_OF_LARGE_PAGES                                                                  \
    (NTMM_MEM_ATTRIBUTE_NONPAGED_LARGE | NTMM_MEM_ATTRIBUTE_NONPAGED_HUGE)
/* These change nothing: pages are zeroed, and faults that need no I/O are soft, in any case. */
#define ATTRIBUTES_IGNORED                                                                         \
    (NTMM_MEM_ATTRIBUTE_ZERO_PAGES_OPTIONAL | NTMM_MEM_ATTRIBUTE_SOFT_FAULT_PAGES)
#define ATTRIBUTES_LEGAL                                                                           \
    (ATTRIBUTES_OF_LARGE_PAGES | NTMM_MEM_ATTRIBUTE_NONPAGED | ATTRIBUTES_IGNORED)

NTMM_STATIC_ASSERT(sizeof(struct ntmm_mem_extended_parameter) == 16, "NT's layout");
NTMM_STATIC_ASSERT(sizeof(struct ntmm_mem_address_requirements) == 24, "NT's layout");

/* What the parameters come to. */
struct extended {
    struct space_bounds bounds;
    uint32_t attributes;
    uint32_t seen;   /* bit n: type n */
    bool is_bounded; /* address requirements that are not all zero */
};

static ntmm_status take_requirements(const struct ntmm_mem_address_requirements *given,
                                     struct extended *extended)
{
    struct space_bounds *bounds = &extended->bounds;
    if (!given)
        return NTMM_STATUS_ACCESS_VIOLATION;
    uint64_t lowest = given->lowest_starting_address;
    uint64_t highest = given->highest_ending_address;
    uint64_t align = given->alignment;
    if (highest && ((highest + 1) % NTMM_PAGE_SIZE || highest > NTMM_HIGHEST_USER_ADDRESS))
        return NTMM_STATUS_INVALID_PARAMETER;
    uint64_t last = highest ? highest : NTMM_HIGHEST_USER_ADDRESS;
    if (lowest % NTMM_ALLOCATION_GRANULARITY || lowest > last)
        return NTMM_STATUS_INVALID_PARAMETER;
    if (align && (align & (align - 1) || align < NTMM_ALLOCATION_GRANULARITY))
        return NTMM_STATUS_INVALID_PARAMETER;
    extended->is_bounded = (lowest | highest | align) != 0;
    bounds->lowest = lowest >> NTMM_PAGE_SHIFT;
    if (highest)
        bounds->end = (highest + 1) >> NTMM_PAGE_SHIFT;
    if (align)
        bounds->align = align >> NTMM_PAGE_SHIFT;
    return NTMM_STATUS_SUCCESS;
}

/* There is one partition: what all three pseudo-handles name. */
static ntmm_status take_partition(uint64_t handle, uint32_t type)
{
    if (handle == NTMM_PARTITION_EXISTING_REGION)
        return type & NTMM_MEM_RESERVE ? NTMM_STATUS_INVALID_PARAMETER : NTMM_STATUS_SUCCESS;
    bool is_known = handle == NTMM_PARTITION_CURRENT || handle == NTMM_PARTITION_SYSTEM;
    return is_known ? NTMM_STATUS_SUCCESS : NTMM_STATUS_INVALID_HANDLE;
}

/* Frames that stay are taken at once, for memory of the process's own at a place of its own. */
static bool can_be_resident(uint32_t type)
{
    const uint32_t both = NTMM_MEM_RESERVE | NTMM_MEM_COMMIT;
    const uint32_t others = NTMM_MEM_WRITE_WATCH | NTMM_MEM_PHYSICAL | PLACEHOLDERS;
    return (type & both) == both && !(type & others);
}

static ntmm_status take_attributes(uint64_t attributes, uint32_t type)
{
    if (attributes & ~(uint64_t)ATTRIBUTES_LEGAL)
        return NTMM_STATUS_INVALID_PARAMETER;
    if (attributes & ATTRIBUTES_OF_LARGE_PAGES && !(type & NTMM_MEM_LARGE_PAGES))
        return NTMM_STATUS_INVALID_PARAMETER;
    if (attributes & NTMM_MEM_ATTRIBUTE_NONPAGED && !can_be_resident(type))
        return NTMM_STATUS_INVALID_PARAMETER;
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status take_parameter(const struct ntmm_mem_extended_parameter *given, uint32_t type,
                                  struct extended *extended)
{
    uint32_t bit = 1u << (given->type & TYPE_BITS & 31u);
    if (given->type == 0 || given->type >= NTMM_MEM_PARAMETER_MAX || extended->seen & bit)
        return NTMM_STATUS_INVALID_PARAMETER;
    extended->seen |= bit;
    switch ((uint32_t)given->type) {
    case NTMM_MEM_PARAMETER_ADDRESS_REQUIREMENTS:
        return take_requirements(given->requirements, extended);
    case NTMM_MEM_PARAMETER_NUMA_NODE:
        return capture_node(given->value);
    case NTMM_MEM_PARAMETER_PARTITION_HANDLE:
        return take_partition(given->value, type);
    case NTMM_MEM_PARAMETER_USER_PHYSICAL_HANDLE: /* no such section can be made */
        return type & NTMM_MEM_PHYSICAL ? NTMM_STATUS_INVALID_HANDLE
                                        : NTMM_STATUS_INVALID_PARAMETER;
    case NTMM_MEM_PARAMETER_ATTRIBUTE_FLAGS:
        extended->attributes = (uint32_t)given->value;
        return take_attributes(given->value, type);
    }
    return NTMM_STATUS_INVALID_PARAMETER;
}

static ntmm_status take_parameters(const struct ntmm_mem_extended_parameter *given, uint32_t count,
                                   uint32_t type, struct extended *extended)
{
    if (count > 0 && !given)
        return NTMM_STATUS_INVALID_PARAMETER;
    for (uint32_t i = 0; i < count; i++) {
        ntmm_status status = take_parameter(&given[i], type, extended);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
    }
    return NTMM_STATUS_SUCCESS;
}

/* Since 1903 a watched region can take the place of a placeholder. */
static bool is_before_watched_replacements(const struct call *c, uint32_t type)
{
    const uint32_t both = NTMM_MEM_REPLACE_PLACEHOLDER | NTMM_MEM_WRITE_WATCH;
    return (type & both) == both && get32(&anchor_of(c)->windows_build) < BUILD_WATCHED_REPLACEMENT;
}

/* Spec 2.12; RESERVE_PLACEHOLDER and MAPPED share a bit, as REPLACE_PLACEHOLDER and DECOMMIT do. */
static bool is_legal_placeholder(uint32_t type, uint32_t protect)
{
    if ((type & PLACEHOLDERS) == 0)
        return true;
    if (!(type & NTMM_MEM_RESERVE) || (type & PLACEHOLDERS) == PLACEHOLDERS)
        return false;
    if (type & NTMM_MEM_RESERVE_PLACEHOLDER)
        return !(type & (NTMM_MEM_COMMIT | KINDS)) && protect == NTMM_PAGE_NOACCESS;
    return !(type & (NTMM_MEM_TOP_DOWN | NTMM_MEM_PHYSICAL | NTMM_MEM_LARGE_PAGES));
}

/* Statuses that name an argument of the plain form. */
static ntmm_status without_number(ntmm_status status)
{
    bool has_number =
        status >= NTMM_STATUS_INVALID_PARAMETER_1 && status <= NTMM_STATUS_INVALID_PARAMETER_6;
    return has_number ? NTMM_STATUS_INVALID_PARAMETER : status;
}

/* Requirements are for a place that is searched, and for RESERVE; and only that needs no base. */
static bool is_legal_place(const struct allocation *a, bool is_bounded)
{
    if (is_bounded && (a->base != 0 || !(a->type & NTMM_MEM_RESERVE)))
        return false;
    return a->base != 0 || !(a->type & NTMM_MEM_REPLACE_PLACEHOLDER);
}

static ntmm_status capture(const struct call *c, struct allocation *a, const uint64_t *base,
                           const uint64_t *size,
                           const struct ntmm_mem_extended_parameter *parameters, uint32_t count)
{
    struct extended extended = {.bounds = space_bounds_none()};
    ntmm_status status = take_parameters(parameters, count, a->type, &extended);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    a->bounds = extended.bounds;
    a->bounds.is_top_down = (a->type & NTMM_MEM_TOP_DOWN) != 0;
    a->attributes = extended.attributes;
    status = allocation_check_type(a->type & ~PLACEHOLDERS, a->protect);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (!is_legal_placeholder(a->type, a->protect) || is_before_watched_replacements(c, a->type))
        return NTMM_STATUS_INVALID_PARAMETER;
    status = allocation_capture(a, base, size);
    if (status == NTMM_STATUS_SUCCESS && !is_legal_place(a, extended.is_bounded))
        status = NTMM_STATUS_INVALID_PARAMETER;
    return status;
}

ntmm_status ntmm_allocate_virtual_memory_ex(struct ntmm_system *system, ntmm_handle handle,
                                            uint64_t *base, uint64_t *size, uint32_t type,
                                            uint32_t protect,
                                            const struct ntmm_mem_extended_parameter *parameters,
                                            uint32_t parameter_count)
{
    struct call c = call_begin_to_wait(system);
    struct allocation a = {.type = type, .protect = protect};
    ntmm_status status = capture(&c, &a, base, size, parameters, parameter_count);
    if (status == NTMM_STATUS_SUCCESS)
        status = allocation_run(&c, handle, &a, base, size);
    return without_number(status);
}
