/*
 * The serial line, a little formatting, and the way out.
 */
#include "machine.h"

#define COM1 0x3F8u
#define DEBUG_EXIT 0xF4u

static struct spin print_lock;

void serial_start(void)
{
    out8(COM1 + 1, 0);
    out8(COM1 + 3, 0x80);
    out8(COM1 + 0, 1);
    out8(COM1 + 1, 0);
    out8(COM1 + 3, 3);
    out8(COM1 + 2, 7);
}

static void put(char c)
{
    while ((in8(COM1 + 5) & 0x20) == 0) {
    }
    out8(COM1, (uint8_t)c);
}

static void put_number(uint64_t value, uint64_t base)
{
    char digits[24];
    uint32_t count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    while (count != 0)
        put(digits[--count]);
}

static void put_text(const char *text)
{
    while (*text)
        put(*text++);
}

void print(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    spin_lock(&print_lock);
    for (; *format; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        format++;
        if (*format == 's')
            put_text(va_arg(arguments, const char *));
        else if (*format == 'u')
            put_number(va_arg(arguments, uint64_t), 10);
        else
            put_number(va_arg(arguments, uint64_t), 16);
    }
    spin_unlock(&print_lock);
    va_end(arguments);
}

void power_off(uint32_t value)
{
    out32(DEBUG_EXIT, value);
    for (;;)
        __asm__ volatile("cli; hlt");
}

void panic(const char *what, uint64_t a, uint64_t b)
{
    print_lock.held = 0; /* whoever holds it will not go on */
    print("panic: %s %x %x\n", what, a, b);
    power_off(1);
}
