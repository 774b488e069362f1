import { AgentError } from '@dipper/platform';
import type { z } from 'zod';

export const taskConflict = (taskId: string) => new AgentError('task.conflict', 'conflict', { taskId });
export const taskExpired = (expiresAt: number) => new AgentError('task.expired', 'conflict', { expiresAt });
export const tooManyTasks = (limit: number) => new AgentError('task.too_many', 'limited', { limit });
export const noSpace = () => new AgentError('task.no_space', 'limited');
export const queryUnavailable = (status: number) => new AgentError('query.unavailable', 'unprocessable', { status });
export const queryNotReached = (cause: unknown) => new AgentError('query.not_reached', 'unavailable', {}, cause);
export const queryHashMismatch = () => new AgentError('query.hash_mismatch', 'unprocessable');
export const queryMalformed = () => new AgentError('query.malformed', 'unprocessable');
export const queryPackMismatch = (packId: string) => new AgentError('query.pack_mismatch', 'unprocessable', { packId });
export const packNotInstalled = (packId: string, installed: string) =>
  new AgentError('pack.not_installed', 'unprocessable', { packId, installed });
export const listingStuck = () => new AgentError('listing.no_progress', 'unavailable');
export const listingForeign = () => new AgentError('listing.invalid', 'unavailable');
export const recorderAway = (recorderId: string) => new AgentError('recorder.unreachable', 'unavailable', { recorderId });

/** Codes that appear as `reason` in the coverage ledger and come from no call. */
export const reasons = {
  truncated: 'segment.truncated',
  stillRecording: 'segment.still_recording',
  notYetRecorded: 'footage.not_yet_recorded',
  cancelled: 'task_cancelled',
  expired: 'task_expired',
  internal: 'internal',
} as const;

/** Which fields were wrong, as JSON pointers (RFC 6901), at most 20. */
export function taskMalformed(issues: readonly z.core.$ZodIssue[]): AgentError {
  const errors = issues.slice(0, 20).map((issue) => ({ pointer: pointerOf(issue.path), code: codeOf(issue) }));
  return new AgentError('task.malformed', 'invalid', { errors });
}

export const fieldMalformed = (pointer: string, code: string) =>
  new AgentError('task.malformed', 'invalid', { errors: [{ pointer, code }] });

const pointerOf = (path: readonly PropertyKey[]) =>
  path.map((part) => `/${String(part).replace(/~/g, '~0').replace(/\//g, '~1')}`).join('');

function codeOf(issue: z.core.$ZodIssue): string {
  const named = issue.code === 'custom' ? issue.params?.code : undefined;
  return typeof named === 'string' ? named : issue.code;
}

/** SQLite's own word for a full disk or a full database. */
export const isDiskFull = (error: unknown): boolean =>
  [13, 778].includes((error as { errcode?: number }).errcode ?? 0) || (error as { code?: string }).code === 'ENOSPC';
