import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

import { Agent, request } from 'undici';

import { type ChildProcess, run, spawnProcess } from '../../hyperd/base/subprocess.ts';
import type { TestBlob, TestImage } from './registry-image.ts';

/** The only user of the registry. */
export const registryUser = { username: 'hyper', password: 'integration' };
/** bcrypt of the password, as htpasswd files have it. */
const passwordHash = '$2b$05$abcdefghijklmnopqrstuu9TcyjMXiN96Kmwaa9F09evUYMs5K5ji';

/** Debian's docker-registry with TLS and a password, on a free port of the loopback. */
export class DebianRegistry implements AsyncDisposable {
  readonly host: string;
  /** `<host>/ca.crt` in it: the authority that signed the registry's certificate. */
  readonly caDirectory: string;
  readonly #directory: string;
  readonly #child: ChildProcess;
  readonly #agent: Agent;

  private constructor(host: string, directory: string, child: ChildProcess, agent: Agent) {
    this.host = host;
    this.caDirectory = path.join(directory, 'certs.d');
    this.#directory = directory;
    this.#child = child;
    this.#agent = agent;
  }

  static async start(): Promise<DebianRegistry> {
    const directory = await mkdtemp(path.join(tmpdir(), 'hyper-registry-'));
    const host = `127.0.0.1:${String(await freePort())}`;
    await makeCertificates(directory);
    await mkdir(path.join(directory, 'certs.d', host), { recursive: true });
    const ca = await readFile(path.join(directory, 'ca.crt'), 'utf8');
    await writeFile(path.join(directory, 'certs.d', host, 'ca.crt'), ca);
    const htpasswd = path.join(directory, 'htpasswd');
    await writeFile(htpasswd, `${registryUser.username}:${passwordHash}\n`);
    const config = path.join(directory, 'config.yml');
    await writeFile(config, registryConfig(directory, host));
    const child = spawnProcess('docker-registry', ['serve', config], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    await untilListening(child);
    return new DebianRegistry(host, directory, child, new Agent({ connect: { ca } }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'close');
    this.#child.kill('SIGTERM');
    await ended;
    await this.#agent.close();
    await rm(this.#directory, { recursive: true });
  }

  /** Uploads an image as a client does: blobs first, then the manifest. */
  async push(repository: string, tag: string, image: TestImage): Promise<void> {
    for (const blob of [image.config, ...image.layers]) await this.#pushBlob(repository, blob);
    await this.pushManifest(repository, tag, image.manifest);
  }

  async pushManifest(repository: string, tag: string, { bytes, mediaType }: TestBlob) {
    const url = `https://${this.host}/v2/${repository}/manifests/${tag}`;
    await this.#send('PUT', url, { 'content-type': mediaType }, bytes);
  }

  async #pushBlob(repository: string, { bytes, digest }: TestBlob): Promise<void> {
    const start = `https://${this.host}/v2/${repository}/blobs/uploads/`;
    const location = new URL(await this.#send('POST', start, {}, Buffer.alloc(0)));
    location.searchParams.set('digest', digest);
    await this.#send('PUT', location.href, { 'content-type': 'application/octet-stream' }, bytes);
  }

  async #send(
    method: 'POST' | 'PUT',
    url: string,
    headers: Readonly<Record<string, string>>,
    body: Buffer,
  ): Promise<string> {
    const { username, password } = registryUser;
    const basic = Buffer.from(`${username}:${password}`).toString('base64');
    const response = await request(url, {
      method,
      body,
      dispatcher: this.#agent,
      headers: { ...headers, authorization: `Basic ${basic}` },
    });
    const answer = await response.body.text();
    if (response.statusCode >= 300) {
      throw new Error(`${method} ${url}: ${String(response.statusCode)} ${answer}`);
    }
    return String(response.headers['location'] ?? '');
  }
}

function registryConfig(directory: string, host: string): string {
  return `version: 0.1
log: { level: info }
storage:
  filesystem: { rootdirectory: ${directory}/storage }
http:
  addr: ${host}
  tls: { certificate: ${directory}/server.crt, key: ${directory}/server.key }
auth:
  htpasswd: { realm: test, path: ${directory}/htpasswd }
`;
}

async function makeCertificates(directory: string): Promise<void> {
  const at = { cwd: directory };
  const days = ['-days', '2', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  const self = ['req', '-x509', ...days, '-subj', '/CN=test authority'];
  await run('openssl', [...self, '-keyout', 'ca.key', '-out', 'ca.crt'], at);
  await run(
    'openssl',
    [
      ...['req', '-x509', ...days, '-subj', '/CN=registry', '-CA', 'ca.crt', '-CAkey', 'ca.key'],
      ...['-addext', 'subjectAltName=IP:127.0.0.1', '-addext', 'basicConstraints=CA:FALSE'],
      ...['-keyout', 'server.key', '-out', 'server.crt'],
    ],
    at,
  );
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function untilListening(child: ChildProcess): Promise<void> {
  if (child.stderr === null) throw new Error('docker-registry has no log');
  const log: string[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  createInterface(child.stderr).on('line', (line) => {
    log.push(line);
    if (line.includes('listening on')) resolve(undefined);
  });
  child.once('error', reject);
  child.once('exit', () => {
    reject(new Error(`docker-registry ended: ${log.slice(-5).join('\n')}`));
  });
  await promise;
}
