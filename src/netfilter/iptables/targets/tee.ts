import { UNTRACKED } from "../../../core/conntrack.js";
import { drop } from "../../../core/drop.js";
import type { HookState } from "../../../core/hooks.js";
import { type NetworkNamespace, perNamespace } from "../../../core/namespace.js";
import { cloneSkb } from "../../../core/simulation.js";
import type { SkBuff } from "../../../core/skbuff.js";
import { ipLocalOut } from "../../../inet/ip-local-out.js";
import { ip6LocalOut } from "../../../inet/ipv6/output.js";
import { isRoute6, routeOutput6 } from "../../../inet/ipv6/route.js";
import { attachRoute } from "../../../inet/route-entry.js";
import { isRoute, routeOutput } from "../../../inet/route-output.js";
import type { Frame } from "../../../wire/frame.js";
import { type IpAddress, isAnyAddress } from "../../../wire/ip.js";
import { formatAddress } from "../addresses.js";
import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";
import { option } from "../options.js";
import { host, string } from "../values.js";

interface Tee {
  readonly gateway: IpAddress;
  readonly oif: string | undefined;
}

const GATEWAY = option("gateway", host, { must: true });
const OIF = option("oif", string(1, 15));

/** `-j TEE`: sends a copy to another host at once; the packet itself goes on. */
export const tee: TargetExtension = defineTarget<Tee>({
  name: "TEE",
  mirrors: "net/netfilter/xt_TEE.c:tee_tg4(), net/ipv4/netfilter/nf_dup_ipv4.c:nf_dup_ipv4()",
  fidelity: "exact",
  examples: ["--gateway 10.0.0.9", "--gateway 10.0.0.9 --oif lo"],
  options: [GATEWAY, OIF],
  parse: (args) => ({ gateway: args.need(GATEWAY).value, oif: args.value(OIF) }),
  format: ({ gateway, oif }) =>
    `--gateway ${formatAddress(gateway)}${oif === undefined ? "" : ` --oif ${oif}`}`,
  refuses: ({ gateway }) => (isAnyAddress(gateway) ? "Invalid argument" : undefined),
  apply(params, skb, state) {
    const copying = duplicating(state.ns);
    // A copy is not copied again.
    if (copying.now) return CONTINUE;
    const copy = cloneSkb(skb, "TEE copy");
    copy.ct = UNTRACKED;
    copy.frame = copiedFrame(skb.frame, state);
    const send = routed(params, copy, state);
    if (send === undefined) {
      drop(copy, "NOT_SPECIFIED", "nf_dup_ipv4");
      return CONTINUE;
    }
    const { softirq } = state.ns.sim;
    softirq.disable();
    copying.now = true;
    send(copy);
    copying.now = false;
    softirq.enable();
    return CONTINUE;
  },
});

/** Whether a copy is on its way out. Mirrors current->in_nf_duplicate. */
const duplicating: (ns: NetworkNamespace) => { now: boolean } = perNamespace(() => ({
  now: false,
}));

/** May not be cut, and lives one hop less where the packet came in: two hosts that copy to each other would never stop. */
function copiedFrame(frame: Frame, { hook }: HookState): Frame {
  const { network } = frame;
  const lived = hook === "PREROUTING" || hook === "INPUT" ? 1 : 0;
  if (network?.kind === "ipv4")
    return {
      ...frame,
      network: { ...network, dontFragment: true, ttl: (network.ttl - lived) & 0xff },
    };
  if (network?.kind !== "ipv6") return frame;
  return { ...frame, network: { ...network, hopLimit: (network.hopLimit - lived) & 0xff } };
}

/** Gives the copy its route to the gateway, and what sends it; undefined when there is none. Mirrors nf_dup_ipv4_route() and nf_dup_ipv6_route(). */
function routed(
  { gateway, oif: name }: Tee,
  copy: SkBuff,
  { ns }: HookState,
): ((skb: SkBuff) => unknown) | undefined {
  const { network } = copy.frame;
  const oif = name === undefined ? undefined : ns.devices.get(name);
  if (network?.kind === "ipv4" && typeof gateway === "number") {
    const route = routeOutput(ns, { destination: gateway, mark: 0, tos: network.tos, oif });
    if (!isRoute(route)) return undefined;
    // Without a route the packet's own destination is taken to be on the device's link.
    const byGateway = route.table === undefined ? route : route.through(route.gateway ?? gateway);
    attachRoute(copy, byGateway, "output");
    copy.dev = route.dev;
    return ipLocalOut;
  }
  if (network?.kind !== "ipv6" || typeof gateway !== "bigint") return undefined;
  const route = routeOutput6(ns, { destination: gateway, mark: 0, tos: network.trafficClass, oif });
  if (!isRoute6(route)) return undefined;
  attachRoute(copy, route.through(route.gateway ?? gateway), "output");
  copy.dev = route.dev;
  return ip6LocalOut;
}
