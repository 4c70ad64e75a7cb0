/*
 * The report of `ntmm run-image`, as JSON.
 *
 *   { version, file, machine, is_dll, flags,
 *     modules: [ {name, file, base, size_bytes, status, preferred_base, header_base, base_check,
 *                 imports, import_status} ],
 *     missing: [ {name, why, importer, importers} ],
 *     regions: [ {base, bytes, type, state, protection, allocation_base, allocation_protection,
 *                 in_set_pages, private_pages, shared_pages, module, part} ],
 *     process: {commit_pages, working_set_pages, private_pages, shared_pages, table_pages,
 *               virtual_size_bytes} }
 */
#include "run_image.h"
#include "shell_json.h"

static void put_text(json_t *object, const char *name, const char *text)
{
    json_object_set_new(object, name, shell_json_string(text));
}

static json_t *module_of(const struct run_module *module)
{
    struct shell_status_name name;
    json_t *object = json_object();
    put_text(object, "name", module->name);
    put_text(object, "file", module->path);
    shell_json_put(object, "base", module->view.base);
    shell_json_put(object, "size_bytes", module->view.size_bytes);
    put_text(object, "status", shell_status_name(module->view.status, &name));
    if (module->has_headers) {
        shell_json_put(object, "preferred_base", module->in_file.base);
        shell_json_put(object, "header_base", module->in_view.base);
    }
    put_text(object, "base_check", image_base_words(module->base_state));
    shell_json_put(object, "imports", module->import_count);
    put_text(object, "import_status", shell_status_name(module->import_status, &name));
    return object;
}

static json_t *missing_of(const struct run_missing *row)
{
    json_t *object = json_object();
    put_text(object, "name", row->name);
    put_text(object, "why", row->why);
    put_text(object, "importer", row->importer);
    shell_json_put(object, "importers", row->importer_count);
    return object;
}

static json_t *region_of(const struct run_region *row)
{
    const struct ntmm_memory_basic_information *memory = &row->memory;
    struct image_words words;
    json_t *object = json_object();
    shell_json_put(object, "base", memory->base_address);
    shell_json_put(object, "bytes", memory->region_size);
    put_text(object, "type", run_kind_name(row));
    put_text(object, "state", run_state_name(memory->state));
    put_text(object, "protection", image_protect_name(memory->protect, &words));
    shell_json_put(object, "allocation_base", memory->allocation_base);
    put_text(object, "allocation_protection",
             image_protect_name(memory->allocation_protect, &words));
    shell_json_put(object, "in_set_pages", row->in_set_pages);
    shell_json_put(object, "private_pages", row->in_set_pages - row->shared_pages);
    shell_json_put(object, "shared_pages", row->shared_pages);
    if (row->module != NULL) {
        put_text(object, "module", row->module->name);
        put_text(object, "part", row->part);
    }
    return object;
}

static json_t *process_of(const struct run_image *run)
{
    uint64_t shared = 0;
    uint64_t in_set = 0;
    json_t *object = json_object();
    for (uint32_t i = 0; i < run->region_count; i++) {
        shared += run->regions[i].shared_pages;
        in_set += run->regions[i].in_set_pages;
    }
    shell_json_put(object, "commit_pages", run->process.commit_pages);
    shell_json_put(object, "working_set_pages", run->process.working_set_pages);
    shell_json_put(object, "private_pages", in_set - shared);
    shell_json_put(object, "shared_pages", shared);
    shell_json_put(object, "table_pages", run->process.table_pages);
    shell_json_put(object, "virtual_size_bytes", run->process.virtual_size_bytes);
    return object;
}

static void put_lists(const struct run_image *run, json_t *report)
{
    json_t *modules = json_array();
    json_t *missing = json_array();
    json_t *regions = json_array();
    for (uint32_t i = 0; i < run->module_count; i++)
        json_array_append_new(modules, module_of(run->modules[i]));
    for (uint32_t i = 0; i < run->missing_count; i++)
        json_array_append_new(missing, missing_of(&run->missing[i]));
    for (uint32_t i = 0; i < run->region_count; i++)
        json_array_append_new(regions, region_of(&run->regions[i]));
    json_object_set_new(report, "modules", modules);
    json_object_set_new(report, "missing", missing);
    json_object_set_new(report, "regions", regions);
}

bool run_write_json(const struct run_image *run, struct shell_error *error)
{
    const struct image_information *image = &run->modules[0]->view.information;
    struct image_words words;
    if (run->options->common.json_path == NULL)
        return true;
    json_t *report = json_object();
    put_text(report, "version", NTMM_VERSION);
    put_text(report, "file", run->options->common.path);
    put_text(report, "machine", image_machine_name(image->machine));
    json_object_set_new(report, "is_dll", json_boolean(image->characteristics & IMAGE_IS_DLL));
    put_text(report, "flags", image_flag_names(image->dll_characteristics, &words));
    put_lists(run, report);
    json_object_set_new(report, "process", process_of(run));
    return shell_write_json(report, run->options->common.json_path, error);
}
