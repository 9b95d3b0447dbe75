import { bridgeHooks, isBridge } from "../core/bridge-hooks.js";
import { devQueueXmit, type NetDevice } from "../core/device.js";
import { drop } from "../core/drop.js";
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
import { fragment } from "../inet/ip-fragment.js";
import { neighbours } from "../inet/neighbour.js";
import { routeInput } from "../inet/route.js";
import { ETH_P_ARP, ETH_P_IP } from "../wire/ethernet.js";
import { type Frame, ipLength, withMacs } from "../wire/frame.js";
import { bridgeFakeRoute, isFakeRoute } from "./br-fake-route.js";

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
      defineSysctls(ns, state);
      ns.onDeviceNotice((notice, dev) => {
        if (notice !== "register" || !isBridge(dev) || state.registered) return;
        state.registered = true;
        for (const entry of [preRouting, forward, localIn, postRouting])
          ns.hooks.register("bridge", entry);
        ns.hooks.register("ipv4", sabotage);
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
    "call-arptables",
    () => state.callArptables,
    (value) => {
      state.callArptables = value;
    },
  );
}

/** Mirrors br_nf_pre_routing(). */
const preRouting: HookEntry = {
  name: "br_netfilter",
  hook: "PREROUTING",
  priority: NF_BR_PRI_BRNF,
  run(skb, state, okfn): Verdict {
    const port = state.in;
    const bridge = port?.master;
    if (port === undefined || !isBridge(bridge)) return ACCEPT;
    if (stateOf(state.ns).callIptables === 0 && !bridgeHooks(state.ns).callIptables.has(bridge))
      return ACCEPT;
    const { link, network } = skb.frame;
    if (link.etherType !== ETH_P_IP) return ACCEPT;
    if (network?.kind !== "ipv4" || network.checksumError !== undefined)
      return { kind: "drop", reason: "IP_INHDR", where: "br_nf_pre_routing" };
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
      { hook: "PREROUTING", family: "ipv4", ns: state.ns, in: bridge, out: undefined },
      (packet) => preRoutingFinish(packet, { port, bridge, state, okfn }),
    );
    return { kind: "stolen", by: "br_netfilter" };
  },
};

/** A frame between IP PREROUTING and the rest of the bridge's. */
interface Passage {
  readonly port: NetDevice;
  readonly bridge: NetDevice;
  readonly state: HookState;
  readonly okfn: Okfn;
}

/** Mirrors br_nf_pre_routing_finish(). */
function preRoutingFinish(skb: SkBuff, passage: Passage): undefined {
  const { port, bridge, state, okfn } = passage;
  const { network } = skb.frame;
  const before = skb.bridge?.originalDestination;
  unmaskOtherHost(skb);
  if (skb.bridge !== undefined) skb.bridge.originalDestination = undefined;
  const changed = network?.kind === "ipv4" && network.destination !== before;
  if (!changed) {
    skb.route = bridgeFakeRoute(bridge);
    skb.dev = port;
    return void nfHookAfter(NF_BR_PRI_BRNF, skb, state, okfn);
  }
  skb.route = undefined;
  const refused = routeInput(skb);
  if (refused !== undefined) {
    drop(skb, refused, "br_nf_pre_routing_finish");
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

function routeDevice(skb: SkBuff): NetDevice | undefined {
  return skb.route?.dev;
}

/** The new destination is behind the same bridge: its MAC address is put in, and the frame goes on bridged. Mirrors br_nf_pre_routing_finish_bridge(). */
function bridgeToNeighbour(skb: SkBuff, { port, bridge, okfn }: Passage): undefined {
  const { network } = skb.frame;
  const { route } = skb;
  const nexthop =
    typeof route?.gateway === "number"
      ? route.gateway
      : network?.kind === "ipv4"
        ? network.destination
        : undefined;
  const neighbour =
    nexthop === undefined ? undefined : neighbours(bridge.ns).obtain(bridge, nexthop);
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
    if (skb.bridge === undefined || bridge === undefined || network?.kind !== "ipv4") return ACCEPT;
    if (maskOtherHost(skb)) skb.bridge.wasOtherHost = true;
    skb.bridge.physicalOut = state.out;
    nfHook(
      skb,
      { hook: "FORWARD", family: "ipv4", ns: state.ns, in: state.in?.master, out: bridge },
      (packet) => {
        unmaskOtherHost(packet);
        return nfHookAfter(NF_BR_PRI_BRNF, packet, state, okfn);
      },
    );
    return { kind: "stolen", by: "br_netfilter" };
  },
};

/** The host must look up a route of its own. Mirrors br_drop_fake_rtable() in net/bridge/br_input.c:br_netif_receive_skb(). */
const localIn: HookEntry = {
  name: "br_netfilter",
  hook: "INPUT",
  priority: NF_BR_PRI_LAST,
  run(skb): Verdict {
    if (isFakeRoute(skb.route)) skb.route = undefined;
    return ACCEPT;
  },
};

/** Frames that were only delivered to the host, or sent by it, have passed IP's POSTROUTING there. Mirrors br_nf_post_routing(). */
const postRouting: HookEntry = {
  name: "br_netfilter",
  hook: "POSTROUTING",
  priority: NF_BR_PRI_LAST,
  run(skb, state, okfn): Verdict {
    const bridge = state.out?.master;
    if (
      skb.bridge?.physicalOut === undefined ||
      bridge === undefined ||
      skb.frame.network?.kind !== "ipv4"
    )
      return ACCEPT;
    if (maskOtherHost(skb)) skb.bridge.wasOtherHost = true;
    nfHook(
      skb,
      { hook: "POSTROUTING", family: "ipv4", ns: state.ns, in: undefined, out: bridge },
      (packet) => {
        if (isFakeRoute(packet.route)) packet.route = undefined;
        packet.bridge = undefined;
        return ipLength(packet.frame) > (state.out?.mtu ?? 0)
          ? sendInPieces(packet, state, okfn)
          : okfn(packet);
      },
    );
    return { kind: "stolen", by: "br_netfilter" };
  },
};

/** What was reassembled for the rules goes out as it came in. Mirrors br_nf_dev_queue_xmit() and br_nf_ip_fragment(). */
function sendInPieces(skb: SkBuff, { out }: HookState, okfn: Okfn): SendResult {
  const { network } = skb.frame;
  const mtu = out?.mtu ?? 0;
  if ((network?.kind === "ipv4" && network.dontFragment) || skb.fragmentMaxSize > mtu) {
    drop(skb, "NOT_SPECIFIED", "br_nf_dev_queue_xmit");
    return "EMSGSIZE";
  }
  for (const piece of fragment(skb, mtu)) {
    piece.dev = out;
    okfn(piece);
  }
  return undefined;
}

/** A frame whose IP PREROUTING ran inside the bridge does not pass it again. Mirrors ip_sabotage_in(). */
const sabotage: HookEntry = {
  name: "br_netfilter",
  hook: "PREROUTING",
  priority: NF_IP_PRI_FIRST,
  run(skb, _state, okfn): Verdict {
    const { bridge } = skb;
    if (bridge === undefined || bridge.passedPrerouting || bridge.originalDestination !== undefined)
      return ACCEPT;
    bridge.passedPrerouting = true;
    okfn(skb);
    return { kind: "stolen", by: "br_netfilter" };
  },
};

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
