import { Argument, Command } from 'commander';

import type { ApiClient } from '../api-client.ts';

/** `completion SHELL`, and the hidden `__complete` that the scripts call. */
export function completionCommands(api: () => ApiClient, program: Command): readonly Command[] {
  const completion = new Command('completion')
    .description('print a completion script for bash, zsh or fish')
    .addArgument(new Argument('<shell>').choices(Object.keys(scripts)))
    .addHelpText('after', '\nExample:\n  hyper completion bash > /etc/bash_completion.d/hyper')
    .action((shell: string) => {
      process.stdout.write(scripts[shell] ?? '');
    });
  const complete = new Command('__complete')
    .argument('[words...]')
    .allowUnknownOption()
    .action(async (words: string[]) => {
      const candidates = await candidatesFor(api, program, words);
      process.stdout.write(candidates.map((word) => `${word}\n`).join(''));
    });
  return [completion, complete];
}

/** Words that can follow: commands first, then flags, or what the command's argument names. */
async function candidatesFor(
  api: () => ApiClient,
  program: Command,
  words: readonly string[],
): Promise<readonly string[]> {
  const { command, rest } = descend(program, words.slice(0, -1));
  const current = words.at(-1) ?? '';
  const all = current.startsWith('-')
    ? command.options.flatMap(({ long }) => long ?? [])
    : command.commands.length > 0
      ? command.commands.map((child) => child.name()).filter((name) => !name.startsWith('_'))
      : await argumentValues(api, argumentAt(command, rest));
  return all.filter((word) => word.startsWith(current));
}

interface Place {
  readonly command: Command;
  /** Words after the command's name. */
  readonly rest: readonly string[];
}

/** The innermost command that the words name. */
function descend(command: Command, words: readonly string[]): Place {
  const index = words.findIndex((word) => !word.startsWith('-'));
  const child = command.commands.find((candidate) => candidate.name() === words[index]);
  return child === undefined ? { command, rest: words } : descend(child, words.slice(index + 1));
}

/** The argument that comes after the words; undefined when there can be none. */
function argumentAt(command: Command, words: readonly string[]): Argument | undefined {
  const takesValue = (flag: string): boolean =>
    command.options.some(
      ({ short, long, required }) => required && (flag === short || flag === long),
    );
  const isArgument = (word: string, index: number): boolean =>
    !word.startsWith('-') && !takesValue(words[index - 1] ?? '');
  const known = command.registeredArguments;
  if (takesValue(words.at(-1) ?? '')) return undefined;
  const last = known.at(-1);
  return known[words.filter(isArgument).length] ?? (last?.variadic === true ? last : undefined);
}

async function argumentValues(
  api: () => ApiClient,
  argument: Argument | undefined,
): Promise<readonly string[]> {
  if (argument?.argChoices !== undefined) return argument.argChoices;
  switch (argument?.name()) {
    case 'container':
      return containerNames(api());
    case 'image':
      return imageNames(api());
    case 'name':
      return [...(await containerNames(api())), ...(await imageNames(api()))];
    default:
      return [];
  }
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
