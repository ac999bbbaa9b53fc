import { randomInt } from 'node:crypto';

import { HyperError } from '../base/error.ts';

const namePattern = /^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** A container name without its slash. INVALID_ARGUMENT with Docker's message when it is none. */
export function parseContainerName(text: string): string {
  if (!namePattern.test(text)) {
    throw new HyperError(
      'INVALID_ARGUMENT',
      `Invalid container name (${text}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  }
  return text.replace(/^\//, '');
}

const qualities =
  'agile amber bold brave bright brisk calm clever crisp daring deep eager early fair fleet fond gentle glad grand hardy humble jolly keen kind lively lucid merry mighty modest neat nimble noble patient placid proud quick quiet ready serene sharp silent sleek sober solid steady subtle sunny swift tidy vivid warm wise witty'.split(
    ' ',
  );
const things =
  'acorn anchor arch aspen badger beacon birch bridge brook canyon cedar cliff comet coral crane delta dune ember falcon fern fjord forge garnet glacier grove harbor heron island juniper kestrel lagoon lantern larch lynx maple meadow meteor otter pebble pine prairie quartz raven reef river sparrow spruce summit tern thicket tundra valley willow wren'.split(
    ' ',
  );

/** A name made of two words, one that `isTaken` does not know. */
export function generateName(isTaken: (name: string) => boolean): string {
  for (let attempt = 0; ; attempt++) {
    const quality = qualities[randomInt(qualities.length)] ?? '';
    const thing = things[randomInt(things.length)] ?? '';
    const name = `${quality}_${thing}${attempt < 6 ? '' : String(attempt)}`;
    if (!isTaken(name)) return name;
  }
}
