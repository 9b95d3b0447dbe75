import type { NetDevice } from "../core/device.js";
import type { NetworkNamespace } from "../core/namespace.js";
import { isMulticastMac, MAC_ZERO } from "../wire/ip.js";
import { BridgeDevice } from "../link/bridge.js";
import { Dummy } from "../link/dummy.js";
import { Ifb } from "../link/ifb.js";
import { allocateMac } from "../link/mac.js";
import { createVethPair } from "../link/veth.js";
import { notModelled, rtnetlink, ToolFailure } from "./failure.js";
import { type IpContext, namespaceOf } from "./ip-context.js";
import { type LinkArgs, parseLinkArgs } from "./ip-link-args.js";
import { applyLinkArgs } from "./ip-link-set.js";
import type { VxlanSettings } from "../link/vxlan.js";
import { vxlanHeadroom } from "../link/vxlan-transmit.js";
import { readBridgeOptions } from "./bridge-options.js";
import { makeIpvlan } from "./ip-link-ipvlan.js";
import { makeMacvlan } from "./ip-link-macvlan.js";
import { makeVlan } from "./ip-link-vlan.js";
import { makeVxlan, readVxlan } from "./ip-link-vxlan.js";
import { Words, wrongArgument } from "./words.js";

/** Types of the real tool that are not modelled yet. */
const OTHER_TYPES: readonly string[] =
  "macvtap ipvtap bond team gre gretap ipip ip6tnl sit vti vrf geneve wireguard nlmon bareudp netdevsim".split(
    " ",
  );

/** `ip link add [name] NAME [address …] [mtu …] [netns …] type TYPE …`. */
export function linkAdd(words: Words, context: IpContext): string {
  const args = parseLinkArgs(words, false);
  if (args.type === undefined)
    throw new ToolFailure(1, 'Not enough information: "type" argument is required\n');
  const ns = args.netns === undefined ? namespaceOf(context) : targetOf(args.netns, context);
  const typeWords = args.typeWords ?? new Words([]);
  switch (args.type) {
    case "veth":
      return addVeth(args, ns, typeWords, context);
    case "bridge":
      return addBridge(args, ns, typeWords);
    case "dummy":
      return finish(
        new Dummy({
          ...identity(args, ns, "dummy"),
          mac: args.mac ?? allocateMac(ns.sim),
          mtu: 1500,
        }),
        args,
      );
    case "vlan":
      return finish(makeVlan(identity(args, ns, "vlan"), args, typeWords, context), args);
    case "macvlan":
      return finish(makeMacvlan(identity(args, ns, "macvlan"), args, typeWords, context), args);
    case "ipvlan":
      return finish(makeIpvlan(identity(args, ns, "ipvlan"), args, typeWords, context), args);
    case "vxlan": {
      const asked = readVxlan(typeWords, ns);
      return finish(makeVxlan(identity(args, ns, "vxlan"), args.mac, asked), {
        ...args,
        ...clampedMtu(args, asked.settings),
      });
    }
    case "ifb":
      return finish(
        new Ifb({ ...identity(args, ns, "ifb"), mac: args.mac ?? allocateMac(ns.sim) }),
        args,
      );
    case "tun":
      throw rtnetlink("Error: tun/tap creation via rtnetlink is not supported.");
    default:
      if (OTHER_TYPES.includes(args.type)) throw notModelled("ip", `a link of type ${args.type}`);
      throw rtnetlink("Error: Unknown device type.");
  }
}

/** The peer's words are those of a link of its own. Mirrors drivers/net/veth.c:veth_newlink(). */
function addVeth(args: LinkArgs, ns: NetworkNamespace, words: Words, context: IpContext): string {
  const first = words.shift();
  if (first !== undefined && first !== "peer") {
    throw new ToolFailure(
      1,
      "",
      "Usage: ip link <options> type veth [peer <options>]\nTo get <options> type 'ip link add help'\n",
    );
  }
  const peerArgs = parseLinkArgs(words, false);
  const peerNs = peerArgs.netns === undefined ? ns : targetOf(peerArgs.netns, context);
  const peerIdentity = identity(peerArgs, peerNs, "veth");
  const taken = peerNs === ns ? [peerIdentity.name] : [];
  const ownIdentity = identity(args, ns, "veth", taken);
  const [dev, peer] = createVethPair(
    context.sim,
    { ...ownIdentity, mac: args.mac },
    { ...peerIdentity, mac: peerArgs.mac },
  );
  applyLinkArgs(peer, { ...withoutIdentity(peerArgs) });
  return finish(dev, args);
}

/** A new VXLAN device is given what its lower device can carry at most, whatever was asked for. Mirrors vxlan_config_apply(). */
function clampedMtu(
  { mtu }: LinkArgs,
  { lower, family }: VxlanSettings,
): { readonly mtu?: number } {
  if (mtu === undefined || lower === undefined) return {};
  return { mtu: Math.min(mtu, lower.mtu - vxlanHeadroom(family)) };
}

/** The namespace that `netns NAME` means. */
function targetOf(name: string, { sim }: IpContext): NetworkNamespace {
  const ns = sim.namespaces.get(name);
  if (ns === undefined) throw wrongArgument(name, 'Invalid "netns" value\n');
  return ns;
}

function addBridge(args: LinkArgs, ns: NetworkNamespace, words: Words): string {
  const apply = readBridgeOptions(words);
  const bridge = new BridgeDevice({ ...identity(args, ns, "bridge"), mac: args.mac });
  try {
    apply(bridge);
  } catch (error) {
    ns.devices.delete(bridge.name);
    throw error;
  }
  return finish(bridge, args);
}

/** Name and place of a new device; the first free `TYPE0` when none is given. Mirrors net/core/rtnetlink.c:rtnl_create_link(). */
function identity(
  args: LinkArgs,
  ns: NetworkNamespace,
  kind: string,
  taken: readonly string[] = [],
): { readonly name: string; readonly ns: NetworkNamespace } {
  const { name, mac } = args;
  if (name !== undefined && name.length > 15)
    throw rtnetlink("Error: Attribute failed policy validation.");
  if (name === "." || name === "..") throw rtnetlink("Invalid argument");
  const exists = (candidate: string): boolean =>
    ns.devices.has(candidate) || taken.includes(candidate);
  if (mac !== undefined && (mac === MAC_ZERO || isMulticastMac(mac)))
    throw rtnetlink("Cannot assign requested address");
  if (name !== undefined) {
    if (exists(name)) throw rtnetlink("File exists");
    return { name, ns };
  }
  let number = 0;
  while (exists(`${kind}${number}`)) number++;
  return { name: `${kind}${number}`, ns };
}

function finish(dev: NetDevice, args: LinkArgs): string {
  if (dev.kind !== "veth") dev.register();
  applyLinkArgs(dev, withoutIdentity(args));
  return "";
}

/** What is left to do once the device is there. */
function withoutIdentity({ mtu, up, arp, master, promisc, allmulti }: LinkArgs): LinkArgs {
  return {
    ...(promisc === undefined ? {} : { promisc }),
    ...(allmulti === undefined ? {} : { allmulti }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(up === undefined ? {} : { up }),
    ...(arp === undefined ? {} : { arp }),
    ...(master === undefined ? {} : { master }),
  };
}
