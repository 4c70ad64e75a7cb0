/*
 * Steps on kernel32's functions: examples/win32 over the services of the subject.
 */
#include "conformance/runner.h"

#include "model/words.h"

#include "win32.h"

#include <string.h>

#define WRITTEN_LIMIT 0x10000u
#define WRITTEN_UNTOUCHED 0xA5A5A5A5u

/* Handles of processes are callers. */
static ntmm_status free_memory(void *context, uint64_t process, uint64_t *base, uint64_t *size,
                               uint32_t type)
{
    struct runner *runner = context;

    return runner->subject->free(runner->self, (enum caller)process, base, size, type);
}

static ntmm_status protect(void *context, uint64_t process, uint64_t *base, uint64_t *size,
                           uint32_t protection, uint32_t *old)
{
    struct runner *runner = context;

    return runner->subject->protect(runner->self, (enum caller)process, base, size, protection,
                                    old);
}

static ntmm_status query(void *context, uint64_t process, uint64_t address,
                         struct ntmm_memory_basic_information *information)
{
    struct runner *runner = context;
    struct model_memory memory = {0};
    uint32_t status = runner->subject->query(runner->self, (enum caller)process, address, &memory);

    information->base_address = memory.base;
    information->region_size = memory.size_bytes;
    information->state = memory.state;
    information->protect = memory.protect;
    information->type = memory.type;
    return status;
}

static ntmm_status write_memory(void *context, uint64_t process, uint64_t address, const void *data,
                                uint64_t size, uint64_t *copied)
{
    static uint8_t bytes[WRITTEN_LIMIT];
    struct runner *runner = context;

    if (size > sizeof(bytes)) {
        bad_line(runner, "more than 64 KiB");
    }
    memcpy(bytes, data, size);
    return runner->subject->write_memory(runner->self, (enum caller)process, address, bytes, size,
                                         copied);
}

static ntmm_status map_view(void *context, uint64_t section, uint64_t process, uint64_t *base,
                            uint64_t *offset, uint64_t *size, uint32_t protection)
{
    struct runner *runner = context;
    struct model_view_request request = {.inherit = VIEW_SHARE, .protect = protection};

    return runner->subject->sections->map_view(runner->self, (enum caller)process, section, base,
                                               offset, size, &request);
}

static struct win32_services services_of(struct runner *runner)
{
    return (struct win32_services){
        .context = runner,
        .free = free_memory,
        .protect = protect,
        .query = query,
        .write = write_memory,
        .map_view = map_view,
    };
}

static void append_error(char *actual, uint32_t error)
{
    char word[WORD_SIZE];

    append_word(actual, words_of_error(word, error));
}

static void step_virtual_free(struct runner *runner, const struct line *line, char *actual)
{
    struct win32_services nt = services_of(runner);

    append_error(actual, win32_virtual_free(&nt, runner->who, number_at(runner, line, 1),
                                            number_at(runner, line, 2), type_at(runner, line, 3)));
}

static void step_write_process_memory(struct runner *runner, const struct line *line, char *actual)
{
    static uint8_t data[WRITTEN_LIMIT];
    struct win32_services nt = services_of(runner);
    uint64_t written = WRITTEN_UNTOUCHED;

    memset(data, (int)number_at(runner, line, 3), sizeof(data));
    append_error(actual, win32_write_process_memory(&nt, runner->who, number_at(runner, line, 1),
                                                    data, number_at(runner, line, 2), &written));
    if (written != WRITTEN_UNTOUCHED) {
        append_number(actual, written);
    }
}

static void step_map_view_of_file(struct runner *runner, const struct line *line, char *actual)
{
    struct win32_services nt = services_of(runner);
    uint64_t base = number_at(runner, line, 5);
    uint64_t access;
    uint32_t error;

    if (!words_parse_map_access(line->words[2], &access)) {
        bad_line(runner, "an access is missing");
    }
    error = win32_map_view_of_file(&nt, handle_at(runner, line, 1), CALLER_LIVE, (uint32_t)access,
                                   number_at(runner, line, 3), number_at(runner, line, 4), &base);
    append_error(actual, error);
    if (!error) {
        append_number(actual, base);
    }
}

static void step_error_of(struct runner *runner, const struct line *line, char *actual)
{
    uint64_t status;

    if (line->count != 2 || !words_parse_status(line->words[1], &status)) {
        bad_line(runner, "a status is missing");
    }
    append_number(actual, win32_error_of((uint32_t)status));
}

const struct step win32_steps[] = {
    {"virtual-free", step_virtual_free},
    {"write-process-memory", step_write_process_memory},
    {"map-view-of-file", step_map_view_of_file},
    {"error-of", step_error_of},
    {NULL, NULL},
};
