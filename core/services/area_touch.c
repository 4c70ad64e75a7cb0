/*
 * See area_touch.h. The loop is that of services/touch.c, without a process.
 */
#include "services/area_touch.h"
#include "base/bits.h"
#include "fault/door.h"
#include "paging/transfers.h"
#include "services/relief.h"

/* Leave what was waited for last time; c->want is about the next time. */
static void leave_last(struct call *c, struct ntmm_wait *wait)
{
    struct want want = c->want;
    wait_leave_block(c, wait);
    c->want = want;
}

/* Do what c->want says. False, with *status set: in vain. */
static bool wait_for_want(struct call *c, struct ntmm_wait *wait, uint64_t *deadline,
                          ntmm_status *status)
{
    if (c->want.kind == WANT_FRAME && relieve_frames(c, c->want.pages))
        return true;
    if (!wait_begin(c, wait))
        return true;
    bool is_woken = wait_block(c, wait, deadline);
    wait_leave_queue(c, wait);
    if (!is_woken)
        *status = NTMM_STATUS_NO_MEMORY;
    return is_woken;
}

ntmm_status area_touch(struct call *c, struct control_area *area, uint64_t page, uint64_t *frame)
{
    struct ntmm_wait wait = {0};
    uint64_t deadline = 0;
    enum ntmm_fault_kind kind;
    ntmm_status status;
    for (;;) {
        status = prototype_acquire(c, area, page, &wait, frame, &kind);
        leave_last(c, &wait);
        if (status == NTMM_STATUS_COMMITMENT_LIMIT && page_files_extend(c, 1))
            continue;
        if (status != NTMM_STATUS_PENDING || !wait_for_want(c, &wait, &deadline, &status))
            break;
    }
    wait_leave_block(c, &wait);
    c->want = (struct want){.kind = WANT_NOTHING};
    return status;
}

/* Move bytes between an area and one of two buffers. */
static ntmm_status move(struct call *c, struct control_area *area, uint64_t offset, uint8_t *out,
                        const uint8_t *in, uint64_t size, uint64_t *moved)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    for (uint64_t done = 0; done < size;) {
        struct ntmm_content_span span;
        uint64_t at = offset + done;
        ntmm_status status = area_touch(c, area, at >> NTMM_PAGE_SHIFT, &span.frame);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        span.offset_bytes = (uint32_t)(at & (NTMM_PAGE_SIZE - 1));
        span.size_bytes = (uint32_t)min_u64(NTMM_PAGE_SIZE - span.offset_bytes, size - done);
        if (in)
            frame_make_modified(c, span.frame);
        status = in ? platform->write(platform->context, &span, 1, in + (size_t)done)
                    : platform->read(platform->context, &span, 1, out + (size_t)done);
        frame_end_share(c, span.frame);
        if (!NTMM_SUCCEEDED(status))
            return status;
        done += span.size_bytes;
        *moved += span.size_bytes;
    }
    return NTMM_STATUS_SUCCESS;
}

ntmm_status area_read(struct call *c, struct control_area *area, uint64_t offset, void *buffer,
                      uint64_t size, uint64_t *moved)
{
    return move(c, area, offset, buffer, NULL, size, moved);
}

ntmm_status area_write(struct call *c, struct control_area *area, uint64_t offset,
                       const void *buffer, uint64_t size, uint64_t *moved)
{
    return move(c, area, offset, NULL, buffer, size, moved);
}
