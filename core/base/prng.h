/*
 * A small seeded generator of pseudorandom numbers: same seed, same run, on every host.
 *
 * xoshiro256** 1.0 (Blackman and Vigna, public domain): 256 bits of state, period 2^256 - 1, passes
 * the usual statistical batteries; not for secrets. The seed is spread over the state by
 * splitmix64, whose four consecutive outputs are distinct, so that the state is never all zero,
 * which xoshiro could not leave. The state is little-endian words, so that it may lie in a frame
 * and be saved.
 */
#ifndef NTMM_BASE_PRNG_H
#define NTMM_BASE_PRNG_H

#include "base/assert.h"
#include "base/bits.h"
#include "base/le.h"

struct prng {
    le64 state[4]; /* not all zero */
};

/* One output of splitmix64, a bijection of its state, which advances. */
static inline uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline void prng_seed(struct prng *prng, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++) {
        set64(&prng->state[i], splitmix64(&seed));
    }
}

static inline uint64_t prng_rotate_left(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

/* 64 uniform bits. */
static inline uint64_t prng_next(struct prng *prng)
{
    uint64_t s0 = get64(&prng->state[0]), s1 = get64(&prng->state[1]);
    uint64_t s2 = get64(&prng->state[2]) ^ s0, s3 = get64(&prng->state[3]) ^ s1;
    set64(&prng->state[0], s0 ^ s3);
    set64(&prng->state[1], s1 ^ s2);
    set64(&prng->state[2], s2 ^ s1 << 17);
    set64(&prng->state[3], prng_rotate_left(s3, 45));
    return prng_rotate_left(s1 * 5, 7) * 9;
}

/*
 * Uniform in [0, bound), bound > 0, without bias and without a division: the high bits of as many
 * draws as it takes to fall below bound, fewer than two on average.
 */
static inline uint64_t prng_below(struct prng *prng, uint64_t bound)
{
    NTMM_ASSERT(bound != 0);
    if (bound == 1) {
        return 0;
    }
    unsigned surplus_bits = 64u - ceil_log2(bound);
    uint64_t draw;
    do {
        draw = prng_next(prng) >> surplus_bits;
    } while (draw >= bound);
    return draw;
}

/* Uniform in [first, last], first <= last. */
static inline uint64_t prng_between(struct prng *prng, uint64_t first, uint64_t last)
{
    NTMM_ASSERT(first <= last);
    uint64_t width = last - first + 1; /* 0: all 2^64 values */
    return width == 0 ? prng_next(prng) : first + prng_below(prng, width);
}

#endif
