const mergedIntoUsr = /^(?:bin|sbin|lib|lib32|lib64|libx32)(?=\/)/;
const movedToRun: readonly (readonly [RegExp, string])[] = [
  [/^var\/run(?=\/)/, 'run'],
  [/^var\/lock(?=\/)/, 'run/lock'],
];
const leftOut = /^usr\/share\/(?:bug|doc|doc-base|gtk-doc|help|info|lintian|locale|man)\//;
const linkedDirectory = /^(?:bin|sbin|lib|lib32|lib64|libx32|var\/run|var\/lock)$/;

/** `./usr/bin/` → `usr/bin`: a path of a tar as the layer tree names it; the root is empty. */
export function cleanPath(name: string): string {
  return name
    .replace(/^\.?\/+/, '')
    .replace(/\/+$/, '')
    .replace(/^\.$/, '');
}

/** Where a package's file lies on a system whose `/bin`, `/lib` … are links into `/usr`. */
export function mergedPath(path: string): string {
  const inUsr = path.replace(mergedIntoUsr, 'usr/$&');
  return movedToRun.reduce((moved, [from, to]) => moved.replace(from, to), inUsr);
}

/** True for a path that is a link on such a system: a package's directory of that name is dropped. */
export function isLinkedDirectory(path: string): boolean {
  return linkedDirectory.test(path);
}

/** True for documentation and translations, which a container does without. */
export function isLeftOut(path: string): boolean {
  return leftOut.test(path);
}
