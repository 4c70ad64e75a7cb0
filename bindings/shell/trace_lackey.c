/*
 * Reads what valgrind's tool lackey prints with --trace-mem=yes. A line is one of
 *
 *   I  04001000,3      an instruction fetch: address in hex, bytes in decimal
 *    L 1ffefffe18,8    a load
 *    S 1ffefffe20,8    a store
 *    M 0421c70c,4      a load and a store by one instruction
 *   ==123== ...        valgrind's own words (also --123-- and **123**): skipped
 *
 * Anything else is an error that names file and line. A text without any reference is one too.
 * Source: lackey's documentation in the valgrind manual.
 */
#include "trace_forms.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW_BYTES (1u << 20)

struct lackey_reader {
    struct trace_input *input;
    uint64_t line; /* lines taken so far */
    bool has_reference;
    bool is_at_end; /* the input gave its last byte */
    size_t begin;   /* unread bytes are window[begin, end) */
    size_t end;
    char window[WINDOW_BYTES];
};

struct lackey_reader *lackey_open(struct trace_input *input, struct shell_error *error)
{
    struct lackey_reader *reader = malloc(sizeof *reader);
    if (reader == NULL) {
        shell_set_error(error, "%s: no memory", trace_input_name(input));
        return NULL;
    }
    memset(reader, 0, offsetof(struct lackey_reader, window));
    reader->input = input;
    return reader;
}

void lackey_close(struct lackey_reader *reader) { free(reader); }

static bool fail(const struct lackey_reader *reader, struct shell_error *error, const char *what)
{
    return shell_set_error(error, "%s:%llu: %s", trace_input_name(reader->input),
                           (unsigned long long)reader->line, what);
}

/* Moves the unread bytes to the front and reads behind them. */
static bool slide(struct lackey_reader *reader, struct shell_error *error)
{
    size_t kept = reader->end - reader->begin;
    memmove(reader->window, reader->window + reader->begin, kept);
    reader->begin = 0;
    reader->end = kept;
    ptrdiff_t got =
        trace_input_read(reader->input, reader->window + kept, WINDOW_BYTES - kept, error);
    if (got < 0)
        return false;
    reader->end += (size_t)got;
    reader->is_at_end = got == 0;
    return true;
}

/* The next line without its newline; *text is NULL at the end. */
static bool next_line(struct lackey_reader *reader, const char **text, size_t *length,
                      struct shell_error *error)
{
    *text = NULL;
    for (;;) {
        const char *start = reader->window + reader->begin;
        size_t available = reader->end - reader->begin;
        const char *newline = available != 0 ? memchr(start, '\n', available) : NULL;
        if (newline != NULL || (reader->is_at_end && available != 0)) {
            *text = start;
            *length = newline != NULL ? (size_t)(newline - start) : available;
            reader->begin += *length + (newline != NULL);
            reader->line++;
            return true;
        }
        if (reader->is_at_end)
            return true;
        if (available == WINDOW_BYTES) {
            reader->line++;
            return fail(reader, error, "the line has more than a mebibyte");
        }
        if (!slide(reader, error))
            return false;
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* text[0, length) is what follows the three characters of the kind. NULL, or what is wrong. */
static const char *parse_operands(const char *text, size_t length,
                                  struct trace_reference *reference)
{
    uint64_t address = 0;
    uint32_t size = 0;
    size_t i = 0;
    int digit;
    for (; i < length && (digit = hex_digit(text[i])) >= 0; i++) {
        if (address >> 60 != 0)
            return "the address has more than 64 bits";
        address = address << 4 | (uint64_t)digit;
    }
    if (i == 0)
        return "no hexadecimal address after the kind of reference";
    if (i == length || text[i] != ',')
        return "no comma after the address";
    size_t first_digit = ++i;
    for (; i < length && text[i] >= '0' && text[i] <= '9' && size <= TRACE_SIZE_MAX; i++)
        size = size * 10 + (uint32_t)(text[i] - '0');
    if (i == first_digit)
        return "no size after the comma";
    if (size == 0 || size > TRACE_SIZE_MAX)
        return "the size is not 1 to 4096 bytes";
    if (i != length)
        return "something follows the size";
    if (address + (size - 1) < address)
        return "the reference runs past the last address";
    reference->address = address;
    reference->size_bytes = (uint16_t)size;
    return NULL;
}

static bool parse_kind(const char *text, size_t length, struct trace_reference *reference)
{
    if (length < 3 || text[2] != ' ')
        return false;
    if (text[0] == 'I' && text[1] == ' ') {
        reference->kind = TRACE_FETCH;
        return true;
    }
    if (text[0] != ' ')
        return false;
    static const char letters[] = "LSM";
    const char *letter = text[1] != '\0' ? strchr(letters, text[1]) : NULL;
    if (letter != NULL)
        reference->kind = (uint8_t)(TRACE_LOAD + (letter - letters));
    return letter != NULL;
}

static bool is_of_valgrind(const char *text, size_t length)
{
    return length >= 2 && text[0] == text[1] &&
           (text[0] == '=' || text[0] == '-' || text[0] == '*');
}

ptrdiff_t lackey_read(struct lackey_reader *reader, struct trace_reference *references,
                      size_t capacity, struct shell_error *error)
{
    size_t count = 0;
    while (count < capacity) {
        const char *text;
        size_t length = 0;
        if (!next_line(reader, &text, &length, error))
            return -1;
        if (text == NULL)
            break;
        if (is_of_valgrind(text, length))
            continue;
        struct trace_reference *reference = &references[count];
        *reference = (struct trace_reference){0};
        const char *wrong = "not a line of lackey: it begins with none of \"I  \", \" L \", "
                            "\" S \", \" M \", \"==\"";
        if (parse_kind(text, length, reference))
            wrong = parse_operands(text + 3, length - 3, reference);
        if (wrong != NULL) {
            fail(reader, error, wrong);
            return -1;
        }
        reader->has_reference = true;
        count++;
    }
    if (count == 0 && capacity != 0 && !reader->has_reference) {
        fail(reader, error, "the trace ends without a reference");
        return -1;
    }
    return (ptrdiff_t)count;
}
