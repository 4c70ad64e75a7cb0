/*
 * Records of images, and the relocation of their pages. See image_record.h.
 */
#include "section/image_record.h"
#include "base/bits.h"
#include "section/object.h"

#define REFS_PER_LIST (NTMM_PAGE_SIZE / sizeof(le64))

/* As object_take_frame. */
static uint64_t take_frame(struct call *c)
{
    uint64_t ref = object_take_frame(c);
    if (ref)
        (void)add64(&partition_of(c)->image_pages, 1);
    return ref;
}

static void give_frame(struct call *c, uint64_t ref)
{
    if (!ref)
        return;
    frame_free(c, ref_frame(c, ref));
    commit_return(c, 1);
    (void)add64(&partition_of(c)->image_pages, ~0ull);
}

uint64_t image_record_create(struct call *c)
{
    uint64_t ref = take_frame(c);
    if (!ref)
        return 0;
    struct image_record *record = image_record_at(c, ref);
    set64(&record->bounce, take_frame(c));
    if (get64(&record->bounce))
        set64(&record->scratch, take_frame(c));
    if (!get64(&record->scratch)) {
        give_frame(c, get64(&record->bounce));
        give_frame(c, ref);
        return 0;
    }
    set32(&record->charged_pages, 3);
    return ref;
}

static le64 *slot_of_frame(const struct call *c, const struct image_record *record, uint32_t n)
{
    le64 *list = core_at(c->bias, get64(&record->lists[n / REFS_PER_LIST]));
    return &list[n % REFS_PER_LIST];
}

bool image_record_grow(struct call *c, uint64_t ref, uint32_t frames)
{
    struct image_record *record = image_record_at(c, ref);
    while (frames > 0) {
        uint32_t n = get32(&record->frame_count);
        le64 *list = &record->lists[n / REFS_PER_LIST];
        if (n % REFS_PER_LIST == 0 && get64(list) == 0) {
            set64(list, take_frame(c));
            if (!get64(list))
                return false;
            set32(&record->charged_pages, get32(&record->charged_pages) + 1);
        }
        uint64_t frame = take_frame(c);
        if (!frame)
            return false;
        set64(slot_of_frame(c, record, n), frame);
        set32(&record->frame_count, n + 1);
        set32(&record->charged_pages, get32(&record->charged_pages) + 1);
        frames--;
    }
    return true;
}

void *image_record_frame(const struct call *c, const struct image_record *record, uint32_t n)
{
    return core_at(c->bias, get64(slot_of_frame(c, record, n)));
}

void image_record_free(struct call *c, uint64_t ref)
{
    if (!ref)
        return;
    const struct image_record *record = image_record_at(c, ref);
    for (uint32_t n = 0; n < get32(&record->frame_count); n++)
        give_frame(c, get64(slot_of_frame(c, record, n)));
    for (uint32_t i = 0; i < IMAGE_LISTS; i++)
        give_frame(c, get64(&record->lists[i]));
    give_frame(c, get64(&record->bounce));
    give_frame(c, get64(&record->scratch));
    give_frame(c, ref);
}

void *image_record_chunk(void *context, uint32_t n)
{
    const struct image_chunks *chunks = context;
    return image_record_frame(chunks->c, chunks->record, n);
}

void image_record_describe(const struct call *c, uint64_t ref, void *buffer)
{
    __builtin_memcpy(buffer, image_record_at(c, ref)->information, IMAGE_INFORMATION_BYTES);
}

/* Bytes of the directory, from its frames: all that a page needs. */
static ntmm_status read_directory(void *context, uint32_t rva, void *buffer, uint32_t size)
{
    const struct image_chunks *chunks = context;
    uint32_t offset = rva - get32(&chunks->record->relocation_rva);
    uint8_t *out = buffer;
    if (offset > get32(&chunks->record->relocation_bytes) ||
        size > get32(&chunks->record->relocation_bytes) - offset)
        return NTMM_STATUS_INVALID_IMAGE_FORMAT;
    while (size > 0) {
        uint32_t at = offset % NTMM_PAGE_SIZE;
        uint32_t piece = (uint32_t)min_u64(size, NTMM_PAGE_SIZE - at);
        uint32_t n = get32(&chunks->record->chunk_count) + offset / NTMM_PAGE_SIZE;
        const uint8_t *frame = image_record_frame(chunks->c, chunks->record, n);
        __builtin_memcpy(out, frame + at, piece);
        out += piece;
        offset += piece;
        size -= piece;
    }
    return NTMM_STATUS_SUCCESS;
}

/* What relocate_page looks at, in the scratch frame. (I) is held. */
static struct image *fill_image(const struct call *c, const struct image_record *record)
{
    struct image *image = core_at(c->bias, get64(&record->scratch));
    image->preferred_base = get64(&record->preferred_base);
    image->image_pages = get32(&record->image_pages);
    image->base_rva = get32(&record->base_rva);
    image->is_64 = get32(&record->is_64) != 0;
    image->relocation_rva = get32(&record->relocation_rva);
    image->relocation_bytes = get32(&record->relocation_bytes);
    image->has_relocations = true;
    return image;
}

/* Leaves nothing of this host's behind. (I) is held. */
static void clear_scratch(const struct call *c, const struct image_record *record)
{
    __builtin_memset(core_at(c->bias, get64(&record->scratch)), 0, NTMM_PAGE_SIZE);
    __builtin_memset(core_at(c->bias, get64(&record->bounce)), 0, NTMM_PAGE_SIZE);
}

/* (I) is held. */
static ntmm_status relocate_in_bounce(struct call *c, const struct image_record *record,
                                      uint32_t page, uint64_t frame)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    const struct ntmm_content_span span = {.frame = frame, .size_bytes = NTMM_PAGE_SIZE};
    struct image_chunks chunks = {.c = c, .record = record};
    const struct relocation relocation = {
        .read = read_directory,
        .read_context = &chunks,
        .chunk = image_record_chunk,
        .chunk_context = &chunks,
        .block_count = get32(&record->block_count),
        .straddle_count = get32(&record->straddle_count),
    };
    const struct image *image = fill_image(c, record);
    uint8_t *bytes = core_at(c->bias, get64(&record->bounce));
    if (!relocate_touches(&relocation, image, page))
        return NTMM_STATUS_SUCCESS;
    ntmm_status status = platform->read(platform->context, &span, 1, bytes);
    if (NTMM_SUCCEEDED(status))
        status = relocate_page(&relocation, image, page, get64(&record->base), bytes);
    if (NTMM_SUCCEEDED(status))
        status = platform->write(platform->context, &span, 1, bytes);
    return status;
}

ntmm_status image_relocate(struct call *c, uint64_t ref, uint64_t page, uint64_t frame)
{
    struct image_record *record = image_record_at(c, ref);
    if (!get32(&record->can_move) || get64(&record->base) == get64(&record->preferred_base))
        return NTMM_STATUS_SUCCESS;
    lock_acquire(c, &record->lock, LOCK_IMAGE);
    ntmm_status status = relocate_in_bounce(c, record, (uint32_t)page, frame);
    clear_scratch(c, record);
    lock_release(c, &record->lock, LOCK_IMAGE);
    return status;
}
