import type { Clock } from '@dipper/platform';
import { zoneOffsetMs } from '@dipper/platform';
import { type RecorderConfig, type RecorderReport, recorderConfig } from '@stardipper/proto';
import { Recorder } from './recorder';
import { fault } from './recorder.errors';
import type { Settings } from './settings';

const PREFIX = 'recorder.';
const MAX_RECORDERS = 64;
const ID = /^[\w.:-]{1,64}$/;

export interface RecordersDeps {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly report: (report: RecorderReport) => void;
}

/** The recorders Star has configured for this box. */
export class Recorders {
  private readonly known = new Map<string, { readonly text: string; readonly recorder: Recorder }>();
  private readonly broken = new Map<string, string>();
  private configured = false;

  constructor(private readonly deps: RecordersDeps) {}

  /** Takes the attributes as they are now: starts, restarts and closes recorders where their entry changed; leaves the rest alone. */
  configure(attributes: Readonly<Record<string, string>>): void {
    this.configured = true;
    const entries = new Map(
      Object.entries(attributes)
        .filter(([key]) => key.startsWith(PREFIX))
        .slice(0, MAX_RECORDERS),
    );
    for (const [id, { recorder }] of this.known) {
      if (entries.has(PREFIX + id)) continue;
      recorder.close();
      this.known.delete(id);
    }
    for (const id of this.broken.keys()) if (!entries.has(PREFIX + id)) this.broken.delete(id);
    for (const [key, text] of entries) this.apply(key.slice(PREFIX.length), text);
  }

  private apply(id: string, text: string): void {
    if (!ID.test(id) || this.known.get(id)?.text === text || this.broken.get(id) === text) return;
    this.known.get(id)?.recorder.close();
    this.known.delete(id);
    const config = readConfig(id, text);
    if (!config) {
      this.broken.set(id, text);
      this.deps.report(brokenReport(id, this.deps.clock.now()));
      return;
    }
    this.broken.delete(id);
    const recorder = new Recorder(config, this.deps.settings, this.deps.clock, (changed) => this.deps.report(reportOf(changed)));
    this.known.set(id, { text, recorder });
    void recorder.watch();
  }

  get all(): Recorder[] {
    return [...this.known.values()].map(({ recorder }) => recorder);
  }

  /** Throws `recorder.unknown`; before the first configuration has come that is worth a retry. */
  get(id: string): Recorder {
    const found = this.known.get(id)?.recorder;
    if (found) return found;
    if (!this.configured) throw fault('recorder.unreachable', { reason: 'not configured yet' });
    throw fault('recorder.unknown', { recorderId: id.slice(0, 64), ...(this.broken.has(id) ? { reason: 'config_invalid' } : {}) });
  }

  close(): void {
    for (const { recorder } of this.known.values()) recorder.close();
    this.known.clear();
  }
}

function readConfig(id: string, text: string): RecorderConfig | undefined {
  try {
    const config = recorderConfig.parse(JSON.parse(text));
    zoneOffsetMs(config.timeZone, 0);
    return config.id === id && /^https?:$/.test(new URL(config.baseUrl).protocol) ? config : undefined;
  } catch {
    return undefined;
  }
}

const reportId = (id: string, atMs: number): string => `recorder:${id}:${atMs}`;

function brokenReport(id: string, atMs: number): RecorderReport {
  const empty = { model: '', serialNumber: '', firmware: '', channels: [], clockOffsetMs: 0 };
  return {
    id: reportId(id, atMs),
    recorderId: id,
    reachable: false,
    error: { code: 'recorder.config_invalid', params: {} },
    checkedAt: atMs,
    ...empty,
  };
}

/** What Star is told about a recorder. The id names the look it comes from, so a report sent twice is one report. */
export function reportOf({ config, state }: Recorder): RecorderReport {
  return {
    id: reportId(config.id, state.checkedAtMs),
    recorderId: config.id,
    reachable: state.reachable,
    ...(state.error ? { error: { code: state.error.code, params: { ...state.error.params } } } : {}),
    checkedAt: state.checkedAtMs,
    clockOffsetMs: state.clockErrorMs,
    ...state.info,
    channels: state.channels.map((channel) => ({ ...channel })),
  };
}
