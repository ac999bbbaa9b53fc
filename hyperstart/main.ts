import * as native from 'hyper:native';

import { Agent } from './agent.ts';
import { bootGuest, type BootTimeline, toTenths } from './boot.ts';
import { messageOf } from './request-error.ts';
import { nativeSys } from './sys/native-sys.ts';

/** Entry of PID 1: boots the guest and serves hyperd; the event loop of the C module goes on from here. */
function main(): void {
  const timeline: BootTimeline = {
    kernel: toTenths(nativeSys.startedMs()),
    engine: toTenths(nativeSys.uptimeMs()),
  };
  try {
    bootGuest(nativeSys, timeline);
    new Agent(nativeSys, timeline);
  } catch (error) {
    // Without an agent nobody can reach this VM: better it ends and says why.
    nativeSys.log(`hyperstart: ${messageOf(error)}`);
    nativeSys.powerOff();
  }
}

native.begin(main);
