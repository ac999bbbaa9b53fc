import type { Recipe } from './recipe.ts';
import { busybox } from './recipes/busybox.ts';
import { debian } from './recipes/debian.ts';
import { hello } from './recipes/hello.ts';
import { nginx } from './recipes/nginx.ts';
import { node } from './recipes/node.ts';
import { postgres } from './recipes/postgres.ts';
import { python } from './recipes/python.ts';
import { redis } from './recipes/redis.ts';

export const demoImageNames = [
  'busybox',
  'hello',
  'debian',
  'nginx',
  'redis',
  'python',
  'node',
  'postgres',
] as const;

export type DemoImageName = (typeof demoImageNames)[number];

/** All recipes; an image's base comes before it in `demoImageNames`. */
export const recipes: Readonly<Record<DemoImageName, Recipe>> = {
  ...{ busybox, hello, debian, nginx, redis, python, node, postgres },
};
