import { Command } from 'commander';

import type { StartTimeline } from '../../hyperd/api/schema/hyper.ts';
import type { ApiClient } from '../api-client.ts';
import { formatTemplate } from '../output/format.ts';
import { type ListOptions, printList, withListOptions } from '../output/list.ts';
import { formatTimeline } from '../output/timeline.ts';
import { filterQuery } from './filters.ts';
import { printVersion } from './version.ts';

interface Vm {
  readonly ContainerId: string;
  readonly ContainerName: string;
  readonly Image: string;
  readonly Hypervisor: string;
  readonly Pid: number;
  readonly MemoryMiB: number;
  readonly Vcpus: number;
  readonly KernelRelease: string;
  readonly Timeline: Readonly<Record<string, number>>;
}

/** version, info, events, vm ls, vm console, vm timeline. */
export function systemCommands(api: () => ApiClient): readonly Command[] {
  const version = new Command('version')
    .description('versions of hyper and of the daemon')
    .option('--json')
    .addHelpText('after', '\nExample:\n  hyper version --json')
    .action(async (options: { json?: boolean }) => {
      await printVersion({ host: api().host, json: options.json });
    });
  const info = new Command('info')
    .description('what the daemon says of itself, as JSON')
    .option('--format <template>')
    .addHelpText('after', '\nExample:\n  hyper info --format "{{.Containers}}"')
    .action(async (options: { format?: string }) => {
      const value = await api().json<unknown>('GET', '/info');
      const text =
        options.format === undefined
          ? JSON.stringify(value, null, 2)
          : formatTemplate(options.format, value);
      process.stdout.write(`${text}\n`);
    });
  const events = new Command('events')
    .description('events as they happen, one JSON object a line')
    .option('--since <time>')
    .option('--until <time>')
    .option('-f, --filter <filter...>', 'such as type=container')
    .addHelpText('after', '\nExample:\n  hyper events --filter type=container')
    .action(async (options: { since?: string; until?: string; filter?: string[] }) => {
      const query = {
        since: options.since,
        until: options.until,
        filters: filterQuery(options.filter),
      };
      for await (const event of api().lines<object>('GET', '/events', { query })) {
        process.stdout.write(`${JSON.stringify(event)}\n`);
      }
    });
  return [version, info, events, vmCommand(api)];
}

function vmCommand(api: () => ApiClient): Command {
  const vm = new Command('vm').description('the VMs behind the containers');
  withListOptions(vm.command('ls'))
    .description('list running VMs')
    .addHelpText('after', '\nExample:\n  hyper vm ls')
    .action(async (options: ListOptions) => {
      const vms = await api().json<readonly Vm[]>('GET', '/hyper/vms');
      const rows = vms.map((item) => {
        const fields = { ...item, ID: item.ContainerId.slice(0, 12), BootMs: bootMs(item) };
        const cells = {
          CONTAINER: item.ContainerName,
          HYPERVISOR: item.Hypervisor,
          PID: String(item.Pid),
          CPUS: String(item.Vcpus),
          MEMORY: `${String(item.MemoryMiB)}MiB`,
          KERNEL: item.KernelRelease,
          START: `${String(fields.BootMs)}ms`,
        };
        return { id: fields.ID, fields, cells };
      });
      printList(
        ['CONTAINER', 'HYPERVISOR', 'PID', 'CPUS', 'MEMORY', 'KERNEL', 'START'],
        rows,
        options,
      );
    });
  vm.command('console')
    .description('the last lines that the guest kernel printed')
    .argument('<container>')
    .addHelpText('after', '\nExample:\n  hyper vm console web')
    .action(async (name: string) => {
      const { Text } = await api().json<{ Text: string }>('GET', `/hyper/vms/${name}/console`);
      process.stdout.write(Text);
    });
  vm.command('timeline')
    .description('milliseconds of the last start: marks up to agent, then durations')
    .argument('<container>')
    .addHelpText('after', '\nExample:\n  hyper vm timeline web')
    .action(async (name: string) => {
      const { Timeline } = await api().json<StartTimeline>(
        'GET',
        `/hyper/containers/${name}/timeline`,
      );
      process.stdout.write(formatTimeline(Timeline));
    });
  return vm;
}

function bootMs(vm: Vm): number {
  return Math.round(Math.max(0, ...Object.values(vm.Timeline)));
}
