/** A system user with a group of the same name and number. */
export interface Account {
  readonly name: string;
  readonly id: number;
  readonly home: string;
  readonly shell?: string;
}

/** Adds accounts to Debian's master passwd and group files. */
export function withAccounts(
  files: { readonly passwd: string; readonly group: string },
  accounts: readonly Account[],
): { readonly passwd: string; readonly group: string } {
  const lines = accounts.map(({ name, id, home, shell = '/usr/sbin/nologin' }) => ({
    passwd: `${name}:x:${String(id)}:${String(id)}::${home}:${shell}\n`,
    group: `${name}:x:${String(id)}:\n`,
  }));
  return {
    passwd:
      files.passwd.replace(/^root:[^:]*:/m, 'root:x:') + lines.map((line) => line.passwd).join(''),
    group: files.group + lines.map((line) => line.group).join(''),
  };
}

/** /etc/shadow with every password locked. */
export function lockedShadow(passwd: string): string {
  return passwd
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => `${line.split(':')[0] ?? ''}:*:20454:0:99999:7:::\n`)
    .join('');
}
