/*
 * Small PE files made by hand. See pe_file.h.
 */
#include "unit/pe_file.h"

#include "section/bytes.h"
#include "x64/formats.h"

#include <ntmm/status.h>
#include <ntmm/system.h>

#include <string.h>

#define SECTOR 512u

void pe_set16(struct pe_file *file, uint32_t at, uint32_t value)
{
    bytes_set(file->bytes + at, value, 2);
}

void pe_set32(struct pe_file *file, uint32_t at, uint32_t value)
{
    bytes_set(file->bytes + at, value, 4);
}

void pe_set64(struct pe_file *file, uint32_t at, uint64_t value)
{
    bytes_set(file->bytes + at, value, 8);
}

uint32_t pe_get32(const struct pe_file *file, uint32_t at) { return bytes_get32(file->bytes + at); }

static uint32_t up(uint32_t value, uint32_t unit) { return (value + unit - 1) / unit * unit; }

void pe_begin(struct pe_file *file, bool is_64)
{
    memset(file, 0, sizeof(*file));
    file->is_64 = is_64;
    file->size_bytes = PE_HEADERS;
    file->next_rva = NTMM_PAGE_SIZE;
    pe_set16(file, 0, 0x5A4D);
    pe_set32(file, 0x3C, PE_OFFSET);
    pe_set32(file, PE_OFFSET, 0x4550);
    pe_set16(file, PE_MACHINE, is_64 ? IMAGE_MACHINE_AMD64 : IMAGE_MACHINE_I386);
    pe_set16(file, PE_OPTIONAL_BYTES, is_64 ? 240 : 224);
    pe_set16(file, PE_CHARACTERISTICS, IMAGE_EXECUTABLE);
    pe_set16(file, PE_MAGIC, is_64 ? 0x20B : 0x10B);
    if (is_64)
        pe_set64(file, PE_BASE_64, 0x140000000ull);
    else
        pe_set32(file, PE_BASE_32, 0x400000);
    pe_set32(file, PE_SECTION_ALIGNMENT, NTMM_PAGE_SIZE);
    pe_set32(file, PE_FILE_ALIGNMENT, SECTOR);
    pe_set32(file, PE_IMAGE_BYTES, NTMM_PAGE_SIZE);
    pe_set32(file, PE_HEADER_BYTES, PE_HEADERS);
    pe_set16(file, PE_SUBSYSTEM, 3);
    pe_set32(file, is_64 ? PE_DIRECTORY_COUNT_64 : PE_DIRECTORY_COUNT_32, 16);
}

uint32_t pe_section(const struct pe_file *file, uint32_t n)
{
    return PE_OPTIONAL + (file->is_64 ? 240u : 224u) + 40 * n;
}

uint32_t pe_add_section(struct pe_file *file, uint32_t virtual_bytes, uint32_t raw_bytes,
                        uint32_t characteristics)
{
    uint32_t header = pe_section(file, file->section_count++);
    uint32_t offset = (uint32_t)file->size_bytes;
    pe_set32(file, header + 8, virtual_bytes);
    pe_set32(file, header + 12, file->next_rva);
    pe_set32(file, header + 16, raw_bytes);
    pe_set32(file, header + 20, raw_bytes ? offset : 0);
    pe_set32(file, header + 36, characteristics);
    pe_set16(file, PE_SECTION_COUNT, file->section_count);
    for (uint32_t i = 0; i < up(raw_bytes, SECTOR); i++)
        file->bytes[offset + i] = (uint8_t)((offset + i) * 7 + (offset + i) / 251 + 1);
    file->size_bytes += up(raw_bytes, SECTOR);
    file->next_rva += up(virtual_bytes ? virtual_bytes : raw_bytes, NTMM_PAGE_SIZE);
    pe_set32(file, PE_IMAGE_BYTES, file->next_rva);
    return header;
}

void pe_make(struct pe_file *file, bool is_64)
{
    pe_begin(file, is_64);
    pe_add_section(file, 0x1234, 0x1400, PE_READ | PE_EXECUTE);
    pe_add_section(file, 0x2100, 0x400, PE_READ | PE_WRITE);
}

void pe_set_directory(struct pe_file *file, uint32_t index, uint32_t rva, uint32_t size)
{
    uint32_t at = (file->is_64 ? PE_DIRECTORIES_64 : PE_DIRECTORIES_32) + 8 * index;
    pe_set32(file, at, rva);
    pe_set32(file, at + 4, size);
}

/* Traps on a read that leaves the file, which no caller may ask for. */
static ntmm_status read_file(void *context, uint64_t offset, void *buffer, uint32_t size)
{
    struct pe_file *file = context;
    if (size == 0 || offset > file->size_bytes || size > file->size_bytes - offset)
        __builtin_trap();
    if (++file->reads == file->fail_at)
        return file->fail_status;
    memcpy(buffer, file->bytes + offset, size);
    return NTMM_STATUS_SUCCESS;
}

struct image_source pe_source(struct pe_file *file)
{
    return (struct image_source){read_file, file, file->size_bytes};
}

ntmm_status pe_parse(struct pe_file *file, struct image *image)
{
    struct image_source source = pe_source(file);
    memset(image, 0xA5, sizeof(*image));
    return image_parse(&source, NTMM_DEFAULT_WINDOWS_BUILD, image);
}

static const char *broken_subsection(const struct image_subsection *s, uint32_t next_page,
                                     uint64_t file_bytes)
{
    if (s->first_page != next_page)
        return "subsections are not one after another";
    if (s->page_count == 0)
        return "a subsection has no page";
    if (s->backed_pages > s->section_pages || s->section_pages > s->page_count)
        return "backed_pages <= section_pages <= page_count";
    if (s->file_bytes > (uint64_t)s->backed_pages * NTMM_PAGE_SIZE)
        return "file_bytes <= backed_pages * 4096";
    if (s->file_offset > file_bytes || s->file_bytes > file_bytes - s->file_offset)
        return "the content lies in the file";
    if (s->is_shared && s->protection != PROT_READWRITE && s->protection != PROT_EXECUTE_READWRITE)
        return "what is shared can be written";
    return NULL;
}

const char *pe_broken_promise(const struct image *image, uint64_t file_bytes)
{
    uint64_t next = 0;
    if (image->subsection_count == 0 || image->subsection_count > IMAGE_SUBSECTIONS_MAX)
        return "1 to 97 subsections";
    for (uint32_t i = 0; i < image->subsection_count; i++) {
        const struct image_subsection *s = &image->subsections[i];
        const char *broken = broken_subsection(s, (uint32_t)next, file_bytes);
        if (broken)
            return broken;
        next += s->page_count;
    }
    if (next != image->image_pages)
        return "subsections end where the image does";
    if (image->header_bytes > image->image_bytes)
        return "the headers lie in the image";
    if (image->has_relocations &&
        (uint64_t)image->relocation_rva + image->relocation_bytes > next * NTMM_PAGE_SIZE)
        return "the relocations lie in the image";
    return NULL;
}
