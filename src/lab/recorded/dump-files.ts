import { UserError } from "../../base/errors.js";
import type { InputText } from "../../kube/load.js";
import { recognise, type TextKind } from "../../kube/recognise.js";
import type { NodeRecord, RecordedLink } from "./node-record.js";
import { readLinks, readPorts } from "./read-links.js";
import {
  readFdb,
  readGroups,
  readNeighbours,
  readNeighbours6,
  readNetnsNames,
  readPolicyRules,
  readRoutes,
  readRoutes6,
} from "./read-routes.js";
import { readRules, readSockets, readSysctls } from "./read-texts.js";

/** The kinds of text that belong to one node. */
type NodeKind = Extract<
  TextKind,
  | "iptables-save"
  | "ipset-save"
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
  | "nft"
  | "ipvsadm-save"
>;

/** What a file is called that tells what it holds and not whose it is, as `hopwise collect` calls them. */
const NAMES_OF_KINDS: readonly (readonly [RegExp, NodeKind])[] = [
  [/^(ip6?tables([-_.](nft|legacy))?([-_.]save)?([-_.](nft|legacy))?|rules)$/, "iptables-save"],
  [/^ipset([-_.]save)?$/, "ipset-save"],
  [/^(conntrack|nf_conntrack)([-_.]l|[-_.]list)?$/, "conntrack"],
  [/^(ip[-_.]?(v?6)[-_.]addr(ess(es)?)?|(ip[-_.])?addr(ess(es)?)?[-_.]?6)$/, "ip6-addr"],
  [/^(ip[-_.]?(v?6)[-_.]routes?|(ip[-_.])?routes?[-_.]?6)$/, "ip6-route"],
  [/^(ip[-_.]?(v?6)[-_.]rules?|ip[-_.]rules?[-_.]?6)$/, "ip6-rule"],
  [/^(ip[-_.]?(v?6)[-_.]neigh(bou?rs?)?|(ip[-_.])?neigh(bou?rs?)?[-_.]?6)$/, "ip6-neigh"],
  [/^(ip[-_.])?addr(ess(es)?)?$/, "ip-addr"],
  [/^(ip[-_.])?links?$/, "ip-link"],
  [/^(ip[-_.])?routes?$/, "ip-route"],
  [/^ip[-_.]rules?$/, "ip-rule"],
  [/^(ip[-_.])?neigh(bou?rs?)?$/, "ip-neigh"],
  [/^(bridge[-_.])?fdb$/, "bridge-fdb"],
  [/^bridge[-_.]links?$/, "bridge-link"],
  [/^(bridge[-_.])?mdb$/, "bridge-mdb"],
  [/^(ip[-_.])?netns([-_.]ids?)?$/, "netns-ids"],
  [/^sysctl([-_.]a)?$/, "sysctl"],
  [/^(sockets|ss)$/, "sockets"],
  [/^nft([-_.](list[-_.])?ruleset)?$/, "nft"],
  [/^ipvsadm([-_.](save|sn?))?$/i, "ipvsadm-save"],
];

/** A file and whose it is. */
interface Owned {
  readonly input: InputText;
  readonly kind: NodeKind;
  readonly node: string;
  /** The node that a pod's namespace was found on. */
  readonly host: string | undefined;
}

export function isNodeKind(kind: TextKind): kind is NodeKind {
  return NAMES_OF_KINDS.some(([, one]) => one === kind);
}

/** The kind of a file of a node: by its content, or, where that tells nothing (an empty table), by its name. */
export function kindOfDump({ file, text }: InputText): TextKind {
  const kind = recognise(text);
  const named = namedKind(stemOf(file)) ?? namedKind(stemOf(file).split(".").at(-1) ?? "");
  if (kind === "unknown") return named ?? "unknown";
  // Rules that name no address are alike in both families.
  return kind === "ip-rule" && named === "ip6-rule" ? named : kind;
}

function namedKind(stem: string): NodeKind | undefined {
  return NAMES_OF_KINDS.find(([pattern]) => pattern.test(stem.toLowerCase()))?.[1];
}

/** The file's name without folders and endings: `ip-addr` of `worker-1/ip-addr.json`. */
function stemOf(file: string): string {
  return (file.split("/").at(-1) ?? "").replace(
    /\.(txt|json|rules|save|conf|dump|out|log|ya?ml)$/i,
    "",
  );
}

/**
 * Whose a file is: `worker-1/ip-addr.json` and `worker-1.ip-addr.json` are worker-1's, `gw.rules` is gw's, and what
 * stands in `worker-1/netns/cni-1/` is a pod's on worker-1.
 */
export function ownerOf(file: string): {
  readonly node: string;
  readonly host: string | undefined;
} {
  const folders = file.split("/").slice(0, -1);
  const stem = stemOf(file);
  const dot = stem.lastIndexOf(".");
  if (namedKind(stem) === undefined) {
    const own = dot > 0 && namedKind(stem.slice(dot + 1)) !== undefined;
    const name = own ? stem.slice(0, dot) : stem;
    return { node: /^\(stdin\)$|^$/.test(name) ? "node" : name, host: undefined };
  }
  const folder = folders.at(-1) ?? "";
  if (folders.at(-2) === "netns" && folders.length >= 3)
    return { node: folder, host: folders.at(-3) };
  return { node: /^\.*$/.test(folder) ? "node" : folder, host: undefined };
}

/** Groups dumps by their node and reads them. Throws UserError for what is wrong in them, or there twice. */
export function readNodeRecords(inputs: readonly InputText[]): readonly NodeRecord[] {
  const owned = inputs.flatMap((input): readonly Owned[] => {
    const kind = kindOfDump(input);
    return isNodeKind(kind) ? [{ input, kind, ...ownerOf(input.file) }] : [];
  });
  const names = [...new Set(owned.map(({ node }) => node))];
  return names.map((name) =>
    readRecord(
      name,
      owned.filter(({ node }) => node === name),
    ),
  );
}

function readRecord(name: string, files: readonly Owned[]): NodeRecord {
  const hosts = new Set(files.map(({ host }) => host));
  if (hosts.size > 1)
    throw new UserError("DUMP_NAME", `"${name}" is the name of more than one namespace`, {
      place: startOf(files[0]?.input),
      help: "give each its own name: a folder for each node, a folder below netns for each pod",
    });
  const one = (kind: NodeKind): InputText | undefined => only(name, kind, files);
  const read = <T>(kind: NodeKind, reader: (input: InputText) => T): T | undefined => {
    const input = one(kind);
    return input === undefined ? undefined : reader(input);
  };
  const addresses = read("ip-addr", readLinks);
  const addresses6 = read("ip6-addr", readLinks);
  const links = read("ip-link", readLinks);
  const ports = read("bridge-link", readPorts);
  const mixed = read("ip-route", readRoutes6) ?? [];
  const mixed6 = read("ip-neigh", readNeighbours6) ?? [];
  return {
    name,
    host: [...hosts][0],
    files: files.map(({ input: { file } }) => file),
    rules: rulesOf(name, files),
    links: withAddresses6(name, addresses ?? links, addresses6)?.map((link) => ({
      ...link,
      kind: link.kind ?? links?.find((other) => other.name === link.name)?.kind,
      ports: ports?.get(link.name) ?? link.ports,
    })),
    hasAddresses: addresses !== undefined,
    hasAddresses6:
      addresses6 !== undefined || (addresses ?? []).some((link) => link.addresses6.length > 0),
    routes: read("ip-route", readRoutes),
    routes6: read("ip6-route", readRoutes6) ?? (mixed.length > 0 ? mixed : undefined),
    policyRules: read("ip-rule", readPolicyRules),
    policyRules6: read("ip6-rule", readPolicyRules),
    neighbours: read("ip-neigh", readNeighbours),
    neighbours6: read("ip6-neigh", readNeighbours6) ?? (mixed6.length > 0 ? mixed6 : undefined),
    fdb: read("bridge-fdb", readFdb),
    groups: read("bridge-mdb", readGroups),
    netnsNames: read("netns-ids", readNetnsNames) ?? new Map<number, string>(),
    sysctls: read("sysctl", readSysctls),
    sockets: read("sockets", readSockets),
    connections: one("conntrack"),
    ipsets: one("ipset-save"),
    nft: one("nft"),
    ipvs: one("ipvsadm-save"),
  };
}

/** Devices of one list with the IPv6 addresses of another, which leaves out devices that have none. Throws UserError. */
function withAddresses6(
  node: string,
  links: readonly RecordedLink[] | undefined,
  six: readonly RecordedLink[] | undefined,
): readonly RecordedLink[] | undefined {
  if (links === undefined || six === undefined) return links ?? six;
  const names = new Set(links.map(({ name }) => name));
  const stray = six.find(({ name }) => !names.has(name));
  if (stray !== undefined)
    throw new UserError(
      "DUMP_MIXED",
      `IPv6 addresses of ${node} are on the device ${stray.name}, and ${node} has none: are dumps of two nodes mixed up?`,
      { place: stray.place, help: `its devices are ${[...names].slice(0, 10).join(", ")}` },
    );
  return links.map((link) => ({
    ...link,
    addresses6: six.find(({ name }) => name === link.name)?.addresses6 ?? [],
  }));
}

/** The one file of a kind. Two of them are dumps of two nodes, or of two moments: nobody can say which holds. */
function only(name: string, kind: NodeKind, files: readonly Owned[]): InputText | undefined {
  const [first, second] = files.filter((file) => file.kind === kind);
  if (first !== undefined && second !== undefined) throw twice(name, kind, [first, second]);
  return first?.input;
}

function twice(name: string, kind: string, [first, second]: readonly [Owned, Owned]): UserError {
  return new UserError(
    "DUMP_TWICE",
    `${kind} of ${name} is there twice: ${first.input.file} and ${second.input.file}`,
    {
      place: startOf(second.input),
      help: "dumps of two nodes go into two folders, or are called NODE.rules and the like",
    },
  );
}

/** One text for each family, variant and table. */
function rulesOf(name: string, files: readonly Owned[]): NodeRecord["rules"] {
  const rules = files
    .filter(({ kind }) => kind === "iptables-save")
    .map((file) => ({ file, rules: readRules(file.input), tables: tablesIn(file.input.text) }));
  rules.forEach((second, index) => {
    const first = rules
      .slice(0, index)
      .find(
        ({ rules: { family, variant }, tables }) =>
          family === second.rules.family &&
          variant === second.rules.variant &&
          tables.some((table) => second.tables.includes(table)),
      );
    if (first !== undefined) throw twice(name, "iptables-save", [first.file, second.file]);
  });
  return rules.map(({ rules: one }) => one);
}

function tablesIn(text: string): readonly string[] {
  return [...text.matchAll(/^\*(\w+)/gm)].map(([, table = ""]) => table);
}

function startOf(input: InputText | undefined): { file: string; line: 1; column: 1 } | undefined {
  return input === undefined ? undefined : { file: input.file, line: 1, column: 1 };
}
