import { bridgeHooks, isBridge } from "../core/bridge-hooks.js";
import { devQueueXmit, type NetDevice } from "../core/device.js";
import { drop, type DropReason } from "../core/drop.js";
import {
  ACCEPT,
  type HookEntry,
  type HookState,
  nfHook,
  nfHookAfter,
  NF_IP_PRI_FIRST,
  type Okfn,
  type Verdict,
} from "../core/hooks.js";
import { type NetworkNamespace, perNamespace, type PernetOperations } from "../core/namespace.js";
import type { SkBuff } from "../core/skbuff.js";
import { numberSysctl } from "../core/sysctls.js";
import { told } from "../core/trace.js";
import type { SendResult } from "../core/errno.js";
import { orphan } from "../inet/assigned-socket.js";
import { fragment } from "../inet/ip-fragment.js";
import { ip6Fragment } from "../inet/ipv6/output.js";
import { routeInput6 } from "../inet/ipv6/route.js";
import type { Neighbour } from "../inet/neighbour-entry.js";
import { neighbours, neighbours6 } from "../inet/neighbour.js";
import { routeInput } from "../inet/route.js";
import { ETH_P_ARP, ETH_P_IP, ETH_P_IPV6 } from "../wire/ethernet.js";
import { type Frame, type IpHeader, ipLength, withMacs } from "../wire/frame.js";
import type { IpAddress } from "../wire/ip.js";
import { bridgeFakeRoute, isFakeRoute } from "./br-fake-route.js";
import { isValidOnBridge } from "./br-validate-ipv6.js";
import { connectionOf } from "./conntrack/connection.js";
import { conntrackConfirm } from "./conntrack/hooks.js";

/** Mirrors include/uapi/linux/netfilter_bridge.h. */
const NF_BR_PRI_BRNF = 0;
const NF_BR_PRI_LAST = 2_147_483_647;

/** What a machine's br_netfilter is set to when a namespace is made. */
export interface BrNetfilterProfile {
  /** net.bridge.bridge-nf-call-iptables: false as on a machine without the module loaded. */
  readonly callIptables: boolean;
}

interface BrNetfilter {
  callIptables: number;
  callIp6tables: number;
  callArptables: number;
  registered: boolean;
  /** The way back into the bridge, for frames that wait for a neighbour. */
  readonly waiting: WeakMap<SkBuff, Waiting>;
}

interface Waiting {
  readonly frame: Frame;
  readonly port: NetDevice;
  readonly finish: Okfn;
}

const stateOf: (ns: NetworkNamespace) => BrNetfilter = perNamespace(() => ({
  callIptables: 1,
  callIp6tables: 1,
  callArptables: 1,
  registered: false,
  waiting: new WeakMap<SkBuff, Waiting>(),
}));

/**
 * Shows bridged IP packets to the hooks of IP: PREROUTING, FORWARD and POSTROUTING run inside the bridge's own hooks, with the
 * bridge as device. Works from the first bridge of a namespace on. Mirrors net/bridge/br_netfilter_hooks.c.
 *
 *   bridge PREROUTING 0 ─► ip PREROUTING ─► bridge FORWARD 0 ─► ip FORWARD ─► bridge POSTROUTING last ─► ip POSTROUTING ─► port
 *                                      └──► bridge INPUT ─► the host: ip PREROUTING is passed over (sabotage)
 */
export function brNetfilter(
  profile: BrNetfilterProfile = { callIptables: true },
): PernetOperations {
  return {
    name: "br_netfilter",
    init(ns: NetworkNamespace): void {
      const state = stateOf(ns);
      state.callIptables = profile.callIptables ? 1 : 0;
      state.callIp6tables = state.callIptables;
      defineSysctls(ns, state);
      ns.onDeviceNotice((notice, dev) => {
        if (notice !== "register" || !isBridge(dev) || state.registered) return;
        state.registered = true;
        for (const entry of [preRouting, forward, localIn, postRouting])
          ns.hooks.register("bridge", entry);
        ns.hooks.register("ipv4", sabotage);
        ns.hooks.register("ipv6", sabotage);
        bridgeHooks(ns).transmit = finishSlowly;
      });
    },
  };
}

function defineSysctls(ns: NetworkNamespace, state: BrNetfilter): void {
  const define = (name: string, get: () => number, set: (value: number) => void): void => {
    ns.sysctls.define(`net.bridge.bridge-nf-${name}`, numberSysctl(get, set));
  };
  define(
    "call-iptables",
    () => state.callIptables,
    (value) => {
      state.callIptables = value;
    },
  );
  define(
    "call-ip6tables",
    () => state.callIp6tables,
    (value) => {
      state.callIp6tables = value;
    },
  );
  define(
    "call-arptables",
    () => state.callArptables,
    (value) => {
      state.callArptables = value;
    },
  );
}

/** Mirrors br_nf_pre_routing() and net/bridge/br_netfilter_ipv6.c:br_nf_pre_routing_ipv6(). */
const preRouting: HookEntry = {
  name: "br_netfilter",
  hook: "PREROUTING",
  priority: NF_BR_PRI_BRNF,
  run(skb, state, okfn): Verdict {
    const port = state.in;
    const bridge = port?.master;
    if (port === undefined || !isBridge(bridge)) return ACCEPT;
    const { link, network } = skb.frame;
    if (!isShown(state.ns, bridge, link.etherType)) return ACCEPT;
    const family = link.etherType === ETH_P_IP ? "ipv4" : "ipv6";
    if (network?.kind !== family || !isValid(network))
      return { kind: "drop", reason: "IP_INHDR", where: whereIn("br_nf_pre_routing", family) };
    skb.bridge = {
      physicalIn: port,
      physicalOut: undefined,
      wasOtherHost: maskOtherHost(skb),
      passedPrerouting: false,
      originalDestination: network.destination,
    };
    skb.dev = bridge;
    nfHook(
      skb,
      { hook: "PREROUTING", family, ns: state.ns, in: bridge, out: undefined },
      (packet) => preRoutingFinish(packet, { port, bridge, state, okfn }),
    );
    return { kind: "stolen", by: "br_netfilter" };
  },
};

/** Whether the rules of IP see frames of this type on a bridge. */
function isShown(ns: NetworkNamespace, bridge: NetDevice, etherType: number): boolean {
  const { callIptables, callIp6tables } = stateOf(ns);
  const ofBridge = bridgeHooks(ns);
  if (etherType === ETH_P_IP) return callIptables !== 0 || ofBridge.callIptables.has(bridge);
  return etherType === ETH_P_IPV6 && (callIp6tables !== 0 || ofBridge.callIp6tables.has(bridge));
}

function isValid(network: IpHeader): boolean {
  return network.kind === "ipv4" ? network.checksumError === undefined : isValidOnBridge(network);
}

/** The kernel's function of the family. */
function whereIn(name: string, family: "ipv4" | "ipv6"): string {
  return family === "ipv4" ? name : `${name}_ipv6`;
}

/** A frame between IP PREROUTING and the rest of the bridge's. */
interface Passage {
  readonly port: NetDevice;
  readonly bridge: NetDevice;
  readonly state: HookState;
  readonly okfn: Okfn;
}

/** Mirrors br_nf_pre_routing_finish() and net/bridge/br_netfilter_ipv6.c:br_nf_pre_routing_finish_ipv6(). */
function preRoutingFinish(skb: SkBuff, passage: Passage): undefined {
  const { port, bridge, state, okfn } = passage;
  const { network } = skb.frame;
  const before = skb.bridge?.originalDestination;
  unmaskOtherHost(skb);
  if (skb.bridge !== undefined) skb.bridge.originalDestination = undefined;
  const family = network?.kind === "ipv6" ? "ipv6" : "ipv4";
  const changed = network?.kind === family && network.destination !== before;
  if (!changed) {
    skb.route = bridgeFakeRoute(bridge);
    skb.dev = port;
    return void nfHookAfter(NF_BR_PRI_BRNF, skb, state, okfn);
  }
  skb.route = undefined;
  const refused = family === "ipv4" ? routeInput(skb) : routeAnew6(skb);
  if (refused !== undefined) {
    drop(skb, refused, whereIn("br_nf_pre_routing_finish", family));
    return undefined;
  }
  if (routeDevice(skb) === bridge) {
    skb.dev = port;
    return void nfHookAfter(NF_BR_PRI_BRNF, skb, state, (frame) =>
      bridgeToNeighbour(frame, passage),
    );
  }
  rewriteMacs(skb, withMacs(skb.frame, skb.frame.link.source, bridge.mac));
  skb.packetType = "HOST";
  skb.dev = port;
  return void nfHookAfter(NF_BR_PRI_BRNF, skb, state, okfn);
}

/** A way that is refused ends the packet here, with no word to its sender. */
function routeAnew6(skb: SkBuff): DropReason | undefined {
  const route = routeInput6(skb);
  skb.route = route;
  return route === undefined || route.error !== undefined ? "IP_INNOROUTES" : undefined;
}

function routeDevice(skb: SkBuff): NetDevice | undefined {
  return skb.route?.dev;
}

/** The new destination is behind the same bridge: its MAC address is put in, and the frame goes on bridged. Mirrors br_nf_pre_routing_finish_bridge(). */
function bridgeToNeighbour(skb: SkBuff, { port, bridge, okfn }: Passage): undefined {
  const { route } = skb;
  const neighbour = neighbourOf(bridge, route?.gateway ?? destinationOf(skb.frame));
  skb.dev = bridge;
  if (neighbour === undefined) {
    drop(skb, "NEIGH_CREATEFAIL", "br_nf_pre_routing_finish_bridge");
    return undefined;
  }
  if (neighbour.isConnected && neighbour.hasHeader && neighbour.mac !== undefined) {
    rewriteMacs(skb, withMacs(skb.frame, skb.frame.link.source, neighbour.mac));
    skb.dev = port;
    return void okfn(skb);
  }
  const { frame } = skb;
  stateOf(bridge.ns).waiting.set(skb, { frame, port, finish: okfn });
  neighbour.output(skb, (packet, mac) => {
    rewriteMacs(packet, withMacs(packet.frame, bridge.mac, mac));
    devQueueXmit(packet, bridge);
  });
}

function destinationOf({ network }: Frame): IpAddress | undefined {
  return network?.kind === "ipv4" || network?.kind === "ipv6" ? network.destination : undefined;
}

function neighbourOf(
  bridge: NetDevice,
  address: IpAddress | undefined,
): Neighbour<IpAddress> | undefined {
  if (address === undefined) return undefined;
  return typeof address === "number"
    ? neighbours(bridge.ns).obtain(bridge, address)
    : neighbours6(bridge.ns).obtain(bridge, address);
}

/** The neighbour has answered and the frame passes the bridge device: it gets its sender's MAC address back. Mirrors br_nf_dev_xmit(). */
function finishSlowly(skb: SkBuff): boolean {
  const { waiting } = stateOf(skb.ns);
  const found = waiting.get(skb);
  if (found === undefined) return false;
  waiting.delete(skb);
  rewriteMacs(skb, withMacs(skb.frame, found.frame.link.source, skb.frame.link.destination));
  skb.dev = found.port;
  found.finish(skb);
  return true;
}

/** Mirrors br_nf_forward(). */
const forward: HookEntry = {
  name: "br_netfilter",
  hook: "FORWARD",
  priority: NF_BR_PRI_BRNF,
  run(skb, state, okfn): Verdict {
    const { link, network } = skb.frame;
    if (link.etherType === ETH_P_ARP && stateOf(state.ns).callArptables !== 0) {
      nfHook(skb, { ...state, family: "arp" }, (packet) =>
        nfHookAfter(NF_BR_PRI_BRNF, packet, state, okfn),
      );
      return { kind: "stolen", by: "br_netfilter" };
    }
    const bridge = state.out?.master;
    const family = familyIn(network?.kind);
    if (skb.bridge === undefined || bridge === undefined || family === undefined) return ACCEPT;
    if (maskOtherHost(skb)) skb.bridge.wasOtherHost = true;
    skb.bridge.physicalOut = state.out;
    nfHook(
      skb,
      { hook: "FORWARD", family, ns: state.ns, in: state.in?.master, out: bridge },
      (packet) => {
        unmaskOtherHost(packet);
        return nfHookAfter(NF_BR_PRI_BRNF, packet, state, okfn);
      },
    );
    return { kind: "stolen", by: "br_netfilter" };
  },
};

/** The host must look up a route of its own. Mirrors br_drop_fake_rtable() in net/bridge/br_input.c:br_netif_receive_skb() and br_nf_local_in(). */
const localIn: HookEntry = {
  name: "br_netfilter",
  hook: "INPUT",
  priority: NF_BR_PRI_LAST,
  run(skb, state): Verdict {
    if (isFakeRoute(skb.route)) skb.route = undefined;
    // Copies went to other ports, or the host will not take it: its new connection cannot wait for INPUT.
    if (skb.packetType === "HOST" || connectionOf(skb)?.confirmed !== false) return ACCEPT;
    return conntrackConfirm(skb, state);
  },
};

/** Frames that were only delivered to the host, or sent by it, have passed IP's POSTROUTING there. Mirrors br_nf_post_routing(). */
const postRouting: HookEntry = {
  name: "br_netfilter",
  hook: "POSTROUTING",
  priority: NF_BR_PRI_LAST,
  run(skb, state, okfn): Verdict {
    const bridge = state.out?.master;
    const family = familyIn(skb.frame.network?.kind);
    if (skb.bridge?.physicalOut === undefined || bridge === undefined || family === undefined)
      return ACCEPT;
    if (maskOtherHost(skb)) skb.bridge.wasOtherHost = true;
    nfHook(
      skb,
      { hook: "POSTROUTING", family, ns: state.ns, in: undefined, out: bridge },
      (packet) => {
        if (isFakeRoute(packet.route)) packet.route = undefined;
        packet.bridge = undefined;
        return ipLength(packet.frame) > largestWhole(packet, state)
          ? sendInPieces(packet, state, okfn)
          : okfn(packet);
      },
    );
    return { kind: "stolen", by: "br_netfilter" };
  },
};

/** What came in pieces does not leave as a larger packet, even where there is room. */
function largestWhole({ fragmentMaxSize }: SkBuff, { out }: HookState): number {
  const mtu = out?.mtu ?? 0;
  return fragmentMaxSize > 0 ? Math.min(mtu, fragmentMaxSize) : mtu;
}

/** What was reassembled for the rules goes out as it came in. Mirrors br_nf_dev_queue_xmit() and br_nf_ip_fragment(). */
function sendInPieces(skb: SkBuff, { out }: HookState, okfn: Okfn): SendResult {
  const { network } = skb.frame;
  const mtu = out?.master?.mtu ?? 0;
  if (network?.kind === "ipv6") {
    const pieces = ip6Fragment(skb, mtu);
    for (const piece of pieces ?? []) sendPiece(piece, out, okfn);
    return pieces === undefined ? "EMSGSIZE" : undefined;
  }
  const mayNot = network?.kind === "ipv4" && network.dontFragment && !skb.ignoreDf;
  if (mayNot || skb.fragmentMaxSize > mtu) {
    drop(skb, "NOT_SPECIFIED", "br_nf_dev_queue_xmit");
    return "EMSGSIZE";
  }
  // That the pieces had DF was kept with the packet, and is gone since br_validate_ipv4().
  skb.fragmentsHadDf = false;
  for (const piece of fragment(skb, mtu)) sendPiece(piece, out, okfn);
  return undefined;
}

function sendPiece(piece: SkBuff, out: NetDevice | undefined, okfn: Okfn): void {
  piece.dev = out;
  okfn(piece);
}

/**
 * A frame whose IP PREROUTING ran inside the bridge does not pass it again. Mirrors ip_sabotage_in(). A socket that TPROXY gave it there is lost, since
 * net/ipv4/ip_input.c:ip_rcv_core() and ip6_rcv_core() begin with skb_orphan().
 */
const sabotage: HookEntry = {
  name: "br_netfilter",
  hook: "PREROUTING",
  priority: NF_IP_PRI_FIRST,
  run(skb, _state, okfn): Verdict {
    const { bridge } = skb;
    if (bridge === undefined || bridge.passedPrerouting || bridge.originalDestination !== undefined)
      return ACCEPT;
    bridge.passedPrerouting = true;
    orphan(skb);
    okfn(skb);
    return { kind: "stolen", by: "br_netfilter" };
  },
};

function familyIn(kind: string | undefined): "ipv4" | "ipv6" | undefined {
  return kind === "ipv4" || kind === "ipv6" ? kind : undefined;
}

/** Rules of IP see frames for other hosts as well. */
function maskOtherHost(skb: SkBuff): boolean {
  if (skb.packetType !== "OTHERHOST") return false;
  skb.packetType = "HOST";
  return true;
}

function unmaskOtherHost(skb: SkBuff): void {
  if (skb.bridge?.wasOtherHost !== true) return;
  skb.packetType = "OTHERHOST";
  skb.bridge.wasOtherHost = false;
}

function rewriteMacs(skb: SkBuff, after: Frame): void {
  const before = skb.frame;
  skb.frame = after;
  skb.ns.sim.trace?.(
    told(skb, {
      kind: "rewrite",
      in: undefined,
      out: undefined,
      by: "br_netfilter",
      hook: "PREROUTING",
      before,
      after,
    }),
  );
}
