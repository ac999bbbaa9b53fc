/** A flag as commander writes it; the words are those of the docker CLI. */
export interface RunFlag {
  readonly flag: string;
  readonly text: string;
  /** It may be given several times. */
  readonly isList?: true;
  /** What it is when it is not given. */
  readonly initial?: string;
}

/** The flags of `run` and `create`. */
export const runFlags: readonly RunFlag[] = [
  { flag: '--name <name>', text: 'name of the container' },
  { flag: '-i, --interactive', text: 'keep stdin open' },
  { flag: '-t, --tty', text: 'give it a terminal' },
  { flag: '--rm', text: 'remove the container when it exits' },
  { flag: '-P, --publish-all', text: 'publish all exposed ports' },
  { flag: '-u, --user <user>', text: 'user[:group], names or numbers' },
  { flag: '-w, --workdir <directory>', text: 'working directory' },
  { flag: '--entrypoint <command>', text: "instead of the image's entrypoint" },
  { flag: '-m, --memory <size>', text: 'memory limit, such as 512m' },
  { flag: '--memory-swap <size>', text: 'limit of memory and swap together' },
  { flag: '--cpus <number>', text: 'number of CPUs, such as 1.5' },
  { flag: '--cpu-shares <number>', text: 'relative weight' },
  { flag: '--pids-limit <number>', text: 'limit of processes' },
  { flag: '--shm-size <size>', text: 'size of /dev/shm' },
  { flag: '--privileged', text: 'all capabilities and devices, inside the VM' },
  { flag: '--read-only', text: 'read-only root filesystem' },
  { flag: '--init', text: 'run an init that reaps and forwards signals' },
  { flag: '-h, --hostname <name>', text: 'hostname' },
  { flag: '--domainname <name>', text: 'NIS domain name' },
  { flag: '--stop-signal <signal>', text: 'signal that stops it' },
  { flag: '--stop-timeout <seconds>', text: 'seconds until it is killed' },
  { flag: '--platform <os/arch>', text: 'platform of the image' },
  { flag: '--pull <when>', text: 'always, missing or never', initial: 'missing' },
  { flag: '--log-driver <driver>', text: 'json-file or none' },
  { flag: '--network <mode>', text: 'bridge or none' },
  { flag: '--detach-keys <keys>', text: 'keys that detach, such as ctrl-p,ctrl-q' },
  { flag: '-e, --env <name=value>', text: 'environment variable', isList: true },
  { flag: '--env-file <file>', text: 'file with environment variables', isList: true },
  { flag: '-p, --publish <port>', text: '[address:]hostPort:containerPort[/udp]', isList: true },
  { flag: '--ulimit <limit>', text: 'such as nofile=1024:2048', isList: true },
  { flag: '--sysctl <name=value>', text: 'kernel parameter', isList: true },
  { flag: '--cap-add <capability>', text: 'add a capability', isList: true },
  { flag: '--cap-drop <capability>', text: 'drop a capability', isList: true },
  { flag: '--security-opt <option>', text: 'no-new-privileges, seccomp=unconfined', isList: true },
  { flag: '--group-add <group>', text: 'further group', isList: true },
  { flag: '--tmpfs <path[:options]>', text: 'mount a tmpfs', isList: true },
  { flag: '--add-host <name:address>', text: 'line for /etc/hosts', isList: true },
  { flag: '--dns <address>', text: 'name server', isList: true },
  { flag: '-l, --label <name=value>', text: 'label', isList: true },
  { flag: '--storage-opt <name=value>', text: 'size=20G', isList: true },
  { flag: '--log-opt <name=value>', text: 'option of the log driver', isList: true },
];

/** The flags of `run` alone. */
export const runOnlyFlags: readonly RunFlag[] = [
  { flag: '-d, --detach', text: 'run in the background and print the id' },
  { flag: '--timeline', text: 'print the phases of its start to stderr, when it has ended' },
];

/** The values of a flag that may be given several times, and one more. */
export function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}
