import { describe, expect, test } from "vitest";
import { ACCEPT, type HookState, type Verdict } from "../../../src/core/hooks.js";
import type { SkBuff } from "../../../src/core/skbuff.js";
import { registerNatLookup, type NatHook } from "../../../src/netfilter/nat/hooks.js";
import type { NatRange } from "../../../src/netfilter/nat/range.js";
import { netmap, setupDnat, setupSnat } from "../../../src/netfilter/nat/targets.js";
import { decodeIpPacket, type Frame } from "../../../src/wire/frame.js";
import { formatIp } from "../../../src/wire/ip.js";
import { echo6, error6, infoOf, ip6, type Rig, rig, udp, udp6 } from "../rig.js";

const CLIENT = "2001:db8:1::2";
const VIP = "fd00:96::10";
const SERVER = "2001:db8:2::2";
const ROUTER = "2001:db8:2::1";

function at(world: Rig, hook: NatHook, lookup: (skb: SkBuff, state: HookState) => Verdict): void {
  registerNatLookup(world.ns, "ipv6", hook, lookup);
}

function to(address: string, port?: number): NatRange {
  const ports = port === undefined ? undefined : { low: port, high: port };
  return { addresses: { low: ip6(address), high: ip6(address) }, ports };
}

/** DNAT of the Service, and everything masked behind the router. */
function service(port?: number): Rig {
  const world = rig();
  at(world, "PREROUTING", (skb, state) =>
    skb.frame.network?.kind === "ipv6" && skb.frame.network.destination === ip6(VIP)
      ? setupDnat(skb, state, to(SERVER, port))
      : ACCEPT,
  );
  at(world, "POSTROUTING", (skb, state) => setupSnat(skb, state, to(ROUTER)));
  return world;
}

/** `[2001:db8:1::2]:1111 > [2001:db8:2::2]:53`, or the id of an echo. */
function ends(frame: Frame | undefined): string {
  const { network, transport } = frame ?? {};
  if (network?.kind !== "ipv6" || transport === undefined) return "nothing";
  const [source, destination] = [formatIp(network.source), formatIp(network.destination)];
  if (transport.kind === "icmpv6" || transport.kind === "icmp")
    return `${source} > ${destination} id ${transport.rest >>> 16}`;
  return `[${source}]:${transport.sourcePort} > [${destination}]:${transport.destinationPort}`;
}

describe("NAT between IPv6 addresses", () => {
  test("changes request and answer, and lists both tuples", () => {
    const world = service(5353);
    const sent = world.forward(udp6(`[${CLIENT}]:1111`, `[${VIP}]:53`));
    expect(ends(sent?.frame)).toBe(`[${ROUTER}]:1111 > [${SERVER}]:5353`);
    const back = world.forward(udp6(`[${SERVER}]:5353`, `[${ROUTER}]:1111`));
    expect(ends(back?.frame)).toBe(`[${VIP}]:53 > [${CLIENT}]:1111`);
    expect(world.list()).toEqual([
      "udp      17 30 src=2001:db8:1::2 dst=fd00:96::10 sport=1111 dport=53 src=2001:db8:2::2 dst=2001:db8:2::1 sport=5353 dport=1111 mark=0 use=1",
    ]);
    const bindings = world.events.flatMap((event) =>
      event.kind === "conntrack" && event.action === "nat" ? [event.why] : [],
    );
    expect(bindings).toEqual([
      "DNAT [fd00:96::10]:53 -> [2001:db8:2::2]:5353",
      "SNAT [2001:db8:1::2]:1111 -> [2001:db8:2::1]:1111",
    ]);
  });

  test("gives a second echo of the same id another one", () => {
    const world = service();
    expect(ends(world.forward(echo6(128, CLIENT, VIP, 9))?.frame)).toBe(
      `${ROUTER} > ${SERVER} id 9`,
    );
    const second = world.forward(echo6(128, "2001:db8:1::3", VIP, 9));
    expect(ends(second?.frame)).not.toBe(`${ROUTER} > ${SERVER} id 9`);
    const { transport } = second?.frame ?? {};
    const id = transport?.kind === "icmpv6" ? transport.rest >>> 16 : -1;
    expect(ends(world.forward(echo6(129, SERVER, ROUTER, id))?.frame)).toBe(
      `${VIP} > 2001:db8:1::3 id 9`,
    );
  });

  test("an error comes from the Service and quotes what the client sent", () => {
    const world = service(5353);
    const sent = world.forward(udp6(`[${CLIENT}]:1111`, `[${VIP}]:53`));
    if (sent === undefined) throw new Error("dropped");
    const told = world.forward(error6(SERVER, ROUTER, sent.frame));
    expect(infoOf(told)).toBe("RELATED_REPLY");
    expect(told?.frame.network).toMatchObject({ source: ip6(VIP), destination: ip6(CLIENT) });
    const quoted = decodeIpPacket(told?.frame.payload ?? new Uint8Array());
    expect(quoted.ok ? ends(quoted.value) : quoted).toBe(`[${CLIENT}]:1111 > [${VIP}]:53`);
    // The quoted checksum goes with the quoted addresses again.
    expect(quoted.ok && quoted.value.transport?.checksumError).toBeUndefined();
  });

  test("is asked of the chains of its own family", () => {
    const world = rig();
    const asked: string[] = [];
    registerNatLookup(world.ns, "ipv4", "PREROUTING", () => (asked.push("ipv4"), ACCEPT));
    const remove = registerNatLookup(
      world.ns,
      "ipv6",
      "PREROUTING",
      () => (asked.push("ipv6"), ACCEPT),
    );
    world.forward(udp6(`[${CLIENT}]:1111`, `[${VIP}]:53`));
    world.forward(udp("10.0.0.1:1", "10.0.0.2:2"));
    remove();
    world.forward(udp6(`[${CLIENT}]:1112`, `[${VIP}]:53`));
    world.forward(udp("10.0.0.1:3", "10.0.0.2:2"));
    expect(asked).toEqual(["ipv6", "ipv4", "ipv4"]);
  });

  test("NETMAP keeps the host part under any length of prefix", () => {
    const world = rig();
    at(world, "PREROUTING", (skb, state) =>
      netmap(skb, state, { address: ip6("2001:db8:8000::"), length: 33 }),
    );
    expect(ends(world.forward(udp6(`[${CLIENT}]:1`, "[fd00:1:7fff:2::9]:2"))?.frame)).toBe(
      "[2001:db8:1::2]:1 > [2001:db8:ffff:2::9]:2",
    );
  });

  test("leaves what neighbours say to each other alone", () => {
    const world = service();
    expect(ends(world.forward(echo6(135, CLIENT, VIP, 1))?.frame)).toBe(`${CLIENT} > ${VIP} id 1`);
    expect(world.list()).toEqual([]);
  });
});
