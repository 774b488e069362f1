/**
 * Boxes on MQTT in a process of their own: each logs in, takes calls with QoS 1 and answers every one at once, as Dubhe
 * does with what Merak says. Told `tokens` and `port` by its parent; tells it `connected`, and what it has counted when asked.
 */
import { connect, type Socket } from 'node:net';
import mqtt, { type Packet } from 'mqtt-packet';

const connectingAtOnce = 50;
const pingEveryMs = 20_000;
const options = { protocolVersion: 5 };
/** Calls as they came, by box and request: more than one is a repetition. */
const calls = new Map<string, number>();
let dropped = 0;

function send(socket: Socket, packet: Packet): void {
  socket.write(mqtt.generate(packet, options));
}

function box(port: number, token: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    const parser = mqtt.parser(options);
    let messageId = 10;
    socket.on('error', reject);
    socket.on('close', () => {
      dropped += 1;
      reject(new Error('the hub closed the connection'));
    });
    socket.on('data', (chunk) => parser.parse(chunk));
    socket.on('connect', () =>
      send(socket, { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clean: true, clientId: '', keepalive: 60, username: token }),
    );
    parser.on('packet', (packet: Packet) => {
      if (packet.cmd === 'connack') {
        if (packet.reasonCode !== 0) return reject(new Error(`refused with ${packet.reasonCode}`));
        const subscriptions = ['v1/devices/me/rpc/request/+', 'v1/devices/me/attributes'].map((topic) => ({ topic, qos: 1 as const }));
        return send(socket, { cmd: 'subscribe', messageId: 1, subscriptions });
      }
      if (packet.cmd === 'suback') {
        setInterval(() => send(socket, { cmd: 'pingreq' }), pingEveryMs).unref();
        return resolve();
      }
      if (packet.cmd !== 'publish') return;
      if (packet.qos === 1 && packet.messageId !== undefined) send(socket, { cmd: 'puback', messageId: packet.messageId });
      const [, requestId] = /rpc\/request\/(\d+)$/.exec(packet.topic) ?? [];
      if (requestId === undefined) return;
      const call = `${token} ${requestId}`;
      calls.set(call, (calls.get(call) ?? 0) + 1);
      messageId = messageId === 60_000 ? 10 : messageId + 1;
      const answer = { topic: `v1/devices/me/rpc/response/${requestId}`, payload: '{"accepted":true}' };
      send(socket, { cmd: 'publish', ...answer, qos: 1, dup: false, retain: false, messageId });
    });
  });
}

process.on('message', async (message: { port: number; tokens: string[] } | 'count') => {
  if (message === 'count') {
    const repeated = [...calls.values()].filter((times) => times > 1).length;
    process.send?.({ calls: calls.size, repeated, dropped });
    return;
  }
  const waiting = [...message.tokens];
  const work = async () => {
    for (let token = waiting.pop(); token !== undefined; token = waiting.pop()) await box(message.port, token);
  };
  await Promise.all(Array.from({ length: connectingAtOnce }, work));
  process.send?.('connected');
});
process.on('disconnect', () => process.exit(0));
