import { counted } from "../../base/counted.js";
import { unmodelledParts } from "../../netfilter/iptables/ruleset.js";
import { parseRestore } from "../../netfilter/iptables/restore.js";
import { isIpv6LinkLocal } from "../../wire/ip.js";
import type { CheckNote, CheckReport } from "../check.js";
import type { RecordedNode } from "./cables.js";
import type { NodeRecord } from "./node-record.js";
import type { RecordedGap } from "./recorded-gaps.js";
import type { RecordedNote } from "./recorded-lab.js";
import { hasSave, nativeTables } from "./not-modelled.js";
import { sysctlCommands } from "./sysctl-commands.js";
import type { RecordedParts } from "./recorded-world.js";

/** What can be recorded of a node, the command that prints it, and what stands in where it is missing. */
const PARTS: readonly {
  readonly what: string;
  readonly command: string;
  readonly without: string;
  readonly has: (record: NodeRecord) => boolean;
}[] = [
  {
    what: "rules",
    command: "iptables-save",
    without: "answers of packets that pass it are UNKNOWN",
    has: ({ rules }) => rules.length > 0,
  },
  {
    what: "devices and addresses",
    command: "ip -d -j addr",
    without: "those that --addr and rules name are assumed",
    has: ({ links, hasAddresses }) => links !== undefined && hasAddresses,
  },
  {
    what: "routes",
    command: "ip -j route show table all",
    without: "networks of its addresses are assumed, others make an answer UNKNOWN",
    has: ({ routes }) => routes !== undefined,
  },
  {
    what: "policy rules",
    command: "ip -j rule",
    without: "the kernel's own three are assumed",
    has: ({ policyRules }) => policyRules !== undefined,
  },
  {
    what: "neighbours",
    command: "ip -j neigh",
    without: "hosts behind devices are assumed to answer",
    has: ({ neighbours }) => neighbours !== undefined,
  },
  {
    what: "bridge tables",
    command: "bridge -j fdb",
    without: "bridges have learned nothing",
    has: ({ fdb }) => fdb !== undefined,
  },
  {
    what: "knobs",
    command: "sysctl -a",
    without: "forwarding is assumed to be on, the rest as the kernel begins",
    has: ({ sysctls }) => sysctls !== undefined,
  },
  {
    what: "connections",
    command: "conntrack -L",
    without: "none are assumed",
    has: ({ connections }) => connections !== undefined,
  },
  {
    what: "sockets",
    command: "ss -H -tuln",
    without: "a program is assumed to listen where a request arrives",
    has: ({ sockets }) => sockets !== undefined,
  },
];

/** The same of IPv6, for a node that has addresses or rules of it. */
const PARTS6: typeof PARTS = [
  {
    what: "IPv6 rules",
    command: "ip6tables-save",
    without: "answers of IPv6 packets that pass it are UNKNOWN",
    has: ({ rules }) => rules.some(({ family }) => family === "ipv6"),
  },
  {
    what: "IPv6 addresses",
    command: "ip -d -j addr",
    without: "those that --addr and rules name are assumed",
    has: ({ hasAddresses6 }) => hasAddresses6,
  },
  {
    what: "IPv6 routes",
    command: "ip -j -6 route show table all",
    without: "networks of its addresses are assumed, others make an answer UNKNOWN",
    has: ({ routes6 }) => routes6 !== undefined,
  },
  {
    what: "IPv6 policy rules",
    command: "ip -j -6 rule",
    without: "the kernel's own two are assumed",
    has: ({ policyRules6 }) => policyRules6 !== undefined,
  },
  {
    what: "IPv6 neighbours",
    command: "ip -j -6 neigh",
    without: "hosts behind devices are assumed to answer",
    has: ({ neighbours6 }) => neighbours6 !== undefined,
  },
];

/** Whether IPv6 beyond links and the host itself is spoken of. */
function speaksIpv6({ rules, links = [], routes6 = [] }: NodeRecord): boolean {
  return (
    rules.some(({ family }) => family === "ipv6") ||
    links.some(({ loopback, addresses6 }) =>
      addresses6.some(({ address }) => !loopback && !isIpv6LinkLocal(address)),
    ) ||
    routes6.some(({ words }) => words.includes("via"))
  );
}

/** Lists what each node's dumps tell and what stands in for the rest. */
export function checkRecorded({ records, recorded }: RecordedParts): Omit<CheckReport, "files"> {
  const rules = records.flatMap((record) => record.rules);
  const count = rules.reduce(
    (sum, { text }) => sum + (text.match(/^(\[\d+:\d+\] )?-A /gm)?.length ?? 0),
    0,
  );
  return {
    summary: `${counted(records.length, "recorded node")}, ${counted(count, "rule")}`,
    notes: [
      ...records.flatMap(partNotes),
      ...recorded.nodes.flatMap(deviceNotes),
      ...recorded.notes.map(({ text, place }) => ({ what: "note" as const, text, place })),
      ...recorded.gaps.map(({ what }) => ({
        what: "unmodelled" as const,
        text: what,
        place: undefined,
      })),
      ...records.flatMap(unmodelledNotes),
      ...records.flatMap(enginesNotModelled),
    ],
  };
}

/** What of one node is recorded and what is missing. */
export function partNotes(record: NodeRecord): readonly CheckNote[] {
  const parts = speaksIpv6(record) ? [...PARTS, ...PARTS6] : PARTS;
  const recorded = parts.filter(({ has }) => has(record)).map(({ what }) => what);
  const missing = parts.filter(({ has }) => !has(record));
  return [
    {
      what: "recorded",
      text: `${record.name}: ${recorded.length === 0 ? "nothing" : recorded.join(", ")}`,
      place: undefined,
    },
    ...missing.map(({ what, command, without }) => ({
      what: "missing" as const,
      text: `${record.name}: ${what} (${command}); ${without}`,
      place: undefined,
    })),
  ];
}

function deviceNotes({ record, devices }: RecordedNode): readonly CheckNote[] {
  return devices
    .filter(({ kind }) => kind === "unmodelled")
    .map(({ name, recordedKind, link }) => ({
      what: "unmodelled" as const,
      text: `${record.name}: device ${name} is a ${recordedKind ?? "?"}; what goes through it ends UNKNOWN`,
      place: link?.place,
    }));
}

/** Matches and targets that are kept and not evaluated. */
function unmodelledNotes({ rules }: NodeRecord): readonly CheckNote[] {
  return rules.flatMap(({ file, text, family, variant }) =>
    unmodelledParts(
      parseRestore(text, { file, family, variant, environment: { set: () => "any" } }),
    ).map(({ kind, name, place }) => ({
      what: "unmodelled" as const,
      text: `${kind} "${name}" is not modelled; a packet that comes to it ends UNKNOWN`,
      place,
    })),
  );
}

/** What of a cluster's nodes is recorded, and what is rendered from its objects. */
export function checkClusterRecords(
  records: ReadonlyMap<string, NodeRecord>,
  nodes: readonly string[],
  gaps: readonly RecordedGap[],
): readonly CheckNote[] {
  const others = nodes.filter((name) => !records.has(name));
  const rest: CheckNote = {
    what: "rendered",
    text: `${others.length} ${others.length === 1 ? "node" : "nodes"} from objects alone: ${listed(others)}`,
    place: undefined,
  };
  return [
    ...[...records.values()].flatMap((record) => clusterNodeNotes(record, gaps)),
    ...(records.size === 0 || others.length === 0 ? [] : [rest]),
  ];
}

function listed(names: readonly string[]): string {
  return names.length <= 10 ? names.join(", ") : `${names.slice(0, 10).join(", ")}, …`;
}

/** Beside objects what was recorded of a node counts, and the rest is rendered. */
function clusterNodeNotes(record: NodeRecord, gaps: readonly RecordedGap[]): readonly CheckNote[] {
  const note = (what: CheckNote["what"], text: string): CheckNote => ({
    what,
    text: `${record.name}: ${text}`,
    place: undefined,
  });
  const tables = record.rules.flatMap(({ text, family }) =>
    [...text.matchAll(/^\*(\w+)/gm)].map(
      ([, table = ""]) => `${family === "ipv4" ? "" : "ip6 "}${table}`,
    ),
  );
  const parts: readonly (readonly [string, boolean])[] = [
    [`rules (${tables.join(", ")})`, record.rules.length > 0],
    ["sets", record.ipsets !== undefined],
    ["knobs", record.sysctls !== undefined],
    ["connections", record.connections !== undefined],
    ["devices and addresses", record.hasAddresses],
    ["routes", record.routes !== undefined],
    ["policy rules", record.policyRules !== undefined],
    ["neighbours", record.neighbours !== undefined],
    ["entries of tunnels", (record.fdb ?? []).some(({ remote }) => remote !== undefined)],
    ["what bridges have learned", (record.fdb ?? []).some(({ remote }) => remote === undefined)],
    ["groups of bridges", record.groups !== undefined],
    ["sockets", record.sockets !== undefined],
  ];
  const used = parts.filter(([, has]) => has).map(([name]) => name);
  const rendered = [
    ...(record.rules.length === 0 ? ["rules"] : []),
    ...(record.hasAddresses ? [] : ["devices and addresses"]),
    ...(record.routes === undefined ? ["routes"] : []),
    ...(record.sockets === undefined ? ["programs"] : []),
  ];
  const knobs: RecordedNote[] = [];
  sysctlCommands({ record, devices: [] }, knobs);
  const own = [...new Set(gaps.flatMap(({ node, what }) => (node === record.name ? [what] : [])))];
  return [
    note("recorded", used.length === 0 ? "nothing that is used" : used.join(", ")),
    ...(rendered.length === 0 ? [] : [note("rendered", `${rendered.join(", ")} from objects`)]),
    ...(record.neighbours === undefined
      ? [note("missing", "neighbours (ip -j neigh); none are known at first")]
      : []),
    ...own.map((text) => ({ what: "unmodelled" as const, text, place: undefined })),
    ...knobs.map(({ text, place }) => ({ what: "note" as const, text, place })),
    ...unmodelledNotes(record),
    ...enginesNotModelled(record),
  ];
}

/** Tables of nft's own, and IPVS: packets that pass them end UNKNOWN. */
function enginesNotModelled(record: NodeRecord): readonly CheckNote[] {
  const { nft, ipvs, name } = record;
  const tables = nft === undefined ? [] : nativeTables(nft, hasSave(record));
  return [
    ...tables.map(({ name: table, hooks, line }) => ({
      what: "unmodelled" as const,
      text: `${name}: nft table ${table} (${hooks.join(", ")}); packets that pass it end UNKNOWN`,
      place: nft === undefined ? undefined : { file: nft.file, line, column: 1 },
    })),
    ...(ipvs === undefined || !/^-A /m.test(ipvs.text)
      ? []
      : [
          {
            what: "unmodelled" as const,
            text: `${name}: IPVS; packets to its virtual servers end UNKNOWN`,
            place: { file: ipvs.file, line: 1, column: 1 },
          },
        ]),
  ];
}
