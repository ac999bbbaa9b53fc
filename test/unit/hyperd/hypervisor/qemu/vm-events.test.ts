import { describe, expect, it } from 'vitest';

import { HyperError } from '../../../../../hyperd/base/error.ts';
import { VmEvents } from '../../../../../hyperd/hypervisor/qemu/vm-events.ts';

function migration(events: VmEvents, ...statuses: readonly string[]): void {
  for (const status of statuses) events.receive({ event: 'MIGRATION', data: { status } });
}

describe('migrationEnd', () => {
  it.each(['completed', 'failed', 'cancelled'])('settles with %s and no earlier', async (how) => {
    const events = new VmEvents();
    let status = '';
    const ended = events.migrationEnd().then((text) => {
      status = text;
    });
    migration(events, 'setup', 'active', 'pre-switchover');
    await Promise.resolve();
    expect(status).toBe('');

    migration(events, how);
    await ended;

    expect(status).toBe(how);
  });

  it('takes an end that came before it was asked for none of its own', async () => {
    const events = new VmEvents();
    migration(events, 'completed');
    const ended = events.migrationEnd();
    migration(events, 'active', 'failed');
    expect(await ended).toBe('failed');
  });

  it('rejects when the VM ends first, and from then on', async () => {
    const events = new VmEvents();
    const ended = events.migrationEnd();
    events.close(new HyperError('UNAVAILABLE', 'it has ended'));
    await expect(ended).rejects.toThrow('it has ended');
    await expect(events.migrationEnd()).rejects.toThrow('it has ended');
  });
});
