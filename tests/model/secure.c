/*
 * Secured ranges: access that is promised to stay, whoever asks to take it away. Source of the
 * rule: MmSecureVirtualMemory, Microsoft documentation. Ours: the statuses of the two calls.
 */
#include "model/pages.h"

#include <stdlib.h>

/* Whether a page of a protection grants an access. */
static bool is_granted(uint32_t protect, bool is_writable)
{
    const uint32_t writable =
        PAGE_READWRITE | PAGE_WRITECOPY | PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY;

    if (protect & (PAGE_GUARD | PAGE_NOACCESS)) {
        return false;
    }
    return !is_writable || (protect & writable);
}

bool secures_forbid_removal(const struct model_process *process, uint64_t base, uint64_t end)
{
    return secures_forbid_protection(process, base, end, PAGE_NOACCESS);
}

bool secures_forbid_protection(const struct model_process *process, uint64_t base, uint64_t end,
                               uint32_t protect)
{
    for (size_t i = 0; i < process->secure_count; i++) {
        const struct model_secure *secure = &process->secures[i];

        if (!secure->is_over && secure->base < end && base < secure->end &&
            !is_granted(protect, secure->is_writable)) {
            return true;
        }
    }
    return false;
}

static uint32_t check_arguments(const struct model_process *process, uint64_t base, uint64_t size,
                                uint32_t mode, const uint64_t *handle)
{
    if (mode != PAGE_READONLY && mode != PAGE_READWRITE) {
        return NTMM_STATUS_INVALID_PARAMETER_4;
    }
    if (!handle) {
        return NTMM_STATUS_ACCESS_VIOLATION;
    }
    if (base > HIGHEST_USER_ADDRESS) {
        return NTMM_STATUS_INVALID_PARAMETER_2;
    }
    if (size == 0 || HIGHEST_USER_ADDRESS - base + 1 < size) {
        return NTMM_STATUS_INVALID_PARAMETER_3;
    }
    return process->handle_status;
}

uint32_t model_secure(struct model_process *process, uint64_t base, uint64_t size, uint32_t mode,
                      uint64_t *handle)
{
    const struct model_region *region;
    struct model_secure secure = {
        .base = base & ~(uint64_t)(MODEL_PAGE_SIZE - 1),
        .is_writable = mode == PAGE_READWRITE,
    };
    uint32_t status = check_arguments(process, base, size, mode, handle);

    if (status != NTMM_STATUS_SUCCESS) {
        return status;
    }
    secure.end = (base + size + MODEL_PAGE_SIZE - 1) & ~(uint64_t)(MODEL_PAGE_SIZE - 1);
    region = model_region_of(process, base);
    if (!region || secure.end > region->end || region->is_window) {
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    }
    for (uint64_t at = secure.base; at < secure.end; at += MODEL_PAGE_SIZE) {
        size_t i = model_page_index(region, at / MODEL_PAGE_SIZE);

        if (i == region->page_count || region->pages[i].number != at / MODEL_PAGE_SIZE ||
            !is_granted(region->pages[i].protect, secure.is_writable)) {
            return NTMM_STATUS_ACCESS_VIOLATION;
        }
    }
    process->secures =
        realloc(process->secures, (process->secure_count + 1) * sizeof(*process->secures));
    if (!process->secures) {
        abort();
    }
    process->secures[process->secure_count++] = secure;
    *handle = process->secure_count;
    return NTMM_STATUS_SUCCESS;
}

uint32_t model_unsecure(struct model_process *process, uint64_t handle)
{
    if (process->handle_status != NTMM_STATUS_SUCCESS) {
        return process->handle_status;
    }
    if (handle == 0 || handle > process->secure_count || process->secures[handle - 1].is_over) {
        return NTMM_STATUS_INVALID_PARAMETER_2;
    }
    process->secures[handle - 1].is_over = true;
    return NTMM_STATUS_SUCCESS;
}
