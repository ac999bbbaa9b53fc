import { readFile } from 'node:fs/promises';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { TestDaemon } from '../support/daemon.ts';

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await TestDaemon.start(['busybox', 'debian']);
});

afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
});

function docker(...args: string[]) {
  return daemon.docker(args);
}

describe('docker run', () => {
  it('runs in a kernel that is not the host’s', async () => {
    const hostRelease = (await readFile('/proc/sys/kernel/osrelease', 'utf8')).trim();
    const { code, stdout } = await docker('run', '--rm', 'busybox', 'uname', '-r');
    expect({ code, isHyper: stdout.trim().endsWith('-hyper') }).toEqual({ code: 0, isHyper: true });
    expect(stdout.trim()).not.toBe(hostRelease);
  });

  it('passes exit codes on, and tells a missing command from one that cannot be executed', async () => {
    const exited = await docker('run', '--rm', 'busybox', 'sh', '-c', 'exit 3');
    const missing = await docker('run', '--rm', 'busybox', 'nope');
    const directory = await docker('run', '--rm', 'busybox', '/etc');
    const killed = await docker('run', '--rm', '--init', 'busybox', 'sh', '-c', 'kill -9 $$');
    const option = await docker('run', '--rm', '--ulimit', 'nope=1', 'busybox', 'true');
    expect([exited.code, missing.code, directory.code, killed.code, option.code]).toEqual([
      3, 127, 126, 137, 125,
    ]);
    expect(missing.stderr).toContain('exec: "nope": executable file not found in $PATH');
  });

  it('keeps stdout and stderr apart, and hands stdin over to its end', async () => {
    const split = await docker('run', '--rm', 'busybox', 'sh', '-c', 'echo out; echo err >&2');
    expect([split.stdout, split.stderr]).toEqual(['out\n', 'err\n']);
    const text = 'line\n'.repeat(20_000);
    const { stdout } = await daemon.docker(['run', '-i', '--rm', 'busybox', 'cat'], text);
    expect(stdout === text).toBe(true);
  });

  it('honours identity, environment and directory options', async () => {
    const { stdout } = await docker(
      ...['run', '--rm', '-u', '1000:100', '--group-add', '7', '-w', '/some/where', '-e', 'A=b c'],
      ...['-h', 'box', '--domainname', 'example.org', '--add-host', 'db:10.1.2.3', 'busybox'],
      ...[
        'sh',
        '-c',
        'id; pwd; echo $A; hostname; grep db /etc/hosts; cat /proc/sys/kernel/domainname',
      ],
    );
    expect(stdout.split('\n').slice(0, 6)).toEqual([
      'uid=1000 gid=100(users) groups=7,100(users)',
      '/some/where',
      'b c',
      'box',
      '10.1.2.3\tdb',
      'example.org',
    ]);
  });

  it('confines as Docker does by default', async () => {
    const script =
      'grep -E "CapEff|CapBnd|Seccomp:|NoNewPrivs" /proc/self/status; mount -t tmpfs x /mnt 2>&1; ' +
      'echo x >/proc/sys/kernel/hostname; cat /proc/kcore 2>&1 | head -c 1; ls /sys/fs/cgroup >/dev/null && echo cgroup; echo pid $$';
    const { stdout } = await docker('run', '--rm', 'busybox', 'sh', '-c', script);
    expect(stdout).toContain('CapEff:\t00000000a80425fb');
    expect(stdout).toContain('Seccomp:\t2');
    expect(stdout).toMatch(/permission denied|not permitted/);
    expect(stdout).toContain('pid 1\n');
  });

  it('opens up with --privileged, --cap-add and seccomp=unconfined, and closes with --cap-drop', async () => {
    const status = (stdout: string, field: string) =>
      new RegExp(`${field}:\\t(\\S+)`).exec(stdout)?.[1];
    const show = ['busybox', 'cat', '/proc/self/status'];
    const privileged = await docker('run', '--rm', '--privileged', ...show);
    const added = await docker('run', '--rm', '--cap-add', 'SYS_ADMIN', ...show);
    const dropped = await docker(
      'run',
      '--rm',
      '--cap-drop',
      'ALL',
      '--security-opt',
      'no-new-privileges',
      ...show,
    );
    const open = await docker('run', '--rm', '--security-opt', 'seccomp=unconfined', ...show);
    expect(status(privileged.stdout, 'CapEff')).toBe('000001ffffffffff');
    expect(status(added.stdout, 'CapEff')).toBe('00000000a82425fb');
    expect(status(dropped.stdout, 'CapEff')).toBe('0000000000000000');
    expect(status(dropped.stdout, 'NoNewPrivs')).toBe('1');
    expect(status(open.stdout, 'Seccomp')).toBe('0');
  });

  it('keeps a container from the disks of its VM, and opens them to a privileged one', async () => {
    const script =
      'IFS=: read major minor </sys/class/block/vda/dev; mknod /tmp/disk b $major $minor && echo made; ' +
      'head -c 1 /tmp/disk | wc -c; echo kept >/dev/null && head -c 1 /dev/zero | wc -c';
    const run = ['busybox', 'sh', '-c', script];
    const confined = await docker('run', '--rm', ...run);
    const privileged = await docker('run', '--rm', '--privileged', ...run);
    expect(confined.stdout).toBe('made\n0\n1\n');
    expect(confined.stderr).toContain('/tmp/disk: Operation not permitted');
    expect([privileged.stdout, privileged.stderr]).toEqual(['made\n1\n1\n', '']);
  });

  it('limits memory, processes, files and shared memory inside the VM', async () => {
    const { stdout } = await docker(
      ...[
        'run',
        '--rm',
        '-m',
        '64m',
        '--cpus',
        '0.5',
        '--pids-limit',
        '50',
        '--ulimit',
        'nofile=123:456',
      ],
      ...[
        '--shm-size',
        '32m',
        '--sysctl',
        'net.ipv4.ip_forward=1',
        '--tmpfs',
        '/scratch:size=4m',
        'busybox',
      ],
      ...[
        'sh',
        '-c',
        'cd /sys/fs/cgroup; cat memory.max cpu.max pids.max; ulimit -n; df -k /dev/shm /scratch | tail -2; cat /proc/sys/net/ipv4/ip_forward',
      ],
    );
    const lines = stdout.trim().split('\n');
    expect(lines.slice(0, 4)).toEqual(['67108864', '50000 100000', '50', '123']);
    expect(lines[4]).toMatch(/^shm|^tmpfs +32768/);
    expect(lines[5]).toMatch(/^tmpfs +4096/);
    expect(lines[6]).toBe('1');
  });

  it('kills a container that exceeds its memory, and says so', async () => {
    const { code } = await docker(
      'run',
      '--name',
      'greedy',
      '-m',
      '32m',
      'busybox',
      'sh',
      '-c',
      'tail /dev/zero',
    );
    const { stdout } = await docker(
      'inspect',
      'greedy',
      '--format',
      '{{.State.OOMKilled}} {{.State.ExitCode}}',
    );
    await docker('rm', 'greedy');
    expect([code, stdout.trim()]).toEqual([137, 'true 137']);
  });

  it('makes the root read-only with --read-only, and writes to it survive a stop and start', async () => {
    const readOnly = await docker('run', '--rm', '--read-only', 'busybox', 'touch', '/x');
    expect(readOnly.stderr).toContain('Read-only file system');
    await docker(
      'run',
      '--name',
      'keep',
      'busybox',
      'sh',
      '-c',
      'echo $((`cat /n 2>/dev/null || echo 0` + 1)) > /n; cat /n',
    );
    await docker('start', '-a', 'keep');
    const { stdout } = await docker('logs', 'keep');
    await docker('rm', 'keep');
    expect(stdout).toBe('1\n2\n');
  });

  it('refuses by name what is not supported yet', async () => {
    const bind = await docker('run', '--rm', '-v', '/tmp:/mnt', 'busybox', 'true');
    const network = await docker('run', '--rm', '--network', 'container:x', 'busybox', 'true');
    expect([bind.code, network.code]).toEqual([125, 125]);
    expect(bind.stderr).toMatch(/Binds/);
    expect(network.stderr).toMatch(/container:x|NetworkMode/);
  });

  it('shows all layers of an image as one device', async () => {
    const files = ['/bin/bash', '/usr', '/etc/hostname.new'];
    const script = `touch /etc/hostname.new; stat -c %d ${files.join(' ')} | sort -u | wc -l; du -xsk /usr | cut -f1`;
    const { stdout } = await docker('run', '--rm', 'debian', 'bash', '-c', script);
    const [devices, kibibytes] = stdout.trim().split('\n').map(Number);
    expect(devices).toBe(1);
    expect(kibibytes).toBeGreaterThan(10_000);
  });

  it('runs a shell of Debian with its own users and packages', async () => {
    const { stdout } = await docker(
      'run',
      '--rm',
      'debian',
      'bash',
      '-c',
      'dpkg -l bash | grep -c ^ii; . /etc/os-release; echo $ID',
    );
    expect(stdout).toBe('1\ndebian\n');
  });
});

describe('docker exec, logs, stop and the rest of a life', () => {
  it('execs, signals, pauses, renames, stops and removes', async () => {
    await docker(
      'run',
      '-d',
      '--name',
      'life',
      'busybox',
      'sh',
      '-c',
      'trap "echo bye; exit 5" TERM; echo up; while :; do sleep 0.1; done',
    );
    const exec = await docker(
      'exec',
      '-e',
      'X=1',
      '-w',
      '/tmp',
      'life',
      'sh',
      '-c',
      'echo $X $PWD; exit 7',
    );
    expect([exec.code, exec.stdout]).toEqual([7, '1 /tmp\n']);
    expect((await docker('exec', 'life', 'nope')).code).toBe(127);
    await docker('pause', 'life');
    expect((await docker('ps', '--format', '{{.Status}}')).stdout).toContain('Paused');
    await docker('unpause', 'life');
    await docker('rename', 'life', 'afterlife');
    expect((await docker('stop', 'afterlife')).code).toBe(0);
    expect((await docker('logs', 'afterlife')).stdout).toBe('up\nbye\n');
    expect((await docker('wait', 'afterlife')).stdout.trim()).toBe('5');
    expect((await docker('rm', 'afterlife')).code).toBe(0);
  });

  it('answers wrong names and conflicts in the words of Docker', async () => {
    await docker('create', '--name', 'taken', 'busybox');
    const again = await docker('create', '--name', 'taken', 'busybox');
    expect(again.stderr).toContain('Conflict. The container name "/taken" is already in use');
    expect((await docker('start', 'no-such')).stderr).toContain('No such container: no-such');
    expect((await docker('exec', 'taken', 'true')).stderr).toContain('is not running');
    expect((await docker('inspect', 'no-such')).code).toBe(1);
    await docker('rm', 'taken');
  });

  it('gives a terminal its size and passes keys to it', async () => {
    const command = `docker run -it --rm busybox sh -c 'stty size; tty; read x; echo got $x'`;
    const { stdout } = await daemon.command(
      'script',
      ['-qec', `stty rows 33 cols 99; ${command}`, '/dev/null'],
      'word\n',
    );
    expect(stdout).toContain('33 99');
    expect(stdout).toContain('/dev/pts/0');
    expect(stdout).toContain('got word');
  });
});
