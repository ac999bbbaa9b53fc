import type { AgentErrorCode } from '../../hyperstart/protocol/message.ts';
import { HyperError, type HyperErrorCode } from '../base/error.ts';

/** The agent answered a request with an error; `agentCode` is its own, finer code. */
export class AgentError extends HyperError {
  readonly agentCode: AgentErrorCode;

  constructor(agentCode: AgentErrorCode, message: string) {
    super(codes[agentCode], message);
    this.name = 'AgentError';
    this.agentCode = agentCode;
  }
}

const codes: Readonly<Record<AgentErrorCode, HyperErrorCode>> = {
  INVALID_ARGUMENT: 'INVALID_ARGUMENT',
  NOT_FOUND: 'NOT_FOUND',
  INVALID_STATE: 'INVALID_STATE',
  UNSUPPORTED: 'UNSUPPORTED',
  INTERNAL: 'INTERNAL',
  COMMAND_NOT_FOUND: 'INVALID_ARGUMENT',
  COMMAND_NOT_EXECUTABLE: 'INVALID_ARGUMENT',
  CANCELLED: 'INTERNAL',
};
