import * as native from 'hyper:native';

import { Kernel } from './kernel.ts';

/** The real one, over the C module. */
export const nativeKernel = new Kernel(native);
