/*
 * Names of what a view has, and words of the command line. See image_machine.h.
 */
#include "image_machine.h"

#include <string.h>

static int parse_ram(const char *text, uint64_t *bytes)
{
    if (!shell_parse_size(text, bytes))
        return shell_refuse("--ram %s: not a size such as 64M or 1G", text);
    if (*bytes == 0 || *bytes % NTMM_PAGE_SIZE != 0)
        return shell_refuse("--ram %s: not a positive multiple of 4 KiB", text);
    return SHELL_OK;
}

int image_take_option(int option, const char *argument, struct image_options *options)
{
    switch (option) {
    case 'r':
        return parse_ram(argument, &options->ram_bytes);
    case 's':
        return shell_parse_number(argument, &options->seed)
                   ? SHELL_OK
                   : shell_refuse("--seed %s: not a number", argument);
    case 'j':
        options->json_path = argument;
        return SHELL_OK;
    default:
        return SHELL_USAGE;
    }
}

int image_finish(bool is_good, int ended, const struct shell_error *error)
{
    int status = is_good ? shell_finish_output() : shell_report(error);
    bool ended_matters = is_good ? ended != SHELL_OK : ended == SHELL_WRONG;
    return ended_matters ? ended : status;
}

FILE *image_text_output(const char *json_path)
{
    return json_path != NULL && strcmp(json_path, "-") == 0 ? stderr : stdout;
}

static const char *base_protect_name(uint32_t protect)
{
    switch (protect & 0xFF) {
    case NTMM_PAGE_NOACCESS:
        return "NOACCESS";
    case NTMM_PAGE_READONLY:
        return "READONLY";
    case NTMM_PAGE_READWRITE:
        return "READWRITE";
    case NTMM_PAGE_WRITECOPY:
        return "WRITECOPY";
    case NTMM_PAGE_EXECUTE:
        return "EXECUTE";
    case NTMM_PAGE_EXECUTE_READ:
        return "EXECUTE_READ";
    case NTMM_PAGE_EXECUTE_READWRITE:
        return "EXECUTE_READWRITE";
    case NTMM_PAGE_EXECUTE_WRITECOPY:
        return "EXECUTE_WRITECOPY";
    default:
        return "-";
    }
}

const char *image_protect_name(uint32_t protect, struct image_words *words)
{
    snprintf(words->text, sizeof words->text, "%s%s%s%s", base_protect_name(protect),
             protect & NTMM_PAGE_GUARD ? "+GUARD" : "",
             protect & NTMM_PAGE_NOCACHE ? "+NOCACHE" : "",
             protect & NTMM_PAGE_WRITECOMBINE ? "+WRITECOMBINE" : "");
    return words->text;
}

const char *image_machine_name(uint16_t machine)
{
    switch (machine) {
    case IMAGE_MACHINE_I386:
        return "I386";
    case IMAGE_MACHINE_AMD64:
        return "AMD64";
    default:
        return "another machine";
    }
}

const char *image_subsystem_name(uint32_t subsystem)
{
    static const char *const names[] = {"unknown", "native", "windows", "console"};
    return subsystem < sizeof names / sizeof names[0] ? names[subsystem] : "another subsystem";
}

const char *image_flag_names(uint16_t dll_characteristics, struct image_words *words)
{
    unsigned bits = dll_characteristics;
    int length = snprintf(words->text, sizeof words->text, "%s%s%s%s%s",
                          bits & IMAGE_DYNAMIC_BASE ? "DYNAMIC_BASE " : "",
                          bits & IMAGE_HIGH_ENTROPY_VA ? "HIGH_ENTROPY_VA " : "",
                          bits & IMAGE_NX_COMPAT ? "NX_COMPAT " : "",
                          bits & IMAGE_GUARD_CF ? "GUARD_CF " : "",
                          bits & IMAGE_FORCE_INTEGRITY ? "FORCE_INTEGRITY " : "");
    if (length == 0)
        return "none";
    words->text[length - 1] = '\0';
    return words->text;
}

const char *image_base_words(enum image_base_state state)
{
    switch (state) {
    case IMAGE_AT_HEADER_BASE:
        return "its headers show the base at which it lies";
    case IMAGE_NOT_AT_BASE:
        return "IMAGE_NOT_AT_BASE: its headers show another base";
    case IMAGE_BASE_NOT_IN_VIEW:
        return "its headers cannot be read in the view";
    case IMAGE_BASE_IS_WRONG:
        return "WRONG: its headers do not fit the status of mapping it";
    }
    return "";
}
