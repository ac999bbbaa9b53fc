/** A seccomp profile as far as it can be compiled: ordered rules, the first that matches decides. */
export interface SeccompProfile {
  readonly defaultAction: SeccompAction;
  readonly rules: readonly SeccompRule[];
}

export type SeccompAction =
  | { readonly kind: 'allow' | 'kill-process' | 'kill-thread' | 'trap' | 'log' }
  | { readonly kind: 'errno'; readonly errno: number };

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: SeccompAction;
  /** All must hold; none: always. */
  readonly conditions: readonly SeccompCondition[];
}

export interface SeccompCondition {
  /** Argument 0–5. */
  readonly index: number;
  readonly operator:
    | 'equal'
    | 'not-equal'
    | 'masked-equal'
    | 'less'
    | 'less-or-equal'
    | 'greater'
    | 'greater-or-equal';
  readonly value: bigint;
  /** For masked-equal: (argument & mask) == value. */
  readonly mask: bigint;
}

export const allow: SeccompAction = { kind: 'allow' };
const EPERM = 1;
const ENOSYS = 38;
export const refuse: SeccompAction = { kind: 'errno', errno: EPERM };
export const notImplemented: SeccompAction = { kind: 'errno', errno: ENOSYS };
