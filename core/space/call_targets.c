/*
 * The bitmap of call targets. See call_targets.h.
 */
#include "space/call_targets.h"
#include "base/bits.h"
#include "space/awe.h"

#include <ntmm/constants.h>

uint64_t targets_pages(uint64_t highest)
{
    uint64_t bytes = round_up(highest * TARGETS_PAGE_BYTES, NTMM_ALLOCATION_GRANULARITY);
    return bytes >> NTMM_PAGE_SHIFT;
}

ntmm_status targets_begin(struct call *c, struct process *process, const struct vad_place *place)
{
    ntmm_status status = awe_reserve(c, process, place, PROT_READONLY, NTMM_PAGE_READONLY);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    vad_forbid_change(vad_find(c, process, place->start));
    set64(&process->targets_page, place->start);
    return NTMM_STATUS_SUCCESS;
}

/* The page of the bitmap that is about a page. */
static uint64_t bitmap_page(const struct process *process, uint64_t page)
{
    return get64(&process->targets_page) + page / TARGETS_PER_PAGE;
}

/* The page of the bitmap behind those about [start, end). */
static uint64_t bitmap_end(const struct process *process, uint64_t end)
{
    uint64_t pages = min_u64(end, get64(&process->highest_page));
    return get64(&process->targets_page) + (pages + TARGETS_PER_PAGE - 1) / TARGETS_PER_PAGE;
}

ntmm_status targets_prepare(struct call *c, struct process *process, uint64_t start, uint64_t end)
{
    uint64_t last = bitmap_end(process, end);
    for (uint64_t at = bitmap_page(process, start); at < last; at++) {
        ntmm_status status = awe_find_mapped(c, process, at, at + 1) == at
                                 ? NTMM_STATUS_SUCCESS
                                 : awe_add_page(c, process, at, PROT_READONLY);
        if (status != NTMM_STATUS_SUCCESS) {
            targets_prune(c, process, start, end);
            return status;
        }
    }
    return NTMM_STATUS_SUCCESS;
}

static bool read_bits(struct call *c, struct process *process, uint64_t bitmap, uint32_t offset,
                      void *bits, uint32_t bytes)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    const struct ntmm_content_span span = {
        .frame = awe_frame(c, process, bitmap), .offset_bytes = offset, .size_bytes = bytes};
    return platform->read(platform->context, &span, 1, bits) == NTMM_STATUS_SUCCESS;
}

static void write_bits(struct call *c, struct process *process, uint64_t bitmap, uint32_t offset,
                       const void *bits, uint32_t bytes)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    const struct ntmm_content_span span = {
        .frame = awe_frame(c, process, bitmap), .offset_bytes = offset, .size_bytes = bytes};
    (void)platform->write(platform->context, &span, 1, bits);
}

/* One that cannot be read counts as one with bits. */
static bool is_empty(struct call *c, struct process *process, uint64_t bitmap)
{
    uint64_t words[TARGETS_PIECE_BYTES / sizeof(uint64_t)];
    for (uint32_t at = 0; at < NTMM_PAGE_SIZE; at += TARGETS_PIECE_BYTES) {
        if (!read_bits(c, process, bitmap, at, words, TARGETS_PIECE_BYTES))
            return false;
        for (uint32_t i = 0; i < TARGETS_PIECE_BYTES / sizeof(uint64_t); i++) {
            if (words[i] != 0)
                return false;
        }
    }
    return true;
}

void targets_prune(struct call *c, struct process *process, uint64_t start, uint64_t end)
{
    struct want want = c->want;
    uint64_t last = start < end ? bitmap_end(process, end) : 0;
    for (uint64_t at = bitmap_page(process, start); at < last; at++) {
        at = awe_find_mapped(c, process, at, last);
        if (at < last && is_empty(c, process, at))
            awe_drop_page(c, process, at);
    }
    c->want = want;
}

void targets_set(struct call *c, struct process *process, uint64_t start, uint64_t end,
                 bool is_valid)
{
    uint8_t bits[TARGETS_PAGE_BYTES];
    uint64_t last = start < end ? bitmap_end(process, end) : 0;
    __builtin_memset(bits, is_valid ? 0xFF : 0, sizeof bits);
    for (uint64_t at = bitmap_page(process, start); at < last; at++) {
        at = awe_find_mapped(c, process, at, last);
        if (at >= last)
            return;
        uint64_t first = (at - get64(&process->targets_page)) * TARGETS_PER_PAGE;
        uint64_t stop = min_u64(first + TARGETS_PER_PAGE, end);
        for (uint64_t page = max_u64(first, start); page < stop; page++)
            write_bits(c, process, at, (uint32_t)(page - first) * TARGETS_PAGE_BYTES, bits,
                       sizeof bits);
    }
}

/* Where the two bits of 16 bytes stand: page of the bitmap, byte in it, shift. */
struct place_of_bits {
    uint64_t bitmap;
    uint32_t offset;
    uint32_t shift;
};

static struct place_of_bits place_of(const struct process *process, uint64_t address)
{
    uint32_t bit = (uint32_t)(address >> 3) & 62u;
    return (struct place_of_bits){.bitmap = bitmap_page(process, address >> NTMM_PAGE_SHIFT),
                                  .offset = ((uint32_t)(address >> 9) * 8u + bit / 8u) &
                                            (NTMM_PAGE_SIZE - 1),
                                  .shift = bit % 8u};
}

static bool is_there(struct call *c, struct process *process, uint64_t bitmap)
{
    return bitmap < bitmap_end(process, ~0ull) &&
           awe_find_mapped(c, process, bitmap, bitmap + 1) == bitmap;
}

void targets_set_page(struct call *c, struct process *process, uint64_t page,
                      const uint8_t bits[TARGETS_PAGE_BYTES])
{
    uint64_t bitmap = bitmap_page(process, page);
    uint32_t offset = (uint32_t)(page % TARGETS_PER_PAGE) * TARGETS_PAGE_BYTES;
    if (is_there(c, process, bitmap))
        write_bits(c, process, bitmap, offset, bits, TARGETS_PAGE_BYTES);
}

void targets_set_one(struct call *c, struct process *process, uint64_t address, bool is_valid)
{
    struct place_of_bits at = place_of(process, address);
    uint8_t byte;
    if (!is_there(c, process, at.bitmap) ||
        !read_bits(c, process, at.bitmap, at.offset, &byte, sizeof byte))
        return;
    byte = (uint8_t)((byte & ~(3u << at.shift)) | (is_valid ? 1u : 0u) << at.shift);
    write_bits(c, process, at.bitmap, at.offset, &byte, sizeof byte);
}

bool targets_has(struct call *c, struct process *process, uint64_t address)
{
    struct place_of_bits at = place_of(process, address);
    uint8_t needed = address % 16 ? 3 : 1;
    uint8_t byte;
    if (!is_there(c, process, at.bitmap) ||
        !read_bits(c, process, at.bitmap, at.offset, &byte, sizeof byte))
        return false;
    return (byte >> at.shift & needed) == needed;
}

uint64_t targets_next(struct call *c, struct process *process, uint64_t index)
{
    uint64_t end = bitmap_end(process, ~0ull);
    uint64_t at = awe_find_mapped(c, process, get64(&process->targets_page) + index, end);
    return at < end ? at - get64(&process->targets_page) : UINT64_MAX;
}

void targets_read(struct call *c, struct process *process, uint64_t index, uint32_t offset,
                  void *bits)
{
    uint64_t at = get64(&process->targets_page) + index;
    if (!is_there(c, process, at) || !read_bits(c, process, at, offset, bits, TARGETS_PIECE_BYTES))
        __builtin_memset(bits, 0, TARGETS_PIECE_BYTES);
}

void targets_write(struct call *c, struct process *process, uint64_t index, uint32_t offset,
                   const void *bits)
{
    uint64_t at = get64(&process->targets_page) + index;
    if (is_there(c, process, at))
        write_bits(c, process, at, offset, bits, TARGETS_PIECE_BYTES);
}
