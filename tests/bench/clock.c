/*
 * Time, the one processor that everything runs on, and small things that every subject needs.
 */
#include "bench.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t read_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t bench_now_ns(void) { return read_ns(CLOCK_THREAD_CPUTIME_ID); }

uint64_t bench_clock_ns(void) { return read_ns(CLOCK_MONOTONIC); }

void bench_move(int processor)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    if (processor >= 0) {
        CPU_SET((size_t)processor, &one);
        (void)sched_setaffinity(0, sizeof one, &one);
    }
}

/* The last processor that we may use: the first takes most interrupts. */
void bench_pin(struct bench *b)
{
    cpu_set_t allowed;
    int found = 0;
    b->processor = b->processor_pair[0] = b->processor_pair[1] = -1;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    for (int i = CPU_SETSIZE; i-- > 0 && found < 2;) {
        if (CPU_ISSET((size_t)i, &allowed))
            b->processor_pair[found++] = i;
    }
    b->processor = b->processor_pair[0];
    bench_move(b->processor);
}

uint64_t bench_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

void bench_shuffle(uint64_t *values, size_t count, uint64_t *state)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)(bench_random(state) % i);
        uint64_t value = values[i - 1];
        values[i - 1] = values[j];
        values[j] = value;
    }
}

void bench_must(bool is_true, const char *what)
{
    if (is_true)
        return;
    fprintf(stderr, "ntmm-bench: %s\n", what);
    exit(1);
}

void *bench_allocate(size_t count, size_t size_bytes)
{
    void *memory = calloc(count, size_bytes);
    bench_must(memory != NULL, "out of memory");
    return memory;
}

size_t bench_scale(const struct bench *b, size_t count, size_t smoke_count)
{
    return b->is_smoke ? smoke_count : count;
}
