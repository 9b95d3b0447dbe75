import { sha1 } from "../../base/sha1.js";
import { formatAddress, parseBlock } from "./address.js";
import { checkAddresses } from "./checks.js";
import {
  boolField,
  type CniCall,
  mappingField,
  numberField,
  parseArgs,
  type PluginConfig,
} from "./config.js";
import { fail } from "./failure.js";
import { type CniHost, macFor } from "./host.js";
import { delegateAdd, delegateCheck, delegateDel } from "./ipam.js";
import { sandboxOf } from "./plugin.js";
import { type CniResult, parseResult } from "./result.js";
import { newLink } from "./veth.js";

/** The MAC address that every host end has. */
const HOST_MAC = "ee:ee:ee:ee:ee:ee";
/** The gateway that nobody holds: the host end answers for it. */
const GATEWAY = "169.254.1.1";

/** Where the node's agent writes the MTU of pods. */
export const CALICO_MTU = "/var/lib/calico/mtu";

/** `cali` and eleven digits of a hash of the pod's name. Mirrors libcalico-go/lib/backend/k8s/conversion/workload_endpoint_default.go:VethNameForWorkload(). */
export function calicoInterface(namespace: string, pod: string): string {
  const digest = sha1(new TextEncoder().encode(`${namespace}.${pod}`));
  const hex = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `cali${hex.slice(0, 11)}`;
}

/**
 * `calico` ADD: a veth whose host end has no address and answers ARP for everything, the pod's address as /32, and a route
 * to the pod. Felix's part of the host end is done here too. Mirrors projectcalico/calico/cni-plugin/pkg/dataplane/linux/
 * dataplane_linux.go:DoNetworking() and felix/dataplane/linux/endpoint_mgr.go:configureInterface(). IPv4 only.
 */
export function calicoAdd(host: CniHost, config: PluginConfig, call: CniCall): CniResult {
  const { ns } = sandboxOf(host, call);
  const name = call.env["CNI_IFNAME"] ?? "";
  const given = delegateAdd(host, config, call);
  const addresses = given.ips.flatMap(({ address }) => addressOf(address) ?? []);
  if (addresses.length === 0) fail("IPAM plugin returned missing IP config");
  const end = hostEndOf(call);
  addVeth(host, { ns, name, end, mtu: mtuOf(host, config) });
  const inPod = (...words: readonly string[]): void => host.run(ns, "ip", ...words);
  const pod = host.links(ns).get(name);
  inPod("link", "set", name, "up");
  inPod("route", "add", GATEWAY, "dev", name, "scope", "link");
  inPod("route", "add", "default", "via", GATEWAY, "dev", name);
  for (const address of addresses) {
    inPod("addr", "add", `${address}/32`, "dev", name);
    pod?.addresses.push(`${address}/32`);
  }
  const forwards = boolField(mappingField(config.raw, "container_settings"), "allow_ip_forwarding");
  if (forwards) host.run(ns, "sysctl", "-w", "net.ipv4.ip_forward=1");
  for (const knob of ["conf.@.route_localnet=1", "neigh.@.proxy_delay=0"])
    host.run(host.ns, "sysctl", "-w", `net.ipv4.${knob.replace("@", end)}`);
  for (const knob of ["proxy_arp", "forwarding"])
    host.run(host.ns, "sysctl", "-w", `net.ipv4.conf.${end}.${knob}=1`);
  for (const address of addresses)
    host.run(host.ns, "ip", "route", "add", address, "dev", end, "scope", "link");
  return {
    ...given,
    interfaces: [{ name: end }],
    ips: addresses.map((address) => ({ address: `${address}/32` })),
    routes: [],
  };
}

export function calicoDel(host: CniHost, config: PluginConfig, call: CniCall): void {
  delegateDel(host, config, call);
  host.deleteLink(host.ns, hostEndOf(call));
}

export function calicoCheck(host: CniHost, config: PluginConfig, call: CniCall): void {
  const { ns } = sandboxOf(host, call);
  delegateCheck(host, config, call);
  const { prevResult } = config.raw;
  if (prevResult === undefined) fail("Required prevResult missing");
  checkAddresses(host, ns, call.env["CNI_IFNAME"] ?? "", parseResult(prevResult));
}

function hostEndOf({ env }: CniCall): string {
  const args = parseArgs(`IgnoreUnknown=1;${env["CNI_ARGS"] ?? ""}`, [
    "K8S_POD_NAMESPACE",
    "K8S_POD_NAME",
  ]);
  return calicoInterface(args.get("K8S_POD_NAMESPACE") ?? "", args.get("K8S_POD_NAME") ?? "");
}

/** The MTU of the configuration; 0 means the one that the node's agent found. Mirrors cni-plugin/internal/pkg/utils/network_linux.go. */
function mtuOf(host: CniHost, { raw }: PluginConfig): number {
  return numberField(raw, "mtu") || Number(host.files.get(CALICO_MTU) ?? 0);
}

function addressOf(text: string): string | undefined {
  const block = parseBlock(text);
  return block?.family === 4 ? formatAddress(block) : undefined;
}

interface VethEnds {
  readonly ns: string;
  readonly name: string;
  readonly end: string;
  /** 0 for the kernel's own choice. */
  readonly mtu: number;
}

function addVeth(host: CniHost, { ns, name, end, mtu }: VethEnds): void {
  const mac = macFor(`${ns} ${name}`);
  const size = mtu === 0 ? [] : ["mtu", String(mtu)];
  host.run(
    ns,
    ...["ip", "link", "add", name, "address", mac, ...size, "type", "veth"],
    ...["peer", "name", end, "address", HOST_MAC, ...size, "netns", host.ns],
  );
  host.run(host.ns, "ip", "link", "set", end, "up");
  host.links(ns).set(name, { ...newLink(name, "veth", mac), peer: { ns: host.ns, name: end } });
  host.links(host.ns).set(end, {
    ...newLink(end, "veth", HOST_MAC),
    up: true,
    peer: { ns, name },
  });
}
