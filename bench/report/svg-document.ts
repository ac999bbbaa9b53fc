export interface Drawing {
  /** Drawn at the top, and what a screen reader says first. */
  readonly title: string;
  /** For those who cannot see the picture. */
  readonly description: string;
  readonly width: number;
  readonly height: number;
  readonly body: readonly string[];
}

/** About the mean of the font, whichever one it is. */
export const characterWidth = 7;

/** An SVG file on white; the same drawing is always the same bytes. */
export function toDocument({ title, description, width, height, body }: Drawing): string {
  const size = `width="${String(width)}" height="${String(height)}"`;
  const box = `viewBox="0 0 ${String(width)} ${String(height)}"`;
  const role = 'role="img" aria-labelledby="title description"';
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${box} ${size} ${role} font-family="sans-serif" font-size="13">`,
    `<title id="title">${escapeXml(title)}</title>`,
    `<desc id="description">${escapeXml(description)}</desc>`,
    `<rect ${size} fill="#fff"/>`,
    `<text x="8" y="22" font-weight="bold">${escapeXml(title)}</text>`,
    ...body,
    '</svg>',
    '',
  ].join('\n');
}

export function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
