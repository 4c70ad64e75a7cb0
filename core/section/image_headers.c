/*
 * The headers of a PE image, checked in this order, each step with the status of the first defect:
 *
 *   1 an empty file                                                  INVALID_FILE_FOR_SECTION
 *   2 one byte                                                       INVALID_IMAGE_FORMAT
 *   3 no "MZ"                                                        INVALID_IMAGE_NOT_MZ
 *   4 e_lfanew is not there, not a multiple of 4, or leads to no
 *     signature in the file: a plain DOS program                     INVALID_IMAGE_PROTECT
 *   5 signature NE for Windows, NE, LE, another   _WIN_16, _NE_FORMAT, _LE_FORMAT, _PROTECT
 *   6 from here all are INVALID_IMAGE_FORMAT: a file below 268 bytes (from Windows 7 on); headers
 *     that do not end in the file; magic; machine; not executable
 *   7 sizes and alignments; the base
 *   8 sections, in the order of their table (image_layout.c)
 *
 * An optional header may be cut short: what is missing reads as zero. The section table follows
 * the length that the file header gives.
 *
 * Source: nt_semantics 5.1; decisions where it leaves a choice: docs/fidelity.md.
 */
#include "base/bits.h"
#include "section/bytes.h"
#include "section/image_functions.h"

#include <ntmm/constants.h>
#include <ntmm/status.h>

/* Offsets of fields. In the optional header those of PE32, then of PE32+ where they differ. */
enum {
    DOS_LFANEW = 0x3C,
    DOS_BYTES = 0x40,
    NE_TARGET_SYSTEM = 0x36,
    NE_WINDOWS = 2,
    FILE_MACHINE = 4, /* from the signature on */
    FILE_SECTION_COUNT = 6,
    FILE_OPTIONAL_BYTES = 20,
    FILE_CHARACTERISTICS = 22,
    FILE_BYTES = 24,
    OPT_MAGIC = 0,
    OPT_CODE_BYTES = 4,
    OPT_ENTRY = 16,
    OPT_BASE_64 = 24,
    OPT_BASE_32 = 28,
    OPT_SECTION_ALIGNMENT = 32,
    OPT_FILE_ALIGNMENT = 36,
    OPT_SYSTEM_MAJOR = 40,
    OPT_SYSTEM_MINOR = 42,
    OPT_SUBSYSTEM_MAJOR = 48,
    OPT_SUBSYSTEM_MINOR = 50,
    OPT_IMAGE_BYTES = 56,
    OPT_HEADER_BYTES = 60,
    OPT_CHECKSUM = 64,
    OPT_SUBSYSTEM = 68,
    OPT_DLL_CHARACTERISTICS = 70,
    OPT_STACK_RESERVE = 72,
    OPT_STACK_COMMIT_32 = 76,
    OPT_STACK_COMMIT_64 = 80,
    OPT_DIRECTORY_COUNT_32 = 92,
    OPT_DIRECTORY_COUNT_64 = 108,
    OPT_BYTES = 240, /* PE32+ with all 16 directories */
};

enum { MAGIC_32 = 0x10B, MAGIC_64 = 0x20B };
enum { SIGNATURE_MZ = 0x5A4D, SIGNATURE_NE = 0x454E, SIGNATURE_LE = 0x454C };
#define SIGNATURE_PE 0x4550u

enum {
    DIRECTORY_RELOCATION = 5,
    DIRECTORY_LOAD_CONFIG = 10,
    DIRECTORY_COM = 14,
    DIRECTORY_COUNT = 16
};

#define BUILD_WINDOWS_7 7600u
#define LEAST_FILE_BYTES 268u
#define SECTOR_BYTES 512u
#define SECTION_HEADER_BYTES 40u

struct headers {
    uint64_t offset;             /* of the signature in the file */
    uint32_t optional_bytes;     /* SizeOfOptionalHeader */
    uint8_t file[FILE_BYTES];    /* signature and file header */
    uint8_t optional[OPT_BYTES]; /* zeros where the file has none */
};

struct directory {
    uint32_t rva;
    uint32_t size;
};

static uint16_t opt16(const struct headers *h, uint32_t at)
{
    return bytes_get16(h->optional + at);
}

static uint32_t opt32(const struct headers *h, uint32_t at)
{
    return bytes_get32(h->optional + at);
}

static uint64_t opt_size(const struct headers *h, uint32_t at_32, uint32_t at_64)
{
    if (opt16(h, OPT_MAGIC) == MAGIC_64)
        return bytes_get64(h->optional + at_64);
    return opt32(h, at_32);
}

static ntmm_status read_at(const struct image_source *source, uint64_t offset, void *buffer,
                           uint32_t size)
{
    NTMM_ASSERT(offset <= source->file_bytes && size <= source->file_bytes - offset);
    return source->read(source->context, offset, buffer, size);
}

/* Steps 1 to 4. */
static ntmm_status find_signature(const struct image_source *source, uint64_t *offset)
{
    uint8_t dos[DOS_BYTES] = {0};
    if (source->file_bytes == 0)
        return NTMM_STATUS_INVALID_FILE_FOR_SECTION;
    if (source->file_bytes < 2)
        return NTMM_STATUS_INVALID_IMAGE_FORMAT;
    uint32_t size = (uint32_t)min_u64(source->file_bytes, DOS_BYTES);
    ntmm_status status = read_at(source, 0, dos, size);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (bytes_get16(dos) != SIGNATURE_MZ)
        return NTMM_STATUS_INVALID_IMAGE_NOT_MZ;
    *offset = bytes_get32(dos + DOS_LFANEW);
    if (size < DOS_BYTES || !is_multiple(*offset, 4) || *offset + 4 > source->file_bytes)
        return NTMM_STATUS_INVALID_IMAGE_PROTECT;
    return NTMM_STATUS_SUCCESS;
}

/* Step 5, of a new header that is none of ours. */
static ntmm_status refuse_signature(const struct image_source *source, uint64_t offset,
                                    uint32_t signature)
{
    uint8_t target = 0;
    if ((uint16_t)signature == SIGNATURE_LE)
        return NTMM_STATUS_INVALID_IMAGE_LE_FORMAT;
    if ((uint16_t)signature != SIGNATURE_NE)
        return NTMM_STATUS_INVALID_IMAGE_PROTECT;
    if (offset + NE_TARGET_SYSTEM < source->file_bytes) {
        ntmm_status status = read_at(source, offset + NE_TARGET_SYSTEM, &target, 1);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
    }
    return target == NE_WINDOWS ? NTMM_STATUS_INVALID_IMAGE_WIN_16
                                : NTMM_STATUS_INVALID_IMAGE_NE_FORMAT;
}

/* Steps 1 to 6 but for what the fields say. */
static ntmm_status read_headers(const struct image_source *source, uint32_t build,
                                struct headers *h)
{
    ntmm_status status = find_signature(source, &h->offset);
    if (status == NTMM_STATUS_SUCCESS)
        status = read_at(source, h->offset, h->file, 4);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (bytes_get32(h->file) != SIGNATURE_PE)
        return refuse_signature(source, h->offset, bytes_get32(h->file));
    if (build >= BUILD_WINDOWS_7 && source->file_bytes < LEAST_FILE_BYTES)
        return NTMM_STATUS_INVALID_IMAGE_FORMAT;
    if (h->offset + FILE_BYTES > source->file_bytes)
        return NTMM_STATUS_INVALID_IMAGE_FORMAT;
    status = read_at(source, h->offset, h->file, FILE_BYTES);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    h->optional_bytes = bytes_get16(h->file + FILE_OPTIONAL_BYTES);
    uint32_t size = (uint32_t)min_u64(h->optional_bytes, OPT_BYTES);
    if (h->offset + FILE_BYTES + size > source->file_bytes)
        return NTMM_STATUS_INVALID_IMAGE_FORMAT;
    return size == 0 ? NTMM_STATUS_SUCCESS
                     : read_at(source, h->offset + FILE_BYTES, h->optional, size);
}

/* Step 6: an image for a machine that runs here, 64-bit or 32-bit. */
static bool is_for_us(const struct headers *h)
{
    uint16_t magic = opt16(h, OPT_MAGIC);
    uint16_t machine = bytes_get16(h->file + FILE_MACHINE);
    if (!(bytes_get16(h->file + FILE_CHARACTERISTICS) & IMAGE_EXECUTABLE))
        return false;
    return magic == MAGIC_64 ? machine == IMAGE_MACHINE_AMD64
                             : magic == MAGIC_32 && machine == IMAGE_MACHINE_I386;
}

/* Step 7: 512 <= file alignment <= section alignment, or both alike and smaller. */
static bool is_aligned_well(const struct headers *h)
{
    uint32_t section = opt32(h, OPT_SECTION_ALIGNMENT);
    uint32_t file = opt32(h, OPT_FILE_ALIGNMENT);
    if (!is_power_of_two(section) || !is_power_of_two(file))
        return false;
    if (section == file)
        return true;
    return file >= SECTOR_BYTES && section >= file && section >= NTMM_PAGE_SIZE;
}

/* Step 7. */
static bool is_placed_well(const struct image *image)
{
    uint64_t highest = image->is_64 ? NTMM_HIGHEST_VAD_ADDRESS : NTMM_HIGHEST_VAD_ADDRESS_4G;
    uint64_t base = image->preferred_base;
    uint64_t size = (uint64_t)image->image_pages << NTMM_PAGE_SHIFT;
    return is_multiple(base, NTMM_ALLOCATION_GRANULARITY) && base <= highest &&
           size <= highest + 1 - base;
}

static void take_fields(const struct headers *h, struct image *image)
{
    image->is_64 = opt16(h, OPT_MAGIC) == MAGIC_64;
    image->machine = bytes_get16(h->file + FILE_MACHINE);
    image->characteristics = bytes_get16(h->file + FILE_CHARACTERISTICS);
    image->preferred_base =
        image->is_64 ? bytes_get64(h->optional + OPT_BASE_64) : opt32(h, OPT_BASE_32);
    image->entry_rva = opt32(h, OPT_ENTRY);
    image->image_bytes = opt32(h, OPT_IMAGE_BYTES);
    image->image_pages =
        (uint32_t)(round_up(image->image_bytes, NTMM_PAGE_SIZE) >> NTMM_PAGE_SHIFT);
    image->header_bytes = opt32(h, OPT_HEADER_BYTES);
    image->checksum = opt32(h, OPT_CHECKSUM);
    image->subsystem = opt16(h, OPT_SUBSYSTEM);
    image->subsystem_major = opt16(h, OPT_SUBSYSTEM_MAJOR);
    image->subsystem_minor = opt16(h, OPT_SUBSYSTEM_MINOR);
    image->system_major = opt16(h, OPT_SYSTEM_MAJOR);
    image->system_minor = opt16(h, OPT_SYSTEM_MINOR);
    image->dll_characteristics = opt16(h, OPT_DLL_CHARACTERISTICS);
    image->stack_reserve_bytes = opt_size(h, OPT_STACK_RESERVE, OPT_STACK_RESERVE);
    image->stack_commit_bytes = opt_size(h, OPT_STACK_COMMIT_32, OPT_STACK_COMMIT_64);
    image->is_flat = opt32(h, OPT_SECTION_ALIGNMENT) < NTMM_PAGE_SIZE;
    image->contains_code = image->is_flat || image->entry_rva != 0 || opt32(h, OPT_CODE_BYTES) != 0;
}

/* The field that holds the base, if a view shows it. */
static uint32_t base_field_of(const struct headers *h, const struct image *image)
{
    uint64_t at = h->offset + FILE_BYTES + (image->is_64 ? OPT_BASE_64 : OPT_BASE_32);
    uint64_t shown = image->is_flat ? image->image_bytes : image->header_bytes;
    return at + (image->is_64 ? 8 : 4) <= shown ? (uint32_t)at : 0;
}

/* {0, 0} where the header names none. */
static struct directory directory_of(const struct headers *h, bool is_64, uint32_t index)
{
    uint32_t count_at = is_64 ? OPT_DIRECTORY_COUNT_64 : OPT_DIRECTORY_COUNT_32;
    uint32_t at = count_at + 4 + 8 * index;
    if (opt32(h, count_at) <= index)
        return (struct directory){0, 0};
    return (struct directory){opt32(h, at), opt32(h, at + 4)};
}

/* A directory that leaves the image is none: the image then stays where it is. */
static void take_relocations(struct directory found, struct image *image)
{
    uint64_t image_end = (uint64_t)image->image_pages << NTMM_PAGE_SHIFT;
    bool is_inside =
        found.rva != 0 && found.size != 0 && (uint64_t)found.rva + found.size <= image_end;
    image->has_relocations = is_inside && !(image->characteristics & IMAGE_RELOCS_STRIPPED);
    if (image->has_relocations) {
        image->relocation_rva = found.rva;
        image->relocation_bytes = found.size;
    }
    image->can_move =
        image->has_relocations && (image->dll_characteristics & IMAGE_DLL_DYNAMIC_BASE);
}

static void take_flags(struct image *image)
{
    if ((image->dll_characteristics & IMAGE_DLL_DYNAMIC_BASE) && image->contains_code)
        image->flags |= IMAGE_FLAG_DYNAMICALLY_RELOCATED;
    if (image->is_flat)
        image->flags |= IMAGE_FLAG_MAPPED_FLAT;
}

/* Steps 6 to 8 of headers that were read. */
static ntmm_status take_headers(const struct image_source *source, const struct headers *h,
                                struct image *image)
{
    uint64_t table = h->offset + FILE_BYTES + h->optional_bytes;
    uint32_t sections = bytes_get16(h->file + FILE_SECTION_COUNT);
    if (!is_for_us(h))
        return NTMM_STATUS_INVALID_IMAGE_FORMAT;
    take_fields(h, image);
    image->base_rva = base_field_of(h, image);
    if (image->image_bytes == 0 || image->header_bytes > image->image_bytes)
        return NTMM_STATUS_INVALID_IMAGE_FORMAT;
    if (!is_aligned_well(h) || !is_placed_well(image))
        return NTMM_STATUS_INVALID_IMAGE_FORMAT;
    if (sections > IMAGE_SECTIONS_MAX ||
        table + sections * SECTION_HEADER_BYTES > source->file_bytes)
        return NTMM_STATUS_INVALID_IMAGE_FORMAT;
    return image_lay_out(source, table, sections, opt32(h, OPT_SECTION_ALIGNMENT), image);
}

ntmm_status image_parse(const struct image_source *source, uint32_t build, struct image *image)
{
    struct headers headers = {0};
    __builtin_memset(image, 0, sizeof *image);
    ntmm_status status = read_headers(source, build, &headers);
    if (status == NTMM_STATUS_SUCCESS)
        status = take_headers(source, &headers, image);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    take_relocations(directory_of(&headers, image->is_64, DIRECTORY_RELOCATION), image);
    take_flags(image);
    struct directory config = directory_of(&headers, image->is_64, DIRECTORY_LOAD_CONFIG);
    status = image_read_load_config(source, config.rva, config.size, image);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    struct directory com = directory_of(&headers, image->is_64, DIRECTORY_COM);
    return image_read_com_flags(source, com.rva, com.size, image);
}
