import { AgentError } from '@dipper/platform';

/** Every code `dipper models` can end with, beside Mizar's own `pack.*`. Codes and parameters are stable. */
export const modelsErrors = {
  /** Neither a folder, a file, an address nor a name of the catalogue; `reason` says what is wrong with it. */
  sourceInvalid: (reason: 'not_found' | 'address' | 'credentials_in_address' | 'sha256_of_folder' | 'sha256', cause?: unknown) =>
    new AgentError('source.invalid', 'invalid', { reason }, cause),
  archiveInvalid: (reason: ArchiveFault, entry?: string, cause?: unknown) =>
    new AgentError(
      'pack.archive_invalid',
      'unprocessable',
      entry === undefined ? { reason } : { reason, entry: entry.slice(0, 256) },
      cause,
    ),
  hashMismatch: (expected: string, found: string) => new AgentError('download.hash_mismatch', 'unprocessable', { expected, found }),
  downloadTooLarge: (maxBytes: number) => new AgentError('download.too_large', 'unprocessable', { maxBytes }),
  /** The server said no, and will again. */
  downloadRefused: (url: string, reason: number | string) => new AgentError('download.refused', 'unprocessable', { url, reason }),
  /** What has arrived is kept; the same command goes on from there. */
  downloadFailed: (url: string, bytes: number, reason: string, cause?: unknown) =>
    new AgentError('download.failed', 'unavailable', { url, bytes, reason }, cause),
  /** Another process is adding a pack to the same box. */
  busy: (pid: unknown) => new AgentError('models.busy', 'conflict', { pid }),
  /** What another user writes here, the agents may not be able to read. */
  wrongUser: (owner: number) => new AgentError('models.wrong_user', 'conflict', { owner }),
  diskFull: (cause?: unknown) => new AgentError('models.disk_full', 'limited', {}, cause),
  alreadyInstalled: (id: string) => new AgentError('pack.already_installed', 'conflict', { id }),
  notInstalled: (id: string) => new AgentError('pack.not_installed', 'not_found', { id }),
  inUse: (id: string, as: 'in use' | 'previous') => new AgentError('pack.in_use', 'conflict', { id, as }),
  licenceNotAccepted: (id: string, licence: string) => new AgentError('pack.licence_not_accepted', 'conflict', { id, licence }),
  /** Mizar could not start with it and went back. */
  rolledBack: (refused: object) => new AgentError('pack.rolled_back', 'unprocessable', { ...refused }),
  notFollowed: (id: string, waitedMs: number) => new AgentError('pack.not_followed', 'timeout', { id, waitedMs }),
};

export type ArchiveFault = 'not_gzip' | 'truncated' | 'corrupt' | 'path' | 'link' | 'special' | 'duplicate' | 'too_large' | 'too_many';
