/*
 * The public side of page files.
 */
#include "paging/transfers.h"
#include "services/section_make.h"

ntmm_status ntmm_create_paging_file(struct ntmm_system *system,
                                    const struct ntmm_paging_file_config *config, uint32_t *number)
{
    struct call c = call_begin_to_wait(system);
    uint32_t created = 0;
    ntmm_status status = device_is_file(&c, config->device)
                             ? NTMM_STATUS_OBJECT_NAME_COLLISION
                             : page_file_create(&c, config, &created);
    if (status == NTMM_STATUS_SUCCESS && number)
        *number = created;
    return status;
}

ntmm_status ntmm_query_paging_file(struct ntmm_system *system, uint32_t number,
                                   struct ntmm_paging_file_information *information)
{
    struct call c = call_begin(system);
    return page_file_query(&c, number, information);
}

uint64_t ntmm_write_modified_pages(struct ntmm_system *system, uint64_t budget_pages)
{
    struct call c = call_begin_to_wait(system);
    return writer_run(&c, budget_pages);
}
