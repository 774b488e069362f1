import { XMLParser } from 'fast-xml-parser';

/**
 * Namespaces differ per firmware, so they are dropped. Entities stay as they are written: a recorder has no need
 * to define any, and expanding them is how a few bytes become gigabytes. The predefined ones are decoded by `decode`.
 */
const parser = new XMLParser({
  ignoreAttributes: true,
  removeNSPrefix: true,
  parseTagValue: false,
  processEntities: false,
  trimValues: true,
});

export type XmlNode = Readonly<Record<string, unknown>>;

/** The root's name and content, or undefined when the text is no XML, declares a document type, or holds more than one root. */
export function parseXml(text: string): { readonly name: string; readonly node: XmlNode } | undefined {
  if (/<!DOCTYPE|<!ENTITY/i.test(text)) return undefined;
  try {
    const parsed: unknown = parser.parse(text, true);
    if (typeof parsed !== 'object' || parsed === null) return undefined;
    const roots = Object.entries(parsed).filter(([name]) => !name.startsWith('?'));
    const [name, node] = roots[0] ?? [];
    if (name === undefined || roots.length !== 1 || Array.isArray(node)) return undefined;
    return { name, node: typeof node === 'object' && node !== null ? (node as XmlNode) : {} };
  } catch {
    return undefined;
  }
}

/** All elements of this name: none, one (which the parser gives as an object) or many. */
export function childrenOf(node: unknown, ...path: string[]): XmlNode[] {
  const found = reach(node, path);
  const list = Array.isArray(found) ? found : [found];
  return list.filter((one): one is XmlNode => typeof one === 'object' && one !== null);
}

/** The text of an element, entities decoded; undefined when it is absent or has children. */
export function textOf(node: unknown, ...path: string[]): string | undefined {
  const found = reach(node, path);
  const one: unknown = Array.isArray(found) ? found[0] : found;
  return typeof one === 'string' ? decode(one) : undefined;
}

function reach(node: unknown, path: readonly string[]): unknown {
  let at = node;
  for (const name of path) {
    if (Array.isArray(at)) at = at[0];
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
    at = (at as XmlNode)[name];
  }
  return at;
}

const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function decode(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(\w+));/gi, (whole, hex?: string, decimal?: string, name?: string) => {
    if (name !== undefined) return named[name] ?? whole;
    const point = hex ? Number.parseInt(hex, 16) : Number(decimal);
    return point <= 0x10ffff ? String.fromCodePoint(point) : whole;
  });
}

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
export const escapeXml = (text: string): string => text.replace(/[&<>"]/g, (c) => escapes[c] ?? c);
