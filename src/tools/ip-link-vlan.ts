import type { NetworkNamespace } from "../core/namespace.js";
import { Vlan, vlanGroups } from "../link/vlan.js";
import { notModelled, rtnetlink, ToolFailure } from "./failure.js";
import { type IpContext, namespaceOf } from "./ip-context.js";
import type { LinkArgs } from "./ip-link-args.js";
import { parseNumber, type Words, wrongArgument } from "./words.js";

/** `ip link add NAME link DEV type vlan id VLANID`. Mirrors net/8021q/vlan_netlink.c:vlan_newlink(). */
export function makeVlan(
  identity: { readonly name: string; readonly ns: NetworkNamespace },
  { link, mac, mtu }: LinkArgs,
  words: Words,
  context: IpContext,
): Vlan {
  const id = readId(words);
  if (id === undefined) throw rtnetlink("Error: 8021q: VLAN id not specified.");
  if (link === undefined) throw rtnetlink("Error: 8021q: link not specified.");
  const lower = namespaceOf(context).devices.get(link);
  if (lower === undefined) throw new ToolFailure(1, `Cannot find device "${link}"\n`);
  if (lower.isLoopback) throw rtnetlink("Error: 8021q: VLANs not supported on device.");
  if (vlanGroups(lower.ns).find(lower, id) !== undefined)
    throw rtnetlink("Error: 8021q: VLAN device already exists.");
  if (mtu !== undefined && mtu > lower.mtu) throw rtnetlink("Invalid argument");
  const dev = new Vlan({ ...identity, lower, id });
  if (mac !== undefined) {
    dev.mac = mac;
    dev.followsMac = false;
  }
  return dev;
}

/** Mirrors iproute2's ip/iplink_vlan.c:vlan_parse_opt(). */
function readId(words: Words): number | undefined {
  let id: number | undefined;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const value = words.value();
    if (word === "id") {
      id = parseNumber(value);
      if (id === undefined || id > 4095) throw wrongArgument(value, "id is invalid");
      if (id === 4095) throw rtnetlink("Numerical result out of range");
    } else if (word === "protocol") {
      if (!/^802\.1q$/i.test(value)) throw notModelled("ip", `a VLAN of protocol ${value}`);
    } else if (["reorder_hdr", "gvrp", "mvrp", "loose_binding", "bridge_binding"].includes(word)) {
      if (value === (word === "reorder_hdr" ? "off" : "on"))
        throw notModelled("ip", `a VLAN with ${word} ${value}`);
    } else if (word === "ingress-qos-map" || word === "egress-qos-map")
      throw notModelled("ip", `a VLAN with ${word}`);
    else throw new ToolFailure(1, `vlan: unknown command "${word}"?\n`);
  }
  return id;
}
