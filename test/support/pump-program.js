import * as native from 'hyper:native';

/**
 * Runs on QuickJS with the C module: the frame pump on descriptor 3, driven by messages. What happens
 * without a session is told in the next hello.
 */
let happened = [];

function tell(event) {
  native.channelSend(JSON.stringify(event));
}

const commands = {
  hello: () => {
    native.channelAccept();
    tell({ type: 'hello', happened });
    happened = [];
  },
  add: ({ id, fd, isSink = false, isTerminal = false }) => {
    tell({ added: native.channelAdd(id, fd, isSink, isTerminal) });
  },
  remove: ({ id }) => {
    native.channelRemove(id);
    tell({ removed: id });
  },
  isAtEnd: ({ id }) => {
    tell({ isAtEnd: native.channelIsAtEnd(id) });
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
