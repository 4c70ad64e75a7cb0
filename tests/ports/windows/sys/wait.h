/*
 * There are no children to wait for: fork fails.
 */
#ifndef NTMM_PORTS_WINDOWS_SYS_WAIT_H
#define NTMM_PORTS_WINDOWS_SYS_WAIT_H

#define WNOHANG 1
#define waitpid(process, status, options) ((void)(process), (void)(status), (pid_t) - 1)
#define WIFEXITED(status) ((void)(status), 0)
#define WEXITSTATUS(status) (status)

#endif
