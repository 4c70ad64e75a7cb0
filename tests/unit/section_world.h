/*
 * A machine with files and sections, for their tests.
 */
#ifndef NTMM_TEST_SECTION_WORLD_H
#define NTMM_TEST_SECTION_WORLD_H

#include "emulated_world.h"

#include <ntmm/file.h>
#include <ntmm/memory.h>
#include <ntmm/paging.h>
#include <ntmm/section.h>

#include <string.h>

#define ALL_FILE (NTMM_FILE_READ_DATA | NTMM_FILE_WRITE_DATA | NTMM_FILE_EXECUTE)

static inline void make_section_world(struct world *w, uint64_t ram_bytes)
{
    make_world(w, (struct ntmm_emulated_config){.ram_bytes = ram_bytes, .cpu_count = 4, .seed = 7},
               0);
}

static inline void check_ok(ntmm_status status) { assert_int_equal(status, NTMM_STATUS_SUCCESS); }

/* With two processes, on the first two processors. */
static inline void make_pair_world(struct world *w, ntmm_handle *first, ntmm_handle *second)
{
    make_section_world(w, 8 * MIB);
    *first = make_process(w);
    *second = make_process(w);
    attach(w, 0, *first);
    attach(w, 1, *second);
}

static inline void end_pair_world(struct world *w, ntmm_handle first, ntmm_handle second)
{
    check_world(w);
    check_ok(ntmm_end_process(w->system, first));
    check_ok(ntmm_end_process(w->system, second));
    end_world(w);
}

static inline uint64_t add_page_file(struct world *w, uint64_t bytes)
{
    struct ntmm_emulated_disk_config disk = {.size = sizeof disk,
                                             .version = NTMM_EMULATED_DISK_VERSION,
                                             .size_bytes = bytes,
                                             .maximum_bytes = bytes};
    struct ntmm_paging_file_config config = {
        .size = sizeof config, .version = NTMM_PAGING_FILE_VERSION, .initial_bytes = bytes};
    check_ok(ntmm_emulated_add_disk(w->emu, &disk, &config.device));
    check_ok(ntmm_create_paging_file(w->system, &config, NULL));
    return config.device;
}

/* A file in memory whose byte i is (i * 7 + i / 4096) % 251, open with all access. */
static inline uint8_t pattern(uint64_t i) { return (uint8_t)((i * 7 + i / 4096) % 251); }

static inline uint64_t add_memory_file(struct world *w, uint64_t bytes, uint64_t most,
                                       uint32_t flags)
{
    uint64_t device;
    uint8_t *contents = malloc(bytes + 1);
    assert_non_null(contents);
    for (uint64_t i = 0; i < bytes; i++)
        contents[i] = pattern(i);
    struct ntmm_emulated_file_config config = {.size = sizeof config,
                                               .version = NTMM_EMULATED_FILE_VERSION,
                                               .contents = contents,
                                               .size_bytes = bytes,
                                               .maximum_bytes = most,
                                               .flags = flags};
    check_ok(ntmm_emulated_add_file(w->emu, &config, &device, NULL));
    free(contents);
    return device;
}

static inline ntmm_handle open_device(struct world *w, uint64_t device, uint64_t bytes)
{
    ntmm_handle file = 0;
    struct ntmm_file_config config = {.size = sizeof config,
                                      .version = NTMM_FILE_CONFIG_VERSION,
                                      .device = device,
                                      .size_bytes = bytes,
                                      .valid_bytes = bytes};
    check_ok(ntmm_create_file(w->system, &config, ALL_FILE, &file));
    return file;
}

/* A file in memory that holds these bytes. */
static inline ntmm_handle open_contents(struct world *w, const void *contents, uint64_t bytes)
{
    uint64_t device;
    struct ntmm_emulated_file_config config = {.size = sizeof config,
                                               .version = NTMM_EMULATED_FILE_VERSION,
                                               .contents = contents,
                                               .size_bytes = bytes};
    check_ok(ntmm_emulated_add_file(w->emu, &config, &device, NULL));
    return open_device(w, device, bytes);
}

static inline ntmm_handle make_file(struct world *w, uint64_t bytes)
{
    return open_device(w, add_memory_file(w, bytes, 16 * MIB, 0), bytes);
}

static inline ntmm_handle make_section(struct world *w, uint64_t bytes, uint32_t protect,
                                       uint32_t attributes, ntmm_handle file)
{
    ntmm_handle section = 0;
    check_ok(ntmm_create_section(w->system, &section, NTMM_SECTION_ALL_ACCESS, NULL, &bytes,
                                 protect, attributes, file));
    return section;
}

static inline uint64_t map(struct world *w, ntmm_handle section, ntmm_handle process,
                           uint32_t protect)
{
    uint64_t base = 0, size = 0;
    check_ok(ntmm_map_view_of_section(w->system, section, process, &base, 0, 0, NULL, &size,
                                      NTMM_VIEW_SHARE, 0, protect));
    return base;
}

static inline void unmap(struct world *w, ntmm_handle process, uint64_t base)
{
    check_ok(ntmm_unmap_view_of_section(w->system, process, base, 0));
}

static inline void close_section(struct world *w, ntmm_handle section)
{
    check_ok(ntmm_close_section(w->system, section));
}

static inline void close_file(struct world *w, ntmm_handle file)
{
    check_ok(ntmm_close_file(w->system, file));
}

static inline struct ntmm_process_information about(struct world *w, ntmm_handle process)
{
    struct ntmm_process_information information;
    check_ok(ntmm_query_process(w->system, process, &information));
    return information;
}

static inline struct ntmm_memory_basic_information query(struct world *w, ntmm_handle process,
                                                         uint64_t address)
{
    struct ntmm_memory_basic_information found;
    check_ok(ntmm_query_virtual_memory(w->system, process, address, &found));
    return found;
}

#endif
