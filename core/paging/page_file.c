/*
 * Page files: made, grown, described.
 *
 *   device extended --> map made --> (D) number, descriptor, count --> commit limit raised
 *   device extended --> map made --> (G) size                      --> commit limit raised
 *
 * One page file is made or grown at a time, without a lock, because that waits for a device:
 * whoever comes second waits in a queue. A new file is a descriptor on the stack until it cannot
 * fail any more. The frames of its map are charged to the commit that it brings.
 * Source: nt_semantics 3.11, 9.2.
 */
#include "base/bits.h"
#include "paging/transfers.h"

#define GROWTH_MINIMUM_PAGES (NTMM_PAGING_FILE_MINIMUM_BYTES >> NTMM_PAGE_SHIFT)
/* Slots that become free under one holding of (G). */
#define RESIZE_STEP_PAGES (1u << 20)

/* --- one at a time --- */

/* False: another call is at it, and the platform cannot wait. */
static bool begin_growth(struct call *c)
{
    struct transfers *transfers = &c->sys->transfers;
    for (;;) {
        struct ntmm_wait wait = {0};
        lock_acquire(c, &c->sys->waiters_lock, LOCK_WAITERS);
        bool is_ours = !transfers->is_growing;
        transfers->is_growing = 1;
        if (!is_ours)
            waiters_add_locked(&transfers->for_growth, &wait);
        lock_release(c, &c->sys->waiters_lock, LOCK_WAITERS);
        if (is_ours)
            return true;
        bool has_waited = wait_until_woken(c, &wait);
        waiters_cancel(c, &transfers->for_growth, &wait);
        if (!has_waited)
            return false;
    }
}

static void end_growth(struct call *c)
{
    struct transfers *transfers = &c->sys->transfers;
    lock_acquire(c, &c->sys->waiters_lock, LOCK_WAITERS);
    transfers->is_growing = 0;
    waiters_wake_locked(c, &transfers->for_growth);
    lock_release(c, &c->sys->waiters_lock, LOCK_WAITERS);
}

static uint32_t file_count(const struct call *c)
{
    return load32_acquire(&partition_of(c)->page_file_count);
}

static void note_size(struct call *c, const struct page_file *file, uint64_t size_pages)
{
    event_note(c, NTMM_EVENT_PAGE_FILE, 0, size_pages, get64(&file->device), get32(&file->number));
}

/* What a larger file brings and what its map costs. */
static void account(struct call *c, uint64_t limit_pages, uint64_t map_frames)
{
    (void)add64(&partition_of(c)->paging_pages, map_frames);
    commit_extend(c, limit_pages, map_frames);
}

/* --- making --- */

/* What a new file needs before anybody sees it. */
struct making {
    struct page_file file;
    uint64_t table_frame; /* of the descriptors, if this is the first file; else FRAME_NONE */
    uint64_t dummy_frame; /* the same */
    uint64_t frames;      /* of the map and of these */
};

static ntmm_status check_config(const struct ntmm_paging_file_config *config)
{
    uint64_t initial_pages = config->initial_bytes >> NTMM_PAGE_SHIFT;
    uint64_t maximum_pages = config->maximum_bytes >> NTMM_PAGE_SHIFT;
    if (config->size != sizeof *config || config->version != NTMM_PAGING_FILE_VERSION)
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    if (config->initial_bytes < NTMM_PAGING_FILE_MINIMUM_BYTES)
        return NTMM_STATUS_INVALID_PARAMETER_2;
    if (config->maximum_bytes == 0)
        maximum_pages = initial_pages;
    if (maximum_pages < initial_pages || maximum_pages > NTMM_PAGING_FILE_MAXIMUM_PAGES)
        return NTMM_STATUS_INVALID_PARAMETER_3;
    return NTMM_STATUS_SUCCESS;
}

/* What the platform and the files that exist say against another one. */
static ntmm_status check_place(struct call *c, uint64_t device)
{
    for (uint32_t i = 0; i < file_count(c); i++) {
        if (get64(&page_file_at(c, i)->device) == device)
            return NTMM_STATUS_OBJECT_NAME_COLLISION;
    }
    if (file_count(c) == NTMM_PAGING_FILES_MAXIMUM)
        return NTMM_STATUS_TOO_MANY_PAGING_FILES;
    return c->sys->platform.submit ? NTMM_STATUS_SUCCESS : NTMM_STATUS_NOT_SUPPORTED;
}

static void fill_descriptor(struct page_file *file, const struct ntmm_paging_file_config *config,
                            uint32_t number)
{
    uint64_t initial_pages = config->initial_bytes >> NTMM_PAGE_SHIFT;
    uint64_t maximum_pages = config->maximum_bytes >> NTMM_PAGE_SHIFT;
    __builtin_memset(file, 0, sizeof *file);
    set32(&file->number, number);
    set64(&file->device, config->device);
    set64(&file->initial_pages, initial_pages);
    set64(&file->maximum_pages, maximum_pages ? maximum_pages : initial_pages);
}

static void unmake(struct call *c, struct making *making)
{
    struct frame_chain frames = chain_empty();
    (void)slots_map_free(c, &making->file);
    if (making->table_frame != FRAME_NONE)
        chain_add(c, &frames, making->table_frame);
    if (making->dummy_frame != FRAME_NONE)
        chain_add(c, &frames, making->dummy_frame);
    chain_free(c, &frames);
}

/* The frames of the descriptors and the dummy page, with the first file. */
static bool make_table(struct call *c, struct making *making)
{
    if (get64(&partition_of(c)->paging_ref) != 0)
        return true;
    making->frames += 2;
    return frame_allocate_zeroed(c, NTMM_USE_PAGING, &making->table_frame) &&
           frame_allocate_zeroed(c, NTMM_USE_PAGING, &making->dummy_frame);
}

static bool make_frames(struct call *c, struct making *making)
{
    uint64_t size_pages = get64(&making->file.initial_pages);
    making->frames = slots_map_need(c, &making->file, size_pages);
    if (!make_table(c, making) || !slots_map_room(c, &making->file, size_pages)) {
        unmake(c, making);
        return false;
    }
    slots_resize(c, &making->file, size_pages);
    return true;
}

static void publish(struct call *c, const struct making *making)
{
    struct anchor *anchor = anchor_of(c);
    struct partition *partition = &anchor->partition;
    uint32_t number = get32(&making->file.number);
    lock_acquire(c, &anchor->directory_lock, LOCK_DIRECTORY);
    if (making->table_frame != FRAME_NONE) {
        set64(&partition->paging_ref, frame_ref(c, making->table_frame));
        set64(&partition->dummy_frame, making->dummy_frame);
    }
    *page_file_at(c, number) = making->file;
    store32_release(&partition->page_file_count, number + 1);
    lock_release(c, &anchor->directory_lock, LOCK_DIRECTORY);
}

/* The turn to grow is ours, so no number, device or table comes between. */
static ntmm_status create(struct call *c, const struct ntmm_paging_file_config *config,
                          uint32_t *number)
{
    struct making making = {.table_frame = FRAME_NONE, .dummy_frame = FRAME_NONE};
    ntmm_status status = check_place(c, config->device);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    fill_descriptor(&making.file, config, file_count(c));
    uint64_t size_pages = get64(&making.file.initial_pages);
    status = transfer_and_wait(c, config->device, NTMM_IO_EXTEND, size_pages << NTMM_PAGE_SHIFT);
    if (!NTMM_SUCCEEDED(status))
        return status;
    if (!make_frames(c, &making))
        return want_status(c);
    *number = get32(&making.file.number);
    publish(c, &making);
    (void)add64(&partition_of(c)->commit_growth, get64(&making.file.maximum_pages) - size_pages);
    account(c, size_pages - 1, making.frames);
    note_size(c, &making.file, size_pages);
    return NTMM_STATUS_SUCCESS;
}

ntmm_status page_file_create(struct call *c, const struct ntmm_paging_file_config *config,
                             uint32_t *number)
{
    struct ntmm_paging_file_config copy = *config;
    ntmm_status status = check_config(&copy);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (!begin_growth(c))
        return NTMM_STATUS_CANT_WAIT;
    status = create(c, &copy, number);
    end_growth(c);
    return status;
}

/* --- growing --- */

/* How far a file can grow towards `missing` pages more than its map will cost; 0: it cannot. */
static uint64_t growth_of(const struct call *c, const struct page_file *file, uint64_t missing)
{
    uint64_t size = get64(&file->size_pages);
    uint64_t room = get64(&file->maximum_pages) - size;
    uint64_t pages = min_u64(missing, room);
    pages += slots_map_need(c, file, size + pages);
    pages = min_u64(max_u64(pages, GROWTH_MINIMUM_PAGES), room);
    return pages > slots_map_need(c, file, size + pages) ? pages : 0;
}

/* In steps, so that (G) is not held while the bits of a terabyte are cleared. */
static void set_size(struct call *c, struct page_file *file, uint64_t size_pages)
{
    for (uint64_t size = get64(&file->size_pages); size < size_pages;) {
        size = min_u64(size + RESIZE_STEP_PAGES, size_pages);
        lock_acquire(c, &file->lock, LOCK_PAGE_FILE);
        slots_resize(c, file, size);
        lock_release(c, &file->lock, LOCK_PAGE_FILE);
    }
}

/* The turn to grow is ours: nobody else changes the size. */
static void grow(struct call *c, struct page_file *file, uint64_t missing)
{
    uint64_t pages = growth_of(c, file, missing);
    if (pages == 0)
        return;
    uint64_t size = get64(&file->size_pages) + pages;
    uint64_t map_frames = slots_map_need(c, file, size);
    ntmm_status status =
        transfer_and_wait(c, get64(&file->device), NTMM_IO_EXTEND, size << NTMM_PAGE_SHIFT);
    if (!NTMM_SUCCEEDED(status) || !slots_map_room(c, file, size))
        return;
    set_size(c, file, size);
    (void)add64(&partition_of(c)->commit_growth, 0 - pages);
    account(c, pages, map_frames);
    note_size(c, file, size);
}

/* Pages that the limit has risen by, less the frames of maps that are charged to it. */
static uint64_t limit_now(struct call *c)
{
    struct partition *partition = partition_of(c);
    return load64_relaxed(&partition->commit_limit) - load64_relaxed(&partition->paging_pages);
}

bool page_files_extend(struct call *c, uint64_t pages)
{
    uint64_t before = limit_now(c);
    if (!page_files_exist(c) || !begin_growth(c))
        return false;
    for (uint32_t i = 0; i < file_count(c) && limit_now(c) < before + pages; i++)
        grow(c, page_file_at(c, i), before + pages - limit_now(c));
    bool has_risen = limit_now(c) > before;
    end_growth(c);
    return has_risen;
}

/* --- describing --- */

ntmm_status page_file_query(struct call *c, uint32_t number,
                            struct ntmm_paging_file_information *information)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    uint64_t now = platform->now ? platform->now(platform->context) : 0;
    if (number >= file_count(c))
        return NTMM_STATUS_INVALID_PARAMETER_2;
    struct page_file *file = page_file_at(c, number);
    lock_acquire(c, &file->lock, LOCK_PAGE_FILE);
    *information = (struct ntmm_paging_file_information){
        .number = number,
        .is_paused = get64(&file->paused_until_100ns) > now,
        .device = get64(&file->device),
        .size_pages = get64(&file->size_pages),
        .initial_pages = get64(&file->initial_pages),
        .maximum_pages = get64(&file->maximum_pages),
        .used_pages = get64(&file->used_pages),
        .peak_pages = get64(&file->peak_pages),
        .bad_pages = get64(&file->bad_pages),
        .reads = get64(&file->reads),
        .pages_read = get64(&file->pages_read),
        .writes = get64(&file->writes),
        .pages_written = get64(&file->pages_written),
        .failed_reads = get64(&file->failed_reads),
        .failed_writes = get64(&file->failed_writes),
        .outstanding_writes = get32(&file->outstanding_writes),
    };
    lock_release(c, &file->lock, LOCK_PAGE_FILE);
    return NTMM_STATUS_SUCCESS;
}
