/*
 * Views in the model: mapping, unmapping, and how a view learns what its section has committed.
 *
 * Mapping checks, in this order: inherit; zero bits; type; protection; pointers; base and size
 * against user space and zero bits; the process; the section and what its handle grants; what the
 * section's kind allows of the type; alignment; the section's protection; the section's end; the
 * size to commit; the place; the commit charge. Source: NtMapViewOfSection as public conformance
 * tests observe it.
 *
 * Ours: where the checks of a kind against the type stand; that a view over a placeholder may begin
 * at any page of its section; that views of large pages are whole ones, always valid and never
 * copied, and which statuses say so.
 */
#include "model/section.h"
#include "model/services.h"

#include <stdlib.h>
#include <string.h>

#define CACHES (PAGE_NOCACHE | PAGE_WRITECOMBINE)
#define COPIES (PAGE_WRITECOPY | PAGE_EXECUTE_WRITECOPY)
#define TYPES                                                                                      \
    (MEM_RESERVE | MEM_TOP_DOWN | MEM_LARGE_PAGES | MEM_DIFFERENT_IMAGE_BASE_OK | SEC_NO_CHANGE)

/* Where a view goes, while it is being mapped. */
struct plan {
    const struct model_section *section;
    uint64_t start;
    uint64_t end;
    uint64_t offset;
    uint64_t size; /* bytes, as asked for or to the section's end */
    uint32_t type;
    uint32_t protect;
    uint32_t inherit;
    uint64_t commit_size;
    struct model_bounds bounds;
    struct model_region *hole; /* the placeholder that it replaces; NULL: free memory */
};

static uint64_t up(uint64_t value)
{
    return (value + MODEL_PAGE_SIZE - 1) & ~(uint64_t)(MODEL_PAGE_SIZE - 1);
}

/* What a protection grants, as bits: 1 read, 2 write, 4 execute. */
static uint32_t grants_of(uint32_t protect)
{
    switch (protect & 0xFFu) {
    case PAGE_READONLY:
    case PAGE_WRITECOPY:
        return 1;
    case PAGE_READWRITE:
        return 1 | 2;
    case PAGE_EXECUTE:
    case PAGE_EXECUTE_READ:
    case PAGE_EXECUTE_WRITECOPY:
        return 1 | 4;
    case PAGE_EXECUTE_READWRITE:
        return 1 | 2 | 4;
    default:
        return 0;
    }
}

bool model_view_allows(uint32_t view, uint32_t page)
{
    return !(grants_of(page) & ~grants_of(view));
}

/* The table of nt_semantics 4.5: an EXECUTE section lets nobody read. */
static bool section_allows(uint32_t section, uint32_t view)
{
    if (section == PAGE_EXECUTE) {
        return (view & 0xFFu) == PAGE_NOACCESS || (view & 0xFFu) == PAGE_EXECUTE;
    }
    return model_view_allows(section, view);
}

/* Rights of a section's handle that a protection asks for. */
static uint32_t rights_for(uint32_t protect)
{
    switch (protect & 0xFFu) {
    case PAGE_READWRITE:
        return SECTION_MAP_WRITE;
    case PAGE_EXECUTE:
        return SECTION_MAP_EXECUTE;
    case PAGE_EXECUTE_READ:
    case PAGE_EXECUTE_WRITECOPY:
        return SECTION_MAP_EXECUTE | SECTION_MAP_READ;
    case PAGE_EXECUTE_READWRITE:
        return SECTION_MAP_EXECUTE | SECTION_MAP_WRITE;
    default:
        return SECTION_MAP_READ;
    }
}

/* Contents and what is committed */

struct model_page *model_contents(const struct model_region *region, struct model_page *page)
{
    uint64_t number = page->number - region->base / MODEL_PAGE_SIZE;

    if (!region->control || page->is_copied) {
        return page;
    }
    return model_control_page(region->control, number + region->offset / MODEL_PAGE_SIZE);
}

/* Pages [*from, *to) of the section are committed, *from the first such from there on. */
static bool next_committed(const struct model_control *control, uint64_t *from, uint64_t *to)
{
    const struct model_region *shared = &control->shared;
    size_t at;

    if (!control->is_reserve) {
        *to = control->file ? up(control->file->size_bytes) / MODEL_PAGE_SIZE : UINT64_MAX;
        return *from < *to;
    }
    at = model_page_index(shared, *from);
    if (at == shared->page_count) {
        return false;
    }
    *from = shared->pages[at].number;
    for (*to = *from; at < shared->page_count && shared->pages[at].number == *to; at++) {
        (*to)++;
    }
    return true;
}

/* Those of [from, to) that are not yet in the array get the view's protection. */
static void add_pages(struct model_region *region, uint64_t from, uint64_t to)
{
    uint32_t protect = region->protect & ~CACHES;

    while (from < to) {
        size_t at = model_page_index(region, from);
        uint64_t next = at < region->page_count ? region->pages[at].number : to;

        if (next > from) {
            next = next < to ? next : to;
            pages_fill(region, from * MODEL_PAGE_SIZE, next * MODEL_PAGE_SIZE, protect);
        }
        from = next > from ? next : from + 1;
    }
}

void model_view_sync(struct model_region *region)
{
    uint64_t base = region->base / MODEL_PAGE_SIZE;
    uint64_t first = region->offset / MODEL_PAGE_SIZE;
    uint64_t last = first + (region->end - region->base) / MODEL_PAGE_SIZE;
    uint64_t to;

    if (!region->control || region->seen == region->control->generation) {
        return;
    }
    for (uint64_t from = first; from < last && next_committed(region->control, &from, &to);
         from = to) {
        if (from < last) {
            to = to < last ? to : last;
            add_pages(region, from - first + base, to - first + base);
        }
    }
    region->seen = region->control->generation;
}

/* Some access, never copied, and no modifier. */
static bool is_legal_of_large(uint32_t protect)
{
    return services_is_resident_protection(protect) && !(protect & COPIES);
}

/* A view of large pages: there is nothing to be committed, and nothing changes. */
static uint32_t check_commit_of_large(const struct model_region *region, uint64_t start,
                                      uint64_t end, uint32_t protect)
{
    for (size_t i = 0; i < region->page_count; i++) {
        uint64_t at = region->pages[i].number * MODEL_PAGE_SIZE;

        if (at >= start && at < end && region->pages[i].protect != protect) {
            return NTMM_STATUS_INVALID_PAGE_PROTECTION;
        }
    }
    return NTMM_STATUS_SUCCESS;
}

uint32_t model_view_check_protect_of_large(const struct model_region *region, uint64_t start,
                                           uint64_t end, uint32_t protect)
{
    if ((protect & PAGE_REVERT_TO_FILE_MAP) || !is_legal_of_large(protect)) {
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    }
    if (!model_view_allows(region->protect, protect)) {
        return NTMM_STATUS_SECTION_PROTECTION;
    }
    return (start | end) % MODEL_LARGE_PAGE_SIZE ? NTMM_STATUS_CONFLICTING_ADDRESSES
                                                 : NTMM_STATUS_SUCCESS;
}

uint32_t model_view_commit(struct model_process *process, struct model_region *region,
                           uint64_t start, uint64_t end, uint32_t protect)
{
    uint64_t first = (region->offset + start - region->base) / MODEL_PAGE_SIZE;
    uint32_t status;

    if (region->control->file) {
        return NTMM_STATUS_ALREADY_COMMITTED;
    }
    if (region->is_large) {
        return check_commit_of_large(region, start, end, protect);
    }
    if (region->is_fixed) {
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    }
    if (!model_view_allows(region->protect, protect)) {
        return NTMM_STATUS_SECTION_PROTECTION;
    }
    status = model_control_commit(process->system, region->control, first,
                                  first + (end - start) / MODEL_PAGE_SIZE);
    if (status == NTMM_STATUS_SUCCESS) {
        model_view_sync(region);
        pages_commit(process, region, start, end, protect & ~CACHES);
    }
    return status;
}

/* Mapping */

static uint32_t check_plain(const struct model_view_request *request)
{
    if (request->inherit != VIEW_SHARE && request->inherit != VIEW_UNMAP) {
        return NTMM_STATUS_INVALID_PARAMETER_8;
    }
    if (request->zero_bits > 21 && request->zero_bits < 32) {
        return NTMM_STATUS_INVALID_PARAMETER_4;
    }
    return request->type & ~TYPES ? NTMM_STATUS_INVALID_PARAMETER_9 : NTMM_STATUS_SUCCESS;
}

/* Protection, pointers, and the range against user space and zero bits. */
static uint32_t check_range(const uint64_t *base, const uint64_t *size, uint32_t protect,
                            uint64_t limit)
{
    if (!services_is_legal_protection(protect)) {
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    }
    if (!base || !size) {
        return NTMM_STATUS_ACCESS_VIOLATION;
    }
    if (*base > HIGHEST_VAD_ADDRESS || *size > HIGHEST_VAD_ADDRESS - *base + 1) {
        return NTMM_STATUS_INVALID_PARAMETER_3;
    }
    return *base >= limit ? NTMM_STATUS_INVALID_PARAMETER_4 : NTMM_STATUS_SUCCESS;
}

/* The section against type, alignment, protection, end and the size to commit. */
static uint32_t check_section(struct plan *plan, uint64_t base, uint64_t size)
{
    const struct model_section *section = plan->section;
    bool is_reserve = (plan->type & MEM_RESERVE) != 0;
    bool is_large = (section->attributes & SEC_LARGE_PAGES) != 0;
    uint64_t granularity =
        plan->type & MEM_REPLACE_PLACEHOLDER ? MODEL_PAGE_SIZE : MODEL_GRANULARITY;

    if ((plan->type & MEM_LARGE_PAGES) && !is_large) {
        return NTMM_STATUS_INVALID_PARAMETER;
    }
    if (is_reserve && !section->control->file) {
        return NTMM_STATUS_INVALID_PARAMETER_9;
    }
    if (is_large && !is_legal_of_large(plan->protect)) {
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    }
    granularity = is_large ? MODEL_LARGE_PAGE_SIZE : granularity;
    if ((base | plan->offset) % granularity) {
        return NTMM_STATUS_MAPPED_ALIGNMENT;
    }
    if (!section_allows(section->protect, plan->protect) ||
        (is_reserve && !(section->protect & (PAGE_READWRITE | PAGE_EXECUTE_READWRITE)))) {
        return NTMM_STATUS_SECTION_PROTECTION;
    }
    if (plan->offset >= section->size_bytes ||
        (!is_reserve && size > section->size_bytes - plan->offset)) {
        return NTMM_STATUS_INVALID_VIEW_SIZE;
    }
    plan->size = size ? size : section->size_bytes - plan->offset;
    if (is_large && plan->size % MODEL_LARGE_PAGE_SIZE) {
        return NTMM_STATUS_INVALID_VIEW_SIZE;
    }
    if (is_large && plan->bounds.alignment < MODEL_LARGE_PAGE_SIZE) {
        plan->bounds.alignment = MODEL_LARGE_PAGE_SIZE;
    }
    return plan->commit_size > plan->size ? NTMM_STATUS_INVALID_PARAMETER_5 : NTMM_STATUS_SUCCESS;
}

static uint32_t place(struct model_process *process, struct plan *plan, uint64_t base)
{
    uint64_t size = up(plan->size);

    plan->start = base ? base : services_search(process, size, &plan->bounds, plan->type);
    plan->end = plan->start + size;
    if (plan->start == 0) {
        return NTMM_STATUS_NO_MEMORY;
    }
    if (plan->type & MEM_REPLACE_PLACEHOLDER) {
        plan->hole = model_region_of(process, base);
        return plan->hole && plan->hole->is_placeholder && plan->hole->base == base &&
                       plan->hole->end == plan->end
                   ? NTMM_STATUS_SUCCESS
                   : NTMM_STATUS_CONFLICTING_ADDRESSES;
    }
    if (plan->start < LOWEST_USER_ADDRESS || plan->end - 1 > process->highest_address) {
        return NTMM_STATUS_INVALID_PARAMETER_3;
    }
    return services_is_free(process, plan->start, plan->end) ? NTMM_STATUS_SUCCESS
                                                             : NTMM_STATUS_CONFLICTING_ADDRESSES;
}

/* What the view and the pages committed with it cost, the view's first. */
static uint32_t pay(struct model_process *process, const struct plan *plan)
{
    uint64_t pages = plan->protect & COPIES ? (plan->end - plan->start) / MODEL_PAGE_SIZE : 0;
    uint64_t first = plan->offset / MODEL_PAGE_SIZE;
    uint32_t status = services_check_commit(process, pages);

    if (status == NTMM_STATUS_SUCCESS && plan->commit_size) {
        status = model_control_commit(process->system, plan->section->control, first,
                                      first + up(plan->commit_size) / MODEL_PAGE_SIZE);
    }
    if (status == NTMM_STATUS_SUCCESS) {
        pages_charge(process, pages);
    }
    return status;
}

static void show(struct model_process *process, const struct plan *plan)
{
    const struct model_section *section = plan->section;
    uint64_t behind = plan->offset + plan->end - plan->start;
    uint32_t cache = (section->attributes & SEC_NOCACHE ? PAGE_NOCACHE : 0) |
                     (section->attributes & SEC_WRITECOMBINE ? PAGE_WRITECOMBINE : 0);
    struct model_region *region = plan->hole;

    if (!region) {
        region = regions_insert(process, plan->start, plan->end, 0);
    } else {
        region->is_placeholder = false;
        region->is_replaced = true;
    }
    region->protect = plan->protect | (plan->protect == PAGE_NOACCESS ? 0 : cache);
    region->control = section->control;
    region->offset = plan->offset;
    region->reach = behind < section->size_bytes ? behind : section->size_bytes;
    region->seen = region->control->generation - 1;
    region->is_unshared = plan->inherit == VIEW_UNMAP;
    region->is_large = (section->attributes & SEC_LARGE_PAGES) != 0;
    region->is_fixed = ((plan->type | section->attributes) & SEC_NO_CHANGE) != 0;
    region->control->views++;
    model_control_hold(region->control, region->reach);
    model_view_sync(region);
}

/* Everything that needs the section. */
static uint32_t map(struct model_process *process, struct plan *plan, uint64_t *base,
                    uint64_t *offset, uint64_t *size)
{
    uint32_t status = check_section(plan, *base, *size);

    if (status == NTMM_STATUS_SUCCESS) {
        status = place(process, plan, *base);
    }
    if (status == NTMM_STATUS_SUCCESS) {
        status = pay(process, plan);
    }
    if (status != NTMM_STATUS_SUCCESS) {
        return status;
    }
    show(process, plan);
    *base = plan->start;
    *size = plan->end - plan->start;
    if (offset) {
        *offset = plan->offset;
    }
    return NTMM_STATUS_SUCCESS;
}

uint32_t model_map_view(struct model_process *process, uint64_t section, uint64_t *base,
                        uint64_t *offset, uint64_t *size, const struct model_view_request *request)
{
    struct plan plan = {
        .offset = offset ? *offset : 0,
        .type = request->type,
        .protect = services_without_targets(request->protect),
        .inherit = request->inherit,
        .commit_size = request->commit_size,
        .bounds = {LOWEST_USER_ADDRESS, services_end_of_zero_bits(request->zero_bits),
                   MODEL_GRANULARITY, false, false},
    };
    uint32_t status = check_plain(request);

    if (status == NTMM_STATUS_SUCCESS) {
        status = check_range(base, size, plan.protect, plan.bounds.end);
    }
    if (status == NTMM_STATUS_SUCCESS) {
        status = process->handle_status;
    }
    if (status == NTMM_STATUS_SUCCESS) {
        plan.section =
            model_section_of(process->system, section, rights_for(plan.protect), &status);
    }
    return status == NTMM_STATUS_SUCCESS ? map(process, &plan, base, offset, size) : status;
}

static uint32_t check_parameters(const struct model_parameter *parameters, uint32_t count,
                                 uint64_t base, struct model_bounds *bounds)
{
    uint32_t status = services_take_parameters(parameters, count, MEM_RESERVE, bounds);

    for (uint32_t i = 0; status == NTMM_STATUS_SUCCESS && i < count; i++) {
        if (parameters[i].type == PARAMETER_REQUIREMENTS && parameters[i].alignment) {
            status = NTMM_STATUS_INVALID_PARAMETER;
        }
    }
    return status == NTMM_STATUS_SUCCESS && bounds->is_given && base ? NTMM_STATUS_INVALID_PARAMETER
                                                                     : status;
}

uint32_t model_map_view_ex(struct model_process *process, uint64_t section, uint64_t *base,
                           uint64_t *offset, uint64_t *size, uint32_t type, uint32_t protect,
                           const struct model_parameter *parameters, uint32_t count)
{
    struct plan plan = {
        .offset = offset ? *offset : 0,
        .type = type,
        .inherit = VIEW_UNMAP, /* ours: the extended form has none */
        .protect = services_without_targets(protect),
        .bounds = {LOWEST_USER_ADDRESS, UINT64_MAX, MODEL_GRANULARITY, false, false},
    };
    bool is_over_hole = (type & MEM_REPLACE_PLACEHOLDER) != 0;
    uint32_t status = check_parameters(parameters, count, base ? *base : 0, &plan.bounds);

    if (status == NTMM_STATUS_SUCCESS && (type & ~(TYPES | MEM_REPLACE_PLACEHOLDER))) {
        status = NTMM_STATUS_INVALID_PARAMETER;
    }
    if (status == NTMM_STATUS_SUCCESS) {
        status = check_range(base, size, plan.protect, UINT64_MAX);
    }
    if (status == NTMM_STATUS_SUCCESS && is_over_hole && (*base == 0 || *size == 0)) {
        status = NTMM_STATUS_INVALID_PARAMETER;
    }
    if (status == NTMM_STATUS_SUCCESS) {
        status = process->handle_status;
    }
    if (status == NTMM_STATUS_SUCCESS) {
        plan.section =
            model_section_of(process->system, section, rights_for(plan.protect), &status);
    }
    return status == NTMM_STATUS_SUCCESS ? map(process, &plan, base, offset, size) : status;
}

/* Unmapping and the rest */

void model_view_detach(struct model_process *process, struct model_region *region)
{
    struct model_control *control = region->control;

    pages_decommit(process, region, region->base, region->end);
    control->views--;
    region->control = NULL;
    region->is_fixed = false;
    region->is_unshared = false;
    model_control_release(process->system, control, region->reach);
}

uint32_t model_unmap_view(struct model_process *process, uint64_t address, uint32_t flags)
{
    struct model_region *region;

    if (flags & ~(MEM_UNMAP_WITH_TRANSIENT_BOOST | MEM_PRESERVE_PLACEHOLDER)) {
        return NTMM_STATUS_INVALID_PARAMETER_3;
    }
    if (address > HIGHEST_USER_ADDRESS) {
        return NTMM_STATUS_NOT_MAPPED_VIEW;
    }
    if (process->handle_status != NTMM_STATUS_SUCCESS) {
        return process->handle_status;
    }
    region = model_region_of(process, address);
    if (!region || !region->control) {
        return NTMM_STATUS_NOT_MAPPED_VIEW;
    }
    if ((flags & MEM_PRESERVE_PLACEHOLDER) && !region->is_replaced) {
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    }
    if (secures_forbid_removal(process, region->base, region->end)) {
        return NTMM_STATUS_INVALID_PAGE_PROTECTION;
    }
    model_view_detach(process, region);
    if (flags & MEM_PRESERVE_PLACEHOLDER) {
        placeholders_become(region);
    } else {
        regions_release(process, region, region->base, region->end);
    }
    return NTMM_STATUS_SUCCESS;
}

/* Writing changes nothing that can be seen here. Ours: the order of the checks, and which status
 * a range beyond the view has. */
uint32_t model_flush(struct model_process *process, uint64_t *base, uint64_t *size)
{
    const struct model_region *region;
    uint64_t start;
    uint64_t end;

    if (!base || !size) {
        return NTMM_STATUS_ACCESS_VIOLATION;
    }
    if (*base > HIGHEST_USER_ADDRESS) {
        return NTMM_STATUS_INVALID_PARAMETER_2;
    }
    if (*size > HIGHEST_USER_ADDRESS - *base + 1) {
        return NTMM_STATUS_INVALID_PARAMETER_3;
    }
    if (process->handle_status != NTMM_STATUS_SUCCESS) {
        return process->handle_status;
    }
    region = model_region_of(process, *base);
    if (!region || !region->control) {
        return NTMM_STATUS_NOT_MAPPED_VIEW;
    }
    start = *base & ~(uint64_t)(MODEL_PAGE_SIZE - 1);
    end = *size ? up(*base + *size) : region->end;
    if (end > region->end) {
        return NTMM_STATUS_INVALID_PARAMETER_2;
    }
    *base = start;
    *size = end - start;
    return NTMM_STATUS_SUCCESS;
}

uint32_t model_is_same_file(struct model_process *process, uint64_t first, uint64_t second)
{
    const struct model_region *regions[2];
    const uint64_t addresses[2] = {first, second};

    if (process->handle_status != NTMM_STATUS_SUCCESS) {
        return process->handle_status;
    }
    for (int i = 0; i < 2; i++) {
        regions[i] = model_region_of(process, addresses[i]);
        if (!regions[i]) {
            return NTMM_STATUS_INVALID_ADDRESS;
        }
    }
    if (!regions[0]->control || !regions[1]->control) {
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    }
    return regions[0] == regions[1] ? NTMM_STATUS_SUCCESS : NTMM_STATUS_NOT_SAME_DEVICE;
}
