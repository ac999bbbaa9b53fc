import { Command } from 'commander';

import type { ApiClient } from '../api-client.ts';
import { CliError } from '../cli-error.ts';
import { printTimeline, readTimeline, runInForeground } from './run-foreground.ts';
import { runOnlyFlags } from './run-flags.ts';
import { createBody, type RunOptions, withFlags, withRunOptions } from './run-options.ts';
import { orNotStarted, printWarnings, toStartError } from './run-outcome.ts';
import { withImage } from './with-image.ts';

/** `hyper run` and `hyper create`. */
export function runCommands(api: () => ApiClient): readonly Command[] {
  const run = withFlags(withRunOptions(new Command('run')), runOnlyFlags)
    .description('run a command in a new container, in a VM of its own')
    .argument('<image>')
    .argument('[command...]')
    .passThroughOptions()
    .addHelpText(
      'after',
      '\nExamples:\n  hyper run --rm busybox uname -r\n  hyper run -d --name web -p 8080:80 nginx',
    )
    .action(async (image: string, command: string[], options: RunOptions) => {
      const runContainer = options.detach === true ? runInBackground : runInForeground;
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

async function runInBackground(
  api: ApiClient,
  ...wanted: readonly [image: string, command: readonly string[], options: RunOptions]
): Promise<number> {
  const [, , options] = wanted;
  const id = await orNotStarted(() => createContainer(api, ...wanted));
  try {
    await api.open('POST', `/containers/${id}/start`);
  } catch (thrown) {
    throw thrown instanceof CliError ? toStartError(thrown) : thrown;
  }
  if (options.timeline === true) printTimeline(await readTimeline(api, id));
  process.stdout.write(`${id}\n`);
  return 0;
}

async function createContainer(
  api: ApiClient,
  image: string,
  command: readonly string[],
  options: RunOptions,
): Promise<string> {
  const query = { name: options.name, platform: options.platform };
  const body = createBody(image, command, options);
  const { Id, Warnings } = await withImage(api, image, options, () =>
    api.json<{ Id: string; Warnings: readonly string[] | null }>('POST', '/containers/create', {
      query,
      body,
    }),
  );
  printWarnings(Warnings ?? []);
  return Id;
}
