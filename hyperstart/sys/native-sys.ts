import * as native from 'hyper:native';

import { AsideCalls } from './aside.ts';
import { DeviceFilter } from './device-filter.ts';
import { Events } from './events.ts';
import { Files } from './files.ts';
import { Machine } from './machine.ts';
import { nativeKernel as kernel } from './native-kernel.ts';
import { Netlink } from './netlink.ts';
import { PortChannel } from './port-channel.ts';
import { Spawner } from './spawn.ts';
import type { Sys } from './sys.ts';
import { windowSizeOf } from './terminal.ts';

const files = new Files(kernel);
const machine = new Machine(kernel);
const events = new Events(kernel);
const aside = new AsideCalls(kernel);
const deviceFilter = new DeviceFilter(kernel);
const spawner = new Spawner({ kernel, files, aside });

/** The real thing, over the C module. */
export const nativeSys: Sys = {
  leaveFirstRoot: () => {
    machine.leaveFirstRoot();
  },
  startedMs: () => native.startedMs(),
  uptimeMs: () => machine.uptimeMs(),
  setClock: (unixMs) => {
    machine.setClock(unixMs);
  },
  addEntropy: (base64) => {
    machine.addEntropy(base64);
  },
  kernelRelease: () => machine.kernelRelease(),
  memory: () => machine.memory(),
  setHostname: (name) => {
    machine.setHostname(name);
  },
  setDomainname: (name) => {
    machine.setDomainname(name);
  },
  sync: () => {
    machine.sync();
  },
  powerOff: () => machine.powerOff(),
  log: (line) => {
    machine.log(line);
  },
  readFile: (path, maxBytes) => files.readFile(path, maxBytes),
  writeFile: (path, text, mode) => {
    files.writeFile(path, text, mode);
  },
  readDirectory: (path) => files.readDirectory(path),
  makeDirectory: (path, mode) => {
    files.makeDirectory(path, mode);
  },
  removeDirectory: (path) => {
    files.removeDirectory(path);
  },
  removeFile: (path) => {
    files.removeFile(path);
  },
  symbolicLink: (target, path) => {
    files.symbolicLink(target, path);
  },
  makeNode: (path, mode, major, minor) => {
    files.makeNode(path, mode, major, minor);
  },
  changeOwner: (path, uid, gid) => {
    files.changeOwner(path, uid, gid);
  },
  changeMode: (path, mode) => {
    files.changeMode(path, mode);
  },
  fileStatus: (path) => files.fileStatus(path),
  targetStatus: (path) => files.targetStatus(path),
  mount: (options) => {
    files.mount(options);
  },
  aside: (steps) => aside.begin(steps),
  unmount: (target, lazy) => {
    files.unmount(target, lazy);
  },
  findInRoot: (root, path) => files.findInRoot(root, path),
  makeInRoot: (root, path) => files.makeInRoot(root, path),
  closePath: (opened) => {
    files.closePath(opened);
  },
  openChannel: (portName, handlers) =>
    new PortChannel({ kernel, files, events, terminals: spawner.terminals }, portName, handlers),
  onChildExit: (callback) => {
    events.onChildExit(callback);
  },
  onUevent: (callback) => {
    events.onUevent(callback);
  },
  onPriorityEvent: (path, trigger, callback) => events.onPriorityEvent(path, trigger, callback),
  setTimer: (milliseconds, callback) => {
    events.setTimer(milliseconds, callback);
  },
  limitDevices: (cgroup, program) => {
    deviceFilter.limit(cgroup, program);
  },
  spawn: (options) => spawner.spawn(options),
  signalProcess: (pid, signal) => {
    kernel.call(`signal process ${String(pid)}`, 'kill', pid, signal);
  },
  resizeTerminal: (terminal, rows, columns) => {
    kernel.call('resize the terminal', ...windowSizeOf(terminal, rows, columns));
  },
  closeTerminal: (terminal) => {
    spawner.closeTerminal(terminal);
  },
  network: new Netlink(kernel),
};
