/*
 * Descriptor tables, the interrupt controllers, the timer, the other processors; and where
 * interrupts go.
 *
 * The PIC and the timer (PIT) interrupt the first processor; it passes its ticks on to the others.
 */
#include "program.h"

#define APIC 0xFEE00000ull
#define APIC_EOI 0xB0u
#define APIC_SPURIOUS 0xF0u
#define APIC_COMMAND 0x300u
#define APIC_TARGET 0x310u
#define APIC_LINT0 0x350u
#define APIC_LINT1 0x360u
#define PIT_HZ 1193182u
#define TRAMPOLINE 0x8000ull
#define SELECTOR_TSS 0x28u
#define FIRMWARE_SELECT 0x510u
#define FIRMWARE_PROCESSORS 5u

struct tss {
    uint32_t reserved;
    uint64_t rsp[3];
    uint64_t reserved2;
    uint64_t ist[7];
    uint64_t reserved3;
    uint16_t reserved4, io_map;
} __attribute__((packed));

struct gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};

struct table_pointer {
    uint16_t limit;
    const void *base;
} __attribute__((packed));

extern const uint8_t vector_stubs[], trampoline_begin[], trampoline_end[];
extern uint64_t processor_stack;

static struct tss tasks[PROCESSORS];
static uint64_t descriptors[PROCESSORS][7];
static struct gate gates[256];
static uint32_t running; /* processors */
static uint64_t ticks;

static volatile uint32_t *apic(uint32_t reg) { return physical(APIC + reg); }

/* --- descriptor tables --- */

static void fill_gates(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint64_t stub = (uint64_t)(uintptr_t)vector_stubs + 16ull * i;
        gates[i] = (struct gate){
            .offset_low = (uint16_t)stub,
            .selector = 0x08,
            .type = i == VECTOR_SYSTEM_CALL ? 0xEE : 0x8E,
            .offset_middle = (uint16_t)(stub >> 16),
            .offset_high = (uint32_t)(stub >> 32),
        };
    }
}

void processor_tables_start(uint32_t processor)
{
    uint64_t task = (uint64_t)(uintptr_t)&tasks[processor];
    uint64_t *d = descriptors[processor];
    if (processor == 0)
        fill_gates();
    tasks[processor].io_map = sizeof(struct tss);
    d[1] = 0x00AF9A000000FFFFull; /* 08: kernel code */
    d[2] = 0x00CF92000000FFFFull; /* 10: kernel data */
    d[3] = 0x00CFF2000000FFFFull; /* 1b: user data */
    d[4] = 0x00AFFA000000FFFFull; /* 23: user code */
    d[5] = (sizeof(struct tss) - 1) | (task & 0xFFFFFF) << 16 | 0x89ull << 40 |
           (task >> 24 & 0xFF) << 56;
    d[6] = task >> 32;
    struct table_pointer gdt = {sizeof descriptors[0] - 1, d};
    struct table_pointer idt = {sizeof gates - 1, gates};
    __asm__ volatile("lgdt %0; lidt %1; ltr %w2" ::"m"(gdt), "m"(idt), "r"(SELECTOR_TSS)
                     : "memory");
}

void set_kernel_stack(uint32_t processor, uint64_t top) { tasks[processor].rsp[0] = top; }

/* --- interrupt controllers and timer --- */

static void pic_start(void)
{
    static const uint8_t words[2][4] = {{0x11, VECTOR_PIC, 4, 1}, {0x11, VECTOR_PIC + 8, 2, 1}};
    for (uint32_t chip = 0; chip < 2; chip++) {
        uint16_t port = chip ? 0xA0 : 0x20;
        out8(port, words[chip][0]);
        for (uint32_t i = 1; i < 4; i++)
            out8(port + 1, words[chip][i]);
    }
    out8(0x21, 0xFA); /* timer and cascade */
    out8(0xA1, 0xFF);
    for (uint32_t irq = 3; irq < 16; irq++) {
        if (!disk_owns(irq))
            continue;
        uint16_t port = irq < 8 ? 0x21 : 0xA1;
        out8(port, (uint8_t)(in8(port) & ~(1u << (irq & 7))));
    }
}

void interrupts_start(void)
{
    pic_start();
    uint32_t divisor = PIT_HZ / TICKS_PER_SECOND;
    out8(0x43, 0x34);
    out8(0x40, (uint8_t)divisor);
    out8(0x40, (uint8_t)(divisor >> 8));
    local_apic_start();
    *apic(APIC_LINT0) = 0x700; /* the PIC */
    running = 1;
}

void local_apic_start(void)
{
    *apic(APIC_SPURIOUS) = 0x1FF;
    *apic(APIC_LINT0) = 0x10000;
    *apic(APIC_LINT1) = 0x10000;
}

static void command(uint32_t processor, uint32_t what)
{
    *apic(APIC_TARGET) = processor << 24;
    *apic(APIC_COMMAND) = what;
    while (*apic(APIC_COMMAND) & 0x1000)
        __asm__ volatile("pause");
}

void send_interrupt(uint32_t processor, uint32_t vector) { command(processor, 0x4000 | vector); }

uint64_t now_100ns(void)
{
    return __atomic_load_n(&ticks, __ATOMIC_RELAXED) * (10000000u / TICKS_PER_SECOND);
}

/* --- other processors --- */

uint32_t count_processors(void)
{
    out16(FIRMWARE_SELECT, FIRMWARE_PROCESSORS);
    uint32_t count = in8(FIRMWARE_SELECT + 1);
    return count < PROCESSORS ? count : PROCESSORS;
}

void start_other_processors(void)
{
    uint32_t count = count_processors();
    __builtin_memcpy(physical(TRAMPOLINE), trampoline_begin,
                     (size_t)(trampoline_end - trampoline_begin));
    for (uint32_t i = 1; i < count; i++) {
        processor_stack = idle_stack(i);
        command(i, 0x4500); /* INIT */
        command(i, 0x4600 | TRAMPOLINE >> 12);
        while (__atomic_load_n(&running, __ATOMIC_ACQUIRE) <= i)
            __asm__ volatile("pause");
    }
}

/* Where another processor arrives, on the stack of its idle thread. */
void processor_main(void)
{
    uint32_t self = *apic(0x20) >> 24;
    processor_tables_start(self);
    local_apic_start();
    kernel_start_processor();
    (void)__atomic_add_fetch(&running, 1, __ATOMIC_RELEASE);
    threads_start(self);
}

/* --- interrupts --- */

static void tick(void)
{
    (void)__atomic_add_fetch(&ticks, 1, __ATOMIC_RELAXED);
    uint32_t count = __atomic_load_n(&running, __ATOMIC_ACQUIRE);
    for (uint32_t i = 1; i < count; i++)
        send_interrupt(i, VECTOR_TICK);
    threads_tick();
}

static void pic_interrupt(uint32_t irq)
{
    if (irq == 0)
        tick();
    else if (disk_owns(irq))
        disk_poll();
    if (irq >= 8)
        out8(0xA0, 0x20);
    out8(0x20, 0x20);
}

void trap(struct frame *frame)
{
    bool is_user = (frame->cs & 3) == 3;
    uint64_t address;
    switch (frame->vector) {
    case VECTOR_PAGE_FAULT:
        __asm__ volatile("mov %%cr2, %0" : "=r"(address));
        if (!is_user)
            panic("page fault in the kernel", address, frame->rip);
        interrupts_on();
        page_fault(frame, address);
        break;
    case VECTOR_SYSTEM_CALL:
        interrupts_on();
        system_call(frame);
        break;
    case VECTOR_SHOOTDOWN:
        shootdown();
        *apic(APIC_EOI) = 0;
        return;
    case VECTOR_TICK:
        *apic(APIC_EOI) = 0;
        break;
    default:
        if (frame->vector < VECTOR_PIC || frame->vector >= VECTOR_PIC + 16)
            panic("exception", frame->vector, frame->rip);
        pic_interrupt((uint32_t)frame->vector - VECTOR_PIC);
        break;
    }
    if (is_user && (frame->vector == VECTOR_TICK || frame->vector == VECTOR_PIC))
        thread_yield();
    interrupts_off();
}

void kernel_main(uint64_t start_information)
{
    serial_start();
    processor_tables_start(0);
    if (!disk_start())
        panic("no disk", 0, 0);
    interrupts_start();
    read_start_information(start_information);
    kernel_start();
    (void)thread_create(kernel_thread, NULL, NULL, NULL);
    threads_start(0);
}
