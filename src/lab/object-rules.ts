import { UserError } from "../base/errors.js";
import { nearest } from "../base/nearest.js";
import type { MadeFor, MadeLine, RuleMaker } from "../core/recording.js";
import { clusterLab } from "./cluster-lab.js";
import type { LabCommand } from "../tools/command.js";
import { findObject, type FoundObject } from "./named-object.js";
import type { ClusterWorld } from "./world.js";

/** One generated rule and why it is there. */
export interface ObjectRule {
  readonly node: string;
  /** `nat`; `ip6 nat` for IPv6. */
  readonly table: string;
  /** As the generated text has it: `-A KUBE-SERVICES -d 10.96.44.10/32 …`, `-I OUTPUT -j KUBE-FIREWALL`. */
  readonly text: string;
  readonly file: string;
  /** Counts from 1. */
  readonly line: number;
  readonly made: MadeLine;
}

/** The rules that an object led to. */
export interface ObjectRules {
  /** `Service shop/api`. */
  readonly title: string;
  readonly object: FoundObject;
  readonly rules: readonly ObjectRule[];
  /** Nodes whose rules were recorded: what stands there is theirs, not what is listed. */
  readonly recorded: readonly string[];
}

/**
 * Every generated rule that is there for an object: `svc/shop/api`, `pod/…`, `netpol/…`, `node/…`; on one node where it is
 * named. Rules of a node are all of its rules. Throws UserError for an object or a node that is not there.
 */
export function objectRules(
  world: ClusterWorld,
  text: string,
  nodeName: string | undefined,
): ObjectRules {
  const object = findObject(world.cluster, text, world.name);
  const { kind, name } = object;
  if (!KINDS.includes(kind))
    throw new UserError("SHOW_RULES_KIND", `no rules are made for ${kind} ${name} itself`, {
      help: "those of svc/NS/NAME, pod/NS/NAME, netpol/NS/NAME and node/NAME are listed",
    });
  const nodes = world.cluster.nodes.map((node) => node.name);
  if (nodeName !== undefined && !nodes.includes(nodeName)) {
    const near = nearest(nodeName, nodes);
    throw new UserError("NODE_UNKNOWN", `no node "${nodeName}" in ${world.name}`, {
      help:
        near === undefined ? `there are ${nodes.slice(0, 8).join(", ")}` : `did you mean ${near}?`,
    });
  }
  const only = kind === "Node" ? name : nodeName;
  const part = {
    nodes: new Set(only === undefined ? nodes : [only]),
    pods: new Set(world.cluster.pods.map(({ key }) => key)),
  };
  // Recorded tables take the place of generated ones: it is the generated ones that are asked for.
  const { lab, makers } = clusterLab({ ...world, records: new Map() }, part);
  const rules = lab.commands.flatMap((command) => rulesOf(command, makers));
  return {
    title: `${kind} ${name}`,
    object,
    rules:
      kind === "Node" ? rules : rules.filter(({ made }) => made.objects.some(isFor(object, world))),
    recorded: [...world.records.values()]
      .filter(({ name: node, rules: own }) => part.nodes.has(node) && own.length > 0)
      .map((record) => record.name),
  };
}

const KINDS: readonly string[] = [
  "Service",
  "Pod",
  "NetworkPolicy",
  "Node",
  "EndpointSlice",
  "ConfigMap",
];

/** A pod's rules are its own and those of its endpoints, which are made for a slice's entry. */
function isFor({ kind, name }: FoundObject, { cluster }: ClusterWorld): (one: MadeFor) => boolean {
  const pod = kind === "Pod" ? cluster.pods.find(({ key }) => key === name) : undefined;
  if (pod === undefined) return (one) => one.kind === kind && one.name === name;
  const slots = new Set<string>();
  for (const { object } of cluster.endpointSlices) {
    const key = `${object.metadata?.namespace ?? "default"}/${object.metadata?.name ?? ""}`;
    (object.endpoints ?? []).forEach(({ targetRef }, index) => {
      if (
        targetRef?.kind === "Pod" &&
        targetRef.name === pod.name &&
        key.startsWith(`${pod.namespace}/`)
      )
        slots.add(`${key} ${index}`);
    });
  }
  return (one) =>
    (one.kind === "Pod" && one.name === name) ||
    (one.kind === "EndpointSlice" && slots.has(`${one.name} ${String(one.path?.[1])}`));
}

/** The rules of one command's text, each with its table. */
function rulesOf(
  { argv, stdin, stdinName = "", ns = "" }: LabCommand,
  makers: ReadonlyMap<string, RuleMaker>,
): readonly ObjectRule[] {
  const maker = makers.get(stdinName);
  if (stdin === undefined || maker === undefined) return [];
  const family = argv[0] === "ip6tables-restore" ? "ip6 " : "";
  let table = "";
  return stdin.split("\n").flatMap((text, index): readonly ObjectRule[] => {
    if (text.startsWith("*")) table = `${family}${text.slice(1)}`;
    const made = /^-[AI] /.test(text) ? maker.line?.(index + 1) : undefined;
    return made === undefined
      ? []
      : [{ node: ns, table, text, file: stdinName, line: index + 1, made }];
  });
}
