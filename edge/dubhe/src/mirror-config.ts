import { maxPayloadBytes } from '@stardipper/proto';
import type { AttributesStore, ConfigState } from './attributes.store';
import type { Doorbell } from './doorbell';

/** 64 payloads full: far over what one box has, and small enough to hold and to send to the agents. */
const maxConfigBytes = 64 * maxPayloadBytes;

type Json = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Keeps the shared attributes as Star has them, and tells the agents. */
export class ConfigMirror {
  /** Updates that came while a full answer was on its way; it may have been read before them. */
  private sinceAsked: Json[] | undefined;

  constructor(
    private readonly store: AttributesStore,
    private readonly changed: Doorbell,
    private readonly report: (code: string) => void,
  ) {}

  /** One pushed update: `{"key": value}`, `{"deleted": ["key"]}`, or both. */
  apply(update: unknown): void {
    if (!isObject(update)) {
      this.report('config.malformed');
      return;
    }
    this.sinceAsked?.push(update);
    const { set, removed } = split(update);
    this.commit(set, removed);
  }

  /** Asks for everything, since updates that were pushed while we were away are not repeated. */
  async refresh(ask: () => Promise<Json>): Promise<void> {
    this.sinceAsked = [];
    try {
      const all = await ask();
      const set = new Map(Object.entries(asText(all)));
      for (const update of this.sinceAsked) {
        const later = split(update);
        for (const key of later.removed) set.delete(key);
        for (const [key, value] of Object.entries(later.set)) set.set(key, value);
      }
      const gone = Object.keys(this.store.current().attributes).filter((key) => !set.has(key));
      this.commit(Object.fromEntries(set), gone);
    } finally {
      this.sinceAsked = undefined;
    }
  }

  /** The state now, and again after every change; a slow reader gets the newest, not each. */
  async *watch(signal: AbortSignal): AsyncGenerator<ConfigState> {
    let seen = -1;
    while (!signal.aborted) {
      const state = this.store.current();
      if (state.revision !== seen) {
        seen = state.revision;
        yield state;
      } else await this.changed.wait(signal);
    }
  }

  private commit(set: Readonly<Record<string, string>>, removed: readonly string[]): void {
    const after = { ...this.store.current().attributes, ...set };
    for (const key of removed) if (!Object.hasOwn(set, key)) delete after[key];
    const bytes = Object.entries(after).reduce((sum, [key, value]) => sum + key.length + value.length, 0);
    if (bytes > maxConfigBytes) this.report('config.too_large');
    else if (this.store.change(set, removed)) this.changed.ring();
  }
}

function asText(values: Json): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, JSON.stringify(value)]));
}

function split(update: Json): { set: Record<string, string>; removed: string[] } {
  const { deleted, ...rest } = update;
  if (!Array.isArray(deleted)) return { set: asText(update), removed: [] };
  return { set: asText(rest), removed: deleted.filter((key): key is string => typeof key === 'string') };
}
