/*
 * Bytes of host files, whole or not at all: what is interrupted goes on, what ends early is false.
 */
#ifndef NTMM_EMULATED_FILE_BYTES_H
#define NTMM_EMULATED_FILE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool file_write_all(int file, const void *bytes, size_t size, uint64_t offset);
bool file_read_all(int file, void *bytes, size_t size, uint64_t offset);

/* The pages of a run that are not all zero; where they are, the file keeps what it has. */
bool file_write_pages(int file, const uint8_t *bytes, size_t size, uint64_t offset);

#endif
