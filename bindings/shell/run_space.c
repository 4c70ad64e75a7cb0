/*
 * The address space, region by region. See run_image.h.
 *
 *   runs of a walk   |---------|----|--------------|
 *   sections         |hdr|.text     |.rdata  |.data
 *   rows             |---|-----|----|--------|-----|     each has its pages of the working set
 */
#include "run_image.h"

#include <stdlib.h>

/* The words of NTMM_MEMORY_WORKING_SET_INFORMATION, by rising address. */
struct set {
    uint64_t *words; /* the first is their count */
    uint64_t next;   /* the first that is not counted yet */
};

static bool read_set(const struct run_image *run, struct set *set)
{
    uint64_t bytes = (run->process.working_set_pages + 1) * sizeof(uint64_t);
    set->next = 1;
    set->words = malloc(bytes);
    return set->words != NULL && NTMM_SUCCEEDED(ntmm_query_virtual_memory_class(
                                     run->machine.system, run->machine.process, 0,
                                     NTMM_MEMORY_WORKING_SET_INFORMATION, set->words, bytes, NULL));
}

/* Rows come by rising address, as the words do. */
static void count_set(struct set *set, struct run_region *region)
{
    uint64_t end = region->memory.base_address + region->memory.region_size;
    for (; set->next <= set->words[0]; set->next++) {
        uint64_t word = set->words[set->next];
        uint64_t address = word >> NTMM_WORKING_SET_PAGE_SHIFT << NTMM_WORKING_SET_PAGE_SHIFT;
        if (address >= end)
            return;
        region->in_set_pages++;
        region->shared_pages += (word & NTMM_WORKING_SET_SHARED) != 0;
    }
}

static const struct run_module *module_at(const struct run_image *run, uint64_t base)
{
    for (uint32_t i = 0; i < run->module_count; i++)
        if (run->modules[i]->view.base == base)
            return run->modules[i];
    return NULL;
}

static struct run_region *add_row(struct run_image *run)
{
    struct run_region *grown =
        realloc(run->regions, (run->region_count + 1) * sizeof *run->regions);
    if (grown == NULL)
        return NULL;
    run->regions = grown;
    return &run->regions[run->region_count++];
}

static enum run_kind kind_of(const struct run_image *run,
                             const struct ntmm_memory_basic_information *memory)
{
    if (memory->type == NTMM_MEM_IMAGE)
        return RUN_IMAGE;
    bool is_stack = run->has_stack && memory->allocation_base == run->stack.deallocation_stack;
    return is_stack ? RUN_STACK : RUN_OTHER;
}

/* A run becomes one row, or of an image one for each of its sections. */
static bool add_rows(struct run_image *run, const struct ntmm_memory_basic_information *memory,
                     struct set *set)
{
    const struct run_module *module = module_at(run, memory->allocation_base);
    uint64_t end = memory->base_address + memory->region_size;
    for (uint64_t at = memory->base_address; at < end;) {
        struct run_region *row = add_row(run);
        uint64_t stop = end;
        if (row == NULL)
            return false;
        *row = (struct run_region){.memory = *memory, .module = module, .part = ""};
        row->kind = kind_of(run, memory);
        if (module != NULL && module->has_headers) {
            uint64_t base = module->view.base;
            uint64_t next = image_next_part(&module->in_file, at - base);
            row->part = image_part_name(&module->in_file, at - base);
            if (next < stop - base && (next & (NTMM_PAGE_SIZE - 1)) == 0)
                stop = base + next;
        }
        row->memory.base_address = at;
        row->memory.region_size = stop - at;
        count_set(set, row);
        at = stop;
    }
    return true;
}

bool run_look(struct run_image *run, struct shell_error *error)
{
    const struct image_machine *m = &run->machine;
    struct ntmm_region_iterator walk;
    struct ntmm_memory_basic_information memory;
    struct set set = {0};
    bool is_good = NTMM_SUCCEEDED(ntmm_query_process(m->system, m->process, &run->process)) &&
                   read_set(run, &set);
    ntmm_begin_regions(&walk, m->process, NTMM_REGIONS_RESERVED | NTMM_REGIONS_COMMITTED);
    while (is_good && ntmm_next_region(m->system, &walk, &memory) == NTMM_STATUS_SUCCESS)
        is_good = add_rows(run, &memory, &set);
    free(set.words);
    return is_good || shell_set_error(error, "%s: its address space cannot be looked at",
                                      run->options->common.path);
}
