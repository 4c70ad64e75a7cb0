/*
 * NT's rules for private memory: rounding, order of checks, statuses.
 *
 * Allocate checks, in this order: zero bits; type bits; no operation; reset mixed; write watch,
 * physical, large pages without what they need; protection; pointers; base; size; handle; kind of
 * memory that is not built. Then it reserves (base 0, or RESERVE) or commits. Protect checks
 * protection, pointers, base, size, handle, range. Free checks type, pointers, base, size, handle,
 * range.
 *
 * Ours, where the sources leave a choice: the limit on base + size is the highest address of a
 * reservation when allocating and the highest user address in the other services; a reservation
 * that would begin below 64 KiB is refused after the handle is looked up; zero bits bound only an
 * address that is searched for; the process's own commit limit is met before the system's; the
 * cache attribute of a region holds for each of its pages, whatever commit and protect say, but
 * NOACCESS and GUARD show without it.
 */
#include "model/services.h"
#include "model/section.h"

#include <string.h>

#define BASE_PROTECTIONS 0xFFu
#define CACHE_MODIFIERS (PAGE_NOCACHE | PAGE_WRITECOMBINE)
#define OPERATIONS (MEM_COMMIT | MEM_RESERVE | MEM_RESET | MEM_RESET_UNDO)
#define KINDS (MEM_WRITE_WATCH | MEM_PHYSICAL | MEM_LARGE_PAGES)
#define KNOWN_TYPES (OPERATIONS | KINDS | MEM_TOP_DOWN)
#define PLACEHOLDERS (MEM_RESERVE_PLACEHOLDER | MEM_REPLACE_PLACEHOLDER)

static uint64_t down(uint64_t value, uint64_t granularity) { return value & ~(granularity - 1); }

static uint64_t up(uint64_t value, uint64_t granularity)
{
    return down(value + granularity - 1, granularity);
}

static bool is_one_bit(uint32_t value) { return value && !(value & (value - 1)); }

uint32_t services_without_targets(uint32_t protect)
{
    const uint32_t executable =
        PAGE_EXECUTE | PAGE_EXECUTE_READ | PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY;

    return protect & executable ? protect & ~PAGE_TARGETS_INVALID : protect;
}

bool services_is_legal_protection(uint32_t protect)
{
    uint32_t base = protect & BASE_PROTECTIONS;
    uint32_t modifiers = protect & ~BASE_PROTECTIONS;

    if (!is_one_bit(base)) {
        return false;
    }
    if (modifiers == 0) {
        return true;
    }
    return base != PAGE_NOACCESS && is_one_bit(modifiers) &&
           (modifiers & (PAGE_GUARD | CACHE_MODIFIERS));
}

/* Private memory is not copied on write. */
static bool is_legal_of_private(uint32_t protect)
{
    return services_is_legal_protection(protect) &&
           !(protect & (PAGE_WRITECOPY | PAGE_EXECUTE_WRITECOPY));
}

uint32_t model_shown_protect(const struct model_region *region, uint32_t protect)
{
    if (protect == PAGE_NOACCESS || (protect & PAGE_GUARD)) {
        return protect;
    }
    return protect | (region->protect & CACHE_MODIFIERS);
}

uint32_t services_check_type(uint32_t type, uint32_t protect)
{
    uint32_t reserve_commit = MEM_RESERVE | MEM_COMMIT;
    uint32_t reset = type & (MEM_RESET | MEM_RESET_UNDO);

    if ((type & ~KNOWN_TYPES) || !(type & OPERATIONS)) {
        return NTMM_STATUS_INVALID_PARAMETER_5;
    }
    if (reset && (type != reset || !is_one_bit(reset))) {
        return NTMM_STATUS_INVALID_PARAMETER_5;
    }
    if ((type & MEM_WRITE_WATCH) && !(type & MEM_RESERVE)) {
        return NTMM_STATUS_INVALID_PARAMETER_5;
    }
    if (type & MEM_PHYSICAL) {
        if (!(type & MEM_RESERVE) || (type & MEM_COMMIT)) {
            return NTMM_STATUS_INVALID_PARAMETER_5;
        }
        if (protect != PAGE_READWRITE) {
            return NTMM_STATUS_INVALID_PARAMETER_6;
        }
    }
    if ((type & MEM_LARGE_PAGES) && (type & reserve_commit) != reserve_commit) {
        return NTMM_STATUS_INVALID_PARAMETER_5;
    }
    if ((type & MEM_WRITE_WATCH) && (type & (MEM_PHYSICAL | MEM_LARGE_PAGES))) {
        return NTMM_STATUS_INVALID_PARAMETER_5;
    }
    return NTMM_STATUS_SUCCESS;
}

/* Step 10: base and size against the highest address of a reservation. */
static uint32_t check_allocate_range(uint64_t base, uint64_t size)
{
    if (base > HIGHEST_VAD_ADDRESS) {
        return NTMM_STATUS_INVALID_PARAMETER_2;
    }
    if (size == 0 || HIGHEST_VAD_ADDRESS - base + 1 < size) {
        return NTMM_STATUS_INVALID_PARAMETER_4;
    }
    return NTMM_STATUS_SUCCESS;
}

bool services_is_resident_protection(uint32_t protect)
{
    return protect != PAGE_NOACCESS && !(protect & ~BASE_PROTECTIONS);
}

/* Large pages: base and size are whole, too. Ours: which status. */
static bool is_legal_of_large(uint32_t type, uint32_t protect)
{
    return !(type & MEM_LARGE_PAGES) || services_is_resident_protection(protect);
}

static uint32_t check_large_range(uint64_t base, uint64_t size)
{
    if (base % MODEL_LARGE_PAGE_SIZE) {
        return NTMM_STATUS_INVALID_PARAMETER_2;
    }
    return size % MODEL_LARGE_PAGE_SIZE ? NTMM_STATUS_INVALID_PARAMETER_4 : NTMM_STATUS_SUCCESS;
}

uint32_t services_check_arguments(const struct model_process *process, const uint64_t *base,
                                  const uint64_t *size, uint32_t type, uint32_t protect)
{
    uint32_t status;

    if (!is_legal_of_private(protect) || !is_legal_of_large(type, protect)) {
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    }
    if (!base || !size) {
        return NTMM_STATUS_ACCESS_VIOLATION;
    }
    status = check_allocate_range(*base, *size);
    if (status == NTMM_STATUS_SUCCESS && (type & MEM_LARGE_PAGES)) {
        status = check_large_range(*base, *size);
    }
    if (status != NTMM_STATUS_SUCCESS) {
        return status;
    }
    if (process->handle_status != NTMM_STATUS_SUCCESS) {
        return process->handle_status;
    }
    return NTMM_STATUS_SUCCESS;
}

uint64_t services_end_of_zero_bits(uint64_t zero_bits)
{
    uint64_t limit = UINT64_MAX;

    if (zero_bits >= 32) {
        limit = 2;
        while (zero_bits >>= 1) {
            limit = limit << 1 ? limit << 1 : UINT64_MAX;
        }
    } else if (zero_bits > 0) {
        limit = 1ull << (32 - zero_bits);
    }
    return limit;
}

/* The lowest, or with TOP_DOWN the highest, multiple of `alignment` in [from, end) whose `size`
 * bytes are free. 0: none. */
static uint64_t find_gap(const struct model_process *process, uint64_t size, uint64_t from,
                         uint64_t end, uint64_t alignment, uint32_t type)
{
    uint64_t gap = from;
    uint64_t found = 0;

    for (size_t i = 0; i <= process->region_count; i++) {
        bool is_last = i == process->region_count;
        uint64_t gap_end = is_last ? end : process->regions[i].base;
        uint64_t start = up(gap, alignment);

        gap_end = gap_end < end ? gap_end : end;
        if (start >= gap && start < gap_end && gap_end - start >= size) {
            found = down(gap_end - size, alignment);
            if (!(type & MEM_TOP_DOWN)) {
                return start;
            }
        }
        if (!is_last && process->regions[i].end > gap) {
            gap = process->regions[i].end;
        }
    }
    return found;
}

/* Searches from below begin at the process's own start and, when nothing is free above it, anew at
 * the lowest address. */
uint64_t services_search(const struct model_process *process, uint64_t size,
                         const struct model_bounds *bounds, uint32_t type)
{
    uint64_t top = process->highest_address + 1;
    uint64_t end = bounds->end < top ? bounds->end : top;
    uint64_t bottom = process->bottom_up_start;
    uint64_t found = 0;

    if (!(type & MEM_TOP_DOWN) && bottom > bounds->lowest) {
        found = find_gap(process, size, bottom, end, bounds->alignment, type);
    }
    return found ? found : find_gap(process, size, bounds->lowest, end, bounds->alignment, type);
}

bool services_is_free(const struct model_process *process, uint64_t base, uint64_t end)
{
    for (size_t i = 0; i < process->region_count; i++) {
        if (base < process->regions[i].end && end > process->regions[i].base) {
            return false;
        }
    }
    return true;
}

uint32_t services_check_commit(const struct model_process *process, uint64_t pages)
{
    const struct model_system *system = process->system;

    if (pages > process->commit_limit_pages - process->commit_pages) {
        return NTMM_STATUS_PAGEFILE_QUOTA_EXCEEDED;
    }
    if (pages > system->commit_limit_pages - system->commit_pages) {
        return NTMM_STATUS_COMMITMENT_LIMIT;
    }
    return NTMM_STATUS_SUCCESS;
}

/* Where a reservation goes: [*start, *end). */
static uint32_t place(const struct model_process *process, uint64_t base,
                      const struct model_bounds *bounds, uint64_t size, uint32_t type,
                      uint64_t *start, uint64_t *end)
{
    if (base == 0) {
        size = up(size, MODEL_PAGE_SIZE);
        *start = services_search(process, size, bounds, type);
        *end = *start + size;
        return *start ? NTMM_STATUS_SUCCESS : NTMM_STATUS_NO_MEMORY;
    }
    *start = down(base, MODEL_GRANULARITY);
    *end = up(base + size, MODEL_PAGE_SIZE);
    if (*start < LOWEST_USER_ADDRESS || base > process->highest_address) {
        return NTMM_STATUS_INVALID_PARAMETER_2;
    }
    if (*end - 1 > process->highest_address) {
        return NTMM_STATUS_INVALID_PARAMETER_4;
    }
    return services_is_free(process, *start, *end) ? NTMM_STATUS_SUCCESS
                                                   : NTMM_STATUS_CONFLICTING_ADDRESSES;
}

static uint32_t reserve(struct model_process *process, uint64_t *base, uint64_t *size,
                        uint32_t type, uint32_t protect, const struct model_bounds *bounds)
{
    uint64_t start;
    uint64_t end;
    struct model_region *region;
    struct model_bounds aligned = *bounds;
    uint32_t status;

    if ((type & MEM_LARGE_PAGES) && aligned.alignment < MODEL_LARGE_PAGE_SIZE) {
        aligned.alignment = MODEL_LARGE_PAGE_SIZE;
    }
    status = place(process, *base, &aligned, *size, type, &start, &end);

    if (status == NTMM_STATUS_SUCCESS && (type & MEM_COMMIT)) {
        status = services_check_commit(process, (end - start) / MODEL_PAGE_SIZE);
    }
    if (status != NTMM_STATUS_SUCCESS) {
        return status;
    }
    region = regions_insert(process, start, end, protect);
    region->is_watched = (type & MEM_WRITE_WATCH) != 0;
    region->is_large = (type & MEM_LARGE_PAGES) || bounds->is_resident;
    region->is_small = !(type & MEM_LARGE_PAGES);
    region->is_window = (type & MEM_PHYSICAL) != 0;
    region->is_placeholder = (type & MEM_RESERVE_PLACEHOLDER) != 0;
    if (type & MEM_COMMIT) {
        pages_commit(process, region, start, end, protect & ~CACHE_MODIFIERS);
    }
    *base = start;
    *size = end - start;
    return NTMM_STATUS_SUCCESS;
}

/* The one region that holds the whole pages around [base, base + size), or NULL. */
static struct model_region *region_around(struct model_process *process, uint64_t base,
                                          uint64_t size, uint64_t *start, uint64_t *end)
{
    struct model_region *region = model_region_of(process, base);

    *start = down(base, MODEL_PAGE_SIZE);
    *end = up(base + size, MODEL_PAGE_SIZE);
    return region && *end <= region->end ? region : NULL;
}

static uint32_t commit(struct model_process *process, uint64_t *base, uint64_t *size,
                       uint32_t protect)
{
    uint64_t start;
    uint64_t end;
    struct model_region *region = region_around(process, *base, *size, &start, &end);
    uint32_t status;

    if (!region || region->is_placeholder || region->is_window) {
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    }
    if (secures_forbid_protection(process, start, end, protect)) {
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    }
    if (region->control) {
        status = model_view_commit(process, region, start, end, protect);
        if (status == NTMM_STATUS_SUCCESS) {
            *base = start;
            *size = end - start;
        }
        return status;
    }
    for (size_t i = 0; region->is_large && i < region->page_count; i++) {
        uint64_t at = region->pages[i].number * MODEL_PAGE_SIZE;

        if (at >= start && at < end && region->pages[i].protect != protect) {
            return NTMM_STATUS_INVALID_PAGE_PROTECTION;
        }
    }
    status = services_check_commit(process, (end - start) / MODEL_PAGE_SIZE -
                                                pages_committed(region, start, end));
    if (status != NTMM_STATUS_SUCCESS) {
        return status;
    }
    pages_commit(process, region, start, end, protect & ~CACHE_MODIFIERS);
    *base = start;
    *size = end - start;
    return NTMM_STATUS_SUCCESS;
}

/* One placeholder, as large as the range says, becomes a region. */
static uint32_t replace(struct model_process *process, uint64_t *base, uint64_t *size,
                        uint32_t type, uint32_t protect)
{
    uint64_t start;
    uint64_t end;
    struct model_region *region = region_around(process, *base, *size, &start, &end);
    uint32_t status = NTMM_STATUS_SUCCESS;

    if ((type & MEM_WRITE_WATCH) && process->system->windows_build < MODEL_BUILD_REPLACE_BY_WATCH) {
        return NTMM_STATUS_INVALID_PARAMETER;
    }
    if (!region || !region->is_placeholder || region->base != start || region->end != end) {
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    }
    if (type & MEM_COMMIT) {
        status = services_check_commit(process, (end - start) / MODEL_PAGE_SIZE);
    }
    if (status != NTMM_STATUS_SUCCESS) {
        return status;
    }
    region->is_placeholder = false;
    region->is_replaced = true;
    region->is_watched = (type & MEM_WRITE_WATCH) != 0;
    region->protect = protect;
    if (type & MEM_COMMIT) {
        pages_commit(process, region, start, end, protect & ~CACHE_MODIFIERS);
    }
    *base = start;
    *size = end - start;
    return NTMM_STATUS_SUCCESS;
}

/* The whole pages inside [base, base + size): none, when *end <= *start. */
static struct model_region *region_inside(struct model_process *process, uint64_t base,
                                          uint64_t size, uint64_t *start, uint64_t *end)
{
    struct model_region *region = region_around(process, base, size, start, end);

    *start = up(base, MODEL_PAGE_SIZE);
    *end = down(base + size, MODEL_PAGE_SIZE);
    *end = *end < *start ? *start : *end;
    return region;
}

/* An undo is answered as if nothing had been lost. */
static uint32_t reset(struct model_process *process, uint64_t *base, uint64_t *size, uint32_t type)
{
    uint64_t start;
    uint64_t end;
    struct model_region *region = region_inside(process, *base, *size, &start, &end);

    if (!region || (region->is_large && !region->control) || region->is_window) {
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    }
    if (region->control && region->control->file) {
        return NTMM_STATUS_USER_MAPPED_FILE;
    }
    if (type == MEM_RESET) {
        pages_reset(region, start, end);
    }
    *base = start;
    *size = end - start;
    return NTMM_STATUS_SUCCESS;
}

bool model_may_be_lost(struct model_process *process, uint64_t base, uint64_t size)
{
    uint64_t start;
    uint64_t end;
    struct model_region *region = region_inside(process, base, size, &start, &end);

    return region && pages_are_reset(region, start, end);
}

void model_settle(struct model_process *process, uint64_t base, uint64_t size, bool is_lost)
{
    uint64_t start;
    uint64_t end;
    struct model_region *region = region_inside(process, base, size, &start, &end);

    pages_settle(region, start, end, is_lost);
}

uint32_t services_allocate(struct model_process *process, uint64_t *base, uint64_t *size,
                           uint32_t type, uint32_t protect, const struct model_bounds *bounds)
{
    if (type & (MEM_RESET | MEM_RESET_UNDO)) {
        return reset(process, base, size, type);
    }
    if (type & MEM_REPLACE_PLACEHOLDER) {
        return replace(process, base, size, type, protect);
    }
    if (*base == 0 || (type & MEM_RESERVE)) {
        return reserve(process, base, size, type, protect, bounds);
    }
    return commit(process, base, size, protect);
}

uint32_t model_allocate(struct model_process *process, uint64_t *base, uint64_t zero_bits,
                        uint64_t *size, uint32_t type, uint32_t protect)
{
    struct model_bounds bounds = {LOWEST_USER_ADDRESS, services_end_of_zero_bits(zero_bits),
                                  MODEL_GRANULARITY, false, false};
    uint32_t status;

    if (zero_bits > 21 && zero_bits < 32) {
        return NTMM_STATUS_INVALID_PARAMETER_3;
    }
    if ((type & PLACEHOLDERS) && !(type & ~(PLACEHOLDERS | KNOWN_TYPES))) {
        return NTMM_STATUS_INVALID_PARAMETER;
    }
    status = services_check_type(type, protect);
    protect = services_without_targets(protect);
    if (status == NTMM_STATUS_SUCCESS) {
        status = services_check_arguments(process, base, size, type, protect);
    }
    if (status != NTMM_STATUS_SUCCESS) {
        return status;
    }
    return services_allocate(process, base, size, type, protect, &bounds);
}

/* Pointers, base, size and handle as free and protect check them. */
static uint32_t check_range(const struct model_process *process, const uint64_t *base,
                            const uint64_t *size)
{
    if (!base || !size) {
        return NTMM_STATUS_ACCESS_VIOLATION;
    }
    if (*base > HIGHEST_USER_ADDRESS) {
        return NTMM_STATUS_INVALID_PARAMETER_2;
    }
    if (HIGHEST_USER_ADDRESS - *base + 1 < *size) {
        return NTMM_STATUS_INVALID_PARAMETER_3;
    }
    return process->handle_status;
}

/* DECOMMIT, or RELEASE with one flag of placeholders at most. */
static bool is_legal_free(uint32_t type, uint32_t flag)
{
    return type == MEM_DECOMMIT || ((type & ~flag) == MEM_RELEASE && (!flag || is_one_bit(flag)));
}

/* [start, end) lies in the region, or is all of what is behind its start when size is 0. */
static uint32_t check_free_of_kind(const struct model_process *process,
                                   const struct model_region *region, uint64_t start, uint64_t end,
                                   uint64_t size, uint32_t type)
{
    if (region->control) {
        return NTMM_STATUS_UNABLE_TO_DELETE_SECTION;
    }
    if (size == 0 && start != region->base) {
        return NTMM_STATUS_FREE_VM_NOT_AT_BASE;
    }
    if (secures_forbid_removal(process, start, end)) {
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    }
    if (region->is_large && type == MEM_DECOMMIT) {
        return NTMM_STATUS_UNABLE_TO_DECOMMIT_VM;
    }
    if (region->is_window && type == MEM_DECOMMIT) {
        return NTMM_STATUS_MEMORY_NOT_ALLOCATED;
    }
    if ((region->is_large || region->is_window) && start != region->base) {
        return NTMM_STATUS_FREE_VM_NOT_AT_BASE;
    }
    if ((region->is_large || region->is_window) && end != region->end) {
        return NTMM_STATUS_UNABLE_TO_FREE_VM;
    }
    return NTMM_STATUS_SUCCESS;
}

uint32_t model_free(struct model_process *process, uint64_t *base, uint64_t *size, uint32_t type)
{
    uint64_t start;
    uint64_t end;
    uint64_t reported;
    struct model_region *region;
    uint32_t flag = type & (MEM_PRESERVE_PLACEHOLDER | MEM_COALESCE_PLACEHOLDERS);
    uint32_t status;

    if (!is_legal_free(type, flag)) {
        return NTMM_STATUS_INVALID_PARAMETER_4;
    }
    if (flag && base && size && *base <= HIGHEST_USER_ADDRESS && *size == 0) {
        return NTMM_STATUS_INVALID_PARAMETER_3;
    }
    status = check_range(process, base, size);
    if (status != NTMM_STATUS_SUCCESS) {
        return status;
    }
    if (flag) {
        return placeholders_free(process, base, size, flag);
    }
    region = model_region_of(process, *base);
    if (!region) {
        return NTMM_STATUS_MEMORY_NOT_ALLOCATED;
    }
    start = down(*base, MODEL_PAGE_SIZE);
    end = *size ? up(*base + *size, MODEL_PAGE_SIZE) : region->end;
    if (end > region->end) {
        return NTMM_STATUS_UNABLE_TO_FREE_VM;
    }
    status = check_free_of_kind(process, region, start, end, *size, type);
    if (status != NTMM_STATUS_SUCCESS) {
        return status;
    }
    reported = end - start;
    if (type == MEM_RELEASE) {
        regions_release(process, region, start, end);
    } else {
        pages_decommit(process, region, start, end);
        marks_remove(process, start, end, false);
        if (*size == 0 && process->system->windows_build >= MODEL_BUILD_DECOMMIT_REPORTS_ZERO) {
            reported = 0;
        }
    }
    *base = start;
    *size = reported;
    return NTMM_STATUS_SUCCESS;
}

static uint32_t check_protect_of_view(const struct model_process *process,
                                      const struct model_region *region, uint64_t start,
                                      uint64_t end, uint32_t protect)
{
    bool is_copy = (protect & (PAGE_WRITECOPY | PAGE_EXECUTE_WRITECOPY)) != 0;
    uint64_t more = 0;

    if (region->is_fixed) {
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    }
    if (region->is_large) {
        return model_view_check_protect_of_large(region, start, end, protect);
    }
    if (pages_committed(region, start, end) != (end - start) / MODEL_PAGE_SIZE) {
        return NTMM_STATUS_NOT_COMMITTED;
    }
    if (!model_view_allows(region->protect, protect)) {
        return NTMM_STATUS_SECTION_PROTECTION;
    }
    for (; is_copy && start < end; start += MODEL_PAGE_SIZE) {
        more += !pages_cost(region, start, start + MODEL_PAGE_SIZE);
    }
    return services_check_commit(process, more);
}

/* Step 6. */
static uint32_t check_protect_of_kind(const struct model_process *process,
                                      const struct model_region *region, uint64_t start,
                                      uint64_t end, uint32_t protect)
{
    if (secures_forbid_protection(process, start, end, protect)) {
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    }
    if (region->control) {
        return check_protect_of_view(process, region, start, end, protect);
    }
    if (!is_legal_of_private(protect)) {
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    }
    if (region->is_window && protect != PAGE_NOACCESS && protect != PAGE_READONLY &&
        protect != PAGE_READWRITE) {
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    }
    if (region->is_large && !is_legal_of_large(MEM_LARGE_PAGES, protect)) {
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    }
    if (region->is_large && !region->is_small && (start | end) % MODEL_LARGE_PAGE_SIZE) {
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    }
    return pages_committed(region, start, end) == (end - start) / MODEL_PAGE_SIZE
               ? NTMM_STATUS_SUCCESS
               : NTMM_STATUS_NOT_COMMITTED;
}

uint32_t model_protect(struct model_process *process, uint64_t *base, uint64_t *size,
                       uint32_t protect, uint32_t *old)
{
    uint64_t start;
    uint64_t end;
    struct model_region *region;
    uint32_t status;
    size_t first;

    protect = services_without_targets(protect);
    if (!services_is_legal_protection(protect & ~PAGE_REVERT_TO_FILE_MAP)) {
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    }
    if (!old) {
        return NTMM_STATUS_ACCESS_VIOLATION;
    }
    if (base && size && *base <= HIGHEST_USER_ADDRESS && *size == 0) {
        return NTMM_STATUS_INVALID_PARAMETER_3;
    }
    status = check_range(process, base, size);
    if (status != NTMM_STATUS_SUCCESS) {
        return status;
    }
    region = region_around(process, *base, *size, &start, &end);
    if (!region) {
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    }
    status = check_protect_of_kind(process, region, start, end, protect);
    if (status != NTMM_STATUS_SUCCESS) {
        return status;
    }
    if (protect & PAGE_REVERT_TO_FILE_MAP) {
        pages_uncopy(process, region, start, end);
    }
    first = model_page_index(region, start / MODEL_PAGE_SIZE);
    *old = model_shown_protect(region, region->pages[first].protect);
    marks_latch(process, start, end);
    status = pages_lose_locks(region, start, end, protect) ? NTMM_STATUS_WAS_UNLOCKED
                                                           : NTMM_STATUS_SUCCESS;
    pages_commit(process, region, start, end,
                 protect & ~(CACHE_MODIFIERS | PAGE_REVERT_TO_FILE_MAP));
    *base = start;
    *size = end - start;
    return status;
}
