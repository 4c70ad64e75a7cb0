/*
 * An entry as text: its kind, then each field that is not zero, under the names of the format's
 * table.
 *
 *   0x8000000000123867 at level 1 -> "valid Dirty1 Owner Accessed Dirty Write PageFrameNumber=0x123
 *   ..."
 */
#include "phys/slots.h"

#include <ntmm/inspect.h>

struct text {
    char *buffer;
    size_t size;
    size_t length; /* of the whole text, cut or not */
};

static void put_char(struct text *t, char ch)
{
    if (t->length + 1 < t->size)
        t->buffer[t->length] = ch;
    t->length++;
}

static void put_text(struct text *t, const char *s)
{
    while (*s)
        put_char(t, *s++);
}

static void put_hex(struct text *t, uint64_t value)
{
    put_text(t, "0x");
    unsigned shift = 60;
    while (shift > 0 && value >> shift == 0)
        shift -= 4;
    for (;; shift -= 4) {
        put_char(t, "0123456789abcdef"[value >> shift & 15]);
        if (shift == 0)
            return;
    }
}

static enum x64_format format_of(enum pte_kind kind)
{
    switch (kind) {
    case PTE_VALID:
        return X64_FORMAT_HW;
    case PTE_LARGE:
        return X64_FORMAT_HWL;
    case PTE_TRANSITION:
        return X64_FORMAT_TR;
    case PTE_PROTOTYPE:
        return X64_FORMAT_PROTO;
    case PTE_ZERO:
    case PTE_DEMAND_ZERO:
    case PTE_DECOMMITTED:
    case PTE_NO_ACCESS:
    case PTE_PAGEFILE:
        break;
    }
    return X64_FORMAT_SW;
}

/* Where the page lies: its file and slot, which need no field of their own then. */
static void put_slot(struct text *t, uint64_t entry)
{
    uint32_t file = (uint32_t)field_get(entry, SW_PAGEFILE_LOW); /* of at most 16 */
    put_text(t, file < 10 ? " " : " 1");
    put_char(t, "0123456789"[file < 10 ? file : file - 10]);
    put_text(t, " slot ");
    put_hex(t, field_get(entry, SW_PAGEFILE_HIGH));
}

static void put_field(struct text *t, const struct x64_field *field, uint64_t entry)
{
    uint64_t value = field_get(entry, field->shift | field->width << 8);
    bool is_said = field->shift == 0; /* Valid: the kind says it */
    if (value == 0 || is_said)
        return;
    put_char(t, ' ');
    put_text(t, field->name);
    if (field->width > 1) {
        put_char(t, '=');
        put_hex(t, value);
    }
}

size_t ntmm_format_entry(uint64_t entry, uint32_t level, char *buffer, size_t buffer_size)
{
    static const char *const kind_names[] = {
        [PTE_ZERO] = "empty",
        [PTE_VALID] = "valid",
        [PTE_LARGE] = "large page",
        [PTE_DEMAND_ZERO] = "demand zero",
        [PTE_DECOMMITTED] = "decommitted",
        [PTE_NO_ACCESS] = "no access",
        [PTE_PAGEFILE] = "page file",
        [PTE_TRANSITION] = "transition",
        [PTE_PROTOTYPE] = "prototype",
    };
    struct text t = {.buffer = buffer, .size = buffer_size};
    enum pte_kind kind = pte_kind(entry, level, 0);
    enum x64_format format = format_of(kind);

    bool is_damaged = kind == PTE_PAGEFILE && entry_is_damaged(entry);
    put_text(&t, is_damaged ? "damaged" : kind_names[kind]);
    if (is_damaged) {
        entry &= ~(ENTRY_DAMAGED | FIELD_MASK(SW_PAGEFILE_HIGH));
    } else if (kind == PTE_PAGEFILE) {
        put_slot(&t, entry);
        entry = field_set(field_set(entry, SW_PAGEFILE_LOW, 0), SW_PAGEFILE_HIGH, 0);
    }
    for (size_t i = 0; i < X64_FIELD_COUNT; i++) {
        if (x64_fields[i].format == format)
            put_field(&t, &x64_fields[i], entry);
    }
    if (buffer_size > 0)
        buffer[t.length < buffer_size ? t.length : buffer_size - 1] = 0;
    return t.length;
}
