import { describe, expect, it } from 'vitest';

import { planRemoval } from '../../../../hyperd/image/image-removal.ts';
import type { ImageRecord } from '../../../../hyperd/image/image-store.ts';

const digest = `sha256:${'d'.repeat(64)}`;
const running = { containerId: 'c'.repeat(64), running: true };
const stopped = { containerId: 'b'.repeat(64), running: false };

function image(repoTags: readonly string[], repoDigests: readonly string[] = []): ImageRecord {
  return { id: `sha256:${'a'.repeat(64)}`, repoTags, repoDigests } as unknown as ImageRecord;
}

function plan(
  nameOrId: string,
  record: ImageRecord,
  options: { force?: boolean; users?: readonly { containerId: string; running: boolean }[] } = {},
) {
  const name = [...record.repoTags, ...record.repoDigests].find((known) => known === nameOrId);
  return planRemoval({ nameOrId, name: name ?? null }, record, {
    force: options.force ?? false,
    usedBy: () => options.users ?? [],
  });
}

describe('removing by name', () => {
  it('deletes the image with its last name', () => {
    expect(plan('a:1', image(['a:1']))).toEqual({ untag: ['a:1'], deletes: true });
  });

  it('takes away one of several names', () => {
    expect(plan('a:1', image(['a:1', 'a:2']))).toEqual({ untag: ['a:1'], deletes: false });
  });

  it('takes the digest names along with the last tag of the repository', () => {
    const record = image(['a:1', 'b:1'], [`a@${digest}`]);
    expect(plan('a:1', record)).toEqual({ untag: ['a:1', `a@${digest}`], deletes: false });
    expect(plan('b:1', record)).toEqual({ untag: ['b:1'], deletes: false });
  });

  it('keeps the tag when a digest name goes', () => {
    const record = image(['a:1'], [`a@${digest}`]);
    expect(plan(`a@${digest}`, record)).toEqual({ untag: [`a@${digest}`], deletes: false });
  });

  it('refuses the last name of an image that a container uses', () => {
    expect(() => plan('a:1', image(['a:1']), { users: [stopped] })).toThrow(
      'conflict: unable to remove repository reference "a:1" (must force) - container bbbbbbbbbbbb is using its referenced image aaaaaaaaaaaa',
    );
  });

  it('deletes under a stopped container when forced, and only untags under a running one', () => {
    const record = image(['a:1']);
    expect(plan('a:1', record, { force: true, users: [stopped] }).deletes).toBe(true);
    expect(plan('a:1', record, { force: true, users: [running] })).toEqual({
      untag: ['a:1'],
      deletes: false,
    });
  });

  it('gives away a further name although a container runs', () => {
    const record = image(['a:1', 'b:1']);
    expect(plan('b:1', record, { users: [running] })).toEqual({ untag: ['b:1'], deletes: false });
  });
});

describe('removing by id', () => {
  it('takes away all names of one repository', () => {
    const record = image(['a:1'], [`a@${digest}`]);
    expect(plan('aaaa', record)).toEqual({ untag: ['a:1', `a@${digest}`], deletes: true });
  });

  it('deletes an image without names', () => {
    expect(plan('sha256:aaaa', image([]))).toEqual({ untag: [], deletes: true });
  });

  it('refuses several names unless forced', () => {
    const record = image(['a:1', 'b:1']);
    expect(() => plan('aaaa', record)).toThrow(
      'conflict: unable to delete aaaaaaaaaaaa (must be forced) - image is referenced in multiple repositories',
    );
    expect(plan('aaaa', record, { force: true })).toEqual({ untag: ['a:1', 'b:1'], deletes: true });
  });

  it('refuses under a running container even when forced', () => {
    expect(() => plan('aaaa', image(['a:1']), { force: true, users: [stopped, running] })).toThrow(
      'conflict: unable to delete aaaaaaaaaaaa (cannot be forced) - image is being used by running container cccccccccccc',
    );
  });

  it('refuses under a stopped container unless forced', () => {
    expect(() => plan('aaaa', image(['a:1']), { users: [stopped] })).toThrow(
      '(must be forced) - image is being used by stopped container bbbbbbbbbbbb',
    );
    expect(plan('aaaa', image(['a:1']), { force: true, users: [stopped] }).deletes).toBe(true);
  });
});
