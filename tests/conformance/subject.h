/*
 * Something that answers NT's memory services: the page-array model or the library. The runner
 * opens one for each case, so that cases are independent.
 */
#ifndef CONFORMANCE_SUBJECT_H
#define CONFORMANCE_SUBJECT_H

#include "model/model.h"

/* Whose handle a call names. */
enum caller {
    CALLER_LIVE,
    CALLER_OTHER,
    CALLER_NULL,
    CALLER_STALE,
    CALLER_WRONG_KIND,
    CALLER_COUNT,
};

struct subject_setup {
    uint64_t commit_limit_pages; /* of the live process; 0: none */
    uint32_t windows_build;      /* 0: the default */
    bool needs_residency;        /* the case is about what is valid */
};

/* Commit that every subject has to give: ample for a case, far below 1 TiB. */
#define SUBJECT_COMMIT_PAGES 0x100000u

struct subject {
    const char *name;
    bool pages_out; /* nothing is valid after a call */
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
    uint32_t (*free)(void *self, enum caller who, uint64_t *base, uint64_t *size, uint32_t type);
    uint32_t (*protect)(void *self, enum caller who, uint64_t *base, uint64_t *size,
                        uint32_t protect, uint32_t *old);
    /* *copied is set always; data NULL: the pointer is. */
    uint32_t (*read_memory)(void *self, enum caller who, uint64_t address, uint8_t *data,
                            uint64_t size, uint64_t *copied);
    uint32_t (*write_memory)(void *self, enum caller who, uint64_t address, uint8_t *data,
                             uint64_t size, uint64_t *copied);
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
};

extern const struct subject subject_model;
extern const struct subject subject_core;
extern const struct subject subject_paged; /* the library, everything paged out after each call */

#endif
