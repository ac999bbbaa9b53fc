import type { FastifyBaseLogger, FastifyPluginAsync } from 'fastify';

import type { CheckCredentials, ImageStore } from '../image/image-store.ts';
import type { NetworkInfo } from '../network/network-manager.ts';
import type { ContainerService } from '../pod/container-service.ts';

/** What the API needs of the rest of the daemon. */
export interface ApiDependencies {
  readonly containers: ContainerService;
  readonly images: ImageStore;
  /** null: the daemon has no bridge. */
  readonly network: NetworkInfo | null;
  readonly checkCredentials: CheckCredentials;
  readonly system: SystemFacts;
  readonly logger: FastifyBaseLogger;
  /** Aborts when the daemon shuts down: what still streams ends. */
  readonly closing: AbortSignal;
}

/** Facts about daemon and host that `version` and `info` tell. */
export interface SystemFacts {
  readonly daemonId: string;
  readonly hostName: string;
  readonly dataRoot: string;
  readonly hyperVersion: string;
  /** Kernel of the host. */
  readonly kernelRelease: string;
  readonly operatingSystem: string;
  /** As `uname -m` names it. */
  readonly machine: string;
  readonly processors: number;
  readonly memoryBytes: number;
  /** Release of the guests' kernel. */
  readonly hyperKernel: string;
  readonly hypervisor: {
    readonly name: string;
    readonly version: string;
    readonly hardwareAccelerated: boolean;
  };
  readonly mirrors: readonly string[];
  readonly insecureRegistries: readonly string[];
  readonly warnings: readonly string[];
  readonly debug: boolean;
}

/** A group of routes, registered on the fastify application. */
export type Routes = (dependencies: ApiDependencies) => FastifyPluginAsync;
