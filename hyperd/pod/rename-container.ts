import { HyperError } from '../base/error.ts';
import type { Container } from './container.ts';
import type { PodContext } from './context.ts';
import { parseContainerName } from './names.ts';

/** Gives a container another name; the old one is free then. */
export function renameContainer(
  context: PodContext,
  container: Container,
  newName: string,
): Promise<void> {
  const name = parseContainerName(newName);
  return context.names.run(() => {
    const oldName = container.name;
    if (name === oldName) {
      throw new HyperError(
        'INVALID_ARGUMENT',
        'Renaming a container with the same name as its current name',
      );
    }
    if (['removing', 'dead'].includes(container.state.status)) {
      throw new HyperError('CONFLICT', 'Container is marked for removal and cannot be renamed');
    }
    context.table.assertNameFree(name);
    container.update({ name });
    container.publish('rename', { oldName: `/${oldName}` });
    return Promise.resolve();
  });
}
