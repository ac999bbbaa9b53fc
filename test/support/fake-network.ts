import type {
  Endpoint,
  EndpointConfig,
  EndpointRecord,
  NetworkManager,
  PreparedTap,
} from '../../hyperd/network/network-manager.ts';

/** A bridge without a kernel: counts addresses up, and knows which TAPs are there. */
export class FakeNetwork implements NetworkManager {
  readonly info = {
    ...{ id: 'f'.repeat(64), name: 'bridge', bridgeName: 'fake0', mtu: 1500 },
    ...{ subnet: '10.0.0.0/24', gateway: '10.0.0.1' },
  };
  readonly taps = new Set<string>();
  /** Names of those that let nothing through any more. */
  readonly silenced = new Set<string>();
  /** By pod. */
  readonly endpoints = new Map<string, EndpointRecord>();
  /** Thrown instead of an endpoint. */
  endpointFailure: Error | null = null;
  #nextTap = 1;
  #next = 2;

  async createEndpoint(config: EndpointConfig): Promise<Endpoint> {
    if (this.endpointFailure !== null) throw this.endpointFailure;
    const { podId, ports, macAddress, tap } = config;
    const number = this.#next++;
    const own = tap ?? (await this.prepareTap());
    if (!this.taps.has(own.tapName)) throw new Error(`no TAP ${own.tapName}`);
    const record = {
      ...{ podId, tapName: own.tapName, gateway: this.info.gateway, mtu: this.info.mtu, ports },
      macAddress: macAddress ?? `02:42:0a:00:00:${number.toString(16).padStart(2, '0')}`,
      address: `10.0.0.${String(number)}/24`,
    };
    return this.#endpoint(record, tap === undefined ? own : null);
  }

  prepareTap(): Promise<PreparedTap> {
    const tapName = `tap${String(this.#nextTap++)}`;
    this.taps.add(tapName);
    const remove = (): Promise<void> => {
      this.taps.delete(tapName);
      return Promise.resolve();
    };
    return Promise.resolve({ tapName, [Symbol.asyncDispose]: remove });
  }

  silence({ tapName }: PreparedTap): Promise<void> {
    this.silenced.add(tapName);
    return Promise.resolve();
  }

  adoptEndpoint(record: EndpointRecord): Promise<Endpoint> {
    const remove = (): Promise<void> => {
      this.taps.delete(record.tapName);
      return Promise.resolve();
    };
    return Promise.resolve(this.#endpoint(record, { [Symbol.asyncDispose]: remove }));
  }

  sweep(tapNames: ReadonlySet<string>): Promise<void> {
    for (const tap of this.taps) if (!tapNames.has(tap)) this.taps.delete(tap);
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #endpoint(record: EndpointRecord, tap: AsyncDisposable | null): Endpoint {
    this.endpoints.set(record.podId, record);
    return {
      record,
      [Symbol.asyncDispose]: async () => {
        this.endpoints.delete(record.podId);
        await tap?.[Symbol.asyncDispose]();
      },
    };
  }
}
