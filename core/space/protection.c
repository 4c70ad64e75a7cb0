/*
 * Page protections: conversion and legality. See protection.h.
 */
#include "space/protection.h"

#include <ntmm/constants.h>

#define BASE_BITS 0xFFu
#define MODIFIER_BITS (NTMM_PAGE_GUARD | NTMM_PAGE_NOCACHE | NTMM_PAGE_WRITECOMBINE)

/* Win32 base value of each access code. */
static const uint32_t base_of_access[8] = {
    NTMM_PAGE_NOACCESS,          NTMM_PAGE_READONLY,          NTMM_PAGE_EXECUTE,
    NTMM_PAGE_EXECUTE_READ,      NTMM_PAGE_READWRITE,         NTMM_PAGE_WRITECOPY,
    NTMM_PAGE_EXECUTE_READWRITE, NTMM_PAGE_EXECUTE_WRITECOPY,
};

/* The access code of each base value, by its bit. */
static const uint8_t access_of_bit[8] = {
    0,
    PROT_READONLY,
    PROT_READWRITE,
    PROT_WRITECOPY,
    PROT_EXECUTE,
    PROT_EXECUTE_READ,
    PROT_EXECUTE_READWRITE,
    PROT_EXECUTE_WRITECOPY,
};

const uint8_t protection_of_bit[8] = {
    PROT_NOACCESS, PROT_READONLY,     PROT_READWRITE,         0,
    PROT_EXECUTE,  PROT_EXECUTE_READ, PROT_EXECUTE_READWRITE, 0,
};

static bool access_of_base(uint32_t base, uint32_t *access)
{
    if (base == 0 || (base & (base - 1)) != 0)
        return false;
    *access = access_of_bit[floor_log2(base)];
    return true;
}

/* At most one modifier, and none with NOACCESS. */
static bool modifier_code(uint32_t modifiers, uint32_t access, uint32_t *code)
{
    switch (modifiers) {
    case 0:
        *code = access == 0 ? PROT_NOACCESS : 0;
        return true;
    case NTMM_PAGE_GUARD:
        *code = PROT_GUARD;
        return access != 0;
    case NTMM_PAGE_NOCACHE:
        *code = PROT_NOCACHE;
        return access != 0;
    case NTMM_PAGE_WRITECOMBINE:
        *code = PROT_WRITECOMBINE;
        return access != 0;
    default:
        return false;
    }
}

bool protection_of_private_by_parts(uint32_t win32, uint32_t *code)
{
    if (win32 & (NTMM_PAGE_WRITECOPY | NTMM_PAGE_EXECUTE_WRITECOPY))
        return false;
    return protection_of_view_by_parts(win32, code);
}

bool protection_of_view_by_parts(uint32_t win32, uint32_t *code)
{
    uint32_t access;
    uint32_t modifier;
    if (win32 & ~(BASE_BITS | MODIFIER_BITS))
        return false;
    if (!access_of_base(win32 & BASE_BITS, &access))
        return false;
    if (!modifier_code(win32 & MODIFIER_BITS, access, &modifier))
        return false;
    *code = access | modifier;
    return true;
}

uint32_t protection_to_win32(uint32_t code)
{
    uint32_t access = code & PROT_ACCESS_MASK;
    uint32_t base = base_of_access[access];
    if (access == 0)
        return NTMM_PAGE_NOACCESS;
    switch (code & PROT_MODIFIER_MASK) {
    case PROT_NOCACHE:
        return base | NTMM_PAGE_NOCACHE;
    case PROT_GUARD:
        return base | NTMM_PAGE_GUARD;
    case PROT_WRITECOMBINE:
        return base | NTMM_PAGE_WRITECOMBINE;
    default:
        return base;
    }
}

uint32_t protection_in_region(uint32_t wanted, uint32_t region)
{
    uint32_t modifier = region & PROT_MODIFIER_MASK;
    bool has_cache = (region & PROT_ACCESS_MASK) != 0 && modifier != PROT_GUARD;
    if (!protection_is_mappable(wanted))
        return wanted;
    return (wanted & PROT_ACCESS_MASK) | (has_cache ? modifier : 0);
}
