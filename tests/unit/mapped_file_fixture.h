/*
 * A file of so many pages, and a view of it that may write, of a process on the first processor.
 */
#ifndef NTMM_TEST_MAPPED_FILE_FIXTURE_H
#define NTMM_TEST_MAPPED_FILE_FIXTURE_H

#include "section_world.h"

struct fixture {
    struct world w;
    ntmm_handle process, file, section;
    uint64_t device, base;
};

/* size and version of the configuration are filled in here. */
static inline void begin_fixture(struct fixture *f, uint64_t ram_bytes, uint64_t pages,
                                 struct ntmm_config config)
{
    struct ntmm_emulated_config c = {
        .size = sizeof c, .version = NTMM_EMULATED_CONFIG_VERSION, .ram_bytes = ram_bytes};
    config.size = sizeof config;
    config.version = NTMM_CONFIG_VERSION;
    check_ok(ntmm_emulated_create(&c, &f->w.emu));
    check_ok(ntmm_emulated_create_system(f->w.emu, &config, &f->w.system));
    f->process = make_process(&f->w);
    attach(&f->w, 0, f->process);
    f->device = add_memory_file(&f->w, pages * PAGE, 64 * MIB, 0);
    f->file = open_device(&f->w, f->device, pages * PAGE);
    f->section = make_section(&f->w, 0, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, f->file);
    f->base = map(&f->w, f->section, f->process, NTMM_PAGE_READWRITE);
}

static inline void close_fixture(struct fixture *f)
{
    check_world(&f->w);
    unmap(&f->w, f->process, f->base);
    close_section(&f->w, f->section);
    close_file(&f->w, f->file);
    check_ok(ntmm_end_process(f->w.system, f->process));
    end_world(&f->w);
}

#endif
