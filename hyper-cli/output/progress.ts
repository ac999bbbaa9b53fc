/** An object of Docker's progress stream. */
export interface ProgressMessage {
  readonly status?: string;
  readonly id?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly stream?: string;
  readonly error?: string;
}

const barWidth = 30;

/** Shows a pull: one line a layer, redrawn in place on a terminal, only the changes of state elsewhere. */
export class ProgressView {
  readonly #output: NodeJS.WriteStream;
  readonly #lines = new Map<string, string>();
  #drawn = 0;

  constructor(output: NodeJS.WriteStream) {
    this.#output = output;
  }

  show(message: ProgressMessage): void {
    const { id, status = '', stream } = message;
    if (stream !== undefined) {
      this.#output.write(stream);
      return;
    }
    if (id === undefined) {
      this.#drawn = 0;
      this.#lines.clear();
      this.#output.write(`${status}\n`);
      return;
    }
    const isProgress = message.progressDetail?.total !== undefined;
    if (!this.#output.isTTY) {
      if (!isProgress) this.#output.write(`${id}: ${status}\n`);
      return;
    }
    this.#lines.set(id, `${id}: ${status}${bar(message.progressDetail)}`);
    const up = this.#drawn === 0 ? '' : `\u001b[${String(this.#drawn)}A`;
    const text = [...this.#lines.values()].map((line) => `\u001b[2K${line}\n`).join('');
    this.#drawn = this.#lines.size;
    this.#output.write(up + text);
  }
}

function bar(detail: ProgressMessage['progressDetail']): string {
  if (detail?.total === undefined || detail.total <= 0) return '';
  const share = Math.min(1, (detail.current ?? 0) / detail.total);
  const filled = Math.round(share * barWidth);
  return ` [${'='.repeat(filled)}${' '.repeat(barWidth - filled)}] ${String(Math.round(share * 100))} %`;
}
