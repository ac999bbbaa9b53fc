import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { spawnProcess } from '../hyperd/base/subprocess.ts';
import { buildDemoImage, type DemoImageName } from '../images/build.ts';
import { ensureArtifacts } from './artifacts.ts';
import { cacheDirectory, root } from './paths.ts';
import { step } from './progress.ts';

/**
 * `npm test`: everything that must hold, from format to real VMs. Ends with `N passed, M failed`, where
 * each tool that judges the whole tree counts as one.
 */
const imagesForTests: readonly DemoImageName[] = ['busybox', 'hello', 'debian', 'nginx', 'redis'];
const checks = [
  ['format', 'prettier', ['--check', '--log-level', 'warn', '.']],
  ['types', 'tsc', ['-b']],
  ['lint', 'eslint', ['--max-warnings', '0', '.']],
] as const;
const suites = ['unit', 'contract', 'integration', 'drop-in'] as const;

const artifacts = await ensureArtifacts();
for (const name of imagesForTests) await buildDemoImage(name, { cacheDirectory, onProgress: step });

let passed = 0;
let failed = 0;
for (const [name, command, args] of checks) {
  step(name);
  if ((await runTool(command, args)) === 0) passed += 1;
  else failed += 1;
}
for (const suite of suites) {
  step(`${suite} tests`);
  const result = await runSuite(suite);
  passed += result.passed;
  failed += result.failed;
}
process.stdout.write(`${String(passed)} passed, ${String(failed)} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;

interface SuiteResult {
  readonly passed: number;
  readonly failed: number;
}

async function runSuite(suite: string): Promise<SuiteResult> {
  const scratch = await mkdtemp(path.join(tmpdir(), 'hyper-test-'));
  try {
    const file = path.join(scratch, 'report.json');
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
    const code = await runTool('vitest', [
      'run',
      '--project',
      suite,
      '--passWithNoTests',
      ...reporters,
    ]);
    const report = await readReport(file);
    // A suite that could not even run, or left an unhandled error, has failed whatever its tests say.
    const isBroken = code !== 0 && report.failed === 0;
    return { passed: report.passed, failed: report.failed + (isBroken ? 1 : 0) };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function readReport(file: string): Promise<SuiteResult> {
  try {
    const report = JSON.parse(await readFile(file, 'utf8')) as {
      numPassedTests: number;
      numFailedTests: number;
    };
    return { passed: report.numPassedTests, failed: report.numFailedTests };
  } catch {
    return { passed: 0, failed: 0 };
  }
}

function runTool(command: string, args: readonly string[]): Promise<number | null> {
  const child = spawnProcess(path.join(root, 'node_modules/.bin', command), args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      HYPER_TEST_KERNEL: artifacts.kernelPath,
      HYPER_TEST_INITRD: artifacts.initrdPath,
      HYPER_TEST_MKFS_EROFS: artifacts.mkfsErofs,
      HYPER_TEST_VM_FORK: artifacts.vmFork,
    },
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
}
