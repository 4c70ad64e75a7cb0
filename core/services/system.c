/*
 * Creating, attaching, destroying and describing a system.
 */
#include "base/bits.h"
#include "paging/transfers.h"
#include "phys/cache.h"
#include "phys/poison.h"
#include "phys/slab.h"
#include "section/file_lock.h"
#include "services/process_end.h"
#include "services/section_make.h"
#include "space/clone_page.h"
#include "space/fault_log.h"
#include "space/private.h"
#include "space/secure.h"
#include "space/watch.h"

#include <ntmm/process.h>
#include <ntmm/system.h>

#define DEFAULT_PHYSICAL_ADDRESS_BITS 46u
#define DEFAULT_COMMIT_RESERVE_PAGES 64u
#define DEFAULT_FAULT_WAIT_100NS 100000000ull          /* 10 s */
#define DEFAULT_MODIFIED_PAGE_LIFE_100NS 3000000000ull /* 300 s */
#define PAGE_TABLE_LEVELS 4u
#define DEFAULT_READ_CLUSTER 8u
#define IDLE_PUMPS_LIMIT 65536u /* pumps in a row that complete nothing, before giving up */
#define DEFAULT_WRITE_CLUSTER 64u
/* 32 MiB of 4 GiB, at most 64 MiB; in pages */
#define LOW_MEMORY_SHIFT 7u
#define LOW_MEMORY_MOST 16384u

size_t ntmm_system_size(void) { return sizeof(struct ntmm_system); }

static ntmm_status check_config(const struct ntmm_config *config)
{
    uint32_t bits = config->physical_address_bits;
    uint64_t mask = config->invalid_pte_mask;
    uint32_t slot = config->self_map_slot;
    bool is_mask_valid = mask == 0 || (is_power_of_two(mask) && mask >> 32 != 0 && mask >> 52 == 0);

    if (config->size != sizeof *config || config->version != NTMM_CONFIG_VERSION)
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    if ((bits && (bits < 32 || bits > 52)) || !is_mask_valid ||
        (slot && (slot < 256 || slot > 511)))
        return NTMM_STATUS_INVALID_PARAMETER_3;
    if (!is_multiple(config->core_base, NTMM_PAGE_SIZE))
        return NTMM_STATUS_INVALID_PARAMETER_3;
    if (config->paging_flags & ~NTMM_PAGING_ZEROS_NEED_NO_SLOT ||
        config->read_cluster_pages > NTMM_READ_CLUSTER_MAXIMUM ||
        config->write_cluster_pages > NTMM_WRITE_CLUSTER_MAXIMUM)
        return NTMM_STATUS_INVALID_PARAMETER_3;
    if (config->high_memory_pages && config->high_memory_pages < config->low_memory_pages)
        return NTMM_STATUS_INVALID_PARAMETER_3;
    return NTMM_STATUS_SUCCESS;
}

static bool has_required_operations(const struct ntmm_platform *platform)
{
    return platform->zero && platform->copy && platform->compare && platform->read &&
           platform->write && platform->ranges && platform->range_count > 0 &&
           platform->range_count <= FRAME_RANGES_MAX;
}

static bool is_platform_version(const struct ntmm_platform *platform)
{
    return platform->size == sizeof *platform && platform->version == NTMM_PLATFORM_VERSION;
}

/* Whether one direct map can hold all: less than 4 GiB where pointers have 32 bits. */
static bool is_span_reached(const struct ntmm_platform *platform)
{
    const struct ntmm_frame_range *last = &platform->ranges[platform->range_count - 1];
    uint64_t end = last->base_frame + last->frame_count;
    return end - platform->ranges[0].base_frame <= UINTPTR_MAX >> NTMM_PAGE_SHIFT;
}

/* Rising, apart, not empty, below the physical limit, in the reach of pointers; the first is there.
 */
static bool are_ranges_sound(const struct ntmm_platform *platform, uint32_t physical_bits)
{
    uint64_t limit = min_u64(1ull << (physical_bits - NTMM_PAGE_SHIFT), FRAME_NONE);
    uint64_t previous_end = 0;
    for (uint32_t i = 0; i < platform->range_count; i++) {
        const struct ntmm_frame_range *range = &platform->ranges[i];
        bool is_first = i == 0;
        if (range->frame_count == 0 || range->base_frame > limit ||
            range->frame_count > limit - range->base_frame)
            return false;
        if (is_first ? (range->flags & NTMM_FRAMES_ABSENT) != 0 : range->base_frame <= previous_end)
            return false;
        previous_end = range->base_frame + range->frame_count;
    }
    return is_span_reached(platform);
}

static void start_instance(struct ntmm_system *sys, const struct ntmm_platform *platform,
                           uint64_t core_base)
{
    __builtin_memset(sys, 0, sizeof *sys);
    sys->platform = *platform;
    sys->core_base = core_base;
    sys->bias = platform->direct_map - (uintptr_t)core_base;
    sys->anchor_ref = core_base + (platform->ranges[0].base_frame << NTMM_PAGE_SHIFT);
    sys->levels = PAGE_TABLE_LEVELS;
    transfers_init(sys);
}

static void fill_anchor(struct call *c, const struct ntmm_config *config)
{
    struct anchor *anchor = anchor_of(c);
    struct partition *partition = &anchor->partition;
    uint32_t bits = config->physical_address_bits;
    uint32_t build = config->windows_build;
    uint64_t reserve = config->commit_reserve_pages;
    uint64_t wait = config->fault_wait_100ns;
    uint64_t life = config->modified_page_life_100ns;
    uint32_t read_cluster = config->read_cluster_pages;
    uint32_t write_cluster = config->write_cluster_pages;

    __builtin_memset(anchor, 0, NTMM_PAGE_SIZE);
    set64(&anchor->core_base, config->core_base);
    set64(&anchor->invalid_mask, config->invalid_pte_mask);
    set64(&anchor->seed, config->seed);
    set64(&anchor->fault_wait_100ns, wait ? wait : DEFAULT_FAULT_WAIT_100NS);
    set64(&anchor->modified_page_life_100ns, life ? life : DEFAULT_MODIFIED_PAGE_LIFE_100NS);
    set32(&anchor->windows_build, build ? build : NTMM_DEFAULT_WINDOWS_BUILD);
    set32(&anchor->physical_address_bits, bits ? bits : DEFAULT_PHYSICAL_ADDRESS_BITS);
    set32(&anchor->self_map_slot, config->self_map_slot);
    set32(&anchor->next_generation, 1);
    set32(&anchor->paging_flags, config->paging_flags);
    set32(&anchor->read_cluster, read_cluster ? read_cluster : DEFAULT_READ_CLUSTER);
    set32(&anchor->write_cluster, write_cluster ? write_cluster : DEFAULT_WRITE_CLUSTER);
    set64(&partition->commit_reserve, reserve ? reserve : DEFAULT_COMMIT_RESERVE_PAGES);
    for (uint32_t i = 0; i < STANDBY_PRIORITIES; i++)
        list_init(&partition->standby[i], NTMM_FRAME_STANDBY);
    list_init(&partition->modified, NTMM_FRAME_MODIFIED);
    list_init(&partition->modified_mapped, NTMM_FRAME_MODIFIED);
    list_init(&partition->modified_no_write, NTMM_FRAME_MODIFIED_NO_WRITE);
    list_init(&partition->bad, NTMM_FRAME_BAD);
    list_init(&partition->node.zeroed, NTMM_FRAME_ZEROED);
    list_init(&partition->node.free, NTMM_FRAME_FREE);
    slab_class_init(&anchor->slabs[SLAB_VAD], VAD_TAG, sizeof(struct vad));
    slab_class_init(&anchor->slabs[SLAB_VAD_NODE], VAD_NODE_TAG, sizeof(struct gap_node));
    slab_class_init(&anchor->slabs[SLAB_WATCH_NODE], WATCH_TAG, sizeof(struct watch_node));
    slab_class_init(&anchor->slabs[SLAB_SECTION], SECTION_TAG, sizeof(struct section));
    slab_class_init(&anchor->slabs[SLAB_FILE], FILE_TAG, sizeof(struct file));
    slab_class_init(&anchor->slabs[SLAB_NAME], NAME_TAG, sizeof(struct object_name));
    slab_class_init(&anchor->slabs[SLAB_CONTROL_AREA], AREA_TAG, sizeof(struct control_area));
    slab_class_init(&anchor->slabs[SLAB_SUBSECTION], SUBSECTION_TAG, sizeof(struct subsection));
    slab_class_init(&anchor->slabs[SLAB_FILE_LOCK], FILE_LOCK_TAG, sizeof(struct file_lock));
    slab_class_init(&anchor->slabs[SLAB_FAULT_LOG], FAULT_LOG_TAG, sizeof(struct fault_log_block));
    slab_class_init(&anchor->slabs[SLAB_SECURE], SECURE_TAG, sizeof(struct secure));
}

/* Thresholds of available frames. */
static void fill_thresholds(struct anchor *anchor, const struct ntmm_config *config)
{
    uint64_t total = get64(&anchor->partition.total_pages);
    uint64_t low = config->low_memory_pages;
    uint64_t high = config->high_memory_pages;
    if (!low)
        low = min_u64(total >> LOW_MEMORY_SHIFT, LOW_MEMORY_MOST);
    set64(&anchor->low_memory_pages, low);
    set64(&anchor->high_memory_pages, max_u64(low, high ? high : 3 * low));
}

/* What the instance keeps outside the frames, from the anchor. */
static void adopt_anchor(struct ntmm_system *sys, const struct anchor *anchor)
{
    sys->invalid_mask = get64(&anchor->invalid_mask);
    sys->fault_wait_100ns = get64(&anchor->fault_wait_100ns);
    sys->paging_flags = get32(&anchor->paging_flags);
    sys->read_cluster = get32(&anchor->read_cluster);
    sys->write_cluster = get32(&anchor->write_cluster);
}

ntmm_status ntmm_create_system(void *storage, size_t size, const struct ntmm_config *config,
                               const struct ntmm_platform *platform, struct ntmm_system **system)
{
    struct ntmm_system *sys = storage;
    if (size < sizeof *sys)
        return NTMM_STATUS_BUFFER_TOO_SMALL;
    ntmm_status status = check_config(config);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (!is_platform_version(platform))
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    uint32_t bits = config->physical_address_bits ? config->physical_address_bits
                                                  : DEFAULT_PHYSICAL_ADDRESS_BITS;
    if (!has_required_operations(platform) || !are_ranges_sound(platform, bits))
        return NTMM_STATUS_INVALID_PARAMETER_4;

    start_instance(sys, platform, config->core_base);
    struct call c = call_begin(sys);
    fill_anchor(&c, config);
    status = pfn_build(&c, platform->ranges, platform->range_count);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    struct anchor *anchor = anchor_of(&c);
    struct partition *partition = &anchor->partition;
    uint64_t usable = get64(&partition->total_pages) - get64(&partition->metadata_pages);
    set64(&partition->commit_extra, config->extra_commit_pages);
    set64(&partition->commit_limit, usable + config->extra_commit_pages);
    fill_thresholds(anchor, config);
    adopt_anchor(sys, anchor);
    set32(&anchor->is_guarded, POISON_IS_BUILT);
    set64(&anchor->magic, ANCHOR_MAGIC);
    *system = sys;
    return NTMM_STATUS_SUCCESS;
}

static bool are_ranges_the_same(const struct anchor *anchor, const struct ntmm_platform *platform)
{
    if (get32(&anchor->range_count) != platform->range_count)
        return false;
    for (uint32_t i = 0; i < platform->range_count; i++) {
        const struct frame_range *range = &anchor->ranges[i];
        if (get64(&range->base_frame) != platform->ranges[i].base_frame ||
            get64(&range->given_count) != platform->ranges[i].frame_count)
            return false;
    }
    return is_span_reached(platform);
}

ntmm_status ntmm_attach_system(void *storage, size_t size, const struct ntmm_platform *platform,
                               struct ntmm_system **system)
{
    struct ntmm_system *sys = storage;
    if (size < sizeof *sys)
        return NTMM_STATUS_BUFFER_TOO_SMALL;
    if (!is_platform_version(platform))
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    if (!has_required_operations(platform))
        return NTMM_STATUS_INVALID_PARAMETER_3;
    uint64_t anchor_pa = platform->ranges[0].base_frame << NTMM_PAGE_SHIFT;
    struct anchor *anchor = core_at(platform->direct_map, anchor_pa);
    if (get64(&anchor->magic) != ANCHOR_MAGIC)
        return NTMM_STATUS_FILE_INVALID;
    if (!are_ranges_the_same(anchor, platform))
        return NTMM_STATUS_INVALID_PARAMETER_3;
    if (get32(&anchor->is_guarded) > POISON_IS_BUILT)
        set32(&anchor->is_guarded, 0);
    start_instance(sys, platform, get64(&anchor->core_base));
    adopt_anchor(sys, anchor);
    *system = sys;
    return NTMM_STATUS_SUCCESS;
}

/* Completions free frames and blocks: let all of them come. */
static uint64_t finish_transfers(struct call *c)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    uint64_t left = transfers_in_use(c);
    for (uint32_t idle = 0; left != 0 && idle < IDLE_PUMPS_LIMIT; idle++) {
        if (!platform->pump)
            break;
        platform->pump(platform->context);
        uint64_t now = transfers_in_use(c);
        if (now != left)
            idle = 0;
        left = now;
    }
    return left;
}

static uint64_t end_all_processes(struct call *c)
{
    uint64_t ended = 0;
    uint32_t slots = get32(&anchor_of(c)->slot_count);
    for (uint32_t slot = 0; slot < slots; slot++) {
        ntmm_handle handle = get64(&process_in_slot(c, slot)->handle);
        if (handle) {
            process_end_with_system(c, handle);
            ended++;
        }
    }
    return ended;
}

void ntmm_destroy_system(struct ntmm_system *system, struct ntmm_teardown *teardown)
{
    struct call c = call_begin_to_wait(system);
    struct anchor *anchor = anchor_of(&c);
    struct partition *partition = &anchor->partition;
    struct ntmm_teardown report = {.waiters = load32_relaxed(&system->for_frame.count) +
                                              load32_relaxed(&system->transfers.for_block.count)};

    report.processes_ended = end_all_processes(&c);
    clone_blocks_end_with_system(&c);
    (void)finish_transfers(&c); /* what is in flight to a file looks at it when it ends */
    objects_end_with_system(&c);
    report.transfers = finish_transfers(&c);
    areas_finish_with_system(&c);
    slots_free_all(&c);
    process_directory_free(&c);
    slab_trim(&c);
    for (uint32_t i = 0; i < SLAB_KIND_COUNT; i++)
        report.live_objects += get64(&anchor->slabs[i].used);
    report.outstanding_commit = commit_charged(&c);
    (void)caches_drain(&c);
    report.lost_pages = get64(&partition->total_pages) - get64(&partition->metadata_pages) -
                        get64(&partition->node.zeroed.count) - get64(&partition->node.free.count) -
                        get64(&partition->bad.count);
    set64(&anchor->magic, 0);
    if (teardown)
        *teardown = report;
}

uint64_t ntmm_zero_free_pages(struct ntmm_system *system, uint64_t budget_pages)
{
    struct call c = call_begin(system);
    uint64_t zeroed = frames_zero_some(&c, budget_pages);
    system_count(&c, NTMM_COUNTER_FRAMES_ZEROED_BACKGROUND, zeroed);
    return zeroed;
}
