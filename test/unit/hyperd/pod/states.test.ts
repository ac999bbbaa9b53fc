import { describe, expect, it } from 'vitest';

import { assertMove, neverRan, requireRun } from '../../../../hyperd/pod/container-state.ts';
import { assertPodMove } from '../../../../hyperd/pod/pod-state.ts';

describe('a container’s state', () => {
  it.each([
    ['created', 'running'],
    ['running', 'paused'],
    ['paused', 'running'],
    ['running', 'exited'],
    ['running', 'restarting'],
    ['restarting', 'running'],
    ['exited', 'running'],
    ['exited', 'removing'],
    ['removing', 'dead'],
    ['dead', 'removing'],
  ] as const)('goes from %s to %s', (from, to) => {
    expect(() => {
      assertMove(from, to);
    }).not.toThrow();
  });

  it.each([
    ['created', 'paused'],
    ['exited', 'paused'],
    ['running', 'removing'],
    ['paused', 'created'],
    ['removing', 'running'],
    ['dead', 'running'],
  ] as const)('never goes from %s to %s', (from, to) => {
    expect(() => {
      assertMove(from, to);
    }).toThrow(`a container cannot go from ${from} to ${to}`);
  });

  it.each([
    ['exited', 'container x is not running'],
    ['restarting', 'Container x is restarting, wait until the container is running'],
  ] as const)('%s has no process to talk to', (status, message) => {
    expect(() => requireRun('x', { status, exit: neverRan })).toThrow(message);
  });
});

describe('a pod’s state', () => {
  it('passes through the end of its VM before the next boot', () => {
    expect(() => {
      assertPodMove('stopping', 'idle');
    }).not.toThrow();
    expect(() => {
      assertPodMove('running', 'booting');
    }).toThrow('a pod cannot go from running to booting');
  });
});
