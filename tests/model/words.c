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
    {NTMM_STATUS_INVALID_PARAMETER_7, "INVALID_PARAMETER_7"},
    {NTMM_STATUS_INVALID_PARAMETER_8, "INVALID_PARAMETER_8"},
    {NTMM_STATUS_INVALID_PARAMETER_9, "INVALID_PARAMETER_9"},
    {NTMM_STATUS_OBJECT_NAME_EXISTS, "OBJECT_NAME_EXISTS"},
    {NTMM_STATUS_OBJECT_NAME_NOT_FOUND, "OBJECT_NAME_NOT_FOUND"},
    {NTMM_STATUS_OBJECT_NAME_COLLISION, "OBJECT_NAME_COLLISION"},
    {NTMM_STATUS_BUFFER_OVERFLOW, "BUFFER_OVERFLOW"},
    {NTMM_STATUS_IN_PAGE_ERROR, "IN_PAGE_ERROR"},
    {NTMM_STATUS_END_OF_FILE, "END_OF_FILE"},
    {NTMM_STATUS_UNABLE_TO_DELETE_SECTION, "UNABLE_TO_DELETE_SECTION"},
    {NTMM_STATUS_INVALID_VIEW_SIZE, "INVALID_VIEW_SIZE"},
    {NTMM_STATUS_INVALID_FILE_FOR_SECTION, "INVALID_FILE_FOR_SECTION"},
    {NTMM_STATUS_ALREADY_COMMITTED, "ALREADY_COMMITTED"},
    {NTMM_STATUS_SECTION_TOO_BIG, "SECTION_TOO_BIG"},
    {NTMM_STATUS_SHARING_VIOLATION, "SHARING_VIOLATION"},
    {NTMM_STATUS_FILE_LOCK_CONFLICT, "FILE_LOCK_CONFLICT"},
    {NTMM_STATUS_LOCK_NOT_GRANTED, "LOCK_NOT_GRANTED"},
    {NTMM_STATUS_RANGE_NOT_LOCKED, "RANGE_NOT_LOCKED"},
    {NTMM_STATUS_INVALID_LOCK_RANGE, "INVALID_LOCK_RANGE"},
    {NTMM_STATUS_DYNAMIC_CODE_BLOCKED, "DYNAMIC_CODE_BLOCKED"},
    {NTMM_STATUS_SECTION_NOT_IMAGE, "SECTION_NOT_IMAGE"},
    {NTMM_STATUS_SECTION_PROTECTION, "SECTION_PROTECTION"},
    {NTMM_STATUS_DISK_FULL, "DISK_FULL"},
    {NTMM_STATUS_SECTION_NOT_EXTENDED, "SECTION_NOT_EXTENDED"},
    {NTMM_STATUS_FILE_INVALID, "FILE_INVALID"},
    {NTMM_STATUS_NOT_SAME_DEVICE, "NOT_SAME_DEVICE"},
    {NTMM_STATUS_MAPPED_FILE_SIZE_ZERO, "MAPPED_FILE_SIZE_ZERO"},
    {NTMM_STATUS_CANNOT_DELETE, "CANNOT_DELETE"},
    {NTMM_STATUS_MAPPED_ALIGNMENT, "MAPPED_ALIGNMENT"},
    {NTMM_STATUS_USER_MAPPED_FILE, "USER_MAPPED_FILE"},
    {NTMM_STATUS_INVALID_IMAGE_NOT_MZ, "INVALID_IMAGE_NOT_MZ"},
    {NTMM_STATUS_INVALID_IMAGE_FORMAT, "INVALID_IMAGE_FORMAT"},
    {NTMM_STATUS_INVALID_IMAGE_PROTECT, "INVALID_IMAGE_PROTECT"},
    {NTMM_STATUS_INVALID_IMAGE_NE_FORMAT, "INVALID_IMAGE_NE_FORMAT"},
    {NTMM_STATUS_INVALID_IMAGE_LE_FORMAT, "INVALID_IMAGE_LE_FORMAT"},
    {NTMM_STATUS_INVALID_IMAGE_WIN_16, "INVALID_IMAGE_WIN_16"},
    {NTMM_STATUS_IMAGE_NOT_AT_BASE, "IMAGE_NOT_AT_BASE"},
    {NTMM_STATUS_IMAGE_MACHINE_TYPE_MISMATCH, "IMAGE_MACHINE_TYPE_MISMATCH"},
    {NTMM_STATUS_NOT_MAPPED_DATA, "NOT_MAPPED_DATA"},
    {NTMM_STATUS_PURGE_FAILED, "PURGE_FAILED"},
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
    {PAGE_REVERT_TO_FILE_MAP, "REVERT_TO_FILE_MAP"},
    {PAGE_TARGETS_INVALID, "TARGETS_INVALID"},
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
    {MEM_DIFFERENT_IMAGE_BASE_OK, "DIFFERENT_IMAGE_BASE_OK"},
    /* only read: when written they are bits that other names have */
    {MEM_REPLACE_PLACEHOLDER, "REPLACE_PLACEHOLDER"},
    {SEC_NO_CHANGE, "NO_CHANGE"},
    {MEM_UNMAP_WITH_TRANSIENT_BOOST, "UNMAP_WITH_TRANSIENT_BOOST"},
};

/* The type of a region, by bits that mean other things in a call. */
static const struct name KINDS[] = {
    {MEM_PRIVATE, "PRIVATE"},
    {MEM_MAPPED, "MAPPED"},
    {MEM_IMAGE, "IMAGE"},
};

static const struct name FILE_RIGHTS[] = {
    {FILE_READ_DATA, "READ"},
    {FILE_WRITE_DATA, "WRITE"},
    {FILE_EXECUTE, "EXECUTE"},
};

static const struct name SECTION_RIGHTS[] = {
    {SECTION_ALL_ACCESS, "ALL_ACCESS"},   {SECTION_QUERY, "QUERY"},
    {SECTION_MAP_WRITE, "MAP_WRITE"},     {SECTION_MAP_READ, "MAP_READ"},
    {SECTION_MAP_EXECUTE, "MAP_EXECUTE"}, {SECTION_EXTEND_SIZE, "EXTEND_SIZE"},
};

static const struct name MAP_ACCESSES[] = {
    {FILE_MAP_ALL_ACCESS, "ALL_ACCESS"}, {FILE_MAP_COPY, "COPY"},
    {FILE_MAP_WRITE, "WRITE"},           {FILE_MAP_READ, "READ"},
    {FILE_MAP_EXECUTE, "EXECUTE"},       {FILE_MAP_SECTION_EXECUTE, "SECTION_EXECUTE"},
};

static const struct name ERRORS[] = {
    {ERROR_SUCCESS, "SUCCESS"},
    {ERROR_ACCESS_DENIED, "ERROR_ACCESS_DENIED"},
    {ERROR_INVALID_HANDLE, "ERROR_INVALID_HANDLE"},
    {ERROR_NOT_ENOUGH_MEMORY, "ERROR_NOT_ENOUGH_MEMORY"},
    {ERROR_INVALID_PARAMETER, "ERROR_INVALID_PARAMETER"},
    {ERROR_PARTIAL_COPY, "ERROR_PARTIAL_COPY"},
    {ERROR_INVALID_ADDRESS, "ERROR_INVALID_ADDRESS"},
    {ERROR_NOACCESS, "ERROR_NOACCESS"},
    {ERROR_MAPPED_ALIGNMENT, "ERROR_MAPPED_ALIGNMENT"},
    {ERROR_COMMITMENT_LIMIT, "ERROR_COMMITMENT_LIMIT"},
};

static const struct name ATTRIBUTES[] = {
    {SEC_BASED, "BASED"},     {SEC_NO_CHANGE, "NO_CHANGE"},       {SEC_FILE, "FILE"},
    {SEC_IMAGE, "IMAGE"},     {SEC_RESERVE, "RESERVE"},           {SEC_COMMIT, "COMMIT"},
    {SEC_NOCACHE, "NOCACHE"}, {SEC_WRITECOMBINE, "WRITECOMBINE"}, {SEC_LARGE_PAGES, "LARGE_PAGES"},
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

char *words_of_error(char text[WORD_SIZE], uint32_t error)
{
    for (size_t i = 0; i < COUNT_OF(ERRORS); i++) {
        if (ERRORS[i].value == error) {
            return strcpy(text, ERRORS[i].text);
        }
    }
    return words_of_number(text, error);
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

char *words_of_kind(char text[WORD_SIZE], uint32_t kind)
{
    return join(text, kind, KINDS, COUNT_OF(KINDS));
}

char *words_of_file_rights(char text[WORD_SIZE], uint32_t rights)
{
    return join(text, rights, FILE_RIGHTS, COUNT_OF(FILE_RIGHTS));
}

char *words_of_section_rights(char text[WORD_SIZE], uint32_t rights)
{
    return join(text, rights, SECTION_RIGHTS + 1, COUNT_OF(SECTION_RIGHTS) - 1);
}

char *words_of_attributes(char text[WORD_SIZE], uint32_t attributes)
{
    return join(text, attributes, ATTRIBUTES, COUNT_OF(ATTRIBUTES));
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

bool words_parse_status(const char *text, uint64_t *value)
{
    return parse_part(text, STATUSES, COUNT_OF(STATUSES), value);
}

bool words_parse_protect(const char *text, uint64_t *value)
{
    return parse(text, PROTECTIONS, COUNT_OF(PROTECTIONS), value);
}

bool words_parse_type(const char *text, uint64_t *value)
{
    return parse(text, TYPES, COUNT_OF(TYPES), value);
}

bool words_parse_file_rights(const char *text, uint64_t *value)
{
    return parse(text, FILE_RIGHTS, COUNT_OF(FILE_RIGHTS), value);
}

bool words_parse_section_rights(const char *text, uint64_t *value)
{
    return parse(text, SECTION_RIGHTS, COUNT_OF(SECTION_RIGHTS), value);
}

bool words_parse_attributes(const char *text, uint64_t *value)
{
    return parse(text, ATTRIBUTES, COUNT_OF(ATTRIBUTES), value);
}

bool words_parse_map_access(const char *text, uint64_t *value)
{
    return parse(text, MAP_ACCESSES, COUNT_OF(MAP_ACCESSES), value);
}
