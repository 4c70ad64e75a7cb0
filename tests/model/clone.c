/*
 * Clones of processes in the model: every region and page once more, but for what is not inherited.
 *
 * Not inherited are views that were mapped with ViewUnmap, windows for physical pages, and pages
 * that stay in memory; locks and marks of a watch neither. Commit is charged again, all or nothing.
 * Source: what NT's address-space clones are documented to have; Ours: a watched region is an
 * ordinary one in the clone.
 */
#include "model/section.h"
#include "model/services.h"

#include <stdlib.h>
#include <string.h>

static bool is_inherited(const struct model_region *region)
{
    return !region->is_unshared && !region->is_window && !region->is_large;
}

static uint64_t cost_of(const struct model_process *process)
{
    uint64_t cost = 0;

    for (size_t i = 0; i < process->region_count; i++) {
        const struct model_region *region = &process->regions[i];

        cost += is_inherited(region) ? pages_cost(region, region->base, region->end) : 0;
    }
    return cost;
}

static uint8_t *copy_bytes(const uint8_t *bytes)
{
    uint8_t *copy = bytes ? malloc(MODEL_PAGE_SIZE) : NULL;

    if (bytes && !copy) {
        abort();
    }
    if (copy) {
        memcpy(copy, bytes, MODEL_PAGE_SIZE);
    }
    return copy;
}

static void copy_region(struct model_process *child, const struct model_region *region)
{
    struct model_region *copy = regions_insert(child, region->base, region->end, 0);
    size_t size = region->page_count * sizeof(*region->pages);

    free(copy->pages);
    *copy = *region;
    copy->is_watched = false;
    copy->pages = malloc(size ? size : 1);
    if (!copy->pages) {
        abort();
    }
    for (size_t i = 0; i < region->page_count; i++) {
        copy->pages[i] = region->pages[i];
        copy->pages[i].bytes = copy_bytes(region->pages[i].bytes);
        copy->pages[i].loose = copy_bytes(region->pages[i].loose);
        copy->pages[i].locks = 0;
    }
    if (copy->control) {
        copy->control->views++;
        model_control_hold(copy->control, copy->reach);
    }
}

uint32_t model_process_clone(struct model_process *process, struct model_process *child)
{
    struct model_process made;

    if (process->handle_status != NTMM_STATUS_SUCCESS) {
        return process->handle_status;
    }
    model_process_begin(&made, process->system);
    made.bottom_up_start = process->bottom_up_start;
    made.highest_address = process->highest_address;
    made.commit_limit_pages = process->commit_limit_pages;
    for (size_t i = 0; i < process->region_count; i++) {
        model_view_sync(&process->regions[i]);
    }
    uint64_t cost = cost_of(process);
    uint32_t status = services_check_commit(&made, cost);

    if (status != NTMM_STATUS_SUCCESS) {
        return status;
    }
    for (size_t i = 0; i < process->region_count; i++) {
        if (is_inherited(&process->regions[i])) {
            copy_region(&made, &process->regions[i]);
        }
    }
    pages_charge(&made, cost);
    *child = made;
    return NTMM_STATUS_SUCCESS;
}
