/** One replica of search that only keeps photos embedded, until it is killed: `embed.child.ts <database> <database of keys> <objects> <mizar>`. Says each photo it works on. */
import { createTenantKeys, firstTime, firstTimes, openDatabase, openDiskObjects, writeEvent, writeEvents } from '@star/platform';
import { connectMizar, createSearch } from '../../src';
import { installationKey } from './world';

async function main(databaseUrl: string, keysUrl: string, folder: string, mizar: string): Promise<void> {
  const absent = () => Promise.reject(new Error('not in this test'));
  const embedder = connectMizar(mizar);
  const database = openDatabase({ url: databaseUrl, poolSize: 4 });
  const tenantKeys = createTenantKeys({ database: openDatabase({ url: keysUrl, poolSize: 1 }), installationKey, audit: absent });
  const search = createSearch({
    database,
    tenantKeys,
    objects: await openDiskObjects({ folder, secret: 's'.repeat(32), publicUrl: 'http://star.test', sealing: tenantKeys }),
    // Matches are none of this replica's business.
    analytics: {} as Parameters<typeof createSearch>[0]['analytics'],
    embedders: {
      own: {
        ...embedder,
        embedPhoto: (image, packId) => {
          process.send?.('embedding');
          return embedder.embedPhoto(image, packId);
        },
      },
      of: () => {
        throw new Error('not in this test');
      },
    },
    edges: { listCameras: absent, listEdges: absent, askEdge: absent },
    writeEvent,
    writeEvents,
    firstTime,
    firstTimes,
    audit: absent,
    retention: { tenants: async () => [], daysOf: absent, record: absent },
    areasVisibleTo: absent,
    settings: { embedEveryMs: 100, embedBackoffMs: 50 },
  });
  await search.run(new AbortController().signal);
  process.send?.('running');
}

void main(...(process.argv.slice(2) as [string, string, string, string]));
