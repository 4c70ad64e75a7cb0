/*
 * An owner of what a program has besides: a stack that grows, code of which some addresses may be
 * called, pages that are copied to one another, and locks of a file.
 *
 *   stack    | reserved .. | guard | words, one in each page |     a push stores into the guard
 *   code     one page; of 256 addresses a bit each
 *   pages    words that a copy takes along
 *   file     bytes from 0 on, locked by two keys of one handle
 *
 * A push whose charge is refused raises STACK_OVERFLOW and leaves no guard: that stack has all the
 * pages that it will have, and is freed some time later.
 */
#include "sim/sim.h"

#include "base/bits.h"

#include <ntmm/call_target.h>
#include <ntmm/fault.h>
#include <ntmm/file.h>
#include <ntmm/memory.h>
#include <ntmm/process.h>
#include <ntmm/query.h>
#include <ntmm/stack.h>
#include <ntmm/virtual.h>

#include <stdlib.h>
#include <string.h>

#define PAGE UINT64_C(0x1000)
#define STACK_BYTES UINT64_C(0x40000)
#define STACK_PAGES (STACK_BYTES / PAGE)
#define TARGETS 256u /* of 16 bytes */
#define COPY_PAGES 8u
#define WORDS 8u /* of a page that is copied, 512 bytes apart */
#define APART 512u
#define LOCKS 6u
#define LOCK_BYTES 16u /* locks begin and end within the first bytes */
#define TRIES 1000u

struct lock {
    uint64_t offset, length; /* length 0: none */
    uint32_t key;
    bool is_exclusive;
};

struct program {
    struct owner owner;
    uint64_t last_value;
    struct ntmm_thread_stack stack; /* stack_base 0: there is none */
    bool is_overflown;
    uint64_t lowest;             /* page of the lowest word; pages are counted from the base down */
    uint64_t words[STACK_PAGES]; /* by page, counted from the base down */
    uint64_t code;               /* its base, or 0 */
    bool is_target[TARGETS];
    uint64_t pages; /* their base, or 0 */
    uint64_t copied[COPY_PAGES][WORDS];
    ntmm_handle file; /* 0: not made yet */
    struct lock locks[LOCKS];
};

static uint64_t new_value(struct program *p) { return ++p->last_value << 8 | 0xA5; }

static void fail(struct program *p, const char *why) { sim_fail(p->owner.sim, why); }

/* One try: want is an answer. */
static bool is_given(struct program *p, ntmm_status status, enum service service)
{
    p->owner.sim->owner_steps++;
    if (status != NTMM_STATUS_SUCCESS && !compared_is_for_want(status))
        fail(p, "a program is refused something for no want");
    p->owner.sim->services[service] += status == NTMM_STATUS_SUCCESS;
    return status == NTMM_STATUS_SUCCESS;
}

static void expect(struct program *p, uint64_t va, uint64_t value, const char *why)
{
    if (owner_load(&p->owner, va) != value)
        fail(p, why);
}

static uint64_t allocate(struct program *p, uint64_t pages, uint32_t protection,
                         enum service service)
{
    uint64_t base = 0, size = pages * PAGE;
    ntmm_status status =
        ntmm_allocate_virtual_memory(p->owner.sim->system, p->owner.process, &base, 0, &size,
                                     NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, protection);
    return is_given(p, status, service) ? base : 0;
}

static void release(struct program *p, uint64_t *base)
{
    uint32_t tries = 0;
    ntmm_status status;
    do {
        uint64_t at = *base, size = 0;
        status = ntmm_free_virtual_memory(p->owner.sim->system, p->owner.process, &at, &size,
                                          NTMM_MEM_RELEASE);
    } while (owner_repeats(&p->owner, status, &tries));
    *base = 0;
}

/* --- the stack --- */

static void make_stack(struct program *p)
{
    const struct ntmm_stack_request request = {
        .reserve = STACK_BYTES, .commit_alignment = PAGE, .reserve_alignment = STACK_BYTES};
    struct ntmm_thread_stack stack;
    if (!is_given(p,
                  ntmm_create_user_stack(p->owner.sim->system, p->owner.process, &request, &stack),
                  SERVICE_STACK))
        return;
    p->stack = stack;
    p->is_overflown = false;
    p->lowest = (stack.stack_base - stack.stack_limit) / PAGE;
    memset(p->words, 0, sizeof p->words);
}

static uint64_t stack_va(const struct program *p, uint64_t page)
{
    return p->stack.stack_base - (page + 1) * PAGE;
}

static struct ntmm_memory_basic_information query(struct program *p, uint64_t va)
{
    struct ntmm_memory_basic_information found;
    uint32_t tries = 0;
    while (owner_repeats(
        &p->owner, ntmm_query_virtual_memory(p->owner.sim->system, p->owner.process, va, &found),
        &tries)) {
    }
    return found;
}

/* One page below what is accessible is the guard, and below that is nothing. */
static void expect_guard(struct program *p)
{
    uint64_t guard = p->stack.stack_limit - PAGE, lowest = p->stack.deallocation_stack;
    if (query(p, guard).protect != (NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD))
        fail(p, "the guard of a stack is not the page below it");
    struct ntmm_memory_basic_information rest = query(p, lowest);
    if (rest.state != NTMM_MEM_RESERVE || rest.region_size != guard - lowest)
        fail(p, "a stack has committed more than its guard");
}

/* The next page below: its guard becomes a page, and the page below that the guard. */
static void push(struct program *p)
{
    struct sim *sim = p->owner.sim;
    uint64_t va = stack_va(p, p->lowest), value = new_value(p);
    uint32_t tries = 0;
    ntmm_status status;
    le64 word;
    set64(&word, value);
    do {
        status =
            ntmm_emulated_store(sim->emu, p->owner.cpu, va, &word, sizeof word, &p->stack, NULL);
        p->is_overflown = status == NTMM_STATUS_STACK_OVERFLOW;
    } while (!p->is_overflown && owner_repeats(&p->owner, status, &tries));
    if (p->is_overflown)
        return;
    if (p->stack.stack_limit != va)
        fail(p, "a stack has grown by another page than its guard");
    expect_guard(p);
    p->words[p->lowest++] = value;
    sim->services[SERVICE_STACK_GROWTH]++;
}

static void run_stack(struct program *p, uint64_t draw)
{
    uint64_t page = (draw >> 8) % p->lowest;
    switch (draw >> 32 & 15) {
    case 0: {
        uint32_t tries = 0;
        while (owner_repeats(
            &p->owner, ntmm_free_user_stack(p->owner.sim->system, p->owner.process, &p->stack),
            &tries)) {
        }
        p->stack.stack_base = 0;
        break;
    }
    case 1:
    case 2:
    case 3:
    case 4:
        if (!p->is_overflown && p->lowest < STACK_PAGES - 1)
            push(p);
        break;
    case 5:
    case 6:
        p->words[page] = new_value(p);
        owner_store(&p->owner, stack_va(p, page), p->words[page]);
        break;
    default:
        expect(p, stack_va(p, page), p->words[page], "a stack has lost a word");
        break;
    }
}

/* --- call targets --- */

static void make_code(struct program *p)
{
    p->code = allocate(p, 1, NTMM_PAGE_EXECUTE_READ, SERVICE_CODE);
    for (uint32_t i = 0; i < TARGETS; i++)
        p->is_target[i] = true;
}

static void expect_target(struct program *p, uint32_t target)
{
    struct ntmm_call_target found;
    p->owner.sim->owner_steps++;
    if (ntmm_query_call_target(p->owner.sim->system, p->owner.process, p->code + target * 16,
                               &found) != NTMM_STATUS_SUCCESS ||
        found.is_valid != p->is_target[target])
        fail(p, "an address may be called, or not, as nobody said");
}

static void set_target(struct program *p, uint32_t target, bool is_valid)
{
    struct ntmm_memory_range_entry range = {p->code, PAGE};
    uint32_t tries = 0, processed;
    ntmm_status status;
    do {
        struct ntmm_cfg_call_target what = {(uint64_t)target * 16,
                                            is_valid ? NTMM_CFG_CALL_TARGET_VALID : 0};
        struct ntmm_cfg_call_target_list list = {
            .count = 1, .processed = &processed, .targets = &what};
        status = ntmm_set_information_virtual_memory(p->owner.sim->system, p->owner.process,
                                                     NTMM_VM_CFG_CALL_TARGET_INFORMATION, 1, &range,
                                                     &list, sizeof list);
    } while (owner_repeats(&p->owner, status, &tries));
    p->is_target[target] = is_valid;
    p->owner.sim->services[SERVICE_CALL_TARGET]++;
}

static void run_code(struct program *p, uint64_t draw)
{
    uint32_t target = (uint32_t)(draw >> 8) % TARGETS;
    switch (draw >> 32 & 15) {
    case 0:
        release(p, &p->code);
        break;
    case 1:
    case 2:
    case 3:
    case 4:
        set_target(p, target, draw >> 40 & 1);
        break;
    default:
        expect_target(p, target);
        break;
    }
}

/* --- pages that are copied --- */

static void make_pages(struct program *p)
{
    p->pages = allocate(p, COPY_PAGES, NTMM_PAGE_READWRITE, SERVICE_COPY_PAGES);
    memset(p->copied, 0, sizeof p->copied);
}

/* Words from one on, to the same places of another page; what comes short is done again. */
static void copy(struct program *p, uint32_t from, uint32_t to, uint32_t word)
{
    struct sim *sim = p->owner.sim;
    uint64_t offset = (uint64_t)word * APART, moved;
    uint32_t tries = 0;
    ntmm_status status;
    do {
        status = ntmm_copy_virtual_memory(sim->system, p->owner.process,
                                          p->pages + from * PAGE + offset, p->owner.process,
                                          p->pages + to * PAGE + offset, PAGE - offset, &moved);
        if (status == NTMM_STATUS_PARTIAL_COPY)
            status = NTMM_STATUS_NO_MEMORY;
    } while (owner_repeats(&p->owner, status, &tries));
    if (moved != PAGE - offset)
        fail(p, "a copy says that it moved another size");
    memcpy(&p->copied[to][word], &p->copied[from][word],
           (WORDS - word) * sizeof p->copied[to][word]);
    sim->services[SERVICE_COPY]++;
}

static void run_pages(struct program *p, uint64_t draw)
{
    uint32_t page = (uint32_t)(draw >> 8) % COPY_PAGES, word = (uint32_t)(draw >> 16) % WORDS;
    uint32_t other = (page + 1 + (uint32_t)(draw >> 24) % (COPY_PAGES - 1)) % COPY_PAGES;
    uint64_t va = p->pages + page * PAGE + (uint64_t)word * APART;
    switch (draw >> 32 & 15) {
    case 0:
        release(p, &p->pages);
        break;
    case 1:
    case 2:
    case 3:
        copy(p, page, other, draw >> 40 & 1 ? 0 : word);
        break;
    case 4:
    case 5:
    case 6:
        p->copied[page][word] = new_value(p);
        owner_store(&p->owner, va, p->copied[page][word]);
        break;
    default:
        expect(p, va, p->copied[page][word], "a copied page has lost a word");
        break;
    }
}

/* --- locks of a file --- */

static void open_file(struct program *p)
{
    struct sim *sim = p->owner.sim;
    struct ntmm_emulated_file_config device = {
        .size = sizeof device,
        .version = NTMM_EMULATED_FILE_VERSION,
        .size_bytes = LOCK_BYTES,
        .maximum_latency_pumps = sim->shape.latency_pumps,
    };
    struct ntmm_file_config file = {
        .size = sizeof file,
        .version = NTMM_FILE_CONFIG_VERSION,
        .size_bytes = LOCK_BYTES,
        .valid_bytes = LOCK_BYTES,
    };
    uint32_t tries = 0;
    if (ntmm_emulated_add_file(sim->emu, &device, &file.device, NULL) != NTMM_STATUS_SUCCESS)
        fail(p, "no file to lock");
    while (owner_repeats(
        &p->owner, ntmm_create_file(sim->system, &file, NTMM_FILE_READ_DATA, &p->file), &tries)) {
    }
}

static bool do_meet(const struct lock *a, const struct lock *b)
{
    return a->length != 0 && b->length != 0 && a->offset < b->offset + b->length &&
           b->offset < a->offset + a->length;
}

/* What ntmm/file.h says: an exclusive lock where there is no other, a shared one where there is no
 * exclusive one but of the same key. */
static bool is_granted(const struct program *p, const struct lock *wanted)
{
    for (uint32_t i = 0; i < LOCKS; i++) {
        const struct lock *other = &p->locks[i];
        bool is_in_the_way =
            wanted->is_exclusive || (other->is_exclusive && other->key != wanted->key);
        if (is_in_the_way && do_meet(other, wanted))
            return false;
    }
    return true;
}

static void lock(struct program *p, struct lock *place, const struct lock *wanted)
{
    uint32_t flags = NTMM_LOCK_FAIL_IMMEDIATELY | (wanted->is_exclusive ? NTMM_LOCK_EXCLUSIVE : 0);
    bool is_expected = is_granted(p, wanted);
    uint32_t tries = 0;
    ntmm_status status;
    do {
        status = ntmm_lock_file(p->owner.sim->system, p->file, wanted->offset, wanted->length,
                                wanted->key, flags);
    } while (status != NTMM_STATUS_LOCK_NOT_GRANTED && owner_repeats(&p->owner, status, &tries));
    if ((status == NTMM_STATUS_SUCCESS) != is_expected)
        fail(p, "a lock of a file is granted, or not, against its rules");
    if (is_expected)
        *place = *wanted;
    p->owner.sim->services[SERVICE_FILE_LOCK] += is_expected;
}

/* Of an exclusive and a shared lock of the same bytes and key the exclusive one goes first. */
static struct lock *first_of_same(struct program *p, struct lock *held)
{
    for (uint32_t i = 0; i < LOCKS; i++) {
        struct lock *other = &p->locks[i];
        if (other->is_exclusive && other->offset == held->offset && other->length == held->length &&
            other->key == held->key)
            return other;
    }
    return held;
}

static void unlock(struct program *p, struct lock *held)
{
    struct lock *goes = first_of_same(p, held);
    p->owner.sim->owner_steps++;
    if (ntmm_unlock_file(p->owner.sim->system, p->file, held->offset, held->length, held->key) !=
        NTMM_STATUS_SUCCESS)
        fail(p, "a lock of a file is not there");
    goes->length = 0;
}

/* Reads have the key 0: an exclusive lock of another one is in their way. */
static void read_locked(struct program *p, const struct lock *range)
{
    uint8_t bytes[LOCK_BYTES];
    uint64_t moved;
    bool is_expected = true;
    uint32_t tries = 0;
    ntmm_status status;
    for (uint32_t i = 0; i < LOCKS; i++)
        is_expected &=
            !(p->locks[i].is_exclusive && p->locks[i].key != 0 && do_meet(&p->locks[i], range));
    do {
        status = ntmm_read_file(p->owner.sim->system, p->file, range->offset, bytes, range->length,
                                &moved);
    } while (status != NTMM_STATUS_FILE_LOCK_CONFLICT && owner_repeats(&p->owner, status, &tries));
    if ((status == NTMM_STATUS_SUCCESS) != is_expected)
        fail(p, "a lock of a file lets a read pass, or not, against its rules");
}

static void run_locks(struct program *p, uint64_t draw)
{
    struct lock wanted = {
        .offset = (draw >> 8) % LOCK_BYTES, .key = draw >> 24 & 1, .is_exclusive = draw >> 25 & 1};
    struct lock *place = &p->locks[(uint32_t)(draw >> 40) % LOCKS];
    wanted.length = 1 + (draw >> 16) % (LOCK_BYTES - wanted.offset);
    if (draw >> 32 & 1)
        read_locked(p, &wanted);
    else if (place->length != 0)
        unlock(p, place);
    else
        lock(p, place, &wanted);
}

/* --- the owner --- */

static void run_record(struct owner *owner, uint64_t *state)
{
    struct program *p = (struct program *)owner;
    uint64_t draw = splitmix64(state);
    switch (draw & 3) {
    case 0:
        p->stack.stack_base != 0 ? run_stack(p, draw) : make_stack(p);
        break;
    case 1:
        p->code != 0 ? run_code(p, draw) : make_code(p);
        break;
    case 2:
        p->pages != 0 ? run_pages(p, draw) : make_pages(p);
        break;
    default:
        p->file != 0 ? run_locks(p, draw) : open_file(p);
        break;
    }
}

static void check(struct owner *owner)
{
    struct program *p = (struct program *)owner;
    for (uint64_t i = 0; p->stack.stack_base != 0 && i < p->lowest; i++)
        expect(p, stack_va(p, i), p->words[i], "a stack has lost a word");
    for (uint32_t i = 0; p->code != 0 && i < TARGETS; i++)
        expect_target(p, i);
    for (uint32_t i = 0; p->pages != 0 && i < COPY_PAGES * WORDS; i++)
        expect(p, p->pages + i / WORDS * PAGE + (uint64_t)(i % WORDS) * APART,
               p->copied[i / WORDS][i % WORDS], "a copied page has lost a word");
}

static void end(struct owner *owner)
{
    struct program *p = (struct program *)owner;
    if (p->file != 0 && ntmm_close_file(owner->sim->system, p->file) != NTMM_STATUS_SUCCESS)
        fail(p, "a locked file is not closed");
}

struct owner *program_make(void)
{
    struct program *p = calloc(1, sizeof *p);
    if (p == NULL)
        abort();
    p->owner.process_flags = NTMM_PROCESS_CONTROL_FLOW_GUARD;
    p->owner.run_record = run_record;
    p->owner.check = check;
    p->owner.end = end;
    return &p->owner;
}
