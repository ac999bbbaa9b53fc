import { CallPlan, errnoMask } from './call-plan.ts';
import { AT_FDCWD, SIGKILL } from './constants.ts';
import { EEXIST, errnoName, errnoText } from './errno.ts';
import type { Kernel } from './kernel.ts';
import { type ChildReport, makePipe, readReport } from './plan-report.ts';
import { type MountStep, SysError } from './sys.ts';

interface Pending {
  readonly pid: number;
  readonly statusFd: number;
  readonly plan: CallPlan;
  /** What has failed, once the plan is at its end. */
  failure: SysError | null;
}

/** Mounts made by a process of our own that shares everything but the processor with us. */
export class AsideCalls {
  readonly #kernel: Kernel;
  #pending: Pending | null = null;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Begins with the steps; what it returns waits for their end and throws when one has failed. */
  mount(steps: readonly MountStep[]): () => void {
    this.settle();
    const pending = this.#begin(this.#planOf(steps));
    this.#pending = pending;
    return () => {
      if (this.#pending === pending) this.settle();
      if (pending.failure !== null) throw pending.failure;
    };
  }

  /** Waits until no plan is under way: the C module has room for one child's. */
  settle(): void {
    const pending = this.#pending;
    if (pending === null) return;
    this.#pending = null;
    try {
      const report = readReport(this.#kernel, pending.statusFd);
      if (report !== null) pending.failure = failureOf(pending.plan, report);
    } catch (error) {
      this.#kernel.try('kill', pending.pid, SIGKILL);
      throw error;
    } finally {
      this.#kernel.close(pending.statusFd);
    }
  }

  #planOf(steps: readonly MountStep[]): CallPlan {
    const plan = new CallPlan(this.#kernel);
    for (const step of steps) {
      plan.begin(step.action);
      if (step.mount === null) {
        const tolerates = errnoMask(EEXIST);
        plan.add('make', ['mkdirat', AT_FDCWD, step.directory, 0o755], { tolerates });
      } else {
        const { source, target, type, flags, data } = step.mount;
        plan.add('mount', ['mount', source, target, type, flags, data === '' ? null : data]);
      }
    }
    plan.begin('ending');
    plan.add('end', ['exit_group', 0]);
    return plan;
  }

  #begin(plan: CallPlan): Pending {
    const { native } = this.#kernel;
    const status = makePipe(this.#kernel);
    try {
      const spawned = native.spawn(0, -1, status.write, plan.encode());
      const pid = this.#kernel.check('start a process', spawned);
      return { pid, statusFd: status.read, plan, failure: null };
    } catch (error) {
      this.#kernel.close(status.read);
      throw error;
    } finally {
      this.#kernel.close(status.write);
    }
  }
}

function failureOf(plan: CallPlan, { place, errno }: ChildReport): SysError {
  return new SysError(plan.labelOf(place).step, errnoName(errno), errnoText(errno));
}
