import { softwareAttributeKeys, softwareAttributes } from '@stardipper/proto';

/** A package this box is to have. */
export interface SoftwareTarget {
  readonly title: string;
  readonly version: string;
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** `key` tells one assignment from another. `target` is absent from one that this box cannot follow. */
export type Wanted =
  | { readonly key: ''; readonly target?: undefined }
  | { readonly key: string; readonly target: SoftwareTarget | undefined };

/** Everything ThingsBoard may set of an assignment. */
const allKeys = [...softwareAttributeKeys, 'sw_url'];

/** What the shared attributes (JSON text by key) say this box is to have. */
export function wantedSoftware(attributes: Readonly<Record<string, string>>): Wanted {
  const said = allKeys.flatMap((key) => {
    const json = attributes[key];
    return json === undefined ? [] : [[key, json] as const];
  });
  if (said.length === 0) return { key: '' };
  const parsed = softwareAttributes.safeParse(Object.fromEntries(said.map(([key, json]) => [key, JSON.parse(json) as unknown])));
  if (!parsed.success || attributes.sw_url !== undefined) return { key: JSON.stringify(said), target: undefined };
  const { sw_title: title, sw_version: version, sw_size: sizeBytes, sw_checksum: sha256, sw_tag: tag } = parsed.data;
  // The tag as well: the same package assigned again is another assignment, and somebody waits for an answer to it.
  return { key: JSON.stringify([title, version, sizeBytes, sha256, tag]), target: { title, version, sizeBytes, sha256 } };
}
