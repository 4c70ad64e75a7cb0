/*
 * Random operations on sections, views and files, beside those of operation.h. They name files and
 * sections by the number of a slot; a slot keeps the handle that was made last in it.
 */
#ifndef MODEL_SECTION_OPERATION_H
#define MODEL_SECTION_OPERATION_H

#include "model/operation.h"
#include "model/section.h"

/* The first bytes of their records. */
#define SECTION_OPERATION_FIRST 245u
#define SECTION_OPERATION_LAST 253u
#define SECTION_OPERATION_VERBS (SECTION_OPERATION_LAST - SECTION_OPERATION_FIRST + 1)
/* What files are kept to, so that their devices hold them. */
#define SECTION_OPERATION_FILE_BYTES 0x30000u

static inline bool section_operation_is(const struct operation *operation)
{
    return operation->verb >= VERB_MAP && operation->verb <= VERB_CLOSE_FILE;
}

/* A record whose other fields operation_decode has filled in, for a process that lives. */
void section_operation_decode(const struct model_process *model,
                              const uint8_t record[OPERATION_RECORD_SIZE],
                              struct operation *operation);
void section_operation_run(struct model_process *model, const struct operation *operation,
                           struct outcome *outcome);
void section_operation_print(const struct operation *operation);
void section_operation_print_outcome(const struct operation *operation,
                                     const struct outcome *outcome);

#endif
