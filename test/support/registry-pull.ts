import { openImageStore } from '../../hyperd/image/store.ts';

/** A program that pulls an image, telling its progress, so that a test can kill it in the middle. */
const [directory = '', mkfsErofs = '', reference = ''] = process.argv.slice(2);
const store = await openImageStore({ directory, mkfsErofs });
await store.pull(reference, {
  signal: new AbortController().signal,
  onProgress: (message) => process.stdout.write(`${JSON.stringify(message)}\n`),
});
