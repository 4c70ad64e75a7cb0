/*
 * The hit path of a replay: where the bytes of a reference lie when the processor holds a
 * translation that allows the access, whatever its size and alignment; NULL sends it to
 * replay_access.
 *
 * <ntmm/cpu.h> has this for aligned words. Traces have instructions of 1 to 15 bytes at any
 * address, so the same comparison is made here for any piece of a page: the tag of the line against
 * the page and the mode. HIT_BYTES may be touched behind the address, whatever the size of the
 * reference, which is why the last few bytes of a page miss. The fast loops compare words of bytes
 * as a little-endian host sees them; on another host everything misses.
 */
#ifndef NTMM_SHELL_REPLAY_HIT_H
#define NTMM_SHELL_REPLAY_HIT_H

#include "trace.h"

#include <ntmm/cpu.h>

#include <string.h>

#define HIT_BYTES 16u
#define HIT_IS_POSSIBLE (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

static inline unsigned char *hit(const struct ntmm_cpu *cpu, const struct ntmm_cpu_line *line,
                                 uint64_t tag, uint64_t address)
{
    bool is_hit = HIT_IS_POSSIBLE && tag == ntmm_cpu_key(cpu, address, 1) &&
                  (address & (NTMM_PAGE_SIZE - 1)) <= NTMM_PAGE_SIZE - HIT_BYTES;
    return __builtin_expect(is_hit, 1) ? ntmm_cpu_host(line, address) : NULL;
}

static inline unsigned char *hit_fetch(const struct ntmm_cpu *cpu, uint64_t address)
{
    const struct ntmm_cpu_line *line = ntmm_cpu_line_of(cpu, address);
    return hit(cpu, line, line->fetch_tag, address);
}

static inline unsigned char *hit_read(const struct ntmm_cpu *cpu, uint64_t address)
{
    const struct ntmm_cpu_line *line = ntmm_cpu_line_of(cpu, address);
    return hit(cpu, line, line->read_tag, address);
}

static inline unsigned char *hit_write(const struct ntmm_cpu *cpu, uint64_t address)
{
    const struct ntmm_cpu_line *line = ntmm_cpu_line_of(cpu, address);
    return hit(cpu, line, line->write_tag, address);
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
