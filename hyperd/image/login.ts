import { HyperError } from '../base/error.ts';
import type { CheckCredentials } from './image-store.ts';
import { dockerHub, isDomain } from './reference.ts';
import { RegistryClient } from './registry-client.ts';
import type { RegistryConfig } from './registry-config.ts';

/** Makes the check behind `docker login`: the registry's root asks for credentials and takes these. */
export function credentialsChecker(config: RegistryConfig): CheckCredentials {
  return async (auth, signal) => {
    const server = (auth.serverAddress ?? '').replace(/^https?:\/\//, '').replace(/\/.*$/, '');
    const domain = ['', 'index.docker.io', 'registry-1.docker.io'].includes(server)
      ? dockerHub
      : server;
    if (!isDomain(domain)) {
      const text = `login: ${JSON.stringify(auth.serverAddress)} is no registry`;
      throw new HyperError('INVALID_ARGUMENT', text);
    }
    await using client = await RegistryClient.open(
      { ...config, mirrors: [] },
      { domain, path: '' },
      { auth, signal },
    );
    await client.ping();
    return { status: 'Login Succeeded', identityToken: '' };
  };
}
