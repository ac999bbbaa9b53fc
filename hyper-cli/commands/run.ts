import { Command } from 'commander';

import type { StartTimeline } from '../../hyperd/api/schema/hyper.ts';
import type { ApiClient } from '../api-client.ts';
import { CliError } from '../cli-error.ts';
import { formatTimeline } from '../output/timeline.ts';
import { pullImage } from './images.ts';
import { createBody, type RunOptions, withRunOptions } from './run-options.ts';
import { runSession } from './session.ts';

/** Docker's exit status of a run that fails by itself, not by its command. */
const notStarted = 125;

/** `hyper run` and `hyper create`. */
export function runCommands(api: () => ApiClient): readonly Command[] {
  const run = withRunOptions(new Command('run'))
    .description('run a command in a new container, in a VM of its own')
    .argument('<image>')
    .argument('[command...]')
    .option('-d, --detach', 'run in the background and print the id')
    .option('--timeline', 'print the phases of its start to stderr, when it has ended')
    .passThroughOptions()
    .addHelpText(
      'after',
      '\nExamples:\n  hyper run --rm busybox uname -r\n  hyper run -d --name web -p 8080:80 nginx',
    )
    .action(async (image: string, command: string[], options: RunOptions) => {
      process.exitCode = await runContainer(api(), image, command, options);
    });
  const create = withRunOptions(new Command('create'))
    .description('create a container without starting it')
    .argument('<image>')
    .argument('[command...]')
    .passThroughOptions()
    .addHelpText('after', '\nExample:\n  hyper create --name job busybox date')
    .action(async (image: string, command: string[], options: RunOptions) => {
      process.stdout.write(`${await createContainer(api(), image, command, options)}\n`);
    });
  return [run, create];
}

async function runContainer(
  api: ApiClient,
  image: string,
  command: readonly string[],
  options: RunOptions,
): Promise<number> {
  const id = await createForRun(api, image, command, options);
  if (options.detach === true) {
    await api.open('POST', `/containers/${id}/start`);
    if (options.timeline === true) printTimeline(await readTimeline(api, id));
    process.stdout.write(`${id}\n`);
    return 0;
  }
  const condition = options.rm === true ? 'removed' : 'next-exit';
  const exit = Promise.withResolvers<{ StatusCode: number }>();
  exit.promise.catch(() => undefined);
  let timeline: StartTimeline | null = null;
  await runSession(api, {
    path: `/containers/${id}/attach`,
    query: {
      stream: 1,
      stdout: 1,
      stderr: 1,
      stdin: options.interactive === true ? 1 : undefined,
      detachKeys: options.detachKeys,
    },
    stdin: options.interactive === true,
    tty: options.tty === true,
    resizePath: `/containers/${id}/resize`,
    onAttached: async () => {
      exit.resolve(api.json('POST', `/containers/${id}/wait`, { query: { condition } }));
      await start(api, id);
      if (options.timeline === true) timeline = await readTimeline(api, id);
      if (options.tty !== true) forwardSignals(api, id);
    },
  });
  const { StatusCode } = await exit.promise;
  if (options.timeline === true) printTimeline(timeline);
  return StatusCode;
}

/** To be asked for before the container gets input: with --rm its end takes all that is known of it. */
async function readTimeline(api: ApiClient, id: string): Promise<StartTimeline | null> {
  try {
    return await api.json<StartTimeline>('GET', `/hyper/containers/${id}/timeline`);
  } catch {
    return null;
  }
}

/** To stderr: stdout is the container's. */
function printTimeline(timeline: StartTimeline | null): void {
  const gone = 'hyper: the container was removed before its timeline was read\n';
  const bars = process.stderr.isTTY;
  process.stderr.write(timeline === null ? gone : formatTimeline(timeline, { bars }));
}

/** Starts a container; a command that cannot be run ends us with Docker's exit codes. */
async function start(api: ApiClient, id: string): Promise<void> {
  try {
    await api.open('POST', `/containers/${id}/start`);
  } catch (thrown) {
    if (!(thrown instanceof CliError)) throw thrown;
    const isMissing = /executable file not found|no such file or directory/.test(thrown.message);
    const isForbidden = /permission denied|is a directory/.test(thrown.message);
    throw thrown.withExitCode(isMissing ? 127 : isForbidden ? 126 : notStarted);
  }
}

/** What fails before there is a container is told from what the container exits with. */
async function createForRun(...request: Parameters<typeof createContainer>): Promise<string> {
  try {
    return await createContainer(...request);
  } catch (thrown) {
    throw thrown instanceof CliError ? thrown.withExitCode(notStarted) : thrown;
  }
}

async function createContainer(
  api: ApiClient,
  image: string,
  command: readonly string[],
  options: RunOptions,
): Promise<string> {
  const request = {
    query: { name: options.name, platform: options.platform },
    body: createBody(image, command, options),
  };
  if (options.pull === 'always') await pullImage(api, image, options.platform);
  try {
    return await createOnce(api, request);
  } catch (thrown) {
    const isMissing = thrown instanceof CliError && thrown.status === 404;
    if (!isMissing || options.pull === 'never') throw thrown;
    process.stderr.write(`Unable to find image '${image}' locally\n`);
    await pullImage(api, image, options.platform, process.stderr);
    return createOnce(api, request);
  }
}

async function createOnce(
  api: ApiClient,
  request: { readonly query: Record<string, string | undefined>; readonly body: object },
): Promise<string> {
  const { Id, Warnings } = await api.json<{ Id: string; Warnings: readonly string[] | null }>(
    'POST',
    '/containers/create',
    request,
  );
  for (const warning of Warnings ?? []) process.stderr.write(`WARNING: ${warning}\n`);
  return Id;
}

/** Ctrl-C is for the container: it decides what to do with it. */
function forwardSignals(api: ApiClient, id: string): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) {
    process.on(signal, () => {
      api.open('POST', `/containers/${id}/kill`, { query: { signal } }).catch(() => undefined);
    });
  }
}
