import Type from 'typebox';

const Strings = Type.Array(Type.String());
const ConsoleSize = Type.Tuple([Type.Integer({ minimum: 0 }), Type.Integer({ minimum: 0 })]);

/** Body of `POST /containers/{id}/exec`. */
export const ExecBody = Type.Object({
  AttachStdin: Type.Optional(Type.Boolean()),
  AttachStdout: Type.Optional(Type.Boolean()),
  AttachStderr: Type.Optional(Type.Boolean()),
  Tty: Type.Optional(Type.Boolean()),
  ConsoleSize: Type.Optional(ConsoleSize),
  DetachKeys: Type.Optional(Type.String()),
  Env: Type.Optional(Strings),
  Cmd: Type.Optional(Type.Union([Strings, Type.String()])),
  Privileged: Type.Optional(Type.Boolean()),
  User: Type.Optional(Type.String()),
  WorkingDir: Type.Optional(Type.String()),
});

/** Body of `POST /exec/{id}/start`. */
export const ExecStartBody = Type.Object({
  Detach: Type.Optional(Type.Boolean()),
  Tty: Type.Optional(Type.Boolean()),
  ConsoleSize: Type.Optional(ConsoleSize),
});
