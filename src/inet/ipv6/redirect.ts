import type { NetDevice } from "../../core/device.js";
import type { SkBuff } from "../../core/skbuff.js";
import { milliseconds } from "../../sim/time.js";
import { decodeIpPacket, encodeIpPacket } from "../../wire/frame.js";
import { type Icmpv6Header, NDISC_REDIRECT } from "../../wire/icmpv6.js";
import { type Ipv6, isIpv6LinkLocal } from "../../wire/ip.js";
import { IPPROTO_ICMPV6, IPV6_MIN_MTU } from "../../wire/ipv6.js";
import {
  encodeNdisc,
  linkLayerOf,
  linkLayerOption,
  ND_OPT_REDIRECT_HDR,
  ND_OPT_TARGET_LL_ADDR,
  type NdMessage,
  type NdOption,
} from "../../wire/ndisc.js";
import { inetPeers } from "../inet-peer.js";
import { neighbours6 } from "../neighbour.js";
import { ip6Protocols } from "../protocols.js";
import { linkLocalAddress } from "./addresses.js";
import { devConf6 } from "./devconf.js";
import { sendLinkMessage } from "./link-message.js";
import { pathExceptions6 } from "./path-exceptions.js";
import { isRoute6, routeOutput6 } from "./route.js";

/** A redirect header option takes what fits in the smallest MTU: header 40, message 40, option's own 8. */
const MESSAGE_ROOM = IPV6_MIN_MTU - 40 - 40;

/** Tells the sender of a nearer way on its own link. Mirrors net/ipv6/ndisc.c:ndisc_send_redirect(). */
export function sendRedirect(skb: SkBuff): void {
  const { network } = skb.frame;
  const { dev, route, ns } = skb;
  if (network?.kind !== "ipv6" || dev === undefined || route === undefined) return;
  const target = typeof route.gateway === "bigint" ? route.gateway : network.destination;
  const source = linkLocalAddress(dev);
  if (source === undefined) return;
  if (target !== network.destination && !isIpv6LinkLocal(target)) return;
  const back = routeOutput6(ns, {
    destination: network.source,
    source,
    mark: 0,
    tos: 0,
    oif: dev,
    protocol: IPPROTO_ICMPV6,
  });
  if (!isRoute6(back) || back.gateway !== undefined) return;
  if (!inetPeers(ns).allowError(network.source, milliseconds(1000))) return;
  sendLinkMessage({
    dev: back.dev,
    route: back,
    source,
    destination: network.source,
    hopLimit: 255,
    header: { kind: "icmpv6", type: NDISC_REDIRECT, code: 0, rest: 0 },
    payload: encodeNdisc(target, redirectOptions(skb, target), network.destination),
    by: "redirect",
    cause: skb,
  });
}

function redirectOptions(skb: SkBuff, target: Ipv6): readonly NdOption[] {
  const { route, ns, frame } = skb;
  const known = route === undefined ? undefined : neighbours6(ns).lookup(route.dev, target);
  const address =
    known?.isValid === true && known.mac !== undefined
      ? [linkLayerOption(ND_OPT_TARGET_LL_ADDR, known.mac)]
      : [];
  const room = (MESSAGE_ROOM - 8 * address.length - 8) & ~7;
  const quoted = encodeIpPacket(frame, room);
  const body = new Uint8Array(6 + (quoted.length & ~7));
  body.set(quoted.subarray(0, quoted.length & ~7), 6);
  return [...address, { type: ND_OPT_REDIRECT_HDR, body }];
}

/**
 * A router on the link knows a nearer way: the protocol of the packet that it quotes decides whether to believe it.
 * Mirrors net/ipv6/ndisc.c:ndisc_redirect_rcv() and the checks of net/ipv6/route.c:rt6_do_redirect().
 */
export function acceptRedirect(skb: SkBuff, header: Icmpv6Header, message: NdMessage): void {
  const { network } = skb.frame;
  const { dev, ns } = skb;
  const { target, destination } = message;
  if (network?.kind !== "ipv6" || dev === undefined || header.code !== 0) return;
  if (target === undefined || destination === undefined) return;
  const conf = devConf6(dev);
  if (conf.forwarding !== 0 || conf.accept_redirects === 0) return;
  if (target !== destination && !isIpv6LinkLocal(target)) return;
  const take = (): void => follow(skb, dev, message, target, destination);
  const takeIfInUse = (source: Ipv6, towards: Ipv6): void => {
    const flow = { destination: towards, source, mark: 0, tos: 0, oif: dev };
    const route = routeOutput6(ns, flow);
    if (isRoute6(route) && route.gateway === network.source) take();
  };
  const option = message.options.find(({ type }) => type === ND_OPT_REDIRECT_HDR);
  if (option === undefined) return takeIfInUse(network.destination, destination);
  const quoted = decodeIpPacket(option.body.subarray(6));
  const inner = quoted.ok ? quoted.value.network : undefined;
  if (!quoted.ok || inner?.kind !== "ipv6") return;
  ip6Protocols(ns)
    .get(inner.protocol)
    ?.redirect?.({
      quoted: quoted.value,
      skb,
      take,
      takeOfRouterInUse: () => takeIfInUse(inner.source, inner.destination),
    });
}

function follow(skb: SkBuff, dev: NetDevice, message: NdMessage, target: Ipv6, to: Ipv6): void {
  const { ns } = skb;
  const mac = linkLayerOf(message, ND_OPT_TARGET_LL_ADDR);
  if (mac !== undefined)
    neighbours6(ns).obtain(dev, target)?.update(mac, "STALE", { override: true }, skb);
  pathExceptions6(ns).learnGateway(to, target);
}
