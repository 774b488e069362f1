import { statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { z } from 'zod';
import { type CatalogueChannel, type CatalogueSegment, catalogue, readCatalogue, segmentsBetween } from './catalogue';
import { DigestGuard } from './digest-guard';
import { oddBodies, sendFile } from './download';
import { type ChannelFault, type Faults, faults as faultsSchema } from './faults';
import { answerDailyDistribution, answerSearch, nameOf, type SearchDeps } from './search';
import { systemAnswer } from './system';
import { WallClock } from './wall-clock';
import { parseXml, responseStatus, type Status, statuses, textAt } from './xml';

export const recorderOptions = z.strictObject({
  footageDir: z.string(),
  /** Instead of `<footageDir>/catalogue.json`. */
  catalogue: catalogue.optional(),
  username: z.string().default('admin'),
  password: z.string().default('dipper123'),
  host: z.string().default('127.0.0.1'),
  port: z.int().min(0).max(65535).default(0),
  timeZone: z.string().default('Asia/Shanghai'),
  /** How far the recorder's clock is ahead of the truth. Footage is labelled by that clock. */
  clockSkewMs: z.int().default(0),
  name: z.string().default('Network Video Recorder'),
  model: z.string().default('DS-7616NI-K2'),
  serialNumber: z.string().default('DS-7616NI-K21620200101CCRRE00000001WCVU'),
  firmware: z.string().default('V4.74.210'),
  faults: faultsSchema.partial().default({}),
});
export type RecorderOptions = z.input<typeof recorderOptions>;

export interface RecorderStats {
  readonly requests: Readonly<Record<string, number>>;
  readonly downloadsStarted: number;
  readonly downloadsRefused: number;
  readonly downloadsNow: number;
  /** The most downloads a client had open at the same moment, refused ones included. */
  readonly maxConcurrentDownloads: number;
  readonly bytesSent: number;
  readonly wrongPasswords: number;
  readonly staleNonces: number;
  readonly triesWhileLocked: number;
}

export interface SimulatedRecorder {
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
  stats(): RecorderStats;
  /** Switches faults while it runs; the rest stay as they are. */
  setFaults(part: Partial<Faults>): void;
  faults(): Faults;
}

const MAX_BODY = 64 * 1024;

/** Starts a recorder over real files. Rejects when the catalogue is malformed or a file of it is missing. `now` sets its true time. */
export async function startRecorder(input: RecorderOptions, now: () => number = Date.now): Promise<SimulatedRecorder> {
  const options = recorderOptions.parse(input);
  const content = options.catalogue ?? readCatalogue(options.footageDir);
  const channels = new Map<number, CatalogueChannel>(content.channels.map((c) => [c.channel, c]));
  const sizes = new Map<string, number>();
  for (const c of content.channels)
    for (const { file } of [...c.segments, ...(c.virtual ? [c.virtual] : [])])
      sizes.set(file, statSync(join(options.footageDir, file)).size);

  let faults = faultsSchema.parse(options.faults);
  const setFaults = (part: Partial<Faults>) => {
    faults = faultsSchema.parse({ ...faults, ...part });
  };
  const guard = new DigestGuard(options, () => faults, now, setFaults);
  const clock = new WallClock(options.timeZone, options.clockSkewMs, now, () => faults);
  const requests: Record<string, number> = {};
  let downloadsStarted = 0;
  let downloadsRefused = 0;
  let active = 0;
  let maxActive = 0;
  let bytesSent = 0;
  const sizeOf = (segment: CatalogueSegment): number => sizes.get(segment.file) ?? 0;
  const searchDeps = (request: IncomingMessage): SearchDeps => ({
    channels,
    clock,
    faults,
    host: request.headers.host ?? 'recorder',
    sizeOf,
  });

  const xml = (response: ServerResponse, body: string, http = 200) => {
    response.writeHead(http, { 'content-type': 'application/xml; charset="UTF-8"', 'content-length': Buffer.byteLength(body) });
    response.end(body);
  };
  const fail = (request: IncomingMessage, response: ServerResponse, status: Status, http: number = status.http) =>
    xml(response, responseStatus(request.url ?? '', status, faults), http);

  /** Answers for a channel that has something wrong with it; false when the channel is well. */
  const answeredByFault = (request: IncomingMessage, response: ServerResponse, fault: ChannelFault | undefined): boolean => {
    if (fault === 'hang') return true;
    if (fault === 'unauthorized') return !guard.refuse(response, false);
    const status = {
      forbidden: statuses.lowPrivilege,
      busy: statuses.busy,
      not_found: statuses.notFound,
      server_error: statuses.deviceError,
    }[fault as string];
    if (status) fail(request, response, status);
    return status !== undefined;
  };

  const download = async (request: IncomingMessage, response: ServerResponse, url: URL, body: string): Promise<void> => {
    active++;
    maxActive = Math.max(maxActive, active);
    let open = true;
    const ended = () => {
      if (open) active--;
      open = false;
    };
    response.once('finish', ended);
    response.once('close', ended);
    const query = url.searchParams.get('playbackURI');
    const form = request.method === 'POST' ? 'post' : query !== null ? 'get_query' : 'get_body';
    if (faults.downloadForm !== 'any' && faults.downloadForm !== form) return fail(request, response, statuses.methodNotAllowed);
    const uri = query ?? textAt(parseXml(body), 'downloadRequest', 'playbackURI') ?? '';
    const segment = segmentOf(uri, channels);
    if (segment === undefined) return fail(request, response, statuses.badXmlContent);
    if (active > faults.maxSessions) {
      downloadsRefused++;
      return fail(request, response, statuses.busy);
    }
    const nth = ++downloadsStarted;
    const every = (n: number): boolean => n > 0 && nth % n === 0;
    if (every(faults.busyEvery)) return fail(request, response, statuses.busy);
    if (every(faults.badRequestEvery)) return fail(request, response, statuses.badParameters);
    if (every(faults.errorInOkEvery)) return fail(request, response, statuses.deviceError, 200);
    if (every(faults.serverErrorEvery)) return fail(request, response, statuses.deviceError);
    const fault = faults.channels[String(segment.channel)];
    if (answeredByFault(request, response, fault)) return;
    if (fault === 'no_video' || fault === 'empty' || fault === 'garbage') {
      response.writeHead(200, { 'content-type': 'video/mpeg' });
      response.end(oddBodies[fault]());
      return;
    }
    const resetAfter = faults.resetTimes > 0 ? faults.resetAfterBytes : undefined;
    if (resetAfter !== undefined) setFaults({ resetTimes: faults.resetTimes - 1 });
    const stallAfter = faults.stallTimes > 0 ? faults.stallAfterBytes : undefined;
    if (stallAfter !== undefined) setFaults({ stallTimes: faults.stallTimes - 1 });
    const sent = (bytes: number) => {
      bytesSent += bytes;
    };
    await sendFile(response, {
      path: join(options.footageDir, segment.file),
      bytes: sizeOf(segment),
      faults,
      resetAfter,
      stallAfter,
      sent,
    });
  };

  const search = (request: IncomingMessage, response: ServerResponse, body: string): void => {
    const odd = oddSearchAnswer(faults);
    if (odd !== undefined) {
      if (odd === 'endless') endless(response);
      else xml(response, odd);
      return;
    }
    const channel = (Number(textAt(parseXml(body), 'CMSearchDescription', 'trackIDList', 'trackID')) - 1) / 100;
    const fault = faults.channels[String(channel)];
    if (fault !== 'forbidden' && answeredByFault(request, response, fault)) return;
    const answer = answerSearch(body, searchDeps(request));
    if ('status' in answer) fail(request, response, answer.status);
    else xml(response, answer.xml);
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', 'http://recorder');
    requests[url.pathname] = (requests[url.pathname] ?? 0) + 1;
    const body = await readBody(request);
    if (faults.down === 'hang') return;
    if (faults.down === 'busy') return fail(request, response, statuses.busy);
    if (body === undefined) return fail(request, response, statuses.badXmlFormat);
    if (!guard.admits(request, response)) return;
    const route = `${request.method} ${url.pathname}`;
    if (url.pathname === '/ISAPI/ContentMgmt/download' && /^(GET|POST)$/.test(request.method ?? ''))
      return download(request, response, url, body);
    if (route === 'POST /ISAPI/ContentMgmt/search') return search(request, response, body);
    const daily = /^POST \/ISAPI\/ContentMgmt\/record\/tracks\/(\d+)\/dailyDistribution$/.exec(route);
    if (daily) {
      const answer = answerDailyDistribution(Number(daily[1]), body, searchDeps(request));
      return 'status' in answer ? fail(request, response, answer.status) : xml(response, answer.xml);
    }
    const answer = systemAnswer(route, { options, channels, clock, faults });
    if (answer !== undefined) return xml(response, answer);
    if (!faults.htmlForUnknown) return fail(request, response, statuses.notSupport);
    response.writeHead(200, { 'content-type': 'text/html' });
    response.end('<!DOCTYPE html><html><head><title>index</title></head><body>login</body></html>');
  };

  const server = createServer({ noDelay: true, keepAliveTimeout: 30_000 }, (request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(options.port, options.host, () => resolve()));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${options.host}:${port}`,
    port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
    stats: () => ({
      requests: { ...requests },
      downloadsStarted,
      downloadsRefused,
      downloadsNow: active,
      maxConcurrentDownloads: maxActive,
      bytesSent,
      wrongPasswords: guard.wrongPasswords,
      staleNonces: guard.staleNonces,
      triesWhileLocked: guard.triesWhileLocked,
    }),
    setFaults,
    faults: () => faults,
  };
}

/** Finds what an address from a listing stands for; an address without name and size is refused, as devices do. */
function segmentOf(uri: string, channels: ReadonlyMap<number, CatalogueChannel>): (CatalogueSegment & { channel: number }) | undefined {
  const track = /\/Streaming\/tracks\/(\d+)01\/?\?/.exec(uri);
  const name = /[?&]name=(\d{4})(\d{13,})(?:&|$)/.exec(uri);
  const channel = channels.get(Number(track?.[1]));
  if (!channel || !name || Number(name[1]) !== channel.channel || !/[?&]size=\d+/.test(uri)) return undefined;
  const from = Number(name[2]);
  const near = segmentsBetween(channel, from, from + 1);
  for (let i = 0; i < near.count; i++) {
    const segment = near.at(i);
    if (segment && nameOf(channel.channel, segment) === `${name[1]}${name[2]}`) return { ...segment, channel: channel.channel };
  }
  return undefined;
}

function oddSearchAnswer({ searchAnswers }: Faults): string | undefined {
  if (searchAnswers === 'html') return '<html><body>Document Error</body></html>';
  if (searchAnswers === 'broken') return '<?xml version="1.0"?><CMSearchResult><responseStatus>true</';
  if (searchAnswers === 'endless') return 'endless';
  if (searchAnswers === 'well') return undefined;
  const lol = Array.from({ length: 9 }, (_, i) => `<!ENTITY l${i + 1} "${`&l${i};`.repeat(10)}">`).join('');
  return `<?xml version="1.0"?><!DOCTYPE r [<!ENTITY l0 "ha">${lol}]><CMSearchResult><responseStatusStrg>&l9;</responseStatusStrg></CMSearchResult>`;
}

function endless(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/xml' });
  response.write('<?xml version="1.0"?><CMSearchResult><matchList>');
  const filler = `<searchMatchItem><trackID>101</trackID></searchMatchItem>`.repeat(1000);
  const more = (): void => {
    while (!response.destroyed && response.write(filler));
    if (!response.destroyed) response.once('drain', more);
  };
  more();
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > MAX_BODY) return undefined;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString();
}
