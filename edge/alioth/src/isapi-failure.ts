import type { AgentError } from '@dipper/platform';
import { fault } from './recorder.errors';
import { parseXml, textOf } from './xml';

/** What a recorder said went wrong. */
export interface Failure {
  readonly http: number;
  readonly statusCode: number | undefined;
  readonly subStatus: string;
}

/** Reads a `ResponseStatus`; undefined when the text is something else. A status of 200 says nothing: code 1 is the only success. */
export function readResponseStatus(http: number, text: string): Failure | undefined {
  const root = parseXml(text);
  if (root?.name !== 'ResponseStatus') return undefined;
  const statusCode = Number(textOf(root.node, 'statusCode'));
  return {
    http,
    statusCode: Number.isInteger(statusCode) ? statusCode : undefined,
    subStatus: (textOf(root.node, 'subStatusCode') ?? '').slice(0, 64),
  };
}

export const isMethodRefused = ({ http, subStatus }: Failure): boolean => http === 405 || http === 501 || subStatus === 'methodNotAllowed';

/** The stable error for what a recorder answered instead of what was asked for. */
export function faultOf(failure: Failure): AgentError {
  const { http, statusCode, subStatus } = failure;
  const params = { http, ...(statusCode === undefined ? {} : { statusCode }), ...(subStatus ? { subStatus } : {}) };
  if (http === 503 || http === 429 || statusCode === 2) return fault('recorder.busy', params);
  if (subStatus === 'lowPrivilege' || (http === 403 && subStatus !== 'notSupport' && !isMethodRefused(failure)))
    return fault('recorder.forbidden', params);
  if (http === 404) return fault('segment.not_found', params);
  return fault('recorder.bad_answer', params);
}

/** As `faultOf`, from an answer's text, which may be empty, HTML or anything. */
export const failureFrom = (http: number, text: string): Failure =>
  readResponseStatus(http, text) ?? { http, statusCode: undefined, subStatus: '' };
