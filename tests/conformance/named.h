/*
 * Names that a case gives to numbers which nobody can foretell, such as the base of an image. In an
 * expectation "@NAME", "@NAME+NUMBER" or "@NAME-NUMBER" stands where a number is found: the first
 * time the name gets its value; from then on the word holds when the number is the same. With
 * "@NAME<NUMBER" or "@NAME>NUMBER" it must also be below or above. In an argument the word is the
 * number. No C library is needed: the Windows program of tests/wine has this file too.
 */
#ifndef CONFORMANCE_NAMED_H
#define CONFORMANCE_NAMED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAMED_LIMIT 16u
#define NAMED_SIZE 32u
#define NAMED_TEXT_SIZE 4096u /* of the longest text that names replace numbers in */

struct named_table {
    struct {
        char name[NAMED_SIZE];
        uint64_t value;
    } rows[NAMED_LIMIT];
    uint32_t count;
};

/* Whether a word, up to a blank or its end, begins with a name. */
bool named_is(const char *word);
/* What it stands for; false when the name has no value yet. */
bool named_value(const struct named_table *table, const char *word, uint64_t *value);
/*
 * Names what a step gave back. Numbers of `actual`, a text of `size` bytes, become the words that
 * `expected` has in their places, if they are the same; names without a value get one.
 */
void named_take(struct named_table *table, const char *expected, char *actual, size_t size);
/* Words that are the value of a name become the name. */
void named_replace(const struct named_table *table, char *text, size_t size);

#endif
