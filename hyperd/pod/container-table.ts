import { HyperError } from '../base/error.ts';
import type { Container } from './container.ts';

/** The containers by id and name. */
export class ContainerTable {
  readonly #containers = new Map<string, Container>();

  add(container: Container): void {
    this.#containers.set(container.id, container);
  }

  remove(id: string): void {
    this.#containers.delete(id);
  }

  all(): readonly Container[] {
    return [...this.#containers.values()];
  }

  withName(name: string): Container | undefined {
    return this.all().find((container) => container.name === name);
  }

  /** By full id, name (with or without `/`) or unique id prefix, in this order, as Docker looks it up. */
  get(nameOrId: string): Container {
    const name = nameOrId.replace(/^\//, '');
    const found = this.#containers.get(name) ?? this.withName(name);
    if (found !== undefined) return found;
    const matches = /^[0-9a-f]+$/.test(name)
      ? this.all().filter(({ id }) => id.startsWith(name))
      : [];
    if (matches.length > 1) {
      const message = `multiple IDs found with provided prefix: ${name}`;
      throw new HyperError('INVALID_ARGUMENT', message);
    }
    if (matches[0] !== undefined) return matches[0];
    throw new HyperError('NOT_FOUND', `No such container: ${nameOrId}`);
  }

  /** CONFLICT with Docker's message when another container has the name. */
  assertNameFree(name: string): void {
    const holder = this.withName(name);
    if (holder === undefined) return;
    throw new HyperError(
      'CONFLICT',
      `Conflict. The container name "/${name}" is already in use by container "${holder.id}". You have to remove (or rename) that container to be able to reuse that name.`,
    );
  }
}
