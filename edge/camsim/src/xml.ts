import { XMLParser } from 'fast-xml-parser';
import type { Faults } from './faults';

const parser = new XMLParser({ ignoreAttributes: true, removeNSPrefix: true, parseTagValue: false, processEntities: true });

/** What came in, or undefined when it is no XML. */
export function parseXml(text: string): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = parser.parse(text);
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Follows names through nested elements; the first of several. */
export function textAt(root: unknown, ...path: string[]): string | undefined {
  let at: unknown = root;
  for (const name of path) {
    if (Array.isArray(at)) at = at[0];
    if (typeof at !== 'object' || at === null) return undefined;
    at = (at as Record<string, unknown>)[name];
  }
  if (Array.isArray(at)) at = at[0];
  return typeof at === 'string' ? at : undefined;
}

export const escapeXml = (text: string): string =>
  text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`.replace('&#38;', '&amp;').replace('&#60;', '&lt;'));

/** Elements as nested pairs, so that a prefix can be put on every one of them. */
export type Element = readonly [name: string, content: string | number | boolean | readonly Element[]];

/** A document in the namespace of this firmware. */
export function document(
  root: string,
  children: readonly Element[],
  { namespace, prefixed }: Pick<Faults, 'namespace' | 'prefixed'>,
): string {
  const prefix = prefixed && namespace ? 'hk:' : '';
  const write = ([name, content]: Element): string =>
    `<${prefix}${name}>${Array.isArray(content) ? (content as readonly Element[]).map(write).join('\n') : escapeXml(String(content))}</${prefix}${name}>`;
  const xmlns = namespace ? ` xmlns${prefix ? ':hk' : ''}="${namespace}"` : '';
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${prefix}${root} version="2.0"${xmlns}>\n${children.map(write).join('\n')}\n</${prefix}${root}>\n`;
}

export interface Status {
  readonly http: number;
  readonly code: number;
  readonly text: string;
  readonly sub: string;
}

export const statuses = {
  busy: { http: 503, code: 2, text: 'Device Busy', sub: 'serviceUnavailable' },
  deviceError: { http: 500, code: 3, text: 'Device Error', sub: 'deviceError' },
  notSupport: { http: 403, code: 4, text: 'Invalid Operation', sub: 'notSupport' },
  lowPrivilege: { http: 403, code: 4, text: 'Invalid Operation', sub: 'lowPrivilege' },
  methodNotAllowed: { http: 403, code: 4, text: 'Invalid Operation', sub: 'methodNotAllowed' },
  badXmlFormat: { http: 400, code: 5, text: 'Invalid XML Format', sub: 'badXmlFormat' },
  badXmlContent: { http: 400, code: 6, text: 'Invalid XML Content', sub: 'badXmlContent' },
  badParameters: { http: 400, code: 6, text: 'Invalid XML Content', sub: 'badParameters' },
  notFound: { http: 404, code: 4, text: 'Invalid Operation', sub: 'notFound' },
} as const satisfies Record<string, Status>;

export const responseStatus = (url: string, status: Status, faults: Faults): string =>
  document(
    'ResponseStatus',
    [
      ['requestURL', url],
      ['statusCode', status.code],
      ['statusString', status.text],
      ['subStatusCode', status.sub],
    ],
    faults,
  );
