#include "places.h"

#include "os.h"

#define FLOAT_LIMIT 32u
#define FREE_STATE 0x10000u
#define SLOT 0x10000u

struct floating {
    uint64_t expected;
    uint64_t actual;
    uint64_t size;
};

static struct floating floats[FLOAT_LIMIT];
static uint32_t float_count;
static uint64_t distance;

static bool is_free(uint64_t process, uint64_t base, uint64_t size)
{
    static struct os_memory memory;

    return os_query(process, base, &memory) == 0 && memory.state == FREE_STATE &&
           memory.base == base && memory.size >= size;
}

bool places_begin(uint64_t process)
{
    for (distance = 0; distance < 0x600000000000u; distance += 0x1000000000u) {
        if (is_free(process, WINDOW_BASE + distance, WINDOW_END - WINDOW_BASE)) {
            return true;
        }
    }
    return false;
}

void places_clear(void) { float_count = 0; }

static bool is_in(uint64_t address, uint64_t base, uint64_t size)
{
    return address >= base && address - base < size;
}

void places_float(uint64_t expected, uint64_t actual, uint64_t size)
{
    uint64_t whole = (size + SLOT - 1) & ~(uint64_t)(SLOT - 1);
    uint32_t kept = 0;

    for (uint32_t i = 0; i < float_count; i++) {
        if (!is_in(floats[i].expected, expected, whole) &&
            !is_in(expected, floats[i].expected, floats[i].size)) {
            floats[kept++] = floats[i];
        }
    }
    float_count = kept;
    if (float_count < FLOAT_LIMIT) {
        floats[float_count].expected = expected;
        floats[float_count].actual = actual;
        floats[float_count].size = whole;
        float_count++;
    }
}

bool places_has_float(uint64_t expected)
{
    for (uint32_t i = 0; i < float_count; i++) {
        if (is_in(expected, floats[i].expected, floats[i].size)) {
            return true;
        }
    }
    return false;
}

uint64_t place(uint64_t address)
{
    for (uint32_t i = 0; i < float_count; i++) {
        if (is_in(address, floats[i].expected, floats[i].size)) {
            return address - floats[i].expected + floats[i].actual;
        }
    }
    return is_in(address, WINDOW_BASE, WINDOW_END - WINDOW_BASE) ? address + distance : address;
}

uint64_t unplace(uint64_t address)
{
    for (uint32_t i = 0; i < float_count; i++) {
        if (is_in(address, floats[i].actual, floats[i].size)) {
            return address - floats[i].actual + floats[i].expected;
        }
    }
    return is_in(address, WINDOW_BASE + distance, WINDOW_END - WINDOW_BASE) ? address - distance
                                                                            : address;
}
