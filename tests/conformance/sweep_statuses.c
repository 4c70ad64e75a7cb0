/* See sweep_statuses.h. */
#include "conformance/sweep_statuses.h"

#include "conformance/sweep_events.h"
#include "model/words.h"

#include <stdio.h>
#include <string.h>

static const char *const SHORTAGES[] = {
    "NO_MEMORY",     "COMMITMENT_LIMIT", "INSUFFICIENT_RESOURCES",
    "IN_PAGE_ERROR", "PARTIAL_COPY",     "WORKING_SET_QUOTA",
};

bool sweep_statuses_read(struct sweep_statuses *statuses, const char *path)
{
    FILE *file = fopen(path, "r");
    size_t size;

    if (!file) {
        return false;
    }
    size = fread(statuses->text, 1, sizeof(statuses->text) - 1, file);
    statuses->text[size] = 0;
    fclose(file);
    return size > 0;
}

static bool has_word(const char *line, const char *word)
{
    size_t length = strlen(word);
    size_t end = strcspn(line, "\n");

    for (const char *at = strstr(line, word); at && at < line + end; at = strstr(at + 1, word)) {
        if (at[-1] == ' ' && at[length] == ' ') {
            return true;
        }
    }
    return false;
}

/* The line of a verb. */
static const char *find_line(const struct sweep_statuses *statuses, const char *verb)
{
    size_t length = strlen(verb);

    for (const char *line = statuses->text; *line; line += strcspn(line, "\n") + 1) {
        if (!strncmp(line + 1, verb, length) && line[1 + length] == ' ') {
            return line + length;
        }
    }
    return NULL;
}

bool sweep_statuses_allow(const struct sweep_statuses *statuses, const char *verb,
                          const char *status)
{
    const char *line = find_line(statuses, verb);
    char failure[WORD_SIZE];

    if (!line) {
        return false;
    }
    if (!strcmp(status, words_of_status(failure, SWEEP_FAILURE))) {
        return has_word(line, "device");
    }
    for (unsigned i = 0; i < sizeof(SHORTAGES) / sizeof(SHORTAGES[0]); i++) {
        if (!strcmp(status, SHORTAGES[i])) {
            return has_word(line, status);
        }
    }
    return false;
}

uint32_t sweep_status_of(const char *actual)
{
    char word[WORD_SIZE];
    size_t length = strcspn(actual, " ");
    uint64_t value;

    if (length >= sizeof(word)) {
        return 0;
    }
    memcpy(word, actual, length);
    word[length] = 0;
    return words_parse_status(word, &value) ? (uint32_t)value : 0;
}
