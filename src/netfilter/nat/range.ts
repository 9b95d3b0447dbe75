import type { Tuple } from "../../core/conntrack.js";
import type { IpAddress } from "../../wire/ip.js";
import { isIcmpProtocol } from "../conntrack/tuple.js";

/** Which half of a packet NAT changes. Mirrors enum nf_nat_manip_type. */
export type NatKind = "SRC" | "DST";

/** What a NAT target asks for. Absent means: as it is. Mirrors struct nf_nat_range2. */
export interface NatRange {
  readonly addresses?: { readonly low: IpAddress; readonly high: IpAddress } | undefined;
  /** Ports, or ids of ICMP; both ends included. */
  readonly ports?: { readonly low: number; readonly high: number } | undefined;
  /** `--to-destination a:p-q/base`: the port is chosen by its distance from this one. */
  readonly basePort?: number | undefined;
  /** `--random`. */
  readonly random?: boolean | undefined;
  /** `--random-fully`. */
  readonly randomFully?: boolean | undefined;
  /** `--persistent`: the destination does not matter for the choice of the address. */
  readonly persistent?: boolean | undefined;
}

/** Whether a tuple's source already is what the range asks for. Mirrors net/netfilter/nf_nat_core.c:nf_in_range(). */
export function sourceInRange(tuple: Tuple, range: NatRange): boolean {
  const { addresses, ports } = range;
  if (addresses !== undefined && (tuple.source < addresses.low || tuple.source > addresses.high))
    return false;
  return ports === undefined || portInRange(tuple, "SRC", ports);
}

/** Mirrors l4proto_in_range(). */
export function portInRange(
  tuple: Tuple,
  kind: NatKind,
  ports: { readonly low: number; readonly high: number },
): boolean {
  const port = natPort(tuple, kind);
  return port >= ports.low && port <= ports.high;
}

/** The port that this kind of NAT changes; for ICMP always the id. */
export function natPort(tuple: Tuple, kind: NatKind): number {
  return kind === "SRC" || isIcmpProtocol(tuple.protocol)
    ? tuple.sourcePort
    : tuple.destinationPort;
}

export function withNatPort(tuple: Tuple, kind: NatKind, port: number): Tuple {
  return kind === "SRC" || isIcmpProtocol(tuple.protocol)
    ? { ...tuple, sourcePort: port }
    : { ...tuple, destinationPort: port };
}

export function withNatAddress(tuple: Tuple, kind: NatKind, address: IpAddress): Tuple {
  return kind === "SRC" ? { ...tuple, source: address } : { ...tuple, destination: address };
}
