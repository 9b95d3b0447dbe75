import { isMapping } from "./load/check.js";

/** The kinds of text that a world is made of. */
export type TextKind =
  | "kubernetes"
  | "lab"
  | "conflist"
  | "corefile"
  | "resolvers"
  | "zone"
  | "iptables-save"
  | "ipset-save"
  | "nft"
  | "ipvsadm-save"
  | "conntrack"
  | "ip-addr"
  | "ip-link"
  | "ip-route"
  | "ip-rule"
  | "ip-neigh"
  | "ip6-addr"
  | "ip6-route"
  | "ip6-rule"
  | "ip6-neigh"
  | "bridge-fdb"
  | "bridge-link"
  | "bridge-mdb"
  | "netns-ids"
  | "sysctl"
  | "sockets"
  | "unknown";

/** How much of a text decides. */
const HEAD = 65_536;

/**
 * What a text is, by its content alone. Shell-like and YAML comments are looked past. `unknown` is what fits nothing;
 * a broken YAML file is still recognised by its first keys, so that its error names the right reader.
 */
export function recognise(text: string): TextKind {
  const head = text.slice(0, HEAD);
  const lines = head
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line.trim() !== "" && !/^\s*#/.test(line));
  const first = lines[0]?.trim() ?? "";
  if (/^[[{]/.test(first)) return recogniseJson(text, lines);
  if (/^\*(filter|nat|mangle|raw|security)$/.test(first)) return "iptables-save";
  if (/^create \S+ (hash|bitmap|list):/.test(first)) return "ipset-save";
  if (/^(table|flush ruleset|add table|delete table|define)\b/.test(first)) return "nft";
  if (/^-A -[tuf] \S+ -s \S+/.test(first)) return "ipvsadm-save";
  if (/^(ipv[46]\s+\d+\s+)?(tcp|udp|icmp|icmpv6|sctp|unknown)\s+\d+\s+\d+ /.test(first))
    return "conntrack";
  if (/^[a-z]+(\.[\w/:@-]+)+ = ?/.test(first)) return "sysctl";
  if (/^(tcp|udp)\s+(LISTEN|UNCONN)\s+\d+\s+\d+\s/.test(first)) return "sockets";
  if (lines.some((line) => /^(apiVersion|"apiVersion"|kind|"kind")\s*:/.test(line)))
    return "kubernetes";
  if (lines.some((line) => /^(resolvers|node-resolv-conf)\s*:/.test(line))) return "resolvers";
  if (lines.some((line) => /^(namespaces|links|commands|lab)\s*:/.test(line))) return "lab";
  if (isCorefile(lines)) return "corefile";
  if (isZone(lines)) return "zone";
  return "unknown";
}

function recogniseJson(text: string, lines: readonly string[]): TextKind {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return byKeys(lines.join("\n"));
  }
  if (Array.isArray(value)) return recogniseList(value.filter((item) => isMapping(item)));
  if (!isMapping(value)) return "unknown";
  if ("nftables" in value) return "nft";
  if ("kind" in value || "apiVersion" in value) return "kubernetes";
  if ("plugins" in value || "cniVersion" in value || ("type" in value && "name" in value))
    return "conflist";
  return "namespaces" in value || "links" in value ? "lab" : "unknown";
}

/** What `ip -j` and `bridge -j` print: a list of objects, told by the fields that only one of the commands has. */
function recogniseList(items: readonly Record<string, unknown>[]): TextKind {
  const has = (...fields: readonly string[]): boolean =>
    items.some((item) => fields.every((field) => field in item));
  if (has("ifname", "addr_info"))
    return isAbout6(items.flatMap(addressesIn), ({ family }) => family === "inet6")
      ? "ip6-addr"
      : "ip-addr";
  if (has("mac", "ifname")) return "bridge-fdb";
  if (has("mdb")) return "bridge-mdb";
  if (has("ifname", "link_type")) return "ip-link";
  if (has("ifname", "hairpin")) return "bridge-link";
  if (has("ifname", "ifindex")) return "ip-link";
  if (has("priority", "src")) return isRules6(items) ? "ip6-rule" : "ip-rule";
  if (has("nsid")) return "netns-ids";
  const six = isAbout6(items, (item) => "pref" in item || hasColon(item, "dst"));
  if (has("dst", "state")) return six ? "ip6-neigh" : "ip-neigh";
  return has("dst") ? (six ? "ip6-route" : "ip-route") : "unknown";
}

/** Whether a list is about IPv6 alone. */
function isAbout6(
  items: readonly Record<string, unknown>[],
  isIpv6: (item: Record<string, unknown>) => boolean,
): boolean {
  return items.length > 0 && items.every((item) => Object.keys(item).length === 0 || isIpv6(item));
}

function addressesIn({ addr_info: list }: Record<string, unknown>): Record<string, unknown>[] {
  return Array.isArray(list) ? list.filter((item) => isMapping(item)) : [];
}

function hasColon(item: Record<string, unknown>, field: string): boolean {
  return String(item[field]).includes(":");
}

/** Rules name addresses of one family; without any, IPv4 has a table more at the end than IPv6 when the kernel begins. */
function isRules6(items: readonly Record<string, unknown>[]): boolean {
  const addresses = items.flatMap(({ src, dst }) =>
    [src, dst].filter((one) => typeof one === "string" && one !== "all"),
  );
  if (addresses.length > 0) return addresses.some((one) => String(one).includes(":"));
  const tables = items.map(({ table }) => table);
  return tables.includes("local") && tables.includes("main") && !tables.includes("default");
}

/** For JSON that does not parse: its keys tell which reader shall complain. YAML in flow style looks the same. */
function byKeys(head: string): TextKind {
  if (/"?(kind|apiVersion)"?\s*:/.test(head)) return "kubernetes";
  if (/"(cniVersion|plugins)"\s*:/.test(head)) return "conflist";
  if (/"nftables"\s*:/.test(head)) return "nft";
  if (/"addr_info"\s*:/.test(head)) return "ip-addr";
  if (/"ifname"\s*:/.test(head)) return /"mac"\s*:/.test(head) ? "bridge-fdb" : "ip-link";
  if (/"priority"\s*:.*"src"\s*:/.test(head)) return "ip-rule";
  if (/"dst"\s*:/.test(head)) return /"state"\s*:/.test(head) ? "ip-neigh" : "ip-route";
  return "unknown";
}

/** A zone file: $ORIGIN or $TTL comes first, or the SOA record does. */
function isZone(lines: readonly string[]): boolean {
  const first = lines.find((line) => !/^\s*;/.test(line)) ?? "";
  return /^\$(ORIGIN|TTL)\s+\S/.test(first) || /^\S+\s+(\d\w*\s+)?(IN\s+)?SOA\s+\S/i.test(first);
}

/** A server block: zones, then an opening brace at the end of the line; or a snippet or an import. */
function isCorefile(lines: readonly string[]): boolean {
  const first = lines[0]?.trim() ?? "";
  if (/^import\s+\S/.test(first)) return true;
  return /^(\([\w.-]+\)|[\w.*:/,[\]-]+(\s+[\w.*:/,[\]-]+)*)\s*\{$/.test(first);
}
