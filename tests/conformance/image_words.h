/*
 * A PE file from words, such as
 *
 *     section:.text:rx:0x1000:0x200 section:.data:rw:0x2000:0x200 dll:0x40 relocation:0x1010
 *
 * docs/conformance.md has the words. They are applied in three rounds, whatever order they stand
 * in: the format, the sections, single fields. No C library is needed: the Windows program of
 * tests/wine has this file too.
 */
#ifndef CONFORMANCE_IMAGE_WORDS_H
#define CONFORMANCE_IMAGE_WORDS_H

#include "unit/pe_write.h"

#define IMAGE_WORDS_BASE 0x240000000ull /* which a PE32+ file prefers that says nothing else */

/* Fills *file by the words of a text behind the first `skipped` ones. NULL, or what is wrong. */
const char *image_words_build(struct pe_file *file, const char *text, uint32_t skipped);

#endif
