/*
 * What a process sees: queries, and the accesses of its instructions.
 *
 * A query looks forward only, from the page asked for to the first page that differs in state or
 * protection, and never past its region. The last 64 KiB of user space are a reservation that no
 * service can change. An access that the page's protection forbids is a violation and leaves a
 * guard where it is; one that it allows consumes the guard and raises, once.
 */
#include "model/pages.h"
#include "model/section.h"

#include <string.h>

#define FINAL_REGION (HIGHEST_VAD_ADDRESS + 1)

/* The run of like pages of a region from page `number` on; returns the first number past it. */
static uint64_t run_end(const struct model_region *region, uint64_t number)
{
    size_t at = model_page_index(region, number);
    uint32_t protect;

    if (at == region->page_count) {
        return region->end / MODEL_PAGE_SIZE;
    }
    if (region->pages[at].number != number) {
        return region->pages[at].number;
    }
    protect = region->pages[at].protect;
    while (at < region->page_count && region->pages[at].number == number &&
           region->pages[at].protect == protect) {
        at++;
        number++;
    }
    return number;
}

static void describe_region(const struct model_region *region, struct model_memory *memory)
{
    uint64_t number = memory->base / MODEL_PAGE_SIZE;
    size_t at = model_page_index(region, number);
    bool is_committed = at < region->page_count && region->pages[at].number == number;

    memory->allocation_base = region->base;
    memory->allocation_protect = region->protect;
    memory->size_bytes = (run_end(region, number) - number) * MODEL_PAGE_SIZE;
    memory->state = is_committed ? MEM_COMMIT : MEM_RESERVE;
    memory->protect = is_committed ? model_shown_protect(region, region->pages[at].protect) : 0;
    memory->type = region->control ? MEM_MAPPED : MEM_PRIVATE;
}

static void describe_free(const struct model_process *process, struct model_memory *memory)
{
    uint64_t end = FINAL_REGION;

    for (size_t i = process->region_count; i-- > 0;) {
        if (process->regions[i].base > memory->base) {
            end = process->regions[i].base;
        }
    }
    memory->size_bytes = end - memory->base;
    memory->state = MEM_FREE;
    memory->protect = PAGE_NOACCESS;
}

static void describe_final_region(struct model_memory *memory)
{
    memory->allocation_base = FINAL_REGION;
    memory->allocation_protect = PAGE_NOACCESS;
    memory->size_bytes = USER_PROBE_ADDRESS - memory->base;
    memory->state = MEM_RESERVE;
    memory->type = MEM_PRIVATE;
}

uint32_t model_query(struct model_process *process, uint64_t address, struct model_memory *memory)
{
    struct model_region *region;

    if (!memory) {
        return NTMM_STATUS_ACCESS_VIOLATION;
    }
    if (address > HIGHEST_USER_ADDRESS) {
        return NTMM_STATUS_INVALID_PARAMETER;
    }
    if (process->handle_status != NTMM_STATUS_SUCCESS) {
        return process->handle_status;
    }
    memset(memory, 0, sizeof(*memory));
    memory->base = address & ~(uint64_t)(MODEL_PAGE_SIZE - 1);
    region = model_region_of(process, address);
    if (region) {
        describe_region(region, memory);
    } else if (address >= FINAL_REGION) {
        describe_final_region(memory);
    } else {
        describe_free(process, memory);
    }
    return NTMM_STATUS_SUCCESS;
}

/* Whether a protection grants an access, its guard left aside. Execute-only pages can be read on
 * x64. */
static bool grants(uint32_t protect, enum model_access access)
{
    uint32_t base = protect & 0xFFu;

    switch (access) {
    case MODEL_READ:
        return base != PAGE_NOACCESS;
    case MODEL_WRITE:
        return (base & (PAGE_READWRITE | PAGE_WRITECOPY | PAGE_EXECUTE_READWRITE |
                        PAGE_EXECUTE_WRITECOPY)) != 0;
    case MODEL_EXECUTE:
        return base >= PAGE_EXECUTE;
    }
    return false;
}

static struct model_page *page_of(struct model_process *process, uint64_t address)
{
    struct model_region *region = model_region_of(process, address);
    uint64_t number = address / MODEL_PAGE_SIZE;
    size_t at = region ? model_page_index(region, number) : 0;

    if (!region || at == region->page_count || region->pages[at].number != number) {
        return NULL;
    }
    return &region->pages[at];
}

/* One page of an access; address is the first byte of it in that page. */
static uint32_t check_page(struct model_process *process, uint64_t address,
                           enum model_access access)
{
    struct model_page *page = page_of(process, address);

    if (!page || !grants(page->protect, access)) {
        return NTMM_STATUS_ACCESS_VIOLATION;
    }
    if (page->protect & PAGE_GUARD) {
        page->protect &= ~PAGE_GUARD;
        return NTMM_STATUS_GUARD_PAGE_VIOLATION;
    }
    if (access == MODEL_WRITE) {
        marks_add(process, page->number);
        if (page->protect & (PAGE_WRITECOPY | PAGE_EXECUTE_WRITECOPY)) {
            pages_copy(model_region_of(process, address), page);
        }
    }
    return NTMM_STATUS_SUCCESS;
}

bool model_is_loose(struct model_process *process, uint64_t address)
{
    struct model_page *page = page_of(process, address);

    if (page) {
        page = model_contents(model_region_of(process, address), page);
    }
    return page && page->loose && page->loose[address % MODEL_PAGE_SIZE];
}

static bool is_canonical(uint64_t address)
{
    return address < 0x0000800000000000ull || address >= SYSTEM_RANGE_START;
}

/* Whether what is written there reaches no file, though it is in a view of one. */
static bool is_behind_file(const struct model_region *region, const struct model_page *page,
                           size_t offset)
{
    return region->control && !page->is_copied && region->control->file &&
           page->number * MODEL_PAGE_SIZE + offset >= region->control->file->size_bytes;
}

static void move_bytes(struct model_process *process, uint64_t address, uint32_t size,
                       enum model_access access, uint8_t *data)
{
    for (uint32_t i = 0; i < size; i++) {
        const struct model_region *region = model_region_of(process, address + i);
        struct model_page *page = model_contents(region, page_of(process, address + i));
        size_t offset = (size_t)((address + i) % MODEL_PAGE_SIZE);

        if (access == MODEL_WRITE) {
            pages_bytes(page)[offset] = data[i];
            if (page->loose || is_behind_file(region, page, offset)) {
                pages_loose(page)[offset] = is_behind_file(region, page, offset);
            }
        } else {
            data[i] = page->bytes ? page->bytes[offset] : 0;
        }
    }
}

uint32_t model_access(struct model_process *process, uint64_t address, uint32_t size,
                      enum model_access access, uint8_t *data, struct model_fault *fault)
{
    uint64_t at = address;

    memset(fault, 0, sizeof(*fault));
    do {
        fault->status = check_page(process, at, access);
        if (fault->status != NTMM_STATUS_SUCCESS) {
            fault->parameter_count = 2;
            fault->parameters[0] = (uint64_t)access;
            fault->parameters[1] = is_canonical(at) ? at : UINT64_MAX;
            return fault->status;
        }
        at = (at | (MODEL_PAGE_SIZE - 1)) + 1;
    } while (at - address < size);
    if (data) {
        move_bytes(process, address, size, access, data);
    }
    return NTMM_STATUS_SUCCESS;
}
