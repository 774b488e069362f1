import { AgentError } from '@dipper/platform';
import { maxReportBytes } from '@stardipper/proto';

/** Everything Dubhe refuses or reports, by stable code. */
export const dubheErrors = {
  /** The outgoing spool is over its quota: the submitter keeps its reports and asks again later. */
  spoolFull: (usedBytes: number, quotaBytes: number) => new AgentError('spool.full', 'limited', { usedBytes, quotaBytes }),
  diskFull: (cause: unknown) => new AgentError('spool.disk_full', 'limited', {}, cause),
  reportTooLarge: (id: string, bytes: number) => new AgentError('report.too_large', 'invalid', { id, bytes, maxBytes: maxReportBytes }),
  reportMalformed: (id: string, field: string) => new AgentError('report.malformed', 'invalid', { id, field }),
  notConfigured: (setting: string) => new AgentError('star.not_configured', 'unprocessable', { setting }),
  provisionNotConfigured: () => new AgentError('provision.not_configured', 'unprocessable'),
  provisionRefused: (answer: string) => new AgentError('provision.refused', 'unprocessable', { answer }),
  nameTaken: (name: string) => new AgentError('provision.name_taken', 'unprocessable', { name }),
  provisionUnclear: () => new AgentError('provision.no_answer', 'timeout'),
  credentialsRefused: (reasonCode: number) => new AgentError('star.credentials_refused', 'unprocessable', { reasonCode }),
  offline: (cause?: unknown) => new AgentError('star.offline', 'unavailable', {}, cause),
  closed: (reasonCode?: number) => new AgentError('star.closed', 'unavailable', reasonCode === undefined ? {} : { reasonCode }),
  noAnswer: (to: string) => new AgentError('star.no_answer', 'timeout', { to }),
  messageRefused: (reasonCode: number) => new AgentError('star.message_refused', 'unprocessable', { reasonCode }),
  /** Star's word on `v2/fw/error`. */
  softwareRefused: (answer: string) =>
    new AgentError(answer === 'NOT_FOUND' ? 'software.not_found' : 'software.refused', 'unprocessable', { answer }),
  softwareSize: (expectedBytes: number, bytes: number) => new AgentError('software.size_wrong', 'unprocessable', { expectedBytes, bytes }),
  checksumWrong: () => new AgentError('software.checksum_wrong', 'unprocessable'),
  softwareDiskFull: () => new AgentError('software.disk_full', 'limited'),
  softwareDiskFailed: (cause: unknown) => new AgentError('software.disk_failed', 'internal', {}, cause),
  /** Connections ended on its chunks again and again. */
  connectionLost: () => new AgentError('software.connection_lost', 'unavailable'),
  assignmentUnusable: () => new AgentError('software.assignment_unusable', 'unprocessable'),
  /** This box has no program that installs. */
  notSupported: () => new AgentError('software.not_supported', 'unprocessable'),
  installFailed: (detail: string) => new AgentError('software.install_failed', 'unprocessable', { detail }),
  installTimeout: (timeoutMs: number) => new AgentError('software.install_timeout', 'timeout', { timeoutMs }),
  methodFailed: (method: string, answer: string) => new AgentError('star.method_failed', 'unavailable', { method, answer }),
};
