/*
 * NtReadVirtualMemory, NtWriteVirtualMemory, and the copy between two processes.
 *
 *   read    | chunk: touch every page, then move | chunk ...     a chunk moves whole or not at all
 *   write   | touch, move | touch, move | ...                    as far as the pages go
 *   copy    | touch source, take the bytes | touch target, give them | ...
 *
 * The platform's content operations move the bytes, and while they do the page cannot leave: (W) of
 * its process is held, or, for the source of a whole page, a reference to its frame. They do not
 * block (ntmm/platform.h), so holding (W) is safe; it is held for 64 KiB at a time. Two (W) are
 * never held together: between two processes what is not a whole page goes through the stack.
 *
 * Source: nt_semantics 3.4: NT locks the pages of a read's chunk before it moves, and moves a write
 * until it faults; so a read counts chunks and a write pages.
 */
#include "base/bits.h"
#include "phys/pfn.h"
#include "services/capture.h"
#include "services/touch.h"
#include "space/table.h"

#include <ntmm/memory.h>

#define CHUNK_BYTES (TOUCH_RUN_PAGES * NTMM_PAGE_SIZE)
/* NT's own limit for going through the stack. */
#define BOUNCE_BYTES 512u

/* An exception while bytes move ends the copy; any other failure speaks for itself. */
static ntmm_status status_of_copy(ntmm_status status)
{
    switch (status) {
    case NTMM_STATUS_ACCESS_VIOLATION:
    case NTMM_STATUS_GUARD_PAGE_VIOLATION:
    case NTMM_STATUS_IN_PAGE_ERROR:
        return NTMM_STATUS_PARTIAL_COPY;
    default:
        return status;
    }
}

static bool is_buffer(const void *buffer, uint64_t size)
{
    return size == 0 || (buffer && size - 1 <= UINTPTR_MAX - (uintptr_t)buffer);
}

static void give_count(uint64_t *copied, uint64_t bytes)
{
    if (copied)
        *copied = bytes;
}

/* --- a process and a buffer --- */

/* Move a range out of the process or into it; *moved is counted up. */
static ntmm_status move(struct call *c, struct touch touch, uint8_t *out, const uint8_t *in,
                        uint64_t size, uint64_t *moved)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    struct touch_run run;
    for (uint64_t done = 0; done < size; done += run.size_bytes, touch.address += run.size_bytes) {
        ntmm_status status = touch_run(c, &touch, size - done, &run);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        size_t at = (size_t)done;
        status = out ? platform->read(platform->context, run.spans, run.count, out + at)
                     : platform->write(platform->context, run.spans, run.count, in + at);
        process_unlock_working_set(c, run.process);
        if (!NTMM_SUCCEEDED(status))
            return status;
        *moved += run.size_bytes;
    }
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status read_chunks(struct call *c, struct touch touch, uint8_t *out, uint64_t size,
                               uint64_t *moved)
{
    while (*moved < size) {
        uint64_t chunk = min_u64(size - *moved, CHUNK_BYTES);
        ntmm_status status = touch_range(c, &touch, chunk);
        if (status == NTMM_STATUS_SUCCESS)
            status = move(c, touch, out + (size_t)*moved, NULL, chunk, moved);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        touch.address += chunk;
    }
    return NTMM_STATUS_SUCCESS;
}

ntmm_status ntmm_read_virtual_memory(struct ntmm_system *system, ntmm_handle handle,
                                     uint64_t address, void *buffer, uint64_t size,
                                     uint64_t *copied)
{
    struct call c = call_begin_to_wait(system);
    const struct touch touch = {
        .handle = handle, .rights = NTMM_PROCESS_VM_READ, .access = TOUCH_READ, .address = address};
    uint64_t moved = 0;
    ntmm_status status = NTMM_STATUS_ACCESS_VIOLATION;
    if (!reaches_past(address, size, NTMM_HIGHEST_USER_ADDRESS) && is_buffer(buffer, size))
        status = status_of_copy(read_chunks(&c, touch, buffer, size, &moved));
    give_count(copied, moved);
    return status;
}

ntmm_status ntmm_write_virtual_memory(struct ntmm_system *system, ntmm_handle handle,
                                      uint64_t address, const void *buffer, uint64_t size,
                                      uint64_t *copied)
{
    struct call c = call_begin_to_wait(system);
    const struct touch touch = {.handle = handle,
                                .rights = NTMM_PROCESS_VM_WRITE,
                                .access = TOUCH_WRITE,
                                .address = address};
    uint64_t moved = 0;
    ntmm_status status = NTMM_STATUS_ACCESS_VIOLATION;
    if (!reaches_past(address, size, NTMM_HIGHEST_USER_ADDRESS) && is_buffer(buffer, size))
        status = status_of_copy(move(&c, touch, NULL, buffer, size, &moved));
    give_count(copied, moved);
    return status;
}

ntmm_status ntmm_probe_virtual_memory(struct ntmm_system *system, ntmm_handle handle,
                                      uint64_t address, uint64_t size, uint32_t access)
{
    struct call c = call_begin_to_wait(system);
    bool is_write = access == NTMM_PROBE_WRITE;
    const struct touch touch = {.handle = handle,
                                .rights = is_write ? NTMM_PROCESS_VM_WRITE : NTMM_PROCESS_VM_READ,
                                .access = is_write ? TOUCH_WRITE : TOUCH_READ,
                                .address = address};
    if (access > NTMM_PROBE_WRITE)
        return NTMM_STATUS_INVALID_PARAMETER_5;
    if (reaches_past(address, size, NTMM_HIGHEST_USER_ADDRESS))
        return NTMM_STATUS_ACCESS_VIOLATION;
    return size == 0 ? NTMM_STATUS_SUCCESS : touch_range(&c, &touch, size);
}

/* --- two processes --- */

/* Bytes of a page to a page, in pieces through the stack. */
static ntmm_status copy_through_stack(struct call *c, struct touch from, struct touch to);

/* Whether a reference keeps the frame of a valid page from being used again: it does not for large
 * pages, a user's physical pages and the embedder's frames. (W) is held. */
static bool can_hold(struct call *c, struct process *process, uint64_t page, uint64_t frame)
{
    struct table_span span = table_find(c, process, page);
    const struct pfn *pfn = pfn_find(c, frame);
    if (!span.entry || !pfn || (load64_relaxed(span.entry) & ENTRY_NOT_IN_SET))
        return false;
    return get64(&pfn->entry_address) == core_ref(c, span.entry);
}

/* One page of the source, its frame referenced, to one page of the target. */
static ntmm_status copy_page(struct call *c, const struct touch *from, const struct touch *to)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    struct process *process;
    uint64_t source, target;
    ntmm_status status = touch_page(c, from, &process, &source);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    bool is_held = can_hold(c, process, from->address >> NTMM_PAGE_SHIFT, source);
    if (is_held)
        frame_hold(c, source);
    process_unlock_working_set(c, process);
    if (!is_held)
        return copy_through_stack(c, *from, *to);
    status = touch_page(c, to, &process, &target);
    if (status == NTMM_STATUS_SUCCESS) {
        status = platform->copy(platform->context, &target, &source, 1);
        process_unlock_working_set(c, process);
    }
    frame_end_reference(c, source);
    return status;
}

/* Part of a page to part of a page, through the stack. */
static ntmm_status copy_piece(struct call *c, const struct touch *from, const struct touch *to,
                              uint64_t size)
{
    uint8_t bounce[BOUNCE_BYTES];
    uint64_t moved = 0;
    ntmm_status status = move(c, *from, bounce, NULL, size, &moved);
    if (status == NTMM_STATUS_SUCCESS)
        status = move(c, *to, NULL, bounce, size, &moved);
    return status;
}

static ntmm_status copy_through_stack(struct call *c, struct touch from, struct touch to)
{
    ntmm_status status = NTMM_STATUS_SUCCESS;
    for (uint32_t done = 0; done < NTMM_PAGE_SIZE && NTMM_SUCCEEDED(status); done += BOUNCE_BYTES) {
        status = copy_piece(c, &from, &to, BOUNCE_BYTES);
        from.address += BOUNCE_BYTES;
        to.address += BOUNCE_BYTES;
    }
    return status;
}

static uint64_t left_in_page(uint64_t address)
{
    return NTMM_PAGE_SIZE - (address & (NTMM_PAGE_SIZE - 1));
}

/* As far as the next end of a page on either side: so whatever has moved, whole pieces have. */
static uint64_t next_piece(const struct touch *from, const struct touch *to, uint64_t left)
{
    uint64_t size = min_u64(left_in_page(from->address), left_in_page(to->address));
    size = min_u64(size, left);
    return size == NTMM_PAGE_SIZE ? size : min_u64(size, BOUNCE_BYTES);
}

static ntmm_status copy_pieces(struct call *c, struct touch from, struct touch to, uint64_t size,
                               uint64_t *moved)
{
    while (*moved < size) {
        uint64_t piece = next_piece(&from, &to, size - *moved);
        ntmm_status status =
            piece == NTMM_PAGE_SIZE ? copy_page(c, &from, &to) : copy_piece(c, &from, &to, piece);
        if (!NTMM_SUCCEEDED(status))
            return status;
        *moved += piece;
        from.address += piece;
        to.address += piece;
    }
    return NTMM_STATUS_SUCCESS;
}

/* Whether a handle would do: so that a bad one leaves no trace on the other side. */
static ntmm_status check_handle(struct call *c, const struct touch *touch)
{
    struct process *process;
    ntmm_status status = process_lock_working_set(c, touch->handle, touch->rights, &process);
    if (status == NTMM_STATUS_SUCCESS)
        process_unlock_working_set(c, process);
    return status;
}

ntmm_status ntmm_copy_virtual_memory(struct ntmm_system *system, ntmm_handle from,
                                     uint64_t from_address, ntmm_handle to, uint64_t to_address,
                                     uint64_t size, uint64_t *copied)
{
    struct call c = call_begin_to_wait(system);
    const struct touch source = {.handle = from,
                                 .rights = NTMM_PROCESS_VM_READ,
                                 .access = TOUCH_READ,
                                 .address = from_address};
    const struct touch target = {.handle = to,
                                 .rights = NTMM_PROCESS_VM_WRITE,
                                 .access = TOUCH_WRITE,
                                 .address = to_address};
    uint64_t moved = 0;
    ntmm_status status = NTMM_STATUS_ACCESS_VIOLATION;
    if (!reaches_past(from_address, size, NTMM_HIGHEST_USER_ADDRESS) &&
        !reaches_past(to_address, size, NTMM_HIGHEST_USER_ADDRESS))
        status = size ? check_handle(&c, &source) : NTMM_STATUS_SUCCESS;
    if (status == NTMM_STATUS_SUCCESS && size)
        status = check_handle(&c, &target);
    if (status == NTMM_STATUS_SUCCESS)
        status = status_of_copy(copy_pieces(&c, source, target, size, &moved));
    give_count(copied, moved);
    return status;
}
