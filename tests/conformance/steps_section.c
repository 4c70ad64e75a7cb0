/*
 * Steps on files, sections and views. A handle has a name in a case; "none" is 0, "process" one of
 * a process.
 */
#include "conformance/runner.h"

#include "conformance/image_words.h"
#include "model/words.h"

#include <stdio.h>
#include <string.h>

#define FILE_BYTES_LIMIT 0x10000u
#define WRITTEN_LIMIT 64u
#define LENGTH_UNTOUCHED 0xA5A5A5A5A5A5A5A5u
#define HANDLE_UNTOUCHED 0xA5A5A5A5A5A5A5A5u
#define CLASS_WORDS 8

static const struct subject_sections *subject_of(const struct runner *runner)
{
    if (!runner->subject->sections) {
        bad_line(runner, "the subject has no sections");
    }
    return runner->subject->sections;
}

/* Names of handles */

static struct slot *find_slot(struct runner *runner, const char *name)
{
    for (unsigned i = 0; i < runner->slot_count; i++) {
        if (!strcmp(runner->slots[i].name, name)) {
            return &runner->slots[i];
        }
    }
    return NULL;
}

uint64_t handle_at(struct runner *runner, const struct line *line, unsigned at)
{
    const char *word = at < line->count ? line->words[at] : "";
    const struct slot *slot = find_slot(runner, word);

    if (!strcmp(word, "none")) {
        return 0;
    }
    if (!strcmp(word, "process")) {
        return SUBJECT_PROCESS_HANDLE;
    }
    if (!slot) {
        bad_line(runner, "nothing has this name");
    }
    return slot->handle;
}

/* The name gets the handle that a call gave, 0 when it failed. */
static void keep_handle(struct runner *runner, const struct line *line, uint32_t status,
                        uint64_t handle, char *actual)
{
    struct slot *slot = find_slot(runner, line->words[1]);

    append_status(actual, status);
    if (!is_success(status) && handle != HANDLE_UNTOUCHED) {
        append_word(actual, "and the handle was written");
    }
    if (!slot) {
        if (runner->slot_count == SLOT_LIMIT || strlen(line->words[1]) >= SLOT_NAME_SIZE) {
            bad_line(runner, "more than 16 names, or a long one");
        }
        slot = &runner->slots[runner->slot_count++];
        strcpy(slot->name, line->words[1]);
    }
    slot->handle = is_success(status) ? handle : 0;
}

/* Words of their own kind */

static uint32_t parsed_at(const struct runner *runner, const struct line *line, unsigned at,
                          bool (*parse)(const char *text, uint64_t *value))
{
    uint64_t value;

    if (at >= line->count || !parse(line->words[at], &value)) {
        bad_line(runner, "a right or an attribute is missing");
    }
    return (uint32_t)value;
}

/* What follows "NAME:" in a word from `at` on, or NULL. */
static const char *option_of(const struct line *line, unsigned at, const char *name)
{
    size_t length = strlen(name);

    for (; at < line->count; at++) {
        if (!strncmp(line->words[at], name, length) &&
            (line->words[at][length] == ':' || !line->words[at][length])) {
            return line->words[at] + length + (line->words[at][length] == ':');
        }
    }
    return NULL;
}

static uint64_t number_option(const struct runner *runner, const struct line *line, unsigned at,
                              const char *name, uint64_t otherwise)
{
    const char *text = option_of(line, at, name);

    if (text && !words_parse_number(text, &otherwise)) {
        bad_line(runner, "an option is no number");
    }
    return otherwise;
}

/* Files */

static void step_create_file(struct runner *runner, const struct line *line, char *actual)
{
    uint64_t handle = HANDLE_UNTOUCHED;
    struct subject_file file = {
        .name = line->count > 1 ? line->words[1] : "",
        .access = parsed_at(runner, line, 2, words_parse_file_rights),
        .size_bytes = number_at(runner, line, 3),
        .flags = option_of(line, 4, "no-sections") ? SUBJECT_NO_SECTIONS : 0,
    };
    uint32_t status;

    file.valid_bytes = number_option(runner, line, 4, "valid", file.size_bytes);
    status = subject_of(runner)->create_file(runner->self, &file, &handle);
    keep_handle(runner, line, status, handle, actual);
}

/* A file that is a program, by words. */
static void step_create_image(struct runner *runner, const struct line *line, char *actual)
{
    static struct pe_file image;
    char text[LINE_SIZE] = "";
    uint64_t handle = HANDLE_UNTOUCHED;
    struct subject_file file = {
        .name = line->count > 1 ? line->words[1] : "",
        .access = parsed_at(runner, line, 2, words_parse_file_rights),
    };
    uint32_t status;

    for (unsigned i = 3; i < line->count; i++) {
        append_word(text, line->words[i]);
    }
    if (!(runner->needs & NEED_IMAGES) || image_words_build(&image, text, 0)) {
        bad_line(runner, "a word that no image has, or no line \"needs images\"");
    }
    file.contents = image.bytes;
    file.size_bytes = image.size_bytes;
    file.valid_bytes = image.size_bytes;
    status = subject_of(runner)->create_file(runner->self, &file, &handle);
    keep_handle(runner, line, status, handle, actual);
}

static void step_open_file(struct runner *runner, const struct line *line, char *actual)
{
    uint64_t handle = HANDLE_UNTOUCHED;
    uint32_t status =
        subject_of(runner)->open_file(runner->self, handle_at(runner, line, 2),
                                      parsed_at(runner, line, 3, words_parse_file_rights), &handle);

    keep_handle(runner, line, status, handle, actual);
}

/* Steps that take a handle and give back nothing but a status. */
static void step_of_handle(struct runner *runner, const struct line *line, char *actual)
{
    const struct subject_sections *subject = subject_of(runner);
    const char *verb = line->words[0];
    uint64_t handle = handle_at(runner, line, 1);
    uint32_t (*call)(void *, uint64_t) = !strcmp(verb, "close-file")      ? subject->close_file
                                         : !strcmp(verb, "close-section") ? subject->close_section
                                         : !strcmp(verb, "purge-file")    ? subject->purge_file
                                                                       : subject->can_delete_file;

    append_status(actual, call(runner->self, handle));
}

static void step_file_size(struct runner *runner, const struct line *line, char *actual)
{
    uint64_t size = 0;
    uint32_t status =
        subject_of(runner)->file_size(runner->self, handle_at(runner, line, 1), &size);

    append_status(actual, status);
    if (is_success(status)) {
        append_number(actual, size);
    }
}

static void step_set_file_size(struct runner *runner, const struct line *line, char *actual)
{
    append_status(actual,
                  subject_of(runner)->set_file_size(runner->self, handle_at(runner, line, 1),
                                                    number_at(runner, line, 2)));
}

static void step_flush_file(struct runner *runner, const struct line *line, char *actual)
{
    append_status(actual, subject_of(runner)->flush_file(runner->self, handle_at(runner, line, 1),
                                                         number_at(runner, line, 2),
                                                         number_at(runner, line, 3)));
}

static void step_lock_file(struct runner *runner, const struct line *line, char *actual)
{
    const struct subject_sections *subject = subject_of(runner);
    uint64_t handle = handle_at(runner, line, 1);
    uint64_t offset = number_at(runner, line, 2);
    uint64_t length = number_at(runner, line, 3);
    bool is_exclusive = option_of(line, 4, "exclusive") != NULL;

    if (!(runner->needs & NEED_LOCKS)) {
        bad_line(runner, "no line \"needs locks\"");
    }
    if (!strcmp(line->words[0], "unlock-file")) {
        append_status(actual, subject->unlock_file(runner->self, handle, offset, length));
    } else if (is_exclusive || option_of(line, 4, "shared")) {
        append_status(actual,
                      subject->lock_file(runner->self, handle, offset, length, is_exclusive));
    } else {
        bad_line(runner, "a lock is exclusive or shared");
    }
}

static void step_fail_reads(struct runner *runner, const struct line *line, char *actual)
{
    if (!(runner->needs & NEED_ERRORS)) {
        bad_line(runner, "no line \"needs errors\"");
    }
    append_status(actual, subject_of(runner)->fail_reads(runner->self, handle_at(runner, line, 1),
                                                         (uint32_t)number_at(runner, line, 2)));
}

static void step_read_file(struct runner *runner, const struct line *line, char *actual)
{
    static uint8_t data[FILE_BYTES_LIMIT];
    uint64_t size = number_at(runner, line, 3);
    uint64_t moved = LENGTH_UNTOUCHED;
    bool is_device = !strcmp(line->words[0], "on-device");
    uint32_t status;

    if (size > sizeof(data)) {
        bad_line(runner, "more than 64 KiB");
    }
    if (is_device) {
        moved = size;
        status = subject_of(runner)->read_device(runner->self, handle_at(runner, line, 1),
                                                 number_at(runner, line, 2), data, (size_t)size);
    } else {
        status = subject_of(runner)->read_file(runner->self, handle_at(runner, line, 1),
                                               number_at(runner, line, 2),
                                               has_null_at(line, 4) ? NULL : data, size, &moved);
    }
    append_status(actual, status);
    if (!is_device) {
        append_number(actual, moved);
    }
    append_last_bytes(actual, data, moved <= sizeof(data) ? moved : 0);
}

static void step_write_file(struct runner *runner, const struct line *line, char *actual)
{
    uint8_t data[WRITTEN_LIMIT];
    bool is_null = has_null_at(line, 3);
    uint64_t size =
        is_null ? 1
                : parse_bytes(runner, line->count > 3 ? line->words[3] : "", data, sizeof(data));
    uint64_t moved = LENGTH_UNTOUCHED;
    uint32_t status = subject_of(runner)->write_file(runner->self, handle_at(runner, line, 1),
                                                     number_at(runner, line, 2),
                                                     is_null ? NULL : data, size, &moved);

    append_status(actual, status);
    append_number(actual, moved);
}

/* Sections */

static void step_create_section(struct runner *runner, const struct line *line, char *actual)
{
    uint64_t handle = HANDLE_UNTOUCHED;
    struct argument size;
    const char *name = option_of(line, 7, "name");
    struct model_section_request request = {
        .access = parsed_at(runner, line, 2, words_parse_section_rights),
        .name = name ? name : "",
        .opens_existing = option_of(line, 7, "open-if") != NULL,
        .protect = protect_at(runner, line, 4),
        .attributes = parsed_at(runner, line, 5, words_parse_attributes),
        .file = handle_at(runner, line, 6),
    };
    uint32_t status;

    argument_at(runner, line, 3, &size);
    request.size = size.pointer;
    status = subject_of(runner)->create_section(runner->self, has_null_at(line, 1) ? NULL : &handle,
                                                &request);
    keep_handle(runner, line, status, handle, actual);
}

static void step_open_section(struct runner *runner, const struct line *line, char *actual)
{
    uint64_t handle = HANDLE_UNTOUCHED;
    uint32_t status = subject_of(runner)->open_section(
        runner->self, &handle, parsed_at(runner, line, 2, words_parse_section_rights),
        line->count > 3 ? line->words[3] : "");

    keep_handle(runner, line, status, handle, actual);
}

static void step_duplicate_section(struct runner *runner, const struct line *line, char *actual)
{
    uint64_t handle = HANDLE_UNTOUCHED;
    uint32_t status = subject_of(runner)->duplicate_section(
        runner->self, handle_at(runner, line, 2),
        parsed_at(runner, line, 3, words_parse_section_rights), &handle);

    keep_handle(runner, line, status, handle, actual);
}

/* The second word of the basic class as attributes. */
static void step_query_section(struct runner *runner, const struct line *line, char *actual)
{
    char word[WORD_SIZE];
    uint64_t words[CLASS_WORDS] = {0};
    uint64_t returned = LENGTH_UNTOUCHED;
    uint64_t class = number_at(runner, line, 2);
    uint32_t status = subject_of(runner)->query_section(
        runner->self, handle_at(runner, line, 1), (uint32_t)class,
        has_null_at(line, 4) ? NULL : words, number_at(runner, line, 3), &returned);

    append_status(actual, status);
    if (!is_success(status)) {
        if (returned != LENGTH_UNTOUCHED) {
            append_word(actual, "and the length was changed");
        }
        return;
    }
    append_number(actual, returned);
    for (uint64_t i = 0; i < returned / sizeof(words[0]) && i < CLASS_WORDS; i++) {
        if (class == 0 && i == 1) {
            append_word(actual, words_of_attributes(word, (uint32_t)words[i]));
        } else {
            append_number(actual, words[i]);
        }
    }
}

static void step_extend_section(struct runner *runner, const struct line *line, char *actual)
{
    struct argument size;
    uint32_t status;

    argument_at(runner, line, 2, &size);
    status =
        subject_of(runner)->extend_section(runner->self, handle_at(runner, line, 1), size.pointer);
    append_status(actual, status);
    if (is_success(status)) {
        append_number(actual, size.value);
    } else if (size.value != size.before) {
        append_word(actual, "and the size was changed");
    }
}

/* Views */

/* Base, offset and size, as append_arguments does for two. */
static void append_view(char *actual, uint32_t status, const struct argument *base,
                        const struct argument *offset, const struct argument *size)
{
    append_status(actual, status);
    if (is_success(status)) {
        append_number(actual, base->value);
        append_number(actual, offset->value);
        append_number(actual, size->value);
    } else if (base->value != base->before || offset->value != offset->before ||
               size->value != size->before) {
        append_word(actual, "and the arguments were changed");
    }
}

static void step_map_view(struct runner *runner, const struct line *line, char *actual)
{
    struct argument base;
    struct argument offset;
    struct argument size;
    const char *type = option_of(line, 6, "type");
    uint64_t bits = 0;
    uint32_t status;
    struct model_view_request request = {
        .zero_bits = number_option(runner, line, 6, "zero-bits", 0),
        .commit_size = number_option(runner, line, 6, "commit", 0),
        .inherit = (uint32_t)number_option(runner, line, 6, "inherit", VIEW_SHARE),
        .protect = protect_at(runner, line, 5),
    };

    if (type && !words_parse_type(type, &bits)) {
        bad_line(runner, "a type is missing");
    }
    request.type = (uint32_t)bits;
    argument_at(runner, line, 2, &base);
    argument_at(runner, line, 3, &offset);
    argument_at(runner, line, 4, &size);
    status = subject_of(runner)->map_view(runner->self, runner->who, handle_at(runner, line, 1),
                                          base.pointer, offset.pointer, size.pointer, &request);
    append_view(actual, status, &base, &offset, &size);
}

static void step_map_view_ex(struct runner *runner, const struct line *line, char *actual)
{
    struct model_parameter parameters[PARAMETER_LIMIT];
    bool is_missing;
    uint32_t count = take_parameters(line, 7, parameters, &is_missing);
    struct argument base;
    struct argument offset;
    struct argument size;
    uint32_t status;

    argument_at(runner, line, 2, &base);
    argument_at(runner, line, 3, &offset);
    argument_at(runner, line, 4, &size);
    status = subject_of(runner)->map_view_ex(runner->self, runner->who, handle_at(runner, line, 1),
                                             base.pointer, offset.pointer, size.pointer,
                                             type_at(runner, line, 5), protect_at(runner, line, 6),
                                             is_missing ? NULL : parameters, count);
    append_view(actual, status, &base, &offset, &size);
}

static void step_unmap_view(struct runner *runner, const struct line *line, char *actual)
{
    uint32_t flags = line->count > 2 ? type_at(runner, line, 2) : 0;

    append_status(actual, subject_of(runner)->unmap_view(runner->self, runner->who,
                                                         number_at(runner, line, 1), flags));
}

static void step_same_file(struct runner *runner, const struct line *line, char *actual)
{
    append_status(actual, subject_of(runner)->is_same_file(runner->self, runner->who,
                                                           number_at(runner, line, 1),
                                                           number_at(runner, line, 2)));
}

static void step_flush(struct runner *runner, const struct line *line, char *actual)
{
    struct argument base;
    struct argument size;
    uint32_t status;

    argument_at(runner, line, 1, &base);
    argument_at(runner, line, 2, &size);
    status = subject_of(runner)->flush(runner->self, runner->who, base.pointer, size.pointer);
    append_status(actual, status);
    append_arguments(actual, status, &base, &size);
}

static void step_accounts(struct runner *runner, const struct line *line, char *actual)
{
    uint64_t commit_pages;
    uint64_t size_bytes;

    (void)line;
    subject_of(runner)->accounts(runner->self, runner->who, &commit_pages, &size_bytes);
    append_number(actual, commit_pages);
    append_number(actual, size_bytes);
}

/* "secure NAME BASE SIZE MODE" and "unsecure NAME". */
static void step_secure(struct runner *runner, const struct line *line, char *actual)
{
    uint64_t handle = HANDLE_UNTOUCHED;
    uint32_t status = runner->subject->secure(
        runner->self, runner->who, number_at(runner, line, 2), number_at(runner, line, 3),
        protect_at(runner, line, 4), has_null_at(line, 5) ? NULL : &handle);

    keep_handle(runner, line, status, handle, actual);
}

static void step_unsecure(struct runner *runner, const struct line *line, char *actual)
{
    append_status(actual,
                  runner->subject->unsecure(runner->self, runner->who, handle_at(runner, line, 1)));
}

const struct step section_steps[] = {
    {"secure", step_secure},
    {"unsecure", step_unsecure},
    {"create-file", step_create_file},
    {"create-image", step_create_image},
    {"open-file", step_open_file},
    {"close-file", step_of_handle},
    {"purge-file", step_of_handle},
    {"can-delete", step_of_handle},
    {"file-size", step_file_size},
    {"set-file-size", step_set_file_size},
    {"flush-file", step_flush_file},
    {"read-file", step_read_file},
    {"on-device", step_read_file},
    {"lock-file", step_lock_file},
    {"unlock-file", step_lock_file},
    {"fail-reads", step_fail_reads},
    {"write-file", step_write_file},
    {"create-section", step_create_section},
    {"open-section", step_open_section},
    {"duplicate-section", step_duplicate_section},
    {"close-section", step_of_handle},
    {"query-section", step_query_section},
    {"extend-section", step_extend_section},
    {"map-view", step_map_view},
    {"map-view-ex", step_map_view_ex},
    {"unmap-view", step_unmap_view},
    {"same-file", step_same_file},
    {"flush", step_flush},
    {"accounts", step_accounts},
    {NULL, NULL},
};
