/*
 * An address space as text, from queries alone: a line for each region with its base, the
 * protection it was reserved with, "mapped" or "image" when it is a view, and its runs of pages,
 * such as
 *
 *     0x50000000 READWRITE w*2 -*1 r!*1
 *     0x50010000 WRITECOPY mapped c*1 w*1
 *
 * A run is what its pages are, '*', and their number. - reserved, n NOACCESS, r READONLY, w
 * READWRITE, c WRITECOPY, x EXECUTE, e EXECUTE_READ, f EXECUTE_READWRITE, k EXECUTE_WRITECOPY; then
 * ! GUARD, ~ NOCACHE, + WRITECOMBINE. Numbers from 65,536 up are hexadecimal. The final 64 KiB of
 * user space, the same in every process, are left out.
 */
#ifndef CONFORMANCE_STRIP_H
#define CONFORMANCE_STRIP_H

#include "conformance/subject.h"

#define STRIP_SIZE 4096

/* One line a region; "none" for an empty space; "broken ..." when the queries make no sense. */
void strip_draw(const struct subject *subject, void *self, enum caller who, char text[STRIP_SIZE]);

#endif
