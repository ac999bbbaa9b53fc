import type { LayerTree } from './layer-tree.ts';

const directory = 'usr/share/ca-certificates/';
const bundle = 'etc/ssl/certs/ca-certificates.crt';

/**
 * Makes the bundle that the scripts of ca-certificates would make of the certificates in this layer,
 * and lets OpenSSL find it.
 */
export function addCertificateBundle(tree: LayerTree): void {
  const names = tree
    .sorted()
    .map(([path]) => path)
    .filter((path) => path.startsWith(directory) && path.endsWith('.crt'));
  if (names.length === 0) throw new Error(`no certificates in ${directory}: is the package there?`);
  tree.addFile(bundle, names.map((name) => `${tree.readText(name).trimEnd()}\n`).join(''));
  tree.addFile(
    'etc/ca-certificates.conf',
    names.map((name) => `${name.slice(directory.length)}\n`).join(''),
  );
  // OpenSSL looks for single certificates by hashed names, or for one file of this name.
  tree.addSymlink('usr/lib/ssl/cert.pem', `/${bundle}`);
}
