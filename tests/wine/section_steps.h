/*
 * Steps on files, sections and views. Their handles have numbers in a case: 0 is none, 1 is of
 * another kind, from 2 on they are names.
 */
#ifndef WINE_SECTION_STEPS_H
#define WINE_SECTION_STEPS_H

#include "case_table.h"
#include "text.h"

/* Whether the step is one of these; what it gave back is appended. */
bool section_steps_run(const struct step *step, uint64_t process, struct text *found);
/* The handle that argument `at` of a step names. */
uint64_t section_steps_handle(const struct step *step, uint32_t at);
/* The handles of a case are closed. */
void section_steps_end(void);

#endif
