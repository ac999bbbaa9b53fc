import { defineConfig } from 'vitest/config';

/** Real VMs under TCG on two cores: one suite at a time, with room for a slow machine. */
const realMachine = {
  fileParallelism: false,
  testTimeout: 180_000,
  hookTimeout: 600_000,
};

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts', 'test/security/**/*.test.ts'],
          testTimeout: 20_000,
        },
      },
      { test: { name: 'contract', include: ['test/contract/**/*.test.ts'], ...realMachine } },
      { test: { name: 'integration', include: ['test/integration/**/*.test.ts'], ...realMachine } },
      { test: { name: 'drop-in', include: ['test/drop-in/**/*.test.ts'], ...realMachine } },
    ],
  },
});
