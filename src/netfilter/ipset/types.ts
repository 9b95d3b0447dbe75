/** What one place of an element holds; also what of a packet it is compared with. */
export type Dimension = "ip" | "net" | "port" | "mac" | "mark" | "iface" | "set";

/** The address family of a set; sets of ports, MACs and sets have none. */
export type SetFamily = "inet" | "inet6" | "unspec";

/** One type of set, as `create NAME TYPE` names it. */
export interface SetType {
  readonly name: string;
  readonly method: "bitmap" | "hash" | "list";
  readonly dimensions: readonly Dimension[];
  /** The newest revision that the pinned kernel (or, of a type it lacks, ipset 7.17) has. */
  readonly revision: number;
  readonly families: "inet" | "both" | "none";
  /** The create options of its own; the extensions are common to all. */
  readonly options: readonly CreateOption[];
  /** An address may have the length 0. Mirrors IP_SET_HASH_WITH_NET0. */
  readonly net0: boolean;
  /** The pinned kernel was built without it. */
  readonly missing: boolean;
}

export type CreateOption =
  | "range"
  | "netmask"
  | "bitmask"
  | "markmask"
  | "family"
  | "hashsize"
  | "maxelem"
  | "bucketsize"
  | "initval"
  | "forceadd"
  | "size";

const HASH: readonly CreateOption[] = ["hashsize", "maxelem", "bucketsize", "initval", "forceadd"];
const INET: readonly CreateOption[] = ["family", ...HASH];
const MASKS: readonly CreateOption[] = ["netmask", "bitmask"];

function type(
  name: string,
  revision: number,
  options: readonly CreateOption[],
  traits: { readonly net0?: boolean; readonly missing?: boolean } = {},
): SetType {
  const [method = "", parts = ""] = name.split(":");
  return {
    name,
    method: method === "bitmap" || method === "list" ? method : "hash",
    // The parts of a type's name are its dimensions.
    dimensions: parts.split(",") as Dimension[],
    revision,
    families: options.includes("family") ? "both" : name.startsWith("bitmap:ip") ? "inet" : "none",
    options,
    net0: traits.net0 ?? false,
    missing: traits.missing ?? false,
  };
}

/** Every type. Mirrors lib/ipset_*.c of ipset 7.17. */
export const setTypes: readonly SetType[] = [
  type("bitmap:ip", 3, ["range", "netmask"]),
  type("bitmap:ip,mac", 3, ["range"]),
  type("bitmap:port", 3, ["range"]),
  type("hash:ip", 6, [...INET, ...MASKS]),
  type("hash:mac", 1, HASH, { missing: true }),
  type("hash:ip,mac", 1, INET, { missing: true }),
  type("hash:ip,mark", 3, [...INET, "markmask"], { missing: true }),
  type("hash:ip,port", 7, [...INET, ...MASKS]),
  type("hash:ip,port,ip", 6, INET),
  type("hash:ip,port,net", 8, INET),
  type("hash:net", 7, INET),
  type("hash:net,net", 4, [...INET, ...MASKS], { net0: true, missing: true }),
  type("hash:net,port", 8, INET),
  type("hash:net,port,net", 3, INET, { net0: true, missing: true }),
  type("hash:net,iface", 8, INET, { net0: true }),
  type("list:set", 3, ["size"]),
];

/** Names of older versions. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ["ipmap", "bitmap:ip"],
  ["macipmap", "bitmap:ip,mac"],
  ["portmap", "bitmap:port"],
  ["iphash", "hash:ip"],
  ["nethash", "hash:net"],
  ["ipporthash", "hash:ip,port"],
  ["ipportiphash", "hash:ip,port,ip"],
  ["ipportnethash", "hash:ip,port,net"],
  ["setlist", "list:set"],
]);

const byName = new Map(setTypes.map((known) => [known.name, known]));

export function setTypeNamed(name: string): SetType | undefined {
  return byName.get(ALIASES.get(name) ?? name);
}

export function setTypeNames(): Iterable<string> {
  return byName.keys();
}

/** Whether elements hold a net, so that they may be marked `nomatch`. */
export function hasNets({ dimensions }: SetType): boolean {
  return dimensions.includes("net");
}

/** What two sets must have in common to be swapped: not the type itself. Mirrors struct ip_set_type.features. */
export function featuresOf(set: SetType): string {
  const kinds = set.dimensions.map((part, index) =>
    part !== "net" && part !== "ip" ? part : index === 0 ? "ip" : "ip2",
  );
  return [...kinds, ...(hasNets(set) ? ["nomatch"] : [])].join(" ");
}
