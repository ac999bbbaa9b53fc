import { artifactFlags, ensureArtifacts } from './artifacts.ts';
import { root } from './paths.ts';
import { step } from './progress.ts';
import { spawnProcess } from '../hyperd/base/subprocess.ts';

/** `npm run daemon -- [hyperd flags]`: hyperd in the foreground, with its kernel and init built. */
const flags = [...artifactFlags(await ensureArtifacts()), ...process.argv.slice(2)];
step(`hyperd ${flags.join(' ')}`);
const hyperd = spawnProcess(process.execPath, [`${root}hyperd/main.ts`, ...flags], {
  stdio: 'inherit',
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => hyperd.kill(signal));
}
hyperd.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
