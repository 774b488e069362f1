import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { Controller, type INestApplication, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { EventPattern, Payload } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { Bus, BusRecord } from '../src/bus/bus';
import { openPostgresBus } from '../src/bus/postgres-log';
import { AppError } from '../src/errors/app-error';
import { connectBus, OnEvent } from '../src/nest/bus-server';
import { type TestDatabase, testDatabase } from '../src/test-kit';
import { telemetry, until } from './bus.contract';

const handled: string[] = [];
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

@Module({ controllers: [SearchConsumer, BillingConsumer] })
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
