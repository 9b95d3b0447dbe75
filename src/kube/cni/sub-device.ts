import { applyResult } from "./apply.js";
import { checkAddresses } from "./checks.js";
import { type CniCall, mappingField, type PluginConfig, stringField } from "./config.js";
import { fail } from "./failure.js";
import type { CniHost, HostLink } from "./host.js";
import { delegateAdd, delegateCheck, delegateDel } from "./ipam.js";
import { sandboxOf } from "./plugin.js";
import { type CniResult, parseResult } from "./result.js";
import { interfaceOf } from "./veth.js";

/** Where a plugin puts the one device that it makes. */
export interface Place {
  readonly ns: string;
  readonly name: string;
}

/**
 * ADD of the plugins that make one device on the node and put it into the container: the device, its addresses, a result
 * with one interface. macvlan, ipvlan, vlan, host-device and dummy share these steps.
 */
export function addSubDevice(
  host: CniHost,
  config: PluginConfig,
  call: CniCall,
  options: { readonly layerTwo: boolean },
  make: (place: Place) => HostLink,
): CniResult {
  const { path, ns } = sandboxOf(host, call);
  const name = call.env["CNI_IFNAME"] ?? "";
  if (host.links(ns).has(name)) fail(`failed to rename to "${name}": file exists`);
  const link = make({ ns, name });
  host.links(ns).set(name, link);
  const own = mappingField(config.raw, "dns");
  const interfaces = [interfaceOf(link, path)];
  if (options.layerTwo && ipamType(config) === "") {
    host.run(ns, "ip", "link", "set", name, "up");
    link.up = true;
    return { interfaces, ips: [], routes: [], dns: own };
  }
  try {
    const given = delegateAdd(host, config, call);
    if (given.ips.length === 0) fail("IPAM plugin returned missing IP config");
    const ips = given.ips.map((ip) => ({ interface: 0, ...ip }));
    const result = { ...given, interfaces, ips, dns: own };
    applyResult(host, ns, name, result);
    return result;
  } catch (error) {
    host.deleteLink(ns, name);
    throw error;
  }
}

export function delSubDevice(host: CniHost, config: PluginConfig, call: CniCall): void {
  if (ipamType(config) !== "") delegateDel(host, config, call);
  const ns = host.sandbox(call.env["CNI_NETNS"] ?? "");
  if (ns !== undefined) host.deleteLink(ns, call.env["CNI_IFNAME"] ?? "");
}

export function checkSubDevice(host: CniHost, config: PluginConfig, call: CniCall): void {
  const { path, ns } = sandboxOf(host, call);
  if (ipamType(config) !== "") delegateCheck(host, config, call);
  if (config.raw["prevResult"] === undefined) fail("Required prevResult missing");
  const result = parseResult(config.raw["prevResult"]);
  const name = call.env["CNI_IFNAME"] ?? "";
  const listed = result.interfaces.find((item) => item.name === name);
  if (listed?.sandbox !== path)
    fail(`Sandbox in prevResult ${listed?.sandbox ?? ""} doesn't match configured netns: ${path}`);
  checkAddresses(host, ns, name, result);
}

export function ipamType({ raw }: PluginConfig): string {
  return stringField(mappingField(raw, "ipam"), "type");
}

/** The device that `master` names; without one that of the node's default route. */
export function masterOf(host: CniHost, { raw }: PluginConfig): string {
  return (
    stringField(raw, "master") || (host.defaultDevice ?? fail("no default route interface found"))
  );
}

/** The MTU of a device on the node. */
export function mtuOf(host: CniHost, name: string): number {
  const link = host.links(host.ns).get(name);
  return link === undefined ? fail("Link not found") : (link.mtu ?? 1500);
}
