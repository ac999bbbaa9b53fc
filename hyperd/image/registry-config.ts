/** How registries are reached. */
export interface RegistryConfig {
  /** Base URLs that are asked before Docker Hub. */
  readonly mirrors?: readonly string[];
  /** `host[:port]` of registries reached by plain HTTP or with certificates that nobody vouches for. */
  readonly insecure?: readonly string[];
  /** Directory with `<host[:port]>/ca.crt` files, as Docker's /etc/docker/certs.d. */
  readonly caDirectory?: string;
  /** URL of an HTTP proxy for all registries but those on this host. */
  readonly proxy?: string;
}

/** Loopback registries are insecure by default, as with Docker. */
export function isInsecure(config: RegistryConfig, domain: string): boolean {
  return isLoopback(domain) || (config.insecure ?? []).includes(domain);
}

export function isLoopback(domain: string): boolean {
  const host = domain.replace(/:\d+$/, '');
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
