/*
 * Steps on the memory of a process: allocation and its kin, queries, accesses, locks, write watch.
 */
#include "conformance/runner.h"

#include "model/words.h"

#include <stdio.h>
#include <string.h>

#define BYTES_LIMIT 64
#define WATCH_LIMIT 32
#define COPY_LIMIT 0x40000u
#define OLD_UNTOUCHED 0xA5A5A5A5u
#define LENGTH_UNTOUCHED 0xA5A5A5A5A5A5A5A5u
#define CLASS_WORDS 32

static void step_allocate(struct runner *runner, const struct line *line, char *actual)
{
    char word[WORD_SIZE];
    struct argument base;
    struct argument size;
    uint32_t status;

    argument_at(runner, line, 1, &base);
    argument_at(runner, line, 3, &size);
    status = runner->subject->allocate(runner->self, runner->who, base.pointer,
                                       number_at(runner, line, 2), size.pointer,
                                       type_at(runner, line, 4), protect_at(runner, line, 5));
    append_word(actual, words_of_status(word, status));
    append_arguments(actual, status, &base, &size);
}

static void step_allocate_ex(struct runner *runner, const struct line *line, char *actual)
{
    char word[WORD_SIZE];
    struct argument base;
    struct argument size;
    struct model_parameter parameters[PARAMETER_LIMIT];
    bool is_missing;
    uint32_t count = take_parameters(line, 5, parameters, &is_missing);
    uint32_t status;

    argument_at(runner, line, 1, &base);
    argument_at(runner, line, 2, &size);
    status = runner->subject->allocate_ex(runner->self, runner->who, base.pointer, size.pointer,
                                          type_at(runner, line, 3), protect_at(runner, line, 4),
                                          is_missing ? NULL : parameters, count);
    append_word(actual, words_of_status(word, status));
    append_arguments(actual, status, &base, &size);
}

static void step_offer(struct runner *runner, const struct line *line, char *actual)
{
    char word[WORD_SIZE];
    const struct subject *subject = runner->subject;
    const char *verb = line->words[0];
    uint64_t base = number_at(runner, line, 1);
    uint64_t size = number_at(runner, line, 2);
    uint32_t status;

    if (!strcmp(verb, "offer")) {
        uint32_t priority = (uint32_t)number_at(runner, line, 3);

        status = subject->offer(runner->self, runner->who, base, size, priority);
    } else if (!strcmp(verb, "reclaim")) {
        status = subject->reclaim(runner->self, runner->who, base, size);
    } else {
        status = subject->discard(runner->self, runner->who, base, size);
    }
    append_word(actual, words_of_status(word, status));
}

static void step_free(struct runner *runner, const struct line *line, char *actual)
{
    char word[WORD_SIZE];
    struct argument base;
    struct argument size;
    uint32_t status;

    argument_at(runner, line, 1, &base);
    argument_at(runner, line, 2, &size);
    status = runner->subject->free(runner->self, runner->who, base.pointer, size.pointer,
                                   type_at(runner, line, 3));
    append_word(actual, words_of_status(word, status));
    append_arguments(actual, status, &base, &size);
}

static void step_protect(struct runner *runner, const struct line *line, char *actual)
{
    char word[WORD_SIZE];
    struct argument base;
    struct argument size;
    uint32_t old = OLD_UNTOUCHED;
    uint32_t status;

    argument_at(runner, line, 1, &base);
    argument_at(runner, line, 2, &size);
    status =
        runner->subject->protect(runner->self, runner->who, base.pointer, size.pointer,
                                 protect_at(runner, line, 3), has_null_at(line, 4) ? NULL : &old);
    append_word(actual, words_of_status(word, status));
    append_arguments(actual, status, &base, &size);
    if (is_success(status)) {
        append_word(actual, words_of_protect(word, old));
    } else if (old != OLD_UNTOUCHED) {
        append_word(actual, "and old was written");
    }
}

static void step_query(struct runner *runner, const struct line *line, char *actual)
{
    char word[WORD_SIZE];
    struct model_memory memory;
    bool is_null = has_null_at(line, 1);
    uint32_t status =
        runner->subject->query(runner->self, runner->who, is_null ? 0 : number_at(runner, line, 1),
                               is_null ? NULL : &memory);

    append_word(actual, words_of_status(word, status));
    if (status == NTMM_STATUS_SUCCESS) {
        append_number(actual, memory.base);
        append_number(actual, memory.allocation_base);
        append_word(actual, words_of_protect(word, memory.allocation_protect));
        append_number(actual, memory.size_bytes);
        append_word(actual, words_of_type(word, memory.state));
        append_word(actual, words_of_protect(word, memory.protect));
        append_word(actual, words_of_kind(word, memory.type));
    }
}

/* A pointer behind the string that it belongs to, of which nobody knows where it is, by name. */
static void append_words(char *actual, const uint64_t words[CLASS_WORDS], uint64_t count)
{
    for (uint64_t i = 0; i < count && i < CLASS_WORDS; i++) {
        if (words[i] == (uint64_t)(uintptr_t)&words[2]) {
            append_word(actual, "buffer+16");
        } else {
            append_number(actual, words[i]);
        }
    }
}

/* A buffer is all ones but for its first word, so that a word that was not written shows. */
static void step_query_class(struct runner *runner, const struct line *line, char *actual)
{
    char word[WORD_SIZE];
    uint64_t words[CLASS_WORDS];
    uint64_t before[CLASS_WORDS];
    uint64_t returned = LENGTH_UNTOUCHED;
    uint64_t address = number_at(runner, line, 2);
    bool is_null = has_null_at(line, 4);

    memset(words, 0xFF, sizeof(words));
    words[0] = address;
    memcpy(before, words, sizeof(words));
    uint32_t status = runner->subject->query_class(
        runner->self, runner->who, address, (uint32_t)number_at(runner, line, 1),
        is_null ? NULL : words, number_at(runner, line, 3), &returned);
    append_word(actual, words_of_status(word, status));
    if (status == NTMM_STATUS_SUCCESS || returned != LENGTH_UNTOUCHED) {
        append_number(actual, returned);
    }
    if (status == NTMM_STATUS_SUCCESS) {
        append_words(actual, words, returned / sizeof(words[0]));
    } else if (memcmp(words, before, sizeof(words))) {
        append_word(actual, "and the buffer was changed to");
        append_number(actual, words[0]);
    }
}

/* How many bytes to read: as said, or as many as are expected. */
static uint32_t size_of_read(const struct runner *runner, const struct line *line)
{
    const char *bytes = strchr(line->expected, ' ');
    uint64_t size =
        line->count > 2 ? number_at(runner, line, 2) : (bytes ? strcspn(bytes + 1, " ") / 2 : 1);

    size = size || line->count > 2 ? size : 1;
    if (size == 0 || size > BYTES_LIMIT) {
        bad_line(runner, "1 to 64 bytes can be read");
    }
    return (uint32_t)size;
}

static enum model_access access_named(const char *name)
{
    return !strcmp(name, "write")     ? MODEL_WRITE
           : !strcmp(name, "execute") ? MODEL_EXECUTE
                                      : MODEL_READ;
}

static void step_access(struct runner *runner, const struct line *line, char *actual)
{
    enum model_access access = access_named(line->words[0]);
    char word[WORD_SIZE];
    uint8_t bytes[BYTES_LIMIT] = {0};
    struct model_fault fault;
    uint32_t size;
    uint32_t status;

    if (access == MODEL_WRITE) {
        size = parse_bytes(runner, line->count > 2 ? line->words[2] : "", bytes, BYTES_LIMIT);
    } else {
        size = size_of_read(runner, line);
    }
    status = runner->subject->access(runner->self, runner->who, number_at(runner, line, 1), size,
                                     access, bytes, &fault);
    append_word(actual, words_of_status(word, status));
    for (uint32_t i = 0; i < fault.parameter_count && i < 3; i++) {
        append_number(actual, fault.parameters[i]);
    }
    if (status == NTMM_STATUS_SUCCESS && access != MODEL_WRITE) {
        for (uint32_t i = 0; i < size; i++) {
            snprintf(word + 2 * (size_t)i, 3, "%02X", bytes[i]);
        }
        append_word(actual, word);
    }
}

/* 8 bytes as a number. */
static void step_read_number(struct runner *runner, const struct line *line, char *actual)
{
    uint8_t bytes[8] = {0};
    uint64_t value = 0;
    struct model_fault fault;
    uint32_t status = runner->subject->access(runner->self, runner->who, number_at(runner, line, 1),
                                              sizeof(bytes), MODEL_READ, bytes, &fault);

    append_status(actual, status);
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        value |= (uint64_t)bytes[i] << 8 * i;
    }
    if (status == NTMM_STATUS_SUCCESS) {
        append_number(actual, value);
    }
}

/* A page fault without the access that follows it. */
static void step_fault(struct runner *runner, const struct line *line, char *actual)
{
    char word[WORD_SIZE];
    struct model_fault fault;
    enum model_access access = access_named(line->count > 2 ? line->words[2] : "");
    uint32_t status = runner->subject->fault(runner->self, runner->who, number_at(runner, line, 1),
                                             access, &fault);

    append_word(actual, words_of_status(word, status));
    for (uint32_t i = 0; i < fault.parameter_count && i < 3; i++) {
        append_number(actual, fault.parameters[i]);
    }
}

static void step_copy(struct runner *runner, const struct line *line, char *actual)
{
    static uint8_t data[COPY_LIMIT];
    char word[WORD_SIZE];
    bool is_read = !strcmp(line->words[0], "read-memory");
    bool is_null = has_null_at(line, is_read ? 3 : 4);
    uint64_t address = number_at(runner, line, 1);
    uint64_t size = number_at(runner, line, 2);
    uint64_t copied = OLD_UNTOUCHED;
    uint32_t status;

    memset(data, is_read ? 0 : (int)number_at(runner, line, 3), sizeof(data));
    status = (is_read ? runner->subject->read_memory : runner->subject->write_memory)(
        runner->self, runner->who, address, is_null ? NULL : data, size, &copied);
    append_word(actual, words_of_status(word, status));
    append_number(actual, copied);
    if (is_read && copied <= sizeof(data)) {
        append_last_bytes(actual, data, copied);
    }
}

/* probe ADDRESS SIZE read|write */
static void step_probe(struct runner *runner, const struct line *line, char *actual)
{
    char word[WORD_SIZE];
    uint32_t status =
        runner->subject->probe(runner->self, runner->who, number_at(runner, line, 1),
                               number_at(runner, line, 2), access_named(line->words[3]));

    append_word(actual, words_of_status(word, status));
}

static void step_lock(struct runner *runner, const struct line *line, char *actual)
{
    char word[WORD_SIZE];
    bool is_lock = !strcmp(line->words[0], "lock");
    struct argument base;
    struct argument size;
    uint32_t status;

    argument_at(runner, line, 1, &base);
    argument_at(runner, line, 2, &size);
    status = (is_lock ? runner->subject->lock : runner->subject->unlock)(
        runner->self, runner->who, base.pointer, size.pointer,
        (uint32_t)number_at(runner, line, 3));
    append_word(actual, words_of_status(word, status));
    append_arguments(actual, status, &base, &size);
}

static void step_get_watch(struct runner *runner, const struct line *line, char *actual)
{
    char word[WORD_SIZE];
    uint64_t addresses[WATCH_LIMIT];
    uint64_t count = line->count > 4 ? number_at(runner, line, 4) : WATCH_LIMIT;
    uint64_t flags = line->count > 3 ? number_at(runner, line, 3) : 0;
    bool is_null = has_null_at(line, 5);
    uint32_t status;

    if (count > WATCH_LIMIT) {
        bad_line(runner, "more than 32 addresses");
    }
    status = runner->subject->get_write_watch(
        runner->self, runner->who, (uint32_t)flags, number_at(runner, line, 1),
        number_at(runner, line, 2), is_null ? NULL : addresses, &count);
    append_word(actual, words_of_status(word, status));
    for (uint64_t i = 0; status == NTMM_STATUS_SUCCESS && i < count; i++) {
        append_number(actual, addresses[i]);
    }
}

static void step_reset_watch(struct runner *runner, const struct line *line, char *actual)
{
    char word[WORD_SIZE];

    append_word(actual,
                words_of_status(word, runner->subject->reset_write_watch(
                                          runner->self, runner->who, number_at(runner, line, 1),
                                          number_at(runner, line, 2))));
}

static void step_restart(struct runner *runner, const struct line *line, char *actual)
{
    (void)line;
    (void)actual;
    runner->subject->restart(runner->self, runner->who);
}

static void step_clone(struct runner *runner, const struct line *line, char *actual)
{
    (void)line;
    append_status(actual, runner->subject->clone(runner->self, runner->who));
}

const struct step memory_steps[] = {
    {"allocate", step_allocate},
    {"allocate-ex", step_allocate_ex},
    {"offer", step_offer},
    {"reclaim", step_offer},
    {"discard", step_offer},
    {"free", step_free},
    {"protect", step_protect},
    {"query", step_query},
    {"query-class", step_query_class},
    {"read", step_access},
    {"read-number", step_read_number},
    {"write", step_access},
    {"execute", step_access},
    {"fault", step_fault},
    {"read-memory", step_copy},
    {"write-memory", step_copy},
    {"probe", step_probe},
    {"lock", step_lock},
    {"unlock", step_lock},
    {"get-watch", step_get_watch},
    {"reset-watch", step_reset_watch},
    {"restart", step_restart},
    {"clone", step_clone},
    {NULL, NULL},
};
