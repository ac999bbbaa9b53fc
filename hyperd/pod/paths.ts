import path from 'node:path';

/** Socket paths hold about 107 bytes: the run directory of a VM has the beginning of its pod's id. */
const runNameLength = 20;

/** Where the pods' files are. */
export class PodPaths {
  readonly #dataRoot: string;
  readonly #execRoot: string;

  constructor(dataRoot: string, execRoot: string) {
    this.#dataRoot = dataRoot;
    this.#execRoot = execRoot;
  }

  get database(): string {
    return path.join(this.#dataRoot, 'pods.db');
  }

  get diskTemplates(): string {
    return path.join(this.#dataRoot, 'disk-templates');
  }

  /** One directory per container: writable disk and log. */
  get containers(): string {
    return path.join(this.#dataRoot, 'containers');
  }

  container(id: string): string {
    return path.join(this.containers, id);
  }

  writableDisk(id: string): string {
    return path.join(this.container(id), 'writable.raw');
  }

  /** The layer of rehearsal containers. */
  get rehearsal(): string {
    return path.join(this.#dataRoot, 'rehearsal');
  }

  /** Where memory of templates and of their clones is mounted. */
  get memory(): string {
    return path.join(this.#execRoot, 'memory');
  }

  /** One directory per running VM: its sockets. */
  get runs(): string {
    return path.join(this.#execRoot, 'pods');
  }

  run(podId: string): string {
    return path.join(this.runs, podId.slice(0, runNameLength));
  }
}
