/*
 * Text without a C library: a line that grows, and NT's numbers as the words that the case files
 * use. Numbers below 10 are decimal, others 0x and upper-case digits.
 */
#ifndef WINE_TEXT_H
#define WINE_TEXT_H

#include "case_table.h"

#include <stdbool.h>

#define TEXT_SIZE 4096u

struct text {
    char bytes[TEXT_SIZE];
    uint32_t length;
};

void text_clear(struct text *text);
void text_measure(struct text *text);               /* after its bytes were changed */
void text_add(struct text *text, const char *more); /* cut at the end of the room */
/* A word after a blank, if anything stands before it. */
void text_word(struct text *text, const char *word);
void text_number(struct text *text, uint64_t value);
void text_decimal(struct text *text, uint64_t value);     /* without a blank */
void text_hexadecimal(struct text *text, uint64_t value); /* without a blank */
void text_status(struct text *text, uint32_t status);
void text_error(struct text *text, uint32_t error); /* of Win32 */
void text_protect(struct text *text, uint32_t protect);
void text_type(struct text *text, uint32_t type);
void text_kind(struct text *text, uint32_t kind);
void text_attributes(struct text *text, uint32_t attributes);
void text_bytes(struct text *text, const uint8_t *bytes, uint32_t size);
/* Whether the text is one of alternatives joined by " or ". */
bool text_is_one_of(const struct text *text, const char *alternatives);
bool text_is(const struct text *text, const char *other);

#endif
