import type { CniCall, PluginConfig } from "./config.js";
import { fail } from "./failure.js";
import { type CniHost, macFor } from "./host.js";
import type { CniResult } from "./result.js";
import { addSubDevice, checkSubDevice, delSubDevice, ipamType } from "./sub-device.js";
import { newLink } from "./veth.js";

/** `dummy` ADD: a device that swallows what is sent to it, with addresses. Mirrors plugins/main/dummy/dummy.go:cmdAdd(). */
export function dummyAdd(host: CniHost, config: PluginConfig, call: CniCall): CniResult {
  if (ipamType(config) === "") fail("dummy interface requires an IPAM configuration");
  return addSubDevice(host, config, call, { layerTwo: false }, ({ ns, name }) => {
    const mac = macFor(`${ns} ${name}`);
    host.run(ns, "ip", "link", "add", name, "address", mac, "type", "dummy");
    return newLink(name, "dummy", mac);
  });
}

export function dummyDel(host: CniHost, config: PluginConfig, call: CniCall): void {
  delSubDevice(host, config, call);
}

export function dummyCheck(host: CniHost, config: PluginConfig, call: CniCall): void {
  checkSubDevice(host, config, call);
}
