import { type CniCall, numberField, type PluginConfig, stringField } from "./config.js";
import { fail } from "./failure.js";
import type { CniHost } from "./host.js";
import type { CniResult } from "./result.js";
import { addSubDevice, checkSubDevice, delSubDevice, mtuOf } from "./sub-device.js";
import { newLink } from "./veth.js";

interface VlanConfig {
  readonly master: string;
  readonly id: number;
  readonly mtu: number;
}

/** `vlan` ADD: one VLAN of a node's device. Mirrors plugins/main/vlan/vlan.go:cmdAdd(). */
export function vlanAdd(host: CniHost, config: PluginConfig, call: CniCall): CniResult {
  const { master, id, mtu } = vlanConfig(host, config);
  const lower = host.links(host.ns).get(master) ?? fail("Link not found");
  return addSubDevice(host, config, call, { layerTwo: false }, ({ ns, name }) => {
    host.run(
      host.ns,
      ...["ip", "link", "add", name, "link", master],
      ...(mtu === 0 ? [] : ["mtu", String(mtu)]),
      ...["netns", ns, "type", "vlan", "id", String(id)],
    );
    return newLink(name, "vlan", lower.mac);
  });
}

export function vlanDel(host: CniHost, config: PluginConfig, call: CniCall): void {
  vlanConfig(host, config);
  delSubDevice(host, config, call);
}

export function vlanCheck(host: CniHost, config: PluginConfig, call: CniCall): void {
  vlanConfig(host, config);
  checkSubDevice(host, config, call);
}

/** Mirrors vlan.go:loadConf(). */
function vlanConfig(host: CniHost, { raw }: PluginConfig): VlanConfig {
  const master = stringField(raw, "master");
  if (master === "")
    fail(
      '"master" field is required. It specifies the host interface name to create the VLAN for.',
    );
  const id = numberField(raw, "vlanId");
  if (id < 0 || id > 4094) fail(`invalid VLAN ID ${id} (must be between 0 and 4095 inclusive)`);
  const most = mtuOf(host, master);
  const mtu = numberField(raw, "mtu");
  if (mtu < 0 || mtu > most) fail(`invalid MTU ${mtu}, must be [0, master MTU(${most})]`);
  return { master, id, mtu };
}
