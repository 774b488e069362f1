import { randomUUID } from 'node:crypto';
import type { IsapiClient } from './isapi-client';
import { fault } from './recorder.errors';
import { readWritten, type Written } from './recorder-time';
import { childrenOf, escapeXml, textOf } from './xml';

/** One match of a search, its times as the recorder wrote them. */
export interface Match {
  readonly start: Written;
  readonly end: Written;
  readonly uri: string;
  readonly sizeBytes: number;
}

export interface SearchPage {
  readonly matches: readonly Match[];
  /** How many the recorder sent, usable or not: the next position is this much further. */
  readonly received: number;
  readonly more: boolean;
}

export interface SearchQuery {
  readonly searchId: string;
  readonly channel: number;
  /** Labels, as if UTC. */
  readonly from: number;
  readonly to: number;
  readonly position: number;
  readonly max: number;
}

const label = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;
export const newSearchId = (): string => randomUUID().toUpperCase();

/**
 * One page of `ContentMgmt/search`. The search id must be a UUID and the position is spelled as the firmware spells
 * it, wrongly; the count it gives is not believed, only what it sends. Throws `recorder.bad_answer` when the recorder
 * says the search failed or a match has no readable times.
 */
export async function searchPage(client: IsapiClient, query: SearchQuery, signal?: AbortSignal): Promise<SearchPage> {
  const body = `<?xml version="1.0" encoding="utf-8"?>
<CMSearchDescription><searchID>${query.searchId}</searchID><trackIDList><trackID>${query.channel * 100 + 1}</trackID></trackIDList>
<timeSpanList><timeSpan><startTime>${label(query.from)}</startTime><endTime>${label(query.to)}</endTime></timeSpan></timeSpanList>
<maxResults>${query.max}</maxResults><searchResultPostion>${query.position}</searchResultPostion>
<metadataList><metadataDescriptor>//recordType.meta.std-cgi.com</metadataDescriptor></metadataList></CMSearchDescription>`;
  const node = await client.xml('POST', '/ISAPI/ContentMgmt/search', 'CMSearchResult', { body, ...(signal ? { signal } : {}) });
  const status = (textOf(node, 'responseStatusStrg') ?? '').toUpperCase();
  if (textOf(node, 'responseStatus') === 'false' || !['OK', 'MORE', 'NO MATCHES'].includes(status)) {
    throw fault('recorder.bad_answer', { reason: 'search failed', status: status.slice(0, 64) });
  }
  const items = childrenOf(node, 'matchList', 'searchMatchItem');
  return { matches: items.map((item) => readMatch(item, query, client.host)), received: items.length, more: status === 'MORE' };
}

function readMatch(item: unknown, { channel }: SearchQuery, host: string): Match {
  const startText = textOf(item, 'timeSpan', 'startTime') ?? '';
  const endText = textOf(item, 'timeSpan', 'endTime') ?? '';
  const start = readWritten(startText);
  const end = readWritten(endText);
  if (!start || !end) throw fault('recorder.bad_answer', { reason: 'match without times' });
  const given = textOf(item, 'mediaSegmentDescriptor', 'playbackURI');
  // Footage without an address is still footage: named by its times it can at least be asked for, and fails honestly.
  const compact = (text: string): string => text.replace(/[-:]/g, '');
  const uri = given || `rtsp://${host}/Streaming/tracks/${channel}01/?starttime=${compact(startText)}&endtime=${compact(endText)}`;
  const size = Number(/[?&]size=(\d{1,15})(?:&|$)/.exec(uri)?.[1] ?? 0);
  if (uri.length > 4096) throw fault('recorder.bad_answer', { reason: 'address too long' });
  return { start, end, uri, sizeBytes: size };
}

export const downloadBody = (uri: string): string =>
  `<?xml version="1.0" encoding="utf-8"?>\n<downloadRequest version="1.0" xmlns="http://www.isapi.org/ver20/XMLSchema"><playbackURI>${escapeXml(uri)}</playbackURI></downloadRequest>`;
