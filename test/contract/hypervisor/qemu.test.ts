import { tmpdir } from 'node:os';
import path from 'node:path';

import { openQemuDriver } from '../../../hyperd/hypervisor/qemu/driver.ts';
import { newestArtifact } from '../../support/daemon.ts';
import { hypervisorContract } from './contract.ts';

hypervisorContract('qemu', async () => {
  const kernelPath = await newestArtifact('kernel');
  const stateFile = path.join(tmpdir(), 'hyper-contract-kvm.json');
  return {
    driver: await openQemuDriver({ kernelPath, stateFile }),
    kernelPath,
    initrdPath: await newestArtifact('initrd'),
  };
});
