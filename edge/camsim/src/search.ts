import type { CatalogueChannel, CatalogueSegment } from './catalogue';
import { segmentsBetween } from './catalogue';
import type { Faults } from './faults';
import type { WallClock } from './wall-clock';
import { document, type Element, parseXml, type Status, statuses, textAt } from './xml';

const UUID = /^\{?[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\}?$/i;

export interface SearchDeps {
  readonly channels: ReadonlyMap<number, CatalogueChannel>;
  readonly clock: WallClock;
  readonly faults: Faults;
  readonly host: string;
  readonly sizeOf: (segment: CatalogueSegment) => number;
}

/** Listed under its start, which survives growing; `size` and the end do not. */
export const nameOf = (channel: number, segment: CatalogueSegment): string =>
  `${String(channel).padStart(4, '0')}${String(segment.from).padStart(13, '0')}`;

/** When the recorder says a segment ends: later than the truth, or now, where faults say so. */
function endOf(segment: CatalogueSegment, channel: CatalogueChannel, { clock, faults }: SearchDeps): number {
  if (faults.growingLast && segment === channel.segments.at(-1)) return Math.max(segment.from + 1000, clock.now());
  return segment.listedTo ?? segment.to;
}

export function playbackUri(channel: CatalogueChannel, segment: CatalogueSegment, deps: SearchDeps): string {
  const { clock, faults, host } = deps;
  const times = `starttime=${clock.compact(segment.from)}&endtime=${clock.compact(endOf(segment, channel, deps))}`;
  const size = Math.round(deps.sizeOf(segment) * faults.sizeFactor);
  return `rtsp://${host}/Streaming/tracks/${channel.channel}01/?${times}&name=${nameOf(channel.channel, segment)}&size=${size}`;
}

interface Query {
  readonly id: string;
  readonly track: number;
  readonly from: number;
  readonly to: number;
  readonly max: number;
  readonly position: number;
}

function readQuery(body: string): Query | Status {
  const root = parseXml(body)?.CMSearchDescription;
  if (root === undefined) return statuses.badXmlFormat;
  const id = textAt(root, 'searchID') ?? '';
  const track = Number(textAt(root, 'trackIDList', 'trackID') ?? textAt(root, 'trackList', 'trackID'));
  const label = (name: string): number => Date.parse(textAt(root, 'timeSpanList', 'timeSpan', name) ?? '');
  const position = Number(textAt(root, 'searchResultPostion') ?? textAt(root, 'searchResultsPostion'));
  const query = { id, track, from: label('startTime'), to: label('endTime'), max: Number(textAt(root, 'maxResults') ?? 40), position };
  const whole = Number.isInteger(track) && Number.isFinite(query.from) && Number.isFinite(query.to) && position >= 0 && query.max >= 1;
  return UUID.test(id) && whole ? query : statuses.badXmlContent;
}

/** What of a channel overlaps a window of labels, in the order this firmware lists it. */
function found(
  channel: CatalogueChannel,
  query: Query,
  deps: SearchDeps,
): { count: number; at: (index: number) => CatalogueSegment | undefined } {
  const { clock, faults } = deps;
  if (channel.virtual) return segmentsBetween(channel, clock.fromLabel(query.from), clock.fromLabel(query.to));
  const list = channel.segments
    .filter((segment) => {
      const start = clock.label(segment.from);
      // Where clocks go back during a segment its end may be written before its start.
      return start < query.to && Math.max(clock.label(endOf(segment, channel, deps)), start + 1) > query.from;
    })
    .sort((a, b) => a.from - b.from);
  if (faults.newestFirst) list.reverse();
  const twice = faults.repeatsItems ? list.flatMap((s) => [s, s]) : list;
  return { count: twice.length, at: (index) => twice[index] };
}

/** Answers `POST /ISAPI/ContentMgmt/search`. */
export function answerSearch(body: string, deps: SearchDeps): { status: Status } | { xml: string } {
  const query = readQuery(body);
  if ('http' in query) return { status: query };
  const { faults } = deps;
  const channel = query.track % 100 === 1 ? deps.channels.get((query.track - 1) / 100) : undefined;
  const all = channel ? found(channel, query, deps) : { count: 0, at: () => undefined };
  const total = Math.min(all.count, faults.sessionCap);
  const size = Math.min(query.max, faults.pageCap);
  let position = faults.ignoresPosition ? 0 : query.position;
  const past = position >= total;
  if (past && faults.moreForEver === 'repeat') position = Math.max(0, total - size);
  if (past && faults.moreForEver === 'invent') position = Math.max(0, total - 1);
  const items: Element[] = [];
  for (let i = position; channel && i < Math.min(position + size, total); i++) {
    const segment = all.at(i);
    if (segment) items.push(['searchMatchItem', matchOf(channel, segment, i, past ? query.position : 0, deps)]);
  }
  const more = faults.moreForEver !== 'no' || position + size < total;
  const text = faults.searchFails ? 'FAILED' : total === 0 && faults.moreForEver === 'no' ? 'NO MATCHES' : more ? 'MORE' : 'OK';
  const xml = document(
    'CMSearchResult',
    [
      ['searchID', `{${query.id.replace(/[{}]/g, '').toLowerCase()}}`],
      ['responseStatus', !faults.searchFails],
      ['responseStatusStrg', text],
      ['numOfMatches', items.length === 0 ? 0 : items.length + faults.countOff],
      ...(items.length > 0 ? ([['matchList', items]] as const) : []),
    ],
    faults,
  );
  return { xml };
}

function matchOf(channel: CatalogueChannel, segment: CatalogueSegment, index: number, invented: number, deps: SearchDeps): Element[] {
  const { clock, faults } = deps;
  const uri = playbackUri(channel, segment, deps) + (faults.moreForEver === 'invent' && invented > 0 ? `&n=${invented}` : '');
  const missing = faults.uriMissingEvery > 0 && (index + 1) % faults.uriMissingEvery === 0;
  return [
    ['sourceID', '{00000000-0000-0000-0000-000000000000}'],
    ['trackID', channel.channel * 100 + 1],
    [
      'timeSpan',
      [
        ['startTime', clock.listed(segment.from)],
        ['endTime', clock.listed(endOf(segment, channel, deps))],
      ],
    ],
    [
      'mediaSegmentDescriptor',
      [
        ['contentType', 'video'],
        ['codecType', segment.codec === 'hevc' ? 'H.265' : 'H.264-BP'],
        ...(missing ? [] : ([['playbackURI', uri]] as const)),
        ['lockStatus', 'unlock'],
        ['name', nameOf(channel.channel, segment)],
      ],
    ],
    ['metadataMatches', [['metadataDescriptor', 'recordType.meta.hikvision.com/timing']]],
  ];
}

/** Answers `POST /ISAPI/ContentMgmt/record/tracks/<track>/dailyDistribution`: the days of a month that have footage. */
export function answerDailyDistribution(track: number, body: string, deps: SearchDeps): { status: Status } | { xml: string } {
  const root = parseXml(body)?.trackDailyParam;
  const year = Number(textAt(root, 'year'));
  const month = Number(textAt(root, 'monthOfYear'));
  const channel = deps.channels.get((track - 1) / 100);
  if (!channel || !Number.isInteger(year) || !(month >= 1 && month <= 12)) return { status: statuses.badXmlContent };
  const days: Element[] = [];
  for (let day = 1; day <= new Date(Date.UTC(year, month, 0)).getUTCDate(); day++) {
    const from = deps.clock.fromLabel(Date.UTC(year, month - 1, day));
    const to = deps.clock.fromLabel(Date.UTC(year, month - 1, day + 1));
    const record = segmentsBetween(channel, from, to).count > 0;
    days.push(['day', [['id', day], ['dayOfMonth', day], ['record', record], ...(record ? ([['recordType', 'time']] as const) : [])]]);
  }
  return { xml: document('trackDailyDistribution', [['dayList', days]], deps.faults) };
}
