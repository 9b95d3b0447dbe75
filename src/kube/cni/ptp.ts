import {
  type Block,
  bits,
  firstOf,
  formatAddress,
  formatBlock,
  parseAddress,
  parseBlock,
} from "./address.js";
import { applyResult } from "./apply.js";
import { boolField, type CniCall, mappingField, numberField, type PluginConfig } from "./config.js";
import { checkAddresses, forwardingKeys } from "./checks.js";
import { fail } from "./failure.js";
import type { CniHost, HostLink } from "./host.js";
import { delegateAdd, delegateCheck, delegateDel } from "./ipam.js";
import { setupMasquerade, teardownMasquerade } from "./masquerade.js";
import { sandboxOf } from "./plugin.js";
import { type CniIp, type CniResult, parseResult } from "./result.js";
import { interfaceOf, setupVeth } from "./veth.js";

/**
 * `ptp` ADD: a veth pair without a bridge. Every pod talks to its gateway, which is the node's end, and to nobody else.
 * Mirrors github.com/containernetworking/plugins/plugins/main/ptp/ptp.go:cmdAdd().
 */
export function ptpAdd(host: CniHost, config: PluginConfig, call: CniCall): CniResult {
  const { path, ns } = sandboxOf(host, call);
  const name = call.env["CNI_IFNAME"] ?? "";
  const given = delegateAdd(host, config, call);
  try {
    if (given.ips.length === 0) fail("IPAM plugin returned missing IP config");
    for (const key of forwardingKeys(given.ips)) host.run(host.ns, "sysctl", "-w", `${key}=1`);
    const pair = setupVeth(host, {
      containerNs: ns,
      name,
      mtu: numberField(config.raw, "mtu"),
      mac: "",
    });
    const ips = given.ips.map((ip) => ({ interface: 1, ...ip }));
    const interfaces = [interfaceOf(pair.host), interfaceOf(pair.container, path)];
    const result = { ...given, interfaces, ips };
    applyResult(host, ns, name, result);
    for (const ip of ips) routeThroughGateway(host, ns, name, ip);
    for (const ip of ips) addHostEnd(host, pair.host, ip);
    if (boolField(config.raw, "ipMasq")) setupMasquerade(host, config, call, result);
    const own = mappingField(config.raw, "dns");
    return { ...result, dns: Object.keys(own).length > 0 ? own : given.dns };
  } catch (error) {
    delegateDel(host, config, call);
    throw error;
  }
}

export function ptpDel(host: CniHost, config: PluginConfig, call: CniCall): void {
  delegateDel(host, config, call);
  const ns = host.sandbox(call.env["CNI_NETNS"] ?? "");
  if (ns === undefined) return;
  const name = call.env["CNI_IFNAME"] ?? "";
  const addresses = [...(host.links(ns).get(name)?.addresses ?? [])];
  host.deleteLink(ns, name);
  if (boolField(config.raw, "ipMasq")) teardownMasquerade(host, config, call, addresses);
}

export function ptpCheck(host: CniHost, config: PluginConfig, call: CniCall): void {
  const { path, ns } = sandboxOf(host, call);
  delegateCheck(host, config, call);
  if (config.raw["prevResult"] === undefined) fail("Required prevResult missing");
  const result = parseResult(config.raw["prevResult"]);
  const name = call.env["CNI_IFNAME"] ?? "";
  if (!result.interfaces.some((item) => item.name === name && item.sandbox === path))
    fail(`Sandbox in prevResult  doesn't match configured netns: ${path}`);
  checkAddresses(host, ns, name, result);
}

interface Ends {
  readonly block: Block;
  readonly gateway: string;
  readonly address: string;
}

function endsOf({ address, gateway }: CniIp): Ends {
  const block = parseBlock(address) ?? fail(`invalid CIDR address: ${address}`);
  const via = parseAddress(gateway ?? "") ?? fail("ptp: the IPAM plugin gave no gateway");
  return { block, gateway: formatAddress(via), address: formatAddress(block) };
}

/** The subnet is not on the link: the gateway is, and everything goes through it. Mirrors ptp.go:setupContainerVeth(). */
function routeThroughGateway(host: CniHost, ns: string, name: string, ip: CniIp): void {
  const { block, gateway, address } = endsOf(ip);
  const subnet = formatBlock({ ...firstOf(block), length: block.length });
  const run = (...words: readonly string[]): void =>
    host.run(ns, "ip", ...routeOf(block), ...words);
  run("del", subnet, "dev", name);
  run("add", `${gateway}/${bits(block)}`, "dev", name, "scope", "link", "src", address);
  run("add", subnet, "via", gateway, "dev", name, "src", address);
}

/** Every pod's host end has the same gateway address; a host route leads to the pod. Mirrors ptp.go:setupHostVeth(). */
function addHostEnd(host: CniHost, link: HostLink, ip: CniIp): void {
  const { block, gateway, address } = endsOf(ip);
  const own = `${gateway}/${bits(block)}`;
  host.run(host.ns, "ip", "addr", "add", own, "dev", link.name);
  link.addresses.push(own);
  const to = `${address}/${bits(block)}`;
  host.run(host.ns, "ip", ...routeOf(block), "add", to, "dev", link.name, "scope", "host");
}

function routeOf({ family }: Block): readonly string[] {
  return family === 4 ? ["route"] : ["-6", "route"];
}
