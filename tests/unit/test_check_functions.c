/*
 * CA9: functions of images, of which the scene's image has none.
 */
#include "section/image_functions.h"
#include "unit/corruption.h"
#include "unit/section_scene.h"

static struct image_record *record_of(struct machine *m)
{
    struct call c = machine_call(m);
    return image_record_at(&c, get64(&scene_area(m, section_scene()->image)->image));
}

static uint64_t count_functions_of_none(struct machine *m)
{
    set32(&record_of(m)->function_count, 1);
    return scene_ref(m, record_of(m));
}

static uint64_t have_functions_among_relocations(struct machine *m)
{
    set32(&record_of(m)->has_functions, 1);
    return scene_ref(m, record_of(m));
}

static uint64_t have_functions_behind_the_frames(struct machine *m)
{
    struct image_record *record = record_of(m);
    set32(&record->has_functions, 1);
    set32(&record->function_frame, get32(&record->frame_count));
    set32(&record->function_count, 1);
    return scene_ref(m, record);
}

/* Two, in the frame that was the index of relocations. */
static uint64_t have_functions(struct machine *m, uint32_t first, uint32_t second)
{
    struct call c = machine_call(m);
    struct image_record *record = record_of(m);
    set32(&record->can_move, 0);
    set32(&record->chunk_count, 0);
    set32(&record->relocation_bytes, 0);
    set32(&record->has_functions, 1);
    set32(&record->function_count, 2);
    set32(image_function_slot(&c, record, 0), first);
    set32(image_function_slot(&c, record, 1), second);
    return scene_ref(m, record);
}

static uint64_t have_functions_that_descend(struct machine *m)
{
    return have_functions(m, 0x1010, 0x1000);
}

static uint64_t have_a_function_twice(struct machine *m)
{
    return have_functions(m, 0x1010, 0x1010);
}

static uint64_t have_a_function_outside(struct machine *m)
{
    return have_functions(m, 0x1010, get32(&record_of(m)->image_pages) << NTMM_PAGE_SHIFT);
}

static const struct corruption of_functions[] = {
    {"CA9", "functions of an image without any", count_functions_of_none},
    {"CA9", "functions lie among relocations", have_functions_among_relocations},
    {"CA9", "functions lie behind the frames", have_functions_behind_the_frames},
    {"CA9", "functions descend", have_functions_that_descend},
    {"CA9", "a function stands twice", have_a_function_twice},
    {"CA9", "a function is not in the image", have_a_function_outside},
};

int main(void)
{
    const struct corruption_scene where = {.open = section_scene_open,
                                           .close = section_scene_close};
    return corruption_run_in(&where, "check_functions", of_functions,
                             sizeof of_functions / sizeof *of_functions);
}
