import { type BridgePort, PORT_STATES, type PortFlags } from "../link/bridge-port.js";
import { notModelled, rtnetlink, ToolFailure } from "./failure.js";
import { type Words, wrongArgument } from "./words.js";

/** Options of a port that are switches, in the order `bridge -d link` prints them; those without a flag are at their default. */
export const PORT_SWITCHES: readonly (readonly [string, keyof PortFlags | "off"])[] = [
  ["hairpin", "hairpin"],
  ["guard", "off"],
  ["root_block", "off"],
  ["fastleave", "fastleave"],
  ["learning", "learning"],
  ["flood", "flood"],
  ["mcast_flood", "mcast_flood"],
  ["bcast_flood", "bcast_flood"],
  ["mcast_to_unicast", "off"],
  ["neigh_suppress", "off"],
  ["vlan_tunnel", "off"],
  ["isolated", "isolated"],
  ["locked", "off"],
];

/** Numbers of a port. Mirrors net/bridge/br_netlink.c:br_setport(). */
const NUMBERS: Readonly<Record<string, (port: BridgePort, value: number) => boolean>> = {
  priority: ({ stp }, value) => stp.setPriority(value),
  cost: ({ stp }, value) => stp.setPathCost(value),
  mcast_router: ({ multicast }, value) => {
    if (value <= 2) multicast.routerSetting = value;
    return value <= 2;
  },
};

/** One option of `bridge link set` or `ip link set type bridge_slave`, with its value in `words`. */
export function setPortOption(
  port: BridgePort,
  option: string,
  words: Words,
  tool: "ip" | "bridge",
): void {
  if (option === "state") return setState(port, words, tool);
  if (Object.hasOwn(NUMBERS, option)) {
    const value = words.number(option, 0, 0xffff_ffff);
    if (NUMBERS[option]?.(port, value) === true) return;
    throw refusal(
      option === "mcast_router" ? "Invalid argument" : "Numerical result out of range",
      tool,
    );
  }
  const found = PORT_SWITCHES.find(([name]) => name === option);
  if (found === undefined)
    throw new ToolFailure(tool === "ip" ? 1 : 255, unknownOption(option, tool));
  const on = words.onOff(option);
  const [, flag] = found;
  if (flag !== "off") port.flags[flag] = on;
  else if (on) throw notModelled(tool, `${option} on of a bridge port`);
}

/** A number or, for `bridge`, a name. Mirrors net/bridge/br_netlink.c:br_set_port_state(). */
function setState(port: BridgePort, words: Words, tool: "ip" | "bridge"): void {
  const word = words.value();
  const index = /^\d+$/.test(word)
    ? Number(word)
    : tool === "bridge"
      ? PORT_STATES.findIndex((name) => name === word)
      : -1;
  const state = PORT_STATES[index];
  if (state === undefined)
    throw tool === "bridge"
      ? new ToolFailure(255, "Error: invalid STP port state\n")
      : wrongArgument(word, "state is invalid");
  if (port.bridge.stp.enabled) throw refusal("Device or resource busy", tool);
  if (state !== "disabled" && !(port.bridge.up && port.dev.up && port.dev.carrier))
    throw refusal("Network is down", tool);
  port.bridge.setPortState(port, state);
}

/** Refusals of the kernel end `bridge` with code 255. */
function refusal(answer: string, tool: "ip" | "bridge"): ToolFailure {
  const failure = rtnetlink(answer);
  return tool === "ip" ? failure : new ToolFailure(255, failure.message);
}

function unknownOption(option: string, tool: "ip" | "bridge"): string {
  return tool === "ip"
    ? `bridge_slave: unknown option "${option}"?\n`
    : `Usage: bridge link set dev DEV [ state STATE ] [ hairpin {on | off} ] [ learning {on | off} ] [ flood {on | off} ] [ mcast_flood {on | off} ] [ bcast_flood {on | off} ] [ isolated {on | off} ]\n`;
}
