/*
 * How the command speaks and reads numbers. See shell.h.
 */
#include "shell.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

bool shell_set_error(struct shell_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return false;
}

int shell_report(const struct shell_error *error)
{
    fprintf(stderr, "%s\n", error->text);
    return SHELL_USAGE;
}

int shell_refuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("ntmm: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return SHELL_USAGE;
}

int shell_finish_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return SHELL_OK;
    return shell_refuse("cannot write standard output: %s", strerror(errno));
}

/* strtoull takes signs and blanks, which a number of ours does not have. */
static bool parse_digits(const char *text, uint64_t *number, const char **end)
{
    char *stop;
    if (text[0] < '0' || text[0] > '9')
        return false;
    int base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
    errno = 0;
    *number = strtoull(text, &stop, base);
    *end = stop;
    return errno == 0 && stop != text;
}

bool shell_parse_number(const char *text, uint64_t *number)
{
    const char *end;
    return parse_digits(text, number, &end) && *end == '\0';
}

bool shell_parse_size(const char *text, uint64_t *bytes)
{
    static const char units[] = "KMGT";
    const char *end;
    uint64_t number;
    if (!parse_digits(text, &number, &end))
        return false;
    if (*end != '\0') {
        const char *unit = strchr(units, *end & ~0x20);
        unsigned shift = unit != NULL ? 10u * (unsigned)(unit - units + 1) : 0;
        if (shift == 0 || end[1] != '\0' || number > UINT64_MAX >> shift)
            return false;
        number <<= shift;
    }
    *bytes = number;
    return true;
}

const char *shell_group_digits(uint64_t number, struct shell_digits *digits)
{
    char plain[24];
    int length = snprintf(plain, sizeof plain, "%" PRIu64, number);
    char *out = digits->text;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *out++ = ',';
        *out++ = plain[i];
    }
    *out = '\0';
    return digits->text;
}
