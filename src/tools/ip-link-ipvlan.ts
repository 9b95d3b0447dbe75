import type { NetDevice } from "../core/device.js";
import type { NetworkNamespace } from "../core/namespace.js";
import {
  Ipvlan,
  IPVLAN_FLAGS,
  IPVLAN_MODES,
  type IpvlanFlag,
  type IpvlanMode,
  ipvlanPorts,
} from "../link/ipvlan.js";
import { rtnetlink, ToolFailure } from "./failure.js";
import { type IpContext, namespaceOf } from "./ip-context.js";
import type { LinkArgs } from "./ip-link-args.js";
import { abbreviates, type Words } from "./words.js";

/** `ip link add NAME link DEV type ipvlan [mode MODE] [FLAG]`. Mirrors drivers/net/ipvlan/ipvlan_main.c:ipvlan_link_new(). */
export function makeIpvlan(
  identity: { readonly name: string; readonly ns: NetworkNamespace },
  { link }: LinkArgs,
  words: Words,
  context: IpContext,
): Ipvlan {
  const { mode = "l3", flag } = readOptions(words);
  if (link === undefined) throw rtnetlink("Invalid argument");
  const named = namespaceOf(context).devices.get(link);
  if (named === undefined) throw new ToolFailure(1, `Cannot find device "${link}"\n`);
  const lower = named instanceof Ipvlan ? named.lower : named;
  const isPort = ipvlanPorts(lower.ns).find(lower) !== undefined;
  if (!isPort && (lower.isLoopback || lower.isPointToPoint)) throw rtnetlink("Invalid argument");
  if (!isPort && lower.rxHandler !== undefined) throw rtnetlink("Device or resource busy");
  const dev = new Ipvlan({ ...identity, lower });
  dev.port.flag = flag;
  dev.port.setMode(mode);
  return dev;
}

/** `ip link set DEV type ipvlan …`: of all that share the device below. Mirrors ipvlan_nl_changelink(). */
export function setIpvlanOptions(dev: NetDevice, words: Words): void {
  const { mode, flag } = readOptions(words);
  if (!(dev instanceof Ipvlan)) throw rtnetlink("Operation not supported");
  if (mode !== undefined) dev.port.setMode(mode);
  dev.port.flag = flag;
}

/** `mode l2 bridge `, as `ip -d link` prints it. Mirrors iproute2's ip/iplink_ipvlan.c:ipvlan_print_opt(). */
export function formatIpvlanOptions({ port }: Ipvlan): string {
  return ` mode ${port.mode} ${port.flag} `;
}

const USAGE =
  "Usage: ... ipvlan [ mode MODE ] [ FLAGS ]\n\nMODE: l3 | l3s | l2\nFLAGS: bridge | private | vepa\n(first values are the defaults if nothing is specified).\n";

/** Mirrors iproute2's ip/iplink_ipvlan.c:ipvlan_parse_opt(). */
function readOptions(words: Words): {
  readonly mode: IpvlanMode | undefined;
  readonly flag: IpvlanFlag;
} {
  let mode: IpvlanMode | undefined;
  let flag: IpvlanFlag | undefined;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const given: string = word;
    if (abbreviates(given, "mode")) {
      const value = words.value();
      mode = IPVLAN_MODES.find((name) => name === value);
      if (mode === undefined)
        throw new ToolFailure(1, 'Error: argument of "mode" must be either "l2", "l3" or "l3s"\n');
      continue;
    }
    const named = IPVLAN_FLAGS.find((name) => abbreviates(given, name));
    if (named === undefined || flag !== undefined)
      throw new ToolFailure(1, `ipvlan: unknown option "${given}"?\n${USAGE}`);
    flag = named;
  }
  return { mode, flag: flag ?? "bridge" };
}
