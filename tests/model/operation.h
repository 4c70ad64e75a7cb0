/*
 * One random operation on an address space: decoded from bytes, run on the model, printed as a
 * step of a case that tests/conformance/run_cases runs. Fuzz targets and random tests run the
 * other side themselves.
 */
#ifndef MODEL_OPERATION_H
#define MODEL_OPERATION_H

#include "model/model.h"

/* Bytes that one operation is decoded from. */
#define OPERATION_RECORD_SIZE 12u
/* Most bytes of one access. */
#define OPERATION_ACCESS_LIMIT 64u
/* The largest commit that is tried, and the size from which one must be refused: what lies
 * between is made small, because RAM could not hold its page tables. */
#define OPERATION_LARGEST_COMMIT_BYTES 0x400000ull
#define OPERATION_HUGE_BYTES 0x10000000000ull

/* Whose handle an operation names; the first two live. */
enum who { WHO_LIVE, WHO_OTHER, WHO_NULL, WHO_STALE, WHO_WRONG_KIND, WHO_COUNT };
#define WHO_LIVING 2u

enum verb {
    VERB_ALLOCATE,
    VERB_ALLOCATE_EX,
    VERB_FREE,
    VERB_PROTECT,
    VERB_QUERY,
    VERB_OFFER,
    VERB_RECLAIM,
    VERB_DISCARD,
    VERB_READ_MEMORY,
    VERB_WRITE_MEMORY,
    VERB_LOCK,
    VERB_UNLOCK,
    VERB_MAP, /* with REPLACE_PLACEHOLDER the extended form */
    VERB_UNMAP,
    VERB_FLUSH,
    VERB_CREATE_SECTION,
    VERB_EXTEND_SECTION,
    VERB_CLOSE_SECTION,
    VERB_CREATE_FILE,
    VERB_READ_FILE,
    VERB_WRITE_FILE,
    VERB_SET_FILE_SIZE,
    VERB_FLUSH_FILE,
    VERB_CLOSE_FILE,
    VERB_READ,
    VERB_WRITE,
    VERB_EXECUTE,
    VERB_DOOR,       /* a page fault without an access after it */
    VERB_RESTART,    /* the process ends and a new one takes its place */
    VERB_ZERO_PAGES, /* background work that nobody may notice */
};

struct operation {
    enum verb verb;
    enum who who;
    uint32_t cpu; /* 0 or 1 */
    uint64_t base;
    uint64_t size;
    uint64_t zero_bits;
    uint32_t type; /* of LOCK and UNLOCK: which locks */
    uint32_t protect;
    bool is_base_null;
    bool is_size_null;
    bool is_old_null;
    struct model_parameter parameter; /* of ALLOCATE_EX */
    uint32_t parameter_count;         /* 0 or 1 */
    uint32_t priority;                /* of OFFER */
    uint32_t section;                 /* which of MODEL_SECTION_SLOTS */
    uint32_t file;                    /* which of MODEL_FILE_SLOTS; MODEL_FILE_SLOTS: none */
    uint32_t attributes;              /* of CREATE_SECTION */
    uint32_t rights;                  /* of CREATE_SECTION and CREATE_FILE */
    uint64_t offset;                  /* of MAP, and of READ_FILE and WRITE_FILE in the file */
    uint64_t commit_size;             /* of MAP; of CREATE_FILE the valid bytes */
    enum model_access access;         /* of READ, WRITE, EXECUTE and DOOR */
    uint8_t bytes[OPERATION_ACCESS_LIMIT];
};

/* Everything an operation gives back; both sides fill the same fields. What the model allows
 * besides stands in the last two, which only it fills. */
struct outcome {
    uint32_t status;
    uint32_t old;
    uint64_t base;
    uint64_t size; /* of READ_MEMORY and WRITE_MEMORY, of files: bytes copied */
    uint64_t offset;
    uint64_t handle; /* of CREATE_*: each side's own, not compared */
    struct model_memory memory;
    struct model_fault fault;
    uint8_t bytes[OPERATION_ACCESS_LIMIT];
    uint32_t or_status; /* this status, with nothing else given back; SUCCESS: none */
    uint64_t or_zero;   /* bit i: byte i may be zero */
};

/* Decodes a record, biased to what lies near the regions of the processes and near the edges.
 * *operation holds the operation before, or zeros: many go on where it was. */
void operation_decode(const struct model_process models[WHO_COUNT],
                      const uint8_t record[OPERATION_RECORD_SIZE], struct operation *operation);

/* What both sides start from: the values behind the pointers, the bytes to write. */
void operation_prepare(const struct operation *operation, struct outcome *outcome);

/* The model's side. RESTART ends and begins the model's process. */
void operation_run_model(struct model_process models[WHO_COUNT], const struct operation *operation,
                         struct outcome *outcome);

/* Whether what the other side found is what the model allows. */
bool operation_agrees(const struct operation *operation, const struct outcome *expected,
                      const struct outcome *found);

/* What the model learns from the other side where it allowed more than one outcome. */
void operation_learn(struct model_process models[WHO_COUNT], const struct operation *operation,
                     const struct outcome *found);

/* "  allocate ... = STATUS ..." on standard output; with a line "  as ..." before it when it names
 * another process than *who, which is updated. */
void operation_print(const struct operation *operation, const struct outcome *outcome,
                     enum who *who);
/* The part after '='. */
void operation_print_outcome(const struct operation *operation, const struct outcome *outcome);

#endif
