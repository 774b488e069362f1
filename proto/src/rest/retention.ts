/** What was removed because it was past its time, as Star's REST API shows it. */

import { z } from 'zod';

const time = z.iso.datetime({ offset: true });

export const shownRemoval = z.object({
  id: z.uuid(),
  kind: z.enum(['matches', 'crops', 'photos', 'rejectedReports', 'calls', 'exports', 'audit']),
  removedAt: time,
  /** All of it was older. */
  before: time,
  /** Of the settings that said so; null: the installation's own. */
  settingsVersion: z.int().nullable(),
  items: z.int(),
  bytes: z.int(),
});
export type ShownRemoval = z.infer<typeof shownRemoval>;
