/*
 * Checked arithmetic and powers of two on uint64_t.
 *
 * Sizes and addresses of the managed machine are uint64_t on every host. Nothing here divides: a
 * 32-bit target would need a library routine for it.
 */
#ifndef NTMM_BASE_BITS_H
#define NTMM_BASE_BITS_H

#include "base/assert.h"

#include <stdbool.h>
#include <stdint.h>

/* *sum is a + b modulo 2^64 in either case. */
static inline bool add_overflows(uint64_t a, uint64_t b, uint64_t *sum)
{
    *sum = a + b;
    return *sum < a;
}

/* *product is a * b modulo 2^64 in either case. */
static inline bool mul_overflows(uint64_t a, uint64_t b, uint64_t *product)
{
    return __builtin_mul_overflow(a, b, product);
}

/* 0 is none. */
static inline bool is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* The largest multiple of unit, a power of two, that is at most value. */
static inline uint64_t round_down(uint64_t value, uint64_t unit)
{
    NTMM_ASSERT(is_power_of_two(unit));
    return value & ~(unit - 1);
}

/* Modulo 2^64: 0 when the least multiple of unit that is at least value is 2^64. */
static inline uint64_t round_up(uint64_t value, uint64_t unit)
{
    NTMM_ASSERT(is_power_of_two(unit));
    return (value + (unit - 1)) & ~(unit - 1);
}

/* *rounded is round_up(value, unit) in either case. */
static inline bool round_up_overflows(uint64_t value, uint64_t unit, uint64_t *rounded)
{
    *rounded = round_up(value, unit);
    return *rounded < value;
}

static inline bool is_multiple(uint64_t value, uint64_t unit)
{
    return round_down(value, unit) == value;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }

static inline uint64_t max_u64(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* The largest e with 2^e <= value; value > 0. */
static inline unsigned floor_log2(uint64_t value)
{
    NTMM_ASSERT(value != 0);
    return 63u - (unsigned)__builtin_clzll(value);
}

/* The least e with 2^e >= value; value > 0. 64 above 2^63. */
static inline unsigned ceil_log2(uint64_t value)
{
    return floor_log2(value) + (is_power_of_two(value) ? 0u : 1u);
}

#endif
