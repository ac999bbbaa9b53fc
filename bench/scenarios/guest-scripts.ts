import type { Engine } from '../engines/engine.ts';

export const fileCount = 4000;
const file = '/root/bench-file';

const createFiles = `
my $data = join('', map { chr(32 + $_ * 7 % 90) } 1..2048);
for my $d (1..$directories) {
  mkdir("$root/$d") or die;
  for my $f (1..$files) {
    open(my $h, '>', "$root/$d/$f.js") or die; print $h $data or die; close($h) or die;
  }
}`;

const readFiles = `
for my $d (1..$directories) {
  for my $f (1..$files) {
    open(my $h, '<', "$root/$d/$f.js") or die; local $/; length(<$h>) == 2048 or die; close($h);
  }
}`;

const removeFiles = `
for my $d (1..$directories) {
  for my $f (1..$files) { unlink("$root/$d/$f.js") or die; }
  rmdir("$root/$d") or die;
}`;

const blocks = `
srand(7);
for my $n (1..$operations) {
  sysseek($h, 4096 * int(rand($size / 4096)), 0);`;

/** Steps of a container with Debian in it; perl is in every Debian, and starts one process for a loop. */
export const fileSteps = {
  create: perl(createFiles),
  read: perl(readFiles),
  remove: perl(removeFiles),
} as const;

/** Steps on one file, each after the one before; caches of the container's kernel are emptied. */
export function diskSteps(mebibytes: number, operations: number) {
  const size = `my $size = ${String(mebibytes)} * 1048576; my $operations = ${String(operations)};`;
  const drop = `dd if=${file} iflag=nocache count=0`;
  const open = (mode: string): string => `open(my $h, '${mode}', '${file}') or die;`;
  const read = `${open('<')}${size}${blocks} sysread($h, my $b, 4096) == 4096 or die; }`;
  const write = `${open('+<')}${size}${blocks} syswrite($h, 'x' x 4096) == 4096 or die; }`;
  return {
    sequentialWrite: `dd if=/dev/zero of=${file} bs=1M count=${String(mebibytes)} conv=fsync`,
    sequentialRead: [drop, `dd if=${file} of=/dev/null bs=1M`],
    randomRead: [drop, perl(read)],
    randomWrite: [drop, perl(`use IO::Handle; ${write} $h->sync or die;`)],
  } as const;
}

function perl(program: string): string {
  const settings = `my $root = '/root'; my $directories = 100; my $files = ${String(fileCount / 100)};`;
  // No single quote of the program's may end the shell's.
  return `perl -e '${`${settings}${program}`.replaceAll("'", `'"'"'`)}'`;
}

/**
 * Milliseconds that a step takes by the container's own clock, so that the way into the container is
 * not in it. Of several commands the last one is timed.
 */
export async function timeInside(
  engine: Engine,
  container: string,
  step: string | readonly string[],
): Promise<number> {
  const commands = typeof step === 'string' ? [step] : [...step];
  const timedCommand = commands.pop() ?? 'true';
  const script = [
    ...['set -e', ...commands.map((command) => `${command} 2>/dev/null`)],
    ...['from=$(date +%s%N)', `${timedCommand} 2>/dev/null`, 'to=$(date +%s%N)'],
    'echo $((to - from))',
  ];
  const output = await engine.docker('exec', container, 'sh', '-c', script.join('\n'));
  return Number(output.trim()) / 1e6;
}
