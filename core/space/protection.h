/*
 * Page protections: NT's Win32 values, and the five-bit codes kept in entries and VADs.
 *
 * The cache attribute (NOCACHE, WRITECOMBINE) belongs to the allocation: protection_in_region
 * replaces what a caller asks for a page by the region's. A guard page and a no-access page show
 * none, since the code has no room for both; the attribute comes back with the access.
 *
 * Source: NtAllocateVirtualMemory, NtProtectVirtualMemory documentation; observed combinations.
 */
#ifndef NTMM_SPACE_PROTECTION_H
#define NTMM_SPACE_PROTECTION_H

#include "base/bits.h"
#include "x64/formats.h"

#include <ntmm/constants.h>

bool protection_of_private_by_parts(uint32_t win32, uint32_t *code);
bool protection_of_view_by_parts(uint32_t win32, uint32_t *code);

/* The code of each base value of Win32, by its bit; 0 where only its parts say it. */
extern const uint8_t protection_of_bit[8];

/* The code of a protection without modifiers, or 0: only its parts say it. */
static inline uint32_t protection_without_modifiers(uint32_t win32)
{
    bool is_base = win32 <= 0xFF && is_power_of_two(win32);
    return is_base ? protection_of_bit[floor_log2(win32)] : 0;
}

/* The code of a legal protection for private memory. False: NT refuses it. */
static inline bool protection_of_private(uint32_t win32, uint32_t *code)
{
    uint32_t found = protection_without_modifiers(win32);
    if (__builtin_expect(found == 0, 0))
        return protection_of_private_by_parts(win32, code);
    *code = found;
    return true;
}

/* The same for a view, which may be copied on write. */
static inline bool protection_of_view(uint32_t win32, uint32_t *code)
{
    uint32_t found = protection_without_modifiers(win32);
    if (__builtin_expect(found == 0, 0))
        return protection_of_view_by_parts(win32, code);
    *code = found;
    return true;
}

/* NTMM_PAGE_* of a code; NTMM_PAGE_NOACCESS for codes that nobody can access. */
uint32_t protection_to_win32(uint32_t code);

/* The code a page takes in a region of protection `region` when `wanted` is asked for. */
uint32_t protection_in_region(uint32_t wanted, uint32_t region);

static inline bool protection_is_guard(uint32_t code)
{
    return (code & PROT_MODIFIER_MASK) == PROT_GUARD && (code & PROT_ACCESS_MASK) != 0;
}

/* Whether a page of this code can be valid in a page table. */
static inline bool protection_is_mappable(uint32_t code)
{
    return (code & PROT_ACCESS_MASK) != 0 && !protection_is_guard(code);
}

static inline bool protection_can_write(uint32_t code)
{
    uint32_t access = code & PROT_ACCESS_MASK;
    return access >= PROT_READWRITE;
}

static inline bool protection_is_copy(uint32_t code)
{
    uint32_t access = code & PROT_ACCESS_MASK;
    return access == PROT_WRITECOPY || access == PROT_EXECUTE_WRITECOPY;
}

/* What a page that may be copied becomes with its copy. */
static inline uint32_t protection_after_copy(uint32_t code)
{
    return protection_is_copy(code) ? code - 1u : code;
}

/* The other way round: what a page of an image that is to be written becomes. */
static inline uint32_t protection_before_copy(uint32_t code)
{
    uint32_t access = code & PROT_ACCESS_MASK;
    bool is_written = access == PROT_READWRITE || access == PROT_EXECUTE_READWRITE;
    return is_written ? code + 1u : code;
}

/* Whether the flag about call targets stood in a protection that is executable; it is taken out. */
static inline bool protection_take_targets_flag(uint32_t *win32)
{
    const uint32_t executable = NTMM_PAGE_EXECUTE | NTMM_PAGE_EXECUTE_READ |
                                NTMM_PAGE_EXECUTE_READWRITE | NTMM_PAGE_EXECUTE_WRITECOPY;
    if (__builtin_expect(!(*win32 & NTMM_PAGE_TARGETS_INVALID), 1) || !(*win32 & executable))
        return false;
    *win32 &= ~NTMM_PAGE_TARGETS_INVALID;
    return true;
}

static inline bool protection_can_execute(uint32_t code) { return (code & PROT_EXECUTE) != 0; }

#endif
