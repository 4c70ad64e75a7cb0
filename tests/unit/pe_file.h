/*
 * PE files of pe_write.h as sources of images, and what an image promises.
 */
#ifndef NTMM_TESTS_UNIT_PE_FILE_H
#define NTMM_TESTS_UNIT_PE_FILE_H

#include "section/image.h"
#include "unit/pe_write.h"

struct image_source pe_source(struct pe_file *file);

/* image_parse as the default build. */
ntmm_status pe_parse(struct pe_file *file, struct image *image);

/* What of *image breaks what image.h promises, or NULL. */
const char *pe_broken_promise(const struct image *image, uint64_t file_bytes);

#endif
