import type { DeviceSession } from '../hub/device-session';
import type { OpenRpc } from './rpc';

export interface Sent {
  readonly rpc: OpenRpc;
  readonly writtenAt: number;
  ackedAt?: number;
}

interface Question {
  readonly writtenAt: number;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

export interface Answer {
  readonly replyJson: string;
  readonly roundTripMs: number;
}

/** What is going on with one session. */
export interface Line {
  readonly session: DeviceSession;
  readonly waiting: Map<number, OpenRpc>;
  readonly sent: Map<number, Sent>;
  readonly questions: Map<number, Question>;
  /** After a timeout nothing is sent until the device has been heard of since. */
  quietSince: number;
  loading: boolean;
  loadAgain: boolean;
  /** Ended while the table was being read: the reading may still show them open. */
  readonly endedMeanwhile: Set<number>;
  nextQuestion: number;
}

/** Ids of questions, which no table numbers, are in the upper half of the positive integers. */
export const firstQuestion = 2 ** 30;

export const newLine = (session: DeviceSession): Line => ({
  session,
  waiting: new Map(),
  sent: new Map(),
  questions: new Map(),
  quietSince: 0,
  loading: false,
  loadAgain: false,
  endedMeanwhile: new Set(),
  // A random start: a reply meant for a question of the last session finds none.
  nextQuestion: firstQuestion + Math.floor(Math.random() * (firstQuestion - 1_000_000)),
});
