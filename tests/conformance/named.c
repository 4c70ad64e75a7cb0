/* See named.h. */
#include "conformance/named.h"

static bool is_end(char byte) { return byte == 0 || byte == ' ' || byte == '\n'; }

static bool is_sign(char byte) { return byte == '+' || byte == '-' || byte == '<' || byte == '>'; }

bool named_is(const char *word) { return word[0] == '@' && !is_end(word[1]); }

/* How long the name is, behind the '@'. */
static size_t length_of_name(const char *word)
{
    size_t length = 0;

    while (!is_end(word[1 + length]) && !is_sign(word[1 + length])) {
        length++;
    }
    return length;
}

static uint32_t digit_of(char byte)
{
    return byte >= '0' && byte <= '9'   ? (uint32_t)(byte - '0')
           : byte >= 'A' && byte <= 'F' ? (uint32_t)(byte - 'A' + 10)
           : byte >= 'a' && byte <= 'f' ? (uint32_t)(byte - 'a' + 10)
                                        : 16u;
}

/* A word that is a number, decimal or with 0x, and nothing else. */
static bool parse_number(const char *word, uint64_t *value)
{
    uint32_t base = word[0] == '0' && word[1] == 'x' ? 16 : 10;

    word += base == 16 ? 2 : 0;
    *value = 0;
    do {
        if (digit_of(*word) >= base) {
            return false;
        }
        *value = *value * base + digit_of(*word);
    } while (!is_end(*++word));
    return true;
}

/* The sign behind the name, 0 for none, and the number behind that. */
static char sign_of(const char *word, uint64_t *number)
{
    const char *sign = word + 1 + length_of_name(word);

    return !is_end(*sign) && parse_number(sign + 1, number) ? *sign : 0;
}

static uint64_t offset_of(const char *word)
{
    uint64_t number;
    char sign = sign_of(word, &number);

    return sign == '+' ? number : sign == '-' ? 0 - number : 0;
}

static bool is_in_bound(const char *word, uint64_t value)
{
    uint64_t number;
    char sign = sign_of(word, &number);

    return sign == '<' ? value < number : sign == '>' ? value > number : true;
}

static bool is_name(const char *name, const char *word, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (name[i] != word[1 + i]) {
            return false;
        }
    }
    return name[length] == 0;
}

bool named_value(const struct named_table *table, const char *word, uint64_t *value)
{
    size_t length = length_of_name(word);

    for (uint32_t i = 0; i < table->count; i++) {
        if (length < NAMED_SIZE && is_name(table->rows[i].name, word, length)) {
            *value = table->rows[i].value + offset_of(word);
            return true;
        }
    }
    return false;
}

static void give(struct named_table *table, const char *word, uint64_t value)
{
    size_t length = length_of_name(word);

    if (table->count == NAMED_LIMIT || length >= NAMED_SIZE) {
        return;
    }
    for (size_t i = 0; i < length; i++) {
        table->rows[table->count].name[i] = word[1 + i];
    }
    table->rows[table->count].name[length] = 0;
    table->rows[table->count++].value = value - offset_of(word);
}

/* A text that is written anew, and at its end takes the old one's place. */
static char built[NAMED_TEXT_SIZE];
static size_t built_length;

static void build(const char *text, size_t length)
{
    for (size_t i = 0; i < length && built_length + 1 < NAMED_TEXT_SIZE; i++) {
        built[built_length++] = text[i];
    }
}

static void take_place(char *text, size_t size)
{
    size_t length = built_length < size ? built_length : size - 1;

    for (size_t i = 0; i < length; i++) {
        text[i] = built[i];
    }
    text[length] = 0;
}

static size_t length_of_word(const char *word)
{
    size_t length = 0;

    while (!is_end(word[length])) {
        length++;
    }
    return length;
}

/* The word behind this one; the end stays where it is. */
static const char *next_word(const char *word)
{
    word += length_of_word(word);
    return *word ? word + 1 : word;
}

void named_take(struct named_table *table, const char *expected, char *actual, size_t size)
{
    built_length = 0;
    for (const char *word = actual; *word; word = next_word(word)) {
        size_t length = length_of_word(word);
        uint64_t found;
        uint64_t meant;

        if (named_is(expected) && parse_number(word, &found) && is_in_bound(expected, found)) {
            if (!named_value(table, expected, &meant)) {
                give(table, expected, found);
                meant = found;
            }
            if (meant == found) {
                build(expected, length_of_word(expected));
                length = 0;
            }
        }
        build(word, length);
        build(word + length_of_word(word), word[length_of_word(word)] ? 1 : 0);
        expected = next_word(expected);
    }
    take_place(actual, size);
}

void named_replace(const struct named_table *table, char *text, size_t size)
{
    built_length = 0;
    for (const char *word = text; *word; word = next_word(word)) {
        size_t length = length_of_word(word);
        const char *name = NULL;
        uint64_t found;

        for (uint32_t i = 0; i < table->count; i++) {
            if (parse_number(word, &found) && found == table->rows[i].value) {
                name = table->rows[i].name;
            }
        }
        build("@", name ? 1 : 0);
        build(name ? name : word, name ? length_of_word(name) : length);
        build(word + length, word[length] ? 1 : 0);
    }
    take_place(text, size);
}
