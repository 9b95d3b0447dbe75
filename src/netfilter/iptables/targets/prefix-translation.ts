import type { Hook } from "../../../core/hooks.js";
import { addressBits, formatAddress, maskOf, andAddress, parseAddress } from "../addresses.js";
import { type TargetExtension, defineTarget } from "../extension.js";
import { parseNumber } from "../numbers.js";
import { option, type OptionUse } from "../options.js";
import { refuse } from "../refusal.js";
import type { IpAddress } from "../../../wire/ip.js";

interface Prefix {
  readonly address: IpAddress;
  readonly length: number;
}

interface PrefixPair {
  readonly source: Prefix;
  readonly destination: Prefix;
}

/** `-j SNPT` and `-j DNPT` of IPv6, which differ in name and hooks. RFC 6296. */
export function prefixTranslation(name: "SNPT" | "DNPT", hooks: readonly Hook[]): TargetExtension {
  const source = option("src-pfx", readPrefix, { must: true });
  const destination = option("dst-pfx", readPrefix, { must: true });
  return defineTarget<PrefixPair>({
    name,
    family: "ipv6",
    mirrors: `net/ipv6/netfilter/ip6t_NPT.c:ip6t_${name.toLowerCase()}_tg()`,
    fidelity: "unmodelled",
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
      hasHostBits(pair.source) || hasHostBits(pair.destination) ? "Invalid argument" : undefined,
  });
}

function formatPrefix({ address, length }: Prefix): string {
  return `${formatAddress(address)}/${length}`;
}

function hasHostBits({ address, length }: Prefix): boolean {
  return andAddress(address, maskOf(length, "ipv6")) !== address;
}

function readPrefix(text: string, { owner, option: name }: OptionUse): Prefix {
  const [host = "", digits] = text.split("/");
  const address = parseAddress(host, "ipv6");
  if (address === undefined) throw refuse("getaddrinfo: Name or service not known\n");
  const length = digits === undefined ? addressBits("ipv6") : parseNumber(digits, 0, 128);
  if (length === undefined)
    throw refuse(
      `${owner}: bad value for option "--${name}", neither a valid network mask nor valid CIDR (0-128).\n`,
    );
  return { address, length };
}
