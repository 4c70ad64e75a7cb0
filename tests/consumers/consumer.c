/* The smallest program that proves that ntmm's headers and library were found: one system, made and
 * torn down. */
#include <ntmm.h>
#include <ntmm/emulated.h>
#include <stdio.h>

int main(void)
{
    struct ntmm_emulated_config config = {
        .size = sizeof(config), .version = NTMM_EMULATED_CONFIG_VERSION, .ram_bytes = 16u << 20};
    struct ntmm_emulated *machine;
    struct ntmm_system *system;
    if (!NTMM_SUCCEEDED(ntmm_emulated_create(&config, &machine)))
        return 1;
    if (!NTMM_SUCCEEDED(ntmm_emulated_create_system(machine, NULL, &system)))
        return 2;
    struct ntmm_memory_information memory;
    ntmm_query_memory(system, &memory);
    printf("%llu pages, %llu of them metadata\n", (unsigned long long)memory.total_pages,
           (unsigned long long)memory.metadata_pages);
    struct ntmm_teardown left;
    ntmm_emulated_destroy(machine, &left);
    return left.lost_pages == 0 && left.outstanding_commit == 0 ? 0 : 3;
}
