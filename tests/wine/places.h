/*
 * Where the addresses of the case files lie in this process. The files use addresses from
 * WINDOW_BASE to WINDOW_END, which may be taken here: then they are all moved by one distance.
 * Memory that the system places lies elsewhere than the file says ("floats"): addresses in it are
 * translated both ways. Everything else is itself.
 */
#ifndef WINE_PLACES_H
#define WINE_PLACES_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_BASE 0x40000000u
#define WINDOW_END 0x7F000000u

/* Finds room for the window. Returns false when there is none. */
bool places_begin(uint64_t process);
/* Forgets the floats of the case before. */
void places_clear(void);
void places_float(uint64_t expected, uint64_t actual, uint64_t size);
/* From the file's address to the process's, and back. */
uint64_t place(uint64_t address);
uint64_t unplace(uint64_t address);
bool places_has_float(uint64_t expected);

#endif
