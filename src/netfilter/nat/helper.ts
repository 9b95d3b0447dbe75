import { randomBetween } from "../../base/random.js";
import type { NetworkNamespace } from "../../core/namespace.js";
import type { SkBuff } from "../../core/skbuff.js";
import type { Connection } from "../conntrack/connection.js";
import type { Expectation } from "../conntrack/expectations.js";
import { noteGrowth } from "../conntrack/sequence-adjust.js";
import { conntrack } from "../conntrack/table.js";
import { type Direction, ORIGINAL, REPLY } from "../conntrack/tuple.js";
import { natSetupInfo } from "./setup.js";

/** How many ports are tried for an expected connection. */
const MAX_ATTEMPTS = 128;

/**
 * Announces a connection whose master is translated: its NAT will follow the master's, from the direction opposite to the
 * packet that told of it. When its port is taken another is tried, by chance above it. Gives what was announced; undefined when
 * no port is free. Mirrors net/netfilter/nf_nat_helper.c:nf_nat_exp_find_port().
 */
export function expectThroughNat(
  ns: NetworkNamespace,
  expectation: Expectation,
  direction: Direction,
): Expectation | undefined {
  const { master, tuple } = expectation;
  const from = direction === ORIGINAL ? REPLY : ORIGINAL;
  const onArrival = followMaster(ns, master, from, tuple.destinationPort);
  const range = 0xffff - tuple.destinationPort;
  let port = tuple.destinationPort;
  for (let left = Math.min(range, MAX_ATTEMPTS); ; left--) {
    const wanted = { ...expectation, onArrival, tuple: { ...tuple, destinationPort: port } };
    const result = conntrack(ns).expectations.add(wanted);
    if (result === "expected") return wanted;
    if (result !== "busy" || left <= 0) return undefined;
    port = tuple.destinationPort + randomBetween(ns.sim.random, 0, range - 1);
  }
}

/**
 * The NAT of an expected connection: it comes from where the master's other end seems to be, and goes to the port that was meant.
 * Mirrors nf_nat_follow_master(). `direction` is the one of the master that it comes along.
 */
export function followMaster(
  ns: NetworkNamespace,
  master: Connection,
  direction: Direction,
  port: number,
): (entry: Connection) => void {
  return (entry) => {
    const back = master.tuple(direction === ORIGINAL ? REPLY : ORIGINAL);
    const source = { low: back.destination, high: back.destination };
    natSetupInfo(ns, entry, { addresses: source }, "SRC");
    const addresses = { low: back.source, high: back.source };
    natSetupInfo(ns, entry, { addresses, ports: { low: port, high: port } }, "DST");
  };
}

/** A stretch of a segment's data. */
interface Stretch {
  readonly at: number;
  readonly length: number;
}

/** Writes other words into a segment; the sequence numbers of later ones move along. Mirrors nf_nat_mangle_tcp_packet(). */
export function mangleTcpPayload(
  skb: SkBuff,
  entry: Connection,
  direction: Direction,
  { at, length }: Stretch,
  words: string,
): void {
  const { payload, transport } = skb.frame;
  const grown = new Uint8Array(payload.length - length + words.length);
  grown.set(payload.subarray(0, at));
  for (let index = 0; index < words.length; index++) grown[at + index] = words.charCodeAt(index);
  grown.set(payload.subarray(at + length), at + words.length);
  skb.frame = { ...skb.frame, payload: grown };
  if (transport?.kind === "tcp")
    noteGrowth(entry, direction, transport.sequence, words.length - length);
}
