import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { Controller, type INestApplication, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { EventPattern, Payload } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { Bus, BusRecord } from '../src/bus/bus';
import { openPostgresBus } from '../src/bus/postgres-log';
import { AppError } from '../src/errors/app-error';
import { connectBus, OnEvent, OnEvents } from '../src/nest/bus-server';
import { type TestDatabase, testDatabase } from '../src/test-kit';
import { telemetry, until } from './bus.contract';

const handled: string[] = [];
const batches: number[] = [];
let failures = 0;

@Controller()
class SearchConsumer {
  @EventPattern('device.telemetry.v1')
  async onTelemetry(@Payload() record: BusRecord<'device.telemetry.v1'>): Promise<void> {
    if (record.message.tsMs === 2 && failures++ < 1) throw new Error('once more, please');
    if (record.message.tsMs === 3) throw new AppError('search.unknown_task', 'not_found', { task: 't' });
    handled.push(`search ${record.key} ${record.message.tsMs}`);
  }
}

@Controller()
class BillingConsumer {
  @OnEvent('device.telemetry.v1', 'billing')
  async meter(@Payload() record: BusRecord<'device.telemetry.v1'>): Promise<void> {
    handled.push(`billing ${record.key} ${record.message.tsMs}`);
  }
}

/** Many records at once of one topic, one at a time of another, in one group. */
@Controller()
class DevicesConsumer {
  @OnEvents('device.telemetry.v1', 'devices')
  async take(@Payload() records: readonly BusRecord<'device.telemetry.v1'>[]): Promise<void> {
    if (records.some((record) => record.message.tsMs === 3)) throw new AppError('devices.unknown', 'not_found');
    batches.push(records.length);
    handled.push(...records.map((record) => `devices ${record.key} ${record.message.tsMs}`));
  }

  @OnEvent('device.rpc.finished.v1', 'devices')
  async ended(@Payload() record: BusRecord<'device.rpc.finished.v1'>): Promise<void> {
    handled.push(`devices ${record.key} ${record.message.state}`);
  }
}

@Module({ controllers: [SearchConsumer, BillingConsumer, DevicesConsumer] })
class AllInOne {}

describe('consumers of a Nest application', () => {
  let database: TestDatabase;
  let bus: Bus;
  let app: INestApplication;
  beforeAll(async () => {
    database = await testDatabase();
    bus = await openPostgresBus({ db: database.db, pollMs: 200 });
    app = await NestFactory.create(AllInOne, new FastifyAdapter(), { logger: false });
    connectBus(app, { bus, group: 'search', maxAttempts: 2, retryDelayMs: 5 });
    await app.startAllMicroservices();
  });
  afterAll(async () => {
    await app?.close();
    await bus?.close();
    await database?.close();
  });

  test('each service of an all-in-one gets every record of its topics; a failure is retried, then set aside with its real reason', async () => {
    const tenantId = randomUUID();
    await bus.append([1, 2, 3, 4].map((n) => telemetry(tenantId, 'k', n)));
    await until(() => handled.includes('search k 4') && handled.includes('billing k 4'), 'the last one came to both');
    expect(handled.filter((each) => each.startsWith('search'))).toEqual(['search k 1', 'search k 2', 'search k 4']);
    expect(handled.filter((each) => each.startsWith('billing'))).toEqual(['billing k 1', 'billing k 2', 'billing k 3', 'billing k 4']);
    expect(failures).toBe(2);
    expect((await bus.deadLetters('search')).map((letter) => letter.reason)).toEqual(['search.unknown_task {"task":"t"}']);
    expect(await bus.deadLetters('billing')).toEqual([]);
  });

  test('a handler of several gets what has gathered, in order, and a poisonous record alone is set aside', async () => {
    const tenantId = randomUUID();
    await until(async () => handled.includes('devices k 4') && (await bus.deadLetters('devices')).length === 1, 'what came before');
    expect(handled.filter((each) => each.startsWith('devices k'))).toEqual(['devices k 1', 'devices k 2', 'devices k 4']);
    batches.length = 0;
    const ended = (state: string): BusRecord => ({
      ...telemetry(tenantId, 'm', 0),
      topic: 'device.rpc.finished.v1',
      message: { rpcId: '', edgeId: '', method: '', correlationId: '', state, replyJson: '', roundTripMs: 0 },
    });
    await bus.append([...Array.from({ length: 450 }, (_, n) => telemetry(tenantId, 'm', n + 10)), ended('FAILED'), ended('EXPIRED')]);
    await until(() => handled.includes('devices m 459') && handled.includes('devices m EXPIRED'), 'the last of each');
    expect(batches).toEqual(Array(9).fill(50));
    expect(handled.filter((each) => /^devices m \d/.test(each))).toEqual(Array.from({ length: 450 }, (_, n) => `devices m ${n + 10}`));
    expect(handled.filter((each) => /^devices m [A-Z]/.test(each))).toEqual(['devices m FAILED', 'devices m EXPIRED']);
  });

  test('a handler of a topic that does not exist is refused when the application starts', async () => {
    @Controller()
    class Wrong {
      @EventPattern('device.telemetri.v1')
      async on(): Promise<void> {}
    }
    @Module({ controllers: [Wrong] })
    class WrongModule {}
    const wrong = await NestFactory.create(WrongModule, new FastifyAdapter(), { logger: false, abortOnError: false });
    await expect(
      (async () => {
        connectBus(wrong, { bus, group: 'x' });
        await wrong.startAllMicroservices();
      })(),
    ).rejects.toThrow('device.telemetri.v1');
    await wrong.close();
  });
});
