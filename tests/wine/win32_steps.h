/*
 * Steps on kernel32's functions.
 */
#ifndef WINE_WIN32_STEPS_H
#define WINE_WIN32_STEPS_H

#include "case_table.h"
#include "text.h"

/* Whether the step is one of these; what it gave back is appended. */
bool win32_steps_run(const struct step *step, uint64_t process, struct text *found);

#endif
