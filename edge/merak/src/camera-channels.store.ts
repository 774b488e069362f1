import type { DatabaseSync } from 'node:sqlite';
import type { TaskCamera } from '@stardipper/proto';

/** Of which recorder and channel each camera is, as the task accepted last said; kept longer than tasks are. Synchronous. */
export class CameraChannels {
  private readonly statements;

  constructor(db: DatabaseSync) {
    this.statements = {
      put: db.prepare(`INSERT INTO camera_channels (camera_id, recorder_id, channel, named_at_ms) VALUES (?, ?, ?, ?)
        ON CONFLICT (camera_id) DO UPDATE SET recorder_id = excluded.recorder_id, channel = excluded.channel, named_at_ms = excluded.named_at_ms`),
      find: db.prepare('SELECT recorder_id AS recorderId, channel FROM camera_channels WHERE camera_id = ?'),
      keepOnly: db.prepare('DELETE FROM camera_channels WHERE named_at_ms < ? AND camera_id NOT IN (SELECT value FROM json_each(?))'),
    };
  }

  /** To be called in the transaction in which the task is accepted. */
  put(cameras: readonly TaskCamera[], now: number): void {
    for (const { id, recorderId, channel } of cameras) this.statements.put.run(id, recorderId, channel, now);
  }

  find(cameraId: string): Omit<TaskCamera, 'id'> | undefined {
    return this.statements.find.get(cameraId) as Omit<TaskCamera, 'id'> | undefined;
  }

  /** Drops every other camera that no task has named since `namedBefore`. */
  keepOnly(cameraIds: readonly string[], namedBefore: number): void {
    this.statements.keepOnly.run(namedBefore, JSON.stringify(cameraIds));
  }
}
