/*
 * Shows what the core makes of PE files: what it parsed, and its pages at other bases.
 *
 *   image_dump [--base ADDRESS]... FILE...
 *
 * Prints a line of JSON a file: status of the parse, fields, subsections, status and size of the
 * relocation index, and for each base the CRC-32 (zlib's) of every page relocated to it, in order;
 * an image that cannot be relocated has none but of its own base. The index of an image without
 * relocations has the status NOT_SUPPORTED.
 */
#include "section/relocate.h"

#include "crc32.h"

#include <ntmm/status.h>
#include <ntmm/system.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BASES_MAX 8u

struct subject {
    uint8_t *bytes;
    uint64_t size_bytes;
    struct image_source source;
    struct image image;
    uint8_t *chunks;
    struct relocation relocation;
};

static void *allocate(uint64_t size)
{
    void *memory = calloc(1, size ? (size_t)size : 1);
    if (!memory) {
        fprintf(stderr, "out of memory\n");
        exit(2);
    }
    return memory;
}

static ntmm_status read_file(void *context, uint64_t offset, void *buffer, uint32_t size)
{
    const struct subject *s = context;
    memcpy(buffer, s->bytes + offset, size);
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status read_image(void *context, uint32_t rva, void *buffer, uint32_t size)
{
    const struct subject *s = context;
    return image_read_rva(&s->source, &s->image, rva, buffer, size);
}

static void *chunk_of(void *context, uint32_t n)
{
    const struct subject *s = context;
    return s->chunks + (size_t)n * RELOCATE_CHUNK_BYTES;
}

static void load(struct subject *s, const char *path)
{
    FILE *file = fopen(path, "rb");
    long size = -1;
    if (file && fseek(file, 0, SEEK_END) == 0) {
        size = ftell(file);
        rewind(file);
    }
    s->bytes = allocate(size > 0 ? (uint64_t)size : 0);
    if (size < 0 || fread(s->bytes, 1, (size_t)size, file) != (size_t)size) {
        perror(path);
        exit(2);
    }
    fclose(file);
    s->size_bytes = (uint64_t)size;
    s->source = (struct image_source){read_file, s, s->size_bytes};
}

static void print_string(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar(*text);
    }
    putchar('"');
}

static void print_fields(const struct image *image)
{
    printf(", \"base\": %" PRIu64 ", \"image_bytes\": %" PRIu32 ", \"pages\": %" PRIu32,
           image->preferred_base, image->image_bytes, image->image_pages);
    printf(", \"header_bytes\": %" PRIu32 ", \"entry\": %" PRIu32 ", \"base_rva\": %" PRIu32,
           image->header_bytes, image->entry_rva, image->base_rva);
    printf(", \"machine\": %u, \"characteristics\": %u, \"dll_characteristics\": %u",
           image->machine, image->characteristics, image->dll_characteristics);
    printf(", \"is_64\": %d, \"is_flat\": %d, \"can_move\": %d, \"flags\": %u", image->is_64,
           image->is_flat, image->can_move, image->flags);
    printf(", \"subsections\": [");
    for (uint32_t i = 0; i < image->subsection_count; i++) {
        const struct image_subsection *s = &image->subsections[i];
        printf("%s{\"first\": %" PRIu32 ", \"pages\": %" PRIu32 ", \"section\": %" PRIu32,
               i ? ", " : "", s->first_page, s->page_count, s->section_pages);
        printf(", \"backed\": %" PRIu32 ", \"offset\": %" PRIu64 ", \"bytes\": %" PRIu32,
               s->backed_pages, s->file_offset, s->file_bytes);
        printf(", \"protection\": %" PRIu32 ", \"shared\": %d}", s->protection, s->is_shared);
    }
    printf("]");
}

static void print_information(const struct subject *s)
{
    uint8_t out[IMAGE_INFORMATION_BYTES];
    image_information(&s->image, s->image.preferred_base, s->size_bytes, out);
    printf(", \"information\": \"");
    for (uint32_t i = 0; i < IMAGE_INFORMATION_BYTES; i++)
        printf("%02X", out[i]);
    printf("\"");
}

static ntmm_status index_relocations(struct subject *s)
{
    s->relocation = (struct relocation){read_image, s, chunk_of, s, 0, 0};
    if (!s->image.has_relocations)
        return NTMM_STATUS_NOT_SUPPORTED;
    ntmm_status status = relocate_measure(&s->relocation, &s->image);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    s->chunks = allocate((uint64_t)relocate_chunks(&s->relocation) * RELOCATE_CHUNK_BYTES);
    return relocate_build(&s->relocation, &s->image);
}

static void print_pages(struct subject *s, uint64_t base)
{
    uint8_t page[NTMM_PAGE_SIZE];
    printf("\"%" PRIu64 "\": [", base);
    for (uint32_t n = 0; n < s->image.image_pages; n++) {
        ntmm_status status =
            image_read_rva(&s->source, &s->image, n * NTMM_PAGE_SIZE, page, NTMM_PAGE_SIZE);
        if (status == NTMM_STATUS_SUCCESS && base != s->image.preferred_base)
            status = relocate_page(&s->relocation, &s->image, n, base, page);
        if (status != NTMM_STATUS_SUCCESS)
            exit(3); /* bytes in memory can be read, and the directory was checked */
        printf("%s%" PRIu32, n ? ", " : "", crc32_of(page, NTMM_PAGE_SIZE));
    }
    printf("]");
}

static void dump(const char *path, const uint64_t *bases, unsigned base_count)
{
    struct subject *s = allocate(sizeof(*s));
    load(s, path);
    ntmm_status status = image_parse(&s->source, NTMM_DEFAULT_WINDOWS_BUILD, &s->image);
    printf("{\"file\": ");
    print_string(path);
    printf(", \"status\": %" PRIu32, status);
    if (status == NTMM_STATUS_SUCCESS) {
        print_fields(&s->image);
        print_information(s);
        status = index_relocations(s);
        printf(", \"relocation\": {\"status\": %" PRIu32 ", \"blocks\": %" PRIu32, status,
               s->relocation.block_count);
        printf(", \"straddles\": %" PRIu32 "}, \"crc\": {", s->relocation.straddle_count);
        print_pages(s, s->image.preferred_base);
        for (unsigned i = 0; i < base_count && status == NTMM_STATUS_SUCCESS; i++) {
            printf(", ");
            print_pages(s, bases[i]);
        }
        printf("}");
    }
    printf("}\n");
    free(s->chunks);
    free(s->bytes);
    free(s);
}

int main(int count, char **arguments)
{
    uint64_t bases[BASES_MAX];
    unsigned base_count = 0;
    int first = 1;
    while (first + 1 < count && !strcmp(arguments[first], "--base") && base_count < BASES_MAX) {
        bases[base_count++] = strtoull(arguments[first + 1], NULL, 0);
        first += 2;
    }
    if (first >= count) {
        fprintf(stderr, "usage: image_dump [--base ADDRESS]... FILE...\n");
        return 2;
    }
    for (int i = first; i < count; i++)
        dump(arguments[i], bases, base_count);
    return 0;
}
