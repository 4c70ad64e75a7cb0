/*
 * The calls that change an address space: allocate, free, protect, offers, write watch, stacks.
 */
#include "calls/world.h"

#include <string.h>

/* In and out values of a call, and what stood there before. */
struct in_out {
    uint64_t base;
    uint64_t size;
    uint64_t base_before;
    uint64_t size_before;
    uint64_t *base_pointer;
    uint64_t *size_pointer;
};

static void take_in_out(struct world *w, struct in_out *in)
{
    uint8_t null = take8(w);

    in->base = in->base_before = take_address(w);
    in->size = in->size_before = take_size(w);
    in->base_pointer = null == 254 ? NULL : &in->base;
    in->size_pointer = null == 255 ? NULL : &in->size;
}

static void judge_in_out(struct world *w, const struct in_out *in, ntmm_status status)
{
    if (is_failure(status)) {
        must(w, in->base == in->base_before && in->size == in->size_before,
             "a failed call wrote base or size");
    }
}

static void allocate(struct world *w)
{
    struct in_out in;
    ntmm_handle process = take_handle(w);
    uint32_t type = take_type(w);
    uint32_t protect = take_protect(w);
    uint64_t zero_bits = take_zero_bits(w);
    ntmm_status status;

    take_in_out(w, &in);
    status = CALL(w, allocate_virtual_memory, w->system, process, in.base_pointer, zero_bits,
                  in.size_pointer, type, protect);
    judge_in_out(w, &in, status);
    if (status == NTMM_STATUS_SUCCESS && (type & NTMM_MEM_RESERVE)) {
        add_range(w, in.base, in.size);
    }
}

/* Reserved and committed at once, so that there is something to work on. */
static void allocate_simple(struct world *w)
{
    uint64_t base = 0;
    uint64_t size = (take8(w) % 24 + 1) * 0x1000ull;
    uint32_t watch = one_in(w, 4) ? NTMM_MEM_WRITE_WATCH : 0;

    if (!CALL(w, allocate_virtual_memory, w->system, take_process(w), &base, 0, &size,
              NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | watch, NTMM_PAGE_READWRITE)) {
        add_range(w, base, size);
    }
}

#define PARAMETER_LIMIT 4u

static void take_parameter(struct world *w, struct ntmm_mem_extended_parameter *parameter,
                           struct ntmm_mem_address_requirements *requirements)
{
    parameter->type = take8(w) < 240 ? take8(w) % 8u : take64(w);
    if ((parameter->type & 0xFF) == NTMM_MEM_PARAMETER_ADDRESS_REQUIREMENTS) {
        parameter->requirements = one_in(w, 16) ? NULL : requirements;
        requirements->lowest_starting_address = take_address(w) & ~0xFFFFull;
        requirements->highest_ending_address = one_in(w, 2) ? 0 : take_address(w) | 0xFFF;
        requirements->alignment = one_in(w, 4) ? take_any(w) : 0x10000ull << take8(w) % 8;
    } else {
        parameter->value = one_in(w, 4) ? take_any(w) : take8(w) % 4;
    }
}

static void allocate_ex(struct world *w)
{
    struct ntmm_mem_extended_parameter parameters[PARAMETER_LIMIT];
    struct ntmm_mem_address_requirements requirements[PARAMETER_LIMIT];
    struct in_out in;
    ntmm_handle process = take_handle(w);
    uint32_t type = take_type(w);
    uint32_t protect = type & NTMM_MEM_RESERVE_PLACEHOLDER ? NTMM_PAGE_NOACCESS : take_protect(w);
    uint32_t count = take8(w) % (PARAMETER_LIMIT * 2);
    bool has_none = count == 0 || count > PARAMETER_LIMIT;
    ntmm_status status;

    take_in_out(w, &in);
    for (uint32_t i = 0; !has_none && i < count; i++) {
        take_parameter(w, &parameters[i], &requirements[i]);
    }
    /* No parameters, but a count of them, is one of the things to refuse. */
    count = has_none && count != PARAMETER_LIMIT + 1 ? 0 : count;
    status = CALL(w, allocate_virtual_memory_ex, w->system, process, in.base_pointer,
                  in.size_pointer, type, protect, has_none ? NULL : parameters, count);
    judge_in_out(w, &in, status);
    if (status == NTMM_STATUS_SUCCESS && (type & NTMM_MEM_RESERVE)) {
        add_range(w, in.base, in.size);
    }
}

static void free_memory(struct world *w)
{
    static const uint32_t TYPES[] = {
        NTMM_MEM_DECOMMIT,
        NTMM_MEM_RELEASE,
        NTMM_MEM_DECOMMIT,
        NTMM_MEM_RELEASE,
        NTMM_MEM_RELEASE | NTMM_MEM_PRESERVE_PLACEHOLDER,
        NTMM_MEM_RELEASE | NTMM_MEM_COALESCE_PLACEHOLDERS,
    };
    struct in_out in;
    ntmm_handle process = take_handle(w);
    uint8_t kind = take8(w);
    uint32_t type = kind < 248 ? TYPES[kind % 6] : take32(w);

    take_in_out(w, &in);
    if (one_in(w, 4)) {
        in.size = in.size_before = 0;
    }
    judge_in_out(
        w, &in,
        CALL(w, free_virtual_memory, w->system, process, in.base_pointer, in.size_pointer, type));
}

static void protect(struct world *w)
{
    struct in_out in;
    ntmm_handle process = take_handle(w);
    uint32_t wanted = take_protect(w);
    uint32_t old = 0xA5A5A5A5;
    ntmm_status status;

    take_in_out(w, &in);
    status = CALL(w, protect_virtual_memory, w->system, process, in.base_pointer, in.size_pointer,
                  wanted, one_in(w, 32) ? NULL : &old);
    judge_in_out(w, &in, status);
    must(w, !is_failure(status) || old == 0xA5A5A5A5, "a failed protect wrote the old protection");
}

static void offer(struct world *w)
{
    ntmm_handle process = take_handle(w);
    uint64_t base = take_address(w) & ~0xFFFull;
    uint64_t size = take_size(w);

    (void)CALL(w, offer_virtual_memory, w->system, process, base, size, take_below(w, 6));
}

static void reclaim(struct world *w)
{
    ntmm_handle process = take_handle(w);
    uint64_t base = take_address(w) & ~0xFFFull;

    (void)CALL(w, reclaim_virtual_memory, w->system, process, base, take_size(w));
}

static void discard(struct world *w)
{
    ntmm_handle process = take_handle(w);
    uint64_t base = take_address(w);

    (void)CALL(w, discard_virtual_memory, w->system, process, base, take_size(w));
}

static void get_watch(struct world *w)
{
    ntmm_handle process = take_handle(w);
    uint64_t base = take_address(w);
    uint64_t size = take_size(w);
    uint32_t flags = take_below(w, 2);
    uint64_t room = take8(w) % 48;
    uint64_t count = room;
    uint32_t granularity = 0xA5A5A5A5;
    uint64_t addresses[48];
    uint8_t null = take8(w);
    ntmm_status status;

    memset(addresses, POISON, sizeof(addresses));
    status = CALL(w, get_write_watch, w->system, process, flags, base, size,
                  null == 253 ? NULL : addresses, null == 254 ? NULL : &count,
                  null == 255 ? NULL : &granularity);
    must(w, count <= room, "more addresses than there is room for");
    if (is_failure(status)) {
        must(w, count == room && granularity == 0xA5A5A5A5 && is_poison(addresses, room * 8),
             "a failed get of a write watch wrote something");
    }
    must(w, is_poison(addresses + room, sizeof(addresses) - room * 8), "written past the room");
}

static void get_watch_bitmap(struct world *w)
{
    ntmm_handle process = take_handle(w);
    uint64_t base = take_address(w);
    uint64_t size = take_size(w);
    uint32_t flags = take_below(w, 2);
    uint64_t words = take8(w) % 16;
    uint64_t bitmap[16];
    uint64_t count = 77;
    uint8_t null = take8(w);
    ntmm_status status;

    memset(bitmap, POISON, sizeof(bitmap));
    status = CALL(w, get_write_watch_bitmap, w->system, process, flags, base, size,
                  null == 253 ? NULL : bitmap, words, null >= 192 ? NULL : &count);
    must(w, is_poison(bitmap + words, sizeof(bitmap) - words * 8), "written past the bitmap");
    if (is_failure(status)) {
        must(w, count == 77 && is_poison(bitmap, words * 8), "a failed bitmap wrote something");
    }
}

static void reset_watch(struct world *w)
{
    ntmm_handle process = take_handle(w);
    uint64_t base = take_address(w);

    (void)CALL(w, reset_write_watch, w->system, process, base, take_size(w));
}

/* Stacks */

static uint64_t take_alignment(struct world *w)
{
    return one_in(w, 8) ? take_any(w) : 0x1000ull << take8(w) % 8;
}

static void create_stack(struct world *w)
{
    ntmm_handle process = take_handle(w);
    struct ntmm_thread_stack stack;
    struct ntmm_stack_request request = {
        .commit = one_in(w, 2) ? 0 : take_size(w),
        .reserve = one_in(w, 2) ? 0 : take_size(w),
        .zero_bits = take_zero_bits(w),
        .commit_alignment = take_alignment(w),
        .reserve_alignment = take_alignment(w),
        .guaranteed_bytes = one_in(w, 2) ? 0 : take_size(w),
    };
    uint8_t null = take8(w);
    ntmm_status status;

    memset(&stack, POISON, sizeof(stack));
    status = CALL(w, create_user_stack, w->system, process, null == 254 ? NULL : &request,
                  null == 255 ? NULL : &stack);
    if (is_failure(status)) {
        must(w, is_poison(&stack, sizeof(stack)), "a failed stack was written");
    } else {
        w->stack = stack;
        add_range(w, stack.deallocation_stack, stack.stack_base - stack.deallocation_stack);
    }
}

static void free_stack(struct world *w)
{
    struct ntmm_thread_stack stack = w->stack;
    ntmm_handle process;

    if (one_in(w, 4)) {
        stack.deallocation_stack = take_address(w);
    }
    process = take_handle(w);
    (void)CALL(w, free_user_stack, w->system, process, one_in(w, 32) ? NULL : &stack);
}

static void allocate_stack(struct world *w)
{
    ntmm_handle process = take_handle(w);
    uint64_t size = take_size(w);
    uint64_t zero_bits = take_zero_bits(w);
    uint64_t base = 77;
    ntmm_status status;

    status = CALL(w, allocate_thread_stack, w->system, process, size, zero_bits,
                  one_in(w, 32) ? NULL : &base);
    if (is_failure(status)) {
        must(w, base == 77, "a failed stack was written");
    } else {
        add_range(w, base, size);
    }
}

static void follow_guard(struct world *w)
{
    uint64_t base = take_address(w);
    uint64_t size = take_size(w);

    ntmm_follow_stack_guard(&w->stack, base, size, take_protect(w));
}

static void clone_process(struct world *w)
{
    ntmm_handle handle = 77;
    ntmm_handle parent = take_handle(w);
    uint8_t kind = take8(w);
    struct ntmm_process_config config = {
        .size = one_in(w, 32) ? take32(w) : (uint32_t)sizeof(config),
        .version = one_in(w, 32) ? take32(w) : NTMM_PROCESS_CONFIG_VERSION,
        .flags = kind & 0x1F ? 0 : take8(w),
        .commit_limit_pages = kind & 0x20 ? take8(w) : 0,
        .working_set_minimum_pages = kind & 0x40 ? take8(w) : 0,
    };

    if (CALL(w, clone_process, w->system, parent, kind & 0x80 ? NULL : &config,
             one_in(w, 64) ? NULL : &handle)) {
        must(w, handle == 77, "a failed cloning wrote the handle");
        return;
    }
    add_process(w, handle);
    add_handle(w, handle);
}

static void secure(struct world *w)
{
    ntmm_handle process = take_handle(w);
    uint64_t base = take_address(w);
    uint64_t size = take_size(w);
    uint8_t mode = take8(w);
    uint64_t secured = 0xA5A5A5A5A5A5A5A5;
    ntmm_status status = CALL(w, secure_virtual_memory, w->system, process, base, size,
                              mode == 255 ? take32(w)
                              : mode & 1u ? NTMM_PAGE_READONLY
                                          : NTMM_PAGE_READWRITE,
                              one_in(w, 32) ? NULL : &secured);

    must(w, !is_failure(status) || secured == 0xA5A5A5A5A5A5A5A5, "a failed secure wrote a name");
    if (!is_failure(status)) {
        w->secures[w->next_secure++ % SECURE_COUNT] = secured;
        w->secure_process = process;
    }
}

static void unsecure(struct world *w)
{
    uint8_t which = take8(w);
    ntmm_handle process = which & 1u ? take_handle(w) : w->secure_process;
    uint64_t secured =
        which < 240 ? w->secures[(w->next_secure - 1 - which / 64) % SECURE_COUNT] : take64(w);

    (void)CALL(w, unsecure_virtual_memory, w->system, process, secured);
}

static void query_target(struct world *w)
{
    struct ntmm_call_target target;
    ntmm_handle process = take_handle(w);
    uint64_t address = take_address(w);
    ntmm_status status;

    memset(&target, POISON, sizeof(target));
    status =
        CALL(w, query_call_target, w->system, process, address, one_in(w, 32) ? NULL : &target);
    must(w, !is_failure(status) || is_poison(&target, sizeof(target)),
         "a failed query wrote a target");
}

const struct verb VIRTUAL_VERBS[] = {
    {"allocate", allocate},
    {"allocate", allocate},
    {"allocate-simple", allocate_simple},
    {"allocate-simple", allocate_simple},
    {"allocate-ex", allocate_ex},
    {"allocate-ex", allocate_ex},
    {"free", free_memory},
    {"free", free_memory},
    {"protect", protect},
    {"protect", protect},
    {"offer", offer},
    {"reclaim", reclaim},
    {"discard", discard},
    {"get-watch", get_watch},
    {"get-watch-bitmap", get_watch_bitmap},
    {"reset-watch", reset_watch},
    {"create-stack", create_stack},
    {"free-stack", free_stack},
    {"allocate-stack", allocate_stack},
    {"follow-guard", follow_guard},
    {"clone-process", clone_process},
    {"secure", secure},
    {"unsecure", unsecure},
    {"query-target", query_target},
};
const unsigned VIRTUAL_VERB_COUNT = sizeof(VIRTUAL_VERBS) / sizeof(VIRTUAL_VERBS[0]);
