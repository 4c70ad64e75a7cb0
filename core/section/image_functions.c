/*
 * The table of functions that may be called. See image_functions.h.
 */
#include "section/image_functions.h"
#include "base/bits.h"
#include "section/bytes.h"

#include <ntmm/status.h>

#define TABLE_PRESENT 0x400u /* GuardFlags */
#define STRIDE_SHIFT 28u
#define FUNCTION_BYTES 4u
#define SUPPRESSED 0x1u /* in the first byte behind a function */

/* Where fields of the load configuration stand. */
struct places {
    uint8_t table, count, flags;
    uint8_t bytes; /* of an address, and of the count */
};

static const struct places places_32 = {0x50, 0x54, 0x58, 4};
static const struct places places_64 = {0x80, 0x88, 0x90, 8};

#define CONFIG_BYTES_MAX 0x94u

static uint64_t image_end(const struct image *image)
{
    return (uint64_t)image->image_pages << NTMM_PAGE_SHIFT;
}

/* The table that a load configuration names, unless it leaves the image. */
static void take_table(const uint8_t *config, const struct places *at, struct image *image)
{
    uint32_t flags = bytes_get32(config + at->flags);
    uint32_t entry = FUNCTION_BYTES + (flags >> STRIDE_SHIFT);
    uint64_t count = bytes_get(config + at->count, at->bytes);
    uint64_t rva = bytes_get(config + at->table, at->bytes) - image->preferred_base;
    uint64_t end = image_end(image);
    if (!(flags & TABLE_PRESENT))
        return;
    if (count != 0 && (rva >= end || count > end || count * entry > end - rva))
        return;
    image->has_functions = true;
    image->functions_rva = count != 0 ? (uint32_t)rva : 0;
    image->function_count = (uint32_t)count;
    image->function_bytes = (uint8_t)entry;
}

ntmm_status image_read_load_config(const struct image_source *source, uint32_t rva, uint32_t size,
                                   struct image *image)
{
    const struct places *at = image->is_64 ? &places_64 : &places_32;
    uint32_t needed = at->flags + 4u;
    uint8_t config[CONFIG_BYTES_MAX];
    if (!(image->dll_characteristics & IMAGE_DLL_GUARD_CF) || rva == 0 || size == 0 ||
        (uint64_t)rva + needed > image_end(image))
        return NTMM_STATUS_SUCCESS;
    ntmm_status status = image_read_rva(source, image, rva, config, needed);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (bytes_get32(config) >= needed) /* the size that it says it has */
        take_table(config, at, image);
    return NTMM_STATUS_SUCCESS;
}

void image_functions_begin(struct image_functions *f, const struct image *image, relocate_read read,
                           void *context)
{
    *f = (struct image_functions){.read = read, .context = context, .image = image};
}

/* The entries from the next one on that fit. */
static ntmm_status fill_window(struct image_functions *f)
{
    uint32_t entry = f->image->function_bytes;
    uint32_t left = f->image->function_count - f->index;
    uint32_t count = (uint32_t)min_u64(left, FUNCTIONS_WINDOW_BYTES / entry);
    f->window_from = f->index;
    f->window_end = f->index + count;
    ntmm_status status =
        f->read(f->context, f->image->functions_rva + f->index * entry, f->window, count * entry);
    if (status != NTMM_STATUS_SUCCESS)
        f->window_end = f->window_from;
    return status;
}

ntmm_status image_functions_next(struct image_functions *f, uint32_t *rva, bool *is_there)
{
    uint32_t entry_bytes = f->image->function_bytes;
    for (*is_there = false; f->index < f->image->function_count && !*is_there; f->index++) {
        ntmm_status status = f->index < f->window_end ? NTMM_STATUS_SUCCESS : fill_window(f);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        const uint8_t *entry = f->window + (f->index - f->window_from) * entry_bytes;
        *rva = bytes_get32(entry);
        if (*rva < f->least || *rva >= image_end(f->image))
            return NTMM_STATUS_INVALID_IMAGE_FORMAT;
        f->least = *rva + 1;
        *is_there = entry_bytes == FUNCTION_BYTES || !(entry[FUNCTION_BYTES] & SUPPRESSED);
    }
    return NTMM_STATUS_SUCCESS;
}

le32 *image_function_slot(const struct call *c, const struct image_record *record, uint32_t n)
{
    uint32_t frame = get32(&record->function_frame) + n / FUNCTIONS_PER_FRAME;
    le32 *functions = image_record_frame(c, record, frame);
    return &functions[n % FUNCTIONS_PER_FRAME];
}

/* The first function of at least `rva`. */
static uint32_t find_function(const struct call *c, const struct image_record *record, uint32_t rva)
{
    uint32_t low = 0, high = get32(&record->function_count);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (get32(image_function_slot(c, record, middle)) < rva)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void image_function_bits(const struct call *c, const struct image_record *record, uint32_t page,
                         uint8_t bits[TARGETS_PAGE_BYTES])
{
    uint32_t n = find_function(c, record, page << NTMM_PAGE_SHIFT);
    __builtin_memset(bits, 0, TARGETS_PAGE_BYTES);
    for (; n < get32(&record->function_count); n++) {
        uint32_t rva = get32(image_function_slot(c, record, n));
        if (rva >> NTMM_PAGE_SHIFT != page)
            return;
        targets_add(bits, rva & (NTMM_PAGE_SIZE - 1));
    }
}
