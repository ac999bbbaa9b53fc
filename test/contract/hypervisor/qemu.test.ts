import { tmpdir } from 'node:os';
import path from 'node:path';

import { openQemuDriver } from '../../../hyperd/hypervisor/qemu/driver.ts';
import { testInitrd, testKernel } from '../../support/artifacts.ts';
import { type ContractSubject, hypervisorContract } from './contract.ts';
import { templateContract } from './templates.ts';

async function open(): Promise<ContractSubject> {
  const kernelPath = await testKernel();
  const stateFile = path.join(tmpdir(), 'hyper-contract-kvm.json');
  return {
    driver: await openQemuDriver({ kernelPath, stateFile }),
    kernelPath,
    initrdPath: await testInitrd(),
  };
}

hypervisorContract('qemu', open);
templateContract('qemu', open);
