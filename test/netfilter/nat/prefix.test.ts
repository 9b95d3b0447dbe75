import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { drop } from "../../../src/core/drop.js";
import { cloneSkb, newSkb } from "../../../src/core/simulation.js";
import { mapPrefix, prefixChange, translatePrefix } from "../../../src/netfilter/nat/prefix.js";
import { encodeIpPacket, type Frame, withSource } from "../../../src/wire/frame.js";
import { sumWords } from "../../../src/wire/checksum.js";
import {
  formatIp,
  type Ipv6,
  type Ipv6Prefix,
  ipv6PrefixContains,
  maskIpv6,
  parseIpv6Prefix,
  putIpv6,
} from "../../../src/wire/ip.js";
import { anyFrame } from "../../wire/frames.js";
import { oneZero } from "../../wire/support.js";
import { error6, ip6, rig, udp6 } from "../rig.js";

function prefix(text: string): Ipv6Prefix {
  const parsed = parseIpv6Prefix(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

function mapped(from: string, to: string, address: string): string | undefined {
  const result = mapPrefix(prefixChange(prefix(from), prefix(to)), ip6(address));
  return result === undefined ? undefined : formatIp(result);
}

describe("a prefix translated without a connection", () => {
  test("changes the word behind a short prefix, the first of the interface behind a long one", () => {
    // RFC 6296 §3.5: fd01:203:405:1::1234 leaves as 2001:db8:1:d550::1234.
    expect(mapped("fd01:203:405::/48", "2001:db8:1::/48", "fd01:203:405:1::1234")).toBe(
      "2001:db8:1:d550::1234",
    );
    expect(mapped("fd00:2:0:4::/64", "2001:db8:6:7::/64", "fd00:2:0:4::2")).toBe(
      "2001:db8:6:7:cf40::2",
    );
  });

  test("fails where every word that could take the difference is ffff", () => {
    expect(mapped("fd00::/64", "2001:db8::/64", "fd00::ffff:ffff:ffff:ffff")).toBeUndefined();
    expect(mapped("fd00::/64", "2001:db8::/64", "fd00::ffff:ffff:ffff:1")).toBe(
      "2001:db8::ffff:ffff:ffff:cf48",
    );
  });

  const anyPrefix = fc
    .tuple(fc.bigInt({ min: 1n, max: (1n << 128n) - 1n }), fc.integer({ min: 16, max: 64 }))
    .map(([bits, length]): Ipv6Prefix => ({ address: maskIpv6(bits as Ipv6, length), length }));
  const anyAddress = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }).map((bits) => bits as Ipv6);

  test("leaves the sum of every address's words as it was, and is undone by the opposite change", () => {
    fc.assert(
      fc.property(anyPrefix, anyPrefix, anyAddress, ({ address, length }, other, host) => {
        const from = { address, length };
        const to = { address: maskIpv6(other.address, length), length };
        const inside = (address | (host & ((1n << BigInt(128 - length)) - 1n))) as Ipv6;
        const there = mapPrefix(prefixChange(from, to), inside);
        if (there === undefined) return;
        expect(ipv6PrefixContains(to, there)).toBe(true);
        expect(sumOf(there)).toBe(sumOf(inside));
        const back = mapPrefix(prefixChange(to, from), there);
        // 0 and ffff are one number to the sum, and 0 is what is written.
        if (!hasFfff(inside) && !hasFfff(there)) expect(back).toBe(inside);
      }),
    );
  });

  test("leaves the bytes of the transport as they were, whatever the address was", () => {
    const change = prefixChange(prefix("fd00::/16"), prefix("2001::/16"));
    fc.assert(
      fc.property(anyFrame, fc.boolean(), (frame, isInside) => {
        const { network, transport } = frame;
        fc.pre(network?.kind === "ipv6" && transport !== undefined);
        const inside = ((0xfd00n << 112n) | (network.source & ((1n << 112n) - 1n))) as Ipv6;
        const given = isInside ? withSource(frame, inside) : frame;
        const skb = newSkb(rig().ns, given, "test");
        if (translatePrefix(skb, change, "source") !== undefined) return;
        expect(oneZero(encodeIpPacket(skb.frame)).slice(20)).toEqual(
          oneZero(encodeIpPacket(given)).slice(20),
        );
        expect(isInside && skb.frame.transport?.checksumError !== transport.checksumError).toBe(
          false,
        );
      }),
    );
  });

  test("changes the opposite end of the packet that an error quotes, if it has the prefix", () => {
    const change = prefixChange(prefix("fd00:1::/48"), prefix("2001:db8:5::/48"));
    const quoted = (about: Frame): string => {
      const skb = newSkb(rig().ns, error6("fd00:1::9", "2001:db8:2::2", about), "test");
      translatePrefix(skb, change, "source");
      const { payload } = skb.frame;
      return formatIp(addressAt(payload, 24));
    };
    expect(quoted(udp6("[2001:db8:2::2]:1", "[fd00:1::9]:2"))).toBe("2001:db8:5:cf43::9");
    expect(quoted(udp6("[2001:db8:2::2]:1", "[fd00:2::9]:2"))).toBe("fd00:2::9");
  });

  test("changes for every clone that has the same bytes, and is told of each", () => {
    const change = prefixChange(prefix("fd00:1::/48"), prefix("2001:db8:5::/48"));
    const { ns } = rig();
    const before = udp6("[fd00:1::9]:1", "[2001:db8:2::2]:2");
    const skb = newSkb(ns, before, "test");
    const [shares, has, ended] = [
      cloneSkb(skb, "test"),
      cloneSkb(skb, "test"),
      cloneSkb(skb, "test"),
    ];
    has.frame = { ...before };
    drop(ended, "NOT_SPECIFIED", "test");
    const told: unknown[] = [];
    ns.sim.trace = (event) => told.push([event.kind, "packet" in event ? event.packet : 0]);
    translatePrefix(shares, change, "source");
    expect(shares.frame).not.toEqual(before);
    expect(skb.frame).toBe(shares.frame);
    expect(has.frame).toEqual(before);
    expect(ended.frame).toEqual(before);
    expect(told).toEqual([["rewrite", skb.id]]);
  });
});

function sumOf(address: Ipv6): number {
  const bytes = new Uint8Array(16);
  putIpv6(bytes, 0, address);
  return sumWords(bytes) % 0xffff;
}

function hasFfff(address: Ipv6): boolean {
  return Array.from({ length: 8 }, (_, index) => (address >> BigInt(16 * index)) & 0xffffn).some(
    (word) => word === 0xffffn || word === 0n,
  );
}

function addressAt(bytes: Uint8Array, at: number): Ipv6 {
  return bytes.subarray(at, at + 16).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n) as Ipv6;
}
