import type { Hook } from "../../../core/hooks.js";
import type { Ipv6Prefix } from "../../../wire/ip.js";
import { type PrefixChange, prefixChange, translatePrefix } from "../../nat/prefix.js";
import { addressBits, andAddress, formatAddress, maskOf, parseAddress } from "../addresses.js";
import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";
import { parseNumber } from "../numbers.js";
import { option, type OptionUse } from "../options.js";
import { refuse } from "../refusal.js";

interface PrefixPair {
  readonly source: Ipv6Prefix;
  readonly destination: Ipv6Prefix;
}

/** The kernel does not translate longer ones. */
const MOST_BITS = 64;

/** `-j SNPT` and `-j DNPT` of IPv6, which differ in name and hooks. RFC 6296. */
export function prefixTranslation(name: "SNPT" | "DNPT", hooks: readonly Hook[]): TargetExtension {
  const source = option("src-pfx", readPrefix, { must: true });
  const destination = option("dst-pfx", readPrefix, { must: true });
  return defineTarget<PrefixPair, PrefixChange>({
    name,
    family: "ipv6",
    mirrors: `net/ipv6/netfilter/ip6t_NPT.c:ip6t_${name.toLowerCase()}_tg()`,
    fidelity: "exact",
    examples: ["--src-pfx fd00::/64 --dst-pfx 2001:db8:1::/64"],
    options: [source, destination],
    only: { tables: ["mangle"], hooks },
    parse: (args) => ({
      source: args.need(source).value,
      destination: args.need(destination).value,
    }),
    format: (pair) =>
      `--src-pfx ${formatPrefix(pair.source)} --dst-pfx ${formatPrefix(pair.destination)}`,
    refuses: (pair) =>
      isRefused(pair.source) || isRefused(pair.destination) ? "Invalid argument" : undefined,
    remember: (pair) => prefixChange(pair.source, pair.destination),
    apply: (_, skb, __, change) =>
      translatePrefix(skb, change, name === "SNPT" ? "source" : "destination") ?? CONTINUE,
  });
}

function formatPrefix({ address, length }: Ipv6Prefix): string {
  return `${formatAddress(address)}/${length}`;
}

function isRefused({ address, length }: Ipv6Prefix): boolean {
  return length > MOST_BITS || andAddress(address, maskOf(length, "ipv6")) !== address;
}

function readPrefix(text: string, { owner, option: name }: OptionUse): Ipv6Prefix {
  const [host = "", digits] = text.split("/");
  const address = parseAddress(host, "ipv6");
  if (typeof address !== "bigint") throw refuse("getaddrinfo: Name or service not known\n");
  const length = digits === undefined ? addressBits("ipv6") : parseNumber(digits, 0, 128);
  if (length === undefined)
    throw refuse(
      `${owner}: bad value for option "--${name}", neither a valid network mask nor valid CIDR (0-128).\n`,
    );
  return { address, length };
}
