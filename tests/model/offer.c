/*
 * Offer, reclaim and discard: whole pages of one region, all committed.
 */
#include "model/pages.h"

static uint32_t find(struct model_process *process, uint64_t base, uint64_t size,
                     struct model_region **region)
{
    if ((base | size) % MODEL_PAGE_SIZE || size == 0 || base > HIGHEST_USER_ADDRESS ||
        HIGHEST_USER_ADDRESS - base + 1 < size) {
        return NTMM_STATUS_INVALID_PARAMETER;
    }
    if (process->handle_status != NTMM_STATUS_SUCCESS) {
        return process->handle_status;
    }
    *region = model_region_of(process, base);
    if (!*region || base + size > (*region)->end || (*region)->control) {
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    }
    return pages_committed(*region, base, base + size) == size / MODEL_PAGE_SIZE
               ? NTMM_STATUS_SUCCESS
               : NTMM_STATUS_NOT_COMMITTED;
}

uint32_t model_offer(struct model_process *process, uint64_t base, uint64_t size, uint32_t priority)
{
    struct model_region *region;
    uint32_t status = priority < 1 || priority > 4 ? NTMM_STATUS_INVALID_PARAMETER
                                                   : find(process, base, size, &region);

    if (status == NTMM_STATUS_SUCCESS) {
        pages_reset(region, base, base + size);
    }
    return status;
}

uint32_t model_reclaim(struct model_process *process, uint64_t base, uint64_t size)
{
    struct model_region *region;

    return find(process, base, size, &region);
}

uint32_t model_discard(struct model_process *process, uint64_t base, uint64_t size)
{
    struct model_region *region;
    uint32_t status = find(process, base, size, &region);

    if (status == NTMM_STATUS_SUCCESS) {
        pages_discard(region, base, base + size);
    }
    return status;
}
