/*
 * No limits are set here.
 */
#ifndef NTMM_PORTS_WINDOWS_SYS_RESOURCE_H
#define NTMM_PORTS_WINDOWS_SYS_RESOURCE_H

typedef unsigned long long rlim_t;

struct rlimit {
    rlim_t rlim_cur;
    rlim_t rlim_max;
};

#define RLIMIT_FSIZE 1
#define getrlimit(which, limit) ((limit)->rlim_cur = 0, -1)
#define setrlimit(which, limit) ((void)(limit), -1)

#endif
