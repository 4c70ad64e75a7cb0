/*
 * Protection of processes, for who makes one.
 */
#ifndef NTMM_SERVICES_ACCESS_H
#define NTMM_SERVICES_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

/* Whether a byte is a protection: a known type and signer, and no signer without a type. */
bool access_is_protection(uint32_t protection);

#endif
