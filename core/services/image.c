/*
 * Image sections: what the headers of a file say, and the area that is made of it.
 */
#include "services/section_make.h"

ntmm_status file_image_area(struct call *c, struct file *file, struct control_area **area)
{
    (void)c, (void)file, (void)area;
    return NTMM_STATUS_NOT_SUPPORTED;
}
