import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';

import { HyperError, isErrno, messageOf } from './base/error.ts';
import { type DaemonConfig, type Setting, settings } from './config-settings.ts';

export const defaultConfigFile = '/etc/hyper/hyperd.json';

type Name = keyof DaemonConfig;
type NumberName = 'mtu' | 'poolSize' | 'poolMax' | 'poolMemoryMiB' | 'trimAfterSeconds';
const names = Object.keys(settings) as Name[];

/** What the command line asks for. */
export type CommandLine =
  | { readonly action: 'help' }
  | { readonly action: 'version' }
  | { readonly action: 'run'; readonly config: DaemonConfig };

/** Reads flags and configuration file. Rejects INVALID_ARGUMENT with every fault, one a line. */
export async function readCommandLine(args: readonly string[]): Promise<CommandLine> {
  const faults: string[] = [];
  const flags = readFlags(args, faults);
  if (flags.get('help') !== undefined) {
    return { action: 'help' };
  }
  if (flags.get('version') !== undefined) {
    return { action: 'version' };
  }
  const file = flags.get('config-file')?.at(-1);
  const keys = await readConfigFile(file ?? defaultConfigFile, file !== undefined, faults);
  const values = Object.fromEntries(
    names.map((name) => [name, settingValue(settings[name], { flags, keys, faults })]),
  ) as Record<Name, readonly string[]>;
  checkTls(values, faults);
  checkPool(values, faults);
  if (faults.length > 0) {
    throw new HyperError('INVALID_ARGUMENT', faults.join('\n'), {
      hint: 'hyperd --help lists the flags',
    });
  }
  return { action: 'run', config: toConfig(values) };
}

/** The text of `hyperd --help`. */
export function helpText(): string {
  const lines = names.map((name) => {
    const { flag, value, help, initial, ...setting }: Setting = settings[name];
    const short = setting.short === undefined ? '    ' : `-${setting.short}, `;
    const fallback = typeof initial === 'string' ? initial : initial.join(', ');
    const shown = fallback === '' || help.includes('(default') ? '' : ` (default ${fallback})`;
    return `  ${`${short}--${flag} <${value}>`.padEnd(34)}${help}${shown}`;
  });
  return [
    'Usage: hyperd [flags]',
    '',
    'Serves the Docker Engine API; every container runs in a VM of its own.',
    'On SIGTERM and SIGINT the daemon ends and the VMs run on: the next hyperd takes them over.',
    '',
    ...lines,
    `      ${'--config-file <file>'.padEnd(30)}the same settings as JSON (default ${defaultConfigFile}); flags win`,
    `      ${'--version'.padEnd(30)}print the version`,
    `      ${'--help'.padEnd(30)}print this`,
    '',
  ].join('\n');
}

type Values = ReadonlyMap<string, readonly string[]>;

function readFlags(args: readonly string[], faults: string[]): Values {
  const options = Object.fromEntries([
    ...names.map((name) => {
      const setting: Setting = settings[name];
      const short = setting.short === undefined ? {} : { short: setting.short };
      return [setting.flag, { type: 'string' as const, ...short }];
    }),
    ['config-file', { type: 'string' as const }],
    ['help', { type: 'boolean' as const, short: 'h' }],
    ['version', { type: 'boolean' as const, short: 'v' }],
  ]) as Record<string, { type: 'string' | 'boolean' }>;
  const { tokens } = parseArgs({ args: [...args], options, strict: false, tokens: true });
  const flags = new Map<string, string[]>();
  for (const token of tokens) {
    if (token.kind === 'positional') {
      faults.push(`${token.value}: hyperd takes flags only`);
    } else if (token.kind === 'option') {
      readFlag(token, { options, flags, faults });
    }
  }
  return flags;
}

function readFlag(
  token: { readonly name: string; readonly rawName: string; readonly value: string | undefined },
  into: {
    readonly options: Readonly<Record<string, { type: 'string' | 'boolean' }>>;
    readonly flags: Map<string, string[]>;
    readonly faults: string[];
  },
): void {
  const option = into.options[token.name];
  if (option === undefined) {
    into.faults.push(`${token.rawName}: there is no such flag`);
  } else if (option.type === 'string' && token.value === undefined) {
    into.faults.push(`${token.rawName}: a value must follow`);
  } else {
    into.flags.set(token.name, [...(into.flags.get(token.name) ?? []), token.value ?? '']);
  }
}

async function readConfigFile(
  file: string,
  isNamed: boolean,
  faults: string[],
): Promise<ReadonlyMap<string, unknown>> {
  let content: string;
  try {
    content = await readFile(file, 'utf8');
  } catch (cause) {
    if (isNamed || !isErrno(cause, 'ENOENT')) {
      faults.push(`${file}: ${messageOf(cause)}`);
    }
    return new Map();
  }
  const keys = parseConfigFile(file, content, faults);
  const known: readonly string[] = names.map((name) => settings[name].key);
  for (const key of keys.keys()) {
    if (!known.includes(key)) {
      faults.push(`${file}: "${key}": there is no such setting`);
    }
  }
  return keys;
}

function parseConfigFile(
  file: string,
  content: string,
  faults: string[],
): ReadonlyMap<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(content);
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) {
      return new Map(Object.entries(parsed));
    }
    faults.push(`${file}: not a JSON object`);
  } catch (cause) {
    faults.push(`${file}: not JSON: ${messageOf(cause)}`);
  }
  return new Map();
}

interface Sources {
  readonly flags: Values;
  readonly keys: ReadonlyMap<string, unknown>;
  readonly faults: string[];
}

function settingValue(setting: Setting, { flags, keys, faults }: Sources): readonly string[] {
  const given = flags.get(setting.flag);
  const fallback = typeof setting.initial === 'string' ? [setting.initial] : setting.initial;
  const [where, values] =
    given === undefined
      ? [`"${setting.key}"`, fileValue(setting, keys.get(setting.key), faults) ?? fallback]
      : [`--${setting.flag}`, setting.list ? given : given.slice(-1)];
  for (const value of values) {
    const fault = setting.check?.(value) ?? null;
    if (fault !== null) {
      faults.push(`${where}: "${value}" ${fault}`);
    }
  }
  return values;
}

function fileValue(setting: Setting, value: unknown, faults: string[]): readonly string[] | null {
  if (value === undefined) {
    return null;
  }
  if (setting.list) {
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) {
      return value;
    }
    faults.push(`"${setting.key}": must be a list of strings`);
    return null;
  }
  if (typeof value === 'string' || typeof value === 'number') {
    return [String(value)];
  }
  faults.push(`"${setting.key}": must be a string`);
  return null;
}

/** An API without client certificates on a network would give the host away. */
function checkTls(values: Readonly<Record<Name, readonly string[]>>, faults: string[]): void {
  if (!values.hosts.some((host) => host.startsWith('tcp://'))) {
    return;
  }
  for (const name of ['tlsCaCert', 'tlsCert', 'tlsKey'] as const) {
    if (values[name][0] === '') {
      faults.push(`--${settings[name].flag}: must be given with tcp:// hosts`);
    }
  }
}

/** A largest size below the smallest would have to be ignored. */
function checkPool(values: Readonly<Record<Name, readonly string[]>>, faults: string[]): void {
  if (faults.length > 0) return;
  const [least = ''] = values.poolSize;
  const [most = ''] = values.poolMax;
  if (most !== '' && Number(most) < Number(least)) {
    faults.push(`--pool-max: "${most}" must be at least that of --pool-size, ${least}`);
  }
}

/** Of the pool, unless said otherwise. */
const usualPoolMax = 20;

function toConfig(values: Readonly<Record<Name, readonly string[]>>): DaemonConfig {
  const entries = names.map((name) => {
    const value = values[name];
    return [name, settings[name].list ? value : (value[0] ?? '')];
  });
  const config = Object.fromEntries(entries) as Omit<DaemonConfig, NumberName>;
  return {
    ...config,
    mtu: Number(values.mtu[0]),
    poolSize: Number(values.poolSize[0]),
    poolMax: Number(values.poolMax[0] || Math.max(usualPoolMax, Number(values.poolSize[0]))),
    poolMemoryMiB: Number(values.poolMemoryMiB[0]),
    trimAfterSeconds: Number(values.trimAfterSeconds[0]),
  };
}
