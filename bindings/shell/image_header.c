/*
 * Headers of PE files, as a file has them and as a view shows them. What they say is shown, and
 * trusted for nothing else: whether a file is an image is the memory manager's to say.
 * Source: the published PE format.
 */
#include "image_machine.h"

#include <string.h>

#define FILE_HEADER_BYTES 24u /* with its signature */
#define OPTIONAL_BYTES 128u   /* of the optional header: up to the import directory */
#define ROW_BYTES 40u

/* Where bytes come from: a file, or memory of the process from a base. */
struct source {
    struct image_machine *m;
    ntmm_handle file; /* 0: the view */
    uint64_t base;
};

static bool read(const struct source *s, uint64_t offset, void *buffer, uint64_t size)
{
    uint64_t moved = 0;
    ntmm_status status = s->file != 0
                             ? ntmm_read_file(s->m->system, s->file, offset, buffer, size, &moved)
                             : ntmm_read_virtual_memory(s->m->system, s->m->process,
                                                        s->base + offset, buffer, size, &moved);
    return NTMM_SUCCEEDED(status) && moved == size;
}

static uint32_t get16(const uint8_t *at) { return at[0] | (uint32_t)at[1] << 8; }

static uint32_t get32(const uint8_t *at) { return get16(at) | get16(at + 2) << 16; }

static uint64_t get64(const uint8_t *at) { return get32(at) | (uint64_t)get32(at + 4) << 32; }

static bool read_part(const struct source *s, uint64_t offset, struct image_part *part)
{
    uint8_t row[ROW_BYTES];
    if (!read(s, offset, row, sizeof row))
        return false;
    memcpy(part->name, row, 8);
    part->name[8] = '\0';
    for (char *c = part->name; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    part->virtual_bytes = get32(row + 8);
    part->rva = get32(row + 12);
    part->raw_bytes = get32(row + 16);
    part->raw_offset = get32(row + 20);
    return true;
}

static void take_optional(const uint8_t *optional, struct image_header *h)
{
    h->is_64 = get16(optional) == 0x20B;
    h->entry_rva = get32(optional + 16);
    h->base = h->is_64 ? get64(optional + 24) : get32(optional + 28);
    h->image_bytes = get32(optional + 56);
    h->subsystem = (uint16_t)get16(optional + 68);
    h->dll_characteristics = (uint16_t)get16(optional + 70);
    uint32_t count_at = h->is_64 ? 108 : 92;
    if (get32(optional + count_at) > 1)
        h->import_rva = get32(optional + count_at + 4 + 8);
}

static bool read_header(const struct source *s, struct image_header *h)
{
    uint8_t dos[64];
    uint8_t header[FILE_HEADER_BYTES];
    uint8_t optional[OPTIONAL_BYTES] = {0};
    *h = (struct image_header){0};
    if (!read(s, 0, dos, sizeof dos) || dos[0] != 'M' || dos[1] != 'Z')
        return false;
    uint64_t at = get32(dos + 60);
    if (!read(s, at, header, sizeof header) || memcmp(header, "PE\0\0", 4) != 0)
        return false;
    uint32_t optional_bytes = get16(header + 20);
    uint32_t wanted = optional_bytes < sizeof optional ? optional_bytes : sizeof optional;
    if (!read(s, at + sizeof header, optional, wanted))
        return false;
    h->machine = (uint16_t)get16(header + 4);
    h->characteristics = (uint16_t)get16(header + 22);
    take_optional(optional, h);
    uint32_t count = get16(header + 6);
    uint64_t table = at + sizeof header + optional_bytes;
    for (uint32_t i = 0; i < count && i < IMAGE_SECTIONS_MAX; i++) {
        if (!read_part(s, table + (uint64_t)i * ROW_BYTES, &h->parts[i]))
            break;
        h->part_count++;
    }
    return true;
}

bool image_header_of_file(struct image_machine *m, const struct image_file *file,
                          struct image_header *header)
{
    return read_header(&(struct source){.m = m, .file = file->file}, header);
}

bool image_header_of_view(struct image_machine *m, uint64_t base, struct image_header *header)
{
    return read_header(&(struct source){.m = m, .base = base}, header);
}

const char *image_part_name(const struct image_header *header, uint64_t offset)
{
    const struct image_part *found = NULL;
    for (uint32_t i = 0; i < header->part_count; i++)
        if (header->parts[i].rva <= offset && (found == NULL || header->parts[i].rva >= found->rva))
            found = &header->parts[i];
    if (found == NULL)
        return "headers";
    return found->name[0] != '\0' ? found->name : "(no name)";
}

uint64_t image_next_part(const struct image_header *header, uint64_t offset)
{
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < header->part_count; i++)
        if (header->parts[i].rva > offset && header->parts[i].rva < next)
            next = header->parts[i].rva;
    return next;
}
