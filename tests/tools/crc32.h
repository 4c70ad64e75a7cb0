/*
 * The CRC-32 of pages, as zlib's, by which tools tell pytest what they saw.
 */
#ifndef NTMM_TESTS_TOOLS_CRC32_H
#define NTMM_TESTS_TOOLS_CRC32_H

#include <stdint.h>

static inline uint32_t crc32_of(const uint8_t *bytes, uint32_t size)
{
    static uint32_t table[256];
    uint32_t crc = 0xFFFFFFFF;
    for (uint32_t i = 0; i < 256 && table[255] == 0; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xEDB88320 : 0);
    }
    for (uint32_t i = 0; i < size; i++)
        crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 0xFF];
    return ~crc;
}

#endif
