import { createReadStream } from 'node:fs';

import { Command } from 'commander';

import type { ApiClient } from '../api-client.ts';
import { CliError } from '../cli-error.ts';
import { type ListOptions, printList, withListOptions } from '../output/list.ts';
import { type ProgressMessage, ProgressView } from '../output/progress.ts';
import { formatAge, formatSize } from '../output/table.ts';
import { filterQuery } from './filters.ts';
import { pullImage } from './pull-image.ts';

interface ImageSummary {
  readonly Id: string;
  readonly RepoTags: readonly string[] | null;
  readonly Created: number;
  readonly Size: number;
}

/** images, pull, load, tag, rmi. */
export function imageCommands(api: () => ApiClient): readonly Command[] {
  const images = withListOptions(new Command('images'))
    .description('list images')
    .option('--no-trunc', 'whole ids')
    .option('-f, --filter <filter...>', 'such as dangling=true or reference=busy*')
    .addHelpText(
      'after',
      '\nExample:\n  hyper images --format "{{.Repository}}:{{.Tag}} {{.Size}}"',
    )
    .action(async (options: ListOptions & { trunc: boolean; filter?: string[] }) => {
      await listImages(api(), options);
    });
  const pull = new Command('pull')
    .description('pull an image from a registry')
    .argument('<image>')
    .option('--platform <os/arch>')
    .addHelpText('after', '\nExample:\n  hyper pull busybox')
    .action(async (reference: string, options: { platform?: string }) => {
      await pullImage(api(), reference, options.platform);
    });
  const load = new Command('load')
    .description('load images from an archive (docker save or OCI layout)')
    .option('-i, --input <file>', 'instead of stdin')
    .addHelpText('after', '\nExample:\n  hyper load -i image.tar')
    .action(async (options: { input?: string }) => {
      const upload = options.input === undefined ? process.stdin : createReadStream(options.input);
      const headers = { 'Content-Type': 'application/x-tar' };
      const view = new ProgressView(process.stdout);
      for await (const message of api().lines<ProgressMessage>('POST', '/images/load', {
        upload,
        headers,
      })) {
        if (message.error !== undefined) throw new CliError(message.error);
        view.show(message);
      }
    });
  return [images, pull, load, ...nameCommands(api)];
}

function nameCommands(api: () => ApiClient): readonly Command[] {
  const tag = new Command('tag')
    .description('give an image a further name')
    .argument('<image>')
    .argument('<new-name>')
    .addHelpText('after', '\nExample:\n  hyper tag busybox localhost:5000/busybox:1')
    .action(async (image: string, name: string) => {
      const colon = name.lastIndexOf(':');
      const hasTag = colon > name.lastIndexOf('/');
      const query = {
        repo: hasTag ? name.slice(0, colon) : name,
        tag: hasTag ? name.slice(colon + 1) : 'latest',
      };
      await api().open('POST', `/images/${image}/tag`, { query });
    });
  const rmi = new Command('rmi')
    .description('remove images')
    .argument('<image...>')
    .option('-f, --force')
    .addHelpText('after', '\nExample:\n  hyper rmi busybox')
    .action(async (names: string[], options: { force?: boolean }) => {
      for (const name of names) {
        const removed = await api().json<readonly Record<string, string>[]>(
          'DELETE',
          `/images/${name}`,
          {
            query: { force: options.force },
          },
        );
        for (const item of removed) {
          for (const [verb, what] of Object.entries(item))
            process.stdout.write(`${verb}: ${what}\n`);
        }
      }
    });
  return [tag, rmi];
}

async function listImages(
  api: ApiClient,
  options: ListOptions & { trunc: boolean; filter?: string[] },
): Promise<void> {
  const images = await api.json<readonly ImageSummary[]>('GET', '/images/json', {
    query: { filters: filterQuery(options.filter) },
  });
  const rows = images.flatMap((image) =>
    (image.RepoTags?.length ? image.RepoTags : ['<none>:<none>']).map((name) => {
      const colon = name.lastIndexOf(':');
      const id = options.trunc ? image.Id.slice(7, 19) : image.Id;
      const fields = {
        Repository: name.slice(0, colon),
        Tag: name.slice(colon + 1),
        ID: id,
        CreatedSince: `${formatAge(Date.now() - image.Created * 1000)} ago`,
        Size: formatSize(image.Size),
      };
      const cells = {
        REPOSITORY: fields.Repository,
        TAG: fields.Tag,
        'IMAGE ID': id,
        CREATED: fields.CreatedSince,
        SIZE: fields.Size,
      };
      return { id, fields, cells };
    }),
  );
  printList(['REPOSITORY', 'TAG', 'IMAGE ID', 'CREATED', 'SIZE'], rows, options);
}
