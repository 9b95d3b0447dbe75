import { describe, expect, test } from "vitest";
import { ACCEPT, type HookState, NF_IP_PRI_RAW } from "../../../../src/core/hooks.js";
import type { SkBuff } from "../../../../src/core/skbuff.js";
import { conntrackTemplate, DEFAULT_ZONE } from "../../../../src/netfilter/conntrack/connection.js";
import { noExtensions } from "../../../../src/netfilter/conntrack/extensions.js";
import { findHelper } from "../../../../src/netfilter/conntrack/helpers/index.js";
import { registerNatLookup } from "../../../../src/netfilter/nat/hooks.js";
import { setupDnat, setupSnat } from "../../../../src/netfilter/nat/targets.js";
import { conntrackTool } from "../../../../src/tools/conntrack.js";
import { type Frame, isIcmp } from "../../../../src/wire/frame.js";
import { formatFrame } from "../../../../src/wire/format-frame.js";
import { type Rig, infoOf, ip, rig, tcp, udp } from "../../rig.js";

const CLIENT = "10.0.1.2";
const SERVER = "10.0.2.2";

/** A router that gives connections to `port` that helper, as `-j CT --helper` does. */
function router(helper = "ftp", port = 21): Rig {
  const world = rig();
  const protocol = helper === "tftp" ? 17 : 6;
  const found = findHelper(helper, protocol);
  if (found === undefined) throw new Error(`no helper ${helper}`);
  const ext = { ...noExtensions(), help: { helper: found, memory: undefined } };
  const template = conntrackTemplate(DEFAULT_ZONE, ext);
  world.ns.hooks.register("ipv4", {
    name: "raw",
    hook: "PREROUTING",
    priority: NF_IP_PRI_RAW,
    run(skb) {
      const { transport } = skb.frame;
      if (transport !== undefined && !isIcmp(transport) && transport.destinationPort === port)
        skb.ct ??= template;
      return ACCEPT;
    },
  });
  return world;
}

/** Translates the source of what goes to the server. */
function masqueraded(world: Rig, to = "10.0.2.1"): Rig {
  const range = { addresses: { low: ip(to), high: ip(to) } };
  registerNatLookup(world.ns, "ipv4", "POSTROUTING", (skb: SkBuff, state: HookState) =>
    skb.frame.network?.kind === "ipv4" && skb.frame.network.destination === ip(SERVER)
      ? setupSnat(skb, state, range)
      : ACCEPT,
  );
  return world;
}

/** The two ends of a control connection as they count themselves. */
class Control {
  readonly #world: Rig;
  readonly #at: Record<"client" | "server", number> = { client: 1_001, server: 5_001 };
  readonly #seen: Record<"client" | "server", number> = { client: 1_001, server: 5_001 };
  readonly #serverSees: string;
  readonly #clientPort: number;

  constructor(world: Rig, serverSees = CLIENT, clientPort = 4_000) {
    this.#world = world;
    this.#serverSees = serverSees;
    this.#clientPort = clientPort;
    const from = `${CLIENT}:${clientPort}`;
    world.forward(tcp(from, `${SERVER}:21`, "S", { seq: 1_000 }));
    world.forward(tcp(`${SERVER}:21`, this.#peer, "SA", { seq: 5_000, ack: 1_001 }));
    world.forward(tcp(from, `${SERVER}:21`, "A", { seq: 1_001, ack: 5_001 }));
  }

  get #peer(): string {
    return `${this.#serverSees}:${this.#clientPort}`;
  }

  /** One line, as the other end gets it; undefined when it was dropped. */
  says(who: "client" | "server", line: string): SkBuff | undefined {
    const other = who === "client" ? "server" : "client";
    const [from, to] =
      who === "client"
        ? [`${CLIENT}:${this.#clientPort}`, `${SERVER}:21`]
        : [`${SERVER}:21`, this.#peer];
    const header = tcp(from, to, "PA", { seq: this.#at[who], ack: this.#seen[other] });
    const frame: Frame = { ...header, payload: new TextEncoder().encode(line) };
    const got = this.#world.forward(frame);
    this.#at[who] += line.length;
    if (got !== undefined && got.frame.transport?.kind === "tcp")
      this.#seen[who] = got.frame.transport.sequence + got.frame.payload.length;
    return got;
  }

  /** Both say hello: what comes before a first newline is not read. */
  begins(): this {
    this.says("server", "220 ready\r\n");
    this.says("client", "USER x\r\n");
    return this;
  }
}

function dataOf(skb: SkBuff | undefined): string {
  return skb === undefined ? "dropped" : new TextDecoder().decode(skb.frame.payload);
}

function expected(world: Rig): readonly string[] {
  return world.table.expectations
    .entries()
    .map(({ tuple }) => `${tuple.source}>${tuple.destination}:${tuple.destinationPort}`)
    .map((text) =>
      text
        .replaceAll(String(ip(CLIENT)), CLIENT)
        .replaceAll(String(ip(SERVER)), SERVER)
        .replaceAll(String(ip("10.0.2.1")), "10.0.2.1"),
    );
}

const PORT = "PORT 10,0,1,2,156,84\r\n";
const PASV = "227 Entering Passive Mode (10,0,2,2,156,94)\r\n";

describe("the ftp helper", () => {
  test("expects what the client announces with PORT, once, from any port, as RELATED", () => {
    const world = router();
    const control = new Control(world).begins();
    control.says("client", PORT);
    expect(expected(world)).toEqual([`${SERVER}>${CLIENT}:40020`]);
    const [first, second] = [20, 21].map((port) =>
      infoOf(world.forward(tcp(`${SERVER}:${port}`, `${CLIENT}:40020`, "S", { seq: 1 }))),
    );
    expect([first, second]).toEqual(["RELATED", "NEW"]);
    expect(expected(world)).toEqual([]);
    const [master] = world.list();
    expect(master).toMatch(/mark=0 helper=ftp use=2$/);
  });

  test("reads nothing before a line has gone by in that direction", () => {
    const world = router();
    new Control(world).says("client", PORT);
    expect(expected(world)).toEqual([]);
  });

  test("expects what the server says of PASV and EPSV; the newer takes the place of the older", () => {
    const world = router();
    const control = new Control(world).begins();
    control.says("server", PASV);
    expect(expected(world)).toEqual([`${CLIENT}>${SERVER}:40030`]);
    control.says("server", "229 Entering Extended Passive Mode (|||40031|)\r\n");
    expect(expected(world)).toEqual([`${CLIENT}>${SERVER}:40031`]);
    control.says("client", "EPRT |1|10.0.1.2|40021|\r\n");
    expect(expected(world)).toEqual([`${SERVER}>${CLIENT}:40021`]);
  });

  test("does not believe an address of somebody else, unless it is loose", () => {
    const world = router();
    const control = new Control(world).begins();
    expect(dataOf(control.says("client", "PORT 10,0,9,9,156,84\r\n"))).toContain("10,0,9,9");
    expect(expected(world)).toEqual([]);
    world.table.settings.ftpLoose = true;
    control.says("client", "PORT 10,0,9,9,156,84\r\n");
    expect(expected(world)).toEqual([`${SERVER}>${ip("10.0.9.9")}:40020`]);
  });

  test("drops a command that is cut in two, which would go by unread", () => {
    const world = router();
    const control = new Control(world).begins();
    expect(dataOf(control.says("client", "PORT 10,0,1"))).toBe("dropped");
    expect(world.events.filter((event) => event.kind === "conntrack").at(-1)).toMatchObject({
      action: "helper",
      why: "nf_ct_ftp: dropping packet: partial matching of `PORT'",
    });
  });

  test("expectations last 300 s, and go with their master", () => {
    const world = router();
    const control = new Control(world).begins();
    control.says("client", PORT);
    world.wait(299.9);
    expect(expected(world)).toHaveLength(1);
    world.wait(0.1);
    expect(expected(world)).toEqual([]);
    const other = router();
    new Control(other).begins().says("client", PORT);
    expect(expected(other)).toHaveLength(1);
    other.table.remove(() => true);
    expect(expected(other)).toEqual([]);
  });

  test("a connection to another end, or without the helper, is read by nobody", () => {
    const world = rig();
    const control = new Control(world).begins();
    control.says("client", PORT);
    expect(expected(world)).toEqual([]);
    expect(world.list()[0]).not.toContain("helper");
  });

  test("an expected connection has its master's mark", () => {
    const world = router();
    const control = new Control(world).begins();
    control.says("client", PORT);
    const [master] = world.table.entries();
    if (master !== undefined) master.mark = 7;
    const data = world.forward(tcp(`${SERVER}:20`, `${CLIENT}:40020`, "S", { seq: 1 }));
    expect(data?.ct?.entry?.mark).toBe(7);
  });
});

describe("the ftp helper behind NAT", () => {
  test("writes the address that the server sees, and the data connection is led to the client", () => {
    const world = masqueraded(router());
    const control = new Control(world, "10.0.2.1").begins();
    expect(dataOf(control.says("client", PORT))).toBe("PORT 10,0,2,1,156,84\r\n");
    expect(expected(world)).toEqual([`${SERVER}>10.0.2.1:40020`]);
    const data = world.forward(tcp(`${SERVER}:20`, "10.0.2.1:40020", "S", { seq: 1 }));
    expect(infoOf(data)).toBe("RELATED");
    expect(data === undefined ? "" : formatFrame(data.frame)).toContain(
      `${SERVER}.20 > ${CLIENT}.40020`,
    );
  });

  test("moves sequence numbers behind a text that became longer or shorter, both ways", () => {
    const world = masqueraded(router(), "10.0.2.100");
    const control = new Control(world, "10.0.2.100").begins();
    const port = control.says("client", PORT);
    expect(dataOf(port)).toBe("PORT 10,0,2,100,156,84\r\n");
    expect(port?.frame.transport).toMatchObject({ sequence: 1_009 });
    // The client counts two bytes less than the server.
    const answer = control.says("server", "200 ok\r\n");
    expect(answer?.frame.transport).toMatchObject({ acknowledgment: 1_009 + PORT.length });
    expect(infoOf(answer)).toBe("ESTABLISHED_REPLY");
    const list = control.says("client", "LIST\r\n");
    expect(list?.frame.transport).toMatchObject({ sequence: 1_009 + PORT.length + 2 });
    // A repeated PORT is written again, and moves nothing twice.
    const again = control.says("client", "PORT 10,0,1,2,156,85\r\n");
    expect(dataOf(again)).toBe("PORT 10,0,2,100,156,85\r\n");
    expect(again?.frame.transport).toMatchObject({ sequence: 1_009 + PORT.length + 2 + 6 });
    const quit = control.says("client", "QUIT\r\n");
    expect(quit?.frame.transport).toMatchObject({
      sequence: 1_009 + 2 * (PORT.length + 2) + 6,
    });
  });

  test("takes another port when a second client waits for the same", () => {
    const world = masqueraded(router());
    for (const port of [4_000, 4_001]) {
      const control = new Control(world, "10.0.2.1", port).begins();
      control.says("client", PORT);
    }
    const ports = world.table.expectations.entries().map(({ tuple }) => tuple.destinationPort);
    expect(ports[0]).toBe(40_020);
    expect(ports[1]).toBeGreaterThan(40_020);
    expect(ports).toHaveLength(2);
  });

  test("in front of the server, PASV tells the address that the client knows", () => {
    const world = router();
    const real = { low: ip(SERVER), high: ip(SERVER) };
    registerNatLookup(world.ns, "ipv4", "PREROUTING", (skb, state) =>
      skb.frame.network?.kind === "ipv4" && skb.frame.network.destination === ip("10.0.1.1")
        ? setupDnat(skb, state, { addresses: real })
        : ACCEPT,
    );
    world.forward(tcp(`${CLIENT}:4000`, "10.0.1.1:21", "S", { seq: 1_000 }));
    world.forward(tcp(`${SERVER}:21`, `${CLIENT}:4000`, "SA", { seq: 5_000, ack: 1_001 }));
    world.forward(tcp(`${CLIENT}:4000`, "10.0.1.1:21", "A", { seq: 1_001, ack: 5_001 }));
    const say = (line: string, seq: number): SkBuff | undefined =>
      world.forward({
        ...tcp(`${SERVER}:21`, `${CLIENT}:4000`, "PA", { seq, ack: 1_001 }),
        payload: new TextEncoder().encode(line),
      });
    say("220 ready\r\n", 5_001);
    const pasv = say(PASV, 5_012);
    expect(dataOf(pasv)).toBe("227 Entering Passive Mode (10,0,1,1,156,94)\r\n");
    const data = world.forward(tcp(`${CLIENT}:4500`, "10.0.1.1:40030", "S", { seq: 1 }));
    expect(infoOf(data)).toBe("RELATED");
    expect(data === undefined ? "" : formatFrame(data.frame)).toContain(`> ${SERVER}.40030`);
  });
});

describe("the tftp helper", () => {
  const request = Uint8Array.of(0, 1, 120, 0, 111, 0);

  test("expects the server's answer from another port", () => {
    const world = router("tftp", 69);
    world.forward(udp(`${CLIENT}:4000`, `${SERVER}:69`, request));
    expect(expected(world)).toEqual([`${SERVER}>${CLIENT}:4000`]);
    const answer = world.forward(udp(`${SERVER}:3333`, `${CLIENT}:4000`, Uint8Array.of(0, 3)));
    expect(infoOf(answer)).toBe("RELATED");
  });

  test("behind NAT the answer finds the client", () => {
    const world = masqueraded(router("tftp", 69));
    world.forward(udp(`${CLIENT}:4000`, `${SERVER}:69`, request));
    const answer = world.forward(udp(`${SERVER}:3333`, "10.0.2.1:4000", Uint8Array.of(0, 3)));
    expect(answer === undefined ? "" : formatFrame(answer.frame)).toContain(`> ${CLIENT}.4000`);
  });
});

test("a helper that is not modelled leaves UNKNOWN at the data that it would read", () => {
  const world = router("irc", 6667);
  world.forward(tcp(`${CLIENT}:4000`, `${SERVER}:6667`, "S", { seq: 1 }));
  expect(world.events.some((event) => event.kind === "unknown")).toBe(false);
  world.forward(tcp(`${SERVER}:6667`, `${CLIENT}:4000`, "SA", { seq: 1, ack: 2 }));
  world.forward({
    ...tcp(`${CLIENT}:4000`, `${SERVER}:6667`, "PA", { seq: 2, ack: 2 }),
    payload: new TextEncoder().encode("PRIVMSG x :DCC SEND\r\n"),
  });
  expect(world.events.filter((event) => event.kind === "unknown")).toMatchObject([
    { what: "what the conntrack helper irc reads in this packet" },
  ]);
});

describe("conntrack about helpers", () => {
  function run(world: Rig, ...args: readonly string[]): string {
    const context = { sim: world.sim, ns: "router", stdin: "", stdinName: undefined };
    return conntrackTool.run(args, context).stdout;
  }

  /** As recorded from conntrack 1.4.7 on Linux 6.18. */
  test("-L expect, -E and -E expect", () => {
    const world = masqueraded(router());
    expect(run(world, "-E") + run(world, "-E", "expect")).toBe("");
    const control = new Control(world, "10.0.2.1").begins();
    control.says("client", PORT);
    world.wait(0.5);
    const line =
      "proto=6 src=10.0.2.2 dst=10.0.2.1 sport=0 dport=40020 mask-src=255.255.255.255 mask-dst=255.255.255.255 sport=0 dport=65535 master-src=10.0.1.2 master-dst=10.0.2.2 sport=4000 dport=21 class=0 helper=ftp\n";
    expect(run(world, "-L", "expect")).toBe(`299 ${line}`);
    world.forward(tcp(`${SERVER}:20`, "10.0.2.1:40020", "S", { seq: 1 }));
    expect(run(world, "-E", "expect")).toBe(`    [NEW] 300 ${line}[DESTROY] 299 ${line}`);
    expect(run(world, "-S", "expect")).toBe(
      "cpu=0   \texpect_new=1 expect_create=1 expect_delete=1 \n",
    );
    const tuples =
      "src=10.0.1.2 dst=10.0.2.2 sport=4000 dport=21 src=10.0.2.2 dst=10.0.2.1 sport=21 dport=4000";
    const unreplied = tuples.replace("dport=21 ", "dport=21 [UNREPLIED] ");
    expect(run(world, "-E").split("\n")).toEqual([
      `    [NEW] tcp      6 120 SYN_SENT ${unreplied} helper=ftp`,
      ` [UPDATE] tcp      6 60 SYN_RECV ${tuples} helper=ftp`,
      ` [UPDATE] tcp      6 432000 ESTABLISHED ${tuples} [ASSURED] helper=ftp`,
      "    [NEW] tcp      6 120 SYN_SENT src=10.0.2.2 dst=10.0.2.1 sport=20 dport=40020 [UNREPLIED] src=10.0.1.2 dst=10.0.2.2 sport=40020 dport=20",
      "",
    ]);
    run(world, "-D", "-p", "tcp", "--dport", "40020");
    expect(run(world, "-E", "-e", "DESTROY", "-o", "timestamp")).toBe(
      "[0       .500000]\t[DESTROY] tcp      6 120 SYN_SENT src=10.0.2.2 dst=10.0.2.1 sport=20 dport=40020 [UNREPLIED] src=10.0.1.2 dst=10.0.2.2 sport=40020 dport=20\n",
    );
  });
});
