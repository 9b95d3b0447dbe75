import { deliver, drop } from "../core/drop.js";
import type { Errno, SendResult } from "../core/errno.js";
import { nfHook } from "../core/hooks.js";
import type { NetworkNamespace } from "../core/namespace.js";
import { cloneSkb } from "../core/simulation.js";
import type { SkBuff } from "../core/skbuff.js";
import { ETH_P_IP } from "../wire/ethernet.js";
import { ipLength } from "../wire/frame.js";
import { ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED } from "../wire/icmp.js";
import { fib } from "./fib.js";
import { icmpSend } from "./icmp.js";
import { sendPieces } from "./fragment-queue.js";
import { fragment } from "./ip-fragment.js";
import { flowOf } from "./multipath.js";
import { neighOutput } from "./neighbour.js";
import { attachRoute, refuseRoute } from "./route-entry.js";
import { type OutputFlow, isRoute, routeOutput } from "./route-output.js";
import { type InetAddressType, inetAddrType } from "./source-address.js";

/** POSTROUTING, fragments, neighbour. Mirrors ip_output(). */
export function ipOutput(skb: SkBuff): SendResult {
  const before = skb.dev;
  const out = skb.route?.dev;
  skb.dev = out;
  const state = { hook: "POSTROUTING", family: "ipv4", ns: skb.ns, in: before, out } as const;
  return nfHook(skb, state, ipFinishOutput);
}

/** A broadcast, or what goes to a group that this host is in, is heard by the sender as well. Mirrors ip_mc_output(). */
export function ipMulticastOutput(skb: SkBuff): SendResult {
  const dev = skb.route?.dev;
  skb.dev = dev;
  const toGroup = skb.route?.type === "multicast";
  const state = {
    hook: "POSTROUTING",
    family: "ipv4",
    ns: skb.ns,
    in: undefined,
    out: dev,
  } as const;
  if (!toGroup || !skb.notLoopedBack)
    nfHook(cloneSkb(skb, toGroup ? "multicast loopback" : "broadcast loopback"), state, loopBack);
  const { network } = skb.frame;
  if (toGroup && network?.kind === "ipv4" && network.ttl === 0) {
    deliver(skb, "this host alone");
    return undefined;
  }
  return nfHook(skb, state, ipFinishOutput);
}

/** The copy comes in where no tap sees it. Mirrors dev_loopback_xmit(). */
function loopBack(skb: SkBuff): SendResult {
  skb.packetType = "LOOPBACK";
  skb.inDev = skb.dev;
  skb.ns.sim.softirq.netifRx(() => {
    const receive = skb.ns.protocols.get(ETH_P_IP);
    if (receive === undefined) return drop(skb, "UNHANDLED_PROTO", "__netif_receive_skb_core");
    receive(skb);
  });
  return undefined;
}

/** Mirrors __ip_finish_output(). */
function ipFinishOutput(skb: SkBuff): SendResult {
  const mtu = skb.route?.mtu ?? 0;
  if (ipLength(skb.frame) <= mtu && skb.fragmentMaxSize === 0) return ipFinishOutput2(skb);
  const { network } = skb.frame;
  if (network?.kind !== "ipv4" || ipLength(skb.frame) <= Math.min(mtu, skb.fragmentMaxSize || mtu))
    return ipFinishOutput2(skb);
  if (network.dontFragment && (!skb.ignoreDf || skb.fragmentMaxSize > mtu)) {
    icmpSend(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, mtu);
    drop(skb, "PKT_TOO_BIG", "ip_fragment");
    return "EMSGSIZE";
  }
  return sendPieces(fragment(skb, mtu), ipFinishOutput2, "ip_do_fragment");
}

/** Mirrors ip_finish_output2(). */
function ipFinishOutput2(skb: SkBuff): SendResult {
  const { route } = skb;
  const { network } = skb.frame;
  if (route === undefined || network?.kind !== "ipv4") {
    drop(skb, "NOT_SPECIFIED", "ip_finish_output2");
    return "EINVAL";
  }
  const nexthop = typeof route.gateway === "number" ? route.gateway : network.destination;
  return neighOutput(skb, route.dev, nexthop);
}

/**
 * Routes a local packet again after a hook changed its mark, TOS or addresses. Its source stays as it is. The errno of a
 * failure is what send() has to return; the packet is the caller's to drop. Mirrors net/ipv4/netfilter.c:ip_route_me_harder().
 */
export function ipRouteMeHarder(skb: SkBuff, sourceType?: InetAddressType): Errno | undefined {
  const { network } = skb.frame;
  const { ns, socket } = skb;
  if (network?.kind !== "ipv4") return "EINVAL";
  const type = sourceType ?? inetAddrType(ns, network.source, skb.route?.dev);
  const keepsSource = type === "LOCAL" || type === "UNICAST";
  const flow: OutputFlow = {
    destination: network.destination,
    source: keepsSource ? network.source : undefined,
    anySource: keepsSource,
    tos: network.tos,
    mark: skb.mark,
    oif: boundDevice(ns, socket?.boundDevice),
    uid: socket?.uid,
    // Mirrors fib4_rules_early_flow_dissect(): only rules about protocols and ports have the packet looked into.
    ...(fib(ns).looksAtPorts ? portsOf(skb) : {}),
  };
  const decision = routeOutput(ns, flow);
  if (isRoute(decision)) {
    attachRoute(skb, decision, "output");
    return undefined;
  }
  refuseRoute(skb, "output", decision.error, decision.text);
  return decision.error;
}

function portsOf({
  frame,
}: SkBuff): Pick<OutputFlow, "protocol" | "sourcePort" | "destinationPort"> {
  const { protocol, sourcePort, destinationPort } = flowOf(frame);
  return { protocol, sourcePort, destinationPort };
}

function boundDevice(ns: NetworkNamespace, name: string | undefined): OutputFlow["oif"] {
  return name === undefined ? undefined : ns.devices.get(name);
}
