import { sha512 } from "../../base/sha512.js";
import { fail } from "./failure.js";
import { type CniHost, type HostLink, macFor } from "./host.js";
import type { CniInterface } from "./result.js";

/** A veth pair between a container and its node. */
export interface VethPair {
  readonly container: HostLink;
  readonly host: HostLink;
}

export interface VethOptions {
  readonly containerNs: string;
  readonly name: string;
  /** 0 for the kernel's own choice. */
  readonly mtu: number;
  /** The MAC of the container's end that was asked for; empty for any. */
  readonly mac: string;
}

/**
 * The name of the host's end: `veth` and eight digits. Differs: the real plugin draws them; here they follow from node,
 * container and interface, so that every run has the same names.
 */
export function vethName(...parts: readonly string[]): string {
  return `veth${sha512(`veth ${parts.join(" ")}`).slice(0, 8)}`;
}

/** Makes the pair from inside the container; the host's end is up. Mirrors plugins/pkg/ip/link_linux.go:SetupVeth(). */
export function setupVeth(host: CniHost, { containerNs, name, mtu, mac }: VethOptions): VethPair {
  const links = host.links(containerNs);
  if (links.has(name)) fail(`container veth name provided (${name}) already exists`);
  const peer = vethName(host.ns, containerNs, name);
  const ownMac = mac === "" ? macFor(`${containerNs} ${name}`) : mac;
  const peerMac = macFor(`${host.ns} ${peer}`);
  const size = mtu === 0 ? [] : ["mtu", String(mtu)];
  host.run(
    containerNs,
    ...["ip", "link", "add", name, "address", ownMac, ...size, "type", "veth"],
    ...["peer", "name", peer, "address", peerMac, ...size, "netns", host.ns],
  );
  host.run(host.ns, "ip", "link", "set", peer, "up");
  const container: HostLink = {
    ...newLink(name, "veth", ownMac),
    peer: { ns: host.ns, name: peer },
  };
  const end: HostLink = {
    ...newLink(peer, "veth", peerMac),
    up: true,
    peer: { ns: containerNs, name },
  };
  links.set(name, container);
  host.links(host.ns).set(peer, end);
  return { container, host: end };
}

/** A device as it is right after it was made. */
export function newLink(name: string, kind: string, mac: string): HostLink {
  return { name, kind, mac, bornMac: mac, up: false, addresses: [] };
}

export function interfaceOf({ name, mac }: HostLink, sandbox?: string): CniInterface {
  return sandbox === undefined ? { name, mac } : { name, mac, sandbox };
}
