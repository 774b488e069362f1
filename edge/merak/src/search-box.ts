import type { Clock } from '@dipper/platform';
import type { CreateTaskParams, TaskCamera } from '@stardipper/proto';
import type { FairGate, Turn } from './fair-gate';
import type { Journal, TaskProgress } from './journal';
import type { Logger } from './log';
import type { MerakSettings } from './merak-settings';
import type { Neighbours } from './neighbours';
import type { Query } from './read-query';
import type { RecorderBook } from './recorder-book';
import type { ShortFootageStore } from './short-footage.store';
import type { SpeedBook } from './speed-book';

/** What the work on a segment needs of the box. */
export interface SearchBox {
  readonly neighbours: Neighbours;
  readonly journal: Journal;
  readonly recorders: RecorderBook;
  readonly speeds: SpeedBook;
  /** Into Mizar's index stage, which takes all cores. */
  readonly indexing: FairGate;
  /** Questions to the face index: coverage and matches. */
  readonly asking: FairGate;
  /** Downloaded files that are not released yet. */
  readonly files: FileCount;
  /** Footage that is being looked at; a second task waits and then finds it in the index. */
  readonly busySegments: Map<string, Promise<void>>;
  /** Files that ended before their listing did, a short while ago. */
  readonly shortFootage: ShortFootageStore;
  readonly settings: MerakSettings;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Counts files between download and release, and tells when there is room again. */
export class FileCount {
  held = 0;
  constructor(
    private readonly limit: number,
    private readonly freed: () => void,
  ) {}
  get room(): boolean {
    return this.held < this.limit;
  }
  hold(): () => void {
    this.held += 1;
    let dropped = false;
    return () => {
      if (dropped) return;
      dropped = true;
      this.held -= 1;
      this.freed();
    };
  }
}

/** A task at work in this process. */
export interface TaskRun {
  readonly params: CreateTaskParams;
  readonly progress: TaskProgress;
  readonly query: Query;
  readonly signal: AbortSignal;
}

/** One camera of it. */
export interface CameraRun {
  readonly run: TaskRun;
  readonly camera: TaskCamera;
  /** In the task's list of cameras. */
  readonly position: number;
  readonly turn: Turn;
}

export const ledgerOf = ({ run, position }: CameraRun) => {
  const progress = run.progress.cameras[position];
  if (!progress) throw new Error(`task ${run.params.taskId} has no camera ${position}`);
  return progress;
};

/** Why work is aborted when the process ends: it goes on later, so nothing is cleaned away. */
export class BoxStopping extends Error {}
/** Why work is aborted when its task has ended. */
export class TaskEnded extends Error {}
