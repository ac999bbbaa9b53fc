import * as native from 'hyper:native';

import { sharedHalfBytes } from '../../hyperstart/protocol/frame.ts';
import { CallPlan } from '../../hyperstart/sys/call-plan.ts';
import { Kernel } from '../../hyperstart/sys/kernel.ts';

/**
 * Runs on QuickJS with the C module: the frame pump on descriptor 3, driven by messages. What happens
 * without a session is told in the next hello.
 */
const kernel = new Kernel(native);
let happened = [];

function tell(event) {
  native.channelSend(JSON.stringify(event));
}

/** Adds steps: `[method, call, options, group]`, or `['keep', name]`. */
function fill(plan, steps) {
  for (const [method, what, options = {}, group = []] of steps) {
    if (method === 'keep') plan.keep(what);
    else
      plan[method]('', what, options, () => {
        fill(plan, group);
      });
  }
}

/** Lets a child carry a plan out: what it reports, as [place, errno], or [] when its program runs. */
function carryOut(steps) {
  const plan = new CallPlan(kernel);
  fill(plan, steps);
  const ends = new Int32Array(2);
  const closeOnExec = 0o2000000;
  kernel.call('make a pipe', 'pipe2', ends.buffer, closeOnExec);
  const pid = kernel.check('spawn', native.spawn(0, -1, ends[1], plan.encode()));
  kernel.close(ends[1]);
  const report = new Int32Array(2);
  const got = kernel.call('await the child', 'read', ends[0], report.buffer, 8);
  kernel.close(ends[0]);
  const status = new Int32Array(1);
  kernel.call('reap the child', 'wait4', pid, status.buffer, 0, null);
  return { report: got === 0 ? [] : [...report], status: status[0] };
}

/** A descriptor that never has anything to read. */
function silentPipe() {
  const ends = new Int32Array(2);
  kernel.call('make a pipe', 'pipe2', ends.buffer, 0);
  return ends[0];
}

let memory = 0;

/** A file in memory, in the place of the device that a VM has: mapped once, as by hyperstart. */
function mapOnce(path) {
  if (memory !== 0) return memory;
  const [readWrite, shared] = [3, 1];
  const fd = kernel.call('open the memory', 'openat', -100, path, 2, 0);
  memory = kernel.call('map it', 'mmap', null, 2 * sharedHalfBytes, readWrite, shared, fd, 0);
  return memory;
}

const commands = {
  hello: ({ share = '' }) => {
    native.channelAccept(share === '' ? 0 : mapOnce(share));
    tell({ type: 'hello', happened });
    happened = [];
  },
  add: ({ id, fd = silentPipe(), isSink = false, isTerminal = false }) => {
    tell({ added: native.channelAdd(id, fd, isSink, isTerminal) });
  },
  remove: ({ id }) => {
    native.channelRemove(id);
    tell({ removed: id });
  },
  isAtEnd: ({ id }) => {
    tell({ isAtEnd: native.channelIsAtEnd(id) });
  },
  plan: ({ steps }) => {
    tell(carryOut(steps));
  },
  echo: ({ text }) => {
    tell({ length: text.length });
  },
  say: ({ length }) => {
    tell({ result: native.channelSend('x'.repeat(length)) });
  },
  throw: () => {
    throw new TypeError('thrown on purpose');
  },
  reject: () => {
    Promise.reject(new RangeError('rejected on purpose'));
  },
  recover: () => {
    Promise.reject(new Error('handled in time')).catch(() => {
      tell({ recovered: true });
    });
  },
};

native.begin(() => {
  native.channelOpen(
    () => {
      happened.push('session');
    },
    (text) => {
      const message = JSON.parse(text);
      commands[message.type](message);
    },
    () => {
      happened.push('disconnect');
    },
    (id) => {
      tell({ drained: id });
    },
    (reason) => {
      happened.push(reason);
    },
  );
  native.channelAttach(3);
});
