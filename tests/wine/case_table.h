/*
 * The cases as data: what generate.py makes of the files in tests/conformance. One step is one call
 * with its arguments as numbers; text and expected are the line of the file, before and after '='.
 */
#ifndef WINE_CASE_TABLE_H
#define WINE_CASE_TABLE_H

#include <stdint.h>

#define ARGUMENT_LIMIT 10
#define STEP_BYTES_LIMIT 64

enum verb {
    VERB_AS,
    VERB_ALLOCATE,
    VERB_ALLOCATE_EX,
    VERB_FREE,
    VERB_PROTECT,
    VERB_QUERY,
    VERB_QUERY_CLASS,
    VERB_READ,
    VERB_READ_NUMBER,
    VERB_WRITE,
    VERB_EXECUTE,
    VERB_FAULT,
    VERB_READ_MEMORY,
    VERB_WRITE_MEMORY,
    VERB_LOCK,
    VERB_UNLOCK,
    VERB_GET_WATCH,
    VERB_RESET_WATCH,
    VERB_CREATE_FILE,
    VERB_CREATE_IMAGE,
    VERB_OPEN_FILE,
    VERB_CLOSE_FILE,
    VERB_FILE_SIZE,
    VERB_SET_FILE_SIZE,
    VERB_READ_FILE,
    VERB_WRITE_FILE,
    VERB_FLUSH_FILE,
    VERB_CREATE_SECTION,
    VERB_DUPLICATE_SECTION,
    VERB_CLOSE_SECTION,
    VERB_QUERY_SECTION,
    VERB_EXTEND_SECTION,
    VERB_MAP_VIEW,
    VERB_MAP_VIEW_EX,
    VERB_UNMAP_VIEW,
    VERB_FLUSH,
    VERB_SAME_FILE,
    VERB_VIRTUAL_FREE,
    VERB_WRITE_PROCESS_MEMORY,
    VERB_MAP_VIEW_OF_FILE,
    VERB_ERROR_OF,
    VERB_COUNT,
};

/* Whose handle a call names; the order is the one of subject.h. */
enum caller {
    CALLER_LIVE,
    CALLER_OTHER,
    CALLER_NULL,
    CALLER_STALE,
    CALLER_WRONG_KIND,
    CALLER_COUNT,
};

/* An extended parameter. Of address requirements (type 1) value is the lowest start. */
struct parameter {
    uint64_t type;
    uint64_t value;
    uint64_t highest;
    uint64_t alignment;
    uint32_t is_null; /* no requirements behind the pointer */
};

struct step {
    enum verb verb;
    const char *text;
    const char *expected; /* "" when the step says nothing */
    uint64_t arguments[ARGUMENT_LIMIT];
    uint32_t nulls;     /* bit n: argument n is a pointer, and NULL */
    uint32_t names;     /* bit n: argument n is what a name stands for, word n + 1 of the text */
    uint64_t floats_at; /* where the file expects memory that the system places; 0: it does not */
    uint64_t floats_bytes;              /* how much */
    uint8_t bytes[STEP_BYTES_LIMIT];    /* to write */
    uint32_t size;                      /* of bytes, or how many to read */
    const struct parameter *parameters; /* NULL with a count: there is no array */
    uint32_t parameter_count;
};

struct case_data {
    const char *name;
    const char *skip; /* why it cannot run in a process of Windows; NULL: it can */
    const struct step *steps;
    uint32_t step_count;
    const char *map; /* regions expected at the end, a line each; NULL: not compared */
};

struct name {
    uint32_t value;
    const char *text;
};

extern const struct case_data case_table[];
extern const uint32_t case_count;

/* Words for numbers, as tests/model/words.c has them, ended by a NULL. */
extern const struct name status_names[];
extern const struct name error_names[];
extern const struct name protect_names[];
extern const struct name type_names[];
extern const struct name kind_names[];
extern const struct name attribute_names[];

#endif
