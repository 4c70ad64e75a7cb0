#include "text.h"

void text_clear(struct text *text)
{
    text->length = 0;
    text->bytes[0] = 0;
}

void text_measure(struct text *text)
{
    text->length = 0;
    while (text->bytes[text->length]) {
        text->length++;
    }
}

static void add_byte(struct text *text, char byte)
{
    if (text->length + 1 < TEXT_SIZE) {
        text->bytes[text->length++] = byte;
        text->bytes[text->length] = 0;
    }
}

void text_add(struct text *text, const char *more)
{
    while (*more) {
        add_byte(text, *more++);
    }
}

static void begin_word(struct text *text)
{
    if (text->length && text->bytes[text->length - 1] != '\n') {
        add_byte(text, ' ');
    }
}

void text_word(struct text *text, const char *word)
{
    begin_word(text);
    text_add(text, word);
}

void text_decimal(struct text *text, uint64_t value)
{
    if (value >= 10) {
        text_decimal(text, value / 10);
    }
    add_byte(text, (char)('0' + value % 10));
}

void text_hexadecimal(struct text *text, uint64_t value)
{
    if (value >= 16) {
        text_hexadecimal(text, value / 16);
    }
    add_byte(text, "0123456789ABCDEF"[value % 16]);
}

static void add_number(struct text *text, uint64_t value)
{
    if (value < 10) {
        text_decimal(text, value);
    } else {
        text_add(text, "0x");
        text_hexadecimal(text, value);
    }
}

void text_number(struct text *text, uint64_t value)
{
    begin_word(text);
    add_number(text, value);
}

static void add_name(struct text *text, uint32_t value, const struct name *names)
{
    begin_word(text);
    for (const struct name *name = names; name->text; name++) {
        if (name->value == value) {
            text_add(text, name->text);
            return;
        }
    }
    add_number(text, value);
}

void text_status(struct text *text, uint32_t status) { add_name(text, status, status_names); }

void text_error(struct text *text, uint32_t error) { add_name(text, error, error_names); }

/* Names of the bits, lowest first; bits without a name as a number at the end. */
static void add_bits(struct text *text, uint32_t value, const struct name *names)
{
    bool is_first = true;

    begin_word(text);
    for (const struct name *name = names; name->text; name++) {
        if (value & name->value) {
            text_add(text, is_first ? "" : "|");
            text_add(text, name->text);
            value &= ~name->value;
            is_first = false;
        }
    }
    if (value || is_first) {
        text_add(text, is_first ? "" : "|");
        add_number(text, value);
    }
}

void text_protect(struct text *text, uint32_t protect) { add_bits(text, protect, protect_names); }

void text_type(struct text *text, uint32_t type) { add_bits(text, type, type_names); }

void text_kind(struct text *text, uint32_t kind) { add_bits(text, kind, kind_names); }

void text_attributes(struct text *text, uint32_t attributes)
{
    add_bits(text, attributes, attribute_names);
}

void text_bytes(struct text *text, const uint8_t *bytes, uint32_t size)
{
    begin_word(text);
    for (uint32_t i = 0; i < size; i++) {
        add_byte(text, "0123456789ABCDEF"[bytes[i] >> 4]);
        add_byte(text, "0123456789ABCDEF"[bytes[i] & 15]);
    }
}

bool text_is(const struct text *text, const char *other)
{
    uint32_t at = 0;

    while (at < text->length && other[at] == text->bytes[at]) {
        at++;
    }
    return at == text->length && !other[at];
}

static bool begins_with(const char *text, const char *start)
{
    while (*start && *start == *text) {
        start++;
        text++;
    }
    return !*start;
}

bool text_is_one_of(const struct text *text, const char *alternatives)
{
    static const char OR[] = " or ";

    while (1) {
        const char *end = alternatives;
        uint32_t at = 0;

        while (*end && !begins_with(end, OR)) {
            end++;
        }
        while (alternatives + at < end && text->bytes[at] == alternatives[at]) {
            at++;
        }
        if (at == text->length && alternatives + at == end) {
            return true;
        }
        if (!*end) {
            return false;
        }
        alternatives = end + sizeof(OR) - 1;
    }
}
