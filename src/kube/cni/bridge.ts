import {
  type Block,
  blockContains,
  formatAddress,
  formatBlock,
  parseAddress,
  parseBlock,
} from "./address.js";
import { applyResult, broadcast } from "./apply.js";
import {
  boolField,
  type CniCall,
  mappingField,
  numberField,
  parseArgs,
  type PluginConfig,
  stringField,
} from "./config.js";
import { checkAddresses, forwardingKeys } from "./checks.js";
import { fail } from "./failure.js";
import { type CniHost, type HostLink, macFor } from "./host.js";
import { delegateAdd, delegateCheck, delegateDel } from "./ipam.js";
import { setupMasquerade, teardownMasquerade } from "./masquerade.js";
import { sandboxOf } from "./plugin.js";
import { type CniResult, type CniIp, parseResult } from "./result.js";
import { interfaceOf, setupVeth } from "./veth.js";
import { trunkVlans } from "./vlan-trunk.js";

interface BridgeConfig {
  readonly bridge: string;
  readonly isGateway: boolean;
  readonly isDefaultGateway: boolean;
  readonly forceAddress: boolean;
  readonly ipMasq: boolean;
  readonly mtu: number;
  readonly hairpin: boolean;
  readonly promiscuous: boolean;
  readonly isolated: boolean;
  readonly mac: string;
  /** 0 for none. */
  readonly vlan: number;
  /** VLANs whose frames keep their tag, in order. */
  readonly trunk: readonly number[];
  /** Whether the bridge tells VLANs apart. */
  readonly filtersVlans: boolean;
  readonly preserveDefaultVlan: boolean;
}

/**
 * `bridge` ADD: a bridge, a veth pair into it, an address, a gateway. Mirrors
 * github.com/containernetworking/plugins/plugins/main/bridge/bridge.go:cmdAdd().
 */
export function bridgeAdd(host: CniHost, config: PluginConfig, call: CniCall): CniResult {
  const settings = bridgeConfig(config, call);
  const { path, ns } = sandboxOf(host, call);
  const name = call.env["CNI_IFNAME"] ?? "";
  const bridge = ensureBridge(host, settings);
  const pair = setupVeth(host, { containerNs: ns, name, mtu: settings.mtu, mac: settings.mac });
  joinBridge(host, bridge, pair.host, settings);
  const ipam = stringField(mappingField(config.raw, "ipam"), "type");
  let result: CniResult = { interfaces: [], ips: [], routes: [], dns: {} };
  if (ipam === "") {
    host.run(ns, "ip", "link", "set", name, "up");
    pair.container.up = true;
  } else {
    result = layerThree(host, config, call, settings, { ns, name, bridge });
  }
  const own = config.raw["dns"] === undefined ? {} : mappingField(config.raw, "dns");
  const interfaces = [
    interfaceOf(bridge),
    interfaceOf(pair.host),
    interfaceOf(pair.container, path),
    // The gateway in a VLAN.
    ...result.interfaces,
  ];
  return { ...result, interfaces, dns: own };
}

export function bridgeDel(host: CniHost, config: PluginConfig, call: CniCall): void {
  const settings = bridgeConfig(config, call);
  const netns = call.env["CNI_NETNS"] ?? "";
  const ns = host.sandbox(netns);
  const name = call.env["CNI_IFNAME"] ?? "";
  const addresses = ns === undefined ? [] : [...(host.links(ns).get(name)?.addresses ?? [])];
  if (ns !== undefined) host.deleteLink(ns, name);
  if (stringField(mappingField(config.raw, "ipam"), "type") !== "") delegateDel(host, config, call);
  if (settings.ipMasq) teardownMasquerade(host, config, call, addresses);
}

/** CHECK: the devices of the result are there, the addresses too. */
export function bridgeCheck(host: CniHost, config: PluginConfig, call: CniCall): void {
  bridgeConfig(config, call);
  if (stringField(mappingField(config.raw, "ipam"), "type") === "") fail("no plugin name provided");
  delegateCheck(host, config, call);
  if (config.raw["prevResult"] === undefined) fail("Required prevResult missing");
  const result = parseResult(config.raw["prevResult"]);
  const { path, ns } = sandboxOf(host, call);
  const name = call.env["CNI_IFNAME"] ?? "";
  const listed = result.interfaces.find((item) => item.name === name && item.sandbox === path);
  if (listed === undefined)
    return fail(`Sandbox in prevResult  doesn't match configured netns: ${path}`);
  checkAddresses(host, ns, name, result);
}

/** Mirrors bridge.go:loadNetConf(). */
function bridgeConfig({ raw }: PluginConfig, call: CniCall): BridgeConfig {
  const vlan = numberField(raw, "vlan");
  if (vlan < 0 || vlan > 4094) fail(`invalid VLAN ID ${vlan} (must be between 0 and 4094)`);
  const trunk = trunkVlans(raw);
  const hairpin = boolField(raw, "hairpinMode");
  const promiscuous = boolField(raw, "promiscMode");
  if (hairpin && promiscuous)
    fail("cannot set hairpin mode and promiscuous mode at the same time.");
  const isDefaultGateway = boolField(raw, "isDefaultGateway");
  const inArgs = parseArgs(call.env["CNI_ARGS"], ["MAC"]).get("MAC") ?? "";
  const inConfig = stringField(mappingField(mappingField(raw, "args"), "cni"), "mac");
  const atRuntime = stringField(mappingField(raw, "runtimeConfig"), "mac");
  return {
    bridge: stringField(raw, "bridge") || "cni0",
    isDefaultGateway,
    isGateway: isDefaultGateway || boolField(raw, "isGateway"),
    forceAddress: boolField(raw, "forceAddress"),
    ipMasq: boolField(raw, "ipMasq"),
    mtu: numberField(raw, "mtu"),
    hairpin,
    promiscuous,
    isolated: boolField(raw, "portIsolation"),
    mac: atRuntime || inConfig || inArgs,
    vlan,
    trunk,
    filtersVlans: vlan !== 0 || raw["vlanTrunk"] !== undefined,
    preserveDefaultVlan: boolField(raw, "preserveDefaultVlan", true),
  };
}

function ensureBridge(host: CniHost, settings: BridgeConfig): HostLink {
  const { bridge: name, mtu, promiscuous, filtersVlans } = settings;
  const links = host.links(host.ns);
  const known = links.get(name);
  if (known !== undefined && known.kind !== "bridge")
    fail(`failed to create bridge "${name}": "${name}" already exists but is not a bridge`);
  if (known === undefined) {
    host.run(
      host.ns,
      "ip",
      "link",
      "add",
      name,
      ...(mtu === 0 ? [] : ["mtu", String(mtu)]),
      "type",
      "bridge",
      ...(filtersVlans ? ["vlan_filtering", "1"] : []),
    );
    const mac = macFor(`${host.ns} ${name}`);
    links.set(name, { name, kind: "bridge", mac, bornMac: mac, up: false, addresses: [] });
  }
  if (promiscuous) host.run(host.ns, "ip", "link", "set", name, "promisc", "on");
  const bridge = links.get(name) ?? fail(`could not lookup "${name}": Link not found`);
  if (!bridge.up) host.run(host.ns, "ip", "link", "set", name, "up");
  bridge.up = true;
  return bridge;
}

function joinBridge(host: CniHost, bridge: HostLink, port: HostLink, settings: BridgeConfig): void {
  host.run(host.ns, "ip", "link", "set", port.name, "master", bridge.name);
  port.master = bridge.name;
  host.followPorts(bridge.name);
  if (settings.hairpin)
    host.run(host.ns, "bridge", "link", "set", "dev", port.name, "hairpin", "on");
  if (settings.isolated)
    host.run(host.ns, "bridge", "link", "set", "dev", port.name, "isolated", "on");
  joinVlan(host, port, settings);
}

/** The port's own VLAN, whose frames have no tag outside of the bridge, and those of a trunk. */
function joinVlan(host: CniHost, port: HostLink, settings: BridgeConfig): void {
  const { vlan, trunk } = settings;
  const add = ["bridge", "vlan", "add", "vid"];
  if (vlan !== 0)
    host.run(host.ns, ...add, String(vlan), "dev", port.name, "pvid", "untagged", "master");
  for (const id of trunk) host.run(host.ns, ...add, String(id), "dev", port.name, "master");
  if (vlan === 0 && trunk.length === 0) return;
  if (!settings.preserveDefaultVlan)
    host.run(host.ns, "bridge", "vlan", "del", "vid", "1", "dev", port.name);
}

/** The gateway in a VLAN: a pair of which one end is a port of it and the other has the address. Mirrors bridge.go:ensureVlanInterface(). */
function vlanGateway(host: CniHost, bridge: HostLink, settings: BridgeConfig): HostLink {
  const name = `${bridge.name}.${settings.vlan}`;
  const known = host.links(host.ns).get(name);
  if (known !== undefined) return known;
  const pair = setupVeth(host, { containerNs: host.ns, name, mtu: settings.mtu, mac: "" });
  joinBridge(host, bridge, pair.host, {
    ...settings,
    trunk: [],
    hairpin: false,
    isolated: false,
  });
  host.run(host.ns, "ip", "link", "set", name, "up");
  pair.container.up = true;
  return pair.container;
}

interface Ends {
  /** The container's namespace and interface. */
  readonly ns: string;
  readonly name: string;
  readonly bridge: HostLink;
}

function layerThree(
  host: CniHost,
  config: PluginConfig,
  call: CniCall,
  settings: BridgeConfig,
  ends: Ends,
): CniResult {
  const { ns, name, bridge } = ends;
  const given = delegateAdd(host, config, call);
  try {
    if (given.ips.length === 0) fail("IPAM plugin returned missing IP config");
    const ips = given.ips.map((ip) => ({ interface: 2, ...ip, ...gatewayOf(ip, settings) }));
    const result = { ...given, ips, routes: withDefaultRoutes(given, settings) };
    applyResult(host, ns, name, result);
    const gateway =
      settings.isGateway && settings.vlan !== 0 ? vlanGateway(host, bridge, settings) : undefined;
    if (settings.isGateway) becomeGateway(host, gateway ?? bridge, result, settings);
    if (settings.ipMasq) setupMasquerade(host, config, call, result);
    return gateway === undefined ? result : { ...result, interfaces: [interfaceOf(gateway)] };
  } catch (error) {
    delegateDel(host, config, call);
    throw error;
  }
}

/** A gateway needs an address: the first of the subnet. Mirrors bridge.go:calcGateways(). */
function gatewayOf(
  { address, gateway }: CniIp,
  { isGateway }: BridgeConfig,
): { readonly gateway?: string } {
  const block = parseBlock(address);
  if (!isGateway || gateway !== undefined || block === undefined) return {};
  const network =
    block.value - (block.value % (1n << BigInt((block.family === 4 ? 32 : 128) - block.length)));
  return { gateway: formatAddress({ family: block.family, value: network + 1n }) };
}

function withDefaultRoutes(
  { ips, routes }: CniResult,
  { isDefaultGateway }: BridgeConfig,
): CniResult["routes"] {
  if (!isDefaultGateway) return routes;
  const added = ips.flatMap(({ address, gateway }) => {
    const dst = address.includes(":") ? "::/0" : "0.0.0.0/0";
    return gateway === undefined || routes.some((route) => route.dst === dst)
      ? []
      : [{ dst, gw: gateway }];
  });
  return [...routes, ...added];
}

/** The gateway address on the bridge, and forwarding. Mirrors bridge.go:ensureAddr(). */
function becomeGateway(
  host: CniHost,
  bridge: HostLink,
  { ips }: CniResult,
  { forceAddress }: BridgeConfig,
): void {
  for (const { address, gateway } of ips) {
    const length = parseBlock(address)?.length;
    const wanted = parseAddress(gateway ?? "");
    if (wanted === undefined || length === undefined) continue;
    ensureAddress(host, bridge, { ...wanted, length }, forceAddress);
  }
  for (const key of forwardingKeys(ips)) host.run(host.ns, "sysctl", "-w", `${key}=1`);
}

function ensureAddress(host: CniHost, bridge: HostLink, wanted: Block, force: boolean): void {
  const text = formatBlock(wanted);
  if (bridge.addresses.includes(text)) return;
  for (const other of [...bridge.addresses]) {
    const block = parseBlock(other);
    if (block === undefined || !(blockContains(block, wanted) || blockContains(wanted, block)))
      continue;
    if (!force)
      fail(
        `failed to set bridge addr: "${bridge.name}" already has an IP address different from ${text}`,
      );
    host.run(host.ns, "ip", "addr", "del", other, "dev", bridge.name);
    bridge.addresses.splice(bridge.addresses.indexOf(other), 1);
  }
  host.run(host.ns, "ip", "addr", "add", text, ...broadcast(text), "dev", bridge.name);
  host.run(host.ns, "ip", "link", "set", bridge.name, "address", bridge.bornMac);
  bridge.addresses.push(text);
  bridge.mac = bridge.bornMac;
}
