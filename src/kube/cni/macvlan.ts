import {
  type CniCall,
  mappingField,
  numberField,
  parseArgs,
  type PluginConfig,
  stringField,
} from "./config.js";
import { fail } from "./failure.js";
import { type CniHost, macFor } from "./host.js";
import type { CniResult } from "./result.js";
import { addSubDevice, checkSubDevice, delSubDevice, masterOf, mtuOf } from "./sub-device.js";
import { newLink } from "./veth.js";

interface MacvlanConfig {
  readonly master: string;
  readonly mode: string;
  readonly mtu: number;
  readonly mac: string;
}

/** `macvlan` ADD: a child of a node's device with a MAC address of its own. Mirrors plugins/main/macvlan/macvlan.go:cmdAdd(). */
export function macvlanAdd(host: CniHost, config: PluginConfig, call: CniCall): CniResult {
  const { master, mode, mtu, mac } = macvlanConfig(host, config, call);
  if (!["bridge", "private", "vepa", "passthru"].includes(mode))
    fail(`unknown macvlan mode: "${mode}"`);
  return addSubDevice(host, config, call, { layerTwo: true }, ({ ns, name }) => {
    const own = mac === "" ? macFor(`${ns} ${name}`) : mac;
    host.run(
      host.ns,
      ...["ip", "link", "add", name, "link", master, "address", own],
      ...(mtu === 0 ? [] : ["mtu", String(mtu)]),
      ...["netns", ns, "type", "macvlan", "mode", mode],
    );
    return newLink(name, "macvlan", own);
  });
}

export function macvlanDel(host: CniHost, config: PluginConfig, call: CniCall): void {
  macvlanConfig(host, config, call);
  delSubDevice(host, config, call);
}

export function macvlanCheck(host: CniHost, config: PluginConfig, call: CniCall): void {
  macvlanConfig(host, config, call);
  checkSubDevice(host, config, call);
}

/** Mirrors macvlan.go:loadConf(). */
function macvlanConfig(host: CniHost, config: PluginConfig, call: CniCall): MacvlanConfig {
  const { raw } = config;
  const master = masterOf(host, config);
  const most = mtuOf(host, master);
  const mtu = numberField(raw, "mtu");
  if (mtu < 0 || mtu > most) fail(`invalid MTU ${mtu}, must be [0, master MTU(${most})]`);
  const inArgs = parseArgs(call.env["CNI_ARGS"], ["MAC"]).get("MAC") ?? "";
  const inConfig = stringField(mappingField(mappingField(raw, "args"), "cni"), "mac");
  const atRuntime = stringField(mappingField(raw, "runtimeConfig"), "mac");
  const mac = atRuntime || inConfig || inArgs || stringField(raw, "mac");
  return { master, mode: stringField(raw, "mode") || "bridge", mtu, mac };
}
