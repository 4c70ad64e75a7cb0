/*
 * The section table of a PE image as subsections, and what each page holds. See image.h.
 *
 * Sections follow the headers and one another without a hole, each at the next multiple of the
 * section alignment. A section's bytes come from whole sectors of the file: what follows its raw
 * data in the last sector can be seen, what follows that sector is zeros. Only the bits for read,
 * write, execute and share decide the protection. A flat image has one subsection, the file.
 *
 * Source: nt_semantics 5.1 to 5.3.
 */
#include "base/bits.h"
#include "section/bytes.h"
#include "section/image.h"
#include "x64/formats.h"

#include <ntmm/status.h>

#define SECTION_HEADER_BYTES 40u
#define SECTOR_BYTES 512u

/* Offsets in a section header. */
enum {
    SECTION_VIRTUAL_SIZE = 8,
    SECTION_RVA = 12,
    SECTION_RAW_BYTES = 16,
    SECTION_RAW_OFFSET = 20,
    SECTION_CHARACTERISTICS = 36,
};

/* Bits 31:28 of a section's characteristics, shifted to 3:0. */
enum { MEM_SHARED = 1, MEM_EXECUTE = 2, MEM_READ = 4, MEM_WRITE = 8, MEM_SHIFT = 28 };

struct section {
    uint64_t rva;
    uint64_t virtual_bytes; /* the raw size, if the header says 0 */
    uint64_t raw_offset;
    uint64_t raw_bytes; /* 0: no content in the file */
    uint32_t access;    /* MEM_* */
};

static uint32_t pages_of(uint64_t bytes)
{
    return (uint32_t)(round_up(bytes, NTMM_PAGE_SIZE) >> NTMM_PAGE_SHIFT);
}

static bool is_shared(uint32_t access) { return (access & MEM_SHARED) && (access & MEM_WRITE); }

static uint32_t protection_of(uint32_t access)
{
    bool executes = access & MEM_EXECUTE;
    if (is_shared(access))
        return executes ? PROT_EXECUTE_READWRITE : PROT_READWRITE;
    if (access & MEM_WRITE)
        return executes ? PROT_EXECUTE_WRITECOPY : PROT_WRITECOPY;
    if (access & MEM_READ)
        return executes ? PROT_EXECUTE_READ : PROT_READONLY;
    return executes ? PROT_EXECUTE : PROT_NOACCESS;
}

static void take_section(const uint8_t *header, struct section *section)
{
    section->rva = bytes_get32(header + SECTION_RVA);
    section->virtual_bytes = bytes_get32(header + SECTION_VIRTUAL_SIZE);
    section->raw_bytes = bytes_get32(header + SECTION_RAW_BYTES);
    section->raw_offset = bytes_get32(header + SECTION_RAW_OFFSET);
    section->access = bytes_get32(header + SECTION_CHARACTERISTICS) >> MEM_SHIFT;
    if (section->virtual_bytes == 0)
        section->virtual_bytes = section->raw_bytes;
    if (section->raw_offset == 0)
        section->raw_bytes = 0;
}

/* Whether the raw data are in the file, and begin at a sector. A start inside the headers counts
 * from its sector on. */
static bool raw_data_is_well(const struct section *section, const struct image *image,
                             uint64_t file_bytes)
{
    uint64_t end = section->raw_offset + section->raw_bytes;
    if (section->raw_bytes == 0)
        return true;
    if (end > UINT32_MAX || end > file_bytes)
        return false;
    return is_multiple(section->raw_offset, SECTOR_BYTES) ||
           section->raw_offset < image->header_bytes;
}

static struct image_subsection subsection_of(const struct section *section, uint64_t file_bytes)
{
    struct image_subsection made = {
        .first_page = (uint32_t)(section->rva >> NTMM_PAGE_SHIFT),
        .section_pages = pages_of(section->virtual_bytes),
        .protection = protection_of(section->access),
        .is_shared = is_shared(section->access),
    };
    uint64_t room = (uint64_t)made.section_pages << NTMM_PAGE_SHIFT;
    made.page_count = made.section_pages;
    made.backed_pages = pages_of(min_u64(section->raw_bytes, room));
    if (made.backed_pages == 0)
        return made;
    uint64_t bytes = round_up(section->raw_bytes, SECTOR_BYTES);
    made.file_offset = round_down(section->raw_offset, SECTOR_BYTES);
    bytes = min_u64(bytes, (uint64_t)made.backed_pages << NTMM_PAGE_SHIFT);
    made.file_bytes = (uint32_t)min_u64(bytes, file_bytes - made.file_offset);
    return made;
}

static struct image_subsection *last_of(struct image *image)
{
    return &image->subsections[image->subsection_count - 1];
}

/* What comes next begins at `page`: what lies between is the last one's, without access. */
static void end_last_at(struct image *image, uint32_t page)
{
    struct image_subsection *last = last_of(image);
    last->page_count = page - last->first_page;
}

static void add(struct image *image, struct image_subsection subsection)
{
    NTMM_ASSERT(image->subsection_count < IMAGE_SUBSECTIONS_MAX);
    image->subsections[image->subsection_count++] = subsection;
}

/* *next: the least address at which the section may begin, and the only one. */
static bool add_section(const struct image_source *source, const struct section *section,
                        uint32_t alignment, struct image *image, uint64_t *next)
{
    uint64_t end = section->rva + section->virtual_bytes;
    uint64_t image_end = (uint64_t)image->image_pages << NTMM_PAGE_SHIFT;
    if (section->virtual_bytes == 0 || section->rva != *next)
        return false;
    if (round_up(end, NTMM_PAGE_SIZE) > image_end)
        return false;
    if (!raw_data_is_well(section, image, source->file_bytes))
        return false;
    struct image_subsection made = subsection_of(section, source->file_bytes);
    end_last_at(image, made.first_page);
    add(image, made);
    image->contains_code |= (section->access & MEM_EXECUTE) != 0;
    *next = round_up(end, alignment);
    return true;
}

static ntmm_status add_sections(const struct image_source *source, uint64_t table, uint32_t count,
                                uint32_t alignment, struct image *image)
{
    uint8_t header[SECTION_HEADER_BYTES];
    struct section section;
    uint64_t next = round_up(max_u64(image->header_bytes, 1), alignment);
    for (uint32_t i = 0; i < count; i++) {
        ntmm_status status = source->read(source->context, table + i * SECTION_HEADER_BYTES, header,
                                          SECTION_HEADER_BYTES);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        take_section(header, &section);
        if (!add_section(source, &section, alignment, image, &next))
            return NTMM_STATUS_INVALID_IMAGE_FORMAT;
    }
    return NTMM_STATUS_SUCCESS;
}

/* Subsection 0: the headers, at least one page; or all of a flat image. */
static void add_first(uint64_t file_bytes, struct image *image)
{
    uint64_t image_end = (uint64_t)image->image_pages << NTMM_PAGE_SHIFT;
    uint64_t content = min_u64(image->is_flat ? image_end : image->header_bytes, file_bytes);
    uint32_t pages = image->is_flat ? image->image_pages : pages_of(image->header_bytes);
    struct image_subsection first = {
        .section_pages = (uint32_t)max_u64(pages, 1),
        .backed_pages = pages_of(content),
        .file_bytes = (uint32_t)content,
        .protection = image->is_flat ? PROT_EXECUTE_WRITECOPY : PROT_READONLY,
    };
    first.page_count = first.section_pages;
    add(image, first);
}

ntmm_status image_lay_out(const struct image_source *source, uint64_t table_offset,
                          uint32_t section_count, uint32_t section_alignment, struct image *image)
{
    add_first(source->file_bytes, image);
    if (image->is_flat)
        return NTMM_STATUS_SUCCESS;
    if (section_count == 0)
        return NTMM_STATUS_INVALID_IMAGE_FORMAT;
    ntmm_status status =
        add_sections(source, table_offset, section_count, section_alignment, image);
    if (status == NTMM_STATUS_SUCCESS)
        end_last_at(image, image->image_pages);
    return status;
}

uint32_t image_subsection_of(const struct image *image, uint32_t page)
{
    uint32_t low = 0, high = image->subsection_count;
    NTMM_ASSERT(page < image->image_pages);
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (image->subsections[middle].first_page <= page)
            low = middle;
        else
            high = middle;
    }
    return low;
}

void image_page_at(const struct image *image, uint32_t page, struct image_page *out)
{
    uint32_t index = image_subsection_of(image, page);
    const struct image_subsection *subsection = &image->subsections[index];
    uint32_t nth = page - subsection->first_page;
    *out = (struct image_page){.subsection = index, .protection = PROT_NOACCESS};
    if (nth >= subsection->section_pages)
        return;
    out->protection = subsection->protection;
    out->is_shared = subsection->is_shared;
    uint32_t before = nth << NTMM_PAGE_SHIFT;
    if (nth >= subsection->backed_pages || before >= subsection->file_bytes)
        return;
    out->file_offset = subsection->file_offset + before;
    out->file_bytes = (uint32_t)min_u64(subsection->file_bytes - before, NTMM_PAGE_SIZE);
}

/* Bytes of one page: what the file has, then zeros. */
static ntmm_status read_in_page(const struct image_source *source, const struct image *image,
                                uint32_t rva, uint8_t *buffer, uint32_t size)
{
    struct image_page page;
    uint32_t within = rva & (NTMM_PAGE_SIZE - 1);
    image_page_at(image, rva >> NTMM_PAGE_SHIFT, &page);
    uint32_t content = page.file_bytes > within ? page.file_bytes - within : 0;
    content = (uint32_t)min_u64(content, size);
    for (uint32_t i = content; i < size; i++)
        buffer[i] = 0;
    return content == 0 ? NTMM_STATUS_SUCCESS
                        : source->read(source->context, page.file_offset + within, buffer, content);
}

ntmm_status image_read_rva(const struct image_source *source, const struct image *image,
                           uint32_t rva, void *buffer, uint32_t size)
{
    uint8_t *at = buffer;
    while (size > 0) {
        uint32_t room = NTMM_PAGE_SIZE - (rva & (NTMM_PAGE_SIZE - 1));
        uint32_t part = size < room ? size : room;
        ntmm_status status = read_in_page(source, image, rva, at, part);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        rva += part;
        at += part;
        size -= part;
    }
    return NTMM_STATUS_SUCCESS;
}
