import { Command } from 'commander';

import type { ApiClient } from '../api-client.ts';
import { CliError } from '../cli-error.ts';

const imageCommands = new Set(['run', 'create', 'rmi', 'tag', 'pull']);

/** `completion SHELL`, and the hidden `__complete` that the scripts call. */
export function completionCommands(api: () => ApiClient, program: Command): readonly Command[] {
  const completion = new Command('completion')
    .description('print a completion script for bash, zsh or fish')
    .argument('<shell>')
    .addHelpText('after', '\nExample:\n  hyper completion bash > /etc/bash_completion.d/hyper')
    .action((shell: string) => {
      const script = scripts[shell];
      if (script === undefined)
        throw new CliError(`no completion for "${shell}"`, { hint: 'there is bash, zsh and fish' });
      process.stdout.write(script);
    });
  const complete = new Command('__complete')
    .argument('[words...]')
    .allowUnknownOption()
    .action(async (words: string[]) => {
      const candidates = await candidatesFor(api(), program, words);
      process.stdout.write(candidates.map((word) => `${word}\n`).join(''));
    });
  return [completion, complete];
}

/** Words that can follow: commands first, then flags, container or image names. */
async function candidatesFor(
  api: ApiClient,
  program: Command,
  words: readonly string[],
): Promise<readonly string[]> {
  const [verb, ...rest] = words;
  const current = rest.at(-1) ?? verb ?? '';
  if (verb === undefined || rest.length === 0) {
    const names = program.commands.map((command) => command.name());
    return names.filter((name) => name.startsWith(current) && !name.startsWith('_'));
  }
  if (current.startsWith('-')) {
    const options = program.commands.find((command) => command.name() === verb)?.options ?? [];
    return options.flatMap(({ long }) => (long?.startsWith(current) === true ? [long] : []));
  }
  const names = imageCommands.has(verb) ? await imageNames(api) : await containerNames(api);
  return names.filter((name) => name.startsWith(current));
}

async function imageNames(api: ApiClient): Promise<readonly string[]> {
  const images = await api.json<readonly { RepoTags: readonly string[] | null }[]>(
    'GET',
    '/images/json',
  );
  return images.flatMap(({ RepoTags }) => RepoTags ?? []);
}

async function containerNames(api: ApiClient): Promise<readonly string[]> {
  const containers = await api.json<readonly { Names: readonly string[] }[]>(
    'GET',
    '/containers/json',
    {
      query: { all: true },
    },
  );
  return containers.flatMap(({ Names }) => Names.map((name) => name.replace(/^\//, '')));
}

const scripts: Readonly<Record<string, string>> = {
  bash: `_hyper() {
  local words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  COMPREPLY=($(hyper __complete -- "\${words[@]}" 2>/dev/null))
}
complete -F _hyper hyper
`,
  zsh: `#compdef hyper
_hyper() {
  local -a candidates
  candidates=(\${(f)"$(hyper __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)"})
  compadd -- $candidates
}
compdef _hyper hyper
`,
  fish: `function __hyper_complete
  set -l words (commandline -opc) (commandline -ct)
  hyper __complete -- $words[2..-1] 2>/dev/null
end
complete -c hyper -f -a '(__hyper_complete)'
`,
};
