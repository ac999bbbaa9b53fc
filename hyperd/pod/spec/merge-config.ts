import type { ImageConfig } from '../../image/image-store.ts';
import type { ContainerConfig } from '../docker-config.ts';

/** The user's config completed by the image's, by Docker's rules: what `inspect` shows under Config. */
export function mergeConfig(
  config: ContainerConfig,
  image: ImageConfig,
  containerId: string,
): ContainerConfig {
  const { entrypoint, cmd } = mergeCommand(config, image);
  const hostname = config.Hostname ?? '';
  return {
    ...config,
    Hostname: hostname === '' ? containerId.slice(0, 12) : hostname,
    User: orElse(config.User, image.User),
    WorkingDir: orElse(config.WorkingDir, image.WorkingDir),
    StopSignal: orElse(config.StopSignal, image.StopSignal),
    Env: mergeEnv(config.Env ?? [], image.Env),
    Entrypoint: entrypoint,
    Cmd: cmd,
    Labels: { ...image.Labels, ...config.Labels },
    ExposedPorts: { ...image.ExposedPorts, ...config.ExposedPorts },
  };
}

/** An entrypoint of the user's own makes the image's command void; `[""]` is "no entrypoint". */
function mergeCommand(
  config: ContainerConfig,
  image: ImageConfig,
): { entrypoint: readonly string[] | null; cmd: readonly string[] | null } {
  const own = config.Entrypoint ?? null;
  const cmd = config.Cmd ?? null;
  if (own !== null && own.length > 0) {
    return { entrypoint: own.length === 1 && own[0] === '' ? null : own, cmd };
  }
  return {
    entrypoint: own ?? image.Entrypoint,
    cmd: cmd === null || cmd.length === 0 ? image.Cmd : cmd,
  };
}

function mergeEnv(own: readonly string[], image: readonly string[]): readonly string[] {
  const names = new Set(own.map(nameOf));
  return [...own, ...image.filter((entry) => !names.has(nameOf(entry)))];
}

function nameOf(entry: string): string {
  return entry.split('=', 1)[0] ?? '';
}

function orElse(own: string | undefined, image: string): string {
  return own === undefined || own === '' ? image : own;
}
