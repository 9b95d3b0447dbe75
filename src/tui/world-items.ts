import { counted } from "../base/counted.js";
import { formatIp } from "../wire/ip.js";
import { placeText } from "../view/text.js";
import { checkWorld, type CheckNote } from "../lab/check.js";
import { isRequest, type Probe } from "../lab/lab.js";
import type { ShowKind } from "../lab/show.js";
import { PER_NODE } from "./command-line.js";
import { heading, type Item, item } from "./items.js";
import type { Tone } from "./style.js";
import type { OpenWorld } from "./ui-state.js";

/** Notes that say that something may be wrong or cannot be answered. */
const SIGNS: Readonly<Partial<Record<CheckNote["what"], readonly [string, Tone]>>> = {
  error: ["! ", "bad"],
  warning: ["! ", "bad"],
  unmodelled: ["? ", "unknown"],
  missing: ["? ", "unknown"],
};

/** How many notes are told before they are only counted. */
const NOTES = 200;

/** What a world holds, what can be looked at in it, and what `check` has to say about it. */
export function worldItems(open: OpenWorld): readonly Item[] {
  const { summary, files, notes } = checkWorld(open.world);
  const unused = files.filter(({ used }) => !used).map(({ file }) => file);
  const links = linkItems(open);
  return [
    item([{ text: summary, tone: "key" }]),
    heading(notes.length === 0 ? "check: nothing to say" : `check: ${countedNotes(notes)}`),
    ...notes
      .toSorted((a, b) => rank(a) - rank(b))
      .slice(0, NOTES)
      .map(noteItem),
    ...(notes.length > NOTES ? [item(`  and ${notes.length - NOTES} more: hopwise check`)] : []),
    ...(unused.length === 0 ? [] : [item(`  not used: ${unused.join(", ")}`)]),
    ...links,
  ];
}

/** Worlds with more pods than this are not checked before the first frame. */
const CHECKED_AT_ONCE = 500;

/** `3 nodes, 7 pods, 4 services, 2 policies; 1 warning: :world lists them`: one line after a world was read. */
export function worldSummary(open: OpenWorld): string {
  const { world } = open;
  if (world.kind === "cluster" && world.cluster.pods.length > CHECKED_AT_ONCE)
    return `${counted(world.cluster.nodes.length, "node")}, ${counted(world.cluster.pods.length, "pod")}; :world checks them`;
  const { summary, notes } = checkWorld(open.world);
  const told = notes.filter(({ what }) => SIGNS[what] !== undefined);
  return told.length === 0 ? summary : `${summary}; ${countedNotes(told)}: :world lists them`;
}

function countedNotes(notes: readonly CheckNote[]): string {
  const counts = new Map<string, number>();
  for (const { what } of notes.toSorted((a, b) => rank(a) - rank(b)))
    counts.set(what, (counts.get(what) ?? 0) + 1);
  return [...counts].map(([what, count]) => `${count} ${what}${plural(what, count)}`).join(", ");
}

function plural(what: string, count: number): string {
  return count > 1 && (what === "error" || what === "warning" || what === "note") ? "s" : "";
}

const ORDER: readonly CheckNote["what"][] = [
  "error",
  "warning",
  "unmodelled",
  "missing",
  "note",
  "info",
  "recorded",
  "rendered",
];

function rank({ what }: CheckNote): number {
  return ORDER.indexOf(what);
}

function noteItem({ what, text, place }: CheckNote): Item {
  const [sign = "  ", tone] = SIGNS[what] ?? [];
  return item(
    [{ text: `${sign}${what}`, tone }, `  ${text}`],
    place === undefined ? undefined : { kind: "source", place },
    place === undefined ? [] : [{ text: placeText(place), indent: 6 }],
  );
}

function linkItems(open: OpenWorld): readonly Item[] {
  const { world } = open;
  switch (world.kind) {
    case "cluster": {
      const { nodes, pods, services, objects } = world.cluster;
      const [first] = nodes;
      return [
        heading("look at"),
        item("  matrix     who reaches whom", { kind: "matrix", words: "" }),
        ...showItems(
          [
            ["nodes", nodes.length],
            ["pods", pods.length],
            ["services", services.length],
            ["endpoints", undefined],
            ["policies", objects.NetworkPolicy.length],
            ["ipam", undefined],
            ["dns", undefined],
          ],
          undefined,
        ),
        ...(first === undefined ? [] : nodeItems(first.name)),
      ];
    }
    case "lab":
      return [
        ...(world.lab.about === "" ? [] : [item(world.lab.about.trim())]),
        ...probeItems(open, world.lab.probes),
        ...world.lab.namespaces.flatMap(nodeItems),
      ];
    case "recorded":
      return world.records.flatMap(({ name }) => nodeItems(name));
    default:
      return world satisfies never;
  }
}

function showItems(
  kinds: readonly (readonly [ShowKind, number | undefined])[],
  name: string | undefined,
): readonly Item[] {
  return kinds.map(([show, count]) =>
    item(`  ${show.padEnd(10)} ${count ?? ""}`.trimEnd(), { kind: "show", show, name }),
  );
}

const TOOLS: Readonly<Partial<Record<ShowKind, string>>> = {
  rules: "iptables-save -c",
  routes: "ip route",
  ct: "conntrack -L",
  fdb: "bridge fdb",
  neigh: "ip neigh",
};

/** What the tools print on a node. */
function nodeItems(name: string): readonly Item[] {
  return [
    heading(`on ${name}`),
    ...PER_NODE.map((show) =>
      item(`  ${show.padEnd(10)} ${TOOLS[show]}`, { kind: "show", show, name }),
    ),
  ];
}

/** The packets that a lab is about. */
function probeItems(open: OpenWorld, probes: readonly Probe[]): readonly Item[] {
  const requests = probes.filter(isRequest);
  if (requests.length === 0) return [];
  return [
    heading("its packets: Enter sends one"),
    ...requests.map(({ ns, protocol, address, port, ttl, sourcePort }) => {
      const goal = `${formatIp(address)}${protocol === "icmp" ? "" : `:${port}`}`;
      const words = [
        ns,
        goal,
        ...(protocol === "tcp" ? [] : ["--proto", protocol]),
        ...(ttl === undefined ? [] : ["--ttl", String(ttl)]),
        ...(sourcePort === 0 ? [] : ["--sport", String(sourcePort)]),
      ].join(" ");
      return { ...item(`  ${ns} > ${goal} ${protocol}`, { kind: "trace", open, words }), name: ns };
    }),
  ];
}
