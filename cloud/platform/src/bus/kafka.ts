import type { Bus } from './bus';
export async function openKafkaBus(_options: { brokers: string[]; sessionTimeoutMs?: number }): Promise<Bus> {
  throw new Error('not yet');
}
