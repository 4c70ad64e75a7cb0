/* Entry, the system call, and accesses that may raise: the handler makes them return the status. */
    .section .text.start, "ax"
    .globl start
start:
    jmp program

    .text
    .globl system_call_2
/* uint64_t system_call_2(number, const uint64_t arguments[5], uint64_t *value) */
system_call_2:
    pushq %rdx
    movq %rdi, %rax
    movq %rsi, %rcx
    movq 0(%rcx), %rdi
    movq 8(%rcx), %rsi
    movq 16(%rcx), %rdx
    movq 24(%rcx), %r10
    movq 32(%rcx), %r8
    int $0x80
    popq %rcx
    movq %rdx, (%rcx)
    ret

    .globl probe_begin, probe_end, probe_handler, probe_read, probe_write
probe_begin:
probe_read:
    movq (%rdi), %rax
    movq %rax, (%rsi)
    xorl %eax, %eax
    ret
probe_write:
    movq %rsi, (%rdi)
    xorl %eax, %eax
    ret
probe_end:
probe_handler:
    movl %edi, %eax
    ret

/* uint64_t timed_write(address, value) and timed_read(address): time stamps of one instruction */
    .globl timed_write, timed_read
timed_write:
    rdtsc
    shlq $32, %rdx
    leaq (%rax,%rdx), %r8
    movq %rsi, (%rdi)
    rdtsc
    shlq $32, %rdx
    orq %rdx, %rax
    subq %r8, %rax
    ret
timed_read:
    rdtsc
    shlq $32, %rdx
    leaq (%rax,%rdx), %r8
    movq (%rdi), %rsi
    rdtsc
    shlq $32, %rdx
    orq %rdx, %rax
    subq %r8, %rax
    ret
    .section .note.GNU-stack, "", @progbits
