import { run } from '../base/subprocess.ts';

/** The bridge's TAP devices are named so: `hyp` and hex digits, at most 15 characters in all. */
export function tapNameOf(digits: string): string {
  return `hyp${digits}`;
}

interface Link {
  readonly ifname: string;
  readonly master?: string;
}

/** Makes the bridge when it is not there. */
export async function ensureBridge(bridgeName: string): Promise<void> {
  if ((await listLinks()).some((link) => link.ifname === bridgeName)) return;
  await ipBatch([`link add ${bridgeName} type bridge forward_delay 0`]);
}

/**
 * Gives the bridge the gateway's address (CIDR notation), and a MAC address of its own: else it has the least
 * one of its TAPs', and all that containers send is lost for half a minute whenever that TAP goes.
 */
export async function configureBridge(
  bridgeName: string,
  gateway: { readonly address: string; readonly macAddress: string },
  mtu: number,
): Promise<void> {
  await ipBatch([
    `link set ${bridgeName} address ${gateway.macAddress} mtu ${String(mtu)} up`,
    `address replace ${gateway.address} dev ${bridgeName}`,
  ]);
}

export async function addTap(tapName: string, bridgeName: string, mtu: number): Promise<void> {
  await ipBatch([
    `tuntap add dev ${tapName} mode tap vnet_hdr`,
    `link set ${tapName} mtu ${String(mtu)} master ${bridgeName} up`,
  ]);
}

/** Idempotent. */
export async function removeLink(name: string): Promise<void> {
  try {
    await ipBatch([`link delete ${name}`]);
  } catch (thrown) {
    if ((await listLinks()).some((link) => link.ifname === name)) throw thrown;
  }
}

/** Names of the TAP devices on the bridge. */
export async function listTaps(bridgeName: string): Promise<readonly string[]> {
  const links = await listLinks();
  return links
    .filter((link) => link.master === bridgeName && link.ifname.startsWith('hyp'))
    .map((link) => link.ifname);
}

/** IPv4 networks that the host has routes to, other than by the bridge itself. */
export async function routedNetworks(bridgeName: string): Promise<readonly string[]> {
  const { stdout } = await run('ip', ['-json', '-4', 'route', 'show']);
  const routes = JSON.parse(stdout || '[]') as readonly { dst: string; dev?: string }[];
  return routes
    .filter((route) => route.dev !== bridgeName && route.dst.includes('/'))
    .map((route) => route.dst);
}

async function listLinks(): Promise<readonly Link[]> {
  const { stdout } = await run('ip', ['-json', 'link', 'show']);
  return JSON.parse(stdout || '[]') as readonly Link[];
}

async function ipBatch(commands: readonly string[]): Promise<void> {
  await run('ip', ['-batch', '-'], { input: `${commands.join('\n')}\n` });
}
