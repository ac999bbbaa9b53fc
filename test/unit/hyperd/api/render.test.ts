import { expect, test } from 'vitest';

import { renderStatus } from '../../../../hyperd/api/render/render-container.ts';
import { renderHostConfig } from '../../../../hyperd/api/render/render-host-config.ts';
import {
  toHumanDuration,
  toNanoTimestamp,
  toTimestamp,
} from '../../../../hyperd/api/render/render-time.ts';
import type { ContainerStateView } from '../../../../hyperd/pod/container-service.ts';

test.each([
  [0, 'Less than a second'],
  [1000, '1 second'],
  [59_000, '59 seconds'],
  [60_000, 'About a minute'],
  [119_000, 'About a minute'],
  [120_000, '2 minutes'],
  [3_600_000, 'About an hour'],
  [7_200_000, '2 hours'],
  [47 * 3_600_000, '47 hours'],
  [3 * 86_400_000, '3 days'],
  [15 * 86_400_000, '2 weeks'],
  [65 * 86_400_000, '2 months'],
  [800 * 86_400_000, '2 years'],
])('%i ms are %s', (ms, words) => {
  expect(toHumanDuration(ms)).toBe(words);
});

test('times are those of Go', () => {
  expect(toTimestamp(null)).toBe('0001-01-01T00:00:00Z');
  expect(toTimestamp(0)).toBe('1970-01-01T00:00:00.000Z');
  expect(toNanoTimestamp(1_700_000_000_000_000_001n)).toBe('2023-11-14T22:13:20.000000001Z');
});

const state = (changes: Partial<ContainerStateView>): ContainerStateView => ({
  status: 'created',
  exitCode: 0,
  error: '',
  oomKilled: false,
  pid: 0,
  startedUnixMs: 0,
  finishedUnixMs: 0,
  ...changes,
});

test.each([
  [state({ status: 'created' }), 'Created'],
  [state({ status: 'running' }), 'Up 2 minutes'],
  [state({ status: 'paused' }), 'Up 2 minutes (Paused)'],
  [state({ status: 'exited', exitCode: 3 }), 'Exited (3) 2 minutes ago'],
  [state({ status: 'restarting', exitCode: 1 }), 'Restarting (1) 2 minutes ago'],
  [state({ status: 'removing' }), 'Removal In Progress'],
  [state({ status: 'dead' }), 'Dead'],
])('the status of %j is %s', (view, text) => {
  expect(renderStatus(view, 125_000)).toBe(text);
});

test('a host config shows what was asked for over the defaults of Docker', () => {
  const rendered = renderHostConfig({ NetworkMode: 'default', Memory: 5, CapAdd: null });
  expect(rendered).toMatchObject({
    NetworkMode: 'bridge',
    Memory: 5,
    CapAdd: null,
    Binds: null,
    ShmSize: 67_108_864,
    RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
    LogConfig: { Type: 'json-file', Config: {} },
    CgroupnsMode: 'private',
    Runtime: 'hyper',
  });
});

test('a privileged container masks nothing', () => {
  expect(renderHostConfig({ Privileged: true })).toMatchObject({
    MaskedPaths: null,
    ReadonlyPaths: null,
  });
});
