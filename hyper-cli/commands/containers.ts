import { Command } from 'commander';

import type { ApiClient } from '../api-client.ts';
import { CliError } from '../cli-error.ts';
import { formatTemplate } from '../output/format.ts';
import { type ListOptions, printList, withListOptions } from '../output/list.ts';
import { formatAge } from '../output/table.ts';
import { copyFrames } from '../output/terminal.ts';
import { filterQuery } from './filters.ts';
import { runSession } from './session.ts';

interface ContainerSummary {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly Image: string;
  readonly Command: string;
  readonly Created: number;
  readonly State: string;
  readonly Status: string;
  readonly Ports: readonly {
    readonly IP?: string;
    readonly PrivatePort: number;
    readonly PublicPort?: number;
    readonly Type: string;
  }[];
}

/** ps, logs, exec, attach, inspect, and the verbs of a container's life. */
export function containerCommands(api: () => ApiClient): readonly Command[] {
  return [
    psCommand(api),
    logsCommand(api),
    execCommand(api),
    attachCommand(api),
    inspectCommand(api),
    ...lifeCommands(api),
  ];
}

function psCommand(api: () => ApiClient): Command {
  return withListOptions(new Command('ps'))
    .description('list containers')
    .option('-a, --all', 'stopped ones too')
    .option('--no-trunc', 'whole ids and commands')
    .option('-f, --filter <filter...>', 'such as status=running or label=a=b')
    .addHelpText(
      'after',
      '\nExamples:\n  hyper ps -a\n  hyper ps --format "{{.Names}} {{.Status}}"',
    )
    .action(async (options: ListOptions & { all?: boolean; trunc: boolean; filter?: string[] }) => {
      const containers = await api().json<readonly ContainerSummary[]>('GET', '/containers/json', {
        query: { all: options.all, filters: filterQuery(options.filter) },
      });
      const header = ['CONTAINER ID', 'IMAGE', 'COMMAND', 'CREATED', 'STATUS', 'PORTS', 'NAMES'];
      printList(
        header,
        containers.map((container) => containerRow(container, options.trunc)),
        options,
      );
    });
}

function containerRow(container: ContainerSummary, isShort: boolean) {
  const id = isShort ? container.Id.slice(0, 12) : container.Id;
  const quoted = JSON.stringify(container.Command);
  const command = isShort && quoted.length > 22 ? `${quoted.slice(0, 20)}…"` : quoted;
  const ports = container.Ports.map((port) =>
    port.PublicPort === undefined
      ? `${String(port.PrivatePort)}/${port.Type}`
      : `${port.IP?.includes(':') === true ? `[${port.IP}]` : (port.IP ?? '')}:${String(port.PublicPort)}->${String(port.PrivatePort)}/${port.Type}`,
  ).join(', ');
  const fields = {
    ID: id,
    Image: container.Image,
    Command: command,
    RunningFor: `${formatAge(Date.now() - container.Created * 1000)} ago`,
    State: container.State,
    Status: container.Status,
    Ports: ports,
    Names: container.Names.map((name) => name.replace(/^\//, '')).join(','),
  };
  const cells = {
    'CONTAINER ID': id,
    IMAGE: fields.Image,
    COMMAND: command,
    CREATED: fields.RunningFor,
    STATUS: fields.Status,
    PORTS: ports,
    NAMES: fields.Names,
  };
  return { id, fields, cells };
}

function logsCommand(api: () => ApiClient): Command {
  return new Command('logs')
    .description('show what a container printed')
    .argument('<container>')
    .option('-f, --follow', 'go on with what comes')
    .option('-n, --tail <lines>', 'only the last lines', 'all')
    .option('-t, --timestamps')
    .option('--since <time>', 'time stamp, or an age such as 10m')
    .option('--until <time>')
    .addHelpText('after', '\nExample:\n  hyper logs -f --tail 20 web')
    .action(async (name: string, options: LogsOptions) => {
      const { Config } = await inspect(api(), name);
      const response = await api().open('GET', `/containers/${name}/logs`, {
        query: {
          stdout: 1,
          stderr: 1,
          follow: options.follow,
          tail: options.tail,
          timestamps: options.timestamps,
          since: timeOf(options.since),
          until: timeOf(options.until),
        },
      });
      await copyFrames(response, Config.Tty);
    });
}

interface LogsOptions {
  readonly follow?: boolean;
  readonly tail: string;
  readonly timestamps?: boolean;
  readonly since?: string;
  readonly until?: string;
}

/** Seconds since the epoch of a time stamp or of an age (`90s`, `10m`, `3h`). */
function timeOf(text: string | undefined): string | undefined {
  if (text === undefined || /^\d+(\.\d+)?$/.test(text)) return text;
  const age = /^(\d+)([smhd])$/.exec(text);
  if (age !== null) {
    const seconds = Number(age[1]) * ({ s: 1, m: 60, h: 3600, d: 86_400 }[age[2] ?? ''] ?? 1);
    return String(Date.now() / 1000 - seconds);
  }
  const time = Date.parse(text);
  if (Number.isNaN(time))
    throw new CliError(`"${text}" is no time`, { hint: 'use 10m, or 2026-01-31T12:00:00Z' });
  return String(time / 1000);
}

function execCommand(api: () => ApiClient): Command {
  return new Command('exec')
    .description('run a command in a running container')
    .argument('<container>')
    .argument('<command...>')
    .option('-i, --interactive', 'keep stdin open')
    .option('-t, --tty', 'give it a terminal')
    .option('-d, --detach', 'in the background')
    .option('-u, --user <user>')
    .option('-w, --workdir <directory>')
    .option('-e, --env <name=value...>')
    .option('--privileged')
    .passThroughOptions()
    .addHelpText('after', '\nExample:\n  hyper exec -it web sh')
    .action(async (name: string, command: string[], options: ExecOptions) => {
      process.exitCode = await execute(api(), name, command, options);
    });
}

interface ExecOptions {
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly detach?: boolean;
  readonly user?: string;
  readonly workdir?: string;
  readonly env?: readonly string[];
  readonly privileged?: boolean;
}

async function execute(
  api: ApiClient,
  name: string,
  command: readonly string[],
  options: ExecOptions,
): Promise<number> {
  const isAttached = options.detach !== true;
  const tty = options.tty === true;
  const stdin = isAttached && options.interactive === true;
  const { Id } = await api.json<{ Id: string }>('POST', `/containers/${name}/exec`, {
    body: {
      Cmd: command,
      AttachStdin: stdin,
      AttachStdout: isAttached,
      AttachStderr: isAttached,
      Tty: tty,
      Env: options.env ?? [],
      User: options.user ?? '',
      WorkingDir: options.workdir ?? '',
      Privileged: options.privileged === true,
    },
  });
  if (!isAttached) {
    await api.open('POST', `/exec/${Id}/start`, { body: { Detach: true, Tty: tty } });
    return 0;
  }
  const resizePath = `/exec/${Id}/resize`;
  await runSession(api, {
    path: `/exec/${Id}/start`,
    body: { Detach: false, Tty: tty },
    stdin,
    tty,
    resizePath,
  });
  const { ExitCode } = await api.json<{ ExitCode: number }>('GET', `/exec/${Id}/json`);
  return ExitCode;
}

function attachCommand(api: () => ApiClient): Command {
  return new Command('attach')
    .description('connect with the stdio of a running container')
    .argument('<container>')
    .option('--no-stdin', 'only its output')
    .option('--detach-keys <keys>', 'default ctrl-p,ctrl-q')
    .addHelpText('after', '\nExample:\n  hyper attach web')
    .action(async (name: string, options: { stdin: boolean; detachKeys?: string }) => {
      const { Config, Id } = await inspect(api(), name);
      const stdin = options.stdin && Config.OpenStdin;
      await runSession(api(), {
        path: `/containers/${Id}/attach`,
        query: {
          stream: 1,
          stdout: 1,
          stderr: 1,
          stdin: stdin ? 1 : undefined,
          detachKeys: options.detachKeys,
        },
        stdin,
        tty: Config.Tty,
        resizePath: `/containers/${Id}/resize`,
      });
      const { State } = await inspect(api(), Id);
      if (State.Status === 'exited') process.exitCode = State.ExitCode;
    });
}

interface Inspected {
  readonly Id: string;
  readonly Config: { readonly Tty: boolean; readonly OpenStdin: boolean };
  readonly State: { readonly Status: string; readonly ExitCode: number };
}

function inspect(api: ApiClient, name: string): Promise<Inspected> {
  return api.json('GET', `/containers/${name}/json`);
}

function inspectCommand(api: () => ApiClient): Command {
  return new Command('inspect')
    .description('show all about containers or images, as JSON')
    .argument('<name...>')
    .option('--format <template>', 'such as "{{.State.Status}}"')
    .addHelpText(
      'after',
      '\nExample:\n  hyper inspect --format "{{.NetworkSettings.IPAddress}}" web',
    )
    .action(async (names: string[], options: { format?: string }) => {
      const found: unknown[] = [];
      for (const name of names) found.push(await inspectAny(api(), name));
      process.stdout.write(
        options.format === undefined
          ? `${JSON.stringify(found, null, 4)}\n`
          : found.map((value) => `${formatTemplate(options.format ?? '', value)}\n`).join(''),
      );
    });
}

async function inspectAny(api: ApiClient, name: string): Promise<unknown> {
  for (const path of [`/containers/${name}/json`, `/images/${name}/json`]) {
    try {
      return await api.json('GET', path);
    } catch (thrown) {
      if (!(thrown instanceof CliError) || thrown.status !== 404) throw thrown;
    }
  }
  throw new CliError(`No such object: ${name}`, {
    hint: 'hyper ps -a and hyper images list what there is',
  });
}

async function each(
  names: readonly string[],
  act: (name: string) => Promise<unknown>,
): Promise<void> {
  for (const name of names) {
    await act(name);
    process.stdout.write(`${name}\n`);
  }
}

function verb(name: string, text: string): Command {
  return new Command(name)
    .description(text)
    .argument('<container...>')
    .addHelpText('after', `\nExample:\n  hyper ${name} web`);
}

/** Verbs that take container names and print each when it is done. */
function lifeCommands(api: () => ApiClient): readonly Command[] {
  const post = (
    name: string,
    action: string,
    query: Record<string, string | boolean | undefined> = {},
  ) => api().open('POST', `/containers/${name}/${action}`, { query });
  return [
    verb('start', 'start containers').action((names: string[]) =>
      each(names, (name) => post(name, 'start')),
    ),
    ...['stop', 'restart'].map((action) =>
      verb(action, `${action} containers: stop signal first, kill after a time`)
        .option('-t, --time <seconds>', 'until it is killed')
        .option('-s, --signal <signal>')
        .action((names: string[], options: { time?: string; signal?: string }) =>
          each(names, (name) => post(name, action, { t: options.time, signal: options.signal })),
        ),
    ),
    verb('kill', 'send a signal to containers')
      .option('-s, --signal <signal>', 'default KILL')
      .action((names: string[], options: { signal?: string }) =>
        each(names, (name) => post(name, 'kill', { signal: options.signal })),
      ),
    verb('pause', 'freeze containers').action((names: string[]) =>
      each(names, (name) => post(name, 'pause')),
    ),
    verb('unpause', 'thaw containers').action((names: string[]) =>
      each(names, (name) => post(name, 'unpause')),
    ),
    verb('rm', 'remove containers')
      .option('-f, --force', 'running ones too')
      .action((names: string[], options: { force?: boolean }) =>
        each(names, (name) =>
          api().open('DELETE', `/containers/${name}`, { query: { force: options.force } }),
        ),
      ),
    verb('wait', 'wait for the end of containers and print their exit codes').action(
      async (names: string[]) => {
        for (const name of names) {
          const { StatusCode } = await api().json<{ StatusCode: number }>(
            'POST',
            `/containers/${name}/wait`,
          );
          process.stdout.write(`${String(StatusCode)}\n`);
        }
      },
    ),
  ];
}
