import { Command } from 'commander';
import { expect, it } from 'vitest';

import { ApiClient } from '../../../hyper-cli/api-client.ts';
import { defaultHost } from '../../../hyper-cli/host.ts';
import { commandGroups } from '../../../hyper-cli/program.ts';

it('every group has the verbs of its commands, so that each is found when it is called alone', async () => {
  const context = { api: () => new ApiClient(defaultHost), program: new Command() };
  for (const { verbs, load } of commandGroups) {
    const names = (await load(context)).map((command) => command.name());
    expect(names.filter((name) => !name.startsWith('_'))).toEqual(verbs);
  }
});
