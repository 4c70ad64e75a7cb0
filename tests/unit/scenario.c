/*
 * See scenario.h. Regions lie in different 512 GiB slots of the root where a step is to make tables
 * of every level.
 */
#include "unit/scenario.h"

#include "x64/formats.h"

#define TIB (1024 * GIB)
#define SPANS BASE                               /* 8 MiB reserved, committed across three spans */
#define SPANS_COMMITTED (SPANS + 2 * MIB - PAGE) /* last page of one, 512 of the next, one more */
#define FLAGGED (BASE + 32 * MIB)                /* 16 pages, committed when reserved */
#define READ_ONLY TIB                            /* 16 pages */
#define UNTOUCHED (2 * TIB + 2 * MIB - KIB64)    /* 32 pages in two spans */
#define GUARDED (3 * TIB)                        /* one guard page */
#define PIERCED (4 * TIB)                        /* 16 pages, decommitted in the middle */
#define FILLERS (BASE + GIB / 2)

static ntmm_status create_first_process(struct machine *m)
{
    ntmm_status status = ntmm_create_process(m->system, NULL, &m->process);
    if (status == NTMM_STATUS_SUCCESS)
        assert_int_equal(ntmm_emulated_attach(m->emu, 0, m->process), NTMM_STATUS_SUCCESS);
    return status;
}

static ntmm_status allocate(struct machine *m, uint64_t base, uint64_t size, uint32_t protect)
{
    return try_allocate(m, base, size, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, protect);
}

static ntmm_status reserve_spans(struct machine *m)
{
    return try_allocate(m, SPANS, 8 * MIB, NTMM_MEM_RESERVE, NTMM_PAGE_READWRITE);
}

static ntmm_status commit_spans(struct machine *m)
{
    return try_allocate(m, SPANS_COMMITTED, 2 * MIB + 2 * PAGE, NTMM_MEM_COMMIT,
                        NTMM_PAGE_READWRITE);
}

static ntmm_status write_spans(struct machine *m) { return try_write(m, SPANS_COMMITTED, 0x5A); }

static ntmm_status allocate_flagged(struct machine *m)
{
    return allocate(m, FLAGGED, 16 * PAGE, NTMM_PAGE_READWRITE);
}

static ntmm_status write_flagged(struct machine *m) { return try_write(m, FLAGGED, 0xA5); }

static ntmm_status write_flagged_again(struct machine *m)
{
    return try_write(m, FLAGGED + PAGE, 0xA6);
}

static ntmm_status forbid_flagged(struct machine *m)
{
    return try_protect(m, FLAGGED, 2 * PAGE, NTMM_PAGE_NOACCESS);
}

static ntmm_status allow_flagged(struct machine *m)
{
    return try_protect(m, FLAGGED, 2 * PAGE, NTMM_PAGE_READWRITE);
}

static ntmm_status read_flagged(struct machine *m)
{
    uint64_t value = 0;
    ntmm_status status = try_read(m, FLAGGED + PAGE, &value);
    if (status == NTMM_STATUS_SUCCESS)
        assert_int_equal(value, 0xA6);
    return status;
}

static ntmm_status allocate_read_only(struct machine *m)
{
    return allocate(m, READ_ONLY, 16 * PAGE, NTMM_PAGE_READONLY);
}

static ntmm_status read_read_only(struct machine *m)
{
    uint64_t value;
    return try_read(m, READ_ONLY, &value);
}

static ntmm_status allocate_untouched(struct machine *m)
{
    return allocate(m, UNTOUCHED, 32 * PAGE, NTMM_PAGE_READWRITE);
}

static ntmm_status protect_untouched(struct machine *m)
{
    return try_protect(m, UNTOUCHED, 32 * PAGE, NTMM_PAGE_EXECUTE_READ);
}

static ntmm_status allocate_guarded(struct machine *m)
{
    return allocate(m, GUARDED, PAGE, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
}

static ntmm_status touch_guarded(struct machine *m) { return try_write(m, GUARDED, 1); }

static ntmm_status allocate_pierced(struct machine *m)
{
    return allocate(m, PIERCED, 16 * PAGE, NTMM_PAGE_READWRITE);
}

static ntmm_status pierce(struct machine *m)
{
    return try_free(m, PIERCED + 4 * PAGE, 8 * PAGE, NTMM_MEM_DECOMMIT);
}

static ntmm_status recommit_pierced(struct machine *m)
{
    return try_allocate(m, PIERCED, 16 * PAGE, NTMM_MEM_COMMIT, NTMM_PAGE_READONLY);
}

/* Where no region was before, and behind all those of FILLERS. */
static uint64_t next_filler(struct machine *m)
{
    return FILLERS + machine_process(m).region_count * KIB64;
}

static ntmm_status reserve_filler(struct machine *m)
{
    return try_allocate(m, next_filler(m), PAGE, NTMM_MEM_RESERVE, NTMM_PAGE_READWRITE);
}

/* Whether the slabs have a VAD and the nodes that the next filler needs. */
static bool has_room_for_filler(struct machine *m)
{
    const struct slab_class *slabs = machine_anchor(m)->slabs;
    struct call c = machine_call(m);
    struct gap_place place;
    gap_tree_locate(c.bias, &machine_object(m)->vads, next_filler(m) >> NTMM_PAGE_SHIFT, &place);
    return get64(&slabs[SLAB_VAD].partial) != 0 &&
           (gap_tree_nodes_needed(&place) == 0 || get64(&slabs[SLAB_VAD_NODE].partial) != 0);
}

/*
 * Reserve until the next one needs a frame. That is for a VAD when there are 59, of which the 56th
 * split the tree's only leaf into 28 and 28 and used up the nodes of the first slab. Later it is
 * for a node, when the leaf of the fillers has 55 again; and then for a VAD, when there are 118.
 */
static ntmm_status fill_slab(struct machine *m)
{
    ntmm_status status = NTMM_STATUS_SUCCESS;
    while (status == NTMM_STATUS_SUCCESS && has_room_for_filler(m))
        status = reserve_filler(m);
    return status;
}

static ntmm_status allocate_with_full_slab(struct machine *m)
{
    return allocate(m, FILLERS - KIB64, 8 * PAGE, NTMM_PAGE_READWRITE);
}

static ntmm_status release_middle(struct machine *m)
{
    return try_free(m, SPANS + 2 * MIB + 5 * PAGE, 7 * PAGE, NTMM_MEM_RELEASE);
}

static ntmm_status release_head(struct machine *m)
{
    return try_free(m, SPANS, 2 * MIB, NTMM_MEM_RELEASE);
}

static ntmm_status release_tail(struct machine *m)
{
    return try_free(m, SPANS + 7 * MIB, MIB, NTMM_MEM_RELEASE);
}

static ntmm_status decommit_spans(struct machine *m)
{
    return try_free(m, SPANS + 2 * MIB + 12 * PAGE, 2 * MIB, NTMM_MEM_DECOMMIT);
}

static ntmm_status create_and_end_second(struct machine *m)
{
    ntmm_handle second;
    ntmm_status status = ntmm_create_process(m->system, NULL, &second);
    if (status == NTMM_STATUS_SUCCESS)
        assert_int_equal(ntmm_end_process(m->system, second), NTMM_STATUS_SUCCESS);
    return status;
}

static ntmm_status end_first_process(struct machine *m)
{
    ntmm_status status = ntmm_end_process(m->system, m->process);
    m->process = 0;
    return status;
}

#define OK NTMM_STATUS_SUCCESS

const struct step scenario[] = {
    /* what, step, frames, commit, status */
    {"create the first process", create_first_process, 3, 3, OK},
    {"reserve: the first VAD, the first node", reserve_spans, 2, 2, OK},
    {"commit across three spans", commit_spans, 5, 514 + 5, OK},
    {"write where the table exists", write_spans, 1, 0, OK},
    {"reserve and commit", allocate_flagged, 0, 16, OK},
    {"write where only the leaf table is missing", write_flagged, 2, 1, OK},
    {"write beside it", write_flagged_again, 1, 0, OK},
    {"make touched pages inaccessible", forbid_flagged, 0, 0, OK},
    {"make them accessible", allow_flagged, 0, 0, OK},
    {"bring one back", read_flagged, 0, 0, OK},
    {"reserve and commit far away", allocate_read_only, 0, 16, OK},
    {"read where all tables are missing", read_read_only, 4, 3, OK},
    {"reserve and commit in two spans", allocate_untouched, 0, 32, OK},
    {"protect untouched pages of two spans", protect_untouched, 4, 4, OK},
    {"reserve and commit a guard page", allocate_guarded, 0, 1, OK},
    {"touch it", touch_guarded, 3, 3, NTMM_STATUS_GUARD_PAGE_VIOLATION},
    {"reserve and commit what is pierced", allocate_pierced, 0, 16, OK},
    {"decommit in its middle", pierce, 3, 3, OK},
    {"commit it anew", recommit_pierced, 0, 8, OK},
    {"release in the middle while a VAD is left", release_tail, 0, 0, OK},
    {"create and end a second process", create_and_end_second, 1, 1, OK},
    {"fill the slab of VADs", fill_slab, 0, 0, OK},
    {"release in the middle: a VAD more", release_middle, 1, 1, OK},
    {"fill the leaf of the fillers", fill_slab, 0, 0, OK},
    {"reserve: a node more", reserve_filler, 1, 1, OK},
    {"fill the slab of VADs again", fill_slab, 0, 0, OK},
    {"reserve and commit: a VAD more", allocate_with_full_slab, 1, 8 + 1, OK},
    {"release the head", release_head, 0, 0, OK},
    {"decommit", decommit_spans, 0, 0, OK},
    {"end the first process", end_first_process, 0, 0, OK},
};
const uint32_t scenario_steps = sizeof scenario / sizeof *scenario;

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash ^= value;
    hash *= 0x9E3779B97F4A7C15ull;
    return hash ^ hash >> 29;
}

static uint64_t hash_page(struct machine *m, uint64_t hash, uint64_t va)
{
    const struct ntmm_platform *platform = &m->system->platform;
    const struct ntmm_content_span span = {.frame = machine_frame(m, va), .size_bytes = PAGE};
    uint64_t words[PAGE / sizeof(uint64_t)];
    assert_int_equal(platform->read(platform->context, &span, 1, words), NTMM_STATUS_SUCCESS);
    for (uint32_t i = 0; i < PAGE / sizeof *words; i++) {
        if (words[i])
            hash = mix(mix(hash, va + i), words[i]);
    }
    return hash;
}

/* Whether a committed page has a frame: its entry is valid or in transition. */
static bool is_in_memory(struct machine *m, uint64_t va)
{
    struct call c = machine_call(m);
    struct table_span span = table_find(&c, machine_object(m), va >> NTMM_PAGE_SHIFT);
    enum pte_kind kind = span.entry ? entry_kind(&c, get64(span.entry)) : PTE_ZERO;
    return kind == PTE_VALID || kind == PTE_TRANSITION;
}

static void view_regions(struct machine *m, struct view *view)
{
    for (uint64_t va = 0; va <= NTMM_HIGHEST_USER_ADDRESS;) {
        struct ntmm_memory_basic_information q = must_query(m, va);
        uint64_t end = va + q.region_size;
        view->regions = mix(mix(mix(view->regions, va), q.allocation_base), q.region_size);
        view->regions = mix(view->regions, (uint64_t)q.state << 32 | q.protect);
        view->regions = mix(view->regions, (uint64_t)q.type << 32 | q.allocation_protect);
        for (; q.state == NTMM_MEM_COMMIT && va < end; va += PAGE) {
            if (is_in_memory(m, va))
                view->contents = hash_page(m, view->contents, va);
        }
        va = end;
    }
}

struct view scenario_view(struct machine *m)
{
    struct view view = {0};
    struct ntmm_memory_information memory = machine_memory(m);
    view.free_frames = memory.zeroed_pages + memory.free_pages;
    view.commit = memory.commit_pages;
    if (m->process == 0)
        return view;
    struct ntmm_process_information process = machine_process(m);
    view.process_commit = process.commit_pages;
    view.virtual_bytes = process.virtual_size_bytes;
    view.tables = process.table_pages;
    view.working_set = process.working_set_pages;
    view.counted_regions = process.region_count;
    view_regions(m, &view);
    return view;
}

void scenario_assert_same(const struct step *step, const struct view *before,
                          const struct view *after)
{
    const uint64_t *a = (const uint64_t *)(const void *)before;
    const uint64_t *b = (const uint64_t *)(const void *)after;
    for (size_t i = 0; i < sizeof *before / sizeof *a; i++) {
        if (a[i] != b[i])
            fail_msg("a failed step changed word %u of the view from %llx to %llx: %s", (unsigned)i,
                     (unsigned long long)a[i], (unsigned long long)b[i], step->what);
    }
}
