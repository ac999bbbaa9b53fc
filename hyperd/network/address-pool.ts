import { HyperError } from '../base/error.ts';
import { formatIpv4, formatNetwork, type Ipv4Network, sizeOf } from './ipv4.ts';

/** Addresses of one bridge: the first one is the gateway's, the last one is for broadcast. */
export class AddressPool {
  readonly network: Ipv4Network;
  readonly gateway: number;
  readonly #taken = new Set<number>();
  #next: number;

  constructor(network: Ipv4Network) {
    this.network = network;
    this.gateway = network.base + 1;
    this.#next = this.gateway + 1;
  }

  /** How many addresses are free. */
  get free(): number {
    return sizeOf(this.network) - 3 - this.#taken.size;
  }

  /** A free address, going round so that one just released is not given out at once. UNAVAILABLE when all are taken. */
  allocate(): number {
    const first = this.gateway + 1;
    const last = this.network.base + sizeOf(this.network) - 2;
    for (let tried = first; tried <= last; tried++) {
      const candidate = this.#next;
      this.#next = candidate >= last ? first : candidate + 1;
      if (!this.#taken.has(candidate)) {
        this.#taken.add(candidate);
        return candidate;
      }
    }
    throw new HyperError(
      'UNAVAILABLE',
      `no free address left in ${formatNetwork(this.network)}: remove containers or give hyperd a larger --bridge-subnet`,
    );
  }

  /** Takes a given address (of a pod that outlived the daemon). CONFLICT when it is taken or not ours. */
  reserve(address: number): void {
    const isOurs = address > this.gateway && address < this.network.base + sizeOf(this.network) - 1;
    if (!isOurs || this.#taken.has(address)) {
      const why = isOurs ? 'in use already' : `not in ${formatNetwork(this.network)}`;
      throw new HyperError('CONFLICT', `address ${formatIpv4(address)} is ${why}`);
    }
    this.#taken.add(address);
  }

  /** Idempotent. */
  release(address: number): void {
    this.#taken.delete(address);
  }
}
