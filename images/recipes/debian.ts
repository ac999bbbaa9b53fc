import { addAlternative } from '../alternatives.ts';
import { fromMasters } from '../accounts.ts';
import type { LayerTree } from '../layer-tree.ts';
import { pathVariable, type Recipe } from '../recipe.ts';

const mail = 8;
const shadow = 42;
const utmp = 43;

/** The base of the larger images: Debian's essential packages and apt, without documentation. */
export const debian: Recipe = {
  config: { Cmd: ['bash'], Env: [pathVariable()] },
  layers: [
    {
      createdBy: "Debian's essential packages, apt, no documentation",
      packages: [
        ...['base-files', 'base-passwd', 'bash', 'bsdutils', 'coreutils', 'dash', 'debianutils'],
        ...['diffutils', 'dpkg', 'findutils', 'grep', 'gzip', 'hostname', 'init-system-helpers'],
        ...['libc-bin', 'ncurses-base', 'ncurses-bin', 'perl-base', 'sed', 'sysvinit-utils'],
        ...['tar', 'util-linux', 'apt', 'debian-archive-keyring', 'login', 'mawk', 'passwd'],
        'tzdata',
      ],
      finish(tree) {
        addAccounts(tree);
        addBaseFiles(tree);
        addDirectories(tree);
        addAlternatives(tree);
        addPam(tree);
        addPackageSettings(tree);
      },
    },
  ],
};

function addAccounts(tree: LayerTree): void {
  const masters = 'usr/share/base-passwd';
  const files = fromMasters(
    tree.readText(`${masters}/passwd.master`),
    tree.readText(`${masters}/group.master`),
  );
  tree.addFile('etc/passwd', files.passwd);
  tree.addFile('etc/group', files.group);
  tree.addFile('etc/shadow', files.shadow, 0o640, { gid: shadow });
  tree.addFile('etc/gshadow', files.gshadow, 0o640, { gid: shadow });
}

/** The configuration that packages copy from their defaults when they are set up. */
function addBaseFiles(tree: LayerTree): void {
  const copies: Readonly<Record<string, string>> = {
    'etc/profile': 'usr/share/base-files/profile',
    'etc/motd': 'usr/share/base-files/motd',
    'root/.bashrc': 'usr/share/base-files/dot.bashrc',
    'root/.profile': 'usr/share/base-files/dot.profile',
    'etc/nsswitch.conf': 'usr/share/libc-bin/nsswitch.conf',
  };
  for (const [copy, original] of Object.entries(copies)) {
    tree.addFile(copy, tree.readText(original));
  }
  const shells = ['shells', 'shells.d/bash', 'shells.d/dash'];
  tree.addFile(
    'etc/shells',
    shells.map((file) => tree.readText(`usr/share/debianutils/${file}`)).join(''),
  );
  tree.addSymlink('etc/dpkg/origins/default', 'debian');
  tree.addSymlink('etc/localtime', '/usr/share/zoneinfo/Etc/UTC');
  tree.addSymlink('etc/mtab', '../proc/self/mounts');
  tree.addFile('etc/environment', '');
}

function addDirectories(tree: LayerTree): void {
  for (const directory of ['media', 'mnt', 'opt', 'srv', 'etc/opt', 'var/opt']) {
    tree.addDirectory(directory);
  }
  for (const directory of ['bin', 'etc', 'games', 'include', 'lib', 'sbin', 'share', 'src']) {
    tree.addDirectory(`usr/local/${directory}`);
  }
  tree.addDirectory('var/mail', 0o2775, { gid: mail });
  tree.addSymlink('var/spool/mail', '../mail');
  tree.addDirectory('run/lock', 0o1777);
  tree.addSymlink('var/run', '/run');
  tree.addSymlink('var/lock', '/run/lock');
  tree.addFile('var/log/wtmp', '', 0o664, { gid: utmp });
  tree.addFile('var/log/btmp', '', 0o660, { gid: utmp });
  tree.addFile('var/log/lastlog', '', 0o664, { gid: utmp });
}

function addAlternatives(tree: LayerTree): void {
  addAlternative(tree, {
    ...{ name: 'awk', link: '/usr/bin/awk', program: '/usr/bin/mawk', priority: 5 },
    followers: [['nawk', '/usr/bin/nawk', '/usr/bin/mawk']],
  });
  const single = [
    { name: 'which', link: '/usr/bin/which', program: '/usr/bin/which.debianutils', priority: 0 },
    { name: 'pager', link: '/usr/bin/pager', program: '/bin/more', priority: 50 },
    { name: 'rmt', link: '/usr/sbin/rmt', program: '/usr/sbin/rmt-tar', priority: 50 },
  ];
  for (const alternative of single) addAlternative(tree, alternative);
}

/** Fills in Debian's PAM templates with the Unix modules, as pam-auth-update does by default. */
function addPam(tree: LayerTree): void {
  const modules: Readonly<Record<string, string>> = {
    account_primary: 'account\t[success=1 new_authtok_reqd=done default=ignore]\tpam_unix.so',
    auth_primary: 'auth\t[success=1 default=ignore]\tpam_unix.so nullok',
    password_primary: 'password\t[success=1 default=ignore]\tpam_unix.so obscure yescrypt',
    session_primary: 'session\t[default=1]\tpam_permit.so',
    session_additional: 'session\trequired\tpam_unix.so',
    session_nonint_primary: 'session\t[default=1]\tpam_permit.so',
    session_nonint_additional: 'session\trequired\tpam_unix.so',
  };
  for (const kind of ['account', 'auth', 'password', 'session', 'session-noninteractive']) {
    const template = tree.readText(`usr/share/pam/common-${kind}`);
    const filled = template.replaceAll(/^\$(\w+)$/gm, (_, name: string) => modules[name] ?? '');
    tree.addFile(`etc/pam.d/common-${kind}`, filled);
  }
}

/** apt and dpkg in the image: Debian's archive, no leftovers, no daemons started by packages. */
function addPackageSettings(tree: LayerTree): void {
  const stanza = (uri: string, suites: string): string =>
    [
      'Types: deb',
      `URIs: ${uri}`,
      `Suites: ${suites}`,
      'Components: main',
      'Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp',
      '',
    ].join('\n');
  tree.addFile(
    'etc/apt/sources.list.d/debian.sources',
    `${stanza('http://ftp.debian.org/debian', 'trixie trixie-updates')}\n${stanza('http://security.debian.org/debian-security', 'trixie-security')}`,
  );
  tree.addFile(
    'etc/apt/apt.conf.d/50container',
    [
      'APT::Keep-Downloaded-Packages "false";',
      'Acquire::Languages "none";',
      'Acquire::GzipIndexes "true";',
      'Dir::Cache::pkgcache "";',
      'Dir::Cache::srcpkgcache "";',
      '',
    ].join('\n'),
  );
  const leftOut = ['doc', 'info', 'lintian', 'locale', 'man'];
  tree.addFile(
    'etc/dpkg/dpkg.cfg.d/50container',
    ['force-unsafe-io', ...leftOut.map((name) => `path-exclude /usr/share/${name}/*`), ''].join(
      '\n',
    ),
  );
  tree.addFile('usr/sbin/policy-rc.d', '#!/bin/sh\nexit 101\n', 0o755);
  tree.addDirectory('var/lib/dpkg/updates');
  tree.addFile('var/lib/dpkg/available', '');
}
