/*
 * The hit path of a replay: where the bytes of a reference lie when the processor holds a
 * translation that allows the access, whatever its size and alignment; NULL sends it to
 * replay_access.
 *
 * Traces have instructions of 1 to 15 bytes at any address, which <ntmm/cpu.h> has no inline
 * accesses for; it has probes. HIT_BYTES may be touched behind the address, whatever the size of
 * the reference, which is why the last few bytes of a page miss. The fast loops compare words of
 * bytes as a little-endian host sees them; on another host everything misses.
 */
#ifndef NTMM_SHELL_REPLAY_HIT_H
#define NTMM_SHELL_REPLAY_HIT_H

#include "trace.h"

#include <ntmm/cpu.h>

#include <string.h>

#define HIT_BYTES 16u
#define HIT_IS_POSSIBLE (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

static inline const unsigned char *hit_fetch(const struct ntmm_cpu *cpu, uint64_t address)
{
    const uint8_t *host;
    bool is_hit = HIT_IS_POSSIBLE && ntmm_cpu_probe_fetch(cpu, address, HIT_BYTES, &host);
    return is_hit ? host : NULL;
}

static inline const unsigned char *hit_read(const struct ntmm_cpu *cpu, uint64_t address)
{
    const uint8_t *host;
    bool is_hit = HIT_IS_POSSIBLE && ntmm_cpu_probe_read(cpu, address, HIT_BYTES, &host);
    return is_hit ? host : NULL;
}

static inline unsigned char *hit_write(const struct ntmm_cpu *cpu, uint64_t address)
{
    uint8_t *host;
    bool is_hit = HIT_IS_POSSIBLE && ntmm_cpu_probe_write(cpu, address, HIT_BYTES, &host);
    return is_hit ? host : NULL;
}

static inline uint64_t hit_word(const unsigned char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* Stores the low bytes of a word in memory order; false: not a size that one store has. */
static inline bool hit_store(unsigned char *bytes, uint64_t word, uint32_t size)
{
    switch (size) {
    case 1:
        memcpy(bytes, &word, 1);
        return true;
    case 2:
        memcpy(bytes, &word, 2);
        return true;
    case 4:
        memcpy(bytes, &word, 4);
        return true;
    case 8:
        memcpy(bytes, &word, 8);
        return true;
    default:
        return false;
    }
}

#endif
