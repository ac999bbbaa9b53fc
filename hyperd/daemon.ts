import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';

import type { Logger } from 'pino';

import type { SystemFacts } from './api/dependencies.ts';
import { type ApiAddress, openApiListeners } from './api/listeners.ts';
import { buildApi } from './api/server.ts';
import { HyperError, isHyperError, messageOf } from './base/error.ts';
import type { DaemonConfig } from './config-settings.ts';
import { lockDataRoot } from './data-root-lock.ts';
import type { HypervisorDriver } from './hypervisor/driver.ts';
import { openDriver } from './hypervisor/registry.ts';
import type { CheckCredentials, ImageStore } from './image/image-store.ts';
import { credentialsChecker } from './image/login.ts';
import { LayerConverter } from './image/layer-converter.ts';
import type { RegistryConfig } from './image/registry-config.ts';
import { openImageStore } from './image/store.ts';
import { openContainerLog } from './log/open.ts';
import { openBridgeNetwork } from './network/bridge-network.ts';
import type { NetworkManager } from './network/network-manager.ts';
import type { ContainerService } from './pod/container-service.ts';
import { openContainerService } from './pod/open.ts';
import { readSystemFacts } from './system-facts.ts';

/**
 * Opens everything and serves the API. Dispose: stops serving and lets go of all; the VMs run on and
 * the next daemon takes them over.
 */
export async function startDaemon(config: DaemonConfig, logger: Logger): Promise<AsyncDisposable> {
  await using undo = new AsyncDisposableStack();
  await mkdir(config.dataRoot, { recursive: true, mode: 0o710 });
  await mkdir(config.execRoot, { recursive: true, mode: 0o711 });
  undo.use(await lockDataRoot(config.dataRoot));
  const addresses = await readAddresses(config);

  const warnings: string[] = [];
  const registries = registriesOf(config);
  const driver = await openDriver(config.hypervisor, {
    ...(config.qemu === '' ? {} : { binary: config.qemu }),
    kernelPath: config.kernel,
    stateFile: path.join(config.dataRoot, 'kvm.json'),
    ...(config.vmFork === '' ? {} : { forkLibrary: config.vmFork }),
  });
  if (!driver.features.hardwareAccelerated) {
    warnings.push('WARNING: no hardware acceleration (/dev/kvm): VMs are emulated and slow');
  }
  const images = undo.use(
    await openImageStore({
      directory: path.join(config.dataRoot, 'images'),
      mkfsErofs: config.mkfsErofs,
      registries,
    }),
  );
  const network = await openNetwork(config, warnings);
  undo.use(network);
  const parts = { driver, images, network, logger };
  const containers = undo.use(await openContainers(config, parts));

  const system = await readSystemFacts(config, driver, warnings);
  undo.use(
    await serve(
      {
        containers,
        images,
        network,
        system,
        logger,
        checkCredentials: credentialsChecker(registries),
      },
      addresses,
    ),
  );
  for (const warning of warnings) {
    logger.warn(warning);
  }
  logger.info({ hosts: config.hosts, hypervisor: driver.name }, 'hyperd serves');
  return undo.move();
}

interface ContainerParts {
  readonly driver: HypervisorDriver;
  readonly images: ImageStore;
  readonly network: NetworkManager | null;
  readonly logger: Logger;
}

function openContainers(
  config: DaemonConfig,
  parts: ContainerParts,
): Promise<ContainerService & AsyncDisposable> {
  const { mkfsErofs } = config;
  return openContainerService({
    ...parts,
    openLog: openContainerLog,
    dataRoot: config.dataRoot,
    execRoot: config.execRoot,
    kernelPath: config.kernel,
    initrdPath: config.initrd,
    dns: config.dns,
    ...(config.trimAfterSeconds === 0 ? {} : { trim: { afterMs: config.trimAfterSeconds * 1000 } }),
    warm: {
      templates: config.template === 'on',
      poolSize: config.poolSize,
      poolMax: config.poolMax,
      poolMemoryMiB: config.poolMemoryMiB,
      makeLayer: (directory, tar) => LayerConverter.convertInto(directory, mkfsErofs, tar),
    },
  });
}

interface Served {
  readonly containers: ContainerService;
  readonly images: ImageStore;
  readonly network: NetworkManager | null;
  readonly checkCredentials: CheckCredentials;
  readonly system: SystemFacts;
  readonly logger: Logger;
}

/** Dispose: ends what streams, then the connections, then the application. */
async function serve(
  { network, ...served }: Served,
  addresses: readonly ApiAddress[],
): Promise<AsyncDisposable> {
  await using undo = new AsyncDisposableStack();
  const closing = new AbortController();
  const dependencies = { ...served, network: network?.info ?? null, closing: closing.signal };
  const app = await buildApi(dependencies);
  undo.defer(() => app.close());
  undo.use(await openApiListeners(app, addresses, dependencies));
  undo.defer(() => {
    closing.abort();
  });
  return undo.move();
}

function registriesOf(config: DaemonConfig): RegistryConfig {
  return {
    mirrors: config.registryMirrors,
    insecure: config.insecureRegistries,
    caDirectory: config.registryCerts,
    ...(config.httpsProxy === '' ? {} : { proxy: config.httpsProxy }),
  };
}

/** Without a bridge hyperd still runs containers, with `--network none`. */
async function openNetwork(
  config: DaemonConfig,
  warnings: string[],
): Promise<NetworkManager | null> {
  try {
    return await openBridgeNetwork({
      bridgeName: config.bridge,
      mtu: config.mtu,
      ...(config.bridgeSubnet === '' ? {} : { subnet: config.bridgeSubnet }),
    });
  } catch (cause) {
    if (!isHyperError(cause, 'UNAVAILABLE')) {
      throw cause;
    }
    warnings.push(`WARNING: no bridge network, only --network none: ${cause.message}`);
    return null;
  }
}

async function readAddresses(config: DaemonConfig): Promise<readonly ApiAddress[]> {
  const groupId = await groupIdOf(config.group);
  return Promise.all(
    config.hosts.map(async (host): Promise<ApiAddress> => {
      if (host.startsWith('unix://')) {
        const socketPath = host.slice('unix://'.length);
        await mkdir(path.dirname(socketPath), { recursive: true });
        return { kind: 'unix', path: socketPath, groupId };
      }
      const { hostname, port } = new URL(host);
      const [clientCa, cert, key] = await Promise.all(
        [config.tlsCaCert, config.tlsCert, config.tlsKey].map(readPem),
      );
      return {
        kind: 'tcp',
        host: hostname,
        port: Number(port),
        tls: { clientCa: clientCa ?? '', cert: cert ?? '', key: key ?? '' },
      };
    }),
  );
}

async function readPem(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new HyperError('INVALID_ARGUMENT', `TLS file ${file}: ${messageOf(cause)}`, { cause });
  }
}

/** null when there is no such group: the socket is root's then. */
async function groupIdOf(name: string): Promise<number | null> {
  if (name === '') {
    return null;
  }
  const groups = await readFile('/etc/group', 'utf8');
  const line = groups.split('\n').find((entry) => entry.startsWith(`${name}:`));
  const id = line?.split(':')[2];
  return id === undefined ? null : Number(id);
}
