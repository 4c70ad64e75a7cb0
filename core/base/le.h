/*
 * Words in managed memory.
 *
 * Everything the core keeps lies in frames, little-endian on every host and aligned alike on every
 * host, so that an arena is the same bytes everywhere. le16, le32 and le64 are the only types of a
 * field in a frame; being structs, they cannot be read or written but through these accessors.
 *
 * get and set are plain accesses, for words that a lock protects or that nobody else can see yet.
 * The others are atomic, for words that several processors read or write at once (page-table
 * entries, lock words, reference counts).
 *
 * A reference is a core address: a physical address plus one canonical base. core_at turns it into
 * a host pointer by one addition of the bias (host address of frame memory minus core address,
 * modulo the host's pointer size).
 */
#ifndef NTMM_BASE_LE_H
#define NTMM_BASE_LE_H

#include "base/schedule.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    _Alignas(2) uint16_t raw;
} le16;
typedef struct {
    _Alignas(4) uint32_t raw;
} le32;
typedef struct {
    _Alignas(8) uint64_t raw;
} le64;

_Static_assert(sizeof(le64) == 8 && _Alignof(le64) == 8, "le64 is the same on every host");

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LE_SWAP16(v) __builtin_bswap16(v)
#define LE_SWAP32(v) __builtin_bswap32(v)
#define LE_SWAP64(v) __builtin_bswap64(v)
#else
#define LE_SWAP16(v) (v)
#define LE_SWAP32(v) (v)
#define LE_SWAP64(v) (v)
#endif

static inline uint16_t get16(const le16 *p) { return LE_SWAP16(p->raw); }
static inline uint32_t get32(const le32 *p) { return LE_SWAP32(p->raw); }
static inline uint64_t get64(const le64 *p) { return LE_SWAP64(p->raw); }
static inline void set16(le16 *p, uint16_t v) { p->raw = LE_SWAP16(v); }
static inline void set32(le32 *p, uint32_t v) { p->raw = LE_SWAP32(v); }
static inline void set64(le64 *p, uint64_t v) { p->raw = LE_SWAP64(v); }

static inline _Atomic(uint64_t) *atomic_of64(const le64 *p)
{
    return (_Atomic(uint64_t) *)(uintptr_t)&p->raw;
}

static inline _Atomic(uint32_t) *atomic_of32(const le32 *p)
{
    return (_Atomic(uint32_t) *)(uintptr_t)&p->raw;
}

static inline _Atomic(uint16_t) *atomic_of16(const le16 *p)
{
    return (_Atomic(uint16_t) *)(uintptr_t)&p->raw;
}

static inline uint16_t load16_relaxed(const le16 *p)
{
    return LE_SWAP16(atomic_load_explicit(atomic_of16(p), memory_order_relaxed));
}

static inline void store16_relaxed(le16 *p, uint16_t v)
{
    atomic_store_explicit(atomic_of16(p), LE_SWAP16(v), memory_order_relaxed);
}

static inline uint64_t load64_relaxed(const le64 *p)
{
    return LE_SWAP64(atomic_load_explicit(atomic_of64(p), memory_order_relaxed));
}

static inline uint64_t load64_acquire(const le64 *p)
{
    return LE_SWAP64(atomic_load_explicit(atomic_of64(p), memory_order_acquire));
}

static inline void store64_release(le64 *p, uint64_t v)
{
    atomic_store_explicit(atomic_of64(p), LE_SWAP64(v), memory_order_release);
}

static inline void store64_relaxed(le64 *p, uint64_t v)
{
    atomic_store_explicit(atomic_of64(p), LE_SWAP64(v), memory_order_relaxed);
}

static inline uint64_t exchange64(le64 *p, uint64_t v)
{
    schedule_point(POINT_EXCHANGE);
    return LE_SWAP64(atomic_exchange_explicit(atomic_of64(p), LE_SWAP64(v), memory_order_acq_rel));
}

/* Compare and exchange; on failure *expected holds what was seen. */
static inline bool cas64(le64 *p, uint64_t *expected, uint64_t desired)
{
    uint64_t seen = LE_SWAP64(*expected);
    schedule_point(POINT_EXCHANGE);
    bool done = atomic_compare_exchange_strong_explicit(atomic_of64(p), &seen, LE_SWAP64(desired),
                                                        memory_order_acq_rel, memory_order_acquire);
    *expected = LE_SWAP64(seen);
    return done;
}

static inline uint32_t load32_relaxed(const le32 *p)
{
    return LE_SWAP32(atomic_load_explicit(atomic_of32(p), memory_order_relaxed));
}

static inline uint32_t load32_acquire(const le32 *p)
{
    return LE_SWAP32(atomic_load_explicit(atomic_of32(p), memory_order_acquire));
}

static inline void store32_relaxed(le32 *p, uint32_t v)
{
    atomic_store_explicit(atomic_of32(p), LE_SWAP32(v), memory_order_relaxed);
}

static inline void store32_release(le32 *p, uint32_t v)
{
    atomic_store_explicit(atomic_of32(p), LE_SWAP32(v), memory_order_release);
}

static inline uint32_t exchange32_acquire(le32 *p, uint32_t v)
{
    return LE_SWAP32(atomic_exchange_explicit(atomic_of32(p), LE_SWAP32(v), memory_order_acquire));
}

static inline bool cas32_acquire(le32 *p, uint32_t expected, uint32_t desired)
{
    uint32_t seen = LE_SWAP32(expected);
    return atomic_compare_exchange_strong_explicit(atomic_of32(p), &seen, LE_SWAP32(desired),
                                                   memory_order_acquire, memory_order_relaxed);
}

static inline bool cas32_release(le32 *p, uint32_t expected, uint32_t desired)
{
    uint32_t seen = LE_SWAP32(expected);
    return atomic_compare_exchange_strong_explicit(atomic_of32(p), &seen, LE_SWAP32(desired),
                                                   memory_order_release, memory_order_relaxed);
}

static inline bool cas32_acq_rel(le32 *p, uint32_t *expected, uint32_t desired)
{
    uint32_t seen = LE_SWAP32(*expected);
    schedule_point(POINT_EXCHANGE);
    bool done = atomic_compare_exchange_strong_explicit(atomic_of32(p), &seen, LE_SWAP32(desired),
                                                        memory_order_acq_rel, memory_order_acquire);
    *expected = LE_SWAP32(seen);
    return done;
}

/* Add atomically; the difference may be negative in two's complement. Returns the new value. */
static inline uint64_t add64(le64 *p, uint64_t difference)
{
    uint64_t seen = load64_relaxed(p);
    while (!cas64(p, &seen, seen + difference)) {
    }
    return seen + difference;
}

static inline uint32_t add32(le32 *p, uint32_t difference)
{
    uint32_t seen = load32_relaxed(p);
    while (!cas32_acq_rel(p, &seen, seen + difference)) {
    }
    return seen + difference;
}

/* In one order with load32_ordered of every thread: of two that each change a word first and look
 * at the other's then, one sees what the other did. */
static inline bool cas32_ordered(le32 *p, uint32_t expected, uint32_t desired)
{
    uint32_t seen = LE_SWAP32(expected);
    schedule_point(POINT_EXCHANGE);
    return atomic_compare_exchange_strong_explicit(atomic_of32(p), &seen, LE_SWAP32(desired),
                                                   memory_order_seq_cst, memory_order_relaxed);
}

static inline uint32_t add32_ordered(le32 *p, uint32_t difference)
{
    uint32_t seen = load32_relaxed(p);
    while (!cas32_ordered(p, seen, seen + difference))
        seen = load32_relaxed(p);
    return seen + difference;
}

static inline uint32_t load32_ordered(const le32 *p)
{
    return LE_SWAP32(atomic_load_explicit(atomic_of32(p), memory_order_seq_cst));
}

/* The host pointer of a core address. */
static inline void *core_at(uintptr_t bias, uint64_t ref)
{
    return (void *)(bias + (uintptr_t)ref);
}

#endif
