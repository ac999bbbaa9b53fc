import { describe, expect, it } from 'vitest';

import { buildDemoImage } from '../../../images/build.ts';
import { LayerTree } from '../../../images/layer-tree.ts';
import { addAlternative } from '../../../images/alternatives.ts';
import { addCertificateBundle } from '../../../images/certificates.ts';
import { demoImageNames, recipes } from '../../../images/recipes.ts';

describe('recipes', () => {
  it('have their base before them, so that one pass builds all', () => {
    for (const [position, name] of demoImageNames.entries()) {
      const { base } = recipes[name];
      if (base !== undefined) {
        expect(demoImageNames.slice(0, position).map(String)).toContain(base);
      }
    }
  });

  it('all set a PATH and a command', () => {
    for (const name of demoImageNames) {
      const { config } = recipes[name];
      expect(config.Cmd, name).not.toHaveLength(0);
      expect(config.Env?.[0], name).toMatch(/^PATH=.*\/usr\/bin:\/sbin:\/bin$/);
    }
  });
});

describe('buildDemoImage', () => {
  it('refuses a name without a recipe and tells the known ones', async () => {
    const options = { cacheDirectory: '/nonexistent', onProgress: () => undefined };
    await expect(buildDemoImage('windows', options)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      hint: expect.stringContaining('busybox') as string,
    });
  });
});

describe('addAlternative', () => {
  it('makes the links and the record that update-alternatives would', () => {
    const tree = new LayerTree();
    addAlternative(tree, {
      ...{ name: 'awk', link: '/usr/bin/awk', program: '/usr/bin/mawk', priority: 5 },
      followers: [['nawk', '/usr/bin/nawk', '/usr/bin/mawk']],
    });
    expect(tree.find('usr/bin/awk')?.target).toBe('/etc/alternatives/awk');
    expect(tree.find('etc/alternatives/nawk')?.target).toBe('/usr/bin/mawk');
    expect(tree.readText('var/lib/dpkg/alternatives/awk')).toBe(
      'auto\n/usr/bin/awk\nnawk\n/usr/bin/nawk\n\n/usr/bin/mawk\n5\n/usr/bin/mawk\n\n',
    );
  });
});

describe('addCertificateBundle', () => {
  it('joins the certificates of the layer', () => {
    const tree = new LayerTree();
    tree.addFile('usr/share/ca-certificates/mozilla/B.crt', 'BBB\n\n');
    tree.addFile('usr/share/ca-certificates/mozilla/A.crt', 'AAA');
    addCertificateBundle(tree);
    expect(tree.readText('etc/ssl/certs/ca-certificates.crt')).toBe('AAA\nBBB\n');
    expect(tree.readText('etc/ca-certificates.conf')).toBe('mozilla/A.crt\nmozilla/B.crt\n');
  });

  it('fails when there are none', () => {
    expect(() => {
      addCertificateBundle(new LayerTree());
    }).toThrow(/no certificates/);
  });
});
