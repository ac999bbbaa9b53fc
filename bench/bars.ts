/** A figure to reach. */
export interface Bar {
  readonly what: string;
  /** The scenario that measures it. */
  readonly scenario: string;
  readonly limit: number;
  readonly stretch: number;
  /** True when more is better. */
  readonly atLeast?: boolean;
  readonly unit: string;
}

/** Every bar, in the order of the report. None is lowered, none is dropped. */
export const bars = {
  pool: {
    what: '`docker run --rm busybox true`, pool, ÷ Docker with runc',
    scenario: 'start',
    limit: 1.0,
    stretch: 0.6,
    unit: '',
  },
  template: {
    what: 'the same, template without pool, ÷ Docker with runc',
    scenario: 'start',
    limit: 1.8,
    stretch: 1.2,
    unit: '',
  },
  cold: { what: 'cold ÷ floor', scenario: 'start', limit: 1.3, stretch: 1.15, unit: '' },
  exec: {
    what: '`docker exec C true` ÷ Docker with runc',
    scenario: 'exec',
    limit: 0.7,
    stretch: 0.4,
    unit: '',
  },
  parallel: {
    what: '20 starts at once, last one ready, ÷ Docker with runc',
    scenario: 'parallel',
    limit: 2.0,
    stretch: 1.2,
    unit: '',
  },
  burst: {
    what: 'the same, when nothing was started before',
    scenario: 'parallel',
    limit: 2.0,
    stretch: 1.2,
    unit: '',
  },
  hundredth: {
    what: 'start of the 100th pod ÷ start of the 1st',
    scenario: 'sequence',
    limit: 1.3,
    stretch: 1.1,
    unit: '',
  },
  growth: {
    what: 'growth of hyperd (RSS) per pod',
    scenario: 'sequence',
    limit: 1,
    stretch: 0.3,
    unit: 'MB',
  },
  private: {
    what: 'private memory of an idle busybox pod, without the TCG code cache',
    scenario: 'memory',
    limit: 20,
    stretch: 12,
    unit: 'MB',
  },
  reclaim: {
    what: 'freed guest memory back on the host within 15 s',
    scenario: 'reclaim',
    limit: 90,
    stretch: 95,
    atLeast: true,
    unit: '%',
  },
  stdio: {
    what: 'bytes through `docker run` ÷ Docker with runc (time)',
    scenario: 'stdio',
    limit: 3,
    stretch: 1.5,
    unit: '',
  },
  client: {
    what: '`hyper run` ÷ `docker run` against the same hyperd',
    scenario: 'client',
    limit: 1.1,
    stretch: 1.0,
    unit: '',
  },
} as const satisfies Record<string, Bar>;

export type BarId = keyof typeof bars;

export const barIds = Object.keys(bars) as readonly BarId[];

/** True when a value is on the right side of the bar. */
export function meets(bar: Bar, value: number): boolean {
  return bar.atLeast === true ? value >= bar.limit : value <= bar.limit;
}

/** `≤ 1.3` or `≥ 90 %`. */
export function formatLimit(bar: Bar, limit: number): string {
  const text = `${bar.atLeast === true ? '≥' : '≤'} ${String(limit)}`;
  return bar.unit === '' ? text : `${text} ${bar.unit}`;
}
