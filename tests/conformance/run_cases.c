/*
 * run_cases [--print] SUBJECT FILE...: runs files of cases against the model or the core and prints
 * what differs; with --print what was found instead, each case as a file of cases has it, for a
 * comparison line by line. Exit status 0 when every case holds, 1 when one does not, 2 when a file
 * cannot be read.
 *
 * docs/conformance.md has the format.
 */
#include "conformance/strip.h"
#include "model/words.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE 512
#define WORD_LIMIT 16
#define BYTES_LIMIT 64
#define PARAMETER_LIMIT 8
#define WATCH_LIMIT 32
#define COPY_LIMIT 0x40000u
#define SHOWN_BYTES 8u
#define OLD_UNTOUCHED 0xA5A5A5A5u
#define LENGTH_UNTOUCHED 0xA5A5A5A5A5A5A5A5u
#define CLASS_WORDS 32

struct runner {
    const struct subject *subject;
    const char *path;
    unsigned line;
    char name[LINE_SIZE];
    char source[LINE_SIZE];
    struct subject_setup setup;
    enum caller who;
    void *self; /* open from the first step of a case to its end */
    bool is_printing;
    bool has_failed; /* the case */
    bool has_map;
    char map[STRIP_SIZE]; /* expected at the end */
    unsigned cases;
    unsigned failures;
};

/* A line cut into words, and the expectation after '='. */
struct line {
    char *words[WORD_LIMIT];
    unsigned count;
    char expected[LINE_SIZE];
};

_Noreturn static void bad_line(const struct runner *runner, const char *why)
{
    fprintf(stderr, "%s:%u: %s\n", runner->path, runner->line, why);
    exit(2);
}

static void append_word(char *text, const char *word)
{
    if (strlen(text) + strlen(word) + 2 <= LINE_SIZE) {
        strcat(strcat(text, text[0] ? " " : ""), word);
    }
}

static void cut(struct line *line, char *text)
{
    bool is_expected = false;

    memset(line, 0, sizeof(*line));
    text[strcspn(text, "#\n")] = 0;
    for (char *word = strtok(text, " \t"); word; word = strtok(NULL, " \t")) {
        if (!strcmp(word, "=")) {
            is_expected = true;
        } else if (is_expected) {
            append_word(line->expected, word);
        } else if (line->count < WORD_LIMIT) {
            line->words[line->count++] = word;
        }
    }
}

static uint64_t number_at(const struct runner *runner, const struct line *line, unsigned at)
{
    uint64_t value;

    if (at >= line->count || !words_parse_number(line->words[at], &value)) {
        bad_line(runner, "a number is missing");
    }
    return value;
}

static uint32_t protect_at(const struct runner *runner, const struct line *line, unsigned at)
{
    uint64_t value;

    if (at >= line->count || !words_parse_protect(line->words[at], &value)) {
        bad_line(runner, "a protection is missing");
    }
    return (uint32_t)value;
}

static uint32_t type_at(const struct runner *runner, const struct line *line, unsigned at)
{
    uint64_t value;

    if (at >= line->count || !words_parse_type(line->words[at], &value)) {
        bad_line(runner, "a type is missing");
    }
    return (uint32_t)value;
}

/* An in/out argument: its value before, its value, and the pointer that the call gets. */
struct argument {
    uint64_t before;
    uint64_t value;
    uint64_t *pointer;
};

static void argument_at(const struct runner *runner, const struct line *line, unsigned at,
                        struct argument *argument)
{
    argument->before = 0;
    argument->pointer = NULL;
    if (at >= line->count || strcmp(line->words[at], "NULL")) {
        argument->before = number_at(runner, line, at);
        argument->pointer = &argument->value;
    }
    argument->value = argument->before;
}

static bool has_null_at(const struct line *line, unsigned at)
{
    return at < line->count && !strcmp(line->words[at], "NULL");
}

static void append_number(char *text, uint64_t value)
{
    char word[WORD_SIZE];

    append_word(text, words_of_number(word, value));
}

static bool is_success(uint32_t status) { return status < 0x80000000u; }

/* The in/out values after a call: shown on success, and required to be untouched on failure. */
static void append_arguments(char *text, uint32_t status, const struct argument *base,
                             const struct argument *size)
{
    if (is_success(status)) {
        append_number(text, base->value);
        append_number(text, size->value);
    } else if (base->value != base->before || size->value != size->before) {
        append_word(text, "and the arguments were changed");
    }
}

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

/* The next number of "NUMBER:NUMBER..."; 0 when there is none. */
static uint64_t next_number(char **text)
{
    uint64_t value = strtoull(*text, text, 0);

    *text += **text == ':';
    return value;
}

static void take_parameter(char *text, struct model_parameter *parameter)
{
    static const char *const NAMES[] = {"",          "requirements", "node",
                                        "partition", "physical",     "attributes"};
    char *rest = text + strcspn(text, ":");

    memset(parameter, 0, sizeof(*parameter));
    for (unsigned i = 1; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        if (!strncmp(text, NAMES[i], strlen(NAMES[i]))) {
            parameter->type = i;
        }
    }
    if (!parameter->type) {
        parameter->type = strtoull(text, NULL, 0);
    }
    rest += *rest == ':';
    parameter->is_null = !strcmp(rest, "NULL");
    parameter->value = next_number(&rest);
    parameter->highest = next_number(&rest);
    parameter->alignment = next_number(&rest);
}

static void step_allocate_ex(struct runner *runner, const struct line *line, char *actual)
{
    char word[WORD_SIZE];
    struct argument base;
    struct argument size;
    struct model_parameter parameters[PARAMETER_LIMIT];
    uint32_t count = 0;
    bool is_missing = false;
    uint32_t status;

    for (unsigned at = 5; at < line->count && count < PARAMETER_LIMIT; at++) {
        is_missing = !strncmp(line->words[at], "NULL:", 5);
        take_parameter(line->words[at], &parameters[count]);
        count += is_missing ? (uint32_t)parameters[count].value : 1;
    }
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
        append_word(actual, words_of_type(word, memory.type));
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
    if (status == NTMM_STATUS_SUCCESS) {
        append_number(actual, returned);
        for (uint64_t i = 0; i < returned / sizeof(words[0]) && i < CLASS_WORDS; i++) {
            append_number(actual, words[i]);
        }
    } else if (memcmp(words, before, sizeof(words))) {
        append_word(actual, "and the buffer was changed to");
        append_number(actual, words[0]);
    }
    if (status != NTMM_STATUS_SUCCESS && returned != LENGTH_UNTOUCHED) {
        append_word(actual, "and the length was changed");
    }
}

static uint32_t parse_bytes(const struct runner *runner, const char *text, uint8_t *bytes)
{
    size_t size = strlen(text) / 2;

    if (size > BYTES_LIMIT) {
        bad_line(runner, "more than 64 bytes");
    }
    for (size_t i = 0; i < size; i++) {
        char digits[3] = {text[2 * i], text[2 * i + 1], 0};

        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return (uint32_t)size;
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

static void step_access(struct runner *runner, const struct line *line, enum model_access access,
                        char *actual)
{
    char word[WORD_SIZE];
    uint8_t bytes[BYTES_LIMIT] = {0};
    struct model_fault fault;
    uint32_t size;
    uint32_t status;

    if (access == MODEL_WRITE) {
        size = parse_bytes(runner, line->count > 2 ? line->words[2] : "", bytes);
    } else {
        size = size_of_read(runner, line);
    }
    status = runner->subject->access(runner->self, runner->who, number_at(runner, line, 1), size,
                                     access, bytes, &fault);
    append_word(actual, words_of_status(word, status));
    for (uint32_t i = 0; i < fault.parameter_count && i < 2; i++) {
        append_number(actual, fault.parameters[i]);
    }
    if (status == NTMM_STATUS_SUCCESS && access != MODEL_WRITE) {
        for (uint32_t i = 0; i < size; i++) {
            snprintf(word + 2 * (size_t)i, 3, "%02X", bytes[i]);
        }
        append_word(actual, word);
    }
}

/* A page fault without the access that follows it. */
static void step_fault(struct runner *runner, const struct line *line, char *actual)
{
    char word[WORD_SIZE];
    struct model_fault fault;
    const char *kind = line->count > 2 ? line->words[2] : "";
    enum model_access access = !strcmp(kind, "write")     ? MODEL_WRITE
                               : !strcmp(kind, "execute") ? MODEL_EXECUTE
                                                          : MODEL_READ;
    uint32_t status = runner->subject->fault(runner->self, runner->who, number_at(runner, line, 1),
                                             access, &fault);

    append_word(actual, words_of_status(word, status));
    for (uint32_t i = 0; i < fault.parameter_count && i < 2; i++) {
        append_number(actual, fault.parameters[i]);
    }
}

static void print_step(const struct line *line, const char *actual)
{
    char text[LINE_SIZE] = "";

    for (unsigned i = 0; i < line->count; i++) {
        append_word(text, line->words[i]);
    }
    printf("  %s%s%s\n", text, actual[0] ? " = " : "", actual);
}

/* The addresses of written pages, at most as many as asked for. */
/* The last bytes before `count`, as many as are shown. */
static void append_last_bytes(char *actual, const uint8_t *data, uint64_t count)
{
    char word[WORD_SIZE] = "";
    uint64_t first = count > SHOWN_BYTES ? count - SHOWN_BYTES : 0;

    for (uint64_t i = first; i < count; i++) {
        snprintf(word + 2 * (i - first), 3, "%02X", data[i]);
    }
    if (count) {
        append_word(actual, word);
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

static void set_caller(struct runner *runner, const struct line *line)
{
    static const char *const NAMES[] = {"live", "other", "null", "stale", "wrong-kind"};

    for (int who = 0; who < CALLER_COUNT; who++) {
        if (line->count > 1 && !strcmp(line->words[1], NAMES[who])) {
            runner->who = (enum caller)who;
            if (runner->is_printing) {
                print_step(line, "");
            }
            return;
        }
    }
    bad_line(runner, "nobody has this handle");
}

static bool run_verb(struct runner *runner, const struct line *line, char *actual)
{
    const char *verb = line->words[0];

    if (!strcmp(verb, "allocate")) {
        step_allocate(runner, line, actual);
    } else if (!strcmp(verb, "allocate-ex")) {
        step_allocate_ex(runner, line, actual);
    } else if (!strcmp(verb, "offer") || !strcmp(verb, "reclaim") || !strcmp(verb, "discard")) {
        step_offer(runner, line, actual);
    } else if (!strcmp(verb, "free")) {
        step_free(runner, line, actual);
    } else if (!strcmp(verb, "protect")) {
        step_protect(runner, line, actual);
    } else if (!strcmp(verb, "query")) {
        step_query(runner, line, actual);
    } else if (!strcmp(verb, "query-class")) {
        step_query_class(runner, line, actual);
    } else if (!strcmp(verb, "read")) {
        step_access(runner, line, MODEL_READ, actual);
    } else if (!strcmp(verb, "write")) {
        step_access(runner, line, MODEL_WRITE, actual);
    } else if (!strcmp(verb, "execute")) {
        step_access(runner, line, MODEL_EXECUTE, actual);
    } else if (!strcmp(verb, "fault")) {
        step_fault(runner, line, actual);
    } else if (!strcmp(verb, "read-memory") || !strcmp(verb, "write-memory")) {
        step_copy(runner, line, actual);
    } else if (!strcmp(verb, "lock") || !strcmp(verb, "unlock")) {
        step_lock(runner, line, actual);
    } else if (!strcmp(verb, "get-watch")) {
        step_get_watch(runner, line, actual);
    } else if (!strcmp(verb, "reset-watch")) {
        step_reset_watch(runner, line, actual);
    } else if (!strcmp(verb, "restart")) {
        runner->subject->restart(runner->self, runner->who);
    } else {
        return false;
    }
    return true;
}

static void print_map(const char *map)
{
    while (*map) {
        size_t length = strcspn(map, "\n");

        printf("map %.*s\n", (int)length, map);
        map += length + (map[length] == '\n');
    }
}

static void report(struct runner *runner, const char *what, const char *expected,
                   const char *actual)
{
    runner->has_failed = true;
    if (runner->is_printing) {
        return;
    }
    printf("FAILED %s:%u %s (%s, %s)\n  %s\n  expected: %s\n  found:    %s\n", runner->path,
           runner->line, runner->name, runner->subject->name, runner->source, what, expected,
           actual);
}

/* Whether what was found is one of the alternatives. */
static bool is_expected(const char *actual, const char *expected)
{
    size_t length = strlen(actual);

    for (const char *at = expected; at; at = strstr(at, " or ")) {
        at += strncmp(at, " or ", 4) ? 0 : 4;
        if (!strncmp(at, actual, length) && (!at[length] || !strncmp(at + length, " or ", 4))) {
            return true;
        }
    }
    return false;
}

/* Whether the subject has the step, and the case is for the subject. */
static bool can_run(const struct runner *runner, const struct line *line)
{
    bool is_for_subject = !runner->setup.needs_residency || !runner->subject->pages_out;

    return is_for_subject &&
           (runner->subject->query_class || strcmp(line->words[0], "query-class") != 0);
}

static void run_step(struct runner *runner, const struct line *line, const char *text)
{
    char before[STRIP_SIZE];
    char after[STRIP_SIZE];
    char actual[LINE_SIZE] = "";

    if (!can_run(runner, line)) {
        return;
    }
    if (!runner->self) {
        runner->self = runner->subject->open(&runner->setup);
    }
    strip_draw(runner->subject, runner->self, CALLER_LIVE, before);
    if (!run_verb(runner, line, actual)) {
        bad_line(runner, "no such step");
    }
    if (runner->is_printing) {
        print_step(line, actual);
        runner->has_failed |= !is_expected(actual, line->expected);
    } else if (!is_expected(actual, line->expected)) {
        strip_draw(runner->subject, runner->self, CALLER_LIVE, after);
        report(runner, text, line->expected, actual);
        printf("  before:\n%s\n  after:\n%s\n", before, after);
    }
}

static void end_case(struct runner *runner)
{
    char map[STRIP_SIZE];
    const char *wrong;

    if (!runner->self) {
        return;
    }
    strip_draw(runner->subject, runner->self, CALLER_LIVE, map);
    if (runner->has_map && runner->is_printing) {
        print_map(map);
    }
    if (runner->has_map && strcmp(map, runner->map)) {
        report(runner, "regions at the end", runner->map, map);
    }
    wrong = runner->subject->close(runner->self);
    if (wrong) {
        report(runner, "closing", "nothing left, every invariant", wrong);
    }
    runner->self = NULL;
    runner->cases++;
    runner->failures += runner->has_failed;
}

static void begin_case(struct runner *runner, const struct line *line)
{
    end_case(runner);
    strcpy(runner->name, line->count > 1 ? line->words[1] : "");
    if (runner->is_printing) {
        printf("case %s\n", runner->name);
    }
    runner->source[0] = 0;
    memset(&runner->setup, 0, sizeof(runner->setup));
    runner->who = CALLER_LIVE;
    runner->has_failed = false;
    runner->has_map = false;
    runner->map[0] = 0;
}

static void add_map(struct runner *runner, const struct line *line)
{
    char text[LINE_SIZE] = "";

    for (unsigned i = 1; i < line->count; i++) {
        append_word(text, line->words[i]);
    }
    if (strlen(runner->map) + strlen(text) + 2 > STRIP_SIZE) {
        bad_line(runner, "the map is too long");
    }
    strcat(strcat(runner->map, runner->has_map ? "\n" : ""), text);
    runner->has_map = true;
}

static void run_line(struct runner *runner, const struct line *line, const char *text)
{
    const char *verb = line->words[0];

    if (!strcmp(verb, "case")) {
        begin_case(runner, line);
    } else if (!strcmp(verb, "source")) {
        for (unsigned i = 1; i < line->count; i++) {
            append_word(runner->source, line->words[i]);
        }
    } else if (!strcmp(verb, "covers")) {
        return; /* rows.py reads it */
    } else if (!strcmp(verb, "commit-limit")) {
        runner->setup.commit_limit_pages = number_at(runner, line, 1);
    } else if (!strcmp(verb, "build")) {
        runner->setup.windows_build = (uint32_t)number_at(runner, line, 1);
    } else if (!strcmp(verb, "resident")) {
        runner->setup.needs_residency = true;
    } else if (!strcmp(verb, "as")) {
        set_caller(runner, line);
    } else if (!strcmp(verb, "map")) {
        add_map(runner, line);
    } else {
        run_step(runner, line, text);
    }
}

static void run_file(struct runner *runner, const char *path)
{
    char text[LINE_SIZE];
    char whole[LINE_SIZE];
    struct line line;
    FILE *file = fopen(path, "r");

    runner->path = path;
    runner->line = 0;
    if (!file) {
        perror(path);
        exit(2);
    }
    while (fgets(text, sizeof(text), file)) {
        runner->line++;
        strcpy(whole, text + strspn(text, " \t"));
        whole[strcspn(whole, "\n")] = 0;
        cut(&line, text);
        if (line.count) {
            run_line(runner, &line, whole);
        }
    }
    fclose(file);
    end_case(runner);
}

int main(int count, char **arguments)
{
    static const struct subject *const subjects[] = {&subject_model, &subject_core, &subject_paged};
    static struct runner runner;

    if (count > 1 && !strcmp(arguments[1], "--print")) {
        runner.is_printing = true;
        count--;
        arguments++;
    }
    for (unsigned i = 0; count > 1 && i < sizeof(subjects) / sizeof(subjects[0]); i++) {
        if (!strcmp(arguments[1], subjects[i]->name)) {
            runner.subject = subjects[i];
        }
    }
    if (count < 3 || !runner.subject) {
        fprintf(stderr, "usage: run_cases [--print] model|core|paged FILE...\n");
        return 2;
    }
    for (int i = 2; i < count; i++) {
        run_file(&runner, arguments[i]);
    }
    fprintf(runner.is_printing ? stderr : stdout, "%s: %u cases, %u failed\n", runner.subject->name,
            runner.cases, runner.failures);
    return runner.failures ? 1 : 0;
}
