import { type AccountFiles, withAccounts } from './accounts.ts';
import { unpackPackages } from './debian-packages.ts';
import { installedPackages } from './dpkg-database.ts';
import { type BuiltLayer, buildLayer } from './layer-blob.ts';
import { LayerTree } from './layer-tree.ts';
import type { BaseImage } from './oci-archive.ts';
import type { LayerRecipe, Recipe } from './recipe.ts';
import type { DebianArchive } from '../setup/debian-archive.ts';

/** A layer's recipe with its .deb files. */
export interface PlannedLayer {
  readonly recipe: LayerRecipe;
  readonly packages: readonly string[];
  readonly downloads: readonly string[];
}

/** Resolves and downloads the packages of each layer; what a layer beneath has is not taken again. */
export async function planLayers(
  recipe: Recipe,
  below: LayerTree,
  archive: DebianArchive,
): Promise<readonly PlannedLayer[]> {
  const status = below.find('var/lib/dpkg/status')?.content.toString('utf8') ?? '';
  const present = new Set(installedPackages(status));
  const planned: PlannedLayer[] = [];
  for (const layer of recipe.layers) {
    const { packages = [], downloads = [] } = layer;
    // Resolved together with what is there, so that it is taken where packages offer a choice.
    const resolved = packages.length === 0 ? [] : await archive.resolve([...present, ...packages]);
    const added = resolved.filter((name) => !present.has(name)).sort();
    for (const name of added) present.add(name);
    planned.push({
      recipe: layer,
      packages: await archive.download(added),
      downloads: await archive.download(downloads),
    });
  }
  return planned;
}

/** Makes the layers of an image, those of its base included. */
export async function assemble(
  recipe: Recipe,
  plan: {
    readonly base: BaseImage;
    readonly layers: readonly PlannedLayer[];
    readonly scratchDirectory: string;
  },
): Promise<readonly BuiltLayer[]> {
  const built = [...plan.base.layers];
  let below = plan.base.tree;
  for (const { recipe: layer, packages, downloads } of plan.layers) {
    const tree = new LayerTree(below);
    if (packages.length > 0) await unpackPackages(tree, packages);
    if (layer.accounts !== undefined) addAccounts(tree, layer.accounts);
    await layer.finish?.(tree, { debs: downloads, scratchDirectory: plan.scratchDirectory });
    built.push(await buildLayer(tree, recipe.compression ?? 'gzip', layer.createdBy));
    below = tree;
  }
  return built;
}

function addAccounts(tree: LayerTree, accounts: NonNullable<LayerRecipe['accounts']>): void {
  const names = ['passwd', 'group', 'shadow', 'gshadow'] as const;
  const [passwd, group, shadow, gshadow] = names.map((name) => tree.readText(`etc/${name}`));
  const files = { passwd, group, shadow, gshadow } as AccountFiles;
  const changed = withAccounts(files, accounts);
  for (const name of names) {
    const entry = tree.find(`etc/${name}`);
    if (entry !== undefined)
      tree.add(`etc/${name}`, { ...entry, content: Buffer.from(changed[name]) });
  }
}
