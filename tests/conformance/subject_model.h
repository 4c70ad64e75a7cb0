/*
 * The page-array model as a subject: what its parts share.
 */
#ifndef CONFORMANCE_SUBJECT_MODEL_H
#define CONFORMANCE_SUBJECT_MODEL_H

#include "conformance/subject.h"

struct model_self {
    struct model_system system;
    struct model_process processes[CALLER_COUNT];
};

#endif
