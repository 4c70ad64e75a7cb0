/*
 * NtReadVirtualMemory, NtWriteVirtualMemory, NtLockVirtualMemory and NtUnlockVirtualMemory.
 *
 * A read moves chunks of 64 KiB, each whole or not at all, a write pages. A page knows in which of
 * two ways it is locked; what it has not is a place in a working set, so unlocking what is not
 * locked has no effect here but its status.
 */
#include "model/pages.h"

#include <string.h>

#define CHUNK 0x10000u
#define PIECE 64u

static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

static bool is_user_range(uint64_t address, uint64_t size)
{
    return address <= HIGHEST_USER_ADDRESS && size <= HIGHEST_USER_ADDRESS - address + 1;
}

/* The first byte of the next page. */
static uint64_t next_page(uint64_t address) { return (address | (MODEL_PAGE_SIZE - 1)) + 1; }

/* Whether every page of a range grants the access; a guard that is met is consumed. */
static uint32_t probe(struct model_process *process, uint64_t address, uint64_t size,
                      enum model_access access)
{
    struct model_fault fault;

    for (uint64_t at = address; at - address < size; at = next_page(at)) {
        uint32_t status = model_access(process, at, 1, access, NULL, &fault);

        if (status != NTMM_STATUS_SUCCESS) {
            return status;
        }
    }
    return NTMM_STATUS_SUCCESS;
}

/* Bytes of a range that was probed. */
static void move(struct model_process *process, uint64_t address, uint64_t size,
                 enum model_access access, uint8_t *data)
{
    struct model_fault fault;

    for (uint64_t done = 0; done < size; done += PIECE) {
        (void)model_access(process, address + done, (uint32_t)smaller(PIECE, size - done), access,
                           data + done, &fault);
    }
}

/* Moves piece by piece: chunks from the beginning for a read, pages for a write. */
static uint32_t copy(struct model_process *process, uint64_t address, uint8_t *data, uint64_t size,
                     enum model_access access, uint64_t *copied)
{
    *copied = 0;
    if (!is_user_range(address, size) || (!data && size)) {
        return NTMM_STATUS_ACCESS_VIOLATION;
    }
    if (size && process->handle_status != NTMM_STATUS_SUCCESS) {
        return process->handle_status;
    }
    while (*copied < size) {
        uint64_t at = address + *copied;
        uint64_t most = access == MODEL_READ ? CHUNK : next_page(at) - at;
        uint64_t piece = smaller(most, size - *copied);

        if (probe(process, at, piece, access) != NTMM_STATUS_SUCCESS) {
            return NTMM_STATUS_PARTIAL_COPY;
        }
        move(process, at, piece, access, data + *copied);
        *copied += piece;
    }
    return NTMM_STATUS_SUCCESS;
}

uint32_t model_read_memory(struct model_process *process, uint64_t address, uint8_t *data,
                           uint64_t size, uint64_t *copied)
{
    return copy(process, address, data, size, MODEL_READ, copied);
}

uint32_t model_write_memory(struct model_process *process, uint64_t address, uint8_t *data,
                            uint64_t size, uint64_t *copied)
{
    return copy(process, address, data, size, MODEL_WRITE, copied);
}

uint32_t model_probe(struct model_process *process, uint64_t address, uint64_t size,
                     enum model_access access)
{
    if (!is_user_range(address, size)) {
        return NTMM_STATUS_ACCESS_VIOLATION;
    }
    if (!size || process->handle_status != NTMM_STATUS_SUCCESS) {
        return size ? process->handle_status : NTMM_STATUS_SUCCESS;
    }
    return probe(process, address, size, access);
}

/* --- locks --- */

/* The page that an address lies in, or NULL. */
static struct model_page *page_at(struct model_process *process, uint64_t address)
{
    struct model_region *region = model_region_of(process, address);
    uint64_t number = address / MODEL_PAGE_SIZE;
    size_t at = region ? model_page_index(region, number) : 0;

    if (!region || at == region->page_count || region->pages[at].number != number) {
        return NULL;
    }
    return &region->pages[at];
}

static uint64_t locked_pages(const struct model_process *process)
{
    uint64_t locked = 0;

    for (size_t i = 0; i < process->region_count; i++) {
        for (size_t j = 0; j < process->regions[i].page_count; j++) {
            locked += process->regions[i].pages[j].locks != 0;
        }
    }
    return locked;
}

static uint32_t check_arguments(const struct model_process *process, const uint64_t *base,
                                const uint64_t *size, uint32_t kind)
{
    if (kind == 0 || kind > (MAP_PROCESS | MAP_SYSTEM)) {
        return NTMM_STATUS_INVALID_PARAMETER;
    }
    if (!base || !size) {
        return NTMM_STATUS_ACCESS_VIOLATION;
    }
    if (*base > HIGHEST_USER_ADDRESS) {
        return NTMM_STATUS_INVALID_PARAMETER_2;
    }
    if (*size == 0 || !is_user_range(*base, *size)) {
        return NTMM_STATUS_INVALID_PARAMETER_3;
    }
    return process->handle_status;
}

static void round_out(uint64_t base, uint64_t size, uint64_t *start, uint64_t *end)
{
    *start = base - base % MODEL_PAGE_SIZE;
    *end = next_page(base + size - 1);
}

uint32_t model_lock(struct model_process *process, uint64_t *base, uint64_t *size, uint32_t kind)
{
    const uint64_t quota = MODEL_WORKING_SET_MINIMUM - MODEL_FLUID_PAGES;
    uint32_t status = check_arguments(process, base, size, kind);
    uint64_t start;
    uint64_t end;
    uint64_t fresh = 0;
    bool was_locked = false;

    if (status != NTMM_STATUS_SUCCESS) {
        return status;
    }
    round_out(*base, *size, &start, &end);
    if ((end - start) / MODEL_PAGE_SIZE > quota) {
        return NTMM_STATUS_WORKING_SET_QUOTA;
    }
    status = probe(process, start, end - start, MODEL_READ);
    if (status != NTMM_STATUS_SUCCESS) {
        return status;
    }
    for (uint64_t at = start; at < end; at += MODEL_PAGE_SIZE) {
        fresh += page_at(process, at)->locks == 0;
        was_locked |= (page_at(process, at)->locks & kind) != 0;
    }
    if (fresh && locked_pages(process) + fresh > quota) {
        return NTMM_STATUS_WORKING_SET_QUOTA;
    }
    for (uint64_t at = start; at < end; at += MODEL_PAGE_SIZE) {
        page_at(process, at)->locks |= (uint8_t)kind;
    }
    *base = start;
    *size = end - start;
    return was_locked ? NTMM_STATUS_WAS_LOCKED : NTMM_STATUS_SUCCESS;
}

uint32_t model_unlock(struct model_process *process, uint64_t *base, uint64_t *size, uint32_t kind)
{
    uint32_t status = check_arguments(process, base, size, kind);
    uint64_t start;
    uint64_t end;

    if (status != NTMM_STATUS_SUCCESS) {
        return status;
    }
    round_out(*base, *size, &start, &end);
    for (uint64_t at = start; at < end; at += MODEL_PAGE_SIZE) {
        const struct model_page *page = page_at(process, at);

        if (!page || (page->locks & kind) != kind) {
            return NTMM_STATUS_NOT_LOCKED;
        }
    }
    for (uint64_t at = start; at < end; at += MODEL_PAGE_SIZE) {
        page_at(process, at)->locks &= (uint8_t)~kind;
    }
    *base = start;
    *size = end - start;
    return NTMM_STATUS_SUCCESS;
}
