import Type from 'typebox';

import { querySchema } from './query.ts';

/** Body of `POST /auth`. */
export const AuthBody = Type.Object({
  username: Type.Optional(Type.String()),
  password: Type.Optional(Type.String()),
  serveraddress: Type.Optional(Type.String()),
  identitytoken: Type.Optional(Type.String()),
  registrytoken: Type.Optional(Type.String()),
});

export const EventsQuery = querySchema('since', 'until', 'filters');
export const NetworkListQuery = querySchema('filters');
export const NetworkParams = Type.Object({ id: Type.String({ minLength: 1 }) });
