import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

const layers = ['hypervisor', 'agent', 'image', 'network', 'log'];

/** One leaf of the daemon: may import itself and base, never a sibling, pod or api. */
function leafBoundary(leaf) {
  const others = [...layers.filter((layer) => layer !== leaf), 'pod', 'api'];
  return {
    files: [`hyperd/${leaf}/**/*.ts`],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          paths: [childProcess],
          patterns: others.map((layer) => ({
            regex: `^(\\.\\./)+(hyperd/)?${layer}/`,
            message: `${leaf}/ must not import ${layer}/: pod/ composes the leaves.`,
          })),
        },
      ],
    },
  };
}

const childProcess = {
  name: 'node:child_process',
  message: 'Processes are started by base/subprocess.ts only, which never uses a shell.',
};

export default tseslint.config(
  { ignores: ['node_modules/', 'build/', 'coverage/', 'bench/results/'] },
  { files: ['**/*.js', '**/*.mjs'], extends: [eslint.configs.recommended] },
  {
    files: ['**/*.ts'],
    extends: [eslint.configs.recommended, ...tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: {
        project: ['./tsconfig.host.json', './hyperstart/tsconfig.json'],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
      '@typescript-eslint/no-restricted-imports': ['error', { paths: [childProcess] }],
      // `using _ = …` holds a resource for a scope.
      '@typescript-eslint/no-unused-vars': ['error', { varsIgnorePattern: '^_$' }],
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
      'max-params': ['error', 4],
      'no-console': 'error',
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'exit', message: 'Only main files end the process.' },
        { object: 'process', property: 'env', message: 'Only main and config files read it.' },
      ],
      'no-restricted-syntax': [
        'error',
        {
          selector: "Property[key.name='shell'][value.value=true]",
          message: 'A shell turns data into code: pass an argument list.',
        },
      ],
    },
  },
  ...layers.map(leafBoundary),
  {
    files: ['hyperd/base/subprocess.ts'],
    rules: { '@typescript-eslint/no-restricted-imports': 'off' },
  },
  {
    // In the guest `process` is a process of a container.
    files: ['hyperstart/**/*.ts'],
    rules: { 'no-restricted-properties': 'off' },
  },
  {
    files: [
      '**/main.ts',
      '**/config.ts',
      '**/config-settings.ts',
      'setup/**/*.ts',
      'bench/**/*.ts',
      '**/build.ts',
    ],
    rules: { 'no-restricted-properties': 'off' },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      'max-lines-per-function': 'off',
      'no-restricted-properties': 'off',
      '@typescript-eslint/no-restricted-imports': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
);
