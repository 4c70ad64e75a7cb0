/*
 * Loads, stores and locked updates of the emulated processor: sizes, page crossings (M1), updates
 * that decline, atomicity between two host threads.
 */
#include <pthread.h>
#include <sched.h>

#include "test_cpu_machine.h"

static void fill(uint8_t *bytes, uint32_t size, uint8_t first)
{
    for (uint32_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(first + i);
}

static void every_size_at_every_offset(void **state)
{
    struct machine *m = *state;
    uint8_t in[64], out[64], seen[64];
    map(m, VA, 1, (DATA + 4096) | P | W | U); /* frames in the other order than addresses */
    map(m, VA + 4096, 1, DATA | P | W | U);
    for (uint32_t size = 1; size <= 64; size++)
        for (uint32_t offset = 4096 - 72; offset < 4096 + 8; offset++) {
            fill(in, size, (uint8_t)(size * 7 + offset));
            assert_int_equal(ntmm_cpu_store(&m->cpu, VA + offset, in, size), NTMM_CPU_OK);
            assert_int_equal(ntmm_cpu_load(&m->cpu, VA + offset, out, size), NTMM_CPU_OK);
            assert_memory_equal(in, out, size);
            assert_int_equal(ntmm_cpu_fetch(&m->cpu, VA + offset, out, size), NTMM_CPU_OK);
            assert_memory_equal(in, out, size);
            for (uint32_t i = 0; i < size; i++)
                seen[i] =
                    *at(m, offset + i < 4096 ? DATA + 4096 + offset + i : DATA + offset + i - 4096);
            assert_memory_equal(in, seen, size);
        }
    assert_int_equal(ntmm_cpu_load(&m->cpu, VA, out, 0), NTMM_CPU_INVALID_SIZE);
    assert_int_equal(ntmm_cpu_store(&m->cpu, VA, in, 65), NTMM_CPU_INVALID_SIZE);
}

/* The inline accesses of a word: missed at first, hit then, over the end of a page, refused. */
#define WORD_OF(bits)                                                                              \
    static void word_of_##bits(struct machine *m, uint##bits##_t value)                            \
    {                                                                                              \
        const uint64_t places[] = {VA + 64, VA + 64, VA + 4096 - 1, VA + 4096};                    \
        uint##bits##_t seen = 0;                                                                   \
        for (uint32_t i = 0; i < 4; i++, value += 3) {                                             \
            assert_int_equal(ntmm_cpu_write##bits(&m->cpu, places[i], value), NTMM_CPU_OK);        \
            assert_int_equal(ntmm_cpu_read##bits(&m->cpu, places[i], &seen), NTMM_CPU_OK);         \
            assert_true(seen == value);                                                            \
            seen = 0;                                                                              \
            assert_int_equal(ntmm_cpu_fetch##bits(&m->cpu, places[i], &seen), NTMM_CPU_OK);        \
            assert_true(seen == value);                                                            \
            assert_int_equal(*at(m, DATA + places[i] - VA), (uint8_t)value);                       \
        }                                                                                          \
        seen = 0x5A;                                                                               \
        const uint64_t none = VA + 2 * 4096;                                                       \
        assert_page_fault(m, ntmm_cpu_read##bits(&m->cpu, none - 1, &seen), 0, none);              \
        assert_page_fault(m, ntmm_cpu_fetch##bits(&m->cpu, none, &seen), 0x10, none);              \
        assert_page_fault(m, ntmm_cpu_write##bits(&m->cpu, none - 1, value), 2, none);             \
        assert_int_equal(seen, 0x5A);                                                              \
    }

WORD_OF(16)
WORD_OF(32)
WORD_OF(64)

static void words_of_every_size(void **state)
{
    struct machine *m = *state;
    map(m, VA, 1, DATA | P | W);
    map(m, VA + 4096, 1, (DATA + 4096) | P | W);
    map(m, VA + 2 * 4096, 1, 0);
    word_of_16(m, 0x1234);
    word_of_32(m, 0x12345678);
    word_of_64(m, 0x123456789ABCDEF0);
}

static void m1_crossing_store_is_all_or_nothing(void **state)
{
    struct machine *m = *state;
    const uint64_t second = VA + 4096;
    uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    map(m, VA, 1, DATA | P | W | U);
    map(m, second, 1, 0);
    assert_page_fault(m, ntmm_cpu_store(&m->cpu, second - 3, bytes, 8), 2, second);
    assert_memory_equal(at(m, DATA + 4093), "\0\0\0", 3);
    assert_int_equal(get64(entry_of(m, VA, 1)) & D, 0);
    map(m, second, 1, (DATA + 4096) | P);
    assert_page_fault(m, ntmm_cpu_store(&m->cpu, second - 3, bytes, 8), 3, second);
    map(m, VA, 1, DATA | P);
    ntmm_cpu_invlpg(&m->cpu, VA);
    assert_page_fault(m, ntmm_cpu_store(&m->cpu, second - 3, bytes, 8), 3, second - 3);
    assert_int_equal(get64(entry_of(m, VA, 1)) & D, 0);
    assert_int_equal(get64(entry_of(m, second, 1)) & D, 0);
    map(m, VA, 1, 0x7000000000 | P | W);
    ntmm_cpu_invlpg(&m->cpu, VA);
    assert_page_fault(m, ntmm_cpu_store(&m->cpu, second - 3, bytes, 8), 3, second);
    map(m, second, 1, 0x7000001000 | P | W); /* both outside memory: the first is told */
    assert_int_equal(ntmm_cpu_store(&m->cpu, second - 3, bytes, 8), NTMM_CPU_BUS_ERROR);
    assert_true(m->cpu.fault.address == 0x7000000FFD);
    map(m, second, 1, (DATA + 4096) | P | W);
    assert_int_equal(ntmm_cpu_store(&m->cpu, second - 3, bytes, 8), NTMM_CPU_BUS_ERROR);
    assert_true(m->cpu.fault.address == 0x7000000FFD);
    assert_int_equal(get64(entry_of(m, second, 1)) & D, 0);
    map(m, VA, 1, DATA | P | W);
    assert_int_equal(ntmm_cpu_store(&m->cpu, second - 3, bytes, 8), NTMM_CPU_OK);
    assert_memory_equal(at(m, DATA + 4093), bytes, 8);
    assert_int_equal(get64(entry_of(m, VA, 1)) & D, D);
    assert_int_equal(get64(entry_of(m, second, 1)) & D, D);
}

static void crossing_load_and_fetch_name_the_failing_page(void **state)
{
    struct machine *m = *state;
    const uint64_t second = VA + 4096;
    uint8_t bytes[64] = {0xEE};
    map(m, VA, 1, DATA | P);
    map(m, second, 1, (DATA + 4096) | P | NX);
    assert_page_fault(m, ntmm_cpu_fetch(&m->cpu, second - 1, bytes, 15), 0x11, second);
    assert_int_equal(bytes[0], 0xEE);
    assert_int_equal(ntmm_cpu_load(&m->cpu, second - 1, bytes, 15), NTMM_CPU_OK);
    map(m, VA, 1, 0);
    ntmm_cpu_invlpg(&m->cpu, VA);
    assert_page_fault(m, ntmm_cpu_load(&m->cpu, second - 63, bytes, 64), 0, second - 63);
}

static bool add_one(void *bytes, uint32_t size, void *context)
{
    uint8_t *byte = bytes;
    (void)context;
    for (uint32_t i = 0; i < size && ++byte[i] == 0; i++)
        ;
    return true;
}

static bool decline(void *bytes, uint32_t size, void *context)
{
    memcpy(context, bytes, size);
    memset(bytes, 0xFF, size);
    return false;
}

static void update_every_size(void **state)
{
    struct machine *m = *state;
    map(m, VA, 1, DATA | P | W);
    map(m, VA + 4096, 1, (DATA + 8192) | P | W);
    for (uint32_t size = 1; size <= 64; size++)
        for (uint32_t offset = 4096 - 66; offset < 4098; offset++) {
            uint8_t bytes[64], after[64];
            memset(bytes, 0xFF, size);
            bytes[size - 1] = 4;
            assert_int_equal(ntmm_cpu_store(&m->cpu, VA + offset, bytes, size), NTMM_CPU_OK);
            assert_int_equal(ntmm_cpu_update(&m->cpu, VA + offset, size, add_one, NULL),
                             NTMM_CPU_OK);
            memset(bytes, 0, size);
            bytes[size - 1] = 5;
            assert_int_equal(ntmm_cpu_load(&m->cpu, VA + offset, after, size), NTMM_CPU_OK);
            assert_memory_equal(after, bytes, size);
        }
    for (unsigned i = 0; i < NTMM_CPU_BUS_LOCKS; i++)
        assert_int_equal(m->memory.bus_locks[i], 0);
}

/* A compare-exchange that fails writes nothing, yet is a write. */
static void update_that_declines_is_a_write(void **state)
{
    struct machine *m = *state;
    uint64_t seen = 0;
    map(m, VA, 1, DATA | P | W);
    set64((le64 *)(void *)at(m, DATA), 0x1234);
    assert_int_equal(ntmm_cpu_update(&m->cpu, VA, 8, decline, &seen), NTMM_CPU_OK);
    assert_int_equal(get64((le64 *)(void *)at(m, DATA)), 0x1234);
    assert_memory_equal(&seen, at(m, DATA), 8);
    assert_int_equal(get64(entry_of(m, VA, 1)) & D, D);
    map(m, VA, 1, DATA | P);
    ntmm_cpu_invlpg(&m->cpu, VA);
    assert_page_fault(m, ntmm_cpu_update(&m->cpu, VA, 8, decline, &seen), 3, VA);
    assert_int_equal(ntmm_cpu_update(&m->cpu, VA, 65, decline, &seen), NTMM_CPU_INVALID_SIZE);
}

#define ROUNDS 100000u

struct worker {
    struct ntmm_cpu *cpu;
    uint64_t va;
    uint32_t size;
    bool failed;
    uint32_t stop;
    uint32_t *turn; /* pages that the two workers have come to, together */
};

static void *add_many(void *argument)
{
    struct worker *w = argument;
    for (uint32_t i = 0; i < ROUNDS; i++)
        w->failed |= ntmm_cpu_update(w->cpu, w->va, w->size, add_one, NULL) != NTMM_CPU_OK;
    return NULL;
}

/* Two processors on two threads; aligned, unaligned, wide, crossing; also of different sizes. */
static void updates_are_atomic(void **state)
{
    struct machine *m = *state;
    static const struct {
        uint64_t offset;
        uint32_t size, other_size;
    } shapes[] = {{64, 8, 8}, {61, 8, 8}, {128, 16, 8}, {4096 - 5, 10, 4}, {190, 64, 2}};
    struct ntmm_cpu *second = second_cpu(m);
    map(m, VA, 1, (DATA + 4096) | P | W);
    map(m, VA + 4096, 1, DATA | P | W);
    for (unsigned i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        uint64_t va = VA + shapes[i].offset, value = 0;
        struct worker a = {&m->cpu, va, shapes[i].size, false, 0, NULL};
        struct worker b = {second, va, shapes[i].other_size, false, 0, NULL};
        pthread_t thread;
        assert_int_equal(ntmm_cpu_store(&m->cpu, va, &value, 8), NTMM_CPU_OK);
        assert_int_equal(pthread_create(&thread, NULL, add_many, &b), 0);
        add_many(&a);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_false(a.failed || b.failed);
        uint8_t bytes[8];
        assert_int_equal(ntmm_cpu_load(&m->cpu, va, bytes, 8), NTMM_CPU_OK);
        uint32_t sum = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16;
        if (shapes[i].other_size == 2)
            assert_int_equal(sum & 0xFFFF, 2 * ROUNDS & 0xFFFF);
        else
            assert_int_equal(sum, 2 * ROUNDS);
    }
    free(second);
}

/* Nobody but this thread changes the low 31 bits: each store must still be there. */
static void *store_until_stopped(void *argument)
{
    struct worker *w = argument;
    uint32_t value = 0;
    for (uint32_t i = 0; !__atomic_load_n(&w->stop, __ATOMIC_RELAXED); i = (i + 1) & 0x7FFFFFFF) {
        w->failed |= ntmm_cpu_write32(w->cpu, w->va, i) != NTMM_CPU_OK;
        w->failed |= ntmm_cpu_read32(w->cpu, w->va, &value) != NTMM_CPU_OK;
        w->failed |= (value & 0x7FFFFFFF) != i;
    }
    return NULL;
}

/* Gives the other thread time between reading and writing, once an update. */
static bool or_flag(void *bytes, uint32_t size, void *context)
{
    bool *is_retry = context;
    (void)size;
    if (!*is_retry)
        for (unsigned i = 0; i < 4; i++)
            sched_yield();
    *is_retry = true;
    ((uint8_t *)bytes)[3] |= 0x80;
    return true;
}

/* An aligned update and a plain store: a store is never undone by the update's write. */
static void aligned_update_loses_no_plain_store(void **state)
{
    struct machine *m = *state;
    struct ntmm_cpu *second = second_cpu(m);
    struct worker w = {second, VA, 4, false, 0, NULL};
    pthread_t thread;
    map(m, VA, 1, DATA | P | W);
    assert_int_equal(pthread_create(&thread, NULL, store_until_stopped, &w), 0);
    for (uint32_t i = 0; i < ROUNDS / 20; i++) {
        bool is_retry = false;
        assert_int_equal(ntmm_cpu_update(&m->cpu, VA, 4, or_flag, &is_retry), NTMM_CPU_OK);
    }
    __atomic_store_n(&w.stop, 1, __ATOMIC_RELAXED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(w.failed);
    free(second);
}

/* Two processors setting A and D of the same entries lose none. */
static void *touch_all(void *argument)
{
    struct worker *w = argument;
    uint64_t value;
    for (uint32_t page = 0; page < 64; page++) {
        __atomic_fetch_add(w->turn, 1, __ATOMIC_ACQ_REL);
        for (uint32_t spins = 0; __atomic_load_n(w->turn, __ATOMIC_ACQUIRE) < 2 * page + 2; spins++)
            if (spins > 1000)
                sched_yield();
        w->failed |= (page & 1) ^ (w->size & 1)
                         ? ntmm_cpu_write64(w->cpu, w->va + page * 4096ull, 1) != NTMM_CPU_OK
                         : ntmm_cpu_read64(w->cpu, w->va + page * 4096ull, &value) != NTMM_CPU_OK;
    }
    return NULL;
}

static void accessed_and_dirty_survive_races(void **state)
{
    struct machine *m = *state;
    struct ntmm_cpu *second = second_cpu(m);
    const uint64_t va = VA & ~0x1FFFFFull;
    for (unsigned round = 0; round < 5; round++) {
        uint32_t turn = 0;
        struct worker a = {&m->cpu, va, 0, false, 0, &turn};
        struct worker b = {second, va, 1, false, 0, &turn};
        pthread_t thread;
        for (uint64_t page = 0; page < 64; page++)
            map(m, va + page * 4096, 1, DATA | P | W);
        assert_int_equal(pthread_create(&thread, NULL, touch_all, &b), 0);
        touch_all(&a);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_false(a.failed || b.failed);
        for (uint64_t page = 0; page < 64; page++)
            assert_int_equal(get64(entry_of(m, va + page * 4096, 1)) & (A | D), A | D);
        set_cr3(m, MEMORY_BASE);
        assert_int_equal(ntmm_cpu_set_cr3(second, MEMORY_BASE), NTMM_CPU_OK);
    }
    free(second);
}

#define machine_test(f) cmocka_unit_test_setup_teardown(f, machine_setup, machine_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        machine_test(every_size_at_every_offset),
        machine_test(words_of_every_size),
        machine_test(m1_crossing_store_is_all_or_nothing),
        machine_test(crossing_load_and_fetch_name_the_failing_page),
        machine_test(update_every_size),
        machine_test(update_that_declines_is_a_write),
        machine_test(updates_are_atomic),
        machine_test(aligned_update_loses_no_plain_store),
        machine_test(accessed_and_dirty_survive_races),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
