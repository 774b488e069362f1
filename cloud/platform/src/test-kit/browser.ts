import { createHmac } from 'node:crypto';

/** A page as a browser without scripts has it. */
export interface Page {
  readonly url: string;
  readonly status: number;
  readonly headers: Headers;
  readonly html: string;
}

interface Form {
  readonly action: string;
  readonly method: string;
  readonly fields: ReadonlyMap<string, string>;
}

/**
 * A browser without scripts: keeps cookies, follows redirects, fills in and sends the first form of a page that has
 * every field asked for. Drives the log-in pages of any OpenID provider. A redirect to another origin is not followed:
 * the page then has status 302, that address, and no text.
 */
export class Browser {
  readonly cookies = new Map<string, string>();
  /** As they were set, newest last. */
  readonly setCookies: string[] = [];

  get(url: string): Promise<Page> {
    return this.#go(url, { method: 'GET' });
  }

  /** Throws when no form of the page has all these fields. */
  submit(page: Page, values: Readonly<Record<string, string>>): Promise<Page> {
    const form = formsOf(page).find(({ fields }) => Object.keys(values).every((name) => fields.has(name)));
    if (!form)
      throw new Error(`no form with ${Object.keys(values).join(', ')} at ${page.url} (${page.status}): ${page.html.slice(0, 2000)}`);
    const body = new URLSearchParams([...new Map([...form.fields, ...Object.entries(values)])]);
    if (form.method === 'get') return this.get(`${form.action}?${body}`);
    return this.post(form.action, body);
  }

  post(url: string, body: URLSearchParams): Promise<Page> {
    const headers = { 'content-type': 'application/x-www-form-urlencoded', origin: new URL(url).origin };
    return this.#go(url, { method: 'POST', body: body.toString(), headers });
  }

  async #go(url: string, init: { method: string; body?: string; headers?: Record<string, string> }): Promise<Page> {
    const { origin } = new URL(url);
    let [at, request] = [url, init];
    for (let hops = 0; hops < 15; hops++) {
      const response = await fetch(at, {
        ...request,
        redirect: 'manual',
        headers: {
          accept: 'text/html',
          ...request.headers,
          cookie: [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; '),
        },
      });
      this.#keep(response.headers.getSetCookie());
      const location = response.headers.get('location');
      if (response.status < 300 || response.status >= 400 || location === null)
        return { url: at, status: response.status, headers: response.headers, html: await response.text() };
      await response.body?.cancel();
      at = new URL(location, at).href;
      if (new URL(at).origin !== origin) return { url: at, status: 302, headers: response.headers, html: '' };
      if (response.status !== 307) request = { method: 'GET' };
    }
    throw new Error(`redirected without end: ${url}`);
  }

  #keep(lines: readonly string[]): void {
    for (const line of lines) {
      this.setCookies.push(line);
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (!name) continue;
      const expires = /expires=([^;]+)/i.exec(line)?.[1];
      if (!value || /max-age=0\b/i.test(line) || (expires && Date.parse(expires) <= Date.now())) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
  }
}

const entities: Record<string, string> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
  '&#x27;': "'",
  '&#x2F;': '/',
};
const unescaped = (text: string) => text.replace(/&(?:amp|lt|gt|quot|#39|#x27|#x2F);/g, (entity) => entities[entity] ?? entity);
const attribute = (tag: string, name: string) => {
  const found = new RegExp(`\\s${name}=(?:"([^"]*)"|'([^']*)')`, 'i').exec(tag);
  return found ? unescaped(found[1] ?? found[2] ?? '') : undefined;
};

function formsOf(page: Page): Form[] {
  return [...page.html.matchAll(/<form([^>]*)>([\s\S]*?)<\/form>/gi)].map(([, head = '', inside = '']) => ({
    action: new URL(attribute(head, 'action') || page.url, page.url).href,
    method: (attribute(head, 'method') ?? 'get').toLowerCase(),
    fields: new Map(
      [...inside.matchAll(/<input[^>]*>/gi)].flatMap(([tag]) => {
        const name = attribute(tag, 'name');
        const left = attribute(tag, 'type') === 'checkbox' && !/\schecked\b/i.test(tag);
        return name && !left ? [[name, attribute(tag, 'value') ?? ''] as const] : [];
      }),
    ),
  }));
}

/** The secret an enrolment page shows: as text in base32, or, as Keycloak does beside its QR, in a field as it is. */
export function totpSecretOf(page: Page): Buffer {
  const shown = /id="kc-totp-secret-key"[^>]*>([^<]+)</.exec(page.html)?.[1];
  if (shown) return base32(shown);
  const [tag] = /<input[^>]*name="totpSecret"[^>]*>/.exec(page.html) ?? [];
  if (tag === undefined) throw new Error(`no secret at ${page.url}: ${page.html.slice(0, 2000)}`);
  return Buffer.from(attribute(tag, 'value') ?? '');
}

/** RFC 4648; what is no letter of it is passed over. */
export function base32(text: string): Buffer {
  const bits = [...text.toUpperCase().replace(/[^A-Z2-7]/g, '')]
    .map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0'))
    .join('');
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
}

/** RFC 6238 with SHA-1, 30 s and 6 digits, written down a second time so that a test does not ask the code it tests. */
export function totpCode(secret: Buffer, atMs: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(atMs / 30_000)));
  const mac = createHmac('sha1', secret).update(counter).digest();
  const offset = (mac[19] as number) & 0xf;
  return String((mac.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}
