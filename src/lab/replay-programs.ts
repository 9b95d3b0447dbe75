import { deliver } from "../core/drop.js";
import {
  ACCEPT,
  type HookState,
  NF_IP_PRI_CONNTRACK_CONFIRM,
  type Verdict,
} from "../core/hooks.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { Simulation } from "../core/simulation.js";
import type { SkBuff } from "../core/skbuff.js";
import { tcpTable } from "../inet/tcp-table.js";
import { udpTable } from "../inet/udp-table.js";
import { ICMP_ECHOREPLY } from "../wire/icmp.js";
import type { Ipv4Header } from "../wire/ipv4.js";
import { TCP_ACK, TCP_RST, TCP_SYN, type TcpHeader } from "../wire/tcp.js";
import type { UdpHeader } from "../wire/udp.js";

const TAKEN: Verdict = { kind: "stolen", by: "its program" };

/**
 * Silences the programs of a world: what they are sent arrives and is not answered, because their answers are in the
 * capture. What the kernel answers by itself (echo requests, closed ports) it still does.
 *
 *   INPUT … conntrack confirm ──▶ here ──program there──▶ delivered
 *                                   └── none ──▶ the stack: RST, port unreachable
 */
export function silencePrograms(sim: Simulation, assumed: (ns: string) => boolean): void {
  for (const ns of sim.namespaces.values()) {
    ns.hooks.register("ipv4", {
      name: "program",
      hook: "INPUT",
      priority: NF_IP_PRI_CONNTRACK_CONFIRM + 1,
      run: (skb, state) => take(ns, skb, state, assumed(ns.name)),
    });
  }
}

function take(ns: NetworkNamespace, skb: SkBuff, state: HookState, assumed: boolean): Verdict {
  const { network, transport } = skb.frame;
  if (network?.kind !== "ipv4" || skb.packetType !== "HOST") return ACCEPT;
  // The stack drops it and says why.
  if (transport?.checksumError !== undefined) return ACCEPT;
  switch (transport?.kind) {
    case "tcp":
      if (!takesTcp(ns, network, transport, state) && !assumed) return ACCEPT;
      deliver(skb, `socket tcp/${transport.destinationPort}`);
      return TAKEN;
    case "udp":
      if (udpSocket(ns, network, transport, state)?.encapsulation !== undefined) return ACCEPT;
      if (!takesUdp(ns, skb, network, transport, state) && !assumed) return ACCEPT;
      deliver(skb, `socket udp/${transport.destinationPort}`);
      return TAKEN;
    case "icmp":
      if (transport.type !== ICMP_ECHOREPLY) return ACCEPT;
      deliver(skb, "socket icmp");
      return TAKEN;
    default:
      return ACCEPT;
  }
}

/** Somebody listens, or the segment belongs to a connection: the capture shows that there was one. */
function takesTcp(
  ns: NetworkNamespace,
  { destination }: Ipv4Header,
  { flags, destinationPort }: TcpHeader,
  { in: dev }: HookState,
): boolean {
  const opens = (flags & (TCP_SYN | TCP_ACK | TCP_RST)) === TCP_SYN;
  return !opens || tcpTable(ns).listener(destination, destinationPort, dev) !== undefined;
}

/** A socket is bound there, or the datagram answers one that was seen. */
function takesUdp(
  ns: NetworkNamespace,
  skb: SkBuff,
  network: Ipv4Header,
  transport: UdpHeader,
  state: HookState,
): boolean {
  return (
    skb.ct?.info === "ESTABLISHED_REPLY" || udpSocket(ns, network, transport, state) !== undefined
  );
}

function udpSocket(
  ns: NetworkNamespace,
  { source, destination }: Ipv4Header,
  { sourcePort, destinationPort }: UdpHeader,
  { in: dev }: HookState,
): ReturnType<ReturnType<typeof udpTable>["lookup"]> {
  return udpTable(ns).lookup(destination, destinationPort, source, sourcePort, dev);
}
