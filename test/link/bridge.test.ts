import { describe, expect, test } from "vitest";
import { createVethPair } from "../../src/link/veth.js";
import { later, seconds } from "../../src/sim/time.js";
import { formatMac } from "../../src/wire/ip.js";
import { bridgeLab, drops, mac, send, testFrame } from "./link-fixtures.js";

const E1 = "02:00:00:00:02:01";
const E2 = "02:00:00:00:02:02";
const E3 = "02:00:00:00:02:03";
const P1 = "02:00:00:00:01:01";
const P3 = "02:00:00:00:01:03";
const NOBODY = "02:00:00:00:09:09";
const EVERYBODY = "ff:ff:ff:ff:ff:ff";

// Results and reasons in this file were compared with Linux 6.18 (frames from AF_PACKET sockets, drops from skb:kfree_skb).
describe("a bridge", () => {
  test("floods what it does not know to the newest port first, and not back", () => {
    const lab = bridgeLab(3);
    send(lab, "e1", testFrame(E1, NOBODY));
    expect(lab.seen.map(({ dev }) => dev)).toEqual(["e3", "e2"]);
  });

  test("gives a broadcast to its own host as well", () => {
    const lab = bridgeLab(3);
    send(lab, "e1", testFrame(E1, EVERYBODY));
    const deliveries = lab.events.flatMap((event) =>
      event.kind === "device" && event.direction === "rx" ? [event.dev] : [],
    );
    expect(deliveries).toEqual(["p1", "br0", "e3", "e2"]);
    expect(lab.seen.map(({ dev }) => dev)).toEqual(["br0", "e3", "e2"]);
  });

  test("sends to the one port behind which it saw an address", () => {
    const lab = bridgeLab(3);
    send(lab, "e2", testFrame(E2, NOBODY));
    const before = lab.seen.length;
    send(lab, "e1", testFrame(E1, E2));
    expect(lab.seen.slice(before).map(({ dev }) => dev)).toEqual(["e2"]);
  });

  test("forgets an address that was silent for 300 s, without a timer", () => {
    const lab = bridgeLab(2);
    send(lab, "e2", testFrame(E2, NOBODY));
    const { queue } = lab.sim;
    expect(queue.nextAt).toBeUndefined();
    queue.advanceTo(later(queue.now, seconds(299)));
    expect(lab.bridge.fdb.lookup(mac(E2))).toBeDefined();
    queue.advanceTo(later(queue.now, seconds(1)));
    expect(lab.bridge.fdb.lookup(mac(E2))).toBeUndefined();
  });

  test("follows an address that moves to another port at once", () => {
    const lab = bridgeLab(3);
    send(lab, "e2", testFrame(E2, NOBODY));
    send(lab, "e3", testFrame(E2, NOBODY));
    expect(lab.bridge.fdb.lookup(mac(E2))?.port?.dev.name).toBe("p3");
    const learned = lab.events.flatMap((event) =>
      event.kind === "bridge" && event.action === "learn" ? [event.why] : [],
    );
    expect(learned).toEqual([`${E2} is behind p2`, `${E2} moved to p3`]);
  });

  test("keeps a static entry where it is", () => {
    const lab = bridgeLab(3);
    lab.bridge.fdb.set({
      mac: mac(E2),
      port: lab.bridge.portOf(lab.ns.device("p2")),
      local: false,
      static: true,
      byUser: true,
    });
    send(lab, "e3", testFrame(E2, NOBODY));
    expect(lab.bridge.fdb.lookup(mac(E2))?.port?.dev.name).toBe("p2");
  });

  test("takes frames to any of its ports' addresses up to its host", () => {
    const lab = bridgeLab(3);
    send(lab, "e1", testFrame(E1, P3));
    expect(lab.seen.map(({ dev, skb }) => `${dev} ${skb.packetType}`)).toEqual(["br0 OTHERHOST"]);
    expect(drops(lab)).toEqual([]);
  });

  test("a promiscuous one hands up what it forwards, as for another host", () => {
    const lab = bridgeLab(2);
    lab.bridge.promiscuous = true;
    send(lab, "e2", testFrame(E2, NOBODY));
    const before = lab.seen.length;
    send(lab, "e1", testFrame(E1, E2));
    const after = lab.seen.slice(before).map(({ dev, skb }) => `${dev} ${skb.packetType}`);
    expect(after).toEqual(["br0 OTHERHOST", "e2 HOST"]);
  });

  test("refuses a frame for the port it came from", () => {
    const lab = bridgeLab(2);
    send(lab, "e1", testFrame(E1, E1));
    expect(drops(lab)).toEqual(["NOT_SPECIFIED br_handle_frame_finish"]);
  });

  test("sends it back with hairpin, and broadcasts too", () => {
    const lab = bridgeLab(2);
    const port = lab.bridge.portOf(lab.ns.device("p1"));
    if (port !== undefined) port.flags.hairpin = true;
    send(lab, "e1", testFrame(E1, E1));
    send(lab, "e1", testFrame(E1, EVERYBODY));
    expect(lab.seen.map(({ dev }) => dev)).toEqual(["e1", "br0", "e2", "e1"]);
  });

  test("lets isolated ports talk to others but not to each other", () => {
    const lab = bridgeLab(3);
    for (const name of ["p1", "p2"]) {
      const port = lab.bridge.portOf(lab.ns.device(name));
      if (port !== undefined) port.flags.isolated = true;
    }
    send(lab, "e2", testFrame(E2, EVERYBODY));
    expect(lab.seen.map(({ dev }) => dev)).toEqual(["br0", "e3"]);
    send(lab, "e1", testFrame(E1, E2));
    expect(drops(lab)).toEqual(["NOT_SPECIFIED br_handle_frame_finish"]);
  });

  test("drops what no port may flood, as having no target", () => {
    const lab = bridgeLab(3);
    for (const port of lab.bridge.ports) port.flags.flood = false;
    send(lab, "e1", testFrame(E1, NOBODY));
    expect(drops(lab)).toEqual(["NO_TX_TARGET br_handle_frame_finish"]);
  });

  test("does not learn where learning is off", () => {
    const lab = bridgeLab(2);
    const port = lab.bridge.portOf(lab.ns.device("p1"));
    if (port !== undefined) port.flags.learning = false;
    send(lab, "e1", testFrame(E1, NOBODY));
    expect(lab.bridge.fdb.lookup(mac(E1))).toBeUndefined();
  });

  test("does not learn its own port's address from a frame, but forwards it", () => {
    const lab = bridgeLab(2);
    send(lab, "e1", testFrame(P1, NOBODY));
    expect(lab.seen.map(({ dev }) => dev)).toEqual(["e2"]);
    expect(lab.bridge.fdb.lookup(mac(P1))?.local).toBe(true);
  });

  test.each([
    ["03:00:00:00:02:01", "a group"],
    ["00:00:00:00:00:00", "nobody"],
  ])("refuses a frame from %s (%s)", (source) => {
    const lab = bridgeLab(2);
    send(lab, "e1", testFrame(source, NOBODY));
    expect(drops(lab)).toEqual(["MAC_INVALID_SOURCE br_handle_frame"]);
  });

  test.each([
    ["01:80:c2:00:00:00", ["br0", "e2"], []],
    ["01:80:c2:00:00:01", [], ["MAC_IEEE_MAC_CONTROL br_handle_frame"]],
    ["01:80:c2:00:00:03", ["p1"], []],
    ["01:80:c2:00:00:0e", ["p1"], []],
    ["01:80:c2:00:00:10", ["br0", "e2"], []],
  ])("treats the group %s as the standard reserves it", (group, receivers, reasons) => {
    const lab = bridgeLab(2);
    send(lab, "e1", testFrame(E1, group));
    expect(lab.seen.map(({ dev }) => dev)).toEqual(receivers);
    expect(drops(lab)).toEqual(reasons);
  });

  test("forwards a reserved group that its mask lets through", () => {
    const lab = bridgeLab(2);
    lab.bridge.groupForwardMask = 1 << 14;
    send(lab, "e1", testFrame(E1, "01:80:c2:00:00:0e"));
    expect(lab.seen.map(({ dev }) => dev)).toEqual(["br0", "e2"]);
  });

  test.each([
    ["disabled", "br_handle_frame"],
    ["listening", "br_handle_frame"],
    ["learning", "br_handle_frame_finish"],
  ] as const)("drops what arrives at a port that is %s", (state, where) => {
    const lab = bridgeLab(2);
    const port = lab.bridge.portOf(lab.ns.device("p1"));
    if (port !== undefined) lab.bridge.setPortState(port, state);
    send(lab, "e1", testFrame(E1, NOBODY));
    expect(drops(lab)).toEqual([`BRIDGE_INGRESS_STP_STATE ${where}`]);
    expect(lab.bridge.fdb.lookup(mac(E1)) !== undefined).toBe(state === "learning");
  });

  test("passes a frame four bytes longer than a port's MTU and drops a longer one silently", () => {
    const lab = bridgeLab(2);
    lab.ns.device("e1").mtu = 3000;
    lab.ns.device("p1").mtu = 3000;
    send(lab, "e1", testFrame(E1, NOBODY, 1504));
    expect(lab.seen.map(({ dev }) => dev)).toEqual(["e2"]);
    send(lab, "e1", testFrame(E1, NOBODY, 1505));
    expect(drops(lab)).toEqual(["NOT_SPECIFIED br_dev_queue_push_xmit"]);
  });

  test("floods what its own host sends, to isolated ports as well", () => {
    const lab = bridgeLab(3);
    for (const port of lab.bridge.ports) port.flags.isolated = true;
    send(lab, "br0", testFrame(P1, EVERYBODY));
    expect(lab.seen.map(({ dev }) => dev)).toEqual(["e3", "e2", "e1"]);
  });

  test("runs the hooks of its family with the ports as devices", () => {
    const lab = bridgeLab(2);
    const walked: string[] = [];
    for (const hook of ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"] as const) {
      lab.ns.hooks.register("bridge", {
        name: "spy",
        hook,
        priority: 0,
        run: (_skb, state) => {
          walked.push(`${hook} ${state.in?.name ?? "-"} ${state.out?.name ?? "-"}`);
          return { kind: "accept" };
        },
      });
    }
    send(lab, "e1", testFrame(E1, EVERYBODY));
    send(lab, "br0", testFrame(P1, E1));
    expect(walked).toEqual([
      "PREROUTING p1 -",
      "FORWARD p1 p2",
      "POSTROUTING - p2",
      "INPUT p1 -",
      "OUTPUT - p1",
      "POSTROUTING - p1",
    ]);
  });

  test("loses a frame that a hook drops, and says so", () => {
    const lab = bridgeLab(2);
    lab.ns.hooks.register("bridge", {
      name: "wall",
      hook: "FORWARD",
      priority: 0,
      run: () => ({ kind: "drop", reason: "NETFILTER_DROP", where: "nft_do_chain" }),
    });
    send(lab, "e1", testFrame(E1, NOBODY));
    expect(drops(lab)).toEqual(["NETFILTER_DROP nft_do_chain"]);
  });
});

describe("a bridge's own address", () => {
  test("is the lowest of its ports' and follows them until somebody sets it", () => {
    const lab = bridgeLab(2);
    expect(formatMac(lab.bridge.mac)).toBe("02:00:00:00:01:01");
    lab.bridge.removePort(lab.ns.device("p1"));
    expect(formatMac(lab.bridge.mac)).toBe("02:00:00:00:01:02");
    const p2 = lab.ns.device("p2");
    p2.mac = mac("02:00:00:00:00:01");
    lab.ns.notify("address", p2);
    expect(formatMac(lab.bridge.mac)).toBe("02:00:00:00:00:01");
    expect(lab.bridge.fdb.lookup(mac("02:00:00:00:01:02"))).toBeUndefined();
    lab.bridge.setMac(mac("02:00:00:00:aa:aa"));
    lab.bridge.removePort(p2);
    expect(formatMac(lab.bridge.mac)).toBe("02:00:00:00:aa:aa");
  });

  test("is zero once the last port has gone", () => {
    const lab = bridgeLab(1);
    lab.bridge.removePort(lab.ns.device("p1"));
    expect(formatMac(lab.bridge.mac)).toBe("00:00:00:00:00:00");
    expect(lab.bridge.carrier).toBe(false);
  });
});

describe("a bridge's carrier", () => {
  test("is there before the first port, and then while one forwards", () => {
    const lab = bridgeLab(0);
    expect(lab.bridge.carrier).toBe(true);
    const [port, end] = createVethPair(
      lab.sim,
      { name: "p1", ns: lab.ns },
      { name: "e1", ns: lab.ns },
    );
    lab.bridge.addPort(port);
    expect(lab.bridge.carrier).toBe(false);
    port.setUp(true);
    expect(lab.bridge.carrier).toBe(false);
    end.setUp(true);
    expect(lab.bridge.carrier).toBe(true);
    end.setUp(false);
    expect(lab.bridge.carrier).toBe(false);
  });

  test("when lost forgets what was learned behind the port", () => {
    const lab = bridgeLab(2);
    send(lab, "e2", testFrame(E3, NOBODY));
    expect(lab.bridge.fdb.lookup(mac(E3))).toBeDefined();
    lab.ns.device("e2").setUp(false);
    expect(lab.bridge.fdb.lookup(mac(E3))).toBeUndefined();
  });
});
