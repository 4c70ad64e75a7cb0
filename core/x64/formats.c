/*
 * The tables of formats.h that need a home.
 *
 * x64_fields lists every field of every format for printing and for round-trip tests; it is
 * generated from the same lines as the enumerators and so cannot differ from them.
 * x64_protection_bits is NT's: Write (bit 11) stands for "may be written", Dirty1 (bit 1) only once
 * the page is dirty. Write-combining takes index 1 of the page attribute table (WriteThrough), as
 * Windows programs it; no-cache takes index 2 (CacheDisable).
 */
#include "x64/formats.h"

#define X64_FIELD_ROW(format, field, name, shift, width) {X64_FORMAT_##format, name, shift, width},
#define X64_FORMAT_ROWS(format, name) X64_FIELDS_##format(X64_FIELD_ROW)
#define X64_FORMAT_NAME(format, name) [X64_FORMAT_##format] = name,

const struct x64_field x64_fields[X64_FIELD_COUNT] = {X64_FORMATS(X64_FORMAT_ROWS)};
const char *const x64_format_names[X64_FORMAT_COUNT] = {X64_FORMATS(X64_FORMAT_NAME)};

#define NX FIELD_MASK(HW_NO_EXECUTE)
#define WRITE FIELD_MASK(HW_WRITE)
#define COPY FIELD_MASK(HW_COPY_ON_WRITE)
#define NO_CACHE FIELD_MASK(HW_CACHE_DISABLE)
#define COMBINE FIELD_MASK(HW_WRITE_THROUGH)

/* clang-format off */
#define PROTECTION_ROWS(modifier, how)                                                             \
    [(modifier) + PROT_READONLY] = NX | (how),                                                     \
    [(modifier) + PROT_EXECUTE] = (how),                                                           \
    [(modifier) + PROT_EXECUTE_READ] = (how),                                                      \
    [(modifier) + PROT_READWRITE] = NX | WRITE | (how),                                            \
    [(modifier) + PROT_WRITECOPY] = NX | COPY | (how),                                             \
    [(modifier) + PROT_EXECUTE_READWRITE] = WRITE | (how),                                         \
    [(modifier) + PROT_EXECUTE_WRITECOPY] = COPY | (how)
/* clang-format on */

const uint64_t x64_protection_bits[PROT_COUNT] = {
    PROTECTION_ROWS(0, 0),
    PROTECTION_ROWS(PROT_NOCACHE, NO_CACHE),
    PROTECTION_ROWS(PROT_GUARD, 0),
    PROTECTION_ROWS(PROT_WRITECOMBINE, COMBINE),
};
