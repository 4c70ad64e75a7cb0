/*
 * What a case leaves behind. The process is full of regions that are not ours, so what was there
 * before a case is remembered, and a map shows and the clean-up releases only what is new.
 */
#ifndef WINE_REGIONS_H
#define WINE_REGIONS_H

#include "text.h"

#include <stdint.h>

#define REGION_SIDES 2u /* this process, the other one */

void regions_remember(uint32_t side, uint64_t process);
/* The new regions as lines "map BASE PROTECTION RUN...", by the file's addresses. */
void regions_draw(uint32_t side, uint64_t process, struct text *text);
void regions_release(uint32_t side, uint64_t process);

#endif
