//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* System calls by class, with their numbers on x86-64 and arm64; what is not here is
 * OTHER. From the kernels' syscall tables. */
#ifndef VP_SYSCALL_H
#define VP_SYSCALL_H

#define VP_CALLS 512
enum { READ, WRITE, OPEN, CLOSE, WAIT, NETWORK, MEMORY, PROCESS, FUTEX, TIME, OTHER, CLASSES };

/* CALL(class, x86-64, arm64); OLD(class, x86-64): arm64 never had it */
#define SYSCALLS(CALL, OLD) \
	CALL(READ, 0, 63) /* read */ \
	CALL(READ, 17, 67) /* pread64 */ \
	CALL(READ, 19, 65) /* readv */ \
	CALL(READ, 295, 69) /* preadv */ \
	CALL(READ, 327, 286) /* preadv2 */ \
	CALL(READ, 40, 71) /* sendfile */ \
	OLD(READ, 78) /* getdents */ \
	CALL(READ, 217, 61) /* getdents64 */ \
	CALL(READ, 187, 213) /* readahead */ \
	CALL(READ, 275, 76) /* splice */ \
	CALL(READ, 276, 77) /* tee */ \
	CALL(READ, 278, 75) /* vmsplice */ \
	CALL(READ, 326, 285) /* copy_file_range */ \
	CALL(WRITE, 1, 64) /* write */ \
	CALL(WRITE, 18, 68) /* pwrite64 */ \
	CALL(WRITE, 20, 66) /* writev */ \
	CALL(WRITE, 296, 70) /* pwritev */ \
	CALL(WRITE, 328, 287) /* pwritev2 */ \
	CALL(WRITE, 74, 82) /* fsync */ \
	CALL(WRITE, 75, 83) /* fdatasync */ \
	CALL(WRITE, 162, 81) /* sync */ \
	CALL(WRITE, 306, 267) /* syncfs */ \
	CALL(WRITE, 277, 84) /* sync_file_range */ \
	CALL(WRITE, 26, 227) /* msync */ \
	OLD(OPEN, 2) /* open */ \
	CALL(OPEN, 257, 56) /* openat */ \
	CALL(OPEN, 437, 437) /* openat2 */ \
	OLD(OPEN, 85) /* creat */ \
	CALL(OPEN, 304, 265) /* open_by_handle_at */ \
	CALL(CLOSE, 3, 57) /* close */ \
	CALL(CLOSE, 436, 436) /* close_range */ \
	OLD(WAIT, 7) /* poll */ \
	CALL(WAIT, 271, 73) /* ppoll */ \
	OLD(WAIT, 23) /* select */ \
	CALL(WAIT, 270, 72) /* pselect6 */ \
	OLD(WAIT, 232) /* epoll_wait */ \
	CALL(WAIT, 281, 22) /* epoll_pwait */ \
	CALL(WAIT, 441, 441) /* epoll_pwait2 */ \
	CALL(WAIT, 208, 4) /* io_getevents */ \
	CALL(WAIT, 333, 292) /* io_pgetevents */ \
	CALL(WAIT, 426, 426) /* io_uring_enter */ \
	CALL(WAIT, 61, 260) /* wait4 */ \
	CALL(WAIT, 247, 95) /* waitid */ \
	OLD(WAIT, 34) /* pause */ \
	CALL(WAIT, 130, 133) /* rt_sigsuspend */ \
	CALL(WAIT, 128, 137) /* rt_sigtimedwait */ \
	CALL(NETWORK, 41, 198) /* socket */ \
	CALL(NETWORK, 42, 203) /* connect */ \
	CALL(NETWORK, 43, 202) /* accept */ \
	CALL(NETWORK, 288, 242) /* accept4 */ \
	CALL(NETWORK, 44, 206) /* sendto */ \
	CALL(NETWORK, 45, 207) /* recvfrom */ \
	CALL(NETWORK, 46, 211) /* sendmsg */ \
	CALL(NETWORK, 47, 212) /* recvmsg */ \
	CALL(NETWORK, 307, 269) /* sendmmsg */ \
	CALL(NETWORK, 299, 243) /* recvmmsg */ \
	CALL(NETWORK, 48, 210) /* shutdown */ \
	CALL(NETWORK, 49, 200) /* bind */ \
	CALL(NETWORK, 50, 201) /* listen */ \
	CALL(NETWORK, 51, 204) /* getsockname */ \
	CALL(NETWORK, 52, 205) /* getpeername */ \
	CALL(NETWORK, 53, 199) /* socketpair */ \
	CALL(NETWORK, 54, 208) /* setsockopt */ \
	CALL(NETWORK, 55, 209) /* getsockopt */ \
	CALL(MEMORY, 9, 222) /* mmap */ \
	CALL(MEMORY, 10, 226) /* mprotect */ \
	CALL(MEMORY, 11, 215) /* munmap */ \
	CALL(MEMORY, 12, 214) /* brk */ \
	CALL(MEMORY, 25, 216) /* mremap */ \
	CALL(MEMORY, 27, 232) /* mincore */ \
	CALL(MEMORY, 28, 233) /* madvise */ \
	CALL(MEMORY, 440, 440) /* process_madvise */ \
	CALL(MEMORY, 149, 228) /* mlock */ \
	CALL(MEMORY, 325, 284) /* mlock2 */ \
	CALL(MEMORY, 150, 229) /* munlock */ \
	CALL(MEMORY, 151, 230) /* mlockall */ \
	CALL(MEMORY, 152, 231) /* munlockall */ \
	CALL(MEMORY, 237, 235) /* mbind */ \
	CALL(MEMORY, 238, 237) /* set_mempolicy */ \
	CALL(MEMORY, 239, 236) /* get_mempolicy */ \
	CALL(MEMORY, 256, 238) /* migrate_pages */ \
	CALL(MEMORY, 279, 239) /* move_pages */ \
	CALL(MEMORY, 216, 234) /* remap_file_pages */ \
	CALL(MEMORY, 29, 194) /* shmget */ \
	CALL(MEMORY, 30, 196) /* shmat */ \
	CALL(MEMORY, 31, 195) /* shmctl */ \
	CALL(MEMORY, 67, 197) /* shmdt */ \
	CALL(MEMORY, 329, 288) /* pkey_mprotect */ \
	CALL(MEMORY, 330, 289) /* pkey_alloc */ \
	CALL(MEMORY, 331, 290) /* pkey_free */ \
	CALL(MEMORY, 319, 279) /* memfd_create */ \
	CALL(MEMORY, 447, 447) /* memfd_secret */ \
	CALL(MEMORY, 323, 282) /* userfaultfd */ \
	CALL(MEMORY, 324, 283) /* membarrier */ \
	CALL(MEMORY, 462, 462) /* mseal */ \
	CALL(MEMORY, 453, 453) /* map_shadow_stack */ \
	CALL(MEMORY, 450, 450) /* set_mempolicy_home_node */ \
	CALL(PROCESS, 56, 220) /* clone */ \
	CALL(PROCESS, 435, 435) /* clone3 */ \
	OLD(PROCESS, 57) /* fork */ \
	OLD(PROCESS, 58) /* vfork */ \
	CALL(PROCESS, 59, 221) /* execve */ \
	CALL(PROCESS, 322, 281) /* execveat */ \
	CALL(PROCESS, 60, 93) /* exit */ \
	CALL(PROCESS, 231, 94) /* exit_group */ \
	CALL(PROCESS, 62, 129) /* kill */ \
	CALL(PROCESS, 200, 130) /* tkill */ \
	CALL(PROCESS, 234, 131) /* tgkill */ \
	CALL(PROCESS, 129, 138) /* rt_sigqueueinfo */ \
	CALL(PROCESS, 297, 240) /* rt_tgsigqueueinfo */ \
	CALL(PROCESS, 424, 424) /* pidfd_send_signal */ \
	CALL(PROCESS, 13, 134) /* rt_sigaction */ \
	CALL(PROCESS, 14, 135) /* rt_sigprocmask */ \
	CALL(PROCESS, 15, 139) /* rt_sigreturn */ \
	CALL(PROCESS, 127, 136) /* rt_sigpending */ \
	CALL(PROCESS, 131, 132) /* sigaltstack */ \
	CALL(PROCESS, 157, 167) /* prctl */ \
	OLD(PROCESS, 158) /* arch_prctl */ \
	CALL(PROCESS, 101, 117) /* ptrace */ \
	CALL(PROCESS, 308, 268) /* setns */ \
	CALL(PROCESS, 272, 97) /* unshare */ \
	CALL(PROCESS, 24, 124) /* sched_yield */ \
	CALL(PROCESS, 203, 122) /* sched_setaffinity */ \
	CALL(PROCESS, 204, 123) /* sched_getaffinity */ \
	CALL(PROCESS, 144, 119) /* sched_setscheduler */ \
	CALL(PROCESS, 145, 120) /* sched_getscheduler */ \
	CALL(PROCESS, 142, 118) /* sched_setparam */ \
	CALL(PROCESS, 143, 121) /* sched_getparam */ \
	CALL(PROCESS, 314, 274) /* sched_setattr */ \
	CALL(PROCESS, 315, 275) /* sched_getattr */ \
	CALL(PROCESS, 146, 125) /* sched_get_priority_max */ \
	CALL(PROCESS, 147, 126) /* sched_get_priority_min */ \
	CALL(PROCESS, 148, 127) /* sched_rr_get_interval */ \
	CALL(PROCESS, 39, 172) /* getpid */ \
	CALL(PROCESS, 186, 178) /* gettid */ \
	CALL(PROCESS, 110, 173) /* getppid */ \
	CALL(PROCESS, 218, 96) /* set_tid_address */ \
	CALL(PROCESS, 273, 99) /* set_robust_list */ \
	CALL(PROCESS, 274, 100) /* get_robust_list */ \
	CALL(PROCESS, 334, 293) /* rseq */ \
	CALL(PROCESS, 98, 165) /* getrusage */ \
	CALL(PROCESS, 302, 261) /* prlimit64 */ \
	CALL(PROCESS, 97, 163) /* getrlimit */ \
	CALL(PROCESS, 160, 164) /* setrlimit */ \
	CALL(PROCESS, 140, 141) /* getpriority */ \
	CALL(PROCESS, 141, 140) /* setpriority */ \
	CALL(PROCESS, 434, 434) /* pidfd_open */ \
	CALL(PROCESS, 438, 438) /* pidfd_getfd */ \
	CALL(FUTEX, 202, 98) /* futex */ \
	CALL(FUTEX, 455, 455) /* futex_wait */ \
	CALL(FUTEX, 454, 454) /* futex_wake */ \
	CALL(FUTEX, 456, 456) /* futex_requeue */ \
	CALL(FUTEX, 449, 449) /* futex_waitv */ \
	OLD(TIME, 201) /* time */ \
	CALL(TIME, 96, 169) /* gettimeofday */ \
	CALL(TIME, 164, 170) /* settimeofday */ \
	CALL(TIME, 228, 113) /* clock_gettime */ \
	CALL(TIME, 227, 112) /* clock_settime */ \
	CALL(TIME, 229, 114) /* clock_getres */ \
	CALL(TIME, 305, 266) /* clock_adjtime */ \
	CALL(TIME, 159, 171) /* adjtimex */ \
	CALL(TIME, 230, 115) /* clock_nanosleep */ \
	CALL(TIME, 35, 101) /* nanosleep */ \
	CALL(TIME, 222, 107) /* timer_create */ \
	CALL(TIME, 223, 110) /* timer_settime */ \
	CALL(TIME, 224, 108) /* timer_gettime */ \
	CALL(TIME, 225, 109) /* timer_getoverrun */ \
	CALL(TIME, 226, 111) /* timer_delete */ \
	CALL(TIME, 283, 85) /* timerfd_create */ \
	CALL(TIME, 286, 86) /* timerfd_settime */ \
	CALL(TIME, 287, 87) /* timerfd_gettime */ \
	CALL(TIME, 38, 103) /* setitimer */ \
	CALL(TIME, 36, 102) /* getitimer */ \
	OLD(TIME, 37) /* alarm */ \
	CALL(TIME, 100, 153) /* times */ \
	/* end */

/* The tables hold class + 1: 0 is a call that is not listed. */
#define VP_X86(class, x86, arm64) [x86] = class + 1,
#define VP_X86_OLD(class, x86) [x86] = class + 1,
#define VP_ARM64(class, x86, arm64) [arm64] = class + 1,
#define VP_NONE(class, x86)
static const u8 vp_calls_x86[VP_CALLS] = { SYSCALLS(VP_X86, VP_X86_OLD) };
static const u8 vp_calls_arm64[VP_CALLS] = { SYSCALLS(VP_ARM64, VP_NONE) };

#endif
