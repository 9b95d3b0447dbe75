import type { NetworkNamespace } from "../core/namespace.js";
import { allocateMac } from "../link/mac.js";
import { Macvlan, MACVLAN_MODES, type MacvlanMode, macvlanPorts } from "../link/macvlan.js";
import { notModelled, rtnetlink, ToolFailure } from "./failure.js";
import { type IpContext, namespaceOf } from "./ip-context.js";
import type { LinkArgs } from "./ip-link-args.js";
import type { Words } from "./words.js";

/** `ip link add NAME link DEV type macvlan [mode MODE]`. Mirrors drivers/net/macvlan.c:macvlan_common_newlink(). */
export function makeMacvlan(
  identity: { readonly name: string; readonly ns: NetworkNamespace },
  { link, mac, mtu }: LinkArgs,
  words: Words,
  context: IpContext,
): Macvlan {
  const mode = readMode(words);
  if (link === undefined) throw rtnetlink("Invalid argument");
  const named = namespaceOf(context).devices.get(link);
  if (named === undefined) throw new ToolFailure(1, `Cannot find device "${link}"\n`);
  // A macvlan on a macvlan is a sibling of it.
  const lower = named instanceof Macvlan ? named.lower : named;
  if (lower.isLoopback || lower.isPointToPoint) throw rtnetlink("Invalid argument");
  if (mtu !== undefined && mtu > lower.mtu) throw rtnetlink("Invalid argument");
  const port = macvlanPorts(lower.ns).find(lower);
  if (port === undefined && lower.rxHandler !== undefined)
    throw rtnetlink("Device or resource busy");
  const children = port?.children ?? [];
  const alone = mode === "passthru" || children.some((child) => child.mode === "passthru");
  if (alone && children.length > 0) throw rtnetlink("Invalid argument");
  const own = mode === "passthru" ? lower.mac : (mac ?? allocateMac(identity.ns.sim));
  return new Macvlan({ ...identity, mac: own, lower, mode });
}

/** Mirrors iproute2's ip/iplink_macvlan.c:macvlan_parse_opt(). */
function readMode(words: Words): MacvlanMode {
  let mode: MacvlanMode = "vepa";
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word !== "mode") {
      if (["flag", "macaddr", "bcqueuelen", "nopromisc"].includes(word))
        throw notModelled("ip", `a macvlan with ${word}`);
      throw new ToolFailure(
        1,
        `macvlan: unknown option "${word}"?\nUsage: ... macvlan mode MODE\n\nMODE: private | vepa | bridge | passthru\n`,
      );
    }
    const value = words.value();
    if (value === "source") throw notModelled("ip", "a macvlan of mode source");
    const found = MACVLAN_MODES.find((name) => name === value);
    if (found === undefined)
      throw new ToolFailure(
        1,
        `Error: argument of "mode" must be "private", "vepa", "bridge", "passthru" or "source", not "${value}"\n`,
      );
    mode = found;
  }
  return mode;
}
