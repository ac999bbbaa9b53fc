import type { AgentErrorCode } from '../../hyperstart/protocol/message.ts';
import { AgentError } from '../agent/agent-error.ts';
import { HyperError, isHyperError, messageOf } from '../base/error.ts';

/** Docker's exit code of a container that never ran, when nothing better is known. */
const unknownFailure = 128;
const notFound = 127;
const notExecutable = 126;

export interface StartFailure {
  /** What `inspect` shows for the container. */
  readonly exitCode: number;
  readonly error: HyperError;
}

/** The docker CLI tells 127 from 126 and 125 by the words in these messages. */
const exitCodes: Partial<Record<AgentErrorCode, number>> = {
  COMMAND_NOT_FOUND: notFound,
  COMMAND_NOT_EXECUTABLE: notExecutable,
};

/** A failed start in Docker's words and exit codes. */
export function toStartFailure(thrown: unknown): StartFailure {
  return (
    commandFailure(
      thrown,
      'failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: ',
    ) ?? { exitCode: unknownFailure, error: toHyperError(thrown) }
  );
}

/** A failed exec in Docker's words and exit codes. */
export function toExecFailure(thrown: unknown): StartFailure {
  return (
    commandFailure(
      thrown,
      'OCI runtime exec failed: exec failed: unable to start container process: ',
    ) ?? { exitCode: notExecutable, error: toHyperError(thrown) }
  );
}

function commandFailure(thrown: unknown, prefix: string): StartFailure | null {
  const answer = agentErrorIn(thrown);
  const exitCode = answer === null ? undefined : exitCodes[answer.agentCode];
  if (answer === null || exitCode === undefined) return null;
  const message = `${prefix}${answer.message}: unknown`;
  return { exitCode, error: new HyperError('INVALID_ARGUMENT', message, { cause: thrown }) };
}

/** The agent's own answer, beneath what the phases added. */
function agentErrorIn(thrown: unknown): AgentError | null {
  if (thrown instanceof AgentError) return thrown;
  return thrown instanceof Error && thrown.cause !== undefined ? agentErrorIn(thrown.cause) : null;
}

function toHyperError(thrown: unknown): HyperError {
  const answer = agentErrorIn(thrown);
  // A request that cannot be fulfilled is no failure of the machine: phase and console are noise.
  if (answer?.agentCode === 'INVALID_ARGUMENT' || answer?.agentCode === 'UNSUPPORTED') {
    return answer;
  }
  return isHyperError(thrown)
    ? thrown
    : new HyperError('INTERNAL', messageOf(thrown), { cause: thrown });
}
