import type { MadeLine, RuleMaker } from "../../core/recording.js";
import type { LabCommand } from "../../tools/command.js";
import { clusterLab } from "../cluster-lab.js";
import type { World } from "../world.js";

/** One line that a node has in one world and not in the other. */
export interface RuleLine {
  /** `nat`, `filter`, …; `ip6 nat` for IPv6, `ipset` for sets. */
  readonly table: string;
  /** `-A KUBE-SERVICES …`. */
  readonly text: string;
  readonly file: string;
  readonly line: number;
  readonly made: MadeLine | undefined;
}

/** What of the rules is not the same on a node, or on several in the same way. */
export interface RuleChange {
  readonly nodes: readonly string[];
  readonly removed: readonly RuleLine[];
  readonly added: readonly RuleLine[];
}

export interface RuleDiff {
  readonly changes: readonly RuleChange[];
  /** Nodes of both worlds whose rules were compared, and how many have not been. */
  readonly compared: number;
  readonly left: number;
}

/** Rules of a big cluster's nodes are much the same: so many are rendered in both worlds. */
const NODES_COMPARED = 20;

/** Compares what is written into each node that both worlds have: rules, sets, and where they come from. */
export function diffRules(before: World, after: World): RuleDiff {
  const others = new Set(hostsOf(after));
  const shared = hostsOf(before).filter((name) => others.has(name));
  const compared = shared.slice(0, NODES_COMPARED);
  const groups = new Map<string, { readonly nodes: string[]; readonly change: RuleChange }>();
  for (const node of compared) {
    const old = linesOf(before, node);
    const fresh = linesOf(after, node);
    const change = { nodes: [], removed: without(old, fresh), added: without(fresh, old) };
    if (change.removed.length + change.added.length === 0) continue;
    const key = JSON.stringify([change.removed, change.added].map((list) => list.map(keyOfLine)));
    const group = groups.get(key) ?? { nodes: [], change };
    group.nodes.push(node);
    groups.set(key, group);
  }
  return {
    changes: [...groups.values()].map(({ nodes, change }) => ({ ...change, nodes })),
    compared: compared.length,
    left: shared.length - compared.length,
  };
}

function hostsOf(world: World): readonly string[] {
  return world.kind === "cluster"
    ? world.cluster.nodes.map(({ name }) => name)
    : world.lab.namespaces;
}

function linesOf(world: World, node: string): readonly RuleLine[] {
  if (world.kind !== "cluster")
    return world.lab.commands
      .filter(({ ns }) => ns === node)
      .flatMap((one) => linesIn(one, new Map()));
  const pods = world.cluster.pods.filter((pod) => pod.node === node).map(({ key }) => key);
  const { lab, makers } = clusterLab(world, { nodes: new Set([node]), pods: new Set(pods) });
  return lab.commands.filter(({ ns }) => ns === node).flatMap((one) => linesIn(one, makers));
}

function linesIn(
  { argv, stdin, stdinName = "" }: LabCommand,
  makers: ReadonlyMap<string, RuleMaker>,
): readonly RuleLine[] {
  const [tool = ""] = argv;
  if (stdin === undefined)
    return tool === "iptables" || tool === "ipset"
      ? [{ table: tool, text: argv.slice(1).join(" "), file: "", line: 0, made: undefined }]
      : [];
  const maker = makers.get(stdinName);
  const family = tool === "ip6tables-restore" ? "ip6 " : "";
  let table = tool === "ipset" ? "ipset" : "";
  return stdin.split("\n").flatMap((text, index): readonly RuleLine[] => {
    if (text.startsWith("*")) table = `${family}${text.slice(1)}`;
    const rule = text.replace(/^\[\d+:\d+\] /, "");
    if (!/^-[AI] |^(add|create) |^:\S+ (ACCEPT|DROP)/.test(rule)) return [];
    const line = index + 1;
    const shown = rule.replace(/ \[\d+:\d+\]$/, "");
    return [{ table, text: shown, file: stdinName, line, made: maker?.line?.(line) }];
  });
}

function keyOfLine({ table, text }: RuleLine): string {
  return `${table} ${text}`;
}

/** The lines that a list has more often than the other. */
function without(lines: readonly RuleLine[], other: readonly RuleLine[]): readonly RuleLine[] {
  const left = new Map<string, number>();
  for (const one of other) left.set(keyOfLine(one), (left.get(keyOfLine(one)) ?? 0) + 1);
  return lines.filter((one) => {
    const count = left.get(keyOfLine(one)) ?? 0;
    if (count > 0) left.set(keyOfLine(one), count - 1);
    return count === 0;
  });
}
