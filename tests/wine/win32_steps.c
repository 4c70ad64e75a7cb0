#include "win32_steps.h"

#include "os_win32.h"
#include "places.h"
#include "section_steps.h"

#define WRITTEN_LIMIT 0x10000u
#define UNTOUCHED 0xA5A5A5A5u

static void step_write(const struct step *step, uint64_t process, struct text *found)
{
    static uint8_t data[WRITTEN_LIMIT];
    uint64_t written = UNTOUCHED;

    for (uint32_t i = 0; i < WRITTEN_LIMIT; i++) {
        data[i] = (uint8_t)step->arguments[2];
    }
    text_error(found, os_write_process_memory(process, place(step->arguments[0]), data,
                                              step->arguments[1], &written));
    if (written != UNTOUCHED) {
        text_number(found, written);
    }
}

static void step_map(const struct step *step, struct text *found)
{
    uint64_t base = place(step->arguments[4]);
    uint32_t error =
        os_map_view_of_file(section_steps_handle(step, 0), (uint32_t)step->arguments[1],
                            step->arguments[2], step->arguments[3], &base);

    text_error(found, error);
    if (!error) {
        text_number(found, unplace(base));
    }
}

bool win32_steps_run(const struct step *step, uint64_t process, struct text *found)
{
    switch (step->verb) {
    case VERB_VIRTUAL_FREE:
        text_error(found, os_virtual_free(process, place(step->arguments[0]), step->arguments[1],
                                          (uint32_t)step->arguments[2]));
        return true;
    case VERB_WRITE_PROCESS_MEMORY:
        step_write(step, process, found);
        return true;
    case VERB_MAP_VIEW_OF_FILE:
        step_map(step, found);
        return true;
    case VERB_ERROR_OF:
        text_number(found, os_error_of((uint32_t)step->arguments[0]));
        return true;
    default:
        return false;
    }
}
