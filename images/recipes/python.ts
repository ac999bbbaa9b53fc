import { addCertificateBundle } from '../certificates.ts';
import { pathVariable, type Recipe } from '../recipe.ts';

/** Python 3, also by the name `python`. */
export const python: Recipe = {
  base: 'debian',
  config: { Cmd: ['python3'], Env: [pathVariable(), 'LANG=C.UTF-8'] },
  layers: [
    {
      createdBy: "Debian's python3",
      packages: ['python3-minimal', 'python3', 'ca-certificates'],
      finish: addCertificateBundle,
    },
    {
      createdBy: 'python as a name of python3',
      finish(tree) {
        tree.addSymlink('usr/local/bin/python', '/usr/bin/python3');
      },
    },
  ],
};
