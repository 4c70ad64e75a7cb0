/* See image_words.h. */
#include "conformance/image_words.h"

#include <stddef.h>

#define SECTOR 512u
#define FIRST_FILL 0xA1u
#define SLACK_BYTE 0xEEu
#define RELOCATION_BYTES 12u

enum round { ROUND_FORMAT, ROUND_SECTIONS, ROUND_FIELDS, ROUND_COUNT };

struct field {
    const char *name;
    uint32_t at;
    uint32_t bytes; /* 0: as wide as addresses of the format are */
    uint32_t at_64; /* 0: the same */
};

static const struct field FIELDS[] = {
    {"e-magic", 0, 2, 0},
    {"lfanew", 0x3C, 4, 0},
    {"signature", PE_OFFSET, 4, 0},
    {"machine", PE_MACHINE, 2, 0},
    {"section-count", PE_SECTION_COUNT, 2, 0},
    {"optional-bytes", PE_OPTIONAL_BYTES, 2, 0},
    {"characteristics", PE_CHARACTERISTICS, 2, 0},
    {"magic", PE_MAGIC, 2, 0},
    {"code-bytes", PE_CODE_BYTES, 4, 0},
    {"entry", PE_ENTRY, 4, 0},
    {"base", PE_BASE_32, 0, PE_BASE_64},
    {"section-alignment", PE_SECTION_ALIGNMENT, 4, 0},
    {"file-alignment", PE_FILE_ALIGNMENT, 4, 0},
    {"image-bytes", PE_IMAGE_BYTES, 4, 0},
    {"header-bytes", PE_HEADER_BYTES, 4, 0},
    {"checksum", PE_CHECKSUM, 4, 0},
    {"subsystem", PE_SUBSYSTEM, 2, 0},
    {"dll", PE_DLL_CHARACTERISTICS, 2, 0},
    {"stack-reserve", PE_STACK_RESERVE, 0, 0},
    {"stack-commit", PE_STACK_COMMIT_32, 0, PE_STACK_COMMIT_64},
    {NULL, 0, 0, 0},
};

/* Words and their parts between colons */

static bool is_end(char byte) { return byte == 0 || byte == ' '; }

/* The part behind the next colon, or the end of the word. */
static const char *next_part(const char *part)
{
    while (!is_end(*part) && *part != ':') {
        part++;
    }
    return *part == ':' ? part + 1 : part;
}

static bool is_part(const char *part, const char *name)
{
    while (*name && *part == *name) {
        part++;
        name++;
    }
    return !*name && (is_end(*part) || *part == ':');
}

static bool number_of(const char *part, uint64_t *value)
{
    bool is_hexadecimal = part[0] == '0' && part[1] == 'x';
    uint32_t base = is_hexadecimal ? 16 : 10;

    part += is_hexadecimal ? 2 : 0;
    *value = 0;
    do {
        uint32_t digit = *part >= '0' && *part <= '9'   ? (uint32_t)(*part - '0')
                         : *part >= 'A' && *part <= 'F' ? (uint32_t)(*part - 'A' + 10)
                                                        : 16u;

        if (digit >= base) {
            return false;
        }
        *value = *value * base + digit;
        part++;
    } while (!is_end(*part) && *part != ':');
    return true;
}

/* The numbers from a part on. "-" and what is missing keep the value that they have. */
static bool numbers_of(const char *part, uint64_t *values, uint32_t count)
{
    for (uint32_t i = 0; i < count && !is_end(*part); i++) {
        if (!is_part(part, "-") && !number_of(part, &values[i])) {
            return false;
        }
        part = next_part(part);
    }
    return is_end(*part);
}

static void set_bytes(struct pe_file *file, uint64_t at, uint64_t value, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes && i < 8 && at + i < PE_FILE_BYTES; i++) {
        file->bytes[at + i] = (uint8_t)(value >> 8 * i);
    }
}

/* Sections */

static bool flags_of(const char *part, uint32_t *flags)
{
    static const struct {
        char letter;
        uint32_t flag;
    } LETTERS[] = {
        {'r', PE_READ}, {'w', PE_WRITE}, {'x', PE_EXECUTE}, {'s', PE_SHARED},
        {'c', 0x20},    {'i', 0x40},     {'u', 0x80},       {'n', 2}, /* TYPE_NOLOAD */
        {'-', 0},
    };

    for (*flags = 0; !is_end(*part) && *part != ':'; part++) {
        uint32_t i = 0;

        while (i < sizeof(LETTERS) / sizeof(LETTERS[0]) && LETTERS[i].letter != *part) {
            i++;
        }
        if (i == sizeof(LETTERS) / sizeof(LETTERS[0])) {
            return false;
        }
        *flags |= LETTERS[i].flag;
    }
    return true;
}

/* Raw data: `fill` as far as it goes, then to the end of its sector what is nobody's. */
static void fill_section(struct pe_file *file, uint32_t header, uint64_t fill)
{
    uint32_t raw = pe_get32(file, header + 16);
    uint32_t whole = (raw + SECTOR - 1) / SECTOR * SECTOR;
    uint32_t at = pe_get32(file, header + 20);

    for (uint32_t i = 0; i < whole; i++) {
        file->bytes[at + i] = (uint8_t)(i < raw ? fill : SLACK_BYTE);
    }
}

/* NAME:FLAGS:VIRTUAL_SIZE:RAW_SIZE[:RVA[:RAW_POINTER[:FILL]]] */
static bool add_section(struct pe_file *file, const char *name)
{
    const char *flags = next_part(name);
    uint64_t values[5] = {0, 0, 0, 0, FIRST_FILL + file->section_count};
    uint32_t characteristics;
    uint32_t header;

    if (!flags_of(flags, &characteristics) || !numbers_of(next_part(flags), values, 5) ||
        values[0] > UINT32_MAX || values[1] > PE_FILE_BYTES - SECTOR - file->size_bytes ||
        pe_section(file, file->section_count + 1) > PE_HEADERS) {
        return false;
    }
    header = pe_add_section(file, (uint32_t)values[0], (uint32_t)values[1], characteristics);
    fill_section(file, header, values[4]);
    for (uint32_t i = 0; i < 8 && name[i] != ':'; i++) {
        file->bytes[header + i] = (uint8_t)name[i];
    }
    if (values[2]) {
        pe_set32(file, header + 12, (uint32_t)values[2]);
    }
    if (values[3]) {
        pe_set32(file, header + 20, (uint32_t)values[3]);
    }
    return true;
}

/* The place of an RVA in the file, in a section that is there; 0: none. */
static uint32_t place_of(const struct pe_file *file, uint64_t rva)
{
    for (uint32_t n = 0; n < file->section_count; n++) {
        uint32_t header = pe_section(file, n);
        uint32_t first = pe_get32(file, header + 12);

        if (rva >= first && rva + 8 <= (uint64_t)first + pe_get32(file, header + 16)) {
            return pe_get32(file, header + 20) + (uint32_t)rva - first;
        }
    }
    return 0;
}

/* A pointer to itself at an RVA, and a section of its relocation. The base is known then. */
static bool add_relocation(struct pe_file *file, const char *part)
{
    uint64_t rva;
    uint64_t base = 0;
    uint32_t header;
    uint32_t at;

    if (!number_of(part, &rva) || !place_of(file, rva)) {
        return false;
    }
    for (uint32_t i = 0; i < (file->is_64 ? 8u : 4u); i++) {
        base |= (uint64_t)file->bytes[(file->is_64 ? PE_BASE_64 : PE_BASE_32) + i] << 8 * i;
    }
    set_bytes(file, place_of(file, rva), base + rva, file->is_64 ? 8 : 4);
    if (!add_section(file, ".reloc:r:0x1000:0x200:-:-:0")) {
        return false;
    }
    header = pe_section(file, file->section_count - 1);
    at = pe_get32(file, header + 20);
    pe_set32(file, at, (uint32_t)rva & ~0xFFFu);
    pe_set32(file, at + 4, RELOCATION_BYTES);
    pe_set16(file, at + 8, (file->is_64 ? 10u : 3u) << 12 | ((uint32_t)rva & 0xFFFu));
    pe_set_directory(file, PE_DIRECTORY_RELOCATION, pe_get32(file, header + 12), RELOCATION_BYTES);
    return true;
}

/* Fields */

static bool set_field(struct pe_file *file, const char *word, const struct field *field)
{
    uint32_t width = file->is_64 ? 8 : 4;
    uint64_t value;

    if (!number_of(next_part(word), &value)) {
        return false;
    }
    set_bytes(file, file->is_64 && field->at_64 ? field->at_64 : field->at, value,
              field->bytes ? field->bytes : width);
    return true;
}

/* at:OFFSET:BYTES:VALUE, directory:INDEX:RVA:SIZE, length:BYTES */
static bool set_other(struct pe_file *file, const char *word)
{
    uint64_t values[3] = {0, 0, 0};
    bool are_numbers = numbers_of(next_part(word), values, 3);

    if (are_numbers && is_part(word, "at")) {
        set_bytes(file, values[0], values[2], values[1]);
        return true;
    }
    if (are_numbers && is_part(word, "directory") && values[0] < 16) {
        pe_set_directory(file, (uint32_t)values[0], (uint32_t)values[1], (uint32_t)values[2]);
        return true;
    }
    if (are_numbers && is_part(word, "length") && values[0] <= PE_FILE_BYTES) {
        file->size_bytes = values[0];
        return true;
    }
    return false;
}

static const struct field *field_named(const char *word)
{
    for (const struct field *field = FIELDS; field->name; field++) {
        if (is_part(word, field->name)) {
            return field;
        }
    }
    return NULL;
}

static enum round round_of(const char *word)
{
    if (is_part(word, "pe32") || is_part(word, "base")) {
        return ROUND_FORMAT;
    }
    return is_part(word, "section") || is_part(word, "relocation") ? ROUND_SECTIONS : ROUND_FIELDS;
}

static bool apply(struct pe_file *file, const char *word)
{
    const struct field *field = field_named(word);

    if (is_part(word, "pe32")) {
        return true;
    }
    if (is_part(word, "section")) {
        return add_section(file, next_part(word));
    }
    if (is_part(word, "relocation")) {
        return add_relocation(file, next_part(word));
    }
    return field ? set_field(file, word, field) : set_other(file, word);
}

static const char *next_word(const char *word)
{
    while (!is_end(*word)) {
        word++;
    }
    while (*word == ' ') {
        word++;
    }
    return word;
}

static bool has_word(const char *words, const char *name)
{
    for (; *words; words = next_word(words)) {
        if (is_part(words, name)) {
            return true;
        }
    }
    return false;
}

const char *image_words_build(struct pe_file *file, const char *text, uint32_t skipped)
{
    bool is_64;

    while (skipped--) {
        text = next_word(text);
    }
    is_64 = !has_word(text, "pe32");
    pe_begin(file, is_64);
    if (is_64) {
        pe_set64(file, PE_BASE_64, IMAGE_WORDS_BASE);
    }
    for (int round = 0; round < ROUND_COUNT; round++) {
        for (const char *word = text; *word; word = next_word(word)) {
            if (round_of(word) == (enum round)round && !apply(file, word)) {
                return word;
            }
        }
    }
    return NULL;
}
