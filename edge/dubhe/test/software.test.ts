import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { agentSocket, openSqlite, serveGrpc, unary } from '@dipper/platform';
import { agent } from '@stardipper/proto';
import { SoftwareStore, type StateReport, softwareMigration } from '../src/software/software.store';
import { buildDubhe, DubheProcess, eventually, newDataDir } from './dubhe-process';
import { Hub, type Received } from './hub';

/** As Dubhe asks. */
const chunkBytes = 32_768;
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

let hub: Hub;
let box: DubheProcess;
let folder: string;
const closing: (() => void)[] = [];

beforeAll(buildDubhe, 120_000);
beforeEach(async () => {
  hub = await new Hub().start();
  folder = mkdtempSync(join(tmpdir(), 'dubhe-software-'));
  box = aBox();
});
afterEach(async () => {
  await box.remove();
  await hub.stop();
  for (const close of closing.splice(0)) close();
  rmSync(folder, { recursive: true, force: true });
});

/**
 * The program that installs: says what it got, waits while there is a file `hold`, and ends as the file `status` says.
 * Its last words tell whether it was seen through.
 */
const installer = () => {
  const path = join(folder, 'install.sh');
  writeFileSync(
    path,
    `#!/bin/sh
cd "$(dirname "$0")" || exit 9
echo "begin $PACK_TITLE $PACK_VERSION $2 $(sha256sum < "$3" | cut -c1-64)$PROVISION_SECRET" >> log
while [ -e hold ]; do sleep 0.05; done
echo "end" >> log
exit $(cat status 2>/dev/null || echo 0)
`,
  );
  chmodSync(path, 0o700);
  return `/bin/sh ${path} --from-star word`;
};
const aBox = (settings: Record<string, string> = {}, dataDir = newDataDir()) =>
  new DubheProcess(dataDir, { STAR_MQTT_URL: hub.url, DUBHE_INSTALL_PACK: installer(), DUBHE_ACK_TIMEOUT_MS: '1000', ...settings });
const replaceBox = async (settings: Record<string, string>, dataDir?: string) => {
  if (dataDir === undefined) await box.remove();
  else await box.end();
  box = aBox(settings, dataDir);
  return box.start();
};
const log = () => (existsSync(join(folder, 'log')) ? readFileSync(join(folder, 'log'), 'utf8').trim().split('\n') : []);
const control = (name: 'hold' | 'status', value?: string) =>
  value === undefined ? rmSync(join(folder, name), { force: true }) : writeFileSync(join(folder, name), value);

const assign = (bytes: Buffer, version = '1.10', more: Record<string, unknown> = {}) => {
  hub.software = bytes;
  hub.setShared({
    sw_title: 'pack-a',
    sw_version: version,
    sw_size: bytes.length,
    sw_checksum: sha256(bytes),
    sw_checksum_algorithm: 'SHA256',
    sw_tag: `pack-a ${version}`,
    ...more,
  });
};
const unassign = () => hub.setShared({}, ['sw_title', 'sw_version', 'sw_size', 'sw_checksum', 'sw_checksum_algorithm', 'sw_tag', 'sw_url']);

const said = (key: string): Received[] => hub.received.filter((each) => each.key === key);
/** Told twice when the line broke before the acknowledgement: times tell. */
const states = () => [...new Map(said('sw_state').map(({ ts, value }) => [ts, value])).values()];
const whenState = (state: string, times = 1) =>
  eventually(
    `${state} ${times} times; ${states()}; ${box.output}`,
    () => states().filter((each) => each === state).length >= times,
    15_000,
  );
const errors = () => said('sw_error').map((each) => each.value);
const archives = () => readdirSync(join(box.dataDir, 'dubhe', 'software')).filter((name) => name.endsWith('.tar.gz'));
const asked = (atLeast: number) => eventually(`${atLeast} chunks asked for`, () => hub.chunksAsked.length >= atLeast);
const online = () => eventually('the box is online', () => hub.isOnline('box-1'));
const whole = ['DOWNLOADING', 'DOWNLOADED', 'VERIFIED', 'UPDATING', 'UPDATED'];
/** Holds chunks from `index` on back; call what is returned to let them go. */
const holdChunks = (index: number): (() => void) => {
  let release = () => {};
  const released = new Promise<boolean>((resolve) => {
    release = () => resolve(true);
  });
  hub.faults.beforeChunk = (n) => (n >= index ? released : Promise.resolve(true));
  return () => {
    hub.faults.beforeChunk = async () => true;
    release();
  };
};
const dropChunks = (from: number) => {
  hub.faults.beforeChunk = async (n) => n < from;
};

describe('software', () => {
  it('is fetched, checked, installed, and told of, once', async () => {
    const bytes = randomBytes(300_000);
    assign(bytes);
    await box.start();
    await whenState('UPDATED');
    expect(states()).toEqual(whole);
    const times = said('sw_state').map((each) => each.ts);
    expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
    expect([said('current_sw_title').at(-1)?.value, said('current_sw_version').at(-1)?.value]).toEqual(['pack-a', '1.10']);
    // Nothing secret of the box's is in its environment.
    expect(log()).toEqual([`begin pack-a 1.10 word ${sha256(bytes)}`, 'end']);
    expect(hub.chunksAsked).toEqual(Array.from({ length: 10 }, (_, n) => n));
    expect(archives()).toEqual([]);

    hub.cutAll();
    await online();
    await box.end('SIGKILL');
    await box.start();
    await online();
    assign(bytes, '1.10', { sw_tag: 'once more' });
    // It has it already.
    await whenState('UPDATED', 2);
    expect(states()).toEqual([...whole, 'UPDATED']);
    expect([hub.chunksAsked.length, log().length]).toEqual([10, 2]);

    const next = randomBytes(chunkBytes);
    assign(next, '1.11');
    await whenState('UPDATED', 3);
    expect(said('current_sw_version').at(-1)?.value).toBe('1.11');
    expect(log().at(-2)).toContain(`1.11 word ${sha256(next)}`);
  });

  it('goes on where it was after the line broke, the process was killed, and an answer got lost', async () => {
    const bytes = randomBytes(4_000_000);
    const last = Math.ceil(bytes.length / chunkBytes) - 1;
    assign(bytes);
    holdChunks(40);
    await box.start();
    await asked(42);
    hub.cutAll();
    await asked(44);
    // What came before the line broke was kept.
    expect(hub.chunksAsked.slice(42)).toEqual([40, 41]);
    await eventually('a session', () => hub.isOnline('box-1'));

    const before = hub.chunksAsked.length;
    holdChunks(100);
    hub.cutAll();
    await eventually('chunk 101', () => hub.chunksAsked.includes(101));
    await box.end('SIGKILL');
    const atKill = hub.chunksAsked.length;
    expect(hub.chunksAsked[before]).toBe(40);
    dropChunks(110);
    await box.start();
    await eventually('asked again', () => hub.chunksAsked.filter((n) => n === 110).length >= 2);
    // Kept once in a megabyte.
    expect(hub.chunksAsked[atKill]).toBeGreaterThanOrEqual(64);
    holdChunks(Number.MAX_SAFE_INTEGER);
    await whenState('UPDATED');
    expect(hub.chunksAsked.at(-1)).toBe(last);
    expect(log()[0]).toContain(sha256(bytes));
    expect(states()).toEqual(whole);
  });

  it('is installed again by a box that was killed in the middle of it, and by one program at a time', async () => {
    const bytes = randomBytes(50_000);
    control('hold', '');
    assign(bytes);
    await box.start();
    await eventually('installing', () => log().length === 1);
    await box.end('SIGKILL');
    await box.start();
    await eventually('installing again', () => log().length === 2);
    control('hold');
    await whenState('UPDATED');
    // The first one never came to its end.
    expect(log().map((line) => line.split(' ')[0])).toEqual(['begin', 'begin', 'end']);
    expect(states()).toEqual(whole);
  });

  it('that was installed while Star was away is told of when it is back', async () => {
    control('hold', '');
    assign(randomBytes(50_000));
    await box.start();
    await whenState('UPDATING');
    await hub.stop();
    control('hold');
    await eventually('installed', () => log().length === 2);
    await box.end('SIGKILL');
    await box.start();
    await hub.start();
    await whenState('UPDATED');
    expect(states()).toEqual(whole);
  });
});

describe('software that fails', () => {
  it('its checksum is not installed; it is fetched anew, once its time has come', async () => {
    await replaceBox({ DUBHE_SOFTWARE_RETRY_MS: '300' });
    const bytes = randomBytes(100_000);
    assign(bytes, '1', { sw_checksum: sha256(Buffer.from('other')) });
    await whenState('FAILED', 2);
    expect(new Set(errors())).toEqual(new Set(['software.checksum_wrong']));
    expect(log()).toEqual([]);
    expect(hub.chunksAsked.slice(0, 8)).toEqual([0, 1, 2, 3, 0, 1, 2, 3]);
    assign(bytes, '1');
    await whenState('UPDATED');
  });

  it('for any reason is left alone by a box that reconnects and restarts', async () => {
    await box.start();
    assign(randomBytes(100_000), '1', { sw_checksum: sha256(Buffer.from('other')) });
    await whenState('FAILED');
    expect(archives()).toEqual([]);
    hub.cutAll();
    await online();
    await box.end('SIGKILL');
    await box.start();
    await online();
    await box.submit([{ id: 'r:1' }]);
    await eventually('the report', () => hub.valuesOf('taskReport').length === 1);
    expect([hub.chunksAsked.length, states()]).toEqual([4, ['DOWNLOADING', 'DOWNLOADED', 'FAILED']]);
  });

  it.each([
    ['larger', 99_999],
    ['smaller', 100_001],
  ])('because it is %s than it is said to be', async (_, sw_size) => {
    await box.start();
    assign(randomBytes(100_000), '1', { sw_size });
    await whenState('FAILED');
    expect([errors(), archives(), log()]).toEqual([['software.size_wrong'], [], []]);
  });

  it('to install is kept, and tried again without fetching it, or at once when the assignment changes', async () => {
    await replaceBox({ DUBHE_SOFTWARE_RETRY_MS: '200' });
    control('status', '3');
    assign(randomBytes(100_000));
    await whenState('FAILED', 2);
    expect(new Set(errors())).toEqual(new Set(['software.install_failed']));
    control('status', '0');
    await whenState('UPDATED');
    expect(hub.chunksAsked).toHaveLength(4);
    expect(states().filter((state) => state === 'DOWNLOADING')).toHaveLength(1);

    await replaceBox({}, box.dataDir);
    control('status', '3');
    hub.received.length = 0;
    const next = randomBytes(10_000);
    assign(next, '2');
    await whenState('FAILED');
    expect(archives()).toHaveLength(1);
    control('status', '0');
    assign(next, '3');
    await whenState('UPDATED');
    expect(said('current_sw_version').at(-1)?.value).toBe('3');
  });

  it('to end its installation in time is killed', async () => {
    await replaceBox({ DUBHE_INSTALL_TIMEOUT_MS: '300' });
    control('hold', '');
    assign(randomBytes(1000));
    await whenState('FAILED');
    expect(errors()).toEqual(['software.install_timeout']);
    control('hold');
    await box.submit([{ id: 'r:1' }]);
    await eventually('the report', () => hub.valuesOf('taskReport').length === 1);
    expect(log()).toHaveLength(1);
  });

  it('for want of a program is not fetched, until there is one', async () => {
    await replaceBox({ DUBHE_INSTALL_PACK: '' });
    assign(randomBytes(1000));
    await whenState('FAILED');
    expect([errors(), hub.chunksAsked]).toEqual([['software.not_supported'], []]);
    await replaceBox({ DUBHE_INSTALL_PACK: join(folder, 'nothing-there') }, box.dataDir);
    await whenState('FAILED', 2);
    expect(errors()).toEqual(['software.not_supported', 'software.install_failed']);
  });

  it.each([
    ['an address', { sw_url: 'http://elsewhere/pack.tar.gz' }],
    ['another checksum', { sw_checksum_algorithm: 'MD5' }],
    ['no bytes', { sw_size: 0 }],
    ['more bytes than any', { sw_size: 10 ** 12 }],
    ['a name like a path', { sw_title: '../../etc' }],
    ['no version', { sw_version: null }],
    ['a number for a version', { sw_version: 7 }],
  ])('to make sense, with %s', async (_, wrong) => {
    assign(randomBytes(1000), '1', wrong);
    await box.start();
    await whenState('FAILED');
    expect([errors(), hub.chunksAsked, states()]).toEqual([['software.assignment_unusable'], [], ['FAILED']]);
    unassign();
    assign(randomBytes(1000), '2');
    await whenState('UPDATED');
  });

  it('to be at Star is not asked for again and again: each time would cost the connection', async () => {
    hub.faults.chunkError = 'NOT_FOUND';
    assign(randomBytes(100_000));
    await box.start();
    await whenState('FAILED');
    await online();
    await box.submit([{ id: 'r:1' }]);
    await eventually('the report', () => hub.valuesOf('taskReport').length === 1);
    expect(errors()).toEqual(['software.not_found']);
    expect(hub.chunksAsked.length).toBeLessThanOrEqual(2);
  });

  it('on each connection is given up before it costs many', async () => {
    hub.faults.beforeChunk = async () => 'cut';
    assign(randomBytes(100_000));
    await box.start();
    await whenState('FAILED');
    expect(errors()).toEqual(['software.connection_lost']);
    expect((await box.stats()).sessions_opened).toBeLessThanOrEqual(7);
  });
});

describe('a disk that is full', () => {
  it('is not filled further', async () => {
    await replaceBox({ DUBHE_DISK_RESERVE_BYTES: String(10 ** 15) });
    assign(randomBytes(1000));
    await whenState('FAILED');
    expect([errors(), hub.chunksAsked]).toEqual([['software.disk_full'], []]);
  });

  it('while it is being written to gets its room back, and reports go on', async () => {
    const release = holdChunks(0);
    assign(randomBytes(100_000));
    await box.start();
    await asked(1);
    await box.end('SIGKILL');
    release();
    const archive = join(box.dataDir, 'dubhe', 'software', archives()[0] as string);
    rmSync(archive);
    // Every write to it fails with ENOSPC.
    symlinkSync('/dev/full', archive);
    await box.start();
    await whenState('FAILED');
    expect([errors(), archives()]).toEqual([['software.disk_full'], []]);
    await box.submit([{ id: 'r:1' }]);
    await eventually('the report', () => hub.valuesOf('taskReport').length === 1);
  });
});

describe('an assignment', () => {
  it('that changes in the middle of a download is followed at once', async () => {
    const next = randomBytes(100_000);
    const release = holdChunks(5);
    assign(randomBytes(1_000_000), '1');
    await box.start();
    await asked(7);
    assign(next, '2');
    await whenState('DOWNLOADING', 2);
    release();
    await whenState('UPDATED');
    expect(states()).toEqual(['DOWNLOADING', ...whole]);
    expect(log()).toEqual([`begin pack-a 2 word ${sha256(next)}`, 'end']);
    expect(errors()).toEqual([]);
  });

  it('that changes in the middle of an installation is followed after it', async () => {
    control('hold', '');
    assign(randomBytes(50_000), '1');
    await box.start();
    await eventually('installing', () => log().length === 1);
    assign(randomBytes(50_000), '2');
    await online();
    await box.submit([{ id: 'r:1' }]);
    await eventually('the report', () => hub.valuesOf('taskReport').length === 1);
    expect(log()).toHaveLength(1);
    control('hold');
    await whenState('UPDATED', 2);
    expect(said('current_sw_version').map((each) => each.value)).toEqual(['1', '2']);
    expect(states()).toEqual([...whole, ...whole]);
  });

  it('that ends in the middle leaves nothing behind, also when the box is away', async () => {
    const release = holdChunks(5);
    assign(randomBytes(1_000_000), '1');
    await box.start();
    await asked(7);
    unassign();
    await eventually('the archive is gone', () => archives().length === 0);
    release();
    await box.submit([{ id: 'r:1' }]);
    await eventually('the report', () => hub.valuesOf('taskReport').length === 1);
    expect([hub.chunksAsked.length, states(), errors()]).toEqual([7, ['DOWNLOADING'], []]);

    holdChunks(5);
    assign(randomBytes(1_000_000), '2');
    await asked(14);
    await box.end('SIGKILL');
    unassign();
    await box.start();
    await eventually('the archive is gone', () => archives().length === 0);
    expect(states()).toEqual(['DOWNLOADING', 'DOWNLOADING']);
  });
});

describe('the times of states', () => {
  it('only grow while the clock is put back a little, and start over when it was far ahead', () => {
    let now = 1_000_000_000_000;
    const db = openSqlite(join(folder, 'times.db'), [softwareMigration]);
    const store = new SoftwareStore(db, { now: () => now, sleep: async () => {} });
    const target = { title: 'a', version: '1', sizeBytes: 1, sha256: '' };
    const timeOf = () => {
      store.finish('a', target);
      const report = store.nextReport() as StateReport;
      store.forgetReport(report.seq);
      return report.atMs;
    };
    expect([timeOf(), timeOf()]).toEqual([now, now + 1]);
    now -= 3_600_000;
    expect(timeOf()).toBe(now + 3_600_002);
    now += 100 * 86_400_000;
    expect(timeOf()).toBe(now);
    now -= 99 * 86_400_000;
    expect(timeOf()).toBe(now);
    db.close();
  });
});

describe('a download', () => {
  const serveMerak = async () => {
    const server = await serveGrpc(agentSocket(box.dataDir, 'merak'), [
      [agent.CommandServiceService, { handleCommand: unary(async () => ({ replyJson: '{"accepted":true}' })) }],
    ]);
    closing.push(() => server.forceShutdown());
  };

  it('waits for reports and commands, which never wait for it', async () => {
    holdChunks(4);
    assign(randomBytes(1_000_000));
    await box.start();
    await serveMerak();
    await asked(6);
    // Its two chunks are on their way, and stay there.
    for (let n = 0; n < 20; n++) expect(await hub.call('box-1', 'createTask', { n })).toEqual({ accepted: true });
    await box.submit(Array.from({ length: 200 }, (_, n) => ({ id: `r:${n}`, bodyJson: JSON.stringify({ n, id: randomUUID() }) })));
    await eventually('all reports', () => hub.valuesOf('taskReport').length === 200);
    expect(hub.chunksAsked.filter((n) => n > 5)).toEqual([]);
  });

  it('has one chunk on its way while reports wait, and still gets there', async () => {
    const bytes = randomBytes(10 * chunkBytes);
    let [open, most] = [0, 0];
    hub.faults.beforeChunk = async () => {
      most = Math.max(most, ++open);
      await new Promise((resolve) => setTimeout(resolve, 20));
      open--;
      return true;
    };
    // Reports are taken and never acknowledged, so there is always one.
    await replaceBox({ DUBHE_ACK_TIMEOUT_MS: '30000' });
    await online();
    hub.faults.holdReports = true;
    await box.submit([{ id: 'r:1' }]);
    assign(bytes);
    await whenState('UPDATED');
    expect(most).toBe(1);
    expect(log()[0]).toContain(sha256(bytes));
  });
});
