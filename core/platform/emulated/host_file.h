/*
 * Opening host files that sections may be made of.
 */
#ifndef NTMM_EMULATED_HOST_FILE_H
#define NTMM_EMULATED_HOST_FILE_H

#include <ntmm/types.h>

/* A regular file, to be closed by the caller; flags: NTMM_EMULATED_FILE_READ_ONLY, _CREATE. On
 * failure *file is -1. */
ntmm_status host_file_open(const char *path, uint32_t flags, int *file, uint64_t *size_bytes);

#endif
