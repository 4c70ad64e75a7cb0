/*
 * An owner of images: views of two sections of one PE file, whose pages are relocated as they are
 * read, and whose writable pages are copied when they are written.
 *
 *   file    headers, .text with fixups, .data, a section of fixups
 *   view    pages as the flat image at the base that the section was moved to (pe_flat.h), but for
 *           words that this view was written at
 *
 * Contents of pages that nobody wrote come from the file or nowhere: its reads may fail and be torn
 * like all others.
 */
#include "sim/sim.h"

#include "unit/pe_file.h"
#include "unit/pe_flat.h"

#include <ntmm/file.h>
#include <ntmm/section.h>

#include <stdlib.h>
#include <string.h>

#define PAGE UINT64_C(0x1000)
#define VIEWS 2u
#define MOST_PAGES 16u
#define DATA_RVA 0x3000u
#define DATA_PAGES 3u
#define DYNAMIC_BASE 0x160u

struct view {
    uint64_t base; /* 0: not mapped */
    le64 words[DATA_PAGES];
    bool is_written[DATA_PAGES];
};

struct images {
    struct owner owner;
    struct pe_file pe;
    struct image image;
    uint8_t directory[64];
    uint8_t flat[MOST_PAGES * PAGE]; /* at the base below */
    uint64_t flat_base;
    ntmm_handle file;
    ntmm_handle section; /* 0: none */
    struct view views[VIEWS];
};

static void must(struct images *m, ntmm_status status, const char *why)
{
    if (status != NTMM_STATUS_SUCCESS)
        sim_fail(m->owner.sim, why);
}

/* --- files and sections --- */

static void open_file(struct images *m)
{
    struct sim *sim = m->owner.sim;
    struct ntmm_emulated_file_config device = {
        .size = sizeof device,
        .version = NTMM_EMULATED_FILE_VERSION,
        .contents = m->pe.bytes,
        .size_bytes = m->pe.size_bytes,
        .maximum_latency_pumps = sim->shape.latency_pumps,
    };
    struct ntmm_file_config file = {
        .size = sizeof file,
        .version = NTMM_FILE_CONFIG_VERSION,
        .size_bytes = m->pe.size_bytes,
        .valid_bytes = m->pe.size_bytes,
    };
    uint32_t tries = 0;
    must(m, ntmm_emulated_add_file(sim->emu, &device, &file.device, NULL), "no file of an image");
    sim->image_device = file.device;
    while (owner_repeats(
        &m->owner,
        ntmm_create_file(sim->system, &file, NTMM_FILE_READ_DATA | NTMM_FILE_EXECUTE, &m->file),
        &tries)) {
    }
}

static void make_section(struct images *m)
{
    uint32_t tries = 0;
    while (owner_repeats(&m->owner,
                         ntmm_create_section(m->owner.sim->system, &m->section,
                                             NTMM_SECTION_ALL_ACCESS, NULL, NULL,
                                             NTMM_PAGE_EXECUTE_READ, NTMM_SEC_IMAGE, m->file),
                         &tries)) {
    }
}

static void close_section(struct images *m)
{
    uint32_t tries = 0;
    while (owner_repeats(&m->owner, ntmm_close_section(m->owner.sim->system, m->section), &tries)) {
    }
    m->section = 0;
}

/* --- views --- */

/* What the image is at a base. */
static void flatten(struct images *m, uint64_t base)
{
    struct image_source source = pe_source(&m->pe);
    must(m, pe_flat_image(&source, &m->image, m->directory, base, m->flat), "no flat image");
    m->flat_base = base;
}

static bool is_mapped(const struct images *m)
{
    for (uint32_t i = 0; i < VIEWS; i++) {
        if (m->views[i].base != 0)
            return true;
    }
    return false;
}

static void map(struct images *m, struct view *view)
{
    struct sim *sim = m->owner.sim;
    bool was_mapped = is_mapped(m);
    uint32_t tries = 0;
    ntmm_status status;
    do {
        uint64_t size = 0;
        view->base = 0;
        status = ntmm_map_view_of_section(sim->system, m->section, m->owner.process, &view->base, 0,
                                          0, NULL, &size, NTMM_VIEW_SHARE, 0, NTMM_PAGE_READONLY);
        if (status == NTMM_STATUS_IMAGE_NOT_AT_BASE) {
            sim->services[SERVICE_IMAGE_MOVED]++;
            status = NTMM_STATUS_SUCCESS;
        }
    } while (owner_repeats(&m->owner, status, &tries));
    sim->services[SERVICE_IMAGE]++;
    memset(view->is_written, 0, sizeof view->is_written);
    if (!was_mapped && m->flat_base == 0)
        flatten(m, view->base); /* the first of all: there the section was moved to */
}

static void unmap(struct images *m, struct view *view)
{
    uint32_t tries = 0;
    while (owner_repeats(
        &m->owner,
        ntmm_unmap_view_of_section(m->owner.sim->system, m->owner.process, view->base, 0),
        &tries)) {
    }
    view->base = 0;
}

static void compare_page(struct images *m, const struct view *view, uint32_t page)
{
    uint8_t bytes[PAGE], expected[PAGE];
    uint32_t tries = 0, data = page - DATA_RVA / (uint32_t)PAGE;
    memcpy(expected, m->flat + page * PAGE, PAGE);
    if (page >= DATA_RVA / PAGE && data < DATA_PAGES && view->is_written[data])
        memcpy(expected, &view->words[data], sizeof view->words[data]);
    while (owner_repeats(&m->owner,
                         ntmm_emulated_load(m->owner.sim->emu, m->owner.cpu,
                                            view->base + page * PAGE, bytes, PAGE, NULL, NULL),
                         &tries)) {
    }
    if (memcmp(bytes, expected, PAGE) != 0)
        sim_fail(m->owner.sim, "a page of an image is not what its file says");
}

static void write_data(struct images *m, struct view *view, uint64_t draw)
{
    uint32_t data = (uint32_t)(draw >> 16) % DATA_PAGES;
    set64(&view->words[data], draw | 1);
    owner_store(&m->owner, view->base + DATA_RVA + data * PAGE, draw | 1);
    view->is_written[data] = true;
    m->owner.sim->services[SERVICE_IMAGE_WRITE]++;
}

/* --- the owner --- */

static void run_record(struct owner *owner, uint64_t *state)
{
    struct images *m = (struct images *)owner;
    uint64_t draw = splitmix64(state);
    struct view *view = &m->views[draw & (VIEWS - 1)];
    if (m->file == 0)
        open_file(m);
    if (m->section == 0)
        make_section(m);
    if (view->base == 0) {
        map(m, view);
        return;
    }
    switch (draw >> 32 & 15) {
    case 0:
        unmap(m, view);
        break;
    case 1:
        close_section(m); /* views keep the image, and so its base */
        break;
    case 2:
    case 3:
    case 4:
        write_data(m, view, draw);
        break;
    default:
        compare_page(m, view, (uint32_t)(draw >> 8) % m->image.image_pages);
        break;
    }
}

static void check(struct owner *owner)
{
    struct images *m = (struct images *)owner;
    for (uint32_t i = 0; i < VIEWS; i++) {
        for (uint32_t page = 0; m->views[i].base != 0 && page < m->image.image_pages; page++)
            compare_page(m, &m->views[i], page);
    }
}

static void end(struct owner *owner)
{
    struct images *m = (struct images *)owner;
    if (m->section != 0)
        close_section(m);
    if (m->file != 0)
        must(m, ntmm_close_file(owner->sim->system, m->file), "the file of an image is not closed");
}

struct owner *images_make(void)
{
    struct images *m = calloc(1, sizeof *m);
    if (m == NULL)
        abort();
    pe_make(&m->pe, true);
    pe_add_relocations(&m->pe, DYNAMIC_BASE);
    struct image_source source = pe_source(&m->pe);
    if (pe_parse(&m->pe, &m->image) != NTMM_STATUS_SUCCESS || m->image.image_pages > MOST_PAGES ||
        image_read_rva(&source, &m->image, m->image.relocation_rva, m->directory,
                       m->image.relocation_bytes) != NTMM_STATUS_SUCCESS)
        abort();
    m->owner.run_record = run_record;
    m->owner.check = check;
    m->owner.end = end;
    return &m->owner;
}
