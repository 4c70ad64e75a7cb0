/*
 * Something that answers NT's memory services: the page-array model or the library. The runner
 * opens one for each case, so that cases are independent.
 */
#ifndef CONFORMANCE_SUBJECT_H
#define CONFORMANCE_SUBJECT_H

#include "model/section.h"

/* Whose handle a call names. */
enum caller {
    CALLER_LIVE,
    CALLER_OTHER,
    CALLER_NULL,
    CALLER_STALE,
    CALLER_WRONG_KIND,
    CALLER_COUNT,
};

/* What a case may need and a subject lack: bits. */
enum subject_need {
    NEED_IMAGES = 1,    /* sections of images */
    NEED_BASED = 2,     /* addresses of SEC_BASED sections */
    NEED_RESIDENCY = 4, /* pages that were touched are valid */
    NEED_LOCKS = 8,     /* byte-range locks of files */
    NEED_POLICIES = 16, /* policies of processes */
    NEED_ERRORS = 32,   /* devices that fail */
};
#define NEED_COUNT 6u

/* Policies of a process: bits, by the place of their word. */
enum subject_policy {
    POLICY_NO_DYNAMIC_CODE = 1,
    POLICY_FORCE_RELOCATE_IMAGES = 2,
    POLICY_DISALLOW_STRIPPED_IMAGES = 4,
};
#define POLICY_COUNT 3u

struct subject_setup {
    uint64_t commit_limit_pages; /* of the live process; 0: none */
    uint32_t windows_build;      /* 0: the default */
    uint32_t policies;           /* of the live process: POLICY_* */
    uint64_t ram_bytes;          /* of the library; 0: the subject's own */
};

/* Commit that every subject has to give: ample for a case, far below 1 TiB. */
#define SUBJECT_COMMIT_PAGES 0x100000u

/* Handles of files and sections are the subject's; 0 is none. */
#define SUBJECT_PROCESS_HANDLE UINT64_MAX /* the live process's, of the wrong kind */
#define SUBJECT_NO_SECTIONS 1u            /* no section can be made of the file */
#define SUBJECT_DEVICE_BYTES 0x400000u    /* what a file's device holds at most */

/* A new file holds its contents or, in each of its first valid_bytes bytes, the number of its page
 * plus 1; on its device the rest up to size_bytes is 0xEE. */
struct subject_file {
    const char *name; /* behind \Device\HarddiskVolume1\ */
    uint32_t access;
    uint64_t size_bytes;
    uint64_t valid_bytes;
    uint32_t flags;          /* SUBJECT_NO_SECTIONS */
    const uint8_t *contents; /* size_bytes and all valid; NULL: the numbers of pages */
};

/* Files, sections and views. Statuses and in/out values as NT's; handles are untouched on failure.
 * moved is set always. */
struct subject_sections {
    uint32_t (*create_file)(void *self, const struct subject_file *file, uint64_t *handle);
    uint32_t (*open_file)(void *self, uint64_t file, uint32_t access, uint64_t *handle);
    uint32_t (*close_file)(void *self, uint64_t file);
    uint32_t (*file_size)(void *self, uint64_t file, uint64_t *size_bytes);
    uint32_t (*set_file_size)(void *self, uint64_t file, uint64_t size_bytes);
    uint32_t (*can_delete_file)(void *self, uint64_t file);
    uint32_t (*read_file)(void *self, uint64_t file, uint64_t offset, uint8_t *data, uint64_t size,
                          uint64_t *moved);
    uint32_t (*write_file)(void *self, uint64_t file, uint64_t offset, const uint8_t *data,
                           uint64_t size, uint64_t *moved);
    uint32_t (*flush_file)(void *self, uint64_t file, uint64_t offset, uint64_t size);
    uint32_t (*purge_file)(void *self, uint64_t file);
    /* With NEED_LOCKS. A lock that is in the way is not waited for. */
    uint32_t (*lock_file)(void *self, uint64_t file, uint64_t offset, uint64_t length,
                          bool is_exclusive);
    uint32_t (*unlock_file)(void *self, uint64_t file, uint64_t offset, uint64_t length);
    /* With NEED_ERRORS: from now on all reads of the file's device fail with a status, or none. */
    uint32_t (*fail_reads)(void *self, uint64_t file, uint32_t status);
    /* What is on the device of a file; NULL: the subject has none. */
    uint32_t (*read_device)(void *self, uint64_t file, uint64_t offset, uint8_t *data, size_t size);
    uint32_t (*create_section)(void *self, uint64_t *handle,
                               const struct model_section_request *request);
    uint32_t (*open_section)(void *self, uint64_t *handle, uint32_t access, const char *name);
    uint32_t (*duplicate_section)(void *self, uint64_t section, uint32_t access, uint64_t *handle);
    uint32_t (*close_section)(void *self, uint64_t section);
    uint32_t (*query_section)(void *self, uint64_t section, uint32_t information_class,
                              void *buffer, uint64_t length, uint64_t *return_length);
    uint32_t (*extend_section)(void *self, uint64_t section, uint64_t *size);
    uint32_t (*map_view)(void *self, enum caller who, uint64_t section, uint64_t *base,
                         uint64_t *offset, uint64_t *size,
                         const struct model_view_request *request);
    uint32_t (*map_view_ex)(void *self, enum caller who, uint64_t section, uint64_t *base,
                            uint64_t *offset, uint64_t *size, uint32_t type, uint32_t protect,
                            const struct model_parameter *parameters, uint32_t count);
    uint32_t (*unmap_view)(void *self, enum caller who, uint64_t address, uint32_t flags);
    uint32_t (*is_same_file)(void *self, enum caller who, uint64_t first, uint64_t second);
    uint32_t (*flush)(void *self, enum caller who, uint64_t *base, uint64_t *size);
    /* Private pages promised to a process, and bytes of its address space in use. */
    void (*accounts)(void *self, enum caller who, uint64_t *commit_pages, uint64_t *size_bytes);
};

struct subject {
    const char *name;
    uint32_t lacks; /* NEED_* */
    void *(*open)(const struct subject_setup *setup);
    /* Checks what it can, frees everything, and returns NULL or what was wrong. */
    const char *(*close)(void *self);
    uint32_t (*allocate)(void *self, enum caller who, uint64_t *base, uint64_t zero_bits,
                         uint64_t *size, uint32_t type, uint32_t protect);
    uint32_t (*allocate_ex)(void *self, enum caller who, uint64_t *base, uint64_t *size,
                            uint32_t type, uint32_t protect,
                            const struct model_parameter *parameters, uint32_t count);
    uint32_t (*offer)(void *self, enum caller who, uint64_t base, uint64_t size, uint32_t priority);
    uint32_t (*reclaim)(void *self, enum caller who, uint64_t base, uint64_t size);
    uint32_t (*discard)(void *self, enum caller who, uint64_t base, uint64_t size);
    /* The handle is untouched on failure. */
    uint32_t (*secure)(void *self, enum caller who, uint64_t base, uint64_t size, uint32_t mode,
                       uint64_t *handle);
    uint32_t (*unsecure)(void *self, enum caller who, uint64_t handle);
    uint32_t (*free)(void *self, enum caller who, uint64_t *base, uint64_t *size, uint32_t type);
    uint32_t (*protect)(void *self, enum caller who, uint64_t *base, uint64_t *size,
                        uint32_t protect, uint32_t *old);
    /* *copied is set always; data NULL: the pointer is. */
    uint32_t (*read_memory)(void *self, enum caller who, uint64_t address, uint8_t *data,
                            uint64_t size, uint64_t *copied);
    uint32_t (*write_memory)(void *self, enum caller who, uint64_t address, uint8_t *data,
                             uint64_t size, uint64_t *copied);
    uint32_t (*probe)(void *self, enum caller who, uint64_t address, uint64_t size,
                      enum model_access access);
    uint32_t (*lock)(void *self, enum caller who, uint64_t *base, uint64_t *size, uint32_t kind);
    uint32_t (*unlock)(void *self, enum caller who, uint64_t *base, uint64_t *size, uint32_t kind);
    uint32_t (*query)(void *self, enum caller who, uint64_t address, struct model_memory *memory);
    /* NULL: the subject cannot say. */
    uint32_t (*query_class)(void *self, enum caller who, uint64_t address,
                            uint32_t information_class, void *buffer, uint64_t length,
                            uint64_t *return_length);
    uint32_t (*get_write_watch)(void *self, enum caller who, uint32_t flags, uint64_t base,
                                uint64_t size, uint64_t *addresses, uint64_t *count);
    uint32_t (*reset_write_watch)(void *self, enum caller who, uint64_t base, uint64_t size);
    uint32_t (*access)(void *self, enum caller who, uint64_t address, uint32_t size,
                       enum model_access access, uint8_t *data, struct model_fault *fault);
    /* The page fault of an access without the access. */
    uint32_t (*fault)(void *self, enum caller who, uint64_t address, enum model_access access,
                      struct model_fault *fault);
    /* The live or the other process ends, and a new one with the same limits takes its place. */
    void (*restart)(void *self, enum caller who);
    /* The other process ends, and a clone of this one takes its place. */
    uint32_t (*clone)(void *self, enum caller who);
    const struct subject_sections *sections; /* NULL: it has none */
};

extern const struct subject_sections subject_model_sections;

extern const struct subject subject_model;
extern const struct subject subject_core;
extern const struct subject subject_paged; /* the library, everything paged out after each call */

#endif
