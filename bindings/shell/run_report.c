/*
 * What `ntmm run-image` prints.
 */
#include "run_image.h"

#include <inttypes.h>

#define KIB_PER_PAGE (NTMM_PAGE_SIZE / 1024)

const char *run_kind_name(const struct run_region *region)
{
    switch (region->kind) {
    case RUN_IMAGE:
        return "image";
    case RUN_STACK:
        return "stack";
    case RUN_OTHER:
    case RUN_KINDS:
        break;
    }
    return region->memory.type == NTMM_MEM_MAPPED ? "mapped" : "private";
}

const char *run_state_name(uint32_t state)
{
    return state == NTMM_MEM_COMMIT ? "commit" : state == NTMM_MEM_RESERVE ? "reserve" : "free";
}

static const char *layout_name(const struct image_information *image)
{
    bool is_aware = (image->characteristics & IMAGE_LARGE_ADDRESS_AWARE) != 0;
    bool is_dll = (image->characteristics & IMAGE_IS_DLL) != 0;
    if (image->machine == IMAGE_MACHINE_I386)
        return is_aware ? "32 bits (WoW64, addresses to 4 GiB)"
                        : "32 bits (WoW64, addresses to 2 GiB)";
    return is_aware || is_dll ? "64 bits" : "64 bits, addresses to 2 GiB";
}

static void print_head(const struct run_image *run, FILE *out)
{
    const struct run_module *program = run->modules[0];
    const struct image_information *image = &program->view.information;
    struct image_words words;
    fprintf(out, "%s: %s %s, process of %s\n", program->path, image_machine_name(image->machine),
            image->characteristics & IMAGE_IS_DLL ? "DLL" : "program", layout_name(image));
    fprintf(out, "flags: %s\n", image_flag_names(image->dll_characteristics, &words));
    fprintf(out, "modules: %" PRIu32 " mapped, %" PRIu32 " not; nothing was executed\n",
            run->module_count, run->missing_count);
}

static void print_module(const struct run_module *module, FILE *out)
{
    const struct image_view *view = &module->view;
    struct shell_digits digits;
    struct shell_status_name name;
    fprintf(out, "  %012" PRIx64 " %10s  %-28s", view->base,
            shell_group_digits(view->size_bytes / 1024, &digits), module->name);
    if (module->has_headers)
        fprintf(out, "  %012" PRIx64, module->in_file.base);
    else
        fprintf(out, "  %12s", "-");
    fprintf(out, "  %7" PRIu32 "  %s\n", module->import_count, module->path);
    if (module->base_state != IMAGE_AT_HEADER_BASE)
        fprintf(out, "               %s\n", image_base_words(module->base_state));
    if (!NTMM_SUCCEEDED(module->import_status))
        fprintf(out, "               its imports end early: %s\n",
                shell_status_name(module->import_status, &name));
}

static void print_modules(const struct run_image *run, FILE *out)
{
    uint32_t at_base = 0;
    fprintf(out, "\n  %-12s %10s  %-28s  %-12s  %7s  %s\n", "base", "KiB", "module", "preferred",
            "imports", "file");
    for (uint32_t i = 0; i < run->module_count; i++) {
        at_base += run->modules[i]->base_state == IMAGE_AT_HEADER_BASE;
        print_module(run->modules[i], out);
    }
    fprintf(out, "  headers show the base at which the module lies: %" PRIu32 " of %" PRIu32 "\n",
            at_base, run->module_count);
}

static void print_missing(const struct run_image *run, FILE *out)
{
    if (run->missing_count == 0)
        return;
    fputs("\n  not mapped                    why, imported by\n", out);
    for (uint32_t i = 0; i < run->missing_count; i++) {
        const struct run_missing *row = &run->missing[i];
        fprintf(out, "  %-28s  %s, %s", row->name, row->why, row->importer);
        if (row->importer_count > 1)
            fprintf(out, " and %" PRIu32 " more", row->importer_count - 1);
        fputc('\n', out);
    }
}

static void print_region(const struct run_region *row, FILE *out)
{
    const struct ntmm_memory_basic_information *memory = &row->memory;
    uint64_t pages = memory->region_size >> NTMM_PAGE_SHIFT;
    struct image_words words;
    fprintf(out,
            "  %012" PRIx64 "-%012" PRIx64 " %-7s %-7s %-17s %8" PRIu64 " %8" PRIu64 " %6" PRIu64
            " %6" PRIu64 " %6" PRIu64,
            memory->base_address, memory->base_address + memory->region_size, run_kind_name(row),
            run_state_name(memory->state), image_protect_name(memory->protect, &words), pages,
            memory->state == NTMM_MEM_COMMIT ? pages : 0, row->in_set_pages,
            row->in_set_pages - row->shared_pages, row->shared_pages);
    if (row->module != NULL)
        fprintf(out, "  %s %s", row->module->name, row->part);
    fputc('\n', out);
}

static void print_space(const struct run_image *run, FILE *out)
{
    fprintf(out, "\n  %-25s %-7s %-7s %-17s %8s %8s %6s %6s %6s  %s\n", "region (sizes in pages)",
            "type", "state", "protection", "size", "commit", "in set", "priv.", "shared",
            "module and section");
    for (uint32_t i = 0; i < run->region_count; i++)
        print_region(&run->regions[i], out);
}

struct sum {
    uint64_t size, commit, in_set, shared;
};

static void add_to(struct sum *sum, const struct run_region *row)
{
    uint64_t pages = row->memory.region_size >> NTMM_PAGE_SHIFT;
    sum->size += pages;
    sum->commit += row->memory.state == NTMM_MEM_COMMIT ? pages : 0;
    sum->in_set += row->in_set_pages;
    sum->shared += row->shared_pages;
}

static void print_sum(const char *name, const struct sum *sum, FILE *out)
{
    fprintf(out, "  %-8s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64 "\n",
            name, sum->size * KIB_PER_PAGE, sum->commit * KIB_PER_PAGE, sum->in_set * KIB_PER_PAGE,
            (sum->in_set - sum->shared) * KIB_PER_PAGE, sum->shared * KIB_PER_PAGE);
}

static void print_totals(const struct run_image *run, FILE *out)
{
    static const char *const names[RUN_KINDS] = {"image", "stack", "other"};
    struct sum sums[RUN_KINDS] = {0};
    struct sum total = {0};
    struct shell_digits digits;
    for (uint32_t i = 0; i < run->region_count; i++) {
        add_to(&sums[run->regions[i].kind], &run->regions[i]);
        add_to(&total, &run->regions[i]);
    }
    fprintf(out, "\n  %-8s %10s %10s %10s %10s %10s\n", "KiB", "size", "committed", "in set",
            "private", "shared");
    for (unsigned kind = 0; kind < RUN_KINDS; kind++)
        if (sums[kind].size != 0)
            print_sum(names[kind], &sums[kind], out);
    print_sum("all", &total, out);
    fprintf(out, "  commit charge: %s pages; ",
            shell_group_digits(run->process.commit_pages, &digits));
    fprintf(out, "page tables: %s pages\n", shell_group_digits(run->process.table_pages, &digits));
}

void run_print(const struct run_image *run, FILE *out)
{
    print_head(run, out);
    print_modules(run, out);
    print_missing(run, out);
    print_space(run, out);
    print_totals(run, out);
}
