import { Command } from 'commander';

import type { StartTimeline, VmSummary } from '../../hyperd/api/schema/hyper.ts';
import type { ApiClient } from '../api-client.ts';
import { formatTemplate } from '../output/format.ts';
import { type ListOptions, type ListRow, printList, withListOptions } from '../output/list.ts';
import { formatTimeline, totalMs } from '../output/timeline.ts';
import { filterQuery } from './filters.ts';
import { printVersion } from './version.ts';

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
    .description('list VMs: of running containers, and those that wait for one')
    .addHelpText(
      'after',
      '\nExamples:\n  hyper vm ls\n  hyper vm ls --format "{{.ContainerName}} {{.Origin}}"',
    )
    .action(async (options: ListOptions) => {
      const vms = await api().json<readonly VmSummary[]>('GET', '/hyper/vms');
      // A VM that waits has no id to be asked for by.
      const shown = options.quiet === true ? vms.filter((item) => item.ContainerId !== '') : vms;
      printList(vmHeader, shown.map(vmRow), options);
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
    .description('where the VM of the last start came from, and the milliseconds of each phase')
    .argument('<container>')
    .addHelpText('after', '\nExample:\n  hyper vm timeline web')
    .action(async (name: string) => {
      const path = `/hyper/containers/${name}/timeline`;
      const timeline = await api().json<StartTimeline>('GET', path);
      process.stdout.write(formatTimeline(timeline, { bars: process.stdout.isTTY }));
    });
  return vm;
}

const vmHeader = [
  ...['CONTAINER', 'STATE', 'ORIGIN', 'HYPERVISOR', 'PID', 'CPUS', 'MEMORY', 'KERNEL'],
  'START',
];

function vmRow(vm: VmSummary): ListRow {
  const fields = {
    ...vm,
    ID: vm.ContainerId.slice(0, 12),
    StartMs: Math.round(totalMs(vm.Timeline)),
  };
  const hasContainer = vm.ContainerId !== '';
  const cells = {
    CONTAINER: hasContainer ? vm.ContainerName : '-',
    STATE: vm.State,
    ORIGIN: vm.Origin,
    HYPERVISOR: vm.Hypervisor,
    PID: String(vm.Pid),
    CPUS: String(vm.Vcpus),
    MEMORY: `${String(vm.MemoryMiB)}MiB`,
    KERNEL: vm.KernelRelease,
    START: hasContainer ? `${String(fields.StartMs)}ms` : '-',
  };
  return { id: fields.ID, fields, cells };
}
