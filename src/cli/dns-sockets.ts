import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, type Server, type Socket } from "node:net";
import { UserError } from "../base/errors.js";
import { frameMessage, MessageReader } from "../kube/dns/tcp-framing.js";
import type { DnsFront } from "../lab/dns-front.js";
import { later, microseconds, type Micros } from "../sim/time.js";

/** Only this machine is served. */
const LOOPBACK = "127.0.0.1";

/** What one client may take of the server. */
const limits = {
  connections: 256,
  /** A connection on which nothing is asked for so long is closed; CoreDNS waits as long. */
  idleMilliseconds: 10_000,
  /** The longest sleep of a timer of Node. */
  sleepMilliseconds: 60_000,
};

/** A server that answers; `port` is the one that was bound. */
export interface DnsSockets {
  readonly port: number;
  readonly counts: { readonly queries: number; readonly replies: number };
  close(): Promise<void>;
}

/**
 * Answers on UDP and TCP of 127.0.0.1. Simulated time follows the clock of this process: before a message is answered,
 * and whenever something is due by itself. A fault of ours ends in SERVFAIL's silence and a line, never the server.
 */
export async function openDnsSockets(
  front: DnsFront,
  port: number,
  report: (line: string) => void,
): Promise<DnsSockets> {
  const clock = new WallClock(front);
  const counts = { queries: 0, replies: 0 };
  const answer = (
    bytes: Uint8Array,
    proto: "udp" | "tcp",
    from: number,
    send: (reply: Uint8Array) => void,
  ): void => {
    counts.queries++;
    try {
      clock.catchUp();
      front.receive(bytes, { proto, port: from }, (replies) => {
        for (const reply of replies) {
          counts.replies++;
          send(reply);
        }
      });
      clock.catchUp();
    } catch (error) {
      report(
        `internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
    }
  };
  const udp = createSocket({
    type: "udp4",
    recvBufferSize: 4 * 1024 * 1024,
    // Clients are addresses already: nothing has to be looked up before a reply is sent.
    lookup: (host, _options, found) => found(null, host, 4),
  });
  udp.on("message", (bytes, { port: from, address }) =>
    answer(bytes, "udp", from, (reply) => udp.send(reply, from, address)),
  );
  const tcp = createServer((socket) =>
    serveConnection(socket, (bytes, send) => answer(bytes, "tcp", socket.remotePort ?? 0, send)),
  );
  tcp.maxConnections = limits.connections;
  const bound = await bindBoth(udp, tcp, port);
  udp.on("error", (error) => report(error.message));
  tcp.on("error", (error) => report(error.message));
  const open = new Set<Socket>();
  tcp.on("connection", (socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
  });
  return {
    port: bound,
    counts,
    async close() {
      clock.stop();
      for (const socket of open) socket.destroy();
      await Promise.all([
        new Promise<void>((done) => udp.close(() => done())),
        new Promise<void>((done) => tcp.close(() => done())),
      ]);
    },
  };
}

/** Moves simulated time as the clock on the wall moves. */
class WallClock {
  readonly #front: DnsFront;
  readonly #began = performance.now();
  readonly #base: Micros;
  #timer: NodeJS.Timeout | undefined;
  #armedFor: Micros | undefined;

  constructor(front: DnsFront) {
    this.#front = front;
    this.#base = front.now;
    this.#arm();
  }

  catchUp(): void {
    this.#front.advanceTo(this.#instant());
    this.#arm();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#armedFor = 0 as Micros;
  }

  #instant(): Micros {
    return later(this.#base, microseconds((performance.now() - this.#began) * 1000));
  }

  /** One timer, for what is due first. */
  #arm(): void {
    const due = this.#front.nextAt;
    if (due === undefined || (this.#armedFor !== undefined && this.#armedFor <= due)) return;
    clearTimeout(this.#timer);
    this.#armedFor = due;
    const wait = Math.ceil((due - this.#instant()) / 1000);
    const sleep = Math.min(Math.max(wait, 0), limits.sleepMilliseconds);
    this.#timer = setTimeout(() => {
      this.#armedFor = undefined;
      this.catchUp();
    }, sleep);
  }
}

function serveConnection(
  socket: Socket,
  answer: (bytes: Uint8Array, send: (reply: Uint8Array) => void) => void,
): void {
  const reader = new MessageReader();
  socket.setTimeout(limits.idleMilliseconds, () => socket.destroy());
  socket.on("error", () => socket.destroy());
  socket.on("data", (data) => {
    for (const message of reader.read(data))
      answer(message, (reply) => {
        if (socket.writable) socket.write(frameMessage(reply));
      });
  });
}

/** The same port for both; with port 0 the system chooses one that is free for UDP. */
async function bindBoth(udp: UdpSocket, tcp: Server, port: number): Promise<number> {
  try {
    await new Promise<void>((done, failed) => {
      udp.once("error", failed);
      udp.bind(port, LOOPBACK, () => done());
    });
    const bound = udp.address().port;
    await new Promise<void>((done, failed) => {
      tcp.once("error", failed);
      tcp.listen(bound, LOOPBACK, () => done());
    });
    udp.removeAllListeners("error");
    tcp.removeAllListeners("error");
    return bound;
  } catch (error) {
    udp.close();
    throw listenError(error, port);
  }
}

function listenError(error: unknown, port: number): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "EADDRINUSE")
    return new UserError("PORT_TAKEN", `port ${port} of ${LOOPBACK} is taken`, {
      help: "choose another with --port; 0 takes any that is free",
    });
  if (code === "EACCES")
    return new UserError("PORT_REFUSED", `port ${port} may not be opened by this user`, {
      help: "ports from 1024 on may: --port 5353",
    });
  return error;
}
