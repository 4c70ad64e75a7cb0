/*
 * The emulated processor's loads, stores, fetches and locked updates.
 *
 * An access is one or two spans, one a page. First every page is asked without effect but accessed
 * bits, then dirty bits are set, then bytes move (M1, M3). Bytes move in the largest naturally
 * aligned words, each one relaxed atomic access: processors on several host threads race as real
 * ones do, without undefined behaviour.
 *
 * A locked update holds the lock of each 64-byte line that it touches (at most two: 64 bytes that
 * cross a page start a line there), in ascending order, so updates are atomic among themselves. An
 * aligned word is changed by compare-exchange besides, so that plain stores cannot be lost either.
 */
#include <string.h>

#include "platform/emulated/cpu_private.h"
#include "platform/emulated/host.h"

struct span {
    uint8_t *host; /* NULL: in a device */
    uint32_t size;
};

struct spans {
    struct span part[2];
    unsigned count;
    uint64_t va; /* of the first byte */
};

/* Where a part lies that has just been located: the two are of neighbouring lines. */
static COLD uint64_t address_of_part(const struct ntmm_cpu *cpu, const struct spans *s, unsigned i)
{
    return cpu_physical_address(cpu, i == 0 ? s->va : (s->va | 0xFFF) + 1);
}

static enum ntmm_cpu_result locate_crossing(struct ntmm_cpu *cpu, uint64_t va, uint32_t size,
                                            unsigned access, struct spans *s)
{
    uint64_t second_va = (va | 0xFFF) + 1;
    enum ntmm_cpu_result first, second;
    if (!x64_is_canonical(second_va, cpu->levels))
        return cpu_general_protection(cpu, va);
    s->part[0].size = (uint32_t)(second_va - va);
    s->part[1].size = size - s->part[0].size;
    s->count = 2;
    first = cpu_translate(cpu, va, access | ACCESS_PROBE, &s->part[0].host);
    if (first != NTMM_CPU_OK && first != NTMM_CPU_BUS_ERROR)
        return first;
    struct ntmm_cpu_fault first_fault = cpu->fault;
    second = cpu_translate(cpu, second_va, access | ACCESS_PROBE, &s->part[1].host);
    if (first == NTMM_CPU_BUS_ERROR && second != NTMM_CPU_FAULT) {
        cpu->fault = first_fault;
        return first;
    }
    if (second != NTMM_CPU_OK || !(access & ACCESS_WRITE))
        return second;
    first = cpu_translate(cpu, va, access, &s->part[0].host);
    if (first != NTMM_CPU_OK)
        return first;
    return cpu_translate(cpu, second_va, access, &s->part[1].host);
}

static enum ntmm_cpu_result locate(struct ntmm_cpu *cpu, uint64_t va, uint32_t size,
                                   unsigned access, struct spans *s)
{
    if (size - 1 >= NTMM_CPU_ACCESS_MAX)
        return NTMM_CPU_INVALID_SIZE;
    if (!x64_is_canonical(va, cpu->levels))
        return cpu_general_protection(cpu, va);
    uint32_t room = NTMM_PAGE_SIZE - (uint32_t)(va & 0xFFF);
    s->va = va;
    if (size > room)
        return locate_crossing(cpu, va, size, access, s);
    s->part[0].size = size;
    s->count = 1;
    return cpu_translate(cpu, va, access, &s->part[0].host);
}

/* The largest word that starts at an address, the host's or a physical one: 8, 4, 2 or 1 bytes. */
static uint32_t word_size_at(uint64_t address, uint32_t size)
{
    if (size >= 8 && (address & 7) == 0)
        return 8;
    if (size >= 4 && (address & 3) == 0)
        return 4;
    return size >= 2 && (address & 1) == 0 ? 2 : 1;
}

static uint32_t word_size(const uint8_t *host, uint32_t size)
{
    return word_size_at((uintptr_t)host, size);
}

static void load_word(uint8_t *to, const uint8_t *host, uint32_t size)
{
    const void *from = host;
    uint64_t word64;
    uint32_t word32;
    uint16_t word16;
    switch (size) {
    case 8:
        word64 = __atomic_load_n((const ntmm_cpu_word64 *)from, __ATOMIC_RELAXED);
        memcpy(to, &word64, 8);
        return;
    case 4:
        word32 = __atomic_load_n((const ntmm_cpu_word32 *)from, __ATOMIC_RELAXED);
        memcpy(to, &word32, 4);
        return;
    case 2:
        word16 = __atomic_load_n((const ntmm_cpu_word16 *)from, __ATOMIC_RELAXED);
        memcpy(to, &word16, 2);
        return;
    default:
        *to = __atomic_load_n(host, __ATOMIC_RELAXED);
    }
}

static void store_word(uint8_t *host, const uint8_t *from, uint32_t size)
{
    void *to = host;
    uint64_t word64;
    uint32_t word32;
    uint16_t word16;
    switch (size) {
    case 8:
        memcpy(&word64, from, 8);
        __atomic_store_n((ntmm_cpu_word64 *)to, word64, __ATOMIC_RELAXED);
        return;
    case 4:
        memcpy(&word32, from, 4);
        __atomic_store_n((ntmm_cpu_word32 *)to, word32, __ATOMIC_RELAXED);
        return;
    case 2:
        memcpy(&word16, from, 2);
        __atomic_store_n((ntmm_cpu_word16 *)to, word16, __ATOMIC_RELAXED);
        return;
    default:
        __atomic_store_n(host, *from, __ATOMIC_RELAXED);
    }
}

/* Bytes of a device, word by word. */
static COLD void load_device(const struct ntmm_cpu *cpu, uint8_t *to, uint64_t address,
                             uint32_t size)
{
    const struct ntmm_cpu_run *run = cpu_run_at(cpu, address);
    for (uint32_t at = 0, n; at < size; at += n) {
        n = word_size_at(address + at, size - at);
        uint64_t value = run->read(run->context, address + at, n);
        for (uint32_t i = 0; i < n; i++)
            to[at + i] = (uint8_t)(value >> (8 * i));
    }
}

static COLD void store_device(const struct ntmm_cpu *cpu, uint64_t address, const uint8_t *from,
                              uint32_t size)
{
    const struct ntmm_cpu_run *run = cpu_run_at(cpu, address);
    for (uint32_t at = 0, n; at < size; at += n) {
        uint64_t value = 0;
        n = word_size_at(address + at, size - at);
        for (uint32_t i = 0; i < n; i++)
            value |= (uint64_t)from[at + i] << (8 * i);
        run->write(run->context, address + at, n, value);
    }
}

static void load_host(uint8_t *to, const struct spans *s)
{
    for (unsigned i = 0; i < s->count; i++)
        for (uint32_t at = 0, n; at < s->part[i].size; at += n, to += n) {
            n = word_size(s->part[i].host + at, s->part[i].size - at);
            load_word(to, s->part[i].host + at, n);
        }
}

static void store_host(const struct spans *s, const uint8_t *from)
{
    for (unsigned i = 0; i < s->count; i++)
        for (uint32_t at = 0, n; at < s->part[i].size; at += n, from += n) {
            n = word_size(s->part[i].host + at, s->part[i].size - at);
            store_word(s->part[i].host + at, from, n);
        }
}

static bool has_device(const struct spans *s)
{
    return s->part[0].host == NULL || (s->count == 2 && s->part[1].host == NULL);
}

/* Part by part: some are in a device. */
static COLD void load_parts(const struct ntmm_cpu *cpu, uint8_t *to, const struct spans *s)
{
    for (unsigned i = 0; i < s->count; to += s->part[i].size, i++) {
        const struct spans one = {.part = {s->part[i]}, .count = 1};
        if (s->part[i].host != NULL)
            load_host(to, &one);
        else
            load_device(cpu, to, address_of_part(cpu, s, i), s->part[i].size);
    }
}

static COLD void store_parts(const struct ntmm_cpu *cpu, const struct spans *s, const uint8_t *from)
{
    for (unsigned i = 0; i < s->count; from += s->part[i].size, i++) {
        const struct spans one = {.part = {s->part[i]}, .count = 1};
        if (s->part[i].host != NULL)
            store_host(&one, from);
        else
            store_device(cpu, address_of_part(cpu, s, i), from, s->part[i].size);
    }
}

static void load_spans(const struct ntmm_cpu *cpu, uint8_t *to, const struct spans *s)
{
    if (__builtin_expect(has_device(s), 0))
        load_parts(cpu, to, s);
    else
        load_host(to, s);
}

static void store_spans(const struct ntmm_cpu *cpu, const struct spans *s, const uint8_t *from)
{
    if (__builtin_expect(has_device(s), 0))
        store_parts(cpu, s, from);
    else
        store_host(s, from);
}

static enum ntmm_cpu_result load(struct ntmm_cpu *cpu, uint64_t va, void *buffer, uint32_t size,
                                 unsigned access)
{
    struct spans s;
    enum ntmm_cpu_result result = locate(cpu, va, size, access, &s);
    if (result == NTMM_CPU_OK)
        load_spans(cpu, buffer, &s);
    return result;
}

static enum ntmm_cpu_result store(struct ntmm_cpu *cpu, uint64_t va, const void *buffer,
                                  uint32_t size, unsigned access)
{
    struct spans s;
    enum ntmm_cpu_result result = locate(cpu, va, size, access, &s);
    if (result == NTMM_CPU_OK)
        store_spans(cpu, &s, buffer);
    return result;
}

enum ntmm_cpu_result ntmm_cpu_load(struct ntmm_cpu *cpu, uint64_t va, void *buffer, uint32_t size)
{
    return load(cpu, va, buffer, size, ACCESS_READ);
}

enum ntmm_cpu_result ntmm_cpu_fetch(struct ntmm_cpu *cpu, uint64_t va, void *buffer, uint32_t size)
{
    return load(cpu, va, buffer, size, ACCESS_FETCH);
}

/* The address that missed: what the inline path was left with is it and the tag that it met. */
static uint64_t missed_address(const struct ntmm_cpu *cpu, uint64_t place, uint64_t left,
                               size_t tag)
{
    return left ^ ntmm_cpu_word(cpu, place, tag);
}

enum ntmm_cpu_result ntmm_cpu_load_missed(struct ntmm_cpu *cpu, uint64_t place, uint64_t left,
                                          void *buffer, uint32_t size)
{
    return load(cpu, missed_address(cpu, place, left, NTMM_CPU_READ_TAG), buffer, size,
                ACCESS_READ);
}

enum ntmm_cpu_result ntmm_cpu_fetch_missed(struct ntmm_cpu *cpu, uint64_t place, uint64_t left,
                                           void *buffer, uint32_t size)
{
    return load(cpu, missed_address(cpu, place, left, NTMM_CPU_FETCH_TAG), buffer, size,
                ACCESS_FETCH);
}

enum ntmm_cpu_result ntmm_cpu_store_missed(struct ntmm_cpu *cpu, uint64_t place, uint64_t left,
                                           const void *buffer, uint32_t size)
{
    return store(cpu, missed_address(cpu, place, left, NTMM_CPU_WRITE_TAG), buffer, size,
                 ACCESS_WRITE);
}

enum ntmm_cpu_result ntmm_cpu_load_implicit(struct ntmm_cpu *cpu, uint64_t va, void *buffer,
                                            uint32_t size)
{
    return load(cpu, va, buffer, size, ACCESS_READ | ACCESS_IMPLICIT);
}

enum ntmm_cpu_result ntmm_cpu_store(struct ntmm_cpu *cpu, uint64_t va, const void *buffer,
                                    uint32_t size)
{
    return store(cpu, va, buffer, size, ACCESS_WRITE);
}

enum ntmm_cpu_result ntmm_cpu_store_implicit(struct ntmm_cpu *cpu, uint64_t va, const void *buffer,
                                             uint32_t size)
{
    return store(cpu, va, buffer, size, ACCESS_WRITE | ACCESS_IMPLICIT);
}

/* The lock of the line that a byte of a span lies in. */
static unsigned bus_lock_of(const struct ntmm_cpu *cpu, const struct spans *s, unsigned i,
                            uint32_t at)
{
    uintptr_t host = (uintptr_t)s->part[i].host;
    uint64_t place = host != 0 ? host - (uintptr_t)cpu->memory->host : address_of_part(cpu, s, i);
    return (unsigned)((place + at) >> 6) % NTMM_CPU_BUS_LOCKS;
}

static void acquire(uint32_t *lock)
{
    while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE) != 0)
        while (__atomic_load_n(lock, __ATOMIC_RELAXED) != 0)
            sched_yield();
}

/* The (at most two) locks of an update, ascending; returns how many. */
static unsigned locks_of(const struct ntmm_cpu *cpu, const struct spans *s, unsigned locks[2])
{
    unsigned last = s->count - 1;
    unsigned a = bus_lock_of(cpu, s, 0, 0);
    unsigned b = bus_lock_of(cpu, s, last, s->part[last].size - 1);
    locks[0] = a < b ? a : b;
    locks[1] = a < b ? b : a;
    return a == b ? 1 : 2;
}

static bool exchange_word(uint8_t *host, uint8_t *expected, const uint8_t *desired, uint32_t size)
{
    uint64_t old64, new64;
    uint32_t old32, new32;
    uint16_t old16, new16;
    void *at = host;
    bool done;
    switch (size) {
    case 8:
        memcpy(&old64, expected, 8);
        memcpy(&new64, desired, 8);
        done = __atomic_compare_exchange_n((ntmm_cpu_word64 *)at, &old64, new64, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
        memcpy(expected, &old64, 8);
        return done;
    case 4:
        memcpy(&old32, expected, 4);
        memcpy(&new32, desired, 4);
        done = __atomic_compare_exchange_n((ntmm_cpu_word32 *)at, &old32, new32, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
        memcpy(expected, &old32, 4);
        return done;
    case 2:
        memcpy(&old16, expected, 2);
        memcpy(&new16, desired, 2);
        done = __atomic_compare_exchange_n((ntmm_cpu_word16 *)at, &old16, new16, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
        memcpy(expected, &old16, 2);
        return done;
    default:
        return __atomic_compare_exchange_n(host, expected, *desired, false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_RELAXED);
    }
}

static void update_word(const struct span *word, ntmm_cpu_update_function function, void *context)
{
    uint8_t old[8], new[8];
    load_word(old, word->host, word->size);
    do {
        memcpy(new, old, word->size);
        if (!function(new, word->size, context))
            return;
    } while (!exchange_word(word->host, old, new, word->size));
}

static void update_bytes(const struct ntmm_cpu *cpu, const struct spans *s,
                         ntmm_cpu_update_function function, void *context)
{
    uint8_t bytes[NTMM_CPU_ACCESS_MAX];
    load_spans(cpu, bytes, s);
    if (function(bytes, s->part[0].size + (s->count == 2 ? s->part[1].size : 0), context))
        store_spans(cpu, s, bytes);
}

enum ntmm_cpu_result ntmm_cpu_update(struct ntmm_cpu *cpu, uint64_t va, uint32_t size,
                                     ntmm_cpu_update_function function, void *context)
{
    struct spans s;
    unsigned locks[2];
    enum ntmm_cpu_result result = locate(cpu, va, size, ACCESS_WRITE, &s);
    if (result != NTMM_CPU_OK)
        return result;
    unsigned count = locks_of(cpu, &s, locks);
    for (unsigned i = 0; i < count; i++)
        acquire(&cpu->memory->bus_locks[locks[i]]);
    if (s.count == 1 && s.part[0].host != NULL && word_size(s.part[0].host, size) == size)
        update_word(&s.part[0], function, context);
    else
        update_bytes(cpu, &s, function, context);
    for (unsigned i = count; i-- > 0;)
        __atomic_store_n(&cpu->memory->bus_locks[locks[i]], 0, __ATOMIC_RELEASE);
    return NTMM_CPU_OK;
}
