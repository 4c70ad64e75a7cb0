/*
 * From the PVH entry (32-bit, paging off, RBX the start information) to long mode at -2 GiB; and
 * the other processors from real mode to the same place.
 *
 * Page tables: one set of 2 MiB pages for the first 4 GiB of physical memory, seen from slot 256 of
 * the root (the direct map), from -2 GiB (the kernel), and from 0 until the kernel runs above.
 */
#define BASE 0xFFFFFFFF80000000
#define PHYSICAL(symbol) ((symbol) - BASE)
#define TRAMPOLINE 0x8000

    .section .note.pvh, "a", @note
    .long 4, 8, 18          /* name size, description size, physical 32-bit entry */
    .asciz "Xen"
    .quad PHYSICAL(pvh_start)

    .text
    .code32
    .globl pvh_start
pvh_start:
    cli
    cld
    movl $PHYSICAL(boot_stack_end), %esp
    movl %ebx, PHYSICAL(start_information)

    movl $PHYSICAL(directory), %edi
    movl $0x83, %eax            /* present, writable, 2 MiB */
    xorl %ebx, %ebx
    movl $2048, %ecx
1:  movl %eax, (%edi)
    movl %ebx, 4(%edi)
    addl $8, %edi
    addl $0x200000, %eax
    cmpl $513, %ecx             /* the last GiB holds devices: not cached */
    jne 2f
    orl $0x10, %eax
2:  loop 1b

    movl $PHYSICAL(directory) + 3, %eax
    movl $PHYSICAL(pointers), %edi
    movl $4, %ecx
3:  movl %eax, (%edi)
    addl $4096, %eax
    addl $8, %edi
    loop 3b
    movl $PHYSICAL(directory) + 3, PHYSICAL(pointers_high) + 510 * 8
    movl $PHYSICAL(pointers) + 3, PHYSICAL(kernel_root)
    movl $PHYSICAL(pointers) + 3, PHYSICAL(kernel_root) + 256 * 8
    movl $PHYSICAL(pointers_high) + 3, PHYSICAL(kernel_root) + 511 * 8

    call enable_long_mode
    lgdt PHYSICAL(boot_gdt_pointer)
    ljmp $0x08, $PHYSICAL(boot_long)

enable_long_mode:
    movl %cr4, %eax
    orl $0x20, %eax             /* PAE */
    movl %eax, %cr4
    movl $PHYSICAL(kernel_root), %eax
    movl %eax, %cr3
    movl $0xC0000080, %ecx
    rdmsr
    orl $0x100, %eax            /* LME */
    wrmsr
    movl %cr0, %eax
    orl $0x80000001, %eax
    movl %eax, %cr0
    ret

    .code64
boot_long:
    movabsq $boot_high, %rax
    jmp *%rax
boot_high:
    leaq stacks + 32768 - 64(%rip), %rsp  /* the idle thread's */
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl start_information(%rip), %edi
    call kernel_main
    ud2

/* Copied to TRAMPOLINE, where a processor begins in real mode. */
    .code16
    .globl trampoline_begin, trampoline_end
trampoline_begin:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl TRAMPOLINE + trampoline_gdt_pointer - trampoline_begin
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $0x18, $(TRAMPOLINE + trampoline_protected - trampoline_begin)
    .code32
trampoline_protected:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $PHYSICAL(boot_stack_end), %esp
    movl $PHYSICAL(enable_long_mode), %eax
    call *%eax
    ljmp $0x08, $(TRAMPOLINE + trampoline_long - trampoline_begin)
    .code64
trampoline_long:
    movabsq $processor_high, %rax
    jmp *%rax
    .balign 8
trampoline_gdt_pointer:
    .word 31
    .long PHYSICAL(boot_gdt)
trampoline_end:

processor_high:
    movq processor_stack(%rip), %rsp
    call processor_main
    ud2

    .section .data
    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00AF9A000000FFFF    /* 08: 64-bit code */
    .quad 0x00CF92000000FFFF    /* 10: data */
    .quad 0x00CF9A000000FFFF    /* 18: 32-bit code */
boot_gdt_pointer:
    .word 31
    .long PHYSICAL(boot_gdt)
    .globl start_information, processor_stack
start_information:
    .quad 0
processor_stack:
    .quad 0

    .section .bss
    .balign 4096
    .globl kernel_root
kernel_root:    .skip 4096
pointers:       .skip 4096
pointers_high:  .skip 4096
directory:      .skip 4 * 4096
boot_stack:     .skip 16384
boot_stack_end:

    .section .rodata
    .globl user_image_begin, user_image_end
    .balign 16
user_image_begin:
    .incbin USER_IMAGE
user_image_end:
    .section .note.GNU-stack, "", @progbits
