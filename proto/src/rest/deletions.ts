/** The deletion of a person with its receipts, as Star's REST API shows it. */

import { z } from 'zod';
import { forgetReceipt, taskError } from '../rpc';

const id = z.uuid().toLowerCase();
const time = z.iso.datetime({ offset: true });

/** `gone`: the box was removed from Star before it answered. */
export const deletionEdgeStates = ['pending', 'done', 'gone'] as const;

export const deletionEdge = z.object({
  edgeId: id,
  edgeName: z.string(),
  state: z.enum(deletionEdgeStates),
  /** When it was last asked; null until then. */
  askedAt: time.nullable(),
  answeredAt: time.nullable(),
  /** Why it has not done it yet. */
  error: taskError.nullable(),
  receipt: forgetReceipt.nullable(),
});

export const personDeletion = z.object({
  personId: id,
  deletedAt: time,
  deletedBy: z.object({ id, username: z.string() }),
  /** What went on Star; matches and pictures are null until storage has confirmed. */
  star: z.object({ photos: z.int(), matches: z.int().nullable(), crops: z.int().nullable(), doneAt: time.nullable() }),
  /** Every box the tenant had; null until they were listed. */
  edges: z.array(deletionEdge).nullable(),
  /** When Star and every box were done. */
  completedAt: time.nullable(),
});
export type PersonDeletion = z.infer<typeof personDeletion>;
