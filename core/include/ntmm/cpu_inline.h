/**
 * @file
 * The inline path of an emulated processor: what <ntmm/cpu.h> declares as functions, for aligned
 * words whose translation is cached, at the cost of one comparison and one host access.
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
 * translation that allows the access costs one comparison and one host access; alignment, page
 * crossing, rights and mode are all in the comparison (M6). Anything else calls the functions
 * above, with their results.
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
 * Private: the line that a linear address uses.
 *
 * @param cpu  the processor; the call is its owner's
 * @param va   linear address of the first byte
 * @return the line
 */
static inline const struct ntmm_cpu_line *ntmm_cpu_line_of(const struct ntmm_cpu *cpu, uint64_t va)
{
    return &cpu->lines[(va >> NTMM_PAGE_SHIFT) & (NTMM_CPU_LINES - 1)];
}

/**
 * Private: what a tag must equal; an address that is not aligned to size never does.
 *
 * @param cpu   the processor; the call is its owner's
 * @param va    linear address of the first byte
 * @param size  of the access: 1, 2, 4 or 8
 * @return the key
 */
static inline uint64_t ntmm_cpu_key(const struct ntmm_cpu *cpu, uint64_t va, uint64_t size)
{
    return (va & (~(uint64_t)(NTMM_PAGE_SIZE - 1) | (size - 1))) | cpu->mode_tag;
}

/**
 * Private: where an address lies, once its line's tag equals its key.
 *
 * @param line  the line of the address
 * @param va    linear address of the first byte
 * @return the host pointer
 */
static inline void *ntmm_cpu_host(const struct ntmm_cpu_line *line, uint64_t va)
{
    return (void *)(uintptr_t)(line->addend + va);
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
    const struct ntmm_cpu_line *line = ntmm_cpu_line_of(cpu, va);
    if (__builtin_expect(line->read_tag != ntmm_cpu_key(cpu, va, 1), 0))
        return ntmm_cpu_load(cpu, va, value, 1);
    *value = __atomic_load_n((const uint8_t *)ntmm_cpu_host(line, va), __ATOMIC_RELAXED);
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
    const struct ntmm_cpu_line *line = ntmm_cpu_line_of(cpu, va);
    uint16_t raw;
    if (__builtin_expect(line->read_tag == ntmm_cpu_key(cpu, va, 2), 1)) {
        raw = __atomic_load_n((const ntmm_cpu_word16 *)ntmm_cpu_host(line, va), __ATOMIC_RELAXED);
    } else {
        enum ntmm_cpu_result result = ntmm_cpu_load(cpu, va, &raw, 2);
        if (result != NTMM_CPU_OK)
            return result;
    }
    *value = NTMM_CPU_LE16(raw);
    return NTMM_CPU_OK;
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
    const struct ntmm_cpu_line *line = ntmm_cpu_line_of(cpu, va);
    uint32_t raw;
    if (__builtin_expect(line->read_tag == ntmm_cpu_key(cpu, va, 4), 1)) {
        raw = __atomic_load_n((const ntmm_cpu_word32 *)ntmm_cpu_host(line, va), __ATOMIC_RELAXED);
    } else {
        enum ntmm_cpu_result result = ntmm_cpu_load(cpu, va, &raw, 4);
        if (result != NTMM_CPU_OK)
            return result;
    }
    *value = NTMM_CPU_LE32(raw);
    return NTMM_CPU_OK;
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
    const struct ntmm_cpu_line *line = ntmm_cpu_line_of(cpu, va);
    uint64_t raw;
    if (__builtin_expect(line->read_tag == ntmm_cpu_key(cpu, va, 8), 1)) {
        raw = __atomic_load_n((const ntmm_cpu_word64 *)ntmm_cpu_host(line, va), __ATOMIC_RELAXED);
    } else {
        enum ntmm_cpu_result result = ntmm_cpu_load(cpu, va, &raw, 8);
        if (result != NTMM_CPU_OK)
            return result;
    }
    *value = NTMM_CPU_LE64(raw);
    return NTMM_CPU_OK;
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
    const struct ntmm_cpu_line *line = ntmm_cpu_line_of(cpu, va);
    if (__builtin_expect(line->fetch_tag != ntmm_cpu_key(cpu, va, 1), 0))
        return ntmm_cpu_fetch(cpu, va, value, 1);
    *value = __atomic_load_n((const uint8_t *)ntmm_cpu_host(line, va), __ATOMIC_RELAXED);
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
    const struct ntmm_cpu_line *line = ntmm_cpu_line_of(cpu, va);
    uint16_t raw;
    if (__builtin_expect(line->fetch_tag == ntmm_cpu_key(cpu, va, 2), 1)) {
        raw = __atomic_load_n((const ntmm_cpu_word16 *)ntmm_cpu_host(line, va), __ATOMIC_RELAXED);
    } else {
        enum ntmm_cpu_result result = ntmm_cpu_fetch(cpu, va, &raw, 2);
        if (result != NTMM_CPU_OK)
            return result;
    }
    *value = NTMM_CPU_LE16(raw);
    return NTMM_CPU_OK;
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
    const struct ntmm_cpu_line *line = ntmm_cpu_line_of(cpu, va);
    uint32_t raw;
    if (__builtin_expect(line->fetch_tag == ntmm_cpu_key(cpu, va, 4), 1)) {
        raw = __atomic_load_n((const ntmm_cpu_word32 *)ntmm_cpu_host(line, va), __ATOMIC_RELAXED);
    } else {
        enum ntmm_cpu_result result = ntmm_cpu_fetch(cpu, va, &raw, 4);
        if (result != NTMM_CPU_OK)
            return result;
    }
    *value = NTMM_CPU_LE32(raw);
    return NTMM_CPU_OK;
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
    const struct ntmm_cpu_line *line = ntmm_cpu_line_of(cpu, va);
    uint64_t raw;
    if (__builtin_expect(line->fetch_tag == ntmm_cpu_key(cpu, va, 8), 1)) {
        raw = __atomic_load_n((const ntmm_cpu_word64 *)ntmm_cpu_host(line, va), __ATOMIC_RELAXED);
    } else {
        enum ntmm_cpu_result result = ntmm_cpu_fetch(cpu, va, &raw, 8);
        if (result != NTMM_CPU_OK)
            return result;
    }
    *value = NTMM_CPU_LE64(raw);
    return NTMM_CPU_OK;
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
    const struct ntmm_cpu_line *line = ntmm_cpu_line_of(cpu, va);
    if (__builtin_expect(line->write_tag != ntmm_cpu_key(cpu, va, 1), 0))
        return ntmm_cpu_store(cpu, va, &value, 1);
    __atomic_store_n((uint8_t *)ntmm_cpu_host(line, va), value, __ATOMIC_RELAXED);
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
    const struct ntmm_cpu_line *line = ntmm_cpu_line_of(cpu, va);
    uint16_t raw = NTMM_CPU_LE16(value);
    if (__builtin_expect(line->write_tag != ntmm_cpu_key(cpu, va, 2), 0))
        return ntmm_cpu_store(cpu, va, &raw, 2);
    __atomic_store_n((ntmm_cpu_word16 *)ntmm_cpu_host(line, va), raw, __ATOMIC_RELAXED);
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
    const struct ntmm_cpu_line *line = ntmm_cpu_line_of(cpu, va);
    uint32_t raw = NTMM_CPU_LE32(value);
    if (__builtin_expect(line->write_tag != ntmm_cpu_key(cpu, va, 4), 0))
        return ntmm_cpu_store(cpu, va, &raw, 4);
    __atomic_store_n((ntmm_cpu_word32 *)ntmm_cpu_host(line, va), raw, __ATOMIC_RELAXED);
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
    const struct ntmm_cpu_line *line = ntmm_cpu_line_of(cpu, va);
    uint64_t raw = NTMM_CPU_LE64(value);
    if (__builtin_expect(line->write_tag != ntmm_cpu_key(cpu, va, 8), 0))
        return ntmm_cpu_store(cpu, va, &raw, 8);
    __atomic_store_n((ntmm_cpu_word64 *)ntmm_cpu_host(line, va), raw, __ATOMIC_RELAXED);
    return NTMM_CPU_OK;
}

/** @} */

#ifdef __cplusplus
}
#endif

#endif
