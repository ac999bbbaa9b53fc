/**
 * Matches a shell pattern (`*`, `?`; neither crosses a slash) against a whole text, in time that
 * grows with their lengths alone: both may come from a client.
 */
export function matchesGlob(text: string, pattern: string): boolean {
  const texts = text.split('/');
  const patterns = pattern.split('/');
  return (
    texts.length === patterns.length &&
    texts.every((segment, index) => matchesSegment(segment, patterns[index] ?? ''))
  );
}

/** After a mismatch only the last star needs to take one character more. */
function matchesSegment(text: string, pattern: string): boolean {
  let at = 0;
  let next = 0;
  let afterStar = -1;
  let starTook = 0;
  while (at < text.length) {
    if (pattern[next] === '*') {
      next += 1;
      afterStar = next;
      starTook = at;
    } else if (pattern[next] === '?' || pattern[next] === text[at]) {
      next += 1;
      at += 1;
    } else if (afterStar >= 0) {
      starTook += 1;
      at = starTook;
      next = afterStar;
    } else {
      return false;
    }
  }
  return /^\**$/.test(pattern.slice(next));
}
