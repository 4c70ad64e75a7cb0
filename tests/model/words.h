/*
 * NT's numbers as words and back: statuses without their prefix, protections and types as names
 * joined by '|'. Numbers below 10 are written in decimal, others as 0x and upper-case digits.
 */
#ifndef MODEL_WORDS_H
#define MODEL_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for any text that these functions make. */
#define WORD_SIZE 160

/* A status, number, protection, or memory type, written into text, which is returned. */
char *words_of_number(char text[WORD_SIZE], uint64_t value);
char *words_of_status(char text[WORD_SIZE], uint32_t status);
char *words_of_error(char text[WORD_SIZE], uint32_t error); /* of Win32 */
char *words_of_protect(char text[WORD_SIZE], uint32_t protect);
char *words_of_type(char text[WORD_SIZE], uint32_t type);
/* The type that a query shows; rights of handles; attributes of sections. */
char *words_of_kind(char text[WORD_SIZE], uint32_t kind);
char *words_of_file_rights(char text[WORD_SIZE], uint32_t rights);
char *words_of_section_rights(char text[WORD_SIZE], uint32_t rights);
char *words_of_attributes(char text[WORD_SIZE], uint32_t attributes);

/* The value of a number, or of names joined by '|'. False when a part is neither. */
bool words_parse_number(const char *text, uint64_t *value);
bool words_parse_status(const char *text, uint64_t *value);
bool words_parse_protect(const char *text, uint64_t *value);
bool words_parse_type(const char *text, uint64_t *value);
bool words_parse_file_rights(const char *text, uint64_t *value);
bool words_parse_section_rights(const char *text, uint64_t *value);
bool words_parse_attributes(const char *text, uint64_t *value);
bool words_parse_map_access(const char *text, uint64_t *value); /* of MapViewOfFile */

#endif
