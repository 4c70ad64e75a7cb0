/*
 * Arguments out of the bytes of an input. Most lie at or near what earlier calls made, or at the
 * edges of what is legal; any value at all is possible everywhere.
 */
#include "calls/world.h"

#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

bool has_input(const struct world *w) { return w->at < w->size; }

uint8_t take8(struct world *w) { return has_input(w) ? w->data[w->at++] : 0; }

uint32_t take32(struct world *w)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < 4; i++) {
        value = value << 8 | take8(w);
    }
    return value;
}

uint64_t take64(struct world *w)
{
    uint64_t high = take32(w);

    return high << 32 | take32(w);
}

bool one_in(struct world *w, uint8_t n) { return take8(w) % n == n - 1; }

uint64_t take_any(struct world *w)
{
    static const uint64_t EDGES[] = {
        0,
        1,
        0xFFFF,
        0x10000,
        0x7FFFFFFF,
        0x80000000,
        0xFFFFFFFF,
        0x100000000,
        NTMM_HIGHEST_VAD_ADDRESS,
        NTMM_HIGHEST_USER_ADDRESS,
        NTMM_USER_PROBE_ADDRESS,
        0x7FFFFFFFFFFF,
        0x800000000000,
        0xFFFF7FFFFFFFFFFF,
        0xFFFF800000000000,
        UINT64_MAX - 0xFFF,
        UINT64_MAX,
    };
    uint8_t kind = take8(w);

    return kind < 128 ? EDGES[kind % COUNT_OF(EDGES)] : take64(w);
}

uint32_t take_below(struct world *w, uint8_t bound)
{
    uint8_t value = take8(w);

    return value < 248 ? value % bound : take32(w);
}

ntmm_handle take_process(struct world *w) { return w->processes[take8(w) % PROCESS_COUNT]; }

/* Seven in eight have all rights. */
ntmm_handle take_handle(struct world *w)
{
    uint8_t kind = take8(w);

    if (kind < 224) {
        return w->processes[kind % PROCESS_COUNT];
    }
    if (kind < 252) {
        return w->handles[kind % HANDLE_COUNT];
    }
    if (kind == 255) {
        return take64(w);
    }
    return w->processes[0] ^ 1ull << take8(w) % 64;
}

ntmm_handle take_of(struct world *w, const ntmm_handle *handles, unsigned next, unsigned count)
{
    uint8_t kind = take8(w);

    if (kind < 120) {
        return handles[(next + count - 1) % count];
    }
    return kind < 240 ? handles[kind % count] : take_handle(w);
}

static const struct range *take_range(struct world *w)
{
    return &w->ranges[take8(w) % RANGE_COUNT];
}

uint64_t take_address(struct world *w)
{
    uint8_t kind = take8(w);
    const struct range *range = take_range(w);
    uint64_t base = range->base;

    switch (kind % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
        break;
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
        base += take8(w) % 32 * 0x1000ull;
        break;
    case 9:
        base += range->size;
        break;
    case 10:
        base += range->size / 256 * take8(w);
        break;
    case 11:
        base = 0;
        break;
    case 12:
        base = 0x20000 + take8(w) * 0x8000ull;
        break;
    case 13:
        base -= take8(w) * 0x1000ull;
        break;
    case 14:
        base += take32(w) & 0xFFFFFF;
        break;
    default:
        return take_any(w);
    }
    return kind < 208 ? base : base + take8(w) * 17ull - 0x800;
}

uint64_t take_size(struct world *w)
{
    uint8_t kind = take8(w);

    if (kind < 96) {
        return (kind % 8u + 1) * 0x1000ull;
    }
    if (kind < 160) {
        return (kind % 8u + 1) * 0x10000ull;
    }
    if (kind < 192) {
        return take_range(w)->size;
    }
    if (kind < 208) {
        return take8(w);
    }
    if (kind < 224) {
        return take32(w) & 0xFFFFFF;
    }
    if (kind < 232) {
        return 0x200000ull << kind % 8 * 3;
    }
    if (kind < 244) {
        return (kind % 8u + 1) * 0x1000ull + take8(w) - 0x80;
    }
    return take_any(w);
}

uint32_t take_protect(struct world *w)
{
    static const uint32_t BASES[] = {
        NTMM_PAGE_READWRITE,    NTMM_PAGE_READONLY,          NTMM_PAGE_READWRITE,
        NTMM_PAGE_EXECUTE_READ, NTMM_PAGE_EXECUTE_READWRITE, NTMM_PAGE_NOACCESS,
        NTMM_PAGE_EXECUTE,      NTMM_PAGE_READWRITE,
    };
    static const uint32_t MODIFIERS[] = {
        0, 0, 0, 0, 0, NTMM_PAGE_GUARD, NTMM_PAGE_NOCACHE, NTMM_PAGE_WRITECOMBINE,
    };
    uint8_t kind = take8(w);

    if (kind == 248 || kind == 249) {
        return NTMM_PAGE_EXECUTE_READWRITE | NTMM_PAGE_TARGETS_INVALID;
    }
    return kind < 250 ? BASES[kind % 8] | MODIFIERS[kind / 8 % 8] : take32(w);
}

uint32_t take_type(struct world *w)
{
    static const uint32_t TYPES[] = {
        NTMM_MEM_RESERVE,
        NTMM_MEM_COMMIT,
        NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
        NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
        NTMM_MEM_COMMIT,
        NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_TOP_DOWN,
        NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_WRITE_WATCH,
        NTMM_MEM_RESERVE | NTMM_MEM_WRITE_WATCH,
        NTMM_MEM_RESET,
        NTMM_MEM_RESET_UNDO,
        NTMM_MEM_RESERVE | NTMM_MEM_RESERVE_PLACEHOLDER,
        NTMM_MEM_RESERVE | NTMM_MEM_REPLACE_PLACEHOLDER,
        NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_REPLACE_PLACEHOLDER,
        NTMM_MEM_RESERVE | NTMM_MEM_PHYSICAL,
        NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_LARGE_PAGES,
        NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_REPLACE_PLACEHOLDER | NTMM_MEM_WRITE_WATCH,
    };
    uint8_t kind = take8(w);

    if (kind >= 248) {
        return take32(w);
    }
    return kind < 232 ? TYPES[kind % COUNT_OF(TYPES)]
                      : TYPES[kind % COUNT_OF(TYPES)] ^ 1u << take8(w) % 32;
}

uint64_t take_zero_bits(struct world *w)
{
    uint8_t kind = take8(w);

    if (kind < 200) {
        return 0;
    }
    return kind < 240 ? take8(w) % 34 : take_any(w);
}

uint8_t *take_buffer(struct world *w, uint64_t size)
{
    size_t offset = take8(w) % 8;
    uint8_t *buffer;

    must(w, size <= BUFFER_LIMIT && !w->buffer, "a buffer of the fuzz target itself");
    buffer = malloc((size_t)size + offset + (size + offset == 0));
    must(w, buffer, "no memory");
    memset(buffer, POISON, (size_t)size + offset);
    w->buffer = buffer;
    return buffer + offset;
}

void release_buffer(struct world *w)
{
    free(w->buffer);
    w->buffer = NULL;
}

bool is_poison(const void *buffer, uint64_t size)
{
    const uint8_t *bytes = buffer;

    for (uint64_t i = 0; i < size; i++) {
        if (bytes[i] != POISON) {
            return false;
        }
    }
    return true;
}
