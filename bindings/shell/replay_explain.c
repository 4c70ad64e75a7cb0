/*
 * Everything known of one address, as a debugger's !vad, !pte and !pfn would print it.
 */
#include "replay.h"

#include <inttypes.h>

static const char *protection_name(uint32_t protect)
{
    switch (protect & 0xff) {
    case NTMM_PAGE_NOACCESS:
        return "no access";
    case NTMM_PAGE_READONLY:
        return "read-only";
    case NTMM_PAGE_READWRITE:
        return "read-write";
    case NTMM_PAGE_EXECUTE:
        return "execute";
    case NTMM_PAGE_EXECUTE_READ:
        return "execute-read";
    case NTMM_PAGE_EXECUTE_READWRITE:
        return "execute-read-write";
    default:
        return "none";
    }
}

static const char *state_name(uint32_t state)
{
    switch (state) {
    case NTMM_MEM_COMMIT:
        return "committed";
    case NTMM_MEM_RESERVE:
        return "reserved";
    case NTMM_MEM_FREE:
        return "free";
    default:
        return "committed or reserved";
    }
}

static void print_region(const struct ntmm_explanation *e, FILE *out)
{
    if (e->vad_address != 0)
        fprintf(out,
                "  region    0x%" PRIx64 "-0x%" PRIx64 ", %" PRIu64 " of %" PRIu64
                " pages committed, VAD at 0x%" PRIx64 ", made %s (0x%02" PRIx32 ")\n",
                e->vad_base, e->vad_end, e->vad_commit_pages,
                (e->vad_end - e->vad_base) >> NTMM_PAGE_SHIFT, e->vad_address,
                protection_name(e->memory.allocation_protect), e->memory.allocation_protect);
    else
        fprintf(out, "  region    none\n");
}

/* What a query says, as far as it can be known from what is in memory. */
static void print_pages(const struct ntmm_explanation *e, FILE *out)
{
    const struct ntmm_memory_basic_information *memory = &e->memory;
    if (e->is_partial && memory->region_size == 0)
        fprintf(out, "  page      0x%" PRIx64 ", %s, its protection is in a table that is out\n",
                memory->base_address, state_name(memory->state));
    else
        fprintf(out, "  pages     0x%" PRIx64 ", %s%" PRIu64 " alike, %s, %s (0x%02" PRIx32 ")\n",
                memory->base_address, e->is_partial ? "at least " : "",
                memory->region_size >> NTMM_PAGE_SHIFT, state_name(memory->state),
                protection_name(memory->protect), memory->protect);
}

/* Where the table is at which the walk ends. */
static void print_missing(const struct ntmm_explanation *e, FILE *out)
{
    const struct ntmm_frame_information *frame = &e->frame;
    if (e->missing_level == 0)
        return;
    fprintf(out, "  table     of level %" PRIu32 " is out, ", e->missing_level);
    if (!e->has_frame)
        fprintf(out, "in page file %" PRIu32 ", slot 0x%" PRIx64 "\n", e->page_file, e->slot);
    else if (frame->is_being_read)
        fprintf(out,
                "on its way from page file %" PRIu32 ", slot 0x%" PRIx64 " to frame 0x%" PRIx64
                "\n",
                frame->page_file, frame->slot, frame->frame);
    else
        fprintf(out, "in transition, in frame 0x%" PRIx64 "\n", frame->frame);
}

static void print_entries(const struct ntmm_explanation *e, FILE *out)
{
    char text[160];
    for (uint32_t level = e->levels; level >= e->stopped_level && level > 0; level--) {
        ntmm_format_entry(e->entry[level - 1], level, text, sizeof text);
        fprintf(out, "  level %-3" PRIu32 " 0x%016" PRIx64 " at 0x%" PRIx64 ": %s\n", level,
                e->entry[level - 1], e->entry_address[level - 1], text);
    }
}

static const char *owner_name(const struct replay *replay, uint32_t owner,
                              struct replay_program_name *name)
{
    for (uint32_t i = 0; i < replay->program_count; i++)
        if ((uint32_t)replay->programs[i].process == owner)
            return replay_short_name(&replay->programs[i], name);
    return "none";
}

static void print_frame(const struct replay *replay, const struct ntmm_explanation *e, FILE *out)
{
    static const char *const locations[] = {
        "zeroed list", "free list", "standby list", "modified list", "modified-no-write list",
        "bad list",    "active",    "transition"};
    static const char *const uses[] = {"nothing", "metadata", "private page", "page table",
                                       "slab",    "process",  "paging"};
    const struct ntmm_frame_information *frame = &e->frame;
    struct replay_program_name name;
    if (!e->has_frame) {
        fprintf(out, "  frame     none\n");
        return;
    }
    fprintf(out,
            "  frame     0x%" PRIx64 ": %s, %s, share count %" PRIu64 ", references %" PRIu32
            ", priority %" PRIu32 ", %s\n",
            frame->frame, locations[frame->location & 7],
            (unsigned)frame->use < sizeof uses / sizeof uses[0] ? uses[frame->use] : "unknown",
            frame->share_count, frame->reference_count, frame->priority,
            frame->is_modified ? "modified" : "clean");
    fprintf(out,
            "            mapped by the entry at 0x%" PRIx64 " in frame 0x%" PRIx64
            ", original PTE 0x%" PRIx64 "\n",
            frame->entry_address, frame->table_frame, frame->original_pte);
    fprintf(out, "  owner     %s, process index %" PRIu32 "\n",
            owner_name(replay, frame->owner, &name), frame->owner);
}

bool replay_explain(struct replay *replay, const struct replay_address *what, FILE *out,
                    struct shell_error *error)
{
    struct ntmm_explanation e;
    struct shell_status_name name;
    const struct replay_program *program = &replay->programs[what->program];
    ntmm_status status = ntmm_explain(replay->system, program->process, what->address, &e);
    if (!NTMM_SUCCEEDED(status))
        return shell_set_error(error, "ntmm: --explain %#llx: %s",
                               (unsigned long long)what->address, shell_status_name(status, &name));
    fprintf(out, "%s 0x%" PRIx64 "\n", trace_name(program->trace), what->address);
    print_region(&e, out);
    print_pages(&e, out);
    print_entries(&e, out);
    print_missing(&e, out);
    print_frame(replay, &e, out);
    fputc('\n', out);
    return true;
}
