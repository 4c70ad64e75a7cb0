/*
 * PE images: what of a file becomes which pages of a view.
 *
 *   file    | headers | .text  | .data |                 sectors of 512 bytes
 *   image   | headers0| .text0 | .data0 0000 |---        pages; 0 zeros, - no access
 *             subsections[0]  [1]     [2]
 *
 * image_parse reads the headers through the caller's reader and fills a struct image, or says why
 * NT makes no section of the file (the checks and their order: image_headers.c). Nothing is kept,
 * and nothing allocated. Of an image that was accepted:
 *   - subsections cover [0, image_pages) without a hole, in order, each with at least one page;
 *   - backed_pages <= section_pages <= page_count, and file_bytes <= backed_pages * 4096;
 *   - [file_offset, file_offset + file_bytes) lies in the file.
 * Pages from section_pages on, up to the next subsection or the end of the image, are no section's:
 * nobody can access them.
 *
 * Source: nt_semantics 5.1 to 5.3; the published PE format.
 */
#ifndef NTMM_SECTION_IMAGE_H
#define NTMM_SECTION_IMAGE_H

#include <ntmm/types.h>

#define IMAGE_SECTIONS_MAX 96u
#define IMAGE_SUBSECTIONS_MAX (1u + IMAGE_SECTIONS_MAX) /* the headers, then the sections */
#define IMAGE_INFORMATION_BYTES 64u

enum { IMAGE_MACHINE_I386 = 0x14C, IMAGE_MACHINE_AMD64 = 0x8664 };

/* Characteristics of the file header, and of the optional header for DLLs. */
enum {
    IMAGE_RELOCS_STRIPPED = 0x1,
    IMAGE_EXECUTABLE = 0x2,
    IMAGE_DLL = 0x2000,
    IMAGE_DLL_HIGH_ENTROPY_VA = 0x20,
    IMAGE_DLL_DYNAMIC_BASE = 0x40,
    IMAGE_DLL_FORCE_INTEGRITY = 0x80,
    IMAGE_DLL_NX_COMPAT = 0x100,
    IMAGE_DLL_GUARD_CF = 0x4000,
};

/* ImageFlags of SECTION_IMAGE_INFORMATION. */
enum {
    IMAGE_FLAG_COM_NATIVE_READY = 0x01,
    IMAGE_FLAG_COM_IL_ONLY = 0x02,
    IMAGE_FLAG_DYNAMICALLY_RELOCATED = 0x04,
    IMAGE_FLAG_MAPPED_FLAT = 0x08,
    IMAGE_FLAG_BASE_BELOW_4GB = 0x10,
    IMAGE_FLAG_COM_PREFER_32BIT = 0x20,
};

/* Copies `size` bytes of a file at `offset`, which lie within file_bytes. Any status but success
 * ends the parse and is what it returns: PENDING, or an I/O status. */
typedef ntmm_status (*image_read)(void *context, uint64_t offset, void *buffer, uint32_t size);

struct image_source {
    image_read read;
    void *context;
    uint64_t file_bytes;
};

struct image_subsection {
    uint32_t first_page;    /* in the image */
    uint32_t page_count;    /* up to the next subsection, or to the end of the image */
    uint32_t section_pages; /* of these, the section's own; the rest is no access */
    uint32_t backed_pages;  /* of these, those with file content; the rest is zeros */
    uint64_t file_offset;   /* of the first page's content */
    uint32_t file_bytes;    /* of content, whole sectors but at the file's end; then zeros */
    uint32_t protection;    /* PROT_*, before the first write to a page */
    bool is_shared;         /* writable and never copied: a write is seen by all */
};

struct image {
    uint64_t preferred_base;
    uint64_t stack_reserve_bytes;
    uint64_t stack_commit_bytes;
    uint32_t image_bytes; /* SizeOfImage */
    uint32_t image_pages; /* the same, in pages rounded up */
    uint32_t header_bytes;
    uint32_t entry_rva; /* 0: none */
    uint32_t base_rva;  /* the field of the base, 8 bytes if is_64, else 4; 0: not in view */
    uint32_t checksum;
    uint32_t relocation_rva;   /* with has_relocations: a directory in the image */
    uint32_t relocation_bytes; /* > 0 then */
    uint32_t loader_flags;     /* as NT reports them: 1 with a COM descriptor */
    uint32_t functions_rva;    /* with has_functions: a table in the image, of */
    uint32_t function_count;   /* so many entries, */
    uint8_t function_bytes;    /* 4 to 19 bytes each */
    uint16_t machine;          /* IMAGE_MACHINE_* */
    uint16_t characteristics;
    uint16_t dll_characteristics;
    uint16_t subsystem;
    uint16_t subsystem_major, subsystem_minor;
    uint16_t system_major, system_minor;
    uint8_t flags; /* IMAGE_FLAG_*, but BASE_BELOW_4GB of the preferred base */
    bool is_64;
    bool is_flat; /* sections smaller than pages: the file as it is */
    bool contains_code;
    bool has_relocations;
    bool can_move;      /* has relocations and says DYNAMIC_BASE */
    bool has_functions; /* says GUARD_CF and which functions may be called (image_functions.h) */
    uint32_t subsection_count;
    struct image_subsection subsections[IMAGE_SUBSECTIONS_MAX];
};

/* Where a page's contents come from: file_bytes at file_offset, then zeros. */
struct image_page {
    uint32_t subsection; /* its index */
    uint32_t protection; /* PROT_* */
    uint32_t file_bytes; /* 0: a page of zeros; else up to 4096 */
    uint64_t file_offset;
    bool is_shared;
};

/*
 * Fills *image, whatever was in it. build: of Windows, for what changed over the years.
 *
 * Returns SUCCESS; the reader's own status; or what NT says of such a file, with *image undefined:
 * INVALID_FILE_FOR_SECTION, INVALID_IMAGE_NOT_MZ, _PROTECT, _NE_FORMAT, _WIN_16, _LE_FORMAT,
 * _FORMAT.
 */
NTMM_MUST_USE ntmm_status image_parse(const struct image_source *source, uint32_t build,
                                      struct image *image);

/* The subsection that covers a page, page < image_pages. O(log n). */
uint32_t image_subsection_of(const struct image *image, uint32_t page);

/* What a page holds, page < image_pages. */
void image_page_at(const struct image *image, uint32_t page, struct image_page *out);

/* Bytes of the image before relocation, read from its file: rva + size <= image_pages * 4096. */
NTMM_MUST_USE ntmm_status image_read_rva(const struct image_source *source,
                                         const struct image *image, uint32_t rva, void *buffer,
                                         uint32_t size);

/* SECTION_IMAGE_INFORMATION of 64-bit callers. base: where the image is to be, as TransferAddress
 * and BASE_BELOW_4GB tell; file_bytes is cut to 32 bits, as the field is. */
void image_information(const struct image *image, uint64_t base, uint64_t file_bytes,
                       uint8_t out[IMAGE_INFORMATION_BYTES]);

/* Whether an image so described says DYNAMIC_BASE. */
bool image_is_dynamic(const uint8_t information[IMAGE_INFORMATION_BYTES]);

/* For image_parse: the subsections, from the section table at table_offset of the file. */
NTMM_MUST_USE ntmm_status image_lay_out(const struct image_source *source, uint64_t table_offset,
                                        uint32_t section_count, uint32_t section_alignment,
                                        struct image *image);

/* For image_parse: what the COM descriptor directory says. */
NTMM_MUST_USE ntmm_status image_read_com_flags(const struct image_source *source, uint32_t rva,
                                               uint32_t size, struct image *image);

#endif
