/*
 * Pages of files, one fault at a time, over a device that completes inside its submission. It moves
 * nothing of data files; of the image file it moves the bytes, by the platform's own write.
 *
 *   file_read           a page of a view, read from the file; read-ahead is off
 *   file_read_cluster   the same with seven more pages read along: the whole fault
 *   file_make_dirty     the first store to a page that was read
 *   image_read          a page of an image at its preferred address
 *   image_relocate      the same elsewhere: each page has one address to correct
 */
#include "scenarios.h"

#include <stdlib.h>
#include <string.h>

#include "../unit/pe_write.h"
#include "base/instance.h"

#include <ntmm/file.h>
#include <ntmm/section.h>

#define RAM_BYTES (40 * MEBIBYTE)
#define DATA_DEVICE 2u /* the page file's is 0 */
#define IMAGE_DEVICE 3u
#define IMAGE_PAGES 1024u /* of .text */
#define RELOCATION_BYTES 12u
#define RAW_TEXT NTMM_PAGE_SIZE /* in the file, as in memory */
#define RAW_RELOCATIONS (RAW_TEXT + IMAGE_PAGES * NTMM_PAGE_SIZE)
#define IMAGE_BYTES (RAW_RELOCATIONS + 4 * NTMM_PAGE_SIZE)
#define PREFERRED_BASE 0x180000000ull
#define DYNAMIC_BASE 0x40u /* DllCharacteristics */

/* --- the device --- */

static uint8_t *image_file;

static ntmm_status submit_image(void *context, struct ntmm_io *io)
{
    const struct ntmm_platform *platform = ntmm_emulated_platform(context);
    io->status = platform->write(context, io->spans, io->span_count, image_file + io->offset_bytes);
    io->transferred_bytes = 0;
    for (uint32_t i = 0; i < io->span_count; i++)
        io->transferred_bytes += io->spans[i].size_bytes;
    io->complete(io);
    return NTMM_STATUS_SUCCESS;
}

static ntmm_handle open_file(struct machine *m, uint64_t device, uint64_t bytes)
{
    ntmm_handle file;
    const struct ntmm_file_config config = {.size = sizeof config,
                                            .version = NTMM_FILE_CONFIG_VERSION,
                                            .device = device,
                                            .size_bytes = bytes,
                                            .valid_bytes = bytes};
    must_be(ntmm_create_file(m->system, &config,
                             NTMM_FILE_READ_DATA | NTMM_FILE_WRITE_DATA | NTMM_FILE_EXECUTE, &file),
            NTMM_STATUS_SUCCESS);
    return file;
}

/* --- states in which a scenario begins --- */

/* A view of PAGES pages of a file at BASE, untouched. */
static void prepare_view(struct machine *m, uint64_t protect)
{
    uint64_t base = BASE, bytes = PAGES * NTMM_PAGE_SIZE, size = 0;
    ntmm_handle file = open_file(m, DATA_DEVICE, bytes);
    must_be(ntmm_create_section(m->system, &m->section, NTMM_SECTION_ALL_ACCESS, NULL, &bytes,
                                (uint32_t)protect, NTMM_SEC_COMMIT, file),
            NTMM_STATUS_SUCCESS);
    must_be(ntmm_map_view_of_section(m->system, m->section, m->process, &base, 0, 0, NULL, &size,
                                     NTMM_VIEW_SHARE, 0, (uint32_t)protect),
            NTMM_STATUS_SUCCESS);
}

static void run_reads(struct machine *m)
{
    for (uint64_t i = 0; i < PAGES; i++)
        must_be_kind(m, BASE + i * NTMM_PAGE_SIZE, 0, NTMM_FAULT_KIND_HARD);
}

static void prepare_read_view(struct machine *m, uint64_t protect)
{
    prepare_view(m, protect);
    run_reads(m);
}

static void put(uint32_t at, uint64_t value, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        image_file[at + i] = (uint8_t)(value >> 8 * i);
}

static void put_section(uint32_t number, const char *name, uint32_t place, uint32_t bytes,
                        uint32_t characteristics)
{
    uint32_t at = PE_OPTIONAL + 0xF0 + number * 40;
    memcpy(image_file + at, name, strlen(name));
    put(at + 8, bytes, 4);
    put(at + 12, place, 4);
    put(at + 16, bytes, 4);
    put(at + 20, place, 4);
    put(at + 36, characteristics, 4);
}

/* One pointer of 64 bits to correct in each page of .text. */
static void put_relocations(void)
{
    for (uint32_t i = 0; i < IMAGE_PAGES; i++) {
        uint32_t block = RAW_RELOCATIONS + i * RELOCATION_BYTES;
        put(block, RAW_TEXT + i * NTMM_PAGE_SIZE, 4);
        put(block + 4, RELOCATION_BYTES, 4);
        put(block + 8, 10u << 12 | 0x100, 2);
        put(RAW_TEXT + i * NTMM_PAGE_SIZE + 0x100, PREFERRED_BASE + RAW_TEXT, 8);
    }
}

static void make_image(void)
{
    image_file = calloc(1, IMAGE_BYTES);
    must(image_file != NULL, "out of memory");
    memcpy(image_file, "MZ", 2);
    put(0x3C, PE_OFFSET, 4);
    memcpy(image_file + PE_OFFSET, "PE", 2);
    put(PE_MACHINE, 0x8664, 2);
    put(PE_SECTION_COUNT, 2, 2);
    put(PE_OPTIONAL_BYTES, 0xF0, 2);
    put(PE_CHARACTERISTICS, 0x2022, 2); /* a DLL */
    put(PE_MAGIC, 0x20B, 2);
    put(PE_BASE_64, PREFERRED_BASE, 8);
    put(PE_SECTION_ALIGNMENT, NTMM_PAGE_SIZE, 4);
    put(PE_FILE_ALIGNMENT, NTMM_PAGE_SIZE, 4);
    put(PE_OPTIONAL + 48, 6, 2); /* MajorSubsystemVersion */
    put(PE_IMAGE_BYTES, IMAGE_BYTES, 4);
    put(PE_HEADER_BYTES, NTMM_PAGE_SIZE, 4);
    put(PE_SUBSYSTEM, 3, 2);
    put(PE_DIRECTORY_COUNT_64, 16, 4);
    put(PE_DIRECTORIES_64 + 8 * PE_DIRECTORY_RELOCATION, RAW_RELOCATIONS, 4);
    put(PE_DIRECTORIES_64 + 8 * PE_DIRECTORY_RELOCATION + 4, IMAGE_PAGES * RELOCATION_BYTES, 4);
    put_section(0, ".text", RAW_TEXT, IMAGE_PAGES * NTMM_PAGE_SIZE, PE_READ | PE_EXECUTE | 0x20);
    put_section(1, ".reloc", RAW_RELOCATIONS, 4 * NTMM_PAGE_SIZE, PE_READ | 0x40);
    put_relocations();
}

/* The image, mapped at its preferred address or, when that is its wish, elsewhere. */
static void prepare_image(struct machine *m, uint64_t characteristics)
{
    uint64_t base = 0, size = 0, zero = 0;
    make_image();
    m->system->platform.submit = submit_image;
    put(PE_DLL_CHARACTERISTICS, characteristics, 2);
    must_be(ntmm_create_section(m->system, &m->section, NTMM_SECTION_ALL_ACCESS, NULL, &zero,
                                NTMM_PAGE_EXECUTE, NTMM_SEC_IMAGE,
                                open_file(m, IMAGE_DEVICE, IMAGE_BYTES)),
            NTMM_STATUS_SUCCESS);
    must_be(ntmm_map_view_of_section(m->system, m->section, m->process, &base, 0, 0, NULL, &size,
                                     NTMM_VIEW_SHARE, 0, NTMM_PAGE_READONLY),
            NTMM_STATUS_SUCCESS);
    must((base != PREFERRED_BASE) == (characteristics != 0), "the image is at another address");
    m->image = base + RAW_TEXT;
}

/* --- what is counted --- */

static void run_cluster_reads(struct machine *m)
{
    for (uint64_t i = 0; i < PAGES; i += CLUSTER_PAGES)
        must_be_kind(m, BASE + i * NTMM_PAGE_SIZE, 0, NTMM_FAULT_KIND_HARD);
}

static void run_first_stores(struct machine *m)
{
    for (uint64_t i = 0; i < PAGES; i++)
        must_be_kind(m, BASE + i * NTMM_PAGE_SIZE, NTMM_FAULT_WRITE | NTMM_FAULT_PRESENT,
                     NTMM_FAULT_KIND_MAKE_DIRTY);
}

static void run_image_reads(struct machine *m)
{
    for (uint64_t i = 0; i < IMAGE_PAGES; i++)
        must_be_kind(m, m->image + i * NTMM_PAGE_SIZE, 0, NTMM_FAULT_KIND_HARD);
}

const struct scenario file_scenarios[] = {
    {"file_read", RAM_BYTES, NTMM_PAGE_READWRITE, PAGES, prepare_view, run_reads, false},
    {"file_make_dirty", RAM_BYTES, NTMM_PAGE_READWRITE, PAGES, prepare_read_view, run_first_stores,
     false},
    {"image_read", RAM_BYTES, 0, IMAGE_PAGES, prepare_image, run_image_reads, false},
    {"image_relocate", RAM_BYTES, DYNAMIC_BASE, IMAGE_PAGES, prepare_image, run_image_reads, false},
};
const struct scenario clustered_scenarios[] = {
    {"file_read_cluster", RAM_BYTES, NTMM_PAGE_READWRITE, PAGES / CLUSTER_PAGES, prepare_view,
     run_cluster_reads, false},
};
const uint32_t clustered_scenario_count = sizeof clustered_scenarios / sizeof *clustered_scenarios;

const uint32_t file_scenario_count = sizeof file_scenarios / sizeof *file_scenarios;
