import type { CheckCredentials } from './image-store.ts';
import { dockerHub } from './reference.ts';
import { RegistryClient } from './registry-client.ts';
import type { RegistryConfig } from './registry-config.ts';

/** Makes the check behind `docker login`: the registry's root asks for credentials and takes these. */
export function credentialsChecker(config: RegistryConfig): CheckCredentials {
  return async (auth, signal) => {
    const server = (auth.serverAddress ?? '').replace(/^https?:\/\//, '').replace(/\/.*$/, '');
    const domain = server === '' || server === 'index.docker.io' ? dockerHub : server;
    await using client = await RegistryClient.open(config, { domain, path: '' }, { auth, signal });
    await client.ping();
    return { status: 'Login Succeeded', identityToken: '' };
  };
}
