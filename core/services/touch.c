/*
 * See touch.h. The loop is that of services/fault.c, but that the page is looked at under the same
 * (W) under which the door made it valid.
 */
#include "services/touch.h"
#include "base/bits.h"
#include "fault/door.h"
#include "services/relief.h"

/* Whether a page is ready for the access; then it counts as accessed. (W) is held. */
static bool find_page(struct call *c, struct process *process, uint64_t page,
                      enum touch_access access, uint64_t *frame)
{
    struct table_span span = table_find(c, process, page);
    le64 *leaf = span_leaf(&span);
    uint64_t raw = leaf ? load64_relaxed(leaf) : 0;
    if (!(raw & FIELD_MASK(HW_VALID)) || !(raw & FIELD_MASK(HW_OWNER)))
        return false;
    if (access == TOUCH_WRITE && !(raw & FIELD_MASK(HW_DIRTY1)))
        return false;
    while (!(raw & FIELD_MASK(HW_ACCESSED)) && !cas64(leaf, &raw, raw | FIELD_MASK(HW_ACCESSED))) {
    }
    *frame = span_frame(&span, raw, page);
    return true;
}

/* One attempt. SUCCESS: (W) is held; otherwise nothing is. */
static ntmm_status try_page(struct call *c, const struct touch *touch, struct ntmm_wait *wait,
                            struct process **process, uint64_t *frame)
{
    const struct ntmm_fault_request request = {
        .process = touch->handle,
        .address = touch->address,
        .error_code = touch->access == TOUCH_WRITE ? NTMM_FAULT_WRITE : 0,
    };
    struct ntmm_fault_result result = {.kind = NTMM_FAULT_KIND_NONE};
    uint64_t page = touch->address >> NTMM_PAGE_SHIFT;
    ntmm_status status = process_lock_working_set(c, touch->handle, touch->rights, process);
    if (status != NTMM_STATUS_SUCCESS || find_page(c, *process, page, touch->access, frame))
        return status;
    status = door_resolve(c, *process, &request, wait, &result);
    if (status == NTMM_STATUS_SUCCESS) {
        if (find_page(c, *process, page, touch->access, frame))
            return status;
        status = NTMM_STATUS_ACCESS_VIOLATION; /* resolved, but not as a page of memory */
    }
    process_unlock_working_set(c, *process);
    return status;
}

ntmm_status touch_page(struct call *c, const struct touch *touch, struct process **process,
                       uint64_t *frame)
{
    struct ntmm_wait wait = {0};
    uint64_t deadline = 0;
    ntmm_status status;
    do {
        c->want = (struct want){.kind = WANT_NOTHING};
        status = try_page(c, touch, &wait, process, frame);
    } while (wait_retry(c, &wait, &deadline, &status));
    return status;
}

ntmm_status touch_run(struct call *c, const struct touch *touch, uint64_t size,
                      struct touch_run *run)
{
    uint64_t frame;
    uint32_t offset = (uint32_t)touch->address & (NTMM_PAGE_SIZE - 1);
    uint64_t page = touch->address >> NTMM_PAGE_SHIFT;
    ntmm_status status = touch_page(c, touch, &run->process, &frame);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    run->count = 0;
    run->size_bytes = 0;
    do {
        uint32_t bytes = (uint32_t)min_u64(NTMM_PAGE_SIZE - offset, size - run->size_bytes);
        run->spans[run->count++] =
            (struct ntmm_content_span){.frame = frame, .offset_bytes = offset, .size_bytes = bytes};
        run->size_bytes += bytes;
        offset = 0;
        page++;
    } while (run->size_bytes < size && run->count < TOUCH_RUN_PAGES &&
             find_page(c, run->process, page, touch->access, &frame));
    return NTMM_STATUS_SUCCESS;
}

ntmm_status touch_range(struct call *c, const struct touch *touch, uint64_t size)
{
    struct touch next = *touch;
    struct touch_run run;
    for (uint64_t done = 0; done < size; done += run.size_bytes, next.address += run.size_bytes) {
        ntmm_status status = touch_run(c, &next, size - done, &run);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        process_unlock_working_set(c, run.process);
    }
    return NTMM_STATUS_SUCCESS;
}
