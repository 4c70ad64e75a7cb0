#include <ntmm.h>
#include <ntmm/emulated.h>
#include <stdio.h>

int main(void)
{
    struct ntmm_emulated_config machine = {
        .size = sizeof machine, .version = NTMM_EMULATED_CONFIG_VERSION, .ram_bytes = 16u << 20};
    struct ntmm_config config = {.size = sizeof config, .version = NTMM_CONFIG_VERSION};
    struct ntmm_emulated *emu;
    struct ntmm_system *sys;
    struct ntmm_fault_result fault;
    ntmm_handle process;
    uint64_t base = 0, size = 1u << 20, value = 42;

    if (ntmm_emulated_create(&machine, &emu) || ntmm_emulated_create_system(emu, &config, &sys) ||
        ntmm_create_process(sys, NULL, &process) || ntmm_emulated_attach(emu, 0, process) ||
        ntmm_allocate_virtual_memory(sys, process, &base, 0, &size,
                                     NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE))
        return 1;
    if (ntmm_emulated_store(emu, 0, base, &value, sizeof value, NULL, &fault))
        return 1;
    printf("stored at 0x%llx: demand zero\n", (unsigned long long)base);
    ntmm_status status = ntmm_emulated_store(emu, 0, base + size, &value, 8, NULL, &fault);
    printf("stored past the end: 0x%x, %llu at 0x%llx\n", status,
           (unsigned long long)fault.parameters[0], (unsigned long long)fault.parameters[1]);
    ntmm_emulated_destroy(emu, NULL);
    return status == NTMM_STATUS_ACCESS_VIOLATION ? 0 : 1;
}
