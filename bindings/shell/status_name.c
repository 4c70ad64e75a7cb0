/*
 * Names of the statuses that end in a message. See shell.h.
 */
#include "shell.h"

#define ROW(name) {NTMM_##name, #name}

const char *shell_status_name(ntmm_status status, struct shell_status_name *name)
{
    static const struct {
        ntmm_status status;
        const char *text;
    } names[] = {
        ROW(STATUS_SUCCESS),
        ROW(STATUS_ACCESS_DENIED),
        ROW(STATUS_ACCESS_VIOLATION),
        ROW(STATUS_COMMITMENT_LIMIT),
        ROW(STATUS_CONFLICTING_ADDRESSES),
        ROW(STATUS_DEVICE_DATA_ERROR),
        ROW(STATUS_DISK_FULL),
        ROW(STATUS_END_OF_FILE),
        ROW(STATUS_GUARD_PAGE_VIOLATION),
        ROW(STATUS_IMAGE_MACHINE_TYPE_MISMATCH),
        ROW(STATUS_IMAGE_NOT_AT_BASE),
        ROW(STATUS_INSUFFICIENT_RESOURCES),
        ROW(STATUS_INTERNAL_ERROR),
        ROW(STATUS_INVALID_FILE_FOR_SECTION),
        ROW(STATUS_INVALID_IMAGE_FORMAT),
        ROW(STATUS_INVALID_IMAGE_LE_FORMAT),
        ROW(STATUS_INVALID_IMAGE_NE_FORMAT),
        ROW(STATUS_INVALID_IMAGE_NOT_MZ),
        ROW(STATUS_INVALID_IMAGE_PROTECT),
        ROW(STATUS_INVALID_IMAGE_WIN_16),
        ROW(STATUS_INVALID_PARAMETER),
        ROW(STATUS_IN_PAGE_ERROR),
        ROW(STATUS_MAPPED_FILE_SIZE_ZERO),
        ROW(STATUS_NO_MEMORY),
        ROW(STATUS_OBJECT_NAME_NOT_FOUND),
        ROW(STATUS_PARTIAL_COPY),
        ROW(STATUS_SECTION_TOO_BIG),
        ROW(STATUS_STACK_OVERFLOW),
        ROW(STATUS_TIMEOUT),
    };
    snprintf(name->text, sizeof name->text, "NTSTATUS 0x%08x", (unsigned)status);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].status == status)
            snprintf(name->text, sizeof name->text, "%s", names[i].text);
    return name->text;
}
