import { cacheKey } from './cache';

/** What one level answers: the value, and until when it may be believed (`performance.now`). */
export interface Found<T> {
  readonly value: T;
  readonly until: number;
}

interface Entry {
  readonly value: unknown;
  readonly until: number;
}

/**
 * The level in this process: bounded, oldest use out first, one load at a time per key. What is invalidated while it
 * loads is answered to those who had asked already and kept for nobody.
 */
export class MemoryLevel {
  readonly #entries = new Map<string, Entry>();
  readonly #loading = new Map<string, Promise<Found<unknown>>>();

  constructor(
    private readonly maxEntries: number,
    private readonly now: () => number,
  ) {}

  async get<T>(tenantId: string, key: string, load: () => Promise<Found<T>>): Promise<T> {
    const whole = cacheKey(tenantId, key);
    const known = this.#entries.get(whole);
    if (known && known.until > this.now()) {
      this.#entries.delete(whole);
      this.#entries.set(whole, known);
      return known.value as T;
    }
    const loading = (this.#loading.get(whole) ?? this.#load(whole, load)) as Promise<Found<T>>;
    return (await loading).value;
  }

  #load(whole: string, load: () => Promise<Found<unknown>>): Promise<Found<unknown>> {
    const loading = load();
    this.#loading.set(whole, loading);
    const settled = () => this.#loading.get(whole) === loading && this.#loading.delete(whole);
    loading.then((found) => {
      if (settled() && found.value !== undefined && found.until > this.now()) this.#keep(whole, found);
    }, settled);
    return loading;
  }

  #keep(whole: string, entry: Entry): void {
    this.#entries.delete(whole);
    this.#entries.set(whole, entry);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.maxEntries) return;
      this.#entries.delete(oldest);
    }
  }

  forget(tenantId: string, key?: string): void {
    if (key !== undefined) {
      const whole = cacheKey(tenantId, key);
      this.#entries.delete(whole);
      this.#loading.delete(whole);
      return;
    }
    const prefix = cacheKey(tenantId, 'x').slice(0, -1);
    for (const each of [this.#entries, this.#loading]) for (const whole of each.keys()) if (whole.startsWith(prefix)) each.delete(whole);
  }

  forgetAll(): void {
    this.#entries.clear();
    this.#loading.clear();
  }

  get size(): number {
    return this.#entries.size;
  }
}
