/*
 * The machine of `ntmm map` and `ntmm run-image`, and host files in it. See image_machine.h.
 */
#include "image_machine.h"

#include <stdlib.h>

bool image_machine_make(struct image_machine *m, uint64_t ram_bytes, uint64_t seed,
                        struct shell_error *error)
{
    struct ntmm_emulated_config machine = {
        .size = sizeof machine,
        .version = NTMM_EMULATED_CONFIG_VERSION,
        .ram_bytes = ram_bytes,
        .seed = seed,
    };
    struct ntmm_config config = {.size = sizeof config, .version = NTMM_CONFIG_VERSION};
    struct shell_status_name name;
    *m = (struct image_machine){0};
    ntmm_status status = ntmm_emulated_create(&machine, &m->emu);
    if (NTMM_SUCCEEDED(status))
        status = ntmm_emulated_create_system(m->emu, &config, &m->system);
    return NTMM_SUCCEEDED(status) ||
           shell_set_error(error, "ntmm: cannot make a machine of %llu bytes: %s; see --ram",
                           (unsigned long long)ram_bytes, shell_status_name(status, &name));
}

static uint32_t layout_of(const struct image_information *image)
{
    bool is_aware = (image->characteristics & IMAGE_LARGE_ADDRESS_AWARE) != 0;
    if (image->machine == IMAGE_MACHINE_I386)
        return NTMM_PROCESS_RANDOM_LAYOUT | NTMM_PROCESS_WOW64 |
               (is_aware ? NTMM_PROCESS_LARGE_ADDRESS_AWARE : 0);
    bool is_small =
        image->machine != 0 && !is_aware && (image->characteristics & IMAGE_IS_DLL) == 0;
    bool is_high = (image->dll_characteristics & IMAGE_HIGH_ENTROPY_VA) != 0;
    return NTMM_PROCESS_RANDOM_LAYOUT | (is_small ? NTMM_PROCESS_NOT_LARGE_ADDRESS_AWARE : 0) |
           (is_high && !is_small ? NTMM_PROCESS_HIGH_ENTROPY : 0);
}

bool image_machine_make_process(struct image_machine *m, const struct image_information *image,
                                struct shell_error *error)
{
    struct ntmm_process_config config = {
        .size = sizeof config, .version = NTMM_PROCESS_CONFIG_VERSION, .flags = layout_of(image)};
    struct shell_status_name name;
    ntmm_status status = ntmm_create_process(m->system, &config, &m->process);
    return NTMM_SUCCEEDED(status) || shell_set_error(error, "ntmm: cannot make a process: %s",
                                                     shell_status_name(status, &name));
}

/* --- the end --- */

static int report_broken(const struct ntmm_check_report *report)
{
    fprintf(stderr, "ntmm: invariant %s is broken: object %#llx, expected %llu, found %llu\n",
            report->invariant, (unsigned long long)report->object,
            (unsigned long long)report->expected, (unsigned long long)report->found);
    return SHELL_WRONG;
}

static int check(const struct image_machine *m)
{
    struct ntmm_check_report report = {.invariant = ""};
    size_t size = ntmm_check_scratch_size(m->system);
    void *scratch = malloc(size);
    if (scratch == NULL)
        return shell_refuse("no memory for the checker");
    ntmm_status status = ntmm_check(m->system, scratch, size, &report);
    free(scratch);
    return NTMM_SUCCEEDED(status) ? SHELL_OK : report_broken(&report);
}

static int check_teardown(const struct ntmm_teardown *t)
{
    if ((t->lost_pages | t->outstanding_commit | t->live_objects | t->waiters | t->transfers) == 0)
        return SHELL_OK;
    fprintf(stderr, "ntmm: left behind: %llu pages, %llu pages of commit, %llu objects\n",
            (unsigned long long)t->lost_pages, (unsigned long long)t->outstanding_commit,
            (unsigned long long)t->live_objects);
    return SHELL_WRONG;
}

int image_machine_end(struct image_machine *m)
{
    struct ntmm_teardown teardown;
    int status = SHELL_OK;
    if (m->emu == NULL)
        return SHELL_OK;
    if (m->system != NULL)
        status = check(m);
    if (m->process != 0 && !NTMM_SUCCEEDED(ntmm_end_process(m->system, m->process)))
        status = SHELL_WRONG;
    ntmm_emulated_destroy(m->emu, &teardown);
    *m = (struct image_machine){0};
    return status != SHELL_OK ? status : check_teardown(&teardown);
}

/* --- files --- */

bool image_file_open(struct image_machine *m, const char *path, struct image_file *file,
                     struct shell_error *error)
{
    struct ntmm_emulated_file_config host = {
        .size = sizeof host,
        .version = NTMM_EMULATED_FILE_VERSION,
        .path = path,
        .flags = NTMM_EMULATED_FILE_READ_ONLY,
    };
    struct ntmm_file_config config = {.size = sizeof config, .version = NTMM_FILE_CONFIG_VERSION};
    struct shell_status_name name;
    ntmm_status status = ntmm_emulated_add_file(m->emu, &host, &config.device, &config.size_bytes);
    config.valid_bytes = config.size_bytes;
    if (NTMM_SUCCEEDED(status))
        status = ntmm_create_file(m->system, &config, NTMM_FILE_READ_DATA | NTMM_FILE_EXECUTE,
                                  &file->file);
    file->size_bytes = config.size_bytes;
    return NTMM_SUCCEEDED(status) ||
           shell_set_error(error, "%s: cannot open: %s", path, shell_status_name(status, &name));
}

void image_file_close(struct image_machine *m, struct image_file *file)
{
    if (file->file != 0 && !NTMM_SUCCEEDED(ntmm_close_file(m->system, file->file)))
        fputs("ntmm: a file that was only read could not be closed\n", stderr);
    file->file = 0;
}
