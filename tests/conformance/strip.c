#include "conformance/strip.h"

#include "model/words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *letter_of(uint32_t state, uint32_t protect)
{
    if (state == MEM_RESERVE) {
        return protect ? "?" : "-";
    }
    switch (protect & 0xFFu) {
    case PAGE_NOACCESS:
        return "n";
    case PAGE_READONLY:
        return "r";
    case PAGE_READWRITE:
        return "w";
    case PAGE_WRITECOPY:
        return "c";
    case PAGE_EXECUTE_WRITECOPY:
        return "k";
    case PAGE_EXECUTE:
        return "x";
    case PAGE_EXECUTE_READ:
        return "e";
    case PAGE_EXECUTE_READWRITE:
        return "f";
    default:
        return "?";
    }
}

static void append(char text[STRIP_SIZE], const char *more)
{
    size_t length = strlen(text);

    if (length + strlen(more) < STRIP_SIZE) {
        strcpy(text + length, more);
    }
}

static void append_region(char text[STRIP_SIZE], const struct model_memory *memory)
{
    char word[WORD_SIZE];

    append(text, text[0] ? "\n" : "");
    append(text, words_of_number(word, memory->allocation_base));
    append(text, " ");
    append(text, words_of_protect(word, memory->allocation_protect));
    append(text, memory->type == MEM_MAPPED ? " mapped" : "");
    append(text, memory->type == MEM_IMAGE ? " image" : "");
}

static void append_run(char text[STRIP_SIZE], const struct model_memory *memory)
{
    char run[64];
    uint64_t pages = memory->size_bytes / MODEL_PAGE_SIZE;

    snprintf(run, sizeof(run), pages < 0x10000 ? " %s%s%s%s*%" PRIu64 : " %s%s%s%s*0x%" PRIX64,
             letter_of(memory->state, memory->protect), memory->protect & PAGE_GUARD ? "!" : "",
             memory->protect & PAGE_NOCACHE ? "~" : "",
             memory->protect & PAGE_WRITECOMBINE ? "+" : "", pages);
    append(text, run);
}

void strip_draw(const struct subject *subject, void *self, enum caller who, char text[STRIP_SIZE])
{
    uint64_t region = 0;
    struct model_memory memory;

    text[0] = 0;
    for (uint64_t at = 0; at <= HIGHEST_VAD_ADDRESS; at += memory.size_bytes) {
        if (subject->query(self, who, at, &memory) != NTMM_STATUS_SUCCESS || memory.base != at ||
            memory.size_bytes == 0 || memory.size_bytes > USER_PROBE_ADDRESS - at) {
            append(text, "broken: a query does not describe the page asked for");
            return;
        }
        if (memory.state == MEM_FREE) {
            continue;
        }
        if (memory.allocation_base != region) {
            append_region(text, &memory);
            region = memory.allocation_base;
        }
        append_run(text, &memory);
    }
    append(text, text[0] ? "" : "none");
}
