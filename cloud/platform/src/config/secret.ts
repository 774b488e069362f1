import { inspect } from 'node:util';
import { z } from 'zod';

/** A value that prints, logs and serialises as `[redacted]`. */
export class Secret {
  readonly #value: string;
  constructor(value: string) {
    this.#value = value;
  }
  reveal(): string {
    return this.#value;
  }
  toString(): string {
    return '[redacted]';
  }
  toJSON(): string {
    return '[redacted]';
  }
  [inspect.custom](): string {
    return '[redacted]';
  }
}

/** A setting that must never be printed. */
export const secretText = (minLength = 1) =>
  z
    .string()
    .min(minLength)
    .transform((value) => new Secret(value));
