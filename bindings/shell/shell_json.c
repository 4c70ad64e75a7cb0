/*
 * Reports as JSON. See shell_json.h.
 */
#include "shell_json.h"

#include <errno.h>
#include <string.h>

void shell_json_put(json_t *object, const char *name, uint64_t value)
{
    json_object_set_new(object, name, json_integer((json_int_t)value));
}

json_t *shell_json_string(const char *text)
{
    char plain[256];
    json_t *string = json_string(text);
    if (string != NULL)
        return string;
    size_t length = 0;
    for (; text[length] != '\0' && length + 1 < sizeof plain; length++)
        plain[length] = (text[length] & 0x80) != 0 ? '?' : text[length];
    plain[length] = '\0';
    return json_string(plain);
}

bool shell_write_json(json_t *report, const char *path, struct shell_error *error)
{
    FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    if (file == NULL) {
        json_decref(report);
        return shell_set_error(error, "%s: cannot write: %s", path, strerror(errno));
    }
    bool is_written = json_dumpf(report, file, JSON_INDENT(2)) == 0 && fputc('\n', file) != EOF;
    json_decref(report);
    is_written = (file == stdout ? fflush(file) : fclose(file)) == 0 && is_written;
    return is_written || shell_set_error(error, "%s: cannot write: %s", path, strerror(errno));
}
