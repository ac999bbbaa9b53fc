/** Names in a layer's tar, as the layer means them. Latin1: one character a byte. */
export type LayerPath =
  | { readonly kind: 'plain'; readonly path: string }
  /** `.wh.NAME`: NAME of the layers below is gone. `path` is the whiteout's own. */
  | { readonly kind: 'whiteout'; readonly path: string }
  /** `.wh..wh..opq`: the directory hides what the layers below have in it. */
  | { readonly kind: 'opaque'; readonly path: string }
  /** What AUFS kept for itself in the layers that it wrote. */
  | { readonly kind: 'housekeeping' };

const maxPathBytes = 4095;
const maxNameBytes = 255;
const whiteoutPrefix = '.wh.';
const housekeepingPrefix = '.wh..wh.';
const opaqueName = '.wh..wh..opq';

/** Cleans a name: no leading `/`, no `.`; '' is the root. Throws what is wrong with it. */
export function cleanPath(name: string): string {
  if (name.includes('\0')) throw new Error(`the name ${shown(name)} has a NUL`);
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw new Error(`the entry ${shown(name)} points out of the root`);
  const path = parts.join('/');
  const limit = maxNameBytes + whiteoutPrefix.length;
  if (path.length > maxPathBytes || parts.some((part) => part.length > limit)) {
    throw new Error(`the name ${shown(name.slice(0, 80))}… is too long`);
  }
  return path;
}

/** Tells whiteouts from what is there (OCI image-spec, layer.md). Throws what is wrong with it. */
export function classify(path: string): LayerPath {
  const parts = path.split('/');
  const base = parts.at(-1) ?? '';
  if (base === opaqueName) return { kind: 'opaque', path };
  if (parts.some((part) => part.startsWith(housekeepingPrefix))) return { kind: 'housekeeping' };
  if (base.startsWith(whiteoutPrefix)) {
    const hidden = base.slice(whiteoutPrefix.length);
    if (hidden === '' || hidden === '.' || hidden === '..') {
      throw new Error(`the whiteout ${shown(path)} names no file`);
    }
    return { kind: 'whiteout', path };
  }
  if (base.length > maxNameBytes) {
    throw new Error(`the name ${shown(base.slice(0, 80))}… is too long`);
  }
  return { kind: 'plain', path };
}

/** For messages. */
export function shown(name: string): string {
  return JSON.stringify(Buffer.from(name, 'latin1').toString('utf8'));
}

/** '' for what is in the root. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}
