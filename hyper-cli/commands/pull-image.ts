import type { ApiClient } from '../api-client.ts';
import { CliError } from '../cli-error.ts';
import { type ProgressMessage, ProgressView } from '../output/progress.ts';

/** Pulls an image, showing its progress. */
export async function pullImage(
  api: ApiClient,
  reference: string,
  platform?: string,
  output: NodeJS.WriteStream = process.stdout,
): Promise<void> {
  const view = new ProgressView(output);
  const isTagged = /[:@][^/]*$/.test(reference);
  const query = { fromImage: reference, tag: isTagged ? '' : 'latest', platform };
  for await (const message of api.lines<ProgressMessage>('POST', '/images/create', { query })) {
    if (message.error !== undefined) throw new CliError(message.error);
    view.show(message);
  }
}
