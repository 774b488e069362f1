import { Kafka, logLevel } from 'kafkajs';
import { startKafka } from '../../../tools/stack/kafka';
import { openKafkaBus } from '../src/bus/kafka';
import { testDatabase } from '../src/test-kit';
import { busContract } from './bus.contract';

const sessionTimeoutMs = 3000;

busContract('Kafka', async () => {
  const [kafka, { db, appUrl, close }] = await Promise.all([startKafka(), testDatabase()]);
  const raw = new Kafka({ brokers: kafka.brokers, logLevel: logLevel.NOTHING }).producer();
  await raw.connect();
  return {
    db,
    databaseUrl: appUrl,
    child: { kafka: { brokers: kafka.brokers, sessionTimeoutMs } },
    open: () => openKafkaBus({ brokers: kafka.brokers, sessionTimeoutMs }),
    appendRaw: async ({ topic, key, headers, value }) => {
      await raw.send({ topic, messages: [{ key, headers: { ...headers }, value }] });
    },
    close: async () => {
      await raw.disconnect();
      await Promise.all([kafka.stop(), close()]);
    },
  };
});
