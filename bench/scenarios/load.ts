import { mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';

import { run } from '../../hyperd/base/subprocess.ts';
import type { Engine } from '../engines/engine.ts';
import { interleave, mapSamples, withPresent } from '../measure/series.ts';
import { timed } from '../measure/timed.ts';
import type { Scenario } from './scenario.ts';

const image = 'postgres';

/** Load of a large image: conversion to EROFS, Docker's own way, and plain unpacking of its layers. */
export const load: Scenario = {
  title: '`docker load` of a large image',
  async measure(lab, { fewRuns }, findings) {
    await using undo = new AsyncDisposableStack();
    const archive = await lab.image(image);
    await using engines = await lab.prepare(['default', 'docker'], ['busybox']);
    const directory = await mkdtemp(path.join(lab.directory, 'unpack-'));
    undo.defer(() => rm(directory, { recursive: true }));
    await run('tar', ['xf', archive, '-C', directory]);
    const layers = await readLayers(directory);
    const subject = (name: 'default' | 'docker') =>
      withPresent(engines.get(name), (engine) => () => loadOnce(engine, archive));
    const subjects = {
      hyper: subject('default'),
      docker: subject('docker'),
      plain: (round: number) => unpack(layers, path.join(directory, `root${String(round)}`)),
    };
    const { hyper, docker, plain } = await interleave(fewRuns, subjects, lab.signal);
    const megabytes = (await stat(archive)).size / 1e6;
    const size = `${image}, ${megabytes.toFixed(0)} MB`;
    findings.add(`Hyper: ${size}`, 'ms', hyper);
    findings.add(`Docker: ${size}`, 'ms', docker);
    findings.add('`gunzip | tar x` of its layers', 'ms', plain);
    const toRate = (milliseconds: number): number => megabytes / (milliseconds / 1000);
    findings.add('Hyper: compressed bytes', 'MB/s', mapSamples(hyper, toRate));
    findings.addRatio('Hyper ÷ Docker', [hyper, docker]);
    findings.addRatio('Hyper ÷ unpacking', [hyper, plain]);
  },
};

async function loadOnce(engine: Engine, archive: string): Promise<number> {
  // None shall wait for what was written before.
  await run('sync', []);
  const milliseconds = await timed(() => engine.docker('load', '-q', '-i', archive));
  await engine.docker('rmi', '-f', image);
  return milliseconds;
}

async function readLayers(directory: string): Promise<readonly string[]> {
  const text = await readFile(path.join(directory, 'manifest.json'), 'utf8');
  const [first] = JSON.parse(text) as readonly { readonly Layers: readonly string[] }[];
  if (first === undefined) throw new Error('the archive holds no image');
  return first.Layers.map((layer) => path.join(directory, layer));
}

/** Milliseconds to decompress and unpack the layers one after another into a new folder. */
async function unpack(layers: readonly string[], target: string): Promise<number> {
  await run('sync', []);
  await mkdir(target);
  const script = 'set -o pipefail; for layer do gunzip -c "$layer" | tar x; done';
  const milliseconds = await timed(() =>
    run('bash', ['-e', '-c', script, 'unpack', ...layers], { cwd: target }),
  );
  await rm(target, { recursive: true });
  return milliseconds;
}
