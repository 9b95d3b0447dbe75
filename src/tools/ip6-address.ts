import type { NetDevice } from "../core/device.js";
import {
  addresses6Of,
  type InterfaceAddress6,
  IPV6_SCOPE_HOST,
  IPV6_SCOPE_LINK,
  IPV6_SCOPE_SITE,
} from "../inet/ipv6/addresses.js";
import {
  addAddress6,
  type Address6Spec,
  changeAddress6,
  removeAddress6,
} from "../inet/ipv6/addrconf.js";
import { formatIpv6, type Ipv6Prefix } from "../wire/ip.js";
import { notModelled, rtnetlink, ToolFailure } from "./failure.js";
import { deviceOf, type IpContext, namespaceOf, readPrefix6 } from "./ip-context.js";
import { garbage, type Words } from "./words.js";

interface Asked extends Address6Spec {
  readonly dev: NetDevice;
}

/** `ip -6 address add|change|replace|delete`. Mirrors iproute2's ipaddr_modify() for AF_INET6. */
export function change6(
  words: Words,
  context: IpContext,
  verb: "add" | "replace" | "delete",
): string {
  const { dev, ...spec } = readSpec(words, context);
  const refusal =
    verb === "delete"
      ? removeAddress6(dev, spec)
      : verb === "replace"
        ? changeAddress6(dev, spec)
        : addAddress6(dev, spec);
  if (refusal !== undefined) throw rtnetlink(refusal);
  return "";
}

function readSpec(words: Words, context: IpContext): Asked {
  let local: Ipv6Prefix | undefined;
  let peer: Ipv6Prefix | undefined;
  let name: string | undefined;
  let metric: number | undefined;
  const flags = { noDad: false, noPrefixRoute: false, deprecated: false };
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "peer" || word === "remote") peer = readPrefix6(words.value());
    else if (word === "dev") name = words.value();
    else if (word === "noprefixroute") flags.noPrefixRoute = true;
    else if (word === "nodad") flags.noDad = true;
    else if (word === "scope") words.value();
    else if (word === "metric" || word === "priority" || word === "preference")
      metric = words.number("metric", 0, 0xffff_ffff);
    else if (word === "valid_lft") foreverOr(words.value(), []);
    else if (word === "preferred_lft") flags.deprecated = foreverOr(words.value(), ["0"]) === "0";
    else if (OTHER_WORDS.includes(word)) throw notModelled("ip", `ip -6 address … ${word}`);
    else {
      const given = word === "local" ? words.value() : word;
      if (local !== undefined) throw garbage("local", given);
      local = readPrefix6(given);
    }
  }
  if (name === undefined)
    throw new ToolFailure(1, 'Not enough information: "dev" argument is required.\n');
  const dev = deviceOf(namespaceOf(context), name);
  if (local === undefined) throw rtnetlink("Invalid argument");
  return {
    dev,
    address: local.address,
    length: (peer ?? local).length,
    peer: peer?.address,
    metric,
    ...flags,
  };
}

const OTHER_WORDS: readonly string[] = [
  "broadcast",
  "brd",
  "anycast",
  "label",
  "home",
  "mngtmpaddr",
  "optimistic",
  "autojoin",
  "proto",
];

/** Addresses live for ever, or are deprecated at once. */
function foreverOr(word: string, others: readonly string[]): string {
  if (word !== "forever" && !others.includes(word))
    throw notModelled("ip", `an address that lives ${word} seconds`);
  return word;
}

/** `inet6 2001:db8::1/64 scope global nodad`. */
export function formatAddress6(address: InterfaceAddress6): string {
  const flags = [
    address.noDad && "nodad",
    address.dadFailed && "dadfailed",
    address.deprecated && "deprecated",
    address.tentative && "tentative",
    address.lifetime !== undefined && "dynamic mngtmpaddr",
    address.noPrefixRoute && address.lifetime === undefined && "noprefixroute",
  ].filter((flag) => flag !== false);
  return `inet6 ${formatLocal6(address)} scope ${[scopeName6(address), ...flags].join(" ")} `;
}

/** `2001:db8::1/64`, with a peer and a metric where it has them. */
export function formatLocal6({ address, peer, length, metric }: InterfaceAddress6): string {
  const place =
    peer === undefined
      ? `${formatIpv6(address)}/${length}`
      : `${formatIpv6(address)} peer ${formatIpv6(peer)}/${length}`;
  return metric === undefined || metric === 0 ? place : `${place} metric ${metric}`;
}

function scopeName6({ scope }: InterfaceAddress6): string {
  if (scope === IPV6_SCOPE_HOST) return "host";
  if (scope === IPV6_SCOPE_LINK) return "link";
  return scope === IPV6_SCOPE_SITE ? "site" : "global";
}

export function lifetime6({ deprecated, lifetime, dev }: InterfaceAddress6): string {
  const left = (until: number | undefined): string =>
    until === undefined
      ? "forever"
      : `${Math.max(Math.floor((until - dev.ns.sim.queue.now) / 1_000_000), 0)}sec`;
  if (lifetime !== undefined)
    return `valid_lft ${left(lifetime.valid)} preferred_lft ${left(lifetime.preferred)}`;
  return `valid_lft forever preferred_lft ${deprecated ? "0sec" : "forever"}`;
}

/** `ip -6 address flush dev DEV`. */
export function flush6(dev: NetDevice): void {
  for (const address of addresses6Of(dev)) removeAddress6(dev, address);
}
