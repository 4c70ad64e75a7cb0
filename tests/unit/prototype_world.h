/*
 * A machine with a page file and a section whose tables of prototypes are its own, for their tests.
 */
#ifndef NTMM_TEST_PROTOTYPE_WORLD_H
#define NTMM_TEST_PROTOTYPE_WORLD_H

#include "paging/page_out.h"
#include "section/prototype.h"
#include "unit/storage.h"
#include "workingset/area_tables.h"

#include <ntmm/file.h>
#include <ntmm/section.h>

#define RW NTMM_PAGE_READWRITE
#define SPAN (2 * MIB) /* of a table of prototypes */

static inline void must(ntmm_status status) { assert_int_equal(status, NTMM_STATUS_SUCCESS); }

static inline struct machine *open_with_page_file(uint64_t ram_bytes)
{
    const struct machine_setup setup = {
        .hardware = {.ram_bytes = ram_bytes, .cpu_count = 4},
        .core = {.extra_commit_pages = 1u << 20},
    };
    struct machine *m = machine_open(&setup);
    must(page_out_add_file(m->emu));
    return m;
}

static inline ntmm_handle make_section(struct machine *m, uint64_t bytes, uint32_t attributes,
                                       ntmm_handle file)
{
    ntmm_handle section = 0;
    must(ntmm_create_section(m->system, &section, NTMM_SECTION_ALL_ACCESS, NULL, &bytes, RW,
                             attributes, file));
    return section;
}

static inline uint64_t map_in(struct machine *m, ntmm_handle process, ntmm_handle section,
                              uint32_t protect)
{
    uint64_t base = 0, size = 0;
    must(ntmm_map_view_of_section(m->system, section, process, &base, 0, 0, NULL, &size,
                                  NTMM_VIEW_SHARE, 0, protect));
    return base;
}

static inline uint64_t map(struct machine *m, ntmm_handle section)
{
    return map_in(m, m->process, section, RW);
}

static inline void unmap(struct machine *m, uint64_t base)
{
    must(ntmm_unmap_view_of_section(m->system, m->process, base, 0));
}

/* The area that was made last. */
static inline struct control_area *newest_area(struct machine *m)
{
    struct call c = machine_call(m);
    return area_at(&c, get64(&machine_anchor(m)->areas_head));
}

static inline ntmm_handle open_file(struct machine *m, uint64_t bytes, uint64_t valid_bytes)
{
    ntmm_handle file = 0;
    struct ntmm_emulated_file_config device = {.size = sizeof device,
                                               .version = NTMM_EMULATED_FILE_VERSION,
                                               .size_bytes = bytes,
                                               .maximum_bytes = 2 * bytes};
    struct ntmm_file_config config = {.size = sizeof config,
                                      .version = NTMM_FILE_CONFIG_VERSION,
                                      .size_bytes = bytes,
                                      .valid_bytes = valid_bytes};
    must(ntmm_emulated_add_file(m->emu, &device, &config.device, NULL));
    must(ntmm_create_file(m->system, &config, NTMM_FILE_READ_DATA | NTMM_FILE_WRITE_DATA, &file));
    return file;
}

static inline uint64_t commit_of(struct machine *m) { return machine_memory(m).commit_pages; }

/* A page in each of so many tables, `inside` of it. */
static inline void fill_tables(struct machine *m, uint64_t base, uint64_t tables, uint64_t inside)
{
    for (uint64_t i = 0; i < tables; i++)
        must_write(m, base + i * SPAN + inside, i * 3 + 1);
}

static inline void hold_tables(struct machine *m, uint64_t base, uint64_t tables, uint64_t inside)
{
    for (uint64_t i = 0; i < tables; i++)
        assert_int_equal(must_read(m, base + i * SPAN + inside), i * 3 + 1);
}

/* Use frames until so many are left and nothing else can go, for one use. */
typedef ntmm_status (*use_of_page)(struct machine *m, uint64_t va);

static inline ntmm_status use_with(struct machine *m, uint64_t left, use_of_page use, uint64_t va)
{
    struct call c = machine_call(m);
    struct frame_chain hog = chain_empty(), rest = chain_empty();
    for (uint64_t frame, i = 0; frame_allocate(&c, NTMM_USE_FREE, &frame); i++)
        chain_add(&c, i < left ? &rest : &hog, frame);
    chain_free(&c, &rest);
    ntmm_status status = use(m, va);
    chain_free(&c, &hog);
    return status;
}

#endif
