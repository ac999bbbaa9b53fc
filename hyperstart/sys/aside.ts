import { CallPlan, errnoMask } from './call-plan.ts';
import { AT_FDCWD, O_CLOEXEC, O_WRONLY } from './constants.ts';
import { EEXIST, errnoName, errnoText } from './errno.ts';
import type { Kernel } from './kernel.ts';
import { type ChildReport, endChild, makePipe, readReport } from './plan-report.ts';
import { type AsideStep, SysError } from './sys.ts';

interface Pending {
  readonly pid: number;
  readonly statusFd: number;
  readonly plan: CallPlan;
  /** What has failed, once the plan is at its end. */
  failure: SysError | null;
}

/** Steps that a process of our own takes, which shares everything but the processor with us. */
export class AsideCalls {
  readonly #kernel: Kernel;
  #pending: Pending | null = null;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Begins with the steps; what it returns waits for their end and throws when one has failed. */
  begin(steps: readonly AsideStep[]): () => void {
    this.settle();
    const pending = this.#start(this.#planOf(steps));
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
    const { pid, statusFd, plan } = pending;
    try {
      const report = readReport(this.#kernel, statusFd);
      if (report === null) return;
      pending.failure = failureOf(plan, report);
      endChild(this.#kernel, pid, statusFd);
    } catch (error) {
      endChild(this.#kernel, pid, statusFd);
      throw error;
    } finally {
      this.#kernel.close(statusFd);
    }
  }

  #planOf(steps: readonly AsideStep[]): CallPlan {
    const plan = new CallPlan(this.#kernel);
    for (const step of steps) {
      plan.begin(step.action);
      addStep(plan, step);
    }
    plan.begin('ending');
    plan.add('end', ['exit_group', 0]);
    return plan;
  }

  #start(plan: CallPlan): Pending {
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

function addStep(plan: CallPlan, step: AsideStep): void {
  if (step.kind === 'directory') {
    const tolerates = errnoMask(EEXIST);
    plan.add('make', ['mkdirat', AT_FDCWD, step.path, 0o755], { tolerates });
  } else if (step.kind === 'mount') {
    const { source, target, type, flags, data } = step.mount;
    plan.add('mount', ['mount', source, target, type, flags, data === '' ? null : data]);
  } else {
    plan.add('open', ['openat', AT_FDCWD, step.path, O_WRONLY | O_CLOEXEC, 0]);
    plan.keep('file');
    plan.write('write', 'file', step.text);
  }
}

function failureOf(plan: CallPlan, { place, errno }: ChildReport): SysError {
  return new SysError(plan.labelOf(place).step, errnoName(errno), errnoText(errno));
}
