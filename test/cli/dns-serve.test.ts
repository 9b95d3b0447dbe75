import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { mkdtempSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { seededRandom } from "../../src/base/random.js";
import { type DnsSockets, openDnsSockets } from "../../src/cli/dns-sockets.js";
import { newQuery } from "../../src/kube/dns/messages.js";
import { DnsFront } from "../../src/lab/dns-front.js";
import { milliseconds, type Micros } from "../../src/sim/time.js";
import { decodeDns, encodeDns } from "../../src/wire/dns.js";
import type { DnsMessage } from "../../src/wire/dns-message.js";
import { demoWorld } from "./demo-world.js";
import { hopwise } from "./run.js";

const reports: string[] = [];

function frontOf(corefile?: string, from?: string): DnsFront {
  const more = corefile === undefined ? [] : [{ file: "Corefile", text: corefile }];
  return new DnsFront(demoWorld("dns", ...more), {
    from,
    seed: 1,
    startTime: undefined,
    report: (line) => void reports.push(line),
    ended: () => undefined,
  });
}

let server: DnsSockets;

beforeAll(async () => {
  server = await openDnsSockets(frontOf(), 0, (line) => void reports.push(line));
});

afterAll(async () => server.close());

/** Runs a program without a shell; undefined when it is not installed. The server lives in this process: nothing may block. */
async function run(program: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((done) => {
    execFile(program, args, { timeout: 25_000 }, (error, stdout, stderr) => {
      if (error !== null && "code" in error && error.code === "ENOENT") return done(undefined);
      done(stdout + stderr);
    });
  });
}

const missing = async (program: string): Promise<boolean> => {
  if ((await run(program, ["-h"])) !== undefined) return false;
  console.log(
    `${program} is not installed: its test is left out (apt-get install bind9-dnsutils knot-dnsutils dnsperf)`,
  );
  return true;
};

describe("Debian's dig", () => {
  const dig = async (...args: readonly string[]): Promise<string> =>
    (await run("dig", ["@127.0.0.1", "-p", String(server.port), "+tries=2", ...args])) ?? "";

  it("gets a Service's address, over UDP and over TCP", async (context) => {
    if (await missing("dig")) return context.skip();
    for (const way of ["+notcp", "+tcp"]) {
      const text = await dig(way, "backend.default.svc.cluster.local");
      expect(text).toContain("status: NOERROR");
      expect(text).toMatch(/backend\.default\.svc\.cluster\.local\. 30\s+IN\s+A\s+10\.96\.20\.10/);
      expect(text).toContain(way === "+tcp" ? "(TCP)" : "(UDP)");
    }
  });

  it("asks again over TCP when the reply is cut", async (context) => {
    if (await missing("dig")) return context.skip();
    const text = await dig("+noedns", "many.example.com");
    expect(text).toMatch(/ANSWER: 40/);
    expect(text).toContain("(TCP)");
  });

  it("reads why a name that the world says nothing about has no answer", async (context) => {
    if (await missing("dig")) return context.skip();
    const text = await dig("example.org");
    expect(text).toContain("status: SERVFAIL");
    expect(text).toContain(
      "EDE: 0 (Other): (the world does not say what the resolver 203.0.113.53 answers for example.org.)",
    );
    expect(reports).toContain(
      "UNKNOWN  the world does not say what the resolver 203.0.113.53 answers for example.org.",
    );
  });
});

describe("other clients", () => {
  it("kdig gets NXDOMAIN with the zone's SOA record", async (context) => {
    if (await missing("kdig")) return context.skip();
    const at = ["@127.0.0.1", "-p", String(server.port), "nosuch.default.svc.cluster.local"];
    const text = (await run("kdig", at)) ?? "";
    expect(text).toMatch(/status: NXDOMAIN/);
    expect(text).toMatch(/cluster\.local\.\s+\d+\s+IN\s+SOA\s+ns\.dns\.cluster\.local\./);
  });

  it("dnsperf loses nothing", async (context) => {
    if (await missing("dnsperf")) return context.skip();
    const file = join(mkdtempSync(join(tmpdir(), "hopwise-")), "queries.txt");
    writeFileSync(
      file,
      "backend.default.svc.cluster.local A\nnosuch.default.svc.cluster.local AAAA\n",
    );
    const args = [
      "-s",
      "127.0.0.1",
      "-p",
      String(server.port),
      "-d",
      file,
      "-n",
      "1000",
      "-q",
      "20",
    ];
    const text = (await run("dnsperf", [...args, "-t", "20"])) ?? "";
    expect(text).toMatch(/Queries completed:\s+2000 \(100\.00%\)/);
    expect(text).toMatch(/NOERROR 1000 \(50\.00%\), NXDOMAIN 1000 \(50\.00%\)/);
  });
});

/** One datagram, and the first reply to it. */
async function exchange(bytes: Uint8Array): Promise<DnsMessage> {
  const socket = createSocket("udp4");
  return new Promise((done, failed) => {
    socket.once("message", (data) => {
      socket.close();
      const reply = decodeDns(data);
      if (reply.ok) done(reply.value);
      else failed(new Error(reply.reason));
    });
    socket.send(bytes, server.port, "127.0.0.1");
  });
}

const query = encodeDns(newQuery("backend.default.svc.cluster.local.", "A", { id: 0x1112 }));

describe("what no client should send", () => {
  it("a message cut short gets FORMERR, and the next one its answer", async () => {
    expect((await exchange(query.subarray(0, query.length - 3))).rcode).toBe("FORMERR");
    expect((await exchange(query)).answers[0]?.data).toBe("10.96.20.10");
  });

  it("a message of 60,000 octets gets FORMERR", async () => {
    const long = new Uint8Array(60_000).fill(0x61);
    long.set(query);
    expect((await exchange(long)).rcode).toBe("FORMERR");
  });

  it("a stream of octets over TCP does not end the server", async () => {
    const random = seededRandom(7);
    const noise = Uint8Array.from({ length: 200_000 }, () => Math.floor(random() * 256));
    await new Promise<void>((done) => {
      const socket = connect(server.port, "127.0.0.1", () => socket.end(noise));
      socket.on("data", () => undefined);
      socket.on("error", () => done());
      socket.on("close", () => done());
    });
    expect((await exchange(query)).rcode).toBe("NOERROR");
  });

  it("100,000 random messages get a reply with their own id or nothing", () => {
    const front = frontOf();
    const random = seededRandom(11);
    const byte = (): number => Math.floor(random() * 256);
    const codes = new Map<string, number>();
    for (let count = 0; count < 100_000; count++) {
      const bytes = count % 2 === 0 ? noise(byte, random) : damaged(query, byte, random);
      let told = 0;
      front.receive(bytes, { port: 40_000, proto: count % 3 === 0 ? "tcp" : "udp" }, (replies) => {
        told++;
        for (const reply of replies) {
          const message = decodeDns(reply);
          if (!message.ok) throw new Error(message.reason);
          if (!message.value.qr || reply[0] !== bytes[0] || reply[1] !== bytes[1])
            throw new Error(`a reply to another message, after ${count}`);
          codes.set(message.value.rcode, (codes.get(message.value.rcode) ?? 0) + 1);
        }
      });
      if (count % 1000 === 0) front.advanceTo((front.now + milliseconds(100)) as Micros);
      if (told > 1) throw new Error(`answered ${told} times, after ${count}`);
    }
    expect(codes.get("FORMERR")).toBeGreaterThan(10_000);
    expect(codes.get("NOERROR")).toBeGreaterThan(100);
    front.receive(query, { port: 40_000, proto: "udp" }, ([reply]) => {
      const message = decodeDns(reply ?? new Uint8Array());
      expect(message.ok && message.value.answers[0]?.data).toBe("10.96.20.10");
    });
  }, 120_000);
});

function noise(byte: () => number, random: () => number): Uint8Array {
  const bytes = Uint8Array.from({ length: Math.floor(random() * 600) }, byte);
  if (bytes.length > 12 && random() < 0.8)
    bytes.set([byte(), byte(), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  return bytes;
}

/** A good query with a few octets changed, taken away or put behind it. */
function damaged(good: Uint8Array, byte: () => number, random: () => number): Uint8Array {
  const bytes = Uint8Array.from(good);
  for (let changes = Math.floor(random() * 4); changes > 0; changes--)
    bytes[Math.floor(random() * bytes.length)] = byte();
  const cut = random();
  if (cut < 0.3) return bytes.subarray(0, Math.floor(random() * bytes.length));
  return cut < 0.6 ? Uint8Array.from([...bytes, byte(), byte()]) : bytes;
}

const views = `.:53 {
    view backend {
        expr client_ip() == '10.244.1.3'
    }
    template ANY A . {
        answer "{{ .Name }} 5 IN A 192.0.2.1"
    }
}
.:53 {
    template ANY A . {
        answer "{{ .Name }} 5 IN A 192.0.2.2"
    }
}
`;

const autopath = `.:53 {
    autopath @kubernetes
    kubernetes cluster.local {
        pods verified
    }
    forward . /etc/resolv.conf
}
`;

describe("the pod that queries come from", () => {
  const answers = (front: DnsFront, name: string): readonly string[] => {
    let found: readonly string[] = [];
    front.receive(
      encodeDns(newQuery(name, "A", { id: 9 })),
      { port: 40_000, proto: "udp" },
      ([reply]) => {
        const message = decodeDns(reply ?? new Uint8Array());
        found = message.ok ? message.value.answers.map(({ type, data }) => `${type} ${data}`) : [];
      },
    );
    front.advanceTo((front.now + milliseconds(1)) as Micros);
    return found;
  };

  it("decides which view answers", () => {
    expect(answers(frontOf(views, "default/backend-0"), "a.example.")).toEqual(["A 192.0.2.1"]);
    expect(answers(frontOf(views, "default/client"), "a.example.")).toEqual(["A 192.0.2.2"]);
  });

  it("decides which search path autopath takes", () => {
    const name = "backend.prod.default.svc.cluster.local.";
    expect(answers(frontOf(autopath, "default/client"), name)).toEqual([
      "CNAME backend.prod.svc.cluster.local.",
      "A 10.96.20.20",
    ]);
    expect(answers(frontOf(autopath, "203.0.113.9"), name)).toEqual([]);
  });
});

describe("hopwise dns serve", () => {
  it("says where it answers, serves until Ctrl-C, and ends with 130", async () => {
    const running = hopwise("dns serve -w demo:dns --port 0 --from default/client");
    const timer = setInterval(() => void process.emit("SIGINT"), 50);
    const { out, exit } = await running;
    clearInterval(timer);
    expect(exit).toBe(130);
    expect(out).toMatch(
      /^kube-system\/coredns-0 of demo:dns answers on 127\.0\.0\.1 port \d+, UDP and TCP, as default\/client \(10\.244\.1\.2\) sees it\n0 messages came, 0 replies went\n$/,
    );
  });

  it("says so when the port is taken", async () => {
    const { err, exit } = await hopwise(`dns serve -w demo:dns --port ${server.port}`);
    expect(exit).toBe(2);
    expect(err).toContain(`port ${server.port} of 127.0.0.1 is taken`);
  });

  it("ends with 1 when CoreDNS finds a loop", async () => {
    const { err, exit } = await hopwise("dns serve -w demo:dns -w docs/examples/dns/loop --port 0");
    expect(exit).toBe(1);
    expect(err).toContain("[FATAL] plugin/loop: Loop (127.0.0.1:");
  });
});
