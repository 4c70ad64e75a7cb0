/* The smallest program that proves that ntmm's headers and library were found. */
#include <ntmm/types.h>
#include <stdio.h>

int main(void)
{
    const ntmm_status informational = 0x40000000u;
    printf("pages of %u bytes\n", NTMM_PAGE_SIZE);
    return NTMM_SUCCEEDED(informational) ? 0 : 1;
}
