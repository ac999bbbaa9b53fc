import { describe, expect, it } from 'vitest';

import {
  parseExtraHosts,
  renderHostsFile,
  renderResolvConf,
} from '../../../../hyperd/pod/spec/name-files.ts';

const noDns = { servers: [], search: [], options: [] };

describe('/etc/hosts', () => {
  it('names the container, further hosts and the gateway', () => {
    const extraHosts = parseExtraHosts([
      'db:10.0.0.2',
      'six=[::2]',
      'host.docker.internal:host-gateway',
    ]);

    const text = renderHostsFile({
      ...{ hostname: 'web', domainname: 'example.org', extraHosts },
      ...{ address: '172.29.0.2', gateway: '172.29.0.1' },
    });

    expect(text.split('\n').slice(6)).toEqual([
      '10.0.0.2\tdb',
      '::2\tsix',
      '172.29.0.1\thost.docker.internal',
      '172.29.0.2\tweb.example.org web',
      '',
    ]);
  });

  it('cannot name a gateway that is not there', () => {
    const extraHosts = parseExtraHosts(['up:host-gateway']);
    const nowhere = { hostname: 'web', domainname: '', address: null, gateway: null };

    expect(() => renderHostsFile({ ...nowhere, extraHosts })).toThrow('host-gateway');
  });
});

describe('/etc/resolv.conf', () => {
  it('is the host’s without servers that only the host reaches', () => {
    const host = 'nameserver 127.0.0.53\nnameserver 10.1.1.1\nsearch a.b c.d\noptions ndots:2\n';

    expect(renderResolvConf(host, noDns)).toBe(
      'nameserver 10.1.1.1\nsearch a.b c.d\noptions ndots:2\n',
    );
  });

  it('falls back to public servers when none is left', () => {
    expect(renderResolvConf('nameserver 127.0.0.1\n', noDns)).toBe(
      'nameserver 8.8.8.8\nnameserver 8.8.4.4\n',
    );
  });

  it('yields to the container’s settings, and a dot means no search at all', () => {
    const own = { servers: ['9.9.9.9'], search: ['.'], options: ['use-vc'] };

    expect(renderResolvConf('nameserver 10.1.1.1\nsearch a.b\n', own)).toBe(
      'nameserver 9.9.9.9\noptions use-vc\n',
    );
  });
});
