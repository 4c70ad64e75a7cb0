/*
 * NtQueryVirtualMemory, the classes of views: the file's name, the image, shared commit.
 *
 * Names: handle, then whether the address is in a view of a file, then length and pointer.
 * Source: nt_semantics 3.3.
 */
#include "base/bits.h"
#include "section/image_record.h"
#include "section/view.h"
#include "services/query.h"

/* UNICODE_STRING of a 64-bit caller, fields in the host's byte order. */
struct name_string {
    uint16_t length, maximum; /* bytes, without and with the NUL */
    uint32_t padding;
    uint64_t buffer;
};

#define STRING_BYTES sizeof(struct name_string)

/* The view of the question's address, with (W) held. */
static ntmm_status lock_view(struct call *c, const struct question *q, struct process **process,
                             struct vad **vad)
{
    if (q->address > NTMM_HIGHEST_USER_ADDRESS)
        return NTMM_STATUS_INVALID_PARAMETER;
    ntmm_status status =
        process_lock_working_set(c, q->process, NTMM_PROCESS_QUERY_INFORMATION, process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    *vad = vad_find(c, *process, q->address >> NTMM_PAGE_SHIFT);
    if (*vad && vad_is_view(*vad))
        return NTMM_STATUS_SUCCESS;
    process_unlock_working_set(c, *process);
    return NTMM_STATUS_INVALID_ADDRESS;
}

/* The buffer may lie at any address. */
static void put_unit(char *at, uint16_t unit) { __builtin_memcpy(at, &unit, sizeof unit); }

/* The string, and the name behind it with its NUL. (O) is held. */
static void give_name(const struct call *c, struct question *q, const struct object *object)
{
    uint32_t units = get32(&object->name_units);
    uint64_t bytes = (uint64_t)units * sizeof(uint16_t);
    char *behind = (char *)q->buffer + sizeof(struct name_string);
    const struct name_string string = {
        .length = (uint16_t)bytes,
        .maximum = (uint16_t)(bytes + 2),
        .buffer = (uintptr_t)behind,
    };
    __builtin_memcpy(q->buffer, &string, sizeof string);
    for (uint32_t i = 0; i < units; i++) {
        const struct object_name *name = core_at(c->bias, get64(&object->name));
        put_unit(behind + 2ull * i, get16(&name->units[i]));
    }
    put_unit(behind + bytes, 0);
}

/* (W) is held: the view keeps the area, and that the file. */
static ntmm_status find_name(struct call *c, struct question *q, const struct vad *vad)
{
    const struct control_area *area = view_area(c, vad);
    if (!area_is(area, AREA_OF_FILE))
        return NTMM_STATUS_FILE_INVALID;
    const struct object *object = &file_at(c, get64(&area->file))->object;
    uint64_t needed = STRING_BYTES + 2ull * get32(&object->name_units) + 2;
    q->written = needed;
    if (q->length < STRING_BYTES)
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    if (q->length < needed)
        return NTMM_STATUS_BUFFER_OVERFLOW;
    if (!q->buffer) {
        q->written = 0;
        return NTMM_STATUS_ACCESS_VIOLATION;
    }
    give_name(c, q, object);
    return NTMM_STATUS_SUCCESS;
}

ntmm_status query_mapped_name(struct question *q)
{
    struct call c = call_begin(q->system);
    struct process *process;
    struct vad *vad;
    ntmm_status status = lock_view(&c, q, &process, &vad);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status = find_name(&c, q, vad);
    process_unlock_working_set(&c, process);
    return status;
}

ntmm_status query_image(struct question *q)
{
    struct call c = call_begin(q->system);
    struct ntmm_memory_image_information found = {.padding = 0};
    struct process *process;
    struct vad *vad;
    if (q->length < sizeof found)
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    if (!q->buffer)
        return NTMM_STATUS_ACCESS_VIOLATION;
    ntmm_status status = lock_view(&c, q, &process, &vad);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    const struct control_area *area = view_area(&c, vad);
    if (vad_type(vad) == VAD_IMAGE_MAP) {
        uint64_t first = get64(&vad->first_prototype);
        bool is_partial = first != 0 || vad_end(vad) - vad_start(vad) < get64(&area->pages);
        found.image_base = (vad_start(vad) - first) << NTMM_PAGE_SHIFT;
        found.size_of_image = get64(&area->pages) << NTMM_PAGE_SHIFT;
        found.flags = (is_partial ? 1u : 0u) | (get32(&vad->flags) & VAD_NOT_EXECUTABLE ? 2u : 0u);
    } else {
        status = NTMM_STATUS_INVALID_ADDRESS;
    }
    process_unlock_working_set(&c, process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    __builtin_memcpy(q->buffer, &found, sizeof found);
    q->written = sizeof found;
    return status;
}

/* Pages of page files that sections of the process's views promise, each view's own. */
static uint64_t shared_commit(struct call *c, struct process *process)
{
    struct gap_range range;
    uint64_t pages = 0;
    for (uint64_t page = 0; gap_tree_find_at_or_after(c->bias, &process->vads, page, &range);
         page = range.end) {
        const struct vad *vad = vad_at(c, range.ref);
        if (!vad_is_view(vad))
            continue;
        const struct control_area *area = view_area(c, vad);
        uint64_t committed = load64_relaxed(&area->commit_pages);
        committed -= min_u64(committed, load64_relaxed(&area->table_pages));
        pages += min_u64(committed, range.end - range.start);
    }
    return pages;
}

ntmm_status query_shared_commit(struct question *q)
{
    struct call c = call_begin(q->system);
    struct process *process;
    if (q->length < sizeof(uint64_t))
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    if (!q->buffer)
        return NTMM_STATUS_ACCESS_VIOLATION;
    ntmm_status status =
        process_lock_working_set(&c, q->process, NTMM_PROCESS_QUERY_INFORMATION, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    uint64_t bytes = shared_commit(&c, process) << NTMM_PAGE_SHIFT;
    __builtin_memcpy(q->buffer, &bytes, sizeof bytes);
    process_unlock_working_set(&c, process);
    q->written = sizeof(uint64_t);
    return status;
}
