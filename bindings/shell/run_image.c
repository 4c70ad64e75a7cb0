/*
 * The program and the DLLs that it imports. See run_image.h.
 */
#include "run_image.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DESCRIPTOR_BYTES 20u /* of an import */
#define IMPORTS_MAX 4096u
#define MODULES_MAX 4096u

/* --- lists --- */

static bool is_loaded(const struct run_image *run, const char *name)
{
    for (uint32_t i = 0; i < run->module_count; i++)
        if (strcasecmp(run->modules[i]->name, name) == 0)
            return true;
    return false;
}

static struct run_missing *find_missing(const struct run_image *run, const char *name)
{
    for (uint32_t i = 0; i < run->missing_count; i++)
        if (strcasecmp(run->missing[i].name, name) == 0)
            return &run->missing[i];
    return NULL;
}

static void add_missing(struct run_image *run, const char *name, const char *why,
                        const char *importer)
{
    struct run_missing *grown =
        realloc(run->missing, (run->missing_count + 1) * sizeof *run->missing);
    if (grown == NULL)
        return;
    run->missing = grown;
    struct run_missing *row = &run->missing[run->missing_count++];
    *row = (struct run_missing){.importer_count = 1};
    snprintf(row->name, sizeof row->name, "%s", name);
    snprintf(row->why, sizeof row->why, "%s", why);
    snprintf(row->importer, sizeof row->importer, "%s", importer);
}

static void free_module(struct run_module *module)
{
    if (module == NULL)
        return;
    image_view_free(&module->view);
    free(module->path);
    free(module);
}

/* The module with its path, at the end of the list; NULL: no memory. Takes the path. */
static struct run_module *add_module(struct run_image *run, char *path, const char *name)
{
    struct run_module **grown =
        realloc(run->modules, (run->module_count + 1) * sizeof(struct run_module *));
    struct run_module *module = calloc(1, sizeof *module);
    if (grown != NULL)
        run->modules = grown;
    if (grown == NULL || module == NULL || path == NULL) {
        free(module);
        free(path);
        return NULL;
    }
    module->path = path;
    snprintf(module->name, sizeof module->name, "%s", name);
    run->modules[run->module_count++] = module;
    return module;
}

static void drop_last_module(struct run_image *run)
{
    free_module(run->modules[--run->module_count]);
}

/* --- mapping --- */

static void take_headers(struct run_image *run, const struct image_file *file,
                         struct run_module *module)
{
    struct image_machine *m = &run->machine;
    module->has_headers = image_header_of_file(m, file, &module->in_file) &&
                          image_header_of_view(m, module->view.base, &module->in_view);
    module->base_state =
        image_check_base(&module->view, module->has_headers ? &module->in_view : NULL);
}

/* The process comes with the first image: the program says what it is to be. */
static ntmm_status map_image(struct run_image *run, const struct image_file *file,
                             struct run_module *module, struct shell_error *error)
{
    struct image_machine *m = &run->machine;
    ntmm_handle section;
    ntmm_status status = image_section_make(m, file, NTMM_SEC_IMAGE, &section, &module->view);
    if (!NTMM_SUCCEEDED(status))
        return status;
    bool is_first = m->process == 0;
    bool is_fit =
        is_first ? image_machine_make_process(m, &module->view.information, error)
                 : module->view.information.machine == run->modules[0]->view.information.machine;
    if (!is_fit) {
        status = ntmm_close_section(m->system, section);
        return is_first ? NTMM_STATUS_NO_MEMORY : NTMM_STATUS_IMAGE_MACHINE_TYPE_MISMATCH;
    }
    status = image_section_map(m, section, &module->view);
    if (NTMM_SUCCEEDED(status))
        take_headers(run, file, module);
    return status;
}

static bool is_mapped(ntmm_status status)
{
    return NTMM_SUCCEEDED(status) && status != NTMM_STATUS_IMAGE_MACHINE_TYPE_MISMATCH;
}

/* Loads a file as the last module; what fails leaves none, and says why. */
static bool load(struct run_image *run, char *path, const char *name, ntmm_status *status,
                 struct shell_error *error)
{
    struct image_file file = {0};
    struct shell_status_name text;
    struct run_module *module = add_module(run, path, name);
    *status = NTMM_STATUS_INSUFFICIENT_RESOURCES;
    if (module == NULL)
        return shell_set_error(error, "ntmm: no memory for %s", name);
    bool is_open = image_file_open(&run->machine, path, &file, error);
    if (is_open) {
        *status = map_image(run, &file, module, error);
        image_file_close(&run->machine, &file);
        if (is_mapped(*status))
            return true;
        shell_set_error(error, "%s: cannot be mapped as an image: %s", path,
                        shell_status_name(*status, &text));
    }
    drop_last_module(run);
    return false;
}

/* --- imports --- */

static ntmm_status read_memory(const struct run_image *run, uint64_t address, void *buffer,
                               uint64_t size)
{
    return ntmm_read_virtual_memory(run->machine.system, run->machine.process, address, buffer,
                                    size, NULL);
}

/* Byte by byte: what follows a name may not be there. */
static ntmm_status read_name(const struct run_image *run, uint64_t address, char *name)
{
    ntmm_status status = NTMM_STATUS_SUCCESS;
    for (uint32_t i = 0; i < RUN_NAME_MAX; i++) {
        status = read_memory(run, address + i, &name[i], 1);
        if (!NTMM_SUCCEEDED(status) || name[i] == '\0')
            return status;
        if (name[i] < ' ' || name[i] > '~')
            name[i] = '?';
    }
    return NTMM_STATUS_INVALID_IMAGE_FORMAT;
}

/* Shortage of the machine ends the command; anything else is a row of the report. */
static bool is_shortage(ntmm_status status)
{
    return status == NTMM_STATUS_NO_MEMORY || status == NTMM_STATUS_COMMITMENT_LIMIT ||
           status == NTMM_STATUS_INSUFFICIENT_RESOURCES;
}

/* The first file of the name that can be loaded, of the program's folder and the others. */
static bool look_for(struct run_image *run, const char *name, const char *importer,
                     struct shell_error *error)
{
    const struct run_options *options = run->options;
    struct shell_status_name why = {"not found"};
    for (uint32_t i = 0; i <= options->folder_count; i++) {
        ntmm_status status;
        char *own = i == 0 ? run_folder_of(options->common.path) : NULL;
        char *path =
            run_find_in(i == 0 ? (own != NULL ? own : ".") : options->folders[i - 1], name);
        free(own);
        if (path == NULL)
            continue;
        if (load(run, path, name, &status, error))
            return true;
        if (is_shortage(status))
            return shell_set_error(error, "%s: %s; see --ram", name,
                                   shell_status_name(status, &why));
        shell_status_name(status, &why);
    }
    add_missing(run, name, why.text, importer);
    return true;
}

static bool import(struct run_image *run, const char *name, const char *importer,
                   struct shell_error *error)
{
    struct run_missing *missing = find_missing(run, name);
    if (missing != NULL)
        missing->importer_count++;
    if (missing != NULL || is_loaded(run, name))
        return true;
    if (strpbrk(name, "/\\:") != NULL || name[0] == '\0' || run->module_count == MODULES_MAX) {
        add_missing(run, name, "not a name of a file", importer);
        return true;
    }
    return look_for(run, name, importer, error);
}

static uint32_t word_at(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static bool load_imports(struct run_image *run, struct run_module *module,
                         struct shell_error *error)
{
    uint64_t base = module->view.base;
    uint64_t at = base + module->in_view.import_rva;
    if (!module->has_headers || module->in_view.import_rva == 0)
        return true;
    for (uint32_t i = 0; i < IMPORTS_MAX; i++, at += DESCRIPTOR_BYTES) {
        uint8_t row[DESCRIPTOR_BYTES];
        char name[RUN_NAME_MAX];
        module->import_status = read_memory(run, at, row, sizeof row);
        if (!NTMM_SUCCEEDED(module->import_status) || word_at(row + 12) == 0 ||
            word_at(row + 16) == 0)
            return true;
        module->import_status = read_name(run, base + word_at(row + 12), name);
        if (!NTMM_SUCCEEDED(module->import_status))
            return true;
        module->import_count++;
        if (!import(run, name, module->name, error))
            return false;
    }
    return true;
}

/* --- the whole --- */

/* The first thread of a program has a stack of the sizes that its headers ask for. */
static bool make_stack(struct run_image *run, struct shell_error *error)
{
    const struct image_information *image = &run->modules[0]->view.information;
    struct ntmm_stack_request request = {
        .commit = image->committed_stack_bytes,
        .reserve = image->maximum_stack_bytes,
        .commit_alignment = NTMM_PAGE_SIZE,
        .reserve_alignment = NTMM_ALLOCATION_GRANULARITY,
    };
    struct shell_status_name name;
    if (image->characteristics & IMAGE_IS_DLL)
        return true;
    ntmm_status status =
        ntmm_create_user_stack(run->machine.system, run->machine.process, &request, &run->stack);
    run->has_stack = NTMM_SUCCEEDED(status);
    return run->has_stack ||
           shell_set_error(error, "%s: no stack for its first thread: %s",
                           run->options->common.path, shell_status_name(status, &name));
}

bool run_begin(struct run_image *run, const struct run_options *options, struct shell_error *error)
{
    const char *slash = strrchr(options->common.path, '/');
    ntmm_status status;
    *run = (struct run_image){.options = options};
    if (!image_machine_make(&run->machine, options->common.ram_bytes, options->common.seed, error))
        return false;
    if (!load(run, strdup(options->common.path), slash != NULL ? slash + 1 : options->common.path,
              &status, error) ||
        !make_stack(run, error))
        return false;
    for (uint32_t i = 0; i < run->module_count; i++)
        if (!load_imports(run, run->modules[i], error))
            return false;
    return run_look(run, error);
}

int run_end(struct run_image *run)
{
    int status = SHELL_OK;
    for (uint32_t i = 0; i < run->module_count; i++) {
        if (run->modules[i]->base_state == IMAGE_BASE_IS_WRONG)
            status = SHELL_WRONG;
        free_module(run->modules[i]);
    }
    free(run->modules);
    free(run->missing);
    free(run->regions);
    int ended = image_machine_end(&run->machine);
    return status != SHELL_OK ? status : ended;
}
