import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';

import type { ContainerView } from '../../pod/container-service.ts';
import { HyperError, isHyperError } from '../../base/error.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type Filters, parseFilters, passesAny, passesLabels } from '../filters.ts';
import { renderContainer, renderContainerSummary } from '../render/render-container.ts';
import { ContainerParams, InspectQuery, ListQuery } from '../schema/container.ts';
import { flagParameter, integerParameter, textParameter } from '../schema/query.ts';

const filterNames = [
  'ancestor',
  'before',
  'exited',
  'health',
  'id',
  'label',
  'name',
  'network',
  'since',
  'status',
  'volume',
  'publish',
  'expose',
  'is-task',
];
const statuses = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'];

/** `GET /containers/json` and `GET /containers/{id}/json`. */
export function listRoutes(dependencies: ApiDependencies): FastifyPluginAsyncTypebox {
  const { containers, images, network } = dependencies;
  return async (app) => {
    app.get('/containers/json', { schema: { querystring: ListQuery } }, async (request, reply) => {
      const filters = parseFilters(textParameter(request.query.filters), filterNames);
      const limit = integerParameter(request.query.limit, 'limit') ?? 0;
      const showAll = flagParameter(request.query.all) || limit > 0;
      const context = { bridge: network, nowUnixMs: Date.now() };
      const listed = selectContainers(dependencies, filters, showAll)
        .toSorted((left, right) => right.createdUnixMs - left.createdUnixMs)
        .slice(0, limit > 0 ? limit : undefined);
      const withSize = flagParameter(request.query.size);
      return reply.send(
        listed.map((container) => ({
          ...renderContainerSummary(container, context),
          ...(withSize ? { SizeRootFs: rootfsBytes(images, container) } : {}),
        })),
      );
    });

    const inspectSchema = { params: ContainerParams, querystring: InspectQuery };
    app.get('/containers/:id/json', { schema: inspectSchema }, async (request, reply) => {
      const container = containers.get(request.params.id);
      return reply.send({
        ...renderContainer(container, { bridge: network, nowUnixMs: Date.now() }),
        ...(flagParameter(request.query.size)
          ? { SizeRootFs: rootfsBytes(images, container) }
          : {}),
      });
    });
    return Promise.resolve();
  };
}

function rootfsBytes(images: ApiDependencies['images'], container: ContainerView): number {
  try {
    return images.get(container.imageId).sizeBytes;
  } catch (cause) {
    if (isHyperError(cause, 'NOT_FOUND')) {
      return 0;
    }
    throw cause;
  }
}

function selectContainers(
  { containers, images }: Pick<ApiDependencies, 'containers' | 'images'>,
  filters: Filters,
  showAll: boolean,
): readonly ContainerView[] {
  assertFilterValues(filters);
  const before = boundary(filters.get('before')?.[0], containers);
  const since = boundary(filters.get('since')?.[0], containers);
  const ancestors = (filters.get('ancestor') ?? []).map((name) => imageIdOf(images, name));
  // Docker lists containers that do not run when asked for a state or an exit code.
  const everyState =
    showAll || ['status', 'exited', 'before', 'since'].some((name) => filters.has(name));
  return containers
    .list()
    .filter(
      (container) =>
        (everyState || isListedByDefault(container)) &&
        (before === null || container.createdUnixMs < before.createdUnixMs) &&
        (since === null || container.createdUnixMs > since.createdUnixMs) &&
        (ancestors.length === 0 || ancestors.includes(container.imageId)) &&
        matches(container, filters),
    );
}

function matches(container: ContainerView, filters: Filters): boolean {
  const { state, effectiveConfig, networkMode } = container;
  return (
    passesAny(filters, 'name', (pattern) => matchesName(container.name, pattern)) &&
    passesAny(filters, 'id', (prefix) => container.id.startsWith(prefix)) &&
    passesAny(filters, 'status', (status) => state.status === status) &&
    passesAny(
      filters,
      'exited',
      (code) =>
        (state.status === 'exited' || state.status === 'dead') && String(state.exitCode) === code,
    ) &&
    passesAny(filters, 'network', (network) => networkMode === network) &&
    passesAny(filters, 'health', (health) => health === 'none') &&
    passesAny(filters, 'volume', () => false) &&
    passesAny(filters, 'is-task', (value) => value === 'false' || value === '0') &&
    passesAny(filters, 'publish', (port) => publishes(container, port)) &&
    passesAny(filters, 'expose', (port) => exposes(container, port)) &&
    passesLabels(filters, effectiveConfig.Labels)
  );
}

function isListedByDefault({ state }: ContainerView): boolean {
  return ['running', 'paused', 'restarting'].includes(state.status);
}

/** Docker takes a name filter for a pattern, to be found in the name with or without its slash. */
function matchesName(name: string, pattern: string): boolean {
  if (pattern.length > 256) {
    return false;
  }
  const plain = pattern.replace(/^\^?\/?/, (start) => (start.startsWith('^') ? '^' : ''));
  if (/^\^?[A-Za-z0-9_.-]*\$?$/.test(plain)) {
    const word = plain.replace(/^\^/, '').replace(/\$$/, '');
    const fromStart = plain.startsWith('^');
    const toEnd = plain.endsWith('$');
    if (fromStart && toEnd) {
      return name === word;
    }
    if (fromStart) {
      return name.startsWith(word);
    }
    return toEnd ? name.endsWith(word) : name.includes(word);
  }
  throw new HyperError(
    'UNSUPPORTED',
    `invalid filter 'name=${pattern}': only ^, $ and the characters of names are understood`,
  );
}

function publishes(container: ContainerView, wanted: string): boolean {
  const { port, protocol } = portOf(wanted);
  return (container.endpoint?.ports ?? []).some(
    (published) => published.hostPort === port && published.protocol === protocol,
  );
}

function exposes(container: ContainerView, wanted: string): boolean {
  const { port, protocol } = portOf(wanted);
  return Object.keys(container.effectiveConfig.ExposedPorts ?? {}).some((key) => {
    const exposed = portOf(key);
    return exposed.port === port && exposed.protocol === protocol;
  });
}

function portOf(text: string): { readonly port: number; readonly protocol: string } {
  const [port = '', protocol = 'tcp'] = text.split('/');
  return { port: Number(port), protocol };
}

function boundary(
  nameOrId: string | undefined,
  containers: ApiDependencies['containers'],
): ContainerView | null {
  return nameOrId === undefined ? null : containers.get(nameOrId);
}

/** An ancestor that is no image matches nothing. */
function imageIdOf(images: ApiDependencies['images'], name: string): string {
  try {
    return images.get(name).id;
  } catch (cause) {
    if (isHyperError(cause)) {
      return '';
    }
    throw cause;
  }
}

function assertFilterValues(filters: Filters): void {
  for (const status of filters.get('status') ?? []) {
    if (!statuses.includes(status)) {
      throw new HyperError('INVALID_ARGUMENT', `invalid filter 'status=${status}'`);
    }
  }
  for (const code of filters.get('exited') ?? []) {
    if (!/^-?\d+$/.test(code)) {
      throw new HyperError('INVALID_ARGUMENT', `invalid filter 'exited=${code}'`);
    }
  }
}
