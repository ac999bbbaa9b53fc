import type { DebianArchive } from '../setup/debian-archive.ts';
import type { Account } from './accounts.ts';
import type { LayerTree } from './layer-tree.ts';
import type { DemoImageConfig, LayerCompression } from './oci-archive.ts';

/** How one demo image is made. */
export interface Recipe {
  readonly config: DemoImageConfig;
  readonly layers: readonly LayerRecipe[];
  readonly compression?: LayerCompression;
}

export interface LayerRecipe {
  /** Shown by `docker history`. */
  readonly createdBy: string;
  /** Debian packages that are unpacked with their dependencies, less what the layers beneath have. */
  readonly packages: readonly string[];
  /** System accounts that the packages' scripts would make. */
  readonly accounts?: readonly Account[];
  /** Adds what the packages' scripts would make, and takes the image's own files. */
  readonly finish?: (tree: LayerTree, context: RecipeContext) => Promise<void> | void;
}

export interface RecipeContext {
  readonly archive: DebianArchive;
  /** A scratch folder that is removed afterwards. */
  readonly scratchDirectory: string;
}

/** PATH of the official images. */
export const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
