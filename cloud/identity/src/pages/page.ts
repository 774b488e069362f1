import { createHash, randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Language } from './words';

/** Text that is safe in HTML, made by `html` alone. */
export class Html {
  constructor(readonly text: string) {}
}

const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
type Part = string | number | Html | undefined | readonly Html[];

const written = (part: Part): string => {
  if (part === undefined) return '';
  if (part instanceof Html) return part.text;
  if (typeof part === 'object') return part.map(({ text }) => text).join('');
  return String(part).replace(/[&<>"']/g, (letter) => escapes[letter] as string);
};

/** HTML with every value escaped that is not HTML itself. */
export const html = (strings: TemplateStringsArray, ...parts: readonly Part[]): Html =>
  new Html(strings.reduce((text, string, index) => text + written(parts[index - 1]) + string));

const style = `
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;background:#f4f6f9;color:#25303c;padding:24px 12px;
 font:14px/1.5 -apple-system,'Segoe UI','Helvetica Neue',Arial,'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif}
main{width:100%;max-width:400px;background:#fff;border:1px solid #ebeef5;border-radius:4px;box-shadow:0 2px 12px rgba(0,0,0,.1);padding:28px}
h1{margin:0 0 4px;font-size:22px}h2{font-size:16px;margin:24px 0 4px}.mark{color:#3f7fbf}p{margin:4px 0 16px}.quiet{color:#5b6673}
label{display:block;margin:12px 0 4px;color:#4a5562}
input[type=text],input[type=password]{width:100%;height:36px;padding:0 12px;border:1px solid #c3cad3;border-radius:4px;font:inherit;color:inherit}
button{width:100%;min-height:36px;margin-top:16px;border:1px solid #2f6fb0;border-radius:4px;background:#2f6fb0;color:#fff;font:inherit;cursor:pointer}
button:hover{background:#25598f}button.plain{background:#fff;color:#25303c;border-color:#c3cad3}button.plain:hover{background:#f4f6f9}
:focus-visible{outline:2px solid #2563a8;outline-offset:2px}
[role=alert],[role=status]{padding:8px 12px;border-radius:4px;margin:12px 0 0}
[role=alert]{background:#fef0f0;color:#a8312a}[role=status]{background:#f0f9eb;color:#3c6e1f}
code{display:block;background:#f4f6f9;border-radius:4px;padding:8px;overflow-wrap:anywhere;font-size:13px}
ul.codes{columns:2 150px;list-style:none;padding:8px;margin:0;background:#f4f6f9;border-radius:4px;font:13px/2 ui-monospace,monospace}
svg{display:block;width:200px;height:200px;margin:8px auto}a{color:#2563a8}
`;
const styleHash = createHash('sha256').update(style).digest('base64');

export interface PageOptions {
  readonly language: Language;
  readonly title: string;
  readonly body: Html;
  readonly status?: number;
  /** Where a form may lead in the end, beside the provider itself: browsers hold `form-action` against redirects. */
  readonly formTargets?: readonly string[];
  /** A script of ours for the page; it must work without. */
  readonly script?: string;
}

/** The whole document and its headers: nothing from elsewhere is loaded, nobody may frame it, nothing is kept. */
export function drawPage(options: PageOptions): { readonly headers: Record<string, string>; readonly text: string } {
  const nonce = options.script === undefined ? undefined : randomBytes(16).toString('base64');
  const policy = [
    "default-src 'none'",
    `style-src 'sha256-${styleHash}'`,
    ...(nonce ? [`script-src 'nonce-${nonce}'`] : []),
    `form-action ${["'self'", ...(options.formTargets ?? [])].join(' ')}`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ];
  const script = nonce ? new Html(`<script nonce="${nonce}">${options.script}</script>`) : undefined;
  const text = html`<!doctype html>
<html lang="${options.language === 'zh' ? 'zh-CN' : 'en'}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${options.title} · Star</title><style>${new Html(style)}</style></head>
<body><main><h1><span class="mark" aria-hidden="true">✦</span> Star</h1>${options.body}</main>${script}</body></html>`.text;
  return { headers: { 'content-type': 'text/html; charset=utf-8', ...guardHeaders, 'content-security-policy': policy.join('; ') }, text };
}

/** On every answer of the realm. */
export const guardHeaders: Readonly<Record<string, string>> = {
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  // With `no-referrer` a form's own origin would be told as `null`.
  'referrer-policy': 'same-origin',
  'cache-control': 'no-store',
};

export function sendPage(response: ServerResponse, options: PageOptions): void {
  const { headers, text } = drawPage(options);
  response.writeHead(options.status ?? 200, { ...headers, 'content-length': Buffer.byteLength(text) }).end(text);
}

export const alert = (text: string | undefined): Html | undefined => (text === undefined ? undefined : html`<p role="alert">${text}</p>`);
