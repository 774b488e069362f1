interface Installation {
  /** Of the realm that logs people in. */
  readonly issuer: string;
  /** Where boxes connect to. */
  readonly mqttUrl: string;
}

let known: Promise<Installation> | undefined;

/** What Star tells of itself to everybody. Throws when it cannot be reached; asked once otherwise. */
export function installation(): Promise<Installation> {
  known ??= fetch('/console.json', { cache: 'no-cache' })
    .then(async (response) => (await response.json()) as Installation)
    .catch((error: unknown) => {
      known = undefined;
      throw error;
    });
  return known;
}
