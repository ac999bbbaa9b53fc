/** The host side of pod networking; `openBridgeNetwork` (bridge-network.ts) makes one. */
export interface NetworkManager extends AsyncDisposable {
  /** Name, id and subnets as `docker network inspect bridge` shows them. */
  readonly info: NetworkInfo;
  /** Gives a pod its address, TAP and published ports. On failure nothing is left behind. */
  createEndpoint(config: EndpointConfig, signal: AbortSignal): Promise<Endpoint>;
  /**
   * A TAP for a VM whose pod is yet to come: it is on the bridge, and lets through what is sent as the address
   * that is reserved with it, if there is one. Its endpoint will have that.
   */
  prepareTap(): Promise<PreparedTap>;
  /** Lets nothing through any more: the pod that has the TAP's VM is without a network. */
  silence(tap: PreparedTap): Promise<void>;
  /** Takes over an endpoint that outlived the daemon: re-reserves address and ports, checks the TAP. */
  adoptEndpoint(record: EndpointRecord): Promise<Endpoint>;
  /** Removes every TAP of ours that is none of `tapNames`. */
  sweep(tapNames: ReadonlySet<string>): Promise<void>;
}

export interface NetworkInfo {
  readonly id: string;
  readonly name: string;
  readonly bridgeName: string;
  readonly subnet: string;
  readonly gateway: string;
  readonly mtu: number;
}

export interface EndpointConfig {
  readonly podId: string;
  readonly ports: readonly PortBinding[];
  /** A fixed MAC address, else one derived from the address. */
  readonly macAddress?: string;
  /** The TAP to use, which stays its maker's to remove; else one is made with the endpoint. */
  readonly tap?: PreparedTap;
}

/** Dispose: removes the TAP. Idempotent. */
export interface PreparedTap extends AsyncDisposable {
  readonly tapName: string;
}

export interface PortBinding {
  readonly protocol: 'tcp' | 'udp';
  readonly containerPort: number;
  /** '' and '0.0.0.0': all IPv4 (and localhost); '::': IPv6. */
  readonly hostAddress: string;
  /** 0: any free port. */
  readonly hostPort: number;
}

export interface EndpointRecord {
  readonly podId: string;
  readonly tapName: string;
  readonly macAddress: string;
  /** `172.29.0.2/16`. */
  readonly address: string;
  readonly gateway: string;
  readonly mtu: number;
  /** With the host ports that were really taken. */
  readonly ports: readonly PortBinding[];
}

/** Dispose: unpublishes the ports, removes the TAP, frees the address. Idempotent. */
export interface Endpoint extends AsyncDisposable {
  readonly record: EndpointRecord;
}
