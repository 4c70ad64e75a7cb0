/*
 * A record is: verb, who, address (selector and two operands), size (selector and operand), type,
 * protection, zero bits, which pointers are NULL, data. Every byte string decodes to something.
 */
#include "model/section_operation.h"

#include <string.h>

#define OLD_UNTOUCHED 0xA5A5A5A5u
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static uint64_t mix(uint64_t value)
{
    value = (value + 1) * 0x9E3779B97F4A7C15ull;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ull;
    return value ^ (value >> 27);
}

/* Half of all addresses are exact. */
static const uint64_t DELTAS[] = {
    1,
    2,
    0xFFF,
    0x1000,
    0x1001,
    0x8123,
    0x10000,
    0xFFFF,
    0x200000,
    (uint64_t)-1,
    (uint64_t)-2,
    (uint64_t)-7,
    (uint64_t)-63,
    (uint64_t)-0x1000,
    (uint64_t)-0x1001,
    (uint64_t)-0x10000,
};

static const uint64_t EDGES[] = {
    0x1000,
    0xF000,
    LOWEST_USER_ADDRESS,
    0x200000,
    0x40000000,
    0x7FFE0000,
    0x80000000,
    0x100000000,
    0x8000000000,
    0x400000000000,
    HIGHEST_VAD_ADDRESS + 1 - 0x10000,
    HIGHEST_VAD_ADDRESS + 1,
    USER_PROBE_ADDRESS - 0x1000,
    USER_PROBE_ADDRESS,
    0x800000000000,
    0xFFFF7FFFFFFFF000,
    SYSTEM_RANGE_START,
    0xFFFFFFFFFFFFF000,
};

enum place {
    AT_NOWHERE,
    AT_BASE,
    AT_PAGE,
    AT_COMMITTED,
    AT_FRACTION,
    AT_END,
    AT_LAST, /* where the operation before aimed */
    AT_EDGE,
    AT_ANY,
    AT_LOW,
};

/* Where operations of a kind aim. */
static const enum place ALLOCATE_PLACES[] = {AT_NOWHERE, AT_NOWHERE, AT_PAGE, AT_LAST,
                                             AT_END,     AT_EDGE,    AT_LOW,  AT_LOW};
static const enum place RANGE_PLACES[] = {AT_LAST,     AT_LAST, AT_PAGE, AT_COMMITTED,
                                          AT_FRACTION, AT_END,  AT_EDGE, AT_BASE};
static const enum place ACCESS_PLACES[] = {AT_COMMITTED, AT_COMMITTED, AT_LAST, AT_LAST,
                                           AT_LAST,      AT_PAGE,      AT_END,  AT_EDGE};

static enum place place_of(enum verb verb, uint8_t selector)
{
    if (verb <= VERB_ALLOCATE_EX) {
        return ALLOCATE_PLACES[selector % COUNT_OF(ALLOCATE_PLACES)];
    }
    return verb >= VERB_READ ? ACCESS_PLACES[selector % COUNT_OF(ACCESS_PLACES)]
                             : RANGE_PLACES[selector % COUNT_OF(RANGE_PLACES)];
}

/* An address of a region, or one that depends on nothing but the operands. */
static uint64_t address_at(const struct model_region *region, enum place place, uint8_t a,
                           uint8_t b, uint64_t last)
{
    uint64_t pages = region ? (region->end - region->base) / MODEL_PAGE_SIZE : 0;

    switch (region || place >= AT_LAST || place == AT_NOWHERE ? place : AT_LOW) {
    case AT_NOWHERE:
        return 0;
    case AT_BASE:
        return region->base;
    case AT_COMMITTED:
        if (region->page_count) {
            return region->pages[b % region->page_count].number * MODEL_PAGE_SIZE;
        }
        return region->base;
    case AT_PAGE:
        return region->base + b % (pages < 64 ? pages : 64) * MODEL_PAGE_SIZE;
    case AT_FRACTION:
        return region->base + pages * b / 256 * MODEL_PAGE_SIZE;
    case AT_END:
        return region->end;
    case AT_LAST:
        return last;
    case AT_EDGE:
        if (b % 2) {
            return EDGES[a % COUNT_OF(EDGES)];
        }
        return address_at(NULL, AT_ANY, a, b, last);
    case AT_ANY:
        return b < 32 ? mix(a * 256u + b) : mix(a * 256u + b) & HIGHEST_USER_ADDRESS;
    case AT_LOW:
        return 0x50000000 + (a % 16u) * 0x40000ull + (b % 32u) * 0x1000ull;
    }
    return 0;
}

static uint64_t decode_address(const struct model_process *model, enum verb verb,
                               const uint8_t *record, uint64_t last)
{
    uint8_t a = record[3];
    uint8_t b = record[4];
    uint8_t delta = record[2] >> 3;
    enum place place = place_of(verb, record[2]);
    const struct model_region *region =
        model->region_count ? &model->regions[a % model->region_count] : NULL;
    uint64_t address = address_at(region, place, a, b, last);

    if (delta < COUNT_OF(DELTAS) || place == AT_NOWHERE) {
        return verb >= VERB_READ ? address + record[8] * 16u : address;
    }
    return address + DELTAS[delta - COUNT_OF(DELTAS)];
}

static uint64_t decode_size(const struct model_process *model, const uint8_t *record)
{
    static const uint64_t SIZES[] = {
        0,
        1,
        OPERATION_HUGE_BYTES,
        OPERATION_HUGE_BYTES - 1,
        HIGHEST_VAD_ADDRESS - 0xFFFF,
        UINT64_MAX,
        (uint64_t)-0x1000,
        0x200000,
        0x201000,
        0x3FF000,
        0x400000,
        HIGHEST_USER_ADDRESS,
    };
    static const uint64_t TRIMS[] = {0, 0, 1, (uint64_t)-1};
    uint64_t trim = TRIMS[(record[5] >> 3) % COUNT_OF(TRIMS)];
    uint8_t a = record[6];

    switch (record[5] % 8) {
    case 0:
    case 1:
    case 2:
        return (a % 16u + 1) * 0x1000ull + trim;
    case 3:
        return (a + 1u) * 0x1000ull + trim;
    case 4:
        return a;
    case 5:
        return (a % 4u + 1) * 0x10000ull + trim;
    case 6:
        if (model->region_count) {
            const struct model_region *region = &model->regions[a % model->region_count];

            return region->end - region->base + trim;
        }
        return 0x10000;
    default:
        return SIZES[a % COUNT_OF(SIZES)] + trim;
    }
}

static uint32_t decode_type(enum verb verb, const uint8_t *record)
{
    static const uint32_t FREE_TYPES[] = {MEM_RELEASE,
                                          MEM_DECOMMIT,
                                          MEM_RELEASE,
                                          MEM_DECOMMIT,
                                          MEM_RELEASE,
                                          MEM_DECOMMIT,
                                          MEM_RELEASE | MEM_PRESERVE_PLACEHOLDER,
                                          MEM_RELEASE | MEM_COALESCE_PLACEHOLDERS};
    static const uint32_t TYPES[] = {
        MEM_RESET,  MEM_RESET_UNDO,           MEM_RESERVE,
        MEM_COMMIT, MEM_RESERVE | MEM_COMMIT, MEM_RESERVE | MEM_TOP_DOWN,
        MEM_COMMIT, MEM_RESERVE | MEM_COMMIT, MEM_RESERVE | MEM_COMMIT | MEM_TOP_DOWN,
    };
    static const uint32_t LOCKS[] = {MAP_PROCESS, MAP_PROCESS, MAP_PROCESS | MAP_SYSTEM,
                                     MAP_SYSTEM};
    uint8_t a = record[7];

    if (a >= 0xF4) {
        return (uint32_t)mix(a * 256u + record[11]) & (a & 1 ? 0x217C7000u : UINT32_MAX);
    }
    if (verb == VERB_LOCK || verb == VERB_UNLOCK) {
        return LOCKS[a % COUNT_OF(LOCKS)];
    }
    if (verb == VERB_FREE) {
        return FREE_TYPES[a % COUNT_OF(FREE_TYPES)];
    }
    return TYPES[a % COUNT_OF(TYPES)];
}

static uint32_t decode_protect(const uint8_t *record)
{
    static const uint32_t BASES[] = {
        PAGE_READWRITE, PAGE_READONLY,     PAGE_NOACCESS,          PAGE_EXECUTE,
        PAGE_READWRITE, PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE, PAGE_READWRITE,
    };
    static const uint32_t MODIFIERS[] = {
        0, 0, 0, 0, 0, PAGE_GUARD, PAGE_NOCACHE, PAGE_WRITECOMBINE,
    };
    uint8_t a = record[8];

    if (a >= 0xF4) {
        return (uint32_t)mix(a * 256u + record[11]) & (a & 1 ? 0x7FFu : UINT32_MAX);
    }
    return BASES[a % 8] | MODIFIERS[a / 8 % 8];
}

static uint64_t decode_zero_bits(const uint8_t *record)
{
    static const uint64_t VALUES[] = {
        1,
        2,
        12,
        14,
        15,
        16,
        21,
        22,
        31,
        32,
        63,
        0xFFFF,
        0x10000,
        0x1AAAAAAA,
        0x7FFFFFFF,
        0xFFFFFFFF,
        0x7FFFFFFFFFFF,
        UINT64_MAX,
    };

    return record[9] < 192 ? 0 : VALUES[record[9] % COUNT_OF(VALUES)];
}

/* The n-th region that is a placeholder, or that replaced one; NULL: there is none. */
static const struct model_region *find_region(const struct model_process *model, uint8_t n,
                                              bool is_replaced)
{
    for (size_t i = 0; i < model->region_count; i++) {
        const struct model_region *region = &model->regions[(n + i) % model->region_count];

        if (is_replaced ? region->is_replaced : region->is_placeholder) {
            return region;
        }
    }
    return NULL;
}

/* What an extended allocation has beside the plain one: half are made over placeholders. */
static void decode_extended(const struct model_process *model, const uint8_t *record,
                            struct operation *operation)
{
    static const uint64_t ALIGNMENTS[] = {0, 0x10000, 0x20000, 0x200000, 0x40000000, 0x8000};
    const struct model_region *region = find_region(model, record[3], false);
    uint8_t kind = record[7] % 8;

    if (kind < 2 || (kind < 4 && !region)) {
        operation->type = MEM_RESERVE | MEM_RESERVE_PLACEHOLDER;
        operation->protect = PAGE_NOACCESS;
    } else if (kind < 4) {
        bool is_small = region->end - region->base <= OPERATION_LARGEST_COMMIT_BYTES;

        operation->type = MEM_RESERVE | MEM_REPLACE_PLACEHOLDER;
        operation->type |= is_small && record[9] % 4 ? MEM_COMMIT : 0;
        operation->type |= record[9] % 8 == 7 ? MEM_WRITE_WATCH : 0;
        operation->base = region->base;
        operation->size = region->end - region->base;
    } else if (kind == 4) {
        operation->base = 0;
        operation->type |= MEM_RESERVE;
        operation->parameter_count = 1;
        operation->parameter.type = PARAMETER_REQUIREMENTS;
        operation->parameter.value = record[4] % 4 ? (record[3] % 64u) * 0x100000ull : 0;
        operation->parameter.highest =
            record[4] % 3 ? 0x1000000ull + record[4] * 0x801000ull - 1 : 0;
        operation->parameter.alignment = ALIGNMENTS[record[9] % COUNT_OF(ALIGNMENTS)];
    }
}

/* Most frees for placeholders name some. */
static void aim_free(const struct model_process *model, const uint8_t *record,
                     struct operation *operation)
{
    bool is_coalescing = (operation->type & MEM_COALESCE_PLACEHOLDERS) != 0;
    bool is_reverting = !is_coalescing && record[9] % 3 == 0;
    const struct model_region *region = find_region(model, record[3], is_reverting);
    uint64_t end;

    if (!region || record[9] % 8 == 7) {
        return;
    }
    operation->base = region->base;
    end = region->end;
    if (is_coalescing) {
        const struct model_region *past = model->regions + model->region_count;

        while (++region < past && region->is_placeholder && region->base == end) {
            end = region->end;
        }
    } else if (!is_reverting) {
        uint64_t pages = (end - operation->base) / MODEL_PAGE_SIZE;

        operation->base += pages * record[4] / 256 * MODEL_PAGE_SIZE;
        end -= pages * record[6] / 1024 * MODEL_PAGE_SIZE;
        end = end > operation->base ? end : operation->base + MODEL_PAGE_SIZE;
    }
    operation->size = end - operation->base;
}

static bool is_copy(const struct operation *operation)
{
    return operation->verb == VERB_READ_MEMORY || operation->verb == VERB_WRITE_MEMORY;
}

static bool is_lock(const struct operation *operation)
{
    return operation->verb == VERB_LOCK || operation->verb == VERB_UNLOCK;
}

static bool gives_up_contents(const struct operation *operation)
{
    return (operation->verb >= VERB_OFFER && operation->verb <= VERB_DISCARD) ||
           (operation->verb == VERB_ALLOCATE &&
            (operation->type == MEM_RESET || operation->type == MEM_RESET_UNDO));
}

/* One to four pages of few, so that an undo often meets what was given up. */
static void aim_at_committed(const struct model_process *model, const uint8_t *record,
                             struct operation *operation)
{
    operation->base &= ~(uint64_t)(MODEL_PAGE_SIZE - 1);
    operation->size = (record[6] % 4u + 1) * MODEL_PAGE_SIZE;
    for (size_t i = 0; i < model->region_count; i++) {
        size_t nth = (record[3] / 64u + i) % model->region_count;
        const struct model_region *region = &model->regions[nth];
        size_t at = record[4] % 3u;
        size_t to = at + 1;

        if (at >= region->page_count) {
            continue;
        }
        while (to < region->page_count && to - at <= record[6] % 4u &&
               region->pages[to].number == region->pages[to - 1].number + 1) {
            to++;
        }
        operation->base = region->pages[at].number * MODEL_PAGE_SIZE;
        operation->size = (to - at) * MODEL_PAGE_SIZE;
        return;
    }
}

static void aim(const struct model_process *model, const uint8_t *record,
                struct operation *operation)
{
    if (operation->verb == VERB_ALLOCATE_EX && record[7] < 0xF4) {
        decode_extended(model, record, operation);
    }
    if (operation->verb == VERB_FREE &&
        (operation->type & (MEM_PRESERVE_PLACEHOLDER | MEM_COALESCE_PLACEHOLDERS))) {
        aim_free(model, record, operation);
    }
    if ((gives_up_contents(operation) || is_lock(operation)) && record[9] % 8) {
        aim_at_committed(model, record, operation);
    }
}

/* Keeps commits and accesses to what RAM can hold. Whether it holds runs for large pages nobody can
 * tell by looking at pages. */
static void tame(struct operation *operation)
{
    const uint32_t large = MEM_LARGE_PAGES | MEM_RESERVE | MEM_COMMIT;

    if (!is_lock(operation) && (operation->type & large) == large) {
        operation->type &= ~MEM_LARGE_PAGES;
    }
    if (operation->verb <= VERB_ALLOCATE_EX && (operation->type & MEM_COMMIT) &&
        operation->size > OPERATION_LARGEST_COMMIT_BYTES &&
        operation->size < OPERATION_HUGE_BYTES) {
        operation->size %= OPERATION_LARGEST_COMMIT_BYTES;
    }
    if ((operation->verb >= VERB_READ && operation->verb <= VERB_EXECUTE) || is_copy(operation)) {
        operation->size = operation->size % OPERATION_ACCESS_LIMIT + 1;
    }
    if (operation->verb == VERB_DOOR) {
        operation->size = 1;
    }
}

void operation_decode(const struct model_process models[WHO_COUNT],
                      const uint8_t record[OPERATION_RECORD_SIZE], struct operation *operation)
{
    uint64_t last = operation->base;
    static const enum verb VERBS[] = {
        VERB_ALLOCATE, VERB_ALLOCATE, VERB_ALLOCATE,    VERB_ALLOCATE,    VERB_FREE,
        VERB_FREE,     VERB_PROTECT,  VERB_PROTECT,     VERB_QUERY,       VERB_READ,
        VERB_READ,     VERB_WRITE,    VERB_WRITE,       VERB_WRITE,       VERB_EXECUTE,
        VERB_DOOR,     VERB_FREE,     VERB_ALLOCATE_EX, VERB_ALLOCATE_EX, VERB_OFFER,
        VERB_RECLAIM,  VERB_DISCARD,  VERB_ALLOCATE,    VERB_ALLOCATE_EX,
    };
    static const enum verb OUTSIDE[] = {
        VERB_READ_MEMORY, VERB_WRITE_MEMORY, VERB_LOCK, VERB_UNLOCK, VERB_ALLOCATE,
    };
    static const enum model_access ACCESSES[] = {MODEL_READ, MODEL_WRITE, MODEL_EXECUTE};
    const struct model_process *model;

    memset(operation, 0, sizeof(*operation));
    operation->verb = record[0] < 240 ? VERBS[record[0] % COUNT_OF(VERBS)] : VERB_ALLOCATE;
    if (record[0] >= 240 && record[0] < SECTION_OPERATION_FIRST) {
        operation->verb = OUTSIDE[(record[0] - 240u) % COUNT_OF(OUTSIDE)];
    }
    operation->verb = record[0] == 254 ? VERB_RESTART : operation->verb;
    operation->verb = record[0] == 255 ? VERB_ZERO_PAGES : operation->verb;
    operation->who =
        record[1] < 248 ? (enum who)(record[1] % WHO_LIVING) : (enum who)(WHO_NULL + record[1] % 3);
    if (operation->verb >= VERB_READ && operation->who >= WHO_LIVING) {
        operation->who = WHO_LIVE;
    }
    operation->cpu = record[1] >> 2 & 1;
    model = &models[operation->who < WHO_LIVING ? operation->who : WHO_LIVE];
    operation->base = decode_address(model, operation->verb, record, last);
    operation->size = decode_size(model, record);
    operation->type = decode_type(operation->verb, record);
    operation->protect = decode_protect(record);
    operation->zero_bits = decode_zero_bits(record);
    operation->priority = record[8] % 4u + 1 + (record[8] >= 0xF8 ? 4u : 0);
    aim(model, record, operation);
    operation->is_base_null = record[10] == 255 && operation->verb <= VERB_QUERY;
    operation->is_size_null = record[10] == 254 && operation->verb <= VERB_PROTECT;
    operation->is_old_null = record[10] == 253;
    if (operation->verb >= VERB_READ && operation->verb <= VERB_DOOR) {
        operation->access =
            ACCESSES[operation->verb == VERB_DOOR ? record[10] % 3 : operation->verb - VERB_READ];
    }
    for (uint32_t i = 0; i < OPERATION_ACCESS_LIMIT; i++) {
        operation->bytes[i] = (uint8_t)(record[11] + i * 7);
    }
    tame(operation);
    if (record[0] >= SECTION_OPERATION_FIRST && record[0] <= SECTION_OPERATION_LAST) {
        section_operation_decode(model, record, operation);
    }
}

void operation_prepare(const struct operation *operation, struct outcome *outcome)
{
    memset(outcome, 0, sizeof(*outcome));
    outcome->old = OLD_UNTOUCHED;
    outcome->base = operation->base;
    outcome->size = operation->size;
    outcome->offset = operation->offset;
    if (operation->verb == VERB_WRITE_MEMORY) {
        memset(outcome->bytes, operation->bytes[0], OPERATION_ACCESS_LIMIT);
    }
    if (operation->verb == VERB_WRITE || operation->verb == VERB_WRITE_FILE) {
        memcpy(outcome->bytes, operation->bytes, OPERATION_ACCESS_LIMIT);
    }
}

/* Bounds and limits stay. */
static void restart(struct model_process *model)
{
    struct model_process kept = *model;

    model_process_end(model);
    model_process_begin(model, kept.system);
    model->bottom_up_start = kept.bottom_up_start;
    model->highest_address = kept.highest_address;
    model->commit_limit_pages = kept.commit_limit_pages;
}

static bool is_undo(const struct operation *operation)
{
    return operation->verb == VERB_RECLAIM ||
           (operation->verb <= VERB_ALLOCATE_EX && operation->type == MEM_RESET_UNDO);
}

/* What else may come of it where contents were given up. */
static void allow(struct model_process *model, const struct operation *operation,
                  struct outcome *outcome)
{
    bool is_read = operation->verb == VERB_READ || operation->verb == VERB_EXECUTE ||
                   operation->verb == VERB_READ_MEMORY;

    if (outcome->status != NTMM_STATUS_SUCCESS) {
        return;
    }
    if (is_undo(operation) && model_may_be_lost(model, operation->base, operation->size)) {
        outcome->or_status = NTMM_STATUS_UNSUCCESSFUL;
    }
    for (uint32_t i = 0; is_read && i < operation->size; i++) {
        outcome->or_zero |= (uint64_t)model_is_loose(model, operation->base + i) << i;
    }
}

static uint32_t run_offer(struct model_process *model, const struct operation *operation)
{
    if (operation->verb == VERB_OFFER) {
        return model_offer(model, operation->base, operation->size, operation->priority);
    }
    return operation->verb == VERB_RECLAIM ? model_reclaim(model, operation->base, operation->size)
                                           : model_discard(model, operation->base, operation->size);
}

static void run_copy(struct model_process *model, const struct operation *operation,
                     struct outcome *outcome)
{
    outcome->status =
        (operation->verb == VERB_READ_MEMORY ? model_read_memory : model_write_memory)(
            model, operation->base, outcome->bytes, operation->size, &outcome->size);
}

static void run_access(struct model_process *model, const struct operation *operation,
                       struct outcome *outcome)
{
    bool is_door = operation->verb == VERB_DOOR;

    outcome->status =
        model_access(model, operation->base, is_door ? 1 : (uint32_t)operation->size,
                     operation->access, is_door ? NULL : outcome->bytes, &outcome->fault);
}

void operation_run_model(struct model_process models[WHO_COUNT], const struct operation *operation,
                         struct outcome *outcome)
{
    struct model_process *model = &models[operation->who];
    uint64_t *base = operation->is_base_null ? NULL : &outcome->base;
    uint64_t *size = operation->is_size_null ? NULL : &outcome->size;

    if (section_operation_is(operation)) {
        section_operation_run(model, operation, outcome);
        return;
    }
    switch (operation->verb) {
    case VERB_ALLOCATE:
        outcome->status = model_allocate(model, base, operation->zero_bits, size, operation->type,
                                         operation->protect);
        break;
    case VERB_ALLOCATE_EX:
        outcome->status = model_allocate_ex(model, base, size, operation->type, operation->protect,
                                            &operation->parameter, operation->parameter_count);
        break;
    case VERB_OFFER:
    case VERB_RECLAIM:
    case VERB_DISCARD:
        outcome->status = run_offer(model, operation);
        break;
    case VERB_FREE:
        outcome->status = model_free(model, base, size, operation->type);
        break;
    case VERB_PROTECT:
        outcome->status = model_protect(model, base, size, operation->protect,
                                        operation->is_old_null ? NULL : &outcome->old);
        break;
    case VERB_QUERY:
        outcome->status = model_query(model, operation->base, base ? &outcome->memory : NULL);
        break;
    case VERB_READ_MEMORY:
    case VERB_WRITE_MEMORY:
        run_copy(model, operation, outcome);
        break;
    case VERB_LOCK:
        outcome->status = model_lock(model, base, size, operation->type);
        break;
    case VERB_UNLOCK:
        outcome->status = model_unlock(model, base, size, operation->type);
        break;
    case VERB_READ:
    case VERB_WRITE:
    case VERB_EXECUTE:
    case VERB_DOOR:
        run_access(model, operation, outcome);
        break;
    case VERB_RESTART:
        restart(model);
        break;
    default:
        break;
    }
    allow(model, operation, outcome);
}

bool operation_agrees(const struct operation *operation, const struct outcome *expected,
                      const struct outcome *found)
{
    struct outcome allowed = *expected;

    allowed.or_status = found->or_status;
    allowed.or_zero = found->or_zero;
    if (expected->or_status && found->status == expected->or_status) {
        allowed.status = found->status;
        allowed.base = operation->base;
        allowed.size = operation->size;
    }
    for (uint32_t i = 0; i < OPERATION_ACCESS_LIMIT; i++) {
        if (expected->or_zero >> i & 1 && !found->bytes[i]) {
            allowed.bytes[i] = 0;
        }
    }
    return !memcmp(&allowed, found, sizeof(allowed));
}

void operation_learn(struct model_process models[WHO_COUNT], const struct operation *operation,
                     const struct outcome *found)
{
    bool is_lost = found->status == NTMM_STATUS_UNSUCCESSFUL;

    if (is_undo(operation) && (is_lost || found->status == NTMM_STATUS_SUCCESS)) {
        model_settle(&models[operation->who], operation->base, operation->size, is_lost);
    }
}
