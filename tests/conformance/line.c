/*
 * The words of a line, and the text of what a step gave back.
 */
#include "conformance/runner.h"

#include "model/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void bad_line(const struct runner *runner, const char *why)
{
    fprintf(stderr, "%s:%u: %s\n", runner->path, runner->line, why);
    exit(2);
}

void append_word(char *text, const char *word)
{
    if (strlen(text) + strlen(word) + 2 <= LINE_SIZE) {
        strcat(strcat(text, text[0] ? " " : ""), word);
    }
}

void cut_line(struct line *line, char *text)
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

uint64_t number_at(const struct runner *runner, const struct line *line, unsigned at)
{
    uint64_t value;

    if (at < line->count && named_is(line->words[at]) &&
        named_value(&runner->names, line->words[at], &value)) {
        return value;
    }
    if (at >= line->count || !words_parse_number(line->words[at], &value)) {
        bad_line(runner, "a number is missing");
    }
    return value;
}

uint32_t protect_at(const struct runner *runner, const struct line *line, unsigned at)
{
    uint64_t value;

    if (at >= line->count || !words_parse_protect(line->words[at], &value)) {
        bad_line(runner, "a protection is missing");
    }
    return (uint32_t)value;
}

uint32_t type_at(const struct runner *runner, const struct line *line, unsigned at)
{
    uint64_t value;

    if (at >= line->count || !words_parse_type(line->words[at], &value)) {
        bad_line(runner, "a type is missing");
    }
    return (uint32_t)value;
}

void argument_at(const struct runner *runner, const struct line *line, unsigned at,
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

bool has_null_at(const struct line *line, unsigned at)
{
    return at < line->count && !strcmp(line->words[at], "NULL");
}

void append_number(char *text, uint64_t value)
{
    char word[WORD_SIZE];

    append_word(text, words_of_number(word, value));
}

void append_status(char *text, uint32_t status)
{
    char word[WORD_SIZE];

    append_word(text, words_of_status(word, status));
}

bool is_success(uint32_t status) { return status < 0x80000000u; }

void append_arguments(char *text, uint32_t status, const struct argument *base,
                      const struct argument *size)
{
    if (is_success(status)) {
        append_number(text, base->value);
        append_number(text, size->value);
    } else if (base->value != base->before || size->value != size->before) {
        append_word(text, "and the arguments were changed");
    }
}

void append_last_bytes(char *actual, const uint8_t *data, uint64_t count)
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

uint32_t parse_bytes(const struct runner *runner, const char *text, uint8_t *bytes, size_t limit)
{
    size_t size = strlen(text) / 2;

    if (size > limit) {
        bad_line(runner, "too many bytes");
    }
    for (size_t i = 0; i < size; i++) {
        char digits[3] = {text[2 * i], text[2 * i + 1], 0};

        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return (uint32_t)size;
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

uint32_t take_parameters(const struct line *line, unsigned at, struct model_parameter *parameters,
                         bool *is_missing)
{
    uint32_t count = 0;

    *is_missing = false;
    for (; at < line->count && count < PARAMETER_LIMIT; at++) {
        *is_missing = !strncmp(line->words[at], "NULL:", 5);
        take_parameter(line->words[at], &parameters[count]);
        count += *is_missing ? (uint32_t)parameters[count].value : 1;
    }
    return count;
}
