/** A system user with a group of the same name and number. */
export interface Account {
  readonly name: string;
  readonly id: number;
  readonly home: string;
  readonly shell?: string;
}

/** The account files by their names in /etc. */
export interface AccountFiles {
  readonly passwd: string;
  readonly group: string;
  readonly shadow: string;
  readonly gshadow: string;
}

/** The day 2026-01-01 as shadow files count; fixed, so that images are the same every time. */
const passwordDay = 20454;

/** Account files from Debian's masters, with passwords moved to the shadow files, all locked. */
export function fromMasters(passwdMaster: string, groupMaster: string): AccountFiles {
  const passwd = passwdMaster.replaceAll(/^([^:]+):\*:/gm, '$1:x:');
  const group = groupMaster.replaceAll(/^([^:]+):\*:/gm, '$1:x:');
  return {
    passwd,
    group,
    shadow: names(passwd).map(shadowLine).join(''),
    gshadow: names(group).map(gshadowLine).join(''),
  };
}

/** Adds accounts; a name or number that is taken is a mistake of the recipe. */
export function withAccounts(files: AccountFiles, accounts: readonly Account[]): AccountFiles {
  return accounts.reduce(withAccount, files);
}

function withAccount(files: AccountFiles, account: Account): AccountFiles {
  const { name, id, home, shell = '/usr/sbin/nologin' } = account;
  const number = String(id);
  for (const line of [...files.passwd.split('\n'), ...files.group.split('\n')]) {
    const [takenName, , takenId] = line.split(':');
    if (takenName === name || takenId === number) {
      throw new Error(`account ${name} (${number}): the image has ${line} already`);
    }
  }
  return {
    passwd: `${files.passwd}${name}:x:${number}:${number}::${home}:${shell}\n`,
    group: `${files.group}${name}:x:${number}:\n`,
    shadow: files.shadow + shadowLine(name),
    gshadow: files.gshadow + gshadowLine(name),
  };
}

function names(file: string): readonly string[] {
  return file
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(':')[0] ?? '');
}

function shadowLine(name: string): string {
  return `${name}:*:${String(passwordDay)}:0:99999:7:::\n`;
}

function gshadowLine(name: string): string {
  return `${name}:*::\n`;
}
