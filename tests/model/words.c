#include "model/words.h"

#include "model/nt.h"

#include <ntmm/status.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct name {
    uint32_t value;
    const char *text;
};

static const struct name STATUSES[] = {
    {NTMM_STATUS_SUCCESS, "SUCCESS"},
    {NTMM_STATUS_GUARD_PAGE_VIOLATION, "GUARD_PAGE_VIOLATION"},
    {NTMM_STATUS_UNSUCCESSFUL, "UNSUCCESSFUL"},
    {NTMM_STATUS_INVALID_INFO_CLASS, "INVALID_INFO_CLASS"},
    {NTMM_STATUS_INFO_LENGTH_MISMATCH, "INFO_LENGTH_MISMATCH"},
    {NTMM_STATUS_INVALID_ADDRESS, "INVALID_ADDRESS"},
    {NTMM_STATUS_ACCESS_VIOLATION, "ACCESS_VIOLATION"},
    {NTMM_STATUS_INVALID_HANDLE, "INVALID_HANDLE"},
    {NTMM_STATUS_INVALID_PARAMETER, "INVALID_PARAMETER"},
    {NTMM_STATUS_NO_MEMORY, "NO_MEMORY"},
    {NTMM_STATUS_CONFLICTING_ADDRESSES, "CONFLICTING_ADDRESSES"},
    {NTMM_STATUS_UNABLE_TO_FREE_VM, "UNABLE_TO_FREE_VM"},
    {NTMM_STATUS_OBJECT_TYPE_MISMATCH, "OBJECT_TYPE_MISMATCH"},
    {NTMM_STATUS_NOT_COMMITTED, "NOT_COMMITTED"},
    {NTMM_STATUS_INVALID_PAGE_PROTECTION, "INVALID_PAGE_PROTECTION"},
    {NTMM_STATUS_FREE_VM_NOT_AT_BASE, "FREE_VM_NOT_AT_BASE"},
    {NTMM_STATUS_MEMORY_NOT_ALLOCATED, "MEMORY_NOT_ALLOCATED"},
    {NTMM_STATUS_NOT_SUPPORTED, "NOT_SUPPORTED"},
    {NTMM_STATUS_INVALID_PARAMETER_1, "INVALID_PARAMETER_1"},
    {NTMM_STATUS_PRIVILEGE_NOT_HELD, "PRIVILEGE_NOT_HELD"},
    {NTMM_STATUS_INSUFFICIENT_RESOURCES, "INSUFFICIENT_RESOURCES"},
    {NTMM_STATUS_UNABLE_TO_DECOMMIT_VM, "UNABLE_TO_DECOMMIT_VM"},
    {NTMM_STATUS_INVALID_PARAMETER_2, "INVALID_PARAMETER_2"},
    {NTMM_STATUS_INVALID_PARAMETER_3, "INVALID_PARAMETER_3"},
    {NTMM_STATUS_INVALID_PARAMETER_4, "INVALID_PARAMETER_4"},
    {NTMM_STATUS_INVALID_PARAMETER_5, "INVALID_PARAMETER_5"},
    {NTMM_STATUS_INVALID_PARAMETER_6, "INVALID_PARAMETER_6"},
    {NTMM_STATUS_STACK_OVERFLOW, "STACK_OVERFLOW"},
    {NTMM_STATUS_PAGEFILE_QUOTA_EXCEEDED, "PAGEFILE_QUOTA_EXCEEDED"},
    {NTMM_STATUS_COMMITMENT_LIMIT, "COMMITMENT_LIMIT"},
    {NTMM_STATUS_WAS_LOCKED, "WAS_LOCKED"},
    {NTMM_STATUS_WAS_UNLOCKED, "WAS_UNLOCKED"},
    {NTMM_STATUS_PARTIAL_COPY, "PARTIAL_COPY"},
    {NTMM_STATUS_NOT_MAPPED_VIEW, "NOT_MAPPED_VIEW"},
    {NTMM_STATUS_ACCESS_DENIED, "ACCESS_DENIED"},
    {NTMM_STATUS_NOT_LOCKED, "NOT_LOCKED"},
    {NTMM_STATUS_WORKING_SET_QUOTA, "WORKING_SET_QUOTA"},
};

static const struct name PROTECTIONS[] = {
    {PAGE_NOACCESS, "NOACCESS"},
    {PAGE_READONLY, "READONLY"},
    {PAGE_READWRITE, "READWRITE"},
    {PAGE_WRITECOPY, "WRITECOPY"},
    {PAGE_EXECUTE, "EXECUTE"},
    {PAGE_EXECUTE_READ, "EXECUTE_READ"},
    {PAGE_EXECUTE_READWRITE, "EXECUTE_READWRITE"},
    {PAGE_EXECUTE_WRITECOPY, "EXECUTE_WRITECOPY"},
    {PAGE_GUARD, "GUARD"},
    {PAGE_NOCACHE, "NOCACHE"},
    {PAGE_WRITECOMBINE, "WRITECOMBINE"},
};

static const struct name TYPES[] = {
    {MEM_COALESCE_PLACEHOLDERS, "COALESCE_PLACEHOLDERS"},
    {MEM_PRESERVE_PLACEHOLDER, "PRESERVE_PLACEHOLDER"},
    {MEM_COMMIT, "COMMIT"},
    {MEM_RESERVE, "RESERVE"},
    {MEM_DECOMMIT, "DECOMMIT"},
    {MEM_RELEASE, "RELEASE"},
    {MEM_FREE, "FREE"},
    {MEM_PRIVATE, "PRIVATE"},
    {MEM_RESERVE_PLACEHOLDER, "RESERVE_PLACEHOLDER"},
    {MEM_RESET, "RESET"},
    {MEM_TOP_DOWN, "TOP_DOWN"},
    {MEM_WRITE_WATCH, "WRITE_WATCH"},
    {MEM_PHYSICAL, "PHYSICAL"},
    {MEM_RESET_UNDO, "RESET_UNDO"},
    {MEM_LARGE_PAGES, "LARGE_PAGES"},
    /* only read: when written it is the bit that DECOMMIT names */
    {MEM_REPLACE_PLACEHOLDER, "REPLACE_PLACEHOLDER"},
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

char *words_of_number(char text[WORD_SIZE], uint64_t value)
{
    snprintf(text, WORD_SIZE, value < 10 ? "%" PRIu64 : "0x%" PRIX64, value);
    return text;
}

char *words_of_status(char text[WORD_SIZE], uint32_t status)
{
    for (size_t i = 0; i < COUNT_OF(STATUSES); i++) {
        if (STATUSES[i].value == status) {
            return strcpy(text, STATUSES[i].text);
        }
    }
    return words_of_number(text, status);
}

/* Names of the bits, lowest first; bits without a name as a number at the end. */
static char *join(char text[WORD_SIZE], uint32_t value, const struct name *names, size_t count)
{
    char rest[WORD_SIZE];

    text[0] = 0;
    for (size_t i = 0; i < count; i++) {
        if (value & names[i].value) {
            strcat(strcat(text, text[0] ? "|" : ""), names[i].text);
            value &= ~names[i].value;
        }
    }
    if (value || !text[0]) {
        strcat(strcat(text, text[0] ? "|" : ""), words_of_number(rest, value));
    }
    return text;
}

char *words_of_protect(char text[WORD_SIZE], uint32_t protect)
{
    return join(text, protect, PROTECTIONS, COUNT_OF(PROTECTIONS));
}

char *words_of_type(char text[WORD_SIZE], uint32_t type)
{
    return join(text, type, TYPES, COUNT_OF(TYPES));
}

bool words_parse_number(const char *text, uint64_t *value)
{
    char *end;

    *value = strtoull(text, &end, 0);
    return end != text && !*end;
}

static bool parse_part(const char *text, const struct name *names, size_t count, uint64_t *value)
{
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(names[i].text, text)) {
            *value = names[i].value;
            return true;
        }
    }
    return words_parse_number(text, value);
}

static bool parse(const char *text, const struct name *names, size_t count, uint64_t *value)
{
    char part[WORD_SIZE];
    uint64_t bits;

    *value = 0;
    while (*text) {
        size_t length = strcspn(text, "|");

        if (length >= sizeof(part)) {
            return false;
        }
        memcpy(part, text, length);
        part[length] = 0;
        if (!parse_part(part, names, count, &bits)) {
            return false;
        }
        *value |= bits;
        text += length + (text[length] == '|');
    }
    return true;
}

bool words_parse_protect(const char *text, uint64_t *value)
{
    return parse(text, PROTECTIONS, COUNT_OF(PROTECTIONS), value);
}

bool words_parse_type(const char *text, uint64_t *value)
{
    return parse(text, TYPES, COUNT_OF(TYPES), value);
}
