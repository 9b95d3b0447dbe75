import type { SkBuff } from "../core/skbuff.js";
import { get32, get8 } from "../wire/bytes.js";
import { ICMP_PARAMETERPROB } from "../wire/icmp.js";
import { ipv4 } from "../wire/ip.js";
import { IPV4_HLEN } from "../wire/ipv4.js";
import { icmpSend } from "./icmp.js";
import { routeInput } from "./route-input.js";
import { redirectTo, type SourceRoute } from "./source-route.js";

/** Where the destination stands in an IP header. */
const DESTINATION_AT = 16;

/**
 * A packet with a source route that this host accepts came to an address of this host: it gets the route to the next
 * address of its list. False when it has to be dropped. Mirrors net/ipv4/ip_options.c:ip_options_rcv_srr().
 */
export function followSourceRoute(skb: SkBuff, sourceRoute: SourceRoute): boolean {
  const { route } = skb;
  if (route === undefined) return true;
  if (skb.packetType !== "HOST") return false;
  if (route.type === "unicast") {
    if (!sourceRoute.isStrict) return true;
    icmpSend(skb, ICMP_PARAMETERPROB, 0, DESTINATION_AT * 0x100_0000);
    return false;
  }
  if (route.type !== "local") return false;
  return routeToNext(skb, sourceRoute);
}

function routeToNext(skb: SkBuff, sourceRoute: SourceRoute): boolean {
  const { at } = sourceRoute;
  const { network } = skb.frame;
  if (network?.kind !== "ipv4") return false;
  const length = get8(network.options, at + 1);
  for (let pointer = get8(network.options, at + 2); pointer <= length; pointer += 4) {
    if (pointer + 3 > length) {
      icmpSend(skb, ICMP_PARAMETERPROB, 0, (IPV4_HLEN + at + 2) * 0x100_0000);
      return false;
    }
    const nexthop = ipv4(get32(network.options, at + pointer - 1));
    if (routeInput(skb, nexthop) !== undefined) return false;
    if (skb.route?.type === "unicast") {
      sourceRoute.nexthop = nexthop;
      return true;
    }
    if (skb.route?.type !== "local") return false;
    redirectTo(skb, network, nexthop);
  }
  return true;
}
