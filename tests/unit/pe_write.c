/*
 * Small PE files made by hand. See pe_write.h.
 */
#include "unit/pe_write.h"

#define PAGE 4096u
#define SECTOR 512u

static void set(uint8_t *at, uint64_t value, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

void pe_set16(struct pe_file *file, uint32_t at, uint32_t value)
{
    set(file->bytes + at, value, 2);
}

void pe_set32(struct pe_file *file, uint32_t at, uint32_t value)
{
    set(file->bytes + at, value, 4);
}

void pe_set64(struct pe_file *file, uint32_t at, uint64_t value)
{
    set(file->bytes + at, value, 8);
}

uint32_t pe_get32(const struct pe_file *file, uint32_t at)
{
    uint32_t value = 0;
    for (uint32_t i = 0; i < 4; i++)
        value |= (uint32_t)file->bytes[at + i] << 8 * i;
    return value;
}

static uint32_t up(uint32_t value, uint32_t unit) { return (value + unit - 1) / unit * unit; }

void pe_begin(struct pe_file *file, bool is_64)
{
    for (uint32_t i = 0; i < PE_FILE_BYTES; i++)
        file->bytes[i] = 0;
    file->section_count = 0;
    file->reads = 0;
    file->fail_at = 0;
    file->fail_status = 0;
    file->is_64 = is_64;
    file->size_bytes = PE_HEADERS;
    file->next_rva = PAGE;
    pe_set16(file, 0, 0x5A4D);
    pe_set32(file, 0x3C, PE_OFFSET);
    pe_set32(file, PE_OFFSET, 0x4550);
    pe_set16(file, PE_MACHINE, is_64 ? 0x8664 : 0x14C);
    pe_set16(file, PE_OPTIONAL_BYTES, is_64 ? 240 : 224);
    pe_set16(file, PE_CHARACTERISTICS, 2);
    pe_set16(file, PE_MAGIC, is_64 ? 0x20B : 0x10B);
    if (is_64)
        pe_set64(file, PE_BASE_64, 0x140000000ull);
    else
        pe_set32(file, PE_BASE_32, 0x400000);
    pe_set32(file, PE_SECTION_ALIGNMENT, PAGE);
    pe_set32(file, PE_FILE_ALIGNMENT, SECTOR);
    pe_set32(file, PE_IMAGE_BYTES, PAGE);
    pe_set32(file, PE_HEADER_BYTES, PE_HEADERS);
    pe_set16(file, PE_SUBSYSTEM, 3);
    pe_set32(file, is_64 ? PE_DIRECTORY_COUNT_64 : PE_DIRECTORY_COUNT_32, 16);
}

uint32_t pe_section(const struct pe_file *file, uint32_t n)
{
    return PE_OPTIONAL + (file->is_64 ? 240u : 224u) + 40 * n;
}

uint32_t pe_add_section(struct pe_file *file, uint32_t virtual_bytes, uint32_t raw_bytes,
                        uint32_t characteristics)
{
    uint32_t header = pe_section(file, file->section_count++);
    uint32_t offset = (uint32_t)file->size_bytes;
    pe_set32(file, header + 8, virtual_bytes);
    pe_set32(file, header + 12, file->next_rva);
    pe_set32(file, header + 16, raw_bytes);
    pe_set32(file, header + 20, raw_bytes ? offset : 0);
    pe_set32(file, header + 36, characteristics);
    pe_set16(file, PE_SECTION_COUNT, file->section_count);
    for (uint32_t i = 0; i < up(raw_bytes, SECTOR); i++)
        file->bytes[offset + i] = (uint8_t)((offset + i) * 7 + (offset + i) / 251 + 1);
    file->size_bytes += up(raw_bytes, SECTOR);
    file->next_rva += up(virtual_bytes ? virtual_bytes : raw_bytes, PAGE);
    pe_set32(file, PE_IMAGE_BYTES, file->next_rva);
    return header;
}

void pe_make(struct pe_file *file, bool is_64)
{
    pe_begin(file, is_64);
    pe_add_section(file, 0x1234, 0x1400, PE_READ | PE_EXECUTE);
    pe_add_section(file, 0x2100, 0x400, PE_READ | PE_WRITE);
}

void pe_set_directory(struct pe_file *file, uint32_t index, uint32_t rva, uint32_t size)
{
    uint32_t at = (file->is_64 ? PE_DIRECTORIES_64 : PE_DIRECTORIES_32) + 8 * index;
    pe_set32(file, at, rva);
    pe_set32(file, at + 4, size);
}

static uint32_t guard_rva(const struct pe_file *file)
{
    uint32_t directories = file->is_64 ? PE_DIRECTORIES_64 : PE_DIRECTORIES_32;
    return pe_get32(file, directories + 8 * PE_DIRECTORY_LOAD_CONFIG);
}

uint64_t pe_guard_address(const struct pe_file *file)
{
    uint64_t base = pe_get32(file, file->is_64 ? PE_BASE_64 : PE_BASE_32);
    if (file->is_64)
        base |= (uint64_t)pe_get32(file, PE_BASE_64 + 4) << 32;
    return base + guard_rva(file);
}

uint32_t pe_add_guard(struct pe_file *file, uint32_t room)
{
    uint32_t header = pe_add_section(file, PE_FUNCTIONS + room, PE_FUNCTIONS + room, PE_READ);
    uint32_t at = pe_get32(file, header + 20);
    for (uint32_t i = 0; i < PE_FUNCTIONS + room; i++)
        file->bytes[at + i] = 0;
    pe_set_directory(file, PE_DIRECTORY_LOAD_CONFIG, pe_get32(file, header + 12), 0x40);
    pe_set16(file, PE_DLL_CHARACTERISTICS,
             (pe_get32(file, PE_DLL_CHARACTERISTICS) & 0xFFFF) | PE_GUARD_CF);
    return at;
}

/* GuardCFFunctionTable, GuardCFFunctionCount, GuardFlags of IMAGE_LOAD_CONFIG_DIRECTORY. */
void pe_set_guard(struct pe_file *file, uint32_t at, const struct pe_guard *guard)
{
    uint32_t flags = file->is_64 ? 0x90 : 0x58;
    pe_set32(file, at, guard->bytes ? guard->bytes : flags + 4);
    pe_set32(file, at + flags, guard->flags);
    if (file->is_64) {
        pe_set64(file, at + 0x80, guard->table);
        pe_set64(file, at + 0x88, guard->count);
    } else {
        pe_set32(file, at + 0x50, (uint32_t)guard->table);
        pe_set32(file, at + 0x54, (uint32_t)guard->count);
    }
}

void pe_add_relocations(struct pe_file *file, uint16_t characteristics)
{
    uint32_t header = pe_add_section(file, 0x40, 0x200, PE_READ);
    uint32_t rva = pe_get32(file, header + 12);
    uint32_t at = pe_get32(file, header + 20);
    pe_set32(file, at, 0x1000);
    pe_set32(file, at + 4, 12);
    pe_set16(file, at + 8, 10u << 12 | 0x10);
    pe_set16(file, at + 10, 10u << 12 | 0xFFC);
    pe_set_directory(file, PE_DIRECTORY_RELOCATION, rva, 12);
    pe_set16(file, PE_DLL_CHARACTERISTICS, characteristics);
}
