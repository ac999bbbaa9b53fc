import type { ApiClient } from '../api-client.ts';
import { CliError } from '../cli-error.ts';
import { pullImage } from './pull-image.ts';
import type { RunOptions } from './run-options.ts';

/**
 * Does what needs an image. One that is not there is pulled, and it is done once more. Of a pull stderr
 * tells: stdout is the container's.
 */
export async function withImage<T>(
  api: ApiClient,
  image: string,
  { pull, platform }: Pick<RunOptions, 'pull' | 'platform'>,
  act: () => Promise<T>,
): Promise<T> {
  if (pull === 'always') await pullImage(api, image, platform, process.stderr);
  try {
    return await act();
  } catch (thrown) {
    const isMissing = thrown instanceof CliError && thrown.status === 404;
    if (!isMissing || pull === 'never') throw thrown;
    process.stderr.write(`Unable to find image '${image}' locally\n`);
    await pullImage(api, image, platform, process.stderr);
    return act();
  }
}
