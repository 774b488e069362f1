/** Work in flight per service, with a bound: what would only wait is refused while it is still cheap to refuse. */
export interface InFlight {
  /** Counts one more, and answers how to count it out (again is no error); undefined when there are enough. */
  enter(service: string, stream: boolean): (() => void) | undefined;
}

export interface InFlightOptions {
  /** Requests of one service at once; 500 unless told. */
  readonly requests?: number;
  /** Open event streams of one service, which wait and cost little; 5,000 unless told. */
  readonly streams?: number;
  /** Of both, what one tenant or one stranger's line may have; a quarter unless told. */
  readonly share?: number;
  readonly onChange?: (service: string, kind: 'request' | 'stream', count: number) => void;
}

const usual = { requests: 500, streams: 5000, share: 0.25 };

/** The bounds for one alone: or else a single one who sends slowly, or never hangs up, keeps everybody out. */
export function shareOf(options: InFlightOptions = {}): Pick<InFlightOptions, 'requests' | 'streams'> {
  const { requests, streams, share } = { ...usual, ...options };
  return { requests: Math.ceil(requests * share), streams: Math.ceil(streams * share) };
}

export function countInFlight({ requests = usual.requests, streams = usual.streams, onChange }: InFlightOptions = {}): InFlight {
  const counts = { request: new Map<string, number>(), stream: new Map<string, number>() };
  return {
    enter: (service, stream) => {
      const kind = stream ? 'stream' : 'request';
      const now = () => counts[kind].get(service) ?? 0;
      const set = (count: number) => {
        if (count === 0) counts[kind].delete(service);
        else counts[kind].set(service, count);
        onChange?.(service, kind, count);
      };
      if (now() >= (stream ? streams : requests)) return undefined;
      set(now() + 1);
      let inside = true;
      return () => {
        if (inside) set(now() - 1);
        inside = false;
      };
    },
  };
}
