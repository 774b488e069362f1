import { randomUUID } from 'node:crypto';
import * as fc from 'fast-check';
import type { BusRecord } from './bus';
import { decodeRecord, encodeRecord, partitionOf } from './codec';
import { deliver } from './delivery';
import { shareOut } from './share';

const topic = 'device.telemetry.v1';

test('a record survives the wire', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
      fc.string({ unit: 'grapheme' }),
      fc.integer({ min: 0, max: 4e12 }),
      (name, text, ms) => {
        fc.pre(!/\p{Cc}/u.test(name));
        const record: BusRecord<typeof topic> = {
          topic,
          key: name,
          id: name,
          tenantId: randomUUID(),
          occurredAt: new Date(ms),
          message: { edgeId: name, tsMs: ms, valuesJson: Buffer.from(text).toString() },
          trace: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        };
        expect(decodeRecord(encodeRecord(record))).toEqual(record);
      },
    ),
  );
});

test('whatever is on the wire either decodes or is `bus.undecodable`', () => {
  const header = fc.option(fc.oneof(fc.string(), fc.constant(topic), fc.uuid(), fc.constant('2026-01-01T00:00:00Z')), { nil: undefined });
  const wire = fc.record({
    topic: fc.constantFrom(topic, 'toString', ''),
    key: fc.option(fc.string()),
    headers: fc.record({ id: header, tenant: header, occurredAt: header, type: header, trace: header }),
    value: fc.option(fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes))),
  });
  fc.assert(
    fc.property(wire, (each) => {
      try {
        decodeRecord(each);
      } catch (error) {
        expect(error).toMatchObject({ code: 'bus.undecodable' });
      }
    }),
    { numRuns: 500 },
  );
});

test('a key keeps its partition for ever', () => {
  // FNV-1a of 'a' is 0xe40c292c and of 'b' 0xe70c2de5, as published.
  expect(['a', 'b', '摄像头', 'edge-7'].map((key) => partitionOf(key, 8))).toEqual([4, 5, 0, 4]);
});

test('members that come and go end up with fair shares, every partition owned once', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }),
      fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 6 }),
      (partitions, sizes) => {
        let cursors = Array.from({ length: partitions }, (_, partition) => ({
          topic,
          partition,
          owner: null as string | null,
          expired: true,
        }));
        for (const size of sizes) {
          const members = Array.from({ length: size }, (_, n) => ({ member: `m${n}`, topics: [topic] }));
          cursors = cursors.map((each) => ({ ...each, expired: !members.some((member) => member.member === each.owner) }));
          for (let round = 0; round < 2; round++) {
            for (const { member } of members) {
              const { release, claim } = shareOut(member, cursors, members);
              const at = (places: { partition: number }[], partition: number) => places.some((place) => place.partition === partition);
              cursors = cursors.map((each) => {
                if (at(release, each.partition)) return { ...each, owner: null, expired: true };
                return at(claim, each.partition) ? { ...each, owner: member, expired: false } : each;
              });
            }
          }
          const owned = members.map(({ member }) => cursors.filter((each) => each.owner === member).length);
          expect(owned.reduce((a, b) => a + b, 0)).toBe(partitions);
          expect(Math.max(...owned)).toBeLessThanOrEqual(Math.ceil(partitions / size));
        }
      },
    ),
  );
});

test('a handler that never ends has failed; one that is given up on while it waits is undecided', async () => {
  const signal = new AbortController();
  const never = () => new Promise<void>(() => {});
  const outcome = await deliver(never, { handleTimeoutMs: 10, maxAttempts: 2, retryDelayMs: 1 }, signal.signal);
  expect(outcome).toEqual({ handled: false, reason: expect.stringContaining('bus.handler_timeout') });
  const waiting = deliver(() => Promise.reject(new Error('x')), { retryDelayMs: 60_000 }, signal.signal);
  signal.abort();
  await expect(waiting).rejects.toThrow();
});
