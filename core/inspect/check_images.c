/*
 * The checker's view of what images keep beside their pages.
 *
 *   area --> record --> lists --> frames of the index, of the directory, of the functions
 *
 * What lies in the index and the directory was proved when the image was made, and is read by
 * nothing here; functions are.
 */
#include "inspect/checker.h"
#include "section/image_functions.h"

#define REFS_PER_LIST (NTMM_PAGE_SIZE / sizeof(le64))

static bool check_frame(struct checker *k, uint64_t ref)
{
    k->image_frames++;
    return check_object_frame(k, "CA6", ref);
}

/* A list, and the first `count` frames that it names. */
static bool check_list(struct checker *k, uint64_t ref, uint64_t count)
{
    if (!check_frame(k, ref))
        return false;
    const le64 *list = core_at(k->c->bias, ref);
    for (uint64_t i = 0; i < count; i++) {
        if (!check_frame(k, get64(&list[i])))
            return false;
    }
    return true;
}

static bool check_lists_of(struct checker *k, const struct image_record *record)
{
    uint64_t left = get32(&record->frame_count);
    for (uint32_t i = 0; i < IMAGE_LISTS && left > 0; i++) {
        uint64_t count = min_u64(left, REFS_PER_LIST);
        if (!check_list(k, get64(&record->lists[i]), count))
            return false;
        left -= count;
    }
    return true;
}

/* The numbers of a record, of which frame_count is first. */
static bool check_numbers(struct checker *k, const struct control_area *area, uint64_t ref)
{
    const struct image_record *record = image_record_at(k->c, ref);
    uint64_t frames = get32(&record->frame_count);
    uint64_t directory = round_up(get32(&record->relocation_bytes), NTMM_PAGE_SIZE);
    uint64_t named = get32(&record->chunk_count) + (directory >> NTMM_PAGE_SHIFT);
    return check_between(k, "CA6", ref, 0, IMAGE_LISTS * REFS_PER_LIST, frames) &&
           (!get32(&record->can_move) || check_between(k, "CA6", ref, 0, frames, named)) &&
           check_equal(k, "CA6", ref, get64(&area->pages), get32(&record->image_pages)) &&
           check_equal(k, "CA6", ref, get64(&area->base_page) << NTMM_PAGE_SHIFT,
                       get64(&record->base));
}

/* CA9. The lists are sound. */
static bool check_functions(struct checker *k, uint64_t ref)
{
    const struct image_record *record = image_record_at(k->c, ref);
    uint64_t count = get32(&record->function_count);
    uint64_t end = (uint64_t)get32(&record->image_pages) << NTMM_PAGE_SHIFT;
    uint64_t least = 0;
    if (!get32(&record->has_functions))
        return check_equal(k, "CA9", ref, 0, count);
    uint64_t first = get32(&record->function_frame);
    uint64_t behind = first + round_up(count, FUNCTIONS_PER_FRAME) / FUNCTIONS_PER_FRAME;
    uint64_t directory = round_up(get32(&record->relocation_bytes), NTMM_PAGE_SIZE);
    uint64_t named = get32(&record->chunk_count) + (directory >> NTMM_PAGE_SHIFT);
    if (!check_between(k, "CA9", ref, named, get32(&record->frame_count), first) ||
        !check_between(k, "CA9", ref, first, get32(&record->frame_count), behind))
        return false;
    for (uint32_t n = 0; n < count; n++) {
        uint64_t rva = get32(image_function_slot(k->c, record, n));
        if (!check_between(k, "CA9", ref, least, end - 1, rva))
            return false;
        least = rva + 1;
    }
    return true;
}

bool check_image(struct checker *k, const struct control_area *area)
{
    uint64_t ref = get64(&area->image);
    uint64_t before = k->image_frames;
    if (!area_is(area, AREA_IMAGE))
        return check_equal(k, "CA6", area_ref(k->c, area), 0, ref);
    if (!check_frame(k, ref))
        return false;
    const struct image_record *record = image_record_at(k->c, ref);
    return check_equal(k, "L1", LOCK_IMAGE, 0, load32_relaxed(&record->lock)) &&
           check_numbers(k, area, ref) && check_frame(k, get64(&record->bounce)) &&
           check_frame(k, get64(&record->scratch)) && check_lists_of(k, record) &&
           check_functions(k, ref) &&
           check_equal(k, "CA6", ref, k->image_frames - before, get32(&record->charged_pages));
}
