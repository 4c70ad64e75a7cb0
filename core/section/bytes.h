/*
 * Little-endian values at any address of a file's bytes, on every host.
 *
 * What base/le.h reads are aligned words of our own; these are fields of somebody else's format,
 * which stand where they stand.
 */
#ifndef NTMM_SECTION_BYTES_H
#define NTMM_SECTION_BYTES_H

#include <stdint.h>

static inline uint16_t bytes_get16(const uint8_t *at) { return (uint16_t)(at[0] | at[1] << 8); }

static inline uint32_t bytes_get32(const uint8_t *at)
{
    return bytes_get16(at) | (uint32_t)bytes_get16(at + 2) << 16;
}

static inline uint64_t bytes_get64(const uint8_t *at)
{
    return bytes_get32(at) | (uint64_t)bytes_get32(at + 4) << 32;
}

/* The lowest `count` bytes of value, count <= 8. */
static inline void bytes_set(uint8_t *at, uint64_t value, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* A value of `count` bytes, count <= 8. */
static inline uint64_t bytes_get(const uint8_t *at, uint32_t count)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < count; i++)
        value |= (uint64_t)at[i] << 8 * i;
    return value;
}

#endif
