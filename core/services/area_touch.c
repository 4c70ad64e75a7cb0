/*
 * See area_touch.h. The loop is that of services/touch.c, without a process.
 */
#include "services/area_touch.h"
#include "base/bits.h"
#include "fault/door.h"
#include "services/relief.h"

ntmm_status area_touch(struct call *c, struct control_area *area, uint64_t page, uint64_t *frame)
{
    struct ntmm_wait wait = {0};
    uint64_t deadline = 0;
    enum ntmm_fault_kind kind;
    ntmm_status status;
    do {
        c->want = (struct want){.kind = WANT_NOTHING};
        status = prototype_acquire(c, area, page, &wait, frame, &kind);
    } while (wait_retry(c, &wait, &deadline, &status));
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
