import { type CniCall, type PluginConfig, stringField } from "./config.js";
import { fail } from "./failure.js";
import type { CniHost, HostLink } from "./host.js";
import { delegateDel } from "./ipam.js";
import type { CniResult } from "./result.js";
import { addSubDevice, checkSubDevice, ipamType } from "./sub-device.js";

/** `host-device` ADD: a device of the node goes into the container under another name. Mirrors plugins/main/host-device/host-device.go:cmdAdd(). */
export function hostDeviceAdd(host: CniHost, config: PluginConfig, call: CniCall): CniResult {
  const find = deviceFinder(host, config);
  return addSubDevice(host, config, call, { layerTwo: true }, ({ ns, name }) => {
    const device = find() ?? fail("failed to find host device: Link not found");
    host.run(host.ns, "ip", "link", "set", device.name, "netns", ns, "name", name);
    host.links(host.ns).delete(device.name);
    return moved(device, name, device.name);
  });
}

/** The device goes back under its old name, down. Mirrors host-device.go:cmdDel(). */
export function hostDeviceDel(host: CniHost, config: PluginConfig, call: CniCall): void {
  deviceFinder(host, config);
  const ns = host.sandbox(call.env["CNI_NETNS"] ?? "");
  if (ns === undefined) return;
  if (ipamType(config) !== "") delegateDel(host, config, call);
  const name = call.env["CNI_IFNAME"] ?? "";
  const device = host.links(ns).get(name);
  if (device === undefined) return;
  const old = device.alias ?? name;
  host.run(ns, "ip", "link", "set", name, "down");
  host.run(ns, "ip", "link", "set", name, "netns", host.ns, "name", old);
  host.links(ns).delete(name);
  host.links(host.ns).set(old, moved(device, old, undefined));
}

export function hostDeviceCheck(host: CniHost, config: PluginConfig, call: CniCall): void {
  deviceFinder(host, config);
  checkSubDevice(host, config, call);
}

/** In another namespace a device is down and has no addresses. */
function moved(
  { kind, mac, bornMac, mtu }: HostLink,
  name: string,
  alias: string | undefined,
): HostLink {
  return {
    name,
    kind,
    mac,
    bornMac,
    up: false,
    addresses: [],
    ...(mtu === undefined ? {} : { mtu }),
    ...(alias === undefined ? {} : { alias }),
  };
}

/** Mirrors host-device.go:loadConf() and getLink(). */
function deviceFinder(host: CniHost, { raw }: PluginConfig): () => HostLink | undefined {
  const links = host.links(host.ns);
  const device = stringField(raw, "device");
  if (device !== "") return () => links.get(device);
  const mac = stringField(raw, "hwaddr").toLowerCase();
  if (mac !== "") return () => [...links.values()].find((link) => link.mac === mac);
  if (stringField(raw, "kernelpath") !== "" || stringField(raw, "pciBusID") !== "")
    fail("hopwise finds a host device by name or hwaddr alone");
  return fail('specify either "device", "hwaddr", "kernelpath" or "pciBusID"');
}
