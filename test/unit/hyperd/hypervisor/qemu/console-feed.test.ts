import { once } from 'node:events';

import { describe, expect, it } from 'vitest';

import { ConsoleFeed } from '../../../../../hyperd/hypervisor/qemu/console-feed.ts';

describe('ConsoleFeed', () => {
  it('shows a reader what was kept and what comes, up to the end', async () => {
    const feed = new ConsoleFeed();
    feed.push(Buffer.from('before\n'));
    const reader = feed.open().setEncoding('utf8');
    feed.push(Buffer.from('after\n'));
    feed.close();
    expect((await reader.toArray()).join('')).toBe('before\nafter\n');
    expect(feed.text()).toBe('before\nafter\n');
  });

  it('has one reader at a time', () => {
    const feed = new ConsoleFeed();
    const first = feed.open();
    expect(() => feed.open()).toThrow('has a reader already');
    first.destroy();
    expect(() => feed.open()).not.toThrow();
  });

  it('drops output for a reader that does not read, instead of keeping it all', () => {
    const feed = new ConsoleFeed();
    const reader = feed.open();
    for (let index = 0; index < 1000; index++) feed.push(Buffer.alloc(4096));
    expect(reader.readableLength).toBeLessThan(128 * 1024);
  });

  it('takes no input', async () => {
    const reader = new ConsoleFeed().open();
    const failed = once(reader, 'error');
    reader.write('x');
    expect((await failed)[0]).toMatchObject({ code: 'UNSUPPORTED' });
  });
});
