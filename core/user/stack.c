/*
 * Stacks of threads, over the public services alone. See ntmm/stack.h.
 */
#include "base/bits.h"

#include <ntmm/constants.h>
#include <ntmm/stack.h>
#include <ntmm/virtual.h>

#define MIB 0x100000u

struct extent {
    uint64_t commit; /* bytes at the top */
    uint64_t guard;  /* bytes below, or 0: there is no room */
    uint64_t reserve;
};

static bool is_alignment(uint64_t alignment)
{
    return is_power_of_two(alignment) && alignment <= NTMM_USER_PROBE_ADDRESS;
}

/* Sizes far beyond the address space are refused before rounding could wrap. */
static bool measure(const struct ntmm_stack_request *request, struct extent *extent)
{
    uint64_t commit = max_u64(request->commit, NTMM_STACK_COMMIT_LEAST);
    uint64_t reserve = request->reserve ? request->reserve : NTMM_STACK_RESERVE_DEFAULT;
    if (!is_alignment(request->commit_alignment) || !is_alignment(request->reserve_alignment) ||
        commit > NTMM_USER_PROBE_ADDRESS || reserve > NTMM_USER_PROBE_ADDRESS ||
        request->guaranteed_bytes > NTMM_USER_PROBE_ADDRESS)
        return false;
    commit = round_up(commit, max_u64(request->commit_alignment, NTMM_PAGE_SIZE));
    if (commit >= reserve)
        reserve = round_up(commit, MIB);
    reserve = round_up(reserve, max_u64(request->reserve_alignment, NTMM_ALLOCATION_GRANULARITY));
    uint64_t guard = NTMM_PAGE_SIZE + round_up(request->guaranteed_bytes, NTMM_PAGE_SIZE);
    bool has_room = reserve - commit >= guard + NTMM_PAGE_SIZE;
    *extent = (struct extent){
        .commit = commit, .guard = has_room ? guard : 0, .reserve = max_u64(reserve, commit)};
    return true;
}

static ntmm_status reserve_stack(struct ntmm_system *system, ntmm_handle process,
                                 uint64_t zero_bits, uint64_t size, uint64_t *base)
{
    *base = 0;
    return ntmm_allocate_virtual_memory(system, process, base, zero_bits, &size, NTMM_MEM_RESERVE,
                                        NTMM_PAGE_READWRITE);
}

static ntmm_status release_stack(struct ntmm_system *system, ntmm_handle process, uint64_t base)
{
    uint64_t size = 0;
    return ntmm_free_virtual_memory(system, process, &base, &size, NTMM_MEM_RELEASE);
}

static ntmm_status set_up(struct ntmm_system *system, ntmm_handle process, uint64_t base,
                          const struct extent *extent)
{
    uint64_t top = base + extent->reserve - extent->commit;
    uint64_t size = extent->commit;
    uint64_t guard = top - extent->guard;
    uint64_t guard_size = extent->guard;
    ntmm_status status = ntmm_allocate_virtual_memory(system, process, &top, 0, &size,
                                                      NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE);
    if (status != NTMM_STATUS_SUCCESS || guard_size == 0)
        return status;
    return ntmm_allocate_virtual_memory(system, process, &guard, 0, &guard_size, NTMM_MEM_COMMIT,
                                        NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
}

ntmm_status ntmm_create_user_stack(struct ntmm_system *system, ntmm_handle process,
                                   const struct ntmm_stack_request *request,
                                   struct ntmm_thread_stack *stack)
{
    struct extent extent;
    uint64_t base;
    if (!request || !stack)
        return NTMM_STATUS_ACCESS_VIOLATION;
    if (!measure(request, &extent))
        return NTMM_STATUS_INVALID_PARAMETER;
    ntmm_status status = reserve_stack(system, process, request->zero_bits, extent.reserve, &base);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status = set_up(system, process, base, &extent);
    if (status != NTMM_STATUS_SUCCESS) {
        ntmm_status released = release_stack(system, process, base);
        return NTMM_SUCCEEDED(released) ? status : released;
    }
    *stack = (struct ntmm_thread_stack){
        .stack_base = base + extent.reserve,
        .stack_limit = base + extent.reserve - extent.commit,
        .deallocation_stack = base,
        .guaranteed_bytes = request->guaranteed_bytes,
    };
    return NTMM_STATUS_SUCCESS;
}

ntmm_status ntmm_free_user_stack(struct ntmm_system *system, ntmm_handle process,
                                 const struct ntmm_thread_stack *stack)
{
    if (!stack)
        return NTMM_STATUS_ACCESS_VIOLATION;
    return release_stack(system, process, stack->deallocation_stack);
}

/* First byte that ZeroBits forbids. */
static uint64_t end_of_zero_bits(uint64_t zero_bits)
{
    if (zero_bits == 0)
        return NTMM_USER_PROBE_ADDRESS;
    if (zero_bits < 32)
        return 1ull << (32 - zero_bits);
    unsigned bits = floor_log2(zero_bits) + 1;
    return bits < 64 ? 1ull << bits : NTMM_USER_PROBE_ADDRESS;
}

ntmm_status ntmm_allocate_thread_stack(struct ntmm_system *system, ntmm_handle process,
                                       uint64_t reserve_size, uint64_t zero_bits, uint64_t *base)
{
    uint64_t found;
    if (!base)
        return NTMM_STATUS_ACCESS_VIOLATION;
    if (reserve_size > end_of_zero_bits(zero_bits))
        return NTMM_STATUS_INVALID_PARAMETER;
    ntmm_status status = reserve_stack(system, process, zero_bits, reserve_size, &found);
    if (status == NTMM_STATUS_SUCCESS)
        *base = found;
    return status;
}

void ntmm_follow_stack_guard(struct ntmm_thread_stack *stack, uint64_t base, uint64_t size,
                             uint32_t protect)
{
    uint64_t end = round_up(base + size, NTMM_PAGE_SIZE);
    bool is_inside = base >= stack->deallocation_stack && end <= stack->stack_base && size > 0;
    if (is_inside && (protect & NTMM_PAGE_GUARD))
        stack->stack_limit = end;
}
