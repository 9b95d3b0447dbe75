import { blockContains, parseAddress, parseBlock } from "./address.js";
import { fail } from "./failure.js";
import type { CniHost } from "./host.js";
import type { CniResult } from "./result.js";

/**
 * Puts a result onto the container's interface: up, addresses, routes. Mirrors
 * github.com/containernetworking/plugins/pkg/ipam/ipam_linux.go:ConfigureIface(). Differs: no gratuitous ARP.
 */
export function applyResult(host: CniHost, ns: string, name: string, result: CniResult): void {
  const link = host.links(ns).get(name);
  if (link === undefined) return fail(`failed to lookup "${name}": Link not found`);
  host.run(ns, "ip", "link", "set", name, "up");
  link.up = true;
  for (const { address } of result.ips) {
    host.run(
      ns,
      "ip",
      "addr",
      "add",
      address,
      ...broadcast(address),
      "dev",
      name,
      ...settled(address),
    );
    link.addresses.push(address);
  }
  for (const { dst, gw } of result.routes) {
    const family = parseBlock(dst)?.family;
    const gateway =
      gw ?? result.ips.find((ip) => parseBlock(ip.address)?.family === family)?.gateway;
    if (gateway === undefined)
      fail(`failed to add route '${dst} via <nil> dev ${name}': invalid argument`);
    const reachable = parseAddress(gateway);
    const known = result.ips.some(({ address }) => {
      const block = parseBlock(address);
      return block !== undefined && reachable !== undefined && blockContains(block, reachable);
    });
    if (!known)
      fail(
        `failed to add route '${dst} via ${gateway} dev ${name} metric 0 (Scope: 0)': network is unreachable`,
      );
    host.run(ns, "ip", "route", "add", dst, "via", gateway, "dev", name);
  }
}

/** Differs: the plugin waits until duplicate address detection is over, the command does without. Mirrors pkg/ip/addr_linux.go:SettleAddresses(). */
function settled(address: string): readonly string[] {
  return address.includes(":") ? ["nodad"] : [];
}

/** The netlink library gives IPv4 addresses their broadcast address. */
export function broadcast(address: string): readonly string[] {
  const block = parseBlock(address);
  return block?.family === 4 && block.length < 31 ? ["brd", "+"] : [];
}
