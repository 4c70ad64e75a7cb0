/*
 * What the program asks of the system about files, sections and views, beside os.h. Handles are the
 * system's; 0 is none.
 */
#ifndef WINE_OS_SECTIONS_H
#define WINE_OS_SECTIONS_H

#include "os.h"

/* A new file of these bytes; NULL: each is the number of its page plus 1. */
uint32_t os_create_file(uint32_t rights, const uint8_t *bytes, uint64_t size, uint64_t *handle);
/* Another handle of it. */
uint32_t os_open_file(uint64_t file, uint32_t rights, uint64_t *handle);
uint32_t os_close(uint64_t handle);
/* All of them are closed, and go. */
void os_forget_files(void);
uint32_t os_file_size(uint64_t file, uint64_t *size);
uint32_t os_set_file_size(uint64_t file, uint64_t size);
/* *moved is set always. */
uint32_t os_read_file(uint64_t file, uint64_t offset, uint8_t *bytes, uint32_t size,
                      uint64_t *moved);
uint32_t os_write_file(uint64_t file, uint64_t offset, const uint8_t *bytes, uint32_t size,
                       uint64_t *moved);
uint32_t os_flush_file(uint64_t file);

uint32_t os_create_section(uint64_t *handle, uint32_t rights, uint64_t *size, uint32_t protect,
                           uint32_t attributes, uint64_t file);
uint32_t os_duplicate(uint64_t handle, uint32_t rights, uint64_t *duplicate);
uint32_t os_query_section(uint64_t section, uint32_t information_class, uint64_t *words,
                          uint64_t length, uint64_t *returned);
uint32_t os_extend_section(uint64_t section, uint64_t *size);

/* What map-view has beside its pointers. */
struct os_view {
    uint64_t zero_bits;
    uint64_t commit;
    uint32_t inherit;
    uint32_t type;
    uint32_t protect;
};

uint32_t os_map_view(uint64_t section, uint64_t process, uint64_t *base, uint64_t *offset,
                     uint64_t *size, const struct os_view *view);
uint32_t os_map_view_ex(uint64_t section, uint64_t process, uint64_t *base, uint64_t *offset,
                        uint64_t *size, uint32_t type, uint32_t protect,
                        const struct parameter *parameters, uint32_t count);
uint32_t os_unmap_view(uint64_t process, uint64_t address, uint32_t flags);
uint32_t os_is_same_file(uint64_t first, uint64_t second);
uint32_t os_flush(uint64_t process, uint64_t *base, uint64_t *size);

#endif
