/*
 * The host's own cost of an uncontended locked compare and exchange.
 */
#include "bench.h"

#define EXCHANGES 1000000u

double host_lock_cmpxchg(void *context)
{
    uint64_t word = 0;
    uint64_t *target = &word;
    (void)context;
    __asm__ volatile("" : "+r"(target));
    uint64_t begin = bench_now_ns();
    for (uint64_t i = 0; i < EXCHANGES; i++) {
        uint64_t expected = i;
        __atomic_compare_exchange_n(target, &expected, i + 1, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST);
    }
    return (double)(bench_now_ns() - begin) / EXCHANGES;
}
