/*
 * What the program asks of kernel32, beside os.h. Each gives back the last error, 0 of a success.
 */
#ifndef WINE_OS_WIN32_H
#define WINE_OS_WIN32_H

#include "os.h"

uint32_t os_virtual_free(uint64_t process, uint64_t address, uint64_t size, uint32_t type);
/* *written is left as it was when the system leaves it. */
uint32_t os_write_process_memory(uint64_t process, uint64_t address, const uint8_t *bytes,
                                 uint64_t size, uint64_t *written);
/* *base: where, or 0; then where the view lies. */
uint32_t os_map_view_of_file(uint64_t section, uint32_t access, uint64_t offset, uint64_t size,
                             uint64_t *base);
uint32_t os_error_of(uint32_t status);

#endif
