#include "section_steps.h"

#include "conformance/image_words.h"
#include "os_sections.h"
#include "places.h"

#define NUMBER_LIMIT 24u
#define FIRST_NAME 2u
#define FILE_BYTES_LIMIT 0x10000u
#define SHOWN_BYTES 8u
#define CLASS_WORDS 8u
#define BAD_WORDS 0xC000000Du
#define UNTOUCHED 0xA5A5A5A5A5A5A5A5u

static uint64_t handles[NUMBER_LIMIT];

static bool is_success(uint32_t status) { return status < 0x80000000u; }

uint64_t section_steps_handle(const struct step *step, uint32_t at)
{
    uint64_t number = step->arguments[at];

    return number == 1 ? os_handle(CALLER_WRONG_KIND) : handles[number % NUMBER_LIMIT];
}

static void keep(const struct step *step, uint32_t status, uint64_t handle, struct text *found)
{
    text_status(found, status);
    if (!is_success(status) && handle != UNTOUCHED) {
        text_word(found, "and the handle was written");
    }
    handles[step->arguments[0] % NUMBER_LIMIT] = is_success(status) ? handle : 0;
}

/* A file by the words behind the verb, the name and the rights. */
static uint32_t create_image(const struct step *step, uint64_t *handle)
{
    static struct pe_file image;

    if (image_words_build(&image, step->text, 3)) {
        return BAD_WORDS;
    }
    return os_create_file((uint32_t)step->arguments[1], image.bytes, image.size_bytes, handle);
}

static void step_create(const struct step *step, struct text *found)
{
    uint64_t handle = UNTOUCHED;
    uint64_t size = step->arguments[2];
    bool is_null = step->nulls & 1u;
    uint32_t status;

    if (step->verb == VERB_CREATE_FILE) {
        status = os_create_file((uint32_t)step->arguments[1], 0, size, &handle);
    } else if (step->verb == VERB_CREATE_IMAGE) {
        status = create_image(step, &handle);
    } else if (step->verb == VERB_OPEN_FILE) {
        status = os_open_file(section_steps_handle(step, 1), (uint32_t)step->arguments[2], &handle);
    } else if (step->verb == VERB_DUPLICATE_SECTION) {
        status = os_duplicate(section_steps_handle(step, 1), (uint32_t)step->arguments[2], &handle);
    } else {
        status = os_create_section(is_null ? 0 : &handle, (uint32_t)step->arguments[1],
                                   step->nulls & 1u << 2 ? 0 : &size, (uint32_t)step->arguments[3],
                                   (uint32_t)step->arguments[4], section_steps_handle(step, 5));
    }
    keep(step, status, handle, found);
}

static void step_read_file(const struct step *step, struct text *found)
{
    static uint8_t data[FILE_BYTES_LIMIT];
    uint64_t moved = UNTOUCHED;
    uint8_t *bytes = step->nulls & 1u << 3 ? 0 : data;
    uint64_t first;

    text_status(found, os_read_file(section_steps_handle(step, 0), step->arguments[1], bytes,
                                    (uint32_t)step->arguments[2], &moved));
    text_number(found, moved);
    first = moved > SHOWN_BYTES ? moved - SHOWN_BYTES : 0;
    if (moved && moved <= FILE_BYTES_LIMIT) {
        text_bytes(found, data + first, (uint32_t)(moved - first));
    }
}

static void step_write_file(const struct step *step, struct text *found)
{
    uint64_t moved = UNTOUCHED;
    bool is_null = step->nulls & 1u << 2;

    text_status(found, os_write_file(section_steps_handle(step, 0), step->arguments[1],
                                     is_null ? 0 : step->bytes, is_null ? 1 : step->size, &moved));
    text_number(found, moved);
}

static void step_size(const struct step *step, struct text *found)
{
    uint64_t size = step->arguments[1];
    bool is_extend = step->verb == VERB_EXTEND_SECTION;
    uint32_t status = is_extend ? os_extend_section(section_steps_handle(step, 0),
                                                    step->nulls & 1u << 1 ? 0 : &size)
                                : os_file_size(section_steps_handle(step, 0), &size);

    text_status(found, status);
    if (is_success(status)) {
        text_number(found, size);
    } else if (is_extend && size != step->arguments[1]) {
        text_word(found, "and the size was changed");
    }
}

static void step_query_section(const struct step *step, struct text *found)
{
    static uint64_t words[CLASS_WORDS];
    uint64_t returned = UNTOUCHED;
    uint32_t status =
        os_query_section(section_steps_handle(step, 0), (uint32_t)step->arguments[1],
                         step->nulls & 1u << 3 ? 0 : words, step->arguments[2], &returned);

    text_status(found, status);
    if (!is_success(status)) {
        if (returned != UNTOUCHED) {
            text_word(found, "and the length was changed");
        }
        return;
    }
    text_number(found, returned);
    for (uint64_t i = 0; i < returned / sizeof(words[0]) && i < CLASS_WORDS; i++) {
        if (step->arguments[1] == 0 && i == 1) {
            text_attributes(found, (uint32_t)words[i]);
        } else {
            text_number(found, i ? words[i] : unplace(words[i]));
        }
    }
}

static void step_map(const struct step *step, uint64_t process, struct text *found)
{
    uint64_t given[3] = {place(step->arguments[1]), step->arguments[2], step->arguments[3]};
    uint64_t now[3] = {given[0], given[1], given[2]};
    uint64_t *pointers[3];
    uint32_t status;

    for (uint32_t i = 0; i < 3; i++) {
        pointers[i] = step->nulls & 1u << (i + 1) ? 0 : &now[i];
    }
    if (step->verb == VERB_MAP_VIEW_EX) {
        status =
            os_map_view_ex(section_steps_handle(step, 0), process, pointers[0], pointers[1],
                           pointers[2], (uint32_t)step->arguments[4], (uint32_t)step->arguments[5],
                           step->parameters, step->parameter_count);
    } else {
        struct os_view view = {
            .protect = (uint32_t)step->arguments[4],
            .type = (uint32_t)step->arguments[5],
            .zero_bits = step->arguments[6],
            .commit = step->arguments[7],
            .inherit = (uint32_t)step->arguments[8],
        };

        status = os_map_view(section_steps_handle(step, 0), process, pointers[0], pointers[1],
                             pointers[2], &view);
    }
    if (is_success(status) && step->floats_bytes) {
        places_float(step->floats_at, now[0], step->floats_bytes);
    }
    text_status(found, status);
    if (is_success(status)) {
        text_number(found, unplace(now[0]));
        text_number(found, now[1]);
        text_number(found, now[2]);
    } else if (now[0] != given[0] || now[1] != given[1] || now[2] != given[2]) {
        text_word(found, "and the arguments were changed");
    }
}

static void step_flush(const struct step *step, uint64_t process, struct text *found)
{
    uint64_t base = place(step->arguments[0]);
    uint64_t size = step->arguments[1];
    uint32_t status = os_flush(process, &base, &size);

    text_status(found, status);
    if (is_success(status)) {
        text_number(found, unplace(base));
        text_number(found, size);
    } else if (base != place(step->arguments[0]) || size != step->arguments[1]) {
        text_word(found, "and the arguments were changed");
    }
}

/* Steps that give back nothing but a status. */
static uint32_t run_plain(const struct step *step, uint64_t process)
{
    switch (step->verb) {
    case VERB_CLOSE_FILE:
    case VERB_CLOSE_SECTION:
        return os_close(section_steps_handle(step, 0));
    case VERB_SET_FILE_SIZE:
        return os_set_file_size(section_steps_handle(step, 0), step->arguments[1]);
    case VERB_FLUSH_FILE:
        return os_flush_file(section_steps_handle(step, 0));
    case VERB_UNMAP_VIEW:
        return os_unmap_view(process, place(step->arguments[0]), (uint32_t)step->arguments[1]);
    default:
        return os_is_same_file(place(step->arguments[0]), place(step->arguments[1]));
    }
}

bool section_steps_run(const struct step *step, uint64_t process, struct text *found)
{
    switch (step->verb) {
    case VERB_CREATE_FILE:
    case VERB_CREATE_IMAGE:
    case VERB_OPEN_FILE:
    case VERB_CREATE_SECTION:
    case VERB_DUPLICATE_SECTION:
        step_create(step, found);
        return true;
    case VERB_READ_FILE:
        step_read_file(step, found);
        return true;
    case VERB_WRITE_FILE:
        step_write_file(step, found);
        return true;
    case VERB_FILE_SIZE:
    case VERB_EXTEND_SECTION:
        step_size(step, found);
        return true;
    case VERB_QUERY_SECTION:
        step_query_section(step, found);
        return true;
    case VERB_MAP_VIEW:
    case VERB_MAP_VIEW_EX:
        step_map(step, process, found);
        return true;
    case VERB_FLUSH:
        step_flush(step, process, found);
        return true;
    case VERB_CLOSE_FILE:
    case VERB_CLOSE_SECTION:
    case VERB_SET_FILE_SIZE:
    case VERB_FLUSH_FILE:
    case VERB_UNMAP_VIEW:
    case VERB_SAME_FILE:
        text_status(found, run_plain(step, process));
        return true;
    default:
        return false;
    }
}

void section_steps_end(void)
{
    for (uint32_t i = FIRST_NAME; i < NUMBER_LIMIT; i++) {
        if (handles[i]) {
            (void)os_close(handles[i]);
        }
        handles[i] = 0;
    }
    os_forget_files();
}
