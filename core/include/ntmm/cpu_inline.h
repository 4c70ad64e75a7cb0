/**
 * @file
 * The inline path of an emulated processor: what <ntmm/cpu.h> declares as functions, for aligned
 * words whose translation is cached, at the cost of one test and one host access; and probes, which
 * say where such bytes lie.
 *
 * Invariant: M6 of <ntmm/cpu.h>. Everything that misses calls the functions there.
 */
#ifndef NTMM_CPU_INLINE_H
#define NTMM_CPU_INLINE_H

#include <ntmm/cpu.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Drain the mailbox if something is in it: one load otherwise. To be called often while inside.
 *
 * @param cpu  the processor; the call is its owner's
 */
static inline void ntmm_cpu_poll(struct ntmm_cpu *cpu)
{
    if (__builtin_expect(__atomic_load_n(&cpu->posted, __ATOMIC_ACQUIRE) != cpu->drained, 0))
        ntmm_cpu_drain(cpu);
}

/** @name The inline path
 *
 * Reads, fetches and writes of 1, 2, 4 and 8 bytes, values in the host's byte order. A cached
 * translation that allows the access costs one test and one host access; alignment, page crossing,
 * rights and mode are all in the test (M6; the comment at struct ntmm_cpu_line tells how). Anything
 * else calls the functions above, with their results.
 */
/** @{ */

/** Private: host words of guest memory, which has no declared type. */
typedef uint16_t __attribute__((may_alias)) ntmm_cpu_word16;
/** Private. */
typedef uint32_t __attribute__((may_alias)) ntmm_cpu_word32;
/** Private. */
typedef uint64_t __attribute__((may_alias)) ntmm_cpu_word64;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
/** Private: guest memory is little-endian. */
#define NTMM_CPU_LE16(v) __builtin_bswap16(v)
/** Private. */
#define NTMM_CPU_LE32(v) __builtin_bswap32(v)
/** Private. */
#define NTMM_CPU_LE64(v) __builtin_bswap64(v)
#else
/** Private: guest memory is little-endian. */
#define NTMM_CPU_LE16(v) (v)
/** Private. */
#define NTMM_CPU_LE32(v) (v)
/** Private. */
#define NTMM_CPU_LE64(v) (v)
#endif

/**
 * Private: ntmm_cpu_load for the inline path, which has given up the address when it misses.
 *
 * @param cpu     the processor; the call is its owner's
 * @param place   of the line
 * @param left    linear address ^ read_tag of the line
 * @param buffer  as ntmm_cpu_load
 * @param size    as ntmm_cpu_load
 * @return as ntmm_cpu_load
 */
NTMM_API NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_load_missed(struct ntmm_cpu *cpu,
                                                                 uint64_t place, uint64_t left,
                                                                 void *buffer, uint32_t size);

/**
 * Private: ntmm_cpu_fetch likewise. @see ntmm_cpu_load_missed
 *
 * @param cpu     the processor; the call is its owner's
 * @param place   of the line
 * @param left    linear address ^ fetch_tag of the line
 * @param buffer  as ntmm_cpu_load
 * @param size    as ntmm_cpu_load
 * @return as ntmm_cpu_load
 */
NTMM_API NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_fetch_missed(struct ntmm_cpu *cpu,
                                                                  uint64_t place, uint64_t left,
                                                                  void *buffer, uint32_t size);

/**
 * Private: ntmm_cpu_store likewise. @see ntmm_cpu_load_missed
 *
 * @param cpu     the processor; the call is its owner's
 * @param place   of the line
 * @param left    linear address ^ write_tag of the line
 * @param buffer  as ntmm_cpu_store
 * @param size    as ntmm_cpu_store
 * @return as ntmm_cpu_load
 */
NTMM_API NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_store_missed(struct ntmm_cpu *cpu,
                                                                  uint64_t place, uint64_t left,
                                                                  const void *buffer,
                                                                  uint32_t size);

/** @name Private: fields of a line, as ntmm_cpu_word and the functions for misses take them */
/** @{ */
#define NTMM_CPU_READ_TAG offsetof(struct ntmm_cpu, lines[0].read_tag)   /**< Private. */
#define NTMM_CPU_WRITE_TAG offsetof(struct ntmm_cpu, lines[0].write_tag) /**< Private. */
#define NTMM_CPU_FETCH_TAG offsetof(struct ntmm_cpu, lines[0].fetch_tag) /**< Private. */
#define NTMM_CPU_ADDEND offsetof(struct ntmm_cpu, lines[0].addend)       /**< Private. */
/** @} */

/**
 * Private: the line that a linear address chooses.
 *
 * @param va  linear address of the first byte
 * @return its distance from the first line, in bytes
 */
static inline uint64_t ntmm_cpu_place(uint64_t va)
{
    return va >> (NTMM_PAGE_SHIFT - NTMM_CPU_LINE_SHIFT) & (NTMM_CPU_LINES - 1)
                                                               << NTMM_CPU_LINE_SHIFT;
}

/**
 * Private: a field of a line. By distances, not through a pointer to the line: a compiler that sees
 * one keeps it, which costs an addition that the addressing mode has for nothing.
 *
 * @param cpu    the processor; the call is its owner's
 * @param place  of the line, as ntmm_cpu_place tells
 * @param field  NTMM_CPU_READ_TAG and its like
 * @return its value
 */
static inline uint64_t ntmm_cpu_word(const struct ntmm_cpu *cpu, uint64_t place, size_t field)
{
    return *(const uint64_t *)(const void *)((const char *)cpu + place + field);
}

/**
 * Private: where bytes lie, once the tag let them pass.
 *
 * @param cpu    the processor; the call is its owner's
 * @param place  of the line
 * @param left   linear address ^ tag
 * @return the host pointer
 */
static inline void *ntmm_cpu_host(const struct ntmm_cpu *cpu, uint64_t place, uint64_t left)
{
    return (void *)(uintptr_t)(ntmm_cpu_word(cpu, place, NTMM_CPU_ADDEND) + left);
}

/**
 * Load a byte into *value, written only on success. @see ntmm_cpu_load
 *
 * @param cpu    the processor; the call is its owner's
 * @param va     linear address of the first byte
 * @param value  out: what was read, in the host's byte order
 * @return as ntmm_cpu_load
 */
static inline NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_read8(struct ntmm_cpu *cpu, uint64_t va,
                                                                uint8_t *value)
{
    const uint64_t place = ntmm_cpu_place(va);
    const uint64_t left = va ^ ntmm_cpu_word(cpu, place, NTMM_CPU_READ_TAG);
    if (__builtin_expect((left & cpu->miss_bits[0]) != 0, 0))
        return ntmm_cpu_load_missed(cpu, place, left, value, 1);
    *value = __atomic_load_n((const uint8_t *)ntmm_cpu_host(cpu, place, left), __ATOMIC_RELAXED);
    return NTMM_CPU_OK;
}

/**
 * Load 2 bytes into *value, written only on success. @see ntmm_cpu_load
 *
 * @param cpu    the processor; the call is its owner's
 * @param va     linear address of the first byte
 * @param value  out: what was read, in the host's byte order
 * @return as ntmm_cpu_load
 */
static inline NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_read16(struct ntmm_cpu *cpu, uint64_t va,
                                                                 uint16_t *value)
{
    const uint64_t place = ntmm_cpu_place(va);
    const uint64_t left = va ^ ntmm_cpu_word(cpu, place, NTMM_CPU_READ_TAG);
    uint16_t raw;
    if (__builtin_expect((left & cpu->miss_bits[1]) == 0, 1)) {
        raw = __atomic_load_n((const ntmm_cpu_word16 *)ntmm_cpu_host(cpu, place, left),
                              __ATOMIC_RELAXED);
        *value = NTMM_CPU_LE16(raw);
        return NTMM_CPU_OK;
    }
    enum ntmm_cpu_result result = ntmm_cpu_load_missed(cpu, place, left, &raw, 2);
    if (result == NTMM_CPU_OK)
        *value = NTMM_CPU_LE16(raw);
    return result;
}

/**
 * Load 4 bytes into *value, written only on success. @see ntmm_cpu_load
 *
 * @param cpu    the processor; the call is its owner's
 * @param va     linear address of the first byte
 * @param value  out: what was read, in the host's byte order
 * @return as ntmm_cpu_load
 */
static inline NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_read32(struct ntmm_cpu *cpu, uint64_t va,
                                                                 uint32_t *value)
{
    const uint64_t place = ntmm_cpu_place(va);
    const uint64_t left = va ^ ntmm_cpu_word(cpu, place, NTMM_CPU_READ_TAG);
    uint32_t raw;
    if (__builtin_expect((left & cpu->miss_bits[2]) == 0, 1)) {
        raw = __atomic_load_n((const ntmm_cpu_word32 *)ntmm_cpu_host(cpu, place, left),
                              __ATOMIC_RELAXED);
        *value = NTMM_CPU_LE32(raw);
        return NTMM_CPU_OK;
    }
    enum ntmm_cpu_result result = ntmm_cpu_load_missed(cpu, place, left, &raw, 4);
    if (result == NTMM_CPU_OK)
        *value = NTMM_CPU_LE32(raw);
    return result;
}

/**
 * Load 8 bytes into *value, written only on success. @see ntmm_cpu_load
 *
 * @param cpu    the processor; the call is its owner's
 * @param va     linear address of the first byte
 * @param value  out: what was read, in the host's byte order
 * @return as ntmm_cpu_load
 */
static inline NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_read64(struct ntmm_cpu *cpu, uint64_t va,
                                                                 uint64_t *value)
{
    const uint64_t place = ntmm_cpu_place(va);
    const uint64_t left = va ^ ntmm_cpu_word(cpu, place, NTMM_CPU_READ_TAG);
    uint64_t raw;
    if (__builtin_expect((left & cpu->miss_bits[3]) == 0, 1)) {
        raw = __atomic_load_n((const ntmm_cpu_word64 *)ntmm_cpu_host(cpu, place, left),
                              __ATOMIC_RELAXED);
        *value = NTMM_CPU_LE64(raw);
        return NTMM_CPU_OK;
    }
    enum ntmm_cpu_result result = ntmm_cpu_load_missed(cpu, place, left, &raw, 8);
    if (result == NTMM_CPU_OK)
        *value = NTMM_CPU_LE64(raw);
    return result;
}

/**
 * Fetch a byte of code into *value, written only on success. @see ntmm_cpu_fetch
 *
 * @param cpu    the processor; the call is its owner's
 * @param va     linear address of the first byte
 * @param value  out: what was read, in the host's byte order
 * @return as ntmm_cpu_load
 */
static inline NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_fetch8(struct ntmm_cpu *cpu, uint64_t va,
                                                                 uint8_t *value)
{
    const uint64_t place = ntmm_cpu_place(va);
    const uint64_t left = va ^ ntmm_cpu_word(cpu, place, NTMM_CPU_FETCH_TAG);
    if (__builtin_expect((left & cpu->miss_bits[0]) != 0, 0))
        return ntmm_cpu_fetch_missed(cpu, place, left, value, 1);
    *value = __atomic_load_n((const uint8_t *)ntmm_cpu_host(cpu, place, left), __ATOMIC_RELAXED);
    return NTMM_CPU_OK;
}

/**
 * Fetch 2 bytes of code into *value, written only on success. @see ntmm_cpu_fetch
 *
 * @param cpu    the processor; the call is its owner's
 * @param va     linear address of the first byte
 * @param value  out: what was read, in the host's byte order
 * @return as ntmm_cpu_load
 */
static inline NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_fetch16(struct ntmm_cpu *cpu, uint64_t va,
                                                                  uint16_t *value)
{
    const uint64_t place = ntmm_cpu_place(va);
    const uint64_t left = va ^ ntmm_cpu_word(cpu, place, NTMM_CPU_FETCH_TAG);
    uint16_t raw;
    if (__builtin_expect((left & cpu->miss_bits[1]) == 0, 1)) {
        raw = __atomic_load_n((const ntmm_cpu_word16 *)ntmm_cpu_host(cpu, place, left),
                              __ATOMIC_RELAXED);
        *value = NTMM_CPU_LE16(raw);
        return NTMM_CPU_OK;
    }
    enum ntmm_cpu_result result = ntmm_cpu_fetch_missed(cpu, place, left, &raw, 2);
    if (result == NTMM_CPU_OK)
        *value = NTMM_CPU_LE16(raw);
    return result;
}

/**
 * Fetch 4 bytes of code into *value, written only on success. @see ntmm_cpu_fetch
 *
 * @param cpu    the processor; the call is its owner's
 * @param va     linear address of the first byte
 * @param value  out: what was read, in the host's byte order
 * @return as ntmm_cpu_load
 */
static inline NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_fetch32(struct ntmm_cpu *cpu, uint64_t va,
                                                                  uint32_t *value)
{
    const uint64_t place = ntmm_cpu_place(va);
    const uint64_t left = va ^ ntmm_cpu_word(cpu, place, NTMM_CPU_FETCH_TAG);
    uint32_t raw;
    if (__builtin_expect((left & cpu->miss_bits[2]) == 0, 1)) {
        raw = __atomic_load_n((const ntmm_cpu_word32 *)ntmm_cpu_host(cpu, place, left),
                              __ATOMIC_RELAXED);
        *value = NTMM_CPU_LE32(raw);
        return NTMM_CPU_OK;
    }
    enum ntmm_cpu_result result = ntmm_cpu_fetch_missed(cpu, place, left, &raw, 4);
    if (result == NTMM_CPU_OK)
        *value = NTMM_CPU_LE32(raw);
    return result;
}

/**
 * Fetch 8 bytes of code into *value, written only on success. @see ntmm_cpu_fetch
 *
 * @param cpu    the processor; the call is its owner's
 * @param va     linear address of the first byte
 * @param value  out: what was read, in the host's byte order
 * @return as ntmm_cpu_load
 */
static inline NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_fetch64(struct ntmm_cpu *cpu, uint64_t va,
                                                                  uint64_t *value)
{
    const uint64_t place = ntmm_cpu_place(va);
    const uint64_t left = va ^ ntmm_cpu_word(cpu, place, NTMM_CPU_FETCH_TAG);
    uint64_t raw;
    if (__builtin_expect((left & cpu->miss_bits[3]) == 0, 1)) {
        raw = __atomic_load_n((const ntmm_cpu_word64 *)ntmm_cpu_host(cpu, place, left),
                              __ATOMIC_RELAXED);
        *value = NTMM_CPU_LE64(raw);
        return NTMM_CPU_OK;
    }
    enum ntmm_cpu_result result = ntmm_cpu_fetch_missed(cpu, place, left, &raw, 8);
    if (result == NTMM_CPU_OK)
        *value = NTMM_CPU_LE64(raw);
    return result;
}

/**
 * Store a byte. @see ntmm_cpu_store
 *
 * @param cpu    the processor; the call is its owner's
 * @param va     linear address of the first byte
 * @param value  what to write, in the host's byte order
 * @return as ntmm_cpu_load
 */
static inline NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_write8(struct ntmm_cpu *cpu, uint64_t va,
                                                                 uint8_t value)
{
    const uint64_t place = ntmm_cpu_place(va);
    const uint64_t left = va ^ ntmm_cpu_word(cpu, place, NTMM_CPU_WRITE_TAG);
    if (__builtin_expect((left & cpu->miss_bits[0]) != 0, 0))
        return ntmm_cpu_store_missed(cpu, place, left, &value, 1);
    __atomic_store_n((uint8_t *)ntmm_cpu_host(cpu, place, left), value, __ATOMIC_RELAXED);
    return NTMM_CPU_OK;
}

/**
 * Store 2 bytes. @see ntmm_cpu_store
 *
 * @param cpu    the processor; the call is its owner's
 * @param va     linear address of the first byte
 * @param value  what to write, in the host's byte order
 * @return as ntmm_cpu_load
 */
static inline NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_write16(struct ntmm_cpu *cpu, uint64_t va,
                                                                  uint16_t value)
{
    const uint64_t place = ntmm_cpu_place(va);
    const uint64_t left = va ^ ntmm_cpu_word(cpu, place, NTMM_CPU_WRITE_TAG);
    uint16_t raw = NTMM_CPU_LE16(value);
    if (__builtin_expect((left & cpu->miss_bits[1]) != 0, 0))
        return ntmm_cpu_store_missed(cpu, place, left, &raw, 2);
    __atomic_store_n((ntmm_cpu_word16 *)ntmm_cpu_host(cpu, place, left), raw, __ATOMIC_RELAXED);
    return NTMM_CPU_OK;
}

/**
 * Store 4 bytes. @see ntmm_cpu_store
 *
 * @param cpu    the processor; the call is its owner's
 * @param va     linear address of the first byte
 * @param value  what to write, in the host's byte order
 * @return as ntmm_cpu_load
 */
static inline NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_write32(struct ntmm_cpu *cpu, uint64_t va,
                                                                  uint32_t value)
{
    const uint64_t place = ntmm_cpu_place(va);
    const uint64_t left = va ^ ntmm_cpu_word(cpu, place, NTMM_CPU_WRITE_TAG);
    uint32_t raw = NTMM_CPU_LE32(value);
    if (__builtin_expect((left & cpu->miss_bits[2]) != 0, 0))
        return ntmm_cpu_store_missed(cpu, place, left, &raw, 4);
    __atomic_store_n((ntmm_cpu_word32 *)ntmm_cpu_host(cpu, place, left), raw, __ATOMIC_RELAXED);
    return NTMM_CPU_OK;
}

/**
 * Store 8 bytes. @see ntmm_cpu_store
 *
 * @param cpu    the processor; the call is its owner's
 * @param va     linear address of the first byte
 * @param value  what to write, in the host's byte order
 * @return as ntmm_cpu_load
 */
static inline NTMM_MUST_USE enum ntmm_cpu_result ntmm_cpu_write64(struct ntmm_cpu *cpu, uint64_t va,
                                                                  uint64_t value)
{
    const uint64_t place = ntmm_cpu_place(va);
    const uint64_t left = va ^ ntmm_cpu_word(cpu, place, NTMM_CPU_WRITE_TAG);
    uint64_t raw = NTMM_CPU_LE64(value);
    if (__builtin_expect((left & cpu->miss_bits[3]) != 0, 0))
        return ntmm_cpu_store_missed(cpu, place, left, &raw, 8);
    __atomic_store_n((ntmm_cpu_word64 *)ntmm_cpu_host(cpu, place, left), raw, __ATOMIC_RELAXED);
    return NTMM_CPU_OK;
}

/** @} */

/** @name Probes
 *
 * For callers with accesses that the inline path does not have: of other sizes, not aligned, or of
 * which they make something of their own. A probe says where bytes lie if the inline path would
 * serve a byte there, which means that the access is allowed, its translation cached and, for a
 * write, its page dirty already. It changes nothing. What it does not find is no error: the
 * function of the same kind (ntmm_cpu_load, ntmm_cpu_store, ntmm_cpu_fetch) makes the access, and
 * may have made the next probe of that page succeed.
 *
 * The bytes are good for that kind of access until the processor's next call that is not a probe or
 * a hit of the inline path; inside (ntmm_cpu_enter) until it polls or leaves. They are in memory
 * order and shared with other processors: whoever needs atomicity takes care of it.
 */
/** @{ */

/**
 * Private: the probe, by the kind's tag.
 *
 * @param cpu   the processor; the call is its owner's
 * @param va    linear address of the first byte
 * @param size  bytes, 1..NTMM_PAGE_SIZE
 * @param tag   NTMM_CPU_READ_TAG, NTMM_CPU_WRITE_TAG or NTMM_CPU_FETCH_TAG
 * @param host  out: as ntmm_cpu_probe_read
 * @return as ntmm_cpu_probe_read
 */
static inline bool ntmm_cpu_probe(const struct ntmm_cpu *cpu, uint64_t va, uint64_t size,
                                  size_t tag, uint8_t **host)
{
    const uint64_t place = ntmm_cpu_place(va);
    const uint64_t left = va ^ ntmm_cpu_word(cpu, place, tag);
    bool is_hit =
        (left & cpu->miss_bits[0]) == 0 && (va & (NTMM_PAGE_SIZE - 1)) <= NTMM_PAGE_SIZE - size;
    if (__builtin_expect(is_hit, 1))
        *host = (uint8_t *)ntmm_cpu_host(cpu, place, left);
    return is_hit;
}

/**
 * Find bytes to read.
 *
 * @param cpu   the processor; the call is its owner's
 * @param va    linear address of the first byte; any alignment
 * @param size  bytes, 1..NTMM_PAGE_SIZE; a constant costs least
 * @param host  out: where the first byte lies, the others behind it; written only if true
 * @return whether all of them lie in one page that the inline path may read
 */
static inline bool ntmm_cpu_probe_read(const struct ntmm_cpu *cpu, uint64_t va, uint64_t size,
                                       const uint8_t **host)
{
    uint8_t *bytes;
    bool is_hit = ntmm_cpu_probe(cpu, va, size, NTMM_CPU_READ_TAG, &bytes);
    if (is_hit)
        *host = bytes;
    return is_hit;
}

/**
 * Find bytes to write, and to read besides. @see ntmm_cpu_probe_read
 *
 * @param cpu   the processor; the call is its owner's
 * @param va    linear address of the first byte; any alignment
 * @param size  bytes, 1..NTMM_PAGE_SIZE; a constant costs least
 * @param host  out: where the first byte lies, the others behind it; written only if true
 * @return whether all of them lie in one page that the inline path may write
 */
static inline bool ntmm_cpu_probe_write(const struct ntmm_cpu *cpu, uint64_t va, uint64_t size,
                                        uint8_t **host)
{
    return ntmm_cpu_probe(cpu, va, size, NTMM_CPU_WRITE_TAG, host);
}

/**
 * Find bytes of code. @see ntmm_cpu_probe_read
 *
 * @param cpu   the processor; the call is its owner's
 * @param va    linear address of the first byte; any alignment
 * @param size  bytes, 1..NTMM_PAGE_SIZE; a constant costs least
 * @param host  out: where the first byte lies, the others behind it; written only if true
 * @return whether all of them lie in one page that the inline path may fetch from
 */
static inline bool ntmm_cpu_probe_fetch(const struct ntmm_cpu *cpu, uint64_t va, uint64_t size,
                                        const uint8_t **host)
{
    uint8_t *bytes;
    bool is_hit = ntmm_cpu_probe(cpu, va, size, NTMM_CPU_FETCH_TAG, &bytes);
    if (is_hit)
        *host = bytes;
    return is_hit;
}

/** @} */

#ifdef __cplusplus
}
#endif

#endif
