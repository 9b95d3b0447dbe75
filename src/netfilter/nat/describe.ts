import type { Tuple } from "../../core/conntrack.js";
import { type IpAddress, formatIpv4, formatIpv6 } from "../../wire/ip.js";
import { isIcmpProtocol } from "../conntrack/tuple.js";
import type { NatKind } from "./range.js";

/** What a binding changes: `DNAT 10.96.0.1:80 -> 10.244.1.5:8080`. Told from the answers' tuple before and after. */
export function describeBinding(before: Tuple, after: Tuple, kind: NatKind): string {
  const side = kind === "SRC" ? destinationText : sourceText;
  return `${kind === "SRC" ? "SNAT" : "DNAT"} ${side(before)} -> ${side(after)}`;
}

function sourceText(tuple: Tuple): string {
  return endText(tuple.source, tuple.sourcePort, tuple.protocol);
}

function destinationText(tuple: Tuple): string {
  const port = isIcmpProtocol(tuple.protocol) ? tuple.sourcePort : tuple.destinationPort;
  return endText(tuple.destination, port, tuple.protocol);
}

function endText(address: IpAddress, port: number, protocol: number): string {
  const host = typeof address === "number" ? formatIpv4(address) : `[${formatIpv6(address)}]`;
  if (isIcmpProtocol(protocol)) return `${host} id ${port}`;
  return port === 0 ? host : `${host}:${port}`;
}
