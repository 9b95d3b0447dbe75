import { createSocket } from "node:dgram";
import { afterAll, beforeAll, describe } from "vitest";
import { type DnsSockets, openDnsSockets } from "../../src/cli/dns-sockets.js";
import { newQuery } from "../../src/kube/dns/messages.js";
import { DnsFront } from "../../src/lab/dns-front.js";
import { encodeDns } from "../../src/wire/dns.js";
import { demoWorld } from "../cli/demo-world.js";
import { rateOf } from "./figures.js";

const queries = 5_000;
/** So many questions are on their way at a time, as dnsperf keeps them. */
const window = 64;

const names = ["backend.default.svc.cluster.local.", "nosuch.default.svc.cluster.local."];
const messages = names.map((name, id) => encodeDns(newQuery(name, "A", { id })));

let server: DnsSockets | undefined;

beforeAll(async () => {
  const front = new DnsFront(demoWorld("dns"), {
    from: undefined,
    seed: 1,
    startTime: undefined,
    report: () => undefined,
    ended: () => undefined,
  });
  server = await openDnsSockets(front, 0, () => undefined);
});

afterAll(async () => server?.close());

/** Client and server share this process and its one thread: a client of its own asks more. */
async function ask(): Promise<void> {
  const socket = createSocket({
    type: "udp4",
    recvBufferSize: 1 << 20,
    lookup: (host, _options, found) => found(null, host, 4),
  });
  const port = server?.port ?? 0;
  await new Promise<void>((done) => {
    let sent = 0;
    let answered = 0;
    const send = (): void => {
      if (sent < queries) socket.send(messages[sent++ % messages.length] ?? "", port, "127.0.0.1");
    };
    socket.on("message", () => {
      if (++answered === queries) socket.close(() => done());
      else send();
    });
    for (let n = 0; n < window; n++) send();
  });
}

describe("hopwise dns serve over UDP on loopback, with the client in the same thread", () => {
  const count = { number: queries, what: "queries" };
  rateOf("names of a cluster", count, ask, { runs: 5, warmup: 2, budget: 15_000 });
});
