import { decodeIpPacket, type Frame } from "../wire/frame.js";
import {
  ICMP_DEST_UNREACH,
  ICMP_ECHO,
  ICMP_ECHOREPLY,
  ICMP_PARAMETERPROB,
  ICMP_REDIRECT,
  ICMP_TIME_EXCEEDED,
} from "../wire/icmp.js";
import { formatIp } from "../wire/ip.js";

/** Who talks to whom, one way: `6 10.244.1.5:40000 > 10.96.44.10:80`. */
export interface FlowKey {
  readonly forward: string;
  readonly reverse: string;
}

/** ICMP messages that quote the packet they are about. */
const QUOTING: readonly number[] = [
  ICMP_DEST_UNREACH,
  ICMP_REDIRECT,
  ICMP_TIME_EXCEEDED,
  ICMP_PARAMETERPROB,
];

/** The flow that a frame belongs to. An ICMP error belongs to that of the packet it quotes, the other way. */
export function flowOf(frame: Frame): FlowKey {
  const { network, transport, payload } = frame;
  if (network?.kind === "arp")
    return both("arp", formatIp(network.senderIp), formatIp(network.targetIp));
  if (network === undefined)
    return both("eth", frame.link.source.toString(16), frame.link.destination.toString(16));
  if (transport?.kind === "icmp" && QUOTING.includes(transport.type)) {
    const quoted = decodeIpPacket(payload);
    if (quoted.ok && quoted.value.network?.kind === "ipv4") {
      const { forward, reverse } = flowOf(quoted.value);
      return { forward: reverse, reverse: forward };
    }
  }
  const [from, to] = ports(frame);
  return both(
    String(network.protocol),
    `${formatIp(network.source)}${from}`,
    `${formatIp(network.destination)}${to}`,
  );
}

function both(what: string, from: string, to: string): FlowKey {
  return { forward: `${what} ${from} > ${to}`, reverse: `${what} ${to} > ${from}` };
}

function ports({ transport }: Frame): readonly [string, string] {
  if (transport === undefined) return ["", ""];
  if ("sourcePort" in transport)
    return [`:${transport.sourcePort}`, `:${transport.destinationPort}`];
  if (transport.type === ICMP_ECHO || transport.type === ICMP_ECHOREPLY) {
    const id = `#${transport.rest >>> 16}`;
    return [id, id];
  }
  return ["", ""];
}

/** The same for both ways of a conversation. */
export function conversationOf({ forward, reverse }: FlowKey): string {
  return forward < reverse ? forward : reverse;
}

/** What tells a packet from others of its flow, wherever it is seen with these addresses: its own bytes but TTL, id and MACs. */
export function signatureOf(frame: Frame): string {
  const { network, transport, payload } = frame;
  const { forward } = flowOf(frame);
  if (network?.kind === "arp") return `${forward} ${network.operation}`;
  const fragment =
    network?.kind === "ipv4" ? `${network.fragmentOffset}${network.moreFragments ? "+" : ""}` : "";
  const head = `${forward} ${fragment}`;
  if (transport === undefined) return `${head} ${payload.length}`;
  switch (transport.kind) {
    case "tcp":
      return `${head} tcp ${transport.flags} ${transport.sequence} ${payload.length}`;
    case "udp":
      return `${head} udp ${payload.length}`;
    default:
      return `${head} icmp ${transport.type} ${transport.code} ${transport.rest}`;
  }
}
