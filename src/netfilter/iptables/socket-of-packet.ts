import type { HookState } from "../../core/hooks.js";
import { IPS_SRC_NAT_DONE } from "../../core/conntrack.js";
import type { SkBuff } from "../../core/skbuff.js";
import { assignedSocket, type InetSocket } from "../../inet/assigned-socket.js";
import { tcpTable } from "../../inet/tcp-table.js";
import { udpTable } from "../../inet/udp-table.js";
import { decodeIpPacket, type Frame } from "../../wire/frame.js";
import type { IpAddress } from "../../wire/ip.js";
import { isAnyAddress } from "../../wire/ip.js";

/** The two ends of a flow as a socket of this host sees them. */
export interface LocalFlow {
  readonly protocol: "tcp" | "udp";
  readonly local: IpAddress;
  readonly localPort: number;
  readonly remote: IpAddress;
  readonly remotePort: number;
}

/** The socket that a packet is for, were it delivered here. Mirrors net/netfilter/xt_socket.c:socket_match(), its lookup. */
export function socketFor(skb: SkBuff, state: HookState): InetSocket | undefined {
  const given = assignedSocket(skb);
  if (given !== undefined) return given;
  const flow = flowOf(skb);
  return flow === undefined ? undefined : (establishedFor(flow, state) ?? listenerFor(flow, state));
}

/** The connection that a flow belongs to. Mirrors net/ipv4/netfilter/nf_tproxy_ipv4.c:nf_tproxy_get_sock_v4(), its NF_TPROXY_LOOKUP_ESTABLISHED. */
export function establishedFor(flow: LocalFlow, state: HookState): InetSocket | undefined {
  const { ns } = state;
  const { local, localPort, remote, remotePort } = flow;
  if (flow.protocol === "tcp") {
    const socket = tcpTable(ns).connection(local, localPort, remote, remotePort);
    return socket === undefined ? undefined : { kind: "connection", socket };
  }
  const socket = udpTable(ns).lookup(local, localPort, remote, remotePort, state.in);
  return socket === undefined || socket.remotePort === 0 || isAnyAddress(socket.localAddress)
    ? undefined
    : { kind: "udp", socket };
}

/** Who waits for new flows there. Mirrors nf_tproxy_get_sock_v4(), its NF_TPROXY_LOOKUP_LISTENER. */
export function listenerFor(flow: LocalFlow, state: HookState): InetSocket | undefined {
  const { ns } = state;
  const { local, localPort, remote, remotePort } = flow;
  if (flow.protocol === "tcp") {
    const socket = tcpTable(ns).listener(local, localPort, state.in, {
      address: remote,
      port: remotePort,
    });
    return socket === undefined ? undefined : { kind: "listener", socket };
  }
  const socket = udpTable(ns).lookup(local, localPort, remote, remotePort, state.in);
  return socket === undefined || socket.remotePort !== 0 ? undefined : { kind: "udp", socket };
}

/** Whether a socket is bound to no address: it takes packets to any. */
export function isWildcard({ kind, socket }: InetSocket): boolean {
  return kind === "listener"
    ? isAnyAddress(socket.address)
    : kind === "udp" && isAnyAddress(socket.localAddress);
}

/** The flow of a packet or, for an ICMP error, of the packet it is about. Mirrors net/ipv4/netfilter/nf_socket_ipv4.c:nf_sk_lookup_slow_v4() and nf_sk_lookup_slow_v6(). */
function flowOf(skb: SkBuff): LocalFlow | undefined {
  const { frame, ct } = skb;
  const flow = flowOfFrame(frame);
  const { entry } = ct ?? {};
  // The reply of a connection whose source was translated is for the address before that.
  const { transport } = frame;
  const isReply =
    transport?.kind === "icmp" || transport?.kind === "icmpv6"
      ? ct?.info === "RELATED_REPLY"
      : ct?.info === "ESTABLISHED_REPLY";
  if (flow === undefined || entry === undefined || !isReply) return flow;
  if ((entry.status & IPS_SRC_NAT_DONE) === 0) return flow;
  return { ...flow, local: entry.original.source, localPort: entry.original.sourcePort };
}

export function flowOfFrame({ network, transport, payload }: Frame): LocalFlow | undefined {
  if (network === undefined || network.kind === "arp" || transport === undefined) return undefined;
  if (transport.kind === "tcp" || transport.kind === "udp")
    return {
      protocol: transport.kind,
      local: network.destination,
      localPort: transport.destinationPort,
      remote: network.source,
      remotePort: transport.sourcePort,
    };
  const isError =
    transport.kind === "icmp"
      ? QUOTING.includes(transport.type)
      : transport.type < FIRST_INFORMATION;
  if (!isError) return undefined;
  const inner = decodeIpPacket(payload);
  const quoted = inner.ok ? flowOfQuoted(inner.value) : undefined;
  return quoted;
}

/** What is quoted was sent from here. Mirrors extract_icmp4_fields(). */
function flowOfQuoted({ network, transport }: Frame): LocalFlow | undefined {
  if (network === undefined || network.kind === "arp") return undefined;
  if (transport?.kind !== "tcp" && transport?.kind !== "udp") return undefined;
  return {
    protocol: transport.kind,
    local: network.source,
    localPort: transport.sourcePort,
    remote: network.destination,
    remotePort: transport.destinationPort,
  };
}

/** Unreachable, source quench, redirect, time exceeded, parameter problem. */
const QUOTING: readonly number[] = [3, 4, 5, 11, 12];
/** The first ICMPv6 type that is no error. */
const FIRST_INFORMATION = 128;
