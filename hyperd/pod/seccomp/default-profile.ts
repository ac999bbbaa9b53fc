import {
  allow,
  notImplemented,
  refuse,
  type SeccompCondition,
  type SeccompProfile,
  type SeccompRule,
} from './profile.ts';

/** System calls that every container may use (Docker Engine, default seccomp profile). */
const always = words(`
  accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown
  clock_adjtime clock_getres clock_gettime clock_nanosleep close close_range connect copy_file_range
  creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2
  epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2
  fadvise64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync
  fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstatfs fsync ftruncate futex
  futex_requeue futex_wait futex_waitv futex_wake futimesat getcpu getcwd getdents getdents64 getegid
  geteuid getgid getgroups getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom
  getresgid getresuid getrlimit get_robust_list getrusage getsid getsockname getsockopt
  get_thread_area gettid gettimeofday getuid getxattr inotify_add_watch inotify_init inotify_init1
  inotify_rm_watch io_cancel ioctl io_destroy io_getevents io_pgetevents ioprio_get ioprio_set
  io_setup io_submit kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown
  lgetxattr link linkat listen listxattr llistxattr lremovexattr lseek lsetxattr lstat madvise
  map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock
  mlock2 mlockall mmap mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend
  mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap
  name_to_handle_at nanosleep newfstatat open openat openat2 pause pidfd_open pidfd_send_signal pipe
  pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll prctl pread64 preadv preadv2 prlimit64
  process_mrelease pselect6 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv
  recvfrom recvmmsg recvmsg remap_file_pages removexattr rename renameat renameat2 restart_syscall
  rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
  rt_sigtimedwait rt_tgsigqueueinfo sched_getaffinity sched_getattr sched_getparam
  sched_get_priority_max sched_get_priority_min sched_getscheduler sched_rr_get_interval
  sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl
  semget semop semtimedop sendfile sendmmsg sendmsg sendto setfsgid setfsuid setgid setgroups
  setitimer setpgid setpriority setregid setresgid setresuid setreuid setrlimit set_robust_list
  setsid setsockopt set_thread_area set_tid_address setuid setxattr shmat shmctl shmdt shmget
  shutdown sigaltstack signalfd signalfd4 socket socketpair splice stat statfs statx symlink
  symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete
  timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime times
  tkill truncate umask uname unlink unlinkat utime utimensat utimes vfork vmsplice wait4 waitid write
  writev arch_prctl modify_ldt process_vm_readv process_vm_writev ptrace
`);

/** Further system calls that come with a capability. */
const byCapability: Readonly<Record<string, readonly string[]>> = {
  CAP_DAC_READ_SEARCH: words('open_by_handle_at'),
  CAP_SYS_ADMIN: words(`
    bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr
    move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog
    umount2 unshare`),
  CAP_SYS_BOOT: words('reboot'),
  CAP_SYS_CHROOT: words('chroot'),
  CAP_SYS_MODULE: words('delete_module init_module finit_module'),
  CAP_SYS_PACCT: words('acct'),
  CAP_SYS_PTRACE: words('kcmp pidfd_getfd process_madvise'),
  CAP_SYS_RAWIO: words('iopl ioperm'),
  CAP_SYS_TIME: words('settimeofday clock_settime'),
  CAP_SYS_TTY_CONFIG: words('vhangup'),
  CAP_SYS_NICE: words('get_mempolicy mbind set_mempolicy set_mempolicy_home_node'),
  CAP_SYSLOG: words('syslog'),
  CAP_BPF: words('bpf'),
  CAP_PERFMON: words('perf_event_open'),
};

/** CLONE_NEW… of mount, cgroup, uts, ipc, user, pid and net: what clone may not ask for. */
const namespaceFlags = 0x7e020000n;
/** The kernel's crypto API, by which anybody could write to cached files (CVE-2026-31431). */
const AF_ALG = 38n;
const AF_VSOCK = 40n;
/** The kernel takes a family as an int: the upper half of the argument must not make another of it. */
const intMask = 0xffffffffn;
/** PER_LINUX, UNAME26 and both with PER_LINUX32, and the query. */
const personalities = [0x0n, 0x0008n, 0x20000n, 0x20008n, 0xffffffffn];

/** Docker's default profile for a container with these capabilities. */
export function defaultProfile(capabilities: readonly string[]): SeccompProfile {
  const granted = capabilities.flatMap((name) => byCapability[name] ?? []);
  const rules: SeccompRule[] = [
    ...[AF_ALG, AF_VSOCK].map((family) => ({
      names: ['socket'],
      action: refuse,
      conditions: [condition('masked-equal', family, intMask)],
    })),
    { names: [...new Set([...always, ...granted])], action: allow, conditions: [] },
    ...personalities.map((value) => ({
      names: ['personality'],
      action: allow,
      conditions: [condition('equal', value)],
    })),
  ];
  if (!capabilities.includes('CAP_SYS_ADMIN')) {
    const conditions = [condition('masked-equal', 0n, namespaceFlags)];
    rules.push({ names: ['clone'], action: allow, conditions });
    // Its flags are behind a pointer, which a filter cannot follow; libc falls back to clone.
    rules.push({ names: ['clone3'], action: notImplemented, conditions: [] });
  }
  return { defaultAction: refuse, rules };
}

function condition(
  operator: SeccompCondition['operator'],
  value: bigint,
  mask = 0n,
): SeccompCondition {
  return { index: 0, operator, value, mask };
}

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/);
}
