/*
 * Functions of kernel32 over NT's memory services, for who puts a Win32 API on top of ntmm: what
 * Windows adds to the services in user mode. ntmm itself ends with the services.
 *
 * They call what a table names, nothing else, and keep nothing: any number of threads may call
 * them. win32_over_ntmm fills the table with ntmm's public calls; who translates handles, charges a
 * guest or follows code that changes puts calls of their own into it.
 *
 * Each function returns 0 where Windows returns TRUE, else the error that it sets as the last one;
 * what it would have written is then untouched, unless said. Sources: the fact sheet's 3.1, 3.4 and
 * 4.5; docs/win32.md has the decisions.
 */
#ifndef EXAMPLE_WIN32_H
#define EXAMPLE_WIN32_H

#include <ntmm.h>

#define WIN32_ERROR_INVALID_PARAMETER 87u
#define WIN32_ERROR_MR_MID_NOT_FOUND 317u
#define WIN32_ERROR_INVALID_ADDRESS 487u
#define WIN32_ERROR_NOACCESS 998u

/* What MapViewOfFile is asked for. */
#define WIN32_FILE_MAP_COPY 0x01u
#define WIN32_FILE_MAP_WRITE 0x02u
#define WIN32_FILE_MAP_READ 0x04u
#define WIN32_FILE_MAP_EXECUTE 0x20u

/* NT's services; handles are whatever these calls take for one. */
struct win32_services {
    void *context;
    ntmm_status (*free)(void *context, uint64_t process, uint64_t *base, uint64_t *size,
                        uint32_t type);
    ntmm_status (*protect)(void *context, uint64_t process, uint64_t *base, uint64_t *size,
                           uint32_t protect, uint32_t *old);
    ntmm_status (*query)(void *context, uint64_t process, uint64_t address,
                         struct ntmm_memory_basic_information *information);
    ntmm_status (*write)(void *context, uint64_t process, uint64_t address, const void *data,
                         uint64_t size, uint64_t *copied);
    /* With the disposition ViewShare, nothing to commit, and no type. */
    ntmm_status (*map_view)(void *context, uint64_t section, uint64_t process, uint64_t *base,
                            uint64_t *offset, uint64_t *size, uint32_t protect);
};

/* ntmm's own; process and section are its handles. */
struct win32_services win32_over_ntmm(struct ntmm_system *system);

/* The error of a status, as RtlNtStatusToDosError has it; 0 of a success. */
uint32_t win32_error_of(ntmm_status status);

/* VirtualFreeEx. A whole region is released, so a release has no size. */
uint32_t win32_virtual_free(const struct win32_services *nt, uint64_t process, uint64_t address,
                            uint64_t size, uint32_t type);

/*
 * WriteProcessMemory. Pages that can be executed but not written are made writable for the time, as
 * far as they are alike from the address on; pages that can neither be written nor executed are
 * refused at once. *written (may be NULL) is set when bytes were moved or could have been: on
 * success and with ERROR_PARTIAL_COPY. When the old protection cannot be restored the error is that
 * one's, and the bytes stand.
 */
uint32_t win32_write_process_memory(const struct win32_services *nt, uint64_t process,
                                    uint64_t address, const void *data, uint64_t size,
                                    uint64_t *written);

/* The protection that MapViewOfFile asks for with an access. */
uint32_t win32_protection_of_map_access(uint32_t access);

/* MapViewOfFileEx into a process: *base is where, 0: anywhere; then where it lies. Size 0: to the
 * end of the section. */
uint32_t win32_map_view_of_file(const struct win32_services *nt, uint64_t section, uint64_t process,
                                uint32_t access, uint64_t offset, uint64_t size, uint64_t *base);

#endif
