import type { Account } from './accounts.ts';
import type { LayerTree } from './layer-tree.ts';
import type { LayerCompression } from './layer-blob.ts';
import type { DemoImageConfig } from './oci-archive.ts';

/** How one demo image is made. */
export interface Recipe {
  /** The demo image whose layers lie beneath. */
  readonly base?: string;
  readonly config: DemoImageConfig;
  readonly layers: readonly LayerRecipe[];
  /** Of the image's own layers; gzip when not given. */
  readonly compression?: LayerCompression;
}

/** How one layer is made: packages are unpacked, then accounts added, then `finish` runs. */
export interface LayerRecipe {
  /** Shown by `docker history`. */
  readonly createdBy: string;
  /** Debian packages that are installed with their dependencies, less what lies beneath. */
  readonly packages?: readonly string[];
  /** Debian packages that are only downloaded, for `finish`. */
  readonly downloads?: readonly string[];
  /** System accounts that the packages' scripts would make. */
  readonly accounts?: readonly Account[];
  /** Makes what the packages' scripts would make, and adds the image's own files. */
  readonly finish?: (tree: LayerTree, context: RecipeContext) => Promise<void> | void;
}

export interface RecipeContext {
  /** The .deb files of `downloads`, in their order. */
  readonly debs: readonly string[];
  /** An empty folder that is removed afterwards. */
  readonly scratchDirectory: string;
}

const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The PATH variable of an image; `first` goes before Docker's default. */
export function pathVariable(...first: readonly string[]): string {
  return `PATH=${[...first, searchPath].join(':')}`;
}
