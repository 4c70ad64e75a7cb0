/*
 * Bytes of user frames, through the direct map. Nothing can fail: the map holds every frame that
 * was handed over.
 */
#include "platform/freestanding/machine.h"

static uint8_t *frame_at(void *context, uint64_t frame)
{
    const struct ntmm_freestanding *machine = context;
    return (uint8_t *)(machine->config.direct_map + (uintptr_t)(frame << NTMM_PAGE_SHIFT));
}

ntmm_status direct_zero(void *context, const uint64_t *frames, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        __builtin_memset(frame_at(context, frames[i]), 0, NTMM_PAGE_SIZE);
    return NTMM_STATUS_SUCCESS;
}

ntmm_status direct_copy(void *context, const uint64_t *to, const uint64_t *from, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        __builtin_memmove(frame_at(context, to[i]), frame_at(context, from[i]), NTMM_PAGE_SIZE);
    return NTMM_STATUS_SUCCESS;
}

ntmm_status direct_compare(void *context, const uint64_t *a, const uint64_t *b, uint32_t count,
                           uint64_t *equal)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (__builtin_memcmp(frame_at(context, a[i]), frame_at(context, b[i]), NTMM_PAGE_SIZE) == 0)
            bits |= UINT64_C(1) << i;
    }
    *equal = bits;
    return NTMM_STATUS_SUCCESS;
}

ntmm_status direct_read(void *context, const struct ntmm_content_span *spans, uint32_t count,
                        void *buffer)
{
    uint8_t *out = buffer;
    for (uint32_t i = 0; i < count; i++) {
        __builtin_memcpy(out, frame_at(context, spans[i].frame) + spans[i].offset_bytes,
                         spans[i].size_bytes);
        out += spans[i].size_bytes;
    }
    return NTMM_STATUS_SUCCESS;
}

ntmm_status direct_write(void *context, const struct ntmm_content_span *spans, uint32_t count,
                         const void *buffer)
{
    const uint8_t *in = buffer;
    for (uint32_t i = 0; i < count; i++) {
        __builtin_memcpy(frame_at(context, spans[i].frame) + spans[i].offset_bytes, in,
                         spans[i].size_bytes);
        in += spans[i].size_bytes;
    }
    return NTMM_STATUS_SUCCESS;
}
