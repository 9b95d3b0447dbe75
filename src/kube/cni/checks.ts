import { fail } from "./failure.js";
import type { CniHost } from "./host.js";
import type { CniIp, CniResult } from "./result.js";

/** The container's interface is there and has the addresses that the result names. Mirrors plugins/pkg/ip/utils_linux.go:ValidateExpectedInterfaceIPs(). */
export function checkAddresses(host: CniHost, ns: string, name: string, { ips }: CniResult): void {
  const link = host.links(ns).get(name);
  if (link === undefined) return fail(`Container interface name in prevResult: ${name} not found`);
  for (const { address } of ips) {
    if (!link.addresses.includes(address))
      fail(`Failed to match addr ${address} on interface ${name}`);
  }
}

/** The knobs that let the node forward for the families of these addresses. */
export function forwardingKeys(ips: readonly CniIp[]): readonly string[] {
  const v4 = ips.some(({ address }) => !address.includes(":")) ? ["net.ipv4.ip_forward"] : [];
  const v6 = ips.some(({ address }) => address.includes(":"))
    ? ["net.ipv6.conf.all.forwarding"]
    : [];
  return [...v4, ...v6];
}
