import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

import { HyperError, isErrno, messageOf } from '../base/error.ts';
import type { PortBinding } from './network-manager.ts';

/**
 * A published host port, held by a listening socket: nobody else can take it, and a taken one is found
 * out at once. IPv4 traffic is redirected by the firewall before it reaches the socket; what does
 * reach it (IPv6) is carried to the pod by hand.
 */
export interface PortReservation extends AsyncDisposable {
  readonly port: PortBinding;
}

/** Reserves one port. CONFLICT with Docker's words when it is taken. */
export async function reservePort(
  wanted: PortBinding,
  podAddress: string,
): Promise<PortReservation> {
  try {
    return wanted.protocol === 'tcp'
      ? await reserveTcp(wanted, podAddress)
      : await reserveUdp(wanted);
  } catch (cause) {
    const where = `${wanted.hostAddress || '0.0.0.0'}:${String(wanted.hostPort)}/${wanted.protocol}`;
    const why = isErrno(cause, 'EADDRINUSE') ? 'port is already allocated' : messageOf(cause);
    throw new HyperError('INTERNAL', `Bind for ${where} failed: ${why}`, { cause });
  }
}

async function reserveTcp(wanted: PortBinding, podAddress: string): Promise<PortReservation> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    const pod = connect({ host: podAddress, port: wanted.containerPort, allowHalfOpen: true });
    for (const [socket, other] of [
      [client, pod],
      [pod, client],
    ] as const) {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      socket.on('error', () => other.destroy());
      socket.pipe(other);
    }
  });
  const isIpv6 = wanted.hostAddress.includes(':');
  server.listen({
    host: wanted.hostAddress === '' ? '0.0.0.0' : wanted.hostAddress,
    port: wanted.hostPort,
    ipv6Only: isIpv6,
  });
  await once(server, 'listening');
  const address = server.address();
  const hostPort = typeof address === 'object' && address !== null ? address.port : wanted.hostPort;
  return {
    port: { ...wanted, hostPort },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function reserveUdp(wanted: PortBinding): Promise<PortReservation> {
  const isIpv6 = wanted.hostAddress.includes(':');
  const socket: UdpSocket = createSocket({ type: isIpv6 ? 'udp6' : 'udp4', ipv6Only: isIpv6 });
  socket.bind(wanted.hostPort, wanted.hostAddress === '' ? '0.0.0.0' : wanted.hostAddress);
  await once(socket, 'listening');
  return {
    port: { ...wanted, hostPort: socket.address().port },
    async [Symbol.asyncDispose]() {
      const closed = once(socket, 'close');
      socket.close();
      await closed;
    },
  };
}
