import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { run } from '../hyperd/base/subprocess.ts';

/** Debian release whose packages Hyper builds from: it has the kernel, QuickJS and erofs-utils we need. */
export const debianSuite = 'trixie';

/**
 * A private view of the Debian archive: its own package lists, cache and (empty) installed set, so
 * that packages of another release can be looked up and downloaded without touching the host's apt.
 */
export interface DebianArchive {
  /** Downloads the newest version of each package; returns the .deb paths in the order asked. */
  download(packages: readonly string[]): Promise<readonly string[]>;
  /** Downloads a source package and unpacks it into `directory`, with Debian's patches applied. */
  downloadSource(sourcePackage: string, directory: string): Promise<void>;
  /** The package and everything it depends on (not recommends), as a fresh system would install. */
  resolve(packages: readonly string[]): Promise<readonly string[]>;
  /** The version that `download` would fetch. */
  version(binaryPackage: string): Promise<string>;
}

const listsMaxAgeMs = 24 * 3600 * 1000;

/**
 * Opens the archive below `directory` (created when missing); refreshes its lists once a day.
 * The mirror is the one the host's own apt uses.
 */
export async function openDebianArchive(directory: string): Promise<DebianArchive> {
  await mkdir(path.join(directory, 'lists/partial'), { recursive: true });
  await mkdir(path.join(directory, 'cache/archives/partial'), { recursive: true });
  const sourceList = path.join(directory, 'sources.list');
  const mirror = await hostMirror();
  const components = `${mirror} ${debianSuite} main`;
  await writeFile(sourceList, `deb ${components}\ndeb-src ${components}\n`);
  await writeFile(path.join(directory, 'status'), '');
  const options = [
    `Dir::Etc::sourcelist=${sourceList}`,
    'Dir::Etc::sourceparts=/dev/null',
    `Dir::State::lists=${path.join(directory, 'lists')}`,
    `Dir::State::status=${path.join(directory, 'status')}`,
    `Dir::Cache=${path.join(directory, 'cache')}`,
    'APT::Sandbox::User=root',
    'APT::Install-Recommends=false',
  ].flatMap((option) => ['-o', option]);
  const stamp = path.join(directory, 'updated');
  if (!(await isFresh(stamp))) {
    await run('apt-get', [...options, '-qq', 'update']);
    await writeFile(stamp, '');
  }
  return new PrivateArchive(directory, options);
}

class PrivateArchive implements DebianArchive {
  readonly #directory: string;
  readonly #options: readonly string[];

  constructor(directory: string, options: readonly string[]) {
    this.#directory = directory;
    this.#options = options;
  }

  async download(packages: readonly string[]): Promise<readonly string[]> {
    const store = path.join(this.#directory, 'debs');
    await mkdir(store, { recursive: true });
    const wanted = await this.#fileNames(packages);
    const present = new Set(await readdir(store));
    const missing = packages.filter((_, index) => !present.has(wanted[index] ?? ''));
    if (missing.length > 0) {
      const staging = path.join(this.#directory, `staging-${String(process.pid)}`);
      await mkdir(staging, { recursive: true });
      await run('apt-get', [...this.#options, '-qq', 'download', ...missing], { cwd: staging });
      for (const file of await readdir(staging)) {
        await rename(path.join(staging, file), path.join(store, file));
      }
      await rm(staging, { recursive: true });
    }
    return wanted.map((file) => path.join(store, file));
  }

  async downloadSource(sourcePackage: string, directory: string): Promise<void> {
    const staging = `${directory}.staging-${String(process.pid)}`;
    await rm(staging, { recursive: true, force: true });
    await mkdir(staging, { recursive: true });
    await run('apt-get', [...this.#options, '-qq', 'source', '--download-only', sourcePackage], {
      cwd: staging,
    });
    const dsc = (await readdir(staging)).find((file) => file.endsWith('.dsc'));
    if (dsc === undefined) {
      throw new Error(`source package ${sourcePackage}: apt-get downloaded no .dsc file`);
    }
    await rm(directory, { recursive: true, force: true });
    await run('dpkg-source', ['--no-check', '-x', dsc, directory], { cwd: staging });
    await rm(staging, { recursive: true });
  }

  async resolve(packages: readonly string[]): Promise<readonly string[]> {
    const { stdout } = await run('apt-get', [
      ...this.#options,
      '-qq',
      '--simulate',
      'install',
      ...packages,
    ]);
    return [...stdout.matchAll(/^Inst (\S+)/gm)].map((match) => match[1] ?? '');
  }

  async version(binaryPackage: string): Promise<string> {
    return (await this.#field(binaryPackage, 'Version')).trim();
  }

  /** All in one look-up: apt-cache takes half a second to start. */
  async #fileNames(packages: readonly string[]): Promise<readonly string[]> {
    if (packages.length === 0) return [];
    const { stdout } = await run('apt-cache', [
      ...this.#options,
      'show',
      '--no-all-versions',
      ...packages,
    ]);
    const names = new Map<string, string>();
    for (const stanza of stdout.split('\n\n')) {
      const [name, version, architecture] = ['Package', 'Version', 'Architecture'].map(
        (field) => new RegExp(`^${field}: (.*)$`, 'm').exec(stanza)?.[1] ?? '',
      );
      if (name === undefined || version === undefined || architecture === undefined) continue;
      names.set(name, `${name}_${version.replace(':', '%3a')}_${architecture}.deb`);
    }
    return packages.map((name) => {
      const file = names.get(name);
      if (file === undefined) {
        throw new Error(`Debian package ${name}: not found in ${debianSuite}`);
      }
      return file;
    });
  }

  async #field(binaryPackage: string, field: string): Promise<string> {
    const { stdout } = await run('apt-cache', [
      ...this.#options,
      'show',
      '--no-all-versions',
      binaryPackage,
    ]);
    const value = new RegExp(`^${field}: (.*)$`, 'm').exec(stdout)?.[1];
    if (value === undefined) {
      throw new Error(`Debian package ${binaryPackage}: not found in ${debianSuite}`);
    }
    return value;
  }
}

async function hostMirror(): Promise<string> {
  const { stdout } = await run('apt-get', [
    'indextargets',
    '--format',
    '$(REPO_URI) $(LABEL)',
    'Created-By: Packages',
  ]);
  const line = stdout.split('\n').find((candidate) => /\/debian\/? Debian$/.test(candidate));
  if (line === undefined) {
    throw new Error(
      "no Debian mirror in this host's apt sources: add one to /etc/apt/sources.list.d and run apt-get update",
    );
  }
  return line.split(' ')[0] ?? '';
}

async function isFresh(stamp: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(stamp)).mtimeMs < listsMaxAgeMs;
  } catch {
    return false;
  }
}
