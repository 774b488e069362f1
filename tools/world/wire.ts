/** The line between the boxes and Star, which can be cut: a TCP relay that falls silent, as a dead uplink does. */

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export interface Wire {
  /** A port that leads to `port` on this machine, as long as the line is whole. */
  through(port: number): Promise<number>;
  /** Nothing passes any more and nobody is told: no reset, no refusal. */
  cut(): void;
  /** What hung in the cut line is gone; new connections pass. */
  mend(): void;
  close(): Promise<void>;
}

export function openWire(): Wire {
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  let whole = true;

  const hold = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
  };
  const accept = (near: Socket, port: number) => {
    hold(near);
    // Connects, and then hears nothing: a SYN that vanishes would look the same to a client with a timeout.
    if (!whole) return void near.pause();
    const far = connect(port, '127.0.0.1');
    hold(far);
    near.pipe(far).pipe(near);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  };
  return {
    through: async (port) => {
      const server = createServer((near) => accept(near, port)).listen(0, '127.0.0.1');
      await once(server, 'listening');
      servers.push(server);
      return (server.address() as { port: number }).port;
    },
    cut: () => {
      whole = false;
      for (const socket of sockets) socket.unpipe().pause();
    },
    mend: () => {
      for (const socket of sockets) socket.destroy();
      whole = true;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
    },
  };
}
