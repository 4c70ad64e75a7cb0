/*
 * Write watch in the model: the written pages of a process, by rising number.
 *
 * A page of a watched region is marked when it is written. A decommit takes the marks of its pages,
 * but those over which a protection was changed stay until they are reset or the page is released.
 * Source: observed behaviour of NtGetWriteWatch; ours: which parameter is reported.
 */
#include "model/pages.h"

#include <stdlib.h>
#include <string.h>

static size_t index_of(const struct model_process *process, uint64_t number)
{
    size_t at = 0;

    while (at < process->mark_count && process->marks[at].number < number) {
        at++;
    }
    return at;
}

void marks_add(struct model_process *process, uint64_t number)
{
    const struct model_region *region = model_region_of(process, number * MODEL_PAGE_SIZE);
    size_t at = index_of(process, number);
    size_t tail = process->mark_count - at;

    if (!region || !region->is_watched || (tail && process->marks[at].number == number)) {
        return;
    }
    process->marks = realloc(process->marks, (process->mark_count + 1) * sizeof(*process->marks));
    if (!process->marks) {
        abort();
    }
    memmove(process->marks + at + 1, process->marks + at, tail * sizeof(*process->marks));
    process->marks[at].number = number;
    process->marks[at].is_latched = false;
    process->mark_count++;
}

void marks_latch(struct model_process *process, uint64_t base, uint64_t end)
{
    for (size_t i = index_of(process, base / MODEL_PAGE_SIZE);
         i < process->mark_count && process->marks[i].number < end / MODEL_PAGE_SIZE; i++) {
        process->marks[i].is_latched = true;
    }
}

void marks_remove(struct model_process *process, uint64_t base, uint64_t end, bool is_latched_too)
{
    size_t kept = 0;

    for (size_t i = 0; i < process->mark_count; i++) {
        struct model_mark mark = process->marks[i];
        uint64_t address = mark.number * MODEL_PAGE_SIZE;
        bool is_meant = address >= base && address < end && (is_latched_too || !mark.is_latched);

        if (!is_meant) {
            process->marks[kept++] = mark;
        }
    }
    process->mark_count = kept;
}

/* The watched region of a range of whole pages. */
static uint32_t find_watched(struct model_process *process, uint64_t *base, uint64_t *end)
{
    uint64_t size = *end - *base;
    struct model_region *region;

    if (process->handle_status != NTMM_STATUS_SUCCESS) {
        return process->handle_status;
    }
    region = model_region_of(process, *base);
    *end = (*base + size + MODEL_PAGE_SIZE - 1) / MODEL_PAGE_SIZE * MODEL_PAGE_SIZE;
    *base = *base / MODEL_PAGE_SIZE * MODEL_PAGE_SIZE;
    if (!region || !region->is_watched) {
        return NTMM_STATUS_INVALID_PARAMETER_1;
    }
    return *end > region->end ? NTMM_STATUS_INVALID_PARAMETER_3 : NTMM_STATUS_SUCCESS;
}

static uint32_t check_range(uint64_t base, uint64_t size)
{
    if (base > HIGHEST_USER_ADDRESS) {
        return NTMM_STATUS_INVALID_PARAMETER_1;
    }
    if (size == 0 || size > HIGHEST_USER_ADDRESS - base + 1) {
        return NTMM_STATUS_INVALID_PARAMETER_3;
    }
    return NTMM_STATUS_SUCCESS;
}

uint32_t model_get_write_watch(struct model_process *process, uint32_t flags, uint64_t base,
                               uint64_t size, uint64_t *addresses, uint64_t *count)
{
    uint64_t end = base + size;
    uint64_t found = 0;
    uint32_t status = flags > 1 ? NTMM_STATUS_INVALID_PARAMETER_2 : check_range(base, size);

    if (status != NTMM_STATUS_SUCCESS) {
        return status;
    }
    if (!addresses || !count) {
        return NTMM_STATUS_ACCESS_VIOLATION;
    }
    if (*count == 0) {
        return NTMM_STATUS_INVALID_PARAMETER_5;
    }
    status = find_watched(process, &base, &end);
    if (status != NTMM_STATUS_SUCCESS) {
        return status;
    }
    for (size_t i = index_of(process, base / MODEL_PAGE_SIZE);
         i < process->mark_count && found < *count; i++) {
        if (process->marks[i].number < end / MODEL_PAGE_SIZE) {
            addresses[found++] = process->marks[i].number * MODEL_PAGE_SIZE;
        }
    }
    for (uint64_t i = 0; flags && i < found; i++) {
        marks_remove(process, addresses[i], addresses[i] + MODEL_PAGE_SIZE, true);
    }
    *count = found;
    return NTMM_STATUS_SUCCESS;
}

uint32_t model_reset_write_watch(struct model_process *process, uint64_t base, uint64_t size)
{
    uint64_t end = base + size;
    uint32_t status = check_range(base, size);

    if (status == NTMM_STATUS_SUCCESS) {
        status = find_watched(process, &base, &end);
    }
    if (status == NTMM_STATUS_SUCCESS) {
        marks_remove(process, base, end, true);
    }
    return status;
}
