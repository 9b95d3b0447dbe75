import { type CniCall, numberField, type PluginConfig, stringField } from "./config.js";
import { fail } from "./failure.js";
import type { CniHost } from "./host.js";
import type { CniResult } from "./result.js";
import { addSubDevice, checkSubDevice, delSubDevice, masterOf } from "./sub-device.js";
import { newLink } from "./veth.js";

/** `ipvlan` ADD: a child of a node's device with the device's own MAC address. Mirrors plugins/main/ipvlan/ipvlan.go:cmdAdd(). */
export function ipvlanAdd(host: CniHost, config: PluginConfig, call: CniCall): CniResult {
  const { raw } = config;
  const master = masterOf(host, config);
  const mode = stringField(raw, "mode") || "l2";
  if (!["l2", "l3", "l3s"].includes(mode)) fail(`unknown ipvlan mode: "${mode}"`);
  const lower =
    host.links(host.ns).get(master) ?? fail(`failed to lookup master "${master}": Link not found`);
  const mtu = numberField(raw, "mtu");
  return addSubDevice(host, config, call, { layerTwo: false }, ({ ns, name }) => {
    host.run(
      host.ns,
      ...["ip", "link", "add", name, "link", master],
      ...(mtu === 0 ? [] : ["mtu", String(mtu)]),
      ...["netns", ns, "type", "ipvlan", "mode", mode],
    );
    return newLink(name, "ipvlan", lower.mac);
  });
}

export function ipvlanDel(host: CniHost, config: PluginConfig, call: CniCall): void {
  delSubDevice(host, config, call);
}

export function ipvlanCheck(host: CniHost, config: PluginConfig, call: CniCall): void {
  checkSubDevice(host, config, call);
}
