/** The protocol's pure parts. */
import fc from 'fast-check';
import { connackReturnCode, refusalReason } from './connack';
import { FrameReader, FramingError } from './framing';
import { keepAliveLimitMs } from './hub';
import { BadPayload, readAttributesRequest, readTelemetry } from './payloads';
import { parseRateLimit, RateLimit } from './rate-limit';
import { downlinkOf, uplinkOf } from './topics';

const frameOf = (body: Buffer): Buffer => {
  const length: number[] = [];
  for (let left = body.length; ; ) {
    const digit = left % 128;
    left = Math.floor(left / 128);
    length.push(left > 0 ? digit | 0x80 : digit);
    if (left === 0) return Buffer.concat([Buffer.of(0x30, ...length), body]);
  }
};

describe('frames', () => {
  it('come out the same however the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 9000, size: 'max' }), { minLength: 1, maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 20 }),
        (bodies, cuts) => {
          const frames = bodies.map((body) => frameOf(Buffer.from(body)));
          const stream = Buffer.concat(frames);
          const reader = new FrameReader(9000);
          const out: Buffer[] = [];
          for (let at = 0, n = 0; at < stream.length; n++) {
            const cut = cuts[n % cuts.length] as number;
            reader.push(stream.subarray(at, at + cut));
            at += cut;
            for (let frame = reader.next(); frame; frame = reader.next()) out.push(frame);
          }
          expect(out.map((frame) => frame.toString('hex'))).toEqual(frames.map((frame) => frame.toString('hex')));
          expect(reader.heldBytes).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('are refused by their announced length, and by a length that never ends', () => {
    const reader = new FrameReader(100);
    reader.push(Buffer.of(0x30, 101));
    expect(() => reader.next()).toThrow(FramingError);
    const endless = new FrameReader(300_000_000);
    endless.push(Buffer.of(0x30, 0x80, 0x80, 0x80, 0x80));
    expect(() => endless.next()).toThrow('malformed length');
  });
});

it('knows the topics of the device API and no others', () => {
  expect(uplinkOf('v1/devices/me/telemetry')).toEqual({ kind: 'telemetry' });
  expect(uplinkOf('v1/devices/me/rpc/response/12')).toEqual({ kind: 'rpcReply', requestId: 12, style: 'v1' });
  expect(uplinkOf('v2/a/req/j/3')).toEqual({ kind: 'attributesRequest', requestId: 3, style: 'v2j' });
  expect(uplinkOf('v2/a/req/3')).toEqual({ kind: 'attributesRequest', requestId: 3, style: 'v2' });
  for (const id of ['', 'x', '-1', '1.5', '1/2', '2147483648', '99999999999'])
    expect(uplinkOf(`v1/devices/me/rpc/response/${id}`)).toBe('bad_id');
  for (const topic of ['', 'v1/devices/me', '/v1/devices/me/telemetry', 'v1/devices/you/telemetry', '$SYS/x'])
    expect(uplinkOf(topic)).toBeUndefined();
  expect(downlinkOf('v1/devices/me/rpc/request/+')).toEqual({ channel: 'rpc', style: 'v1' });
  for (const filter of ['#', 'v1/devices/me/#', 'v1/devices/me/rpc/request/1', '+/devices/me/attributes', ''])
    expect(downlinkOf(filter)).toBeUndefined();
});

it('refuses by what the client filled in', () => {
  const refuse = (clientId: string, username?: string, password?: string) => refusalReason({ clientId, username, password });
  expect([refuse('c', 'u', 'p'), refuse('c', 'u'), refuse('', undefined, 'p')]).toEqual([0x86, 0x86, 0x86]);
  expect([refuse('c'), refuse('  '), refuse('', 'u', 'p')]).toEqual([0x85, 0x87, 0x87]);
  expect(([0, 0x85, 0x86, 0x87, 0x88, 0x9f] as const).map(connackReturnCode)).toEqual([0, 2, 5, 5, 3, 3]);
});

describe('telemetry', () => {
  const read = (payload: string) => readTelemetry(payload, 5).map(({ tsMs, timed, values }) => [tsMs, timed, Object.fromEntries(values)]);

  it('is read as ThingsBoard reads it', () => {
    expect(read('{"a":1,"b":null,"c":" 1","d":"-1.5e3","e":"0x10","f":"1e999","g":"12345678901234567890"}')).toEqual([
      [5, false, { a: 1, c: ' 1', d: -1500, e: '0x10', f: '1e999', g: '12345678901234567890' }],
    ]);
    expect(read('{"ts":1,"values":{}}')).toEqual([]);
    expect(read('{"ts":7,"value":1}')).toEqual([[5, false, { ts: 7, value: 1 }]]);
    expect(read('{"__proto__":{"x":1}}')[0]?.[2]).not.toHaveProperty('x');
  });

  it('is refused when it is anything else', () => {
    const bad = [
      '',
      '1',
      '"x"',
      'null',
      '[1]',
      '[[]]',
      '{"":1}',
      '{"ts":1.5,"values":{}}',
      '{"ts":-1,"values":{}}',
      '{"ts":1,"values":[]}',
      '{"a\\u0000":1}',
    ];
    for (const payload of bad) expect(() => readTelemetry(payload, 5)).toThrow(BadPayload);
    fc.assert(
      fc.property(fc.json(), (text) => {
        try {
          readTelemetry(text, 5);
        } catch (error) {
          expect(error).toBeInstanceOf(BadPayload);
        }
      }),
    );
  });
});

it('reads which attributes are asked for', () => {
  expect(readAttributesRequest('{}')).toEqual({ clientKeys: 'all', sharedKeys: 'all' });
  expect(readAttributesRequest('')).toEqual({ clientKeys: 'all', sharedKeys: 'all' });
  expect(readAttributesRequest('{"clientKeys":"a,,b"}')).toEqual({ clientKeys: ['a', 'b'], sharedKeys: undefined });
  expect(() => readAttributesRequest('{"sharedKeys":["a"]}')).toThrow(BadPayload);
});

describe('rate limits', () => {
  it('are all kept, and fill up again with time', () => {
    const limit = new RateLimit('2:1,3:60', 0);
    expect([limit.take(0), limit.take(0), limit.take(0)]).toEqual([true, true, false]);
    expect([limit.take(1000), limit.take(1000)]).toEqual([true, false]);
    expect(limit.take(61_000, 2)).toBe(true);
    // A clock that goes back gives nothing and takes nothing.
    expect(limit.take(0)).toBe(false);
    expect(new RateLimit('', 0).take(0, 1e9)).toBe(true);
  });

  it('are refused when they are not written as ThingsBoard writes them', () => {
    for (const text of ['5', '5:', 'x:1', '0:1', '1:0', '1:1,']) expect(() => parseRateLimit(text)).toThrow(RangeError);
  });
});

it('gives a silent client one and a half times its promise', () => {
  expect([keepAliveLimitMs(60, 600_000), keepAliveLimitMs(0, 600_000), keepAliveLimitMs(65_535, 600_000)]).toEqual([
    90_000, 600_000, 600_000,
  ]);
});
