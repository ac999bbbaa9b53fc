import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';

import type { ApiDependencies } from '../../hyperd/api/dependencies.ts';
import { type ApiAddress, openApiListeners } from '../../hyperd/api/listeners.ts';
import { buildApi } from '../../hyperd/api/server.ts';
import { HyperError } from '../../hyperd/base/error.ts';
import { FakeContainerService } from './fake-container-service.ts';
import { FakeImageStore } from './fake-image-store.ts';

/** The API over fakes. Dispose: closes it and whatever listens. */
export interface FakeApi extends AsyncDisposable {
  readonly app: FastifyInstance;
  readonly containers: FakeContainerService;
  readonly images: FakeImageStore;
  /** What went to the daemon's log, one JSON line each. */
  readonly logged: string[];
  readonly dependencies: ApiDependencies;
  listen(addresses: readonly ApiAddress[]): Promise<readonly number[]>;
  /** Listens on a unix socket in a new temporary directory. */
  listenUnix(): Promise<string>;
}

export async function startFakeApi(): Promise<FakeApi> {
  const stack = new AsyncDisposableStack();
  const images = new FakeImageStore();
  images.add('busybox:latest');
  const containers = new FakeContainerService(images);
  const logged: string[] = [];
  const logger = pino({ level: 'warn' }, { write: (line: string) => logged.push(line) });
  const closing = new AbortController();
  const dependencies: ApiDependencies = {
    containers,
    images,
    network: {
      id: 'b'.repeat(64),
      name: 'bridge',
      bridgeName: 'hyper0',
      subnet: '172.29.0.0/16',
      gateway: '172.29.0.1',
      mtu: 1500,
    },
    checkCredentials: checkFakeCredentials,
    system: fakeSystem,
    logger,
    closing: closing.signal,
  };
  const app = await buildApi(dependencies);
  stack.defer(() => app.close());
  const listen = async (addresses: readonly ApiAddress[]): Promise<readonly number[]> => {
    const listeners = await openApiListeners(app, addresses, dependencies);
    stack.use(listeners);
    return listeners.ports;
  };
  return {
    app,
    containers,
    images,
    logged,
    dependencies,
    listen,
    listenUnix: async () => {
      const directory = await mkdtemp(join(tmpdir(), 'hyper-api-'));
      stack.defer(() => rm(directory, { recursive: true }));
      const path = join(directory, 'hyperd.sock');
      await listen([{ kind: 'unix', path, groupId: null }]);
      return path;
    },
    [Symbol.asyncDispose]: () => {
      closing.abort();
      return stack.disposeAsync();
    },
  };
}

const checkFakeCredentials: ApiDependencies['checkCredentials'] = async (auth) => {
  if (auth.password !== 'secret') {
    throw new HyperError('UNAUTHORIZED', 'unauthorized: incorrect username or password');
  }
  return Promise.resolve({ status: 'Login Succeeded', identityToken: '' });
};

const fakeSystem: ApiDependencies['system'] = {
  daemonId: 'fake-daemon',
  hostName: 'host',
  dataRoot: '/var/lib/hyper',
  hyperVersion: '0.1.0',
  kernelRelease: '6.1.0-host',
  operatingSystem: 'Debian GNU/Linux 12 (bookworm)',
  machine: 'x86_64',
  processors: 2,
  memoryBytes: 8 * 1024 ** 3,
  hyperKernel: '6.12.0-hyper',
  hypervisor: { name: 'fake', version: '1.0', hardwareAccelerated: false },
  mirrors: [],
  insecureRegistries: [],
  warnings: [],
  debug: false,
};
