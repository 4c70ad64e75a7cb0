/*
 * Content operations: the only way in which the core touches the bytes of user frames.
 *
 * A frame that is not RAM fails the whole operation before a byte moves. With threads, processors
 * may store to a frame while it is read or written here; then the bytes move in relaxed atomic
 * words, so that an aligned word is old or new and never a mixture.
 */
#include "platform/emulated/machine.h"

#include <string.h>

static bool are_frames(const struct ntmm_emulated *emu, const uint64_t *frames, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (frame_at(emu, frames[i]) == NULL)
            return false;
    }
    return true;
}

static bool are_spans(const struct ntmm_emulated *emu, const struct ntmm_content_span *spans,
                      uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (span_at(emu, &spans[i]) == NULL)
            return false;
    }
    return true;
}

static ntmm_status begin_operation(struct ntmm_emulated *emu, enum ntmm_emulated_content operation,
                                   bool is_valid)
{
    if (!is_valid)
        return NTMM_STATUS_INVALID_PARAMETER;
    scheduler_preempt(emu);
    return take_injection(emu, &emu->content_errors, operation);
}

#define CACHE_LINE 64u
/* Enough for the host processor's own prefetch to go on from there. */
#define LINES_AHEAD 16u

/*
 * Zero a frame and fetch the beginning of the next: frames freed together are handed out in the
 * order of their addresses, so that is likely to be zeroed next. The fetch stands here and not in a
 * function of its own, which the compiler would take for one without effect and drop.
 */
static void zero_frame(struct ntmm_emulated *emu, uint64_t frame)
{
    const unsigned char *next = frame_at(emu, frame + 1);
    memset(frame_at(emu, frame), 0, NTMM_PAGE_SIZE);
    for (uint32_t line = 0; next != NULL && line < LINES_AHEAD; line++)
        __builtin_prefetch(next + line * CACHE_LINE, 1);
}

ntmm_status content_zero(void *context, const uint64_t *frames, uint32_t count)
{
    struct ntmm_emulated *emu = context;
    ntmm_status status = begin_operation(emu, NTMM_EMULATED_ZERO, are_frames(emu, frames, count));
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    for (uint32_t i = 0; i < count; i++)
        zero_frame(emu, frames[i]);
    return NTMM_STATUS_SUCCESS;
}

ntmm_status content_compare(void *context, const uint64_t *a, const uint64_t *b, uint32_t count,
                            uint64_t *equal)
{
    struct ntmm_emulated *emu = context;
    bool is_valid = count <= 64 && are_frames(emu, a, count) && are_frames(emu, b, count);
    ntmm_status status = begin_operation(emu, NTMM_EMULATED_COMPARE, is_valid);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    uint64_t bits = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (memcmp(frame_at(emu, a[i]), frame_at(emu, b[i]), NTMM_PAGE_SIZE) == 0)
            bits |= UINT64_C(1) << i;
    }
    *equal = bits;
    return NTMM_STATUS_SUCCESS;
}

static bool is_word(const void *frame_bytes, size_t left_bytes)
{
    return ((uintptr_t)frame_bytes & 7) == 0 && left_bytes >= 8;
}

void content_load_shared(uint8_t *to, uint8_t *from, size_t size)
{
    for (size_t done = 0; done < size;) {
        if (is_word(from + done, size - done)) {
            uint64_t word = atomic_load_explicit((_Atomic(uint64_t) *)(void *)(from + done),
                                                 memory_order_relaxed);
            memcpy(to + done, &word, 8);
            done += 8;
        } else {
            to[done] =
                atomic_load_explicit((_Atomic(uint8_t) *)(from + done), memory_order_relaxed);
            done++;
        }
    }
}

static void store_shared(uint8_t *to, const uint8_t *from, size_t size)
{
    for (size_t done = 0; done < size;) {
        if (is_word(to + done, size - done)) {
            uint64_t word;
            memcpy(&word, from + done, 8);
            atomic_store_explicit((_Atomic(uint64_t) *)(void *)(to + done), word,
                                  memory_order_relaxed);
            done += 8;
        } else {
            atomic_store_explicit((_Atomic(uint8_t) *)(to + done), from[done],
                                  memory_order_relaxed);
            done++;
        }
    }
}

/* Both sides may be in use by processors and transfers. */
static void copy_shared(uint8_t *to, uint8_t *from)
{
    uint8_t line[CACHE_LINE];
    for (uint32_t done = 0; done < NTMM_PAGE_SIZE; done += CACHE_LINE) {
        content_load_shared(line, from + done, CACHE_LINE);
        store_shared(to + done, line, CACHE_LINE);
    }
}

ntmm_status content_copy(void *context, const uint64_t *to, const uint64_t *from, uint32_t count)
{
    struct ntmm_emulated *emu = context;
    bool is_valid = are_frames(emu, to, count) && are_frames(emu, from, count);
    ntmm_status status = begin_operation(emu, NTMM_EMULATED_COPY, is_valid);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    for (uint32_t i = 0; i < count; i++) {
        if (has_threads(emu))
            copy_shared(frame_at(emu, to[i]), frame_at(emu, from[i]));
        else
            memmove(frame_at(emu, to[i]), frame_at(emu, from[i]), NTMM_PAGE_SIZE);
    }
    return NTMM_STATUS_SUCCESS;
}

ntmm_status content_read(void *context, const struct ntmm_content_span *spans, uint32_t count,
                         void *buffer)
{
    struct ntmm_emulated *emu = context;
    ntmm_status status = begin_operation(emu, NTMM_EMULATED_READ, are_spans(emu, spans, count));
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    uint8_t *out = buffer;
    for (uint32_t i = 0; i < count; i++) {
        if (has_threads(emu))
            content_load_shared(out, span_at(emu, &spans[i]), spans[i].size_bytes);
        else
            memcpy(out, span_at(emu, &spans[i]), spans[i].size_bytes);
        out += spans[i].size_bytes;
    }
    return NTMM_STATUS_SUCCESS;
}

ntmm_status content_write(void *context, const struct ntmm_content_span *spans, uint32_t count,
                          const void *buffer)
{
    struct ntmm_emulated *emu = context;
    ntmm_status status = begin_operation(emu, NTMM_EMULATED_WRITE, are_spans(emu, spans, count));
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    const uint8_t *in = buffer;
    for (uint32_t i = 0; i < count; i++) {
        if (has_threads(emu))
            store_shared(span_at(emu, &spans[i]), in, spans[i].size_bytes);
        else
            memcpy(span_at(emu, &spans[i]), in, spans[i].size_bytes);
        in += spans[i].size_bytes;
    }
    return NTMM_STATUS_SUCCESS;
}
