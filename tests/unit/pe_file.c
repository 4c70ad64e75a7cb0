/*
 * See pe_file.h.
 */
#include "unit/pe_file.h"

#include "x64/formats.h"

#include <ntmm/status.h>
#include <ntmm/system.h>

#include <string.h>

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
