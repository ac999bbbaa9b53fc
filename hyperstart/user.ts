import { RequestError } from './request-error.ts';

/** Who a process runs as. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups, the primary one among them, without duplicates. */
  readonly groups: readonly number[];
  readonly home: string;
}

/** Texts of the image's account files; '' for a missing one. */
export interface AccountFiles {
  readonly passwd: string;
  readonly group: string;
}

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

const maxId = 2 ** 31 - 1;

/** Resolves Docker's `user[:group]` and further groups by the image's account files, as runc does. */
export function resolveIdentity(
  files: AccountFiles,
  spec: string,
  additionalGroups: readonly string[],
): Identity {
  const colon = spec.indexOf(':');
  const userWord = colon < 0 ? spec : spec.slice(0, colon);
  const groupWord = colon < 0 ? '' : spec.slice(colon + 1);
  const user = findUser(files.passwd, userWord);
  const groups = parseGroups(files.group, [groupWord, ...additionalGroups, user.name ?? '']);
  const gid = groupWord === '' ? user.gid : findGroup(groups, groupWord);
  const memberships =
    groupWord === '' && user.name !== null ? groupsOf(groups, user.name) : ([] as number[]);
  const added = additionalGroups.map((word) => findGroup(groups, word));
  return {
    uid: user.uid,
    gid,
    groups: [...new Set([gid, ...memberships, ...added])],
    home: user.home,
  };
}

interface FoundUser {
  /** null when passwd does not know the number. */
  readonly name: string | null;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

function findUser(passwd: string, word: string): FoundUser {
  const number = parseId(word);
  const wanted = word === '' ? 0 : number;
  for (const line of passwd.split('\n')) {
    const [name = '', , uidText = '', gidText = '', , home = ''] = line.split(':');
    const uid = parseId(uidText);
    const gid = parseId(gidText);
    if (name === '' || uid === null || gid === null) continue;
    if ((word !== '' && name === word) || uid === wanted) {
      return { name, uid, gid, home: home === '' ? '/' : home };
    }
  }
  if (word === '') return { name: null, uid: 0, gid: 0, home: '/' };
  if (number === null) {
    throw new RequestError(
      'INVALID_ARGUMENT',
      `unable to find user ${word}: no matching entries in passwd file`,
    );
  }
  assertInRange(number);
  return { name: null, uid: number, gid: 0, home: '/' };
}

function findGroup(groups: readonly GroupEntry[], word: string): number {
  const number = parseId(word);
  const found = groups.find((group) => group.name === word || group.gid === number);
  if (found !== undefined) return found.gid;
  if (number === null) {
    throw new RequestError(
      'INVALID_ARGUMENT',
      `unable to find group ${word}: no matching entries in group file`,
    );
  }
  assertInRange(number);
  return number;
}

function groupsOf(groups: readonly GroupEntry[], user: string): number[] {
  return groups.filter((group) => group.members.includes(user)).map((group) => group.gid);
}

/** The entries in which one of the words can occur: few of many, and all of them are asked for by words. */
function parseGroups(text: string, words: readonly string[]): readonly GroupEntry[] {
  const wanted = words.filter((word) => word !== '').map((word) => String(parseId(word) ?? word));
  const lines = text.split('\n').filter((line) => wanted.some((word) => line.includes(word)));
  return lines.flatMap((line) => {
    const [name = '', , gidText = '', members = ''] = line.trim().split(':');
    const gid = parseId(gidText);
    return name === '' || gid === null ? [] : [{ name, gid, members: members.split(',') }];
  });
}

/** A decimal number, or null for anything else. */
function parseId(word: string): number | null {
  return /^\d{1,15}$/.test(word) ? Number(word) : null;
}

function assertInRange(id: number): void {
  if (id > maxId) {
    throw new RequestError(
      'INVALID_ARGUMENT',
      `uids and gids must be in range 0-${String(maxId)}: ${String(id)}`,
    );
  }
}
