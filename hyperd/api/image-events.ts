import type { ImageRecord } from '../image/image-store.ts';
import type { ApiDependencies } from './dependencies.ts';

/** Tells those who watch `docker events` what happened to an image. */
export function publishImageEvent(
  { containers }: ApiDependencies,
  action: 'pull' | 'load' | 'import' | 'tag' | 'untag' | 'delete',
  subject: { readonly id: string; readonly name: string; readonly image?: ImageRecord },
): void {
  containers.events.publish({
    type: 'image',
    action,
    actorId: subject.id,
    attributes: { ...subject.image?.config.Labels, name: subject.name },
    unixNanos: BigInt(Date.now()) * 1_000_000n,
  });
}
