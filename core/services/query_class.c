/*
 * NtQueryVirtualMemory by class: the order of checks, and the classes that a region answers.
 *
 *   class --> length --> pointer --> address --> handle, right --> what is there
 *
 * but for mapped filenames, where what is there comes before length and pointer.
 * Source: nt_semantics 3.3; where it marks a doubt, docs/fidelity.md.
 */
#include "base/bits.h"
#include "section/view.h"
#include "services/query.h"
#include "space/large.h"

#define NODE_NONE UINT64_MAX
/* NTMM_REGION_PRIVATE to NTMM_REGION_DIRECT_MAPPED: class 3 was never seen to set them. */
#define REGION_TYPES_OF_EX 0x3Fu

NTMM_STATIC_ASSERT(sizeof(struct ntmm_memory_basic_information) == 48, "NT's layout");
NTMM_STATIC_ASSERT(offsetof(struct ntmm_memory_basic_information, partition_id) == 20, "NT's");
NTMM_STATIC_ASSERT(offsetof(struct ntmm_memory_basic_information, type) == 40, "NT's layout");
NTMM_STATIC_ASSERT(sizeof(struct ntmm_memory_region_information) == 48, "NT's layout");
NTMM_STATIC_ASSERT(offsetof(struct ntmm_memory_region_information, region_size) == 16, "NT's");
NTMM_STATIC_ASSERT(sizeof(struct ntmm_memory_page_information) == 16, "NT's layout");
NTMM_STATIC_ASSERT(sizeof(struct ntmm_memory_image_information) == 24, "NT's layout");

static void give(struct question *q, const void *found, uint64_t size)
{
    __builtin_memcpy(q->buffer, found, (size_t)size);
    q->written = size;
}

static ntmm_status query_basic(struct question *q)
{
    struct ntmm_memory_basic_information found;
    if (q->length < sizeof found)
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    ntmm_status status =
        ntmm_query_virtual_memory(q->system, q->process, q->address, q->buffer ? &found : NULL);
    if (status == NTMM_STATUS_SUCCESS)
        give(q, &found, sizeof found);
    return status;
}

static uint32_t page_size_of(const struct vad *vad)
{
    static const uint32_t bit_of_level[] = {
        [1] = 0, [2] = NTMM_REGION_PAGE_SIZE_LARGE, [3] = NTMM_REGION_PAGE_SIZE_HUGE};
    return bit_of_level[large_level(vad)];
}

static uint32_t region_type(const struct call *c, const struct vad *vad)
{
    uint32_t bits = NTMM_REGION_PRIVATE;
    if (get32(&vad->flags) & VAD_PLACEHOLDER)
        bits |= NTMM_REGION_PLACEHOLDER;
    switch (vad_type(vad)) {
    case VAD_PRIVATE:
        return bits;
    case VAD_DEVICE_PHYSICAL:
        return NTMM_REGION_MAPPED_PHYSICAL;
    case VAD_IMAGE_MAP:
        return NTMM_REGION_MAPPED_IMAGE;
    case VAD_DATA_MAP:
        return area_is(view_area(c, vad), AREA_OF_FILE) ? NTMM_REGION_MAPPED_DATA_FILE
                                                        : NTMM_REGION_MAPPED_PAGE_FILE;
    case VAD_LARGE_PAGE_SECTION:
        return NTMM_REGION_MAPPED_PAGE_FILE | NTMM_REGION_PAGE_SIZE_LARGE;
    case VAD_AWE:
        return bits | NTMM_REGION_MAPPED_AWE;
    case VAD_WRITE_WATCH:
        return bits | NTMM_REGION_WRITE_WATCH;
    case VAD_LARGE_PAGES:
        return bits | page_size_of(vad);
    }
    return bits;
}

static struct ntmm_memory_region_information describe_vad(const struct call *c,
                                                          const struct vad *vad)
{
    return (struct ntmm_memory_region_information){
        .allocation_base = vad_start(vad) << NTMM_PAGE_SHIFT,
        .allocation_protect = get32(&vad->win32_protection),
        .region_type = region_type(c, vad),
        .region_size = (vad_end(vad) - vad_start(vad)) << NTMM_PAGE_SHIFT,
        .commit_size = get64(&vad->commit_pages) << NTMM_PAGE_SHIFT,
        .node_preference = NODE_NONE,
    };
}

/* The region of the question's address. */
static ntmm_status find_region(const struct question *q,
                               struct ntmm_memory_region_information *found)
{
    struct call c = call_begin(q->system);
    struct process *process;
    if (q->address > NTMM_HIGHEST_USER_ADDRESS)
        return NTMM_STATUS_INVALID_PARAMETER;
    ntmm_status status =
        process_lock_working_set(&c, q->process, NTMM_PROCESS_QUERY_INFORMATION, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    const struct vad *vad = vad_find(&c, process, q->address >> NTMM_PAGE_SHIFT);
    if (vad)
        *found = describe_vad(&c, vad);
    process_unlock_working_set(&c, process);
    return vad ? NTMM_STATUS_SUCCESS : NTMM_STATUS_INVALID_ADDRESS;
}

/* Fields that fit whole are given, at most the first `most` bytes. */
static ntmm_status query_region(struct question *q, uint64_t most, uint32_t hidden_types)
{
    struct ntmm_memory_region_information found;
    if (q->length < NTMM_REGION_INFORMATION_MINIMUM)
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    if (!q->buffer)
        return NTMM_STATUS_ACCESS_VIOLATION;
    ntmm_status status = find_region(q, &found);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    found.region_type &= ~hidden_types;
    give(q, &found, min_u64(q->length & ~7ull, most));
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status answer(struct question *q, uint32_t information_class)
{
    switch (information_class) {
    case NTMM_MEMORY_BASIC_INFORMATION:
    case NTMM_MEMORY_PRIVILEGED_BASIC_INFORMATION:
    case NTMM_MEMORY_BASIC_INFORMATION_CAPPED:
        return query_basic(q);
    case NTMM_MEMORY_WORKING_SET_INFORMATION:
        return query_working_set(q);
    case NTMM_MEMORY_MAPPED_FILENAME_INFORMATION:
        return query_mapped_name(q);
    case NTMM_MEMORY_REGION_INFORMATION:
        return query_region(q, offsetof(struct ntmm_memory_region_information, partition_id),
                            REGION_TYPES_OF_EX);
    case NTMM_MEMORY_REGION_INFORMATION_EX:
        return query_region(q, sizeof(struct ntmm_memory_region_information), 0);
    case NTMM_MEMORY_WORKING_SET_EX_INFORMATION:
        return query_single_pages(q);
    case NTMM_MEMORY_SHARED_COMMIT_INFORMATION:
        return query_shared_commit(q);
    case NTMM_MEMORY_IMAGE_INFORMATION:
        return query_image(q);
    }
    return NTMM_STATUS_INVALID_INFO_CLASS;
}

ntmm_status ntmm_query_virtual_memory_class(struct ntmm_system *system, ntmm_handle process,
                                            uint64_t address, uint32_t information_class,
                                            void *buffer, uint64_t length, uint64_t *return_length)
{
    struct question q = {
        .system = system,
        .process = process,
        .address = address,
        .buffer = buffer,
        .length = length,
    };
    NTMM_ASSERT(call_may_wait(system));
    ntmm_status status = answer(&q, information_class);
    /* a name that does not fit tells its size, and so leaves q.written set */
    bool is_known = status == NTMM_STATUS_SUCCESS ||
                    (information_class == NTMM_MEMORY_MAPPED_FILENAME_INFORMATION && q.written);
    if (is_known && return_length)
        *return_length = q.written;
    return status;
}
