import { z } from 'zod';

/** What is wrong with one channel. */
export const channelFaults = [
  /** 401 on its downloads and searches, whatever the password. */
  'unauthorized',
  /** 403 lowPrivilege: the user may not play back. */
  'forbidden',
  /** Accepts the request and never answers. */
  'hang',
  'busy',
  'not_found',
  'server_error',
  /** A well-formed MPEG-PS without a single picture. */
  'no_video',
  /** 200 and no bytes. */
  'empty',
  /** 200 and bytes that are no video. */
  'garbage',
] as const;

/**
 * Everything a recorder is known to do wrong, or merely differently; each is seen on a real device (docs: the ISAPI facts).
 * The defaults are a well-behaved NVR.
 */
export const faults = z.strictObject({
  namespace: z
    .enum([
      '',
      'http://www.hikvision.com/ver20/XMLSchema',
      'http://www.isapi.org/ver20/XMLSchema',
      'http://www.std-cgi.com/ver20/XMLSchema',
      'urn:psialliance-org',
    ])
    .default('http://www.hikvision.com/ver20/XMLSchema'),
  /** Writes `<ns:tag>` instead of a default namespace. */
  prefixed: z.boolean().default(false),
  digest: z
    .array(z.enum(['MD5', 'SHA-256']))
    .min(1)
    .default(['MD5']),
  offerBasic: z.boolean().default(false),
  /** Leave `algorithm` out of an MD5 challenge, as old firmware does. */
  namelessMd5: z.boolean().default(true),
  /** A nonce is stale after this many uses; 0: never. */
  nonceUses: z.int().min(0).default(0),
  /** Forgets its nonces without saying stale, as after a reboot; counts down at each forgotten one. */
  forgetNonces: z.int().min(0).default(0),
  /** Wrong passwords until the user is locked out; 0: never. */
  lockoutAfter: z.int().min(0).default(5),
  lockoutSeconds: z.int().min(1).default(1800),
  /** What `Z` means in searches and addresses. */
  zMeans: z.enum(['local', 'utc']).default('local'),
  /** Times in results carry `+08:00` instead of `Z`. */
  numericOffsets: z.boolean().default(false),
  /** The wall clock stays on standard time all year. */
  ignoresDst: z.boolean().default(false),
  /** What `localTime` carries after the digits. */
  declaredOffset: z.enum(['right', 'none', 'wrong']).default('right'),
  pageCap: z.int().min(1).default(64),
  /** Results of one search, after which it says OK although there is more. */
  sessionCap: z.int().min(1).default(4000),
  /** After the last result: empty pages, the last page again, or invented repeats, always with MORE. */
  moreForEver: z.enum(['no', 'empty', 'repeat', 'invent']).default('no'),
  /** Every request of a search answers its first page. */
  ignoresPosition: z.boolean().default(false),
  /** numOfMatches says this many more than there are. */
  countOff: z.int().default(0),
  /** Each item twice. */
  repeatsItems: z.boolean().default(false),
  newestFirst: z.boolean().default(false),
  /** Every nth match has no playbackURI; 0: none. */
  uriMissingEvery: z.int().min(0).default(0),
  /** responseStatus false. */
  searchFails: z.boolean().default(false),
  /** Answers to searches: an entity bomb, endless XML, HTML, or broken XML. */
  searchAnswers: z.enum(['well', 'entities', 'endless', 'html', 'broken']).default('well'),
  /** The last segment of each channel ends now and grows. */
  growingLast: z.boolean().default(false),
  downloadForm: z.enum(['any', 'post', 'get_body', 'get_query']).default('any'),
  imkh: z.boolean().default(false),
  contentLength: z.boolean().default(true),
  /** The size in the address is the real one times this. */
  sizeFactor: z.number().min(0).default(0.97),
  maxSessions: z.int().min(1).default(1),
  /** 503 on every nth download; 0: never. */
  busyEvery: z.int().min(0).default(0),
  /** 400 on every nth download; 2 is what a bulk run sees. */
  badRequestEvery: z.int().min(0).default(0),
  /** 200 with a ResponseStatus on every nth download. */
  errorInOkEvery: z.int().min(0).default(0),
  serverErrorEvery: z.int().min(0).default(0),
  /** Connection reset after this many bytes; `resetTimes` counts down. */
  resetAfterBytes: z.int().min(0).default(0),
  resetTimes: z.int().min(0).default(0),
  /** Stops sending after this many bytes, for `stallTimes` downloads. */
  stallAfterBytes: z.int().min(0).default(0),
  stallTimes: z.int().min(0).default(0),
  /** Bytes per second of each download; 0: as fast as it goes. */
  trickleBytesPerSecond: z.int().min(0).default(0),
  /** The share of each file that is sent, with a Content-Length to match. */
  truncateTo: z.number().min(0).max(1).default(1),
  htmlForUnknown: z.boolean().default(false),
  /** Nothing works: every request hangs, or answers 503. */
  down: z.enum(['no', 'hang', 'busy']).default('no'),
  /** What is wrong with single channels, by number. */
  channels: z.record(z.string().regex(/^\d+$/), z.enum(channelFaults)).default({}),
});
export type Faults = z.infer<typeof faults>;
export type ChannelFault = (typeof channelFaults)[number];
