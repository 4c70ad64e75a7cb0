/*
 * SECTION_IMAGE_INFORMATION of a parsed image, and the part of it that the COM descriptor decides.
 *
 * A descriptor counts when its directory has an address and a size. It says something when a COR
 * header of full length lies there, for a runtime of version 2.5 or later; any other is tolerated.
 *
 * Source: nt_semantics 5.1; the layout is the one of the public SDK headers.
 */
#include "base/bits.h"
#include "section/bytes.h"
#include "section/image.h"

#include <ntmm/status.h>

/* Offsets in the COR header, and its flags. */
enum {
    COR_BYTES_FIELD = 0,
    COR_RUNTIME_MAJOR = 4,
    COR_RUNTIME_MINOR = 6,
    COR_FLAGS = 16,
    COR_READ_BYTES = 20,
    COR_HEADER_BYTES = 72,
};
#define COR_IL_ONLY 0x1u
#define COR_32BIT_REQUIRED 0x2u
#define COR_32BIT_PREFERRED 0x20000u

/* Offsets in SECTION_IMAGE_INFORMATION. */
enum {
    INFO_TRANSFER_ADDRESS = 0,
    INFO_STACK_RESERVE = 16,
    INFO_STACK_COMMIT = 24,
    INFO_SUBSYSTEM = 32,
    INFO_SUBSYSTEM_MINOR = 36,
    INFO_SUBSYSTEM_MAJOR = 38,
    INFO_SYSTEM_MAJOR = 40,
    INFO_SYSTEM_MINOR = 42,
    INFO_CHARACTERISTICS = 44,
    INFO_DLL_CHARACTERISTICS = 46,
    INFO_MACHINE = 48,
    INFO_CONTAINS_CODE = 50,
    INFO_FLAGS = 51,
    INFO_LOADER_FLAGS = 52,
    INFO_FILE_BYTES = 56,
    INFO_CHECKSUM = 60,
};

static bool is_runtime_known(uint16_t major, uint16_t minor)
{
    return major > 2 || (major == 2 && minor >= 5);
}

static uint8_t com_flags(uint32_t cor_flags, bool is_64)
{
    uint8_t flags = IMAGE_FLAG_COM_IL_ONLY;
    if (!(cor_flags & COR_IL_ONLY))
        return 0;
    if (is_64)
        return flags;
    if (!(cor_flags & COR_32BIT_REQUIRED))
        flags |= IMAGE_FLAG_COM_NATIVE_READY;
    if (cor_flags & COR_32BIT_PREFERRED)
        flags |= IMAGE_FLAG_COM_PREFER_32BIT;
    return flags;
}

ntmm_status image_read_com_flags(const struct image_source *source, uint32_t rva, uint32_t size,
                                 struct image *image)
{
    uint8_t cor[COR_READ_BYTES];
    uint64_t image_end = (uint64_t)image->image_pages << NTMM_PAGE_SHIFT;
    if (rva == 0 || size == 0)
        return NTMM_STATUS_SUCCESS;
    image->loader_flags = 1;
    if (size < COR_HEADER_BYTES || (uint64_t)rva + COR_HEADER_BYTES > image_end)
        return NTMM_STATUS_SUCCESS;
    ntmm_status status = image_read_rva(source, image, rva, cor, COR_READ_BYTES);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (bytes_get32(cor + COR_BYTES_FIELD) >= COR_HEADER_BYTES &&
        is_runtime_known(bytes_get16(cor + COR_RUNTIME_MAJOR),
                         bytes_get16(cor + COR_RUNTIME_MINOR)))
        image->flags |= com_flags(bytes_get32(cor + COR_FLAGS), image->is_64);
    return NTMM_STATUS_SUCCESS;
}

static uint8_t flags_at(const struct image *image, uint64_t base)
{
    bool is_below = image->is_64 && base < (uint64_t)1 << 32;
    return (uint8_t)(image->flags | (is_below ? IMAGE_FLAG_BASE_BELOW_4GB : 0));
}

void image_information(const struct image *image, uint64_t base, uint64_t file_bytes,
                       uint8_t out[IMAGE_INFORMATION_BYTES])
{
    for (uint32_t i = 0; i < IMAGE_INFORMATION_BYTES; i++)
        out[i] = 0;
    bytes_set(out + INFO_TRANSFER_ADDRESS, base + image->entry_rva, 8);
    bytes_set(out + INFO_STACK_RESERVE, image->stack_reserve_bytes, 8);
    bytes_set(out + INFO_STACK_COMMIT, image->stack_commit_bytes, 8);
    bytes_set(out + INFO_SUBSYSTEM, image->subsystem, 4);
    bytes_set(out + INFO_SUBSYSTEM_MINOR, image->subsystem_minor, 2);
    bytes_set(out + INFO_SUBSYSTEM_MAJOR, image->subsystem_major, 2);
    bytes_set(out + INFO_SYSTEM_MAJOR, image->system_major, 2);
    bytes_set(out + INFO_SYSTEM_MINOR, image->system_minor, 2);
    bytes_set(out + INFO_CHARACTERISTICS, image->characteristics, 2);
    bytes_set(out + INFO_DLL_CHARACTERISTICS, image->dll_characteristics, 2);
    bytes_set(out + INFO_MACHINE, image->machine, 2);
    out[INFO_CONTAINS_CODE] = image->contains_code;
    out[INFO_FLAGS] = flags_at(image, base);
    bytes_set(out + INFO_LOADER_FLAGS, image->loader_flags, 4);
    bytes_set(out + INFO_FILE_BYTES, file_bytes, 4);
    bytes_set(out + INFO_CHECKSUM, image->checksum, 4);
}

bool image_is_dynamic(const uint8_t information[IMAGE_INFORMATION_BYTES])
{
    return (bytes_get16(information + INFO_DLL_CHARACTERISTICS) & IMAGE_DLL_DYNAMIC_BASE) != 0;
}
