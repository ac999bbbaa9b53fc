import { defaultPath, type Recipe } from '../recipe.ts';
import { debianLayer } from './debian.ts';

export const node: Recipe = {
  config: { Cmd: ['node'], Env: [defaultPath] },
  layers: [debianLayer, { createdBy: 'nodejs of Debian', packages: ['nodejs'] }],
};

export const python: Recipe = {
  config: { Cmd: ['python3'], Env: [defaultPath, 'LANG=C.UTF-8'] },
  layers: [
    debianLayer,
    {
      createdBy: 'python3 of Debian',
      packages: ['python3'],
      finish(tree) {
        tree.addSymlink('usr/local/bin/python', '/usr/bin/python3');
      },
    },
  ],
};
