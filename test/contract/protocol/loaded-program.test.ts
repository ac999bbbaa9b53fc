import path from 'node:path';

import { describe, expect, it } from 'vitest';

import { run } from '../../../hyperd/base/subprocess.ts';
import { buildInit } from '../../../hyperstart/build.ts';
import { cacheDirectory } from '../../../setup/paths.ts';

/** The binary of a program for hyperstart's engine. */
async function build(name: string): Promise<string> {
  const program = path.join(import.meta.dirname, '../../support/loaded-programs', name);
  const { initrdPath } = await buildInit({ cacheDirectory, onProgress: () => undefined, program });
  return path.join(path.dirname(initrdPath), 'init');
}

describe('a program that was loaded when its binary was built', () => {
  it('has what it made then, each time from the beginning', async () => {
    const binary = await build('keeps-state.js');
    for (let time = 0; time < 2; time++) {
      const { stdout } = await run(binary, []);
      expect(stdout).toBe('[24995000,1,true,7,true]');
    }
  });

  it.each([
    ['calls-while-loading.js', 'a system call while the program is being loaded'],
    ['never-begins.js', 'the program has nothing to begin with'],
  ])('is not built: %s', async (name, reason) => {
    await expect(build(name)).rejects.toThrow(reason);
  });
});
