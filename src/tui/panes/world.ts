import type { Place } from "../../base/errors.js";
import type { Cluster } from "../../kube/cluster.js";
import { keyOf, nameOf, namespaceOf, type Origin } from "../../kube/objects.js";
import { verdictName } from "../../view/outcome.js";
import { podAddresses } from "../../kube/own-addresses.js";
import { formatIp } from "../../wire/ip.js";
import { widthOf } from "../cells.js";
import type { ItemAction } from "../items.js";
import { type Line, plain } from "../style.js";
import type { OpenTrace, UiState } from "../ui-state.js";

/** A row of the tree: what it says, and what Enter does. */
export interface TreeRow {
  readonly line: Line;
  /** The part of the tree that it begins, and can be folded. */
  readonly section?: string;
  readonly action?: ItemAction | { readonly kind: "trace-number"; readonly index: number };
}

/** The world as a tree: nodes with their pods, services, policies, and the traces made so far. */
export function worldTree(state: UiState, trace: OpenTrace, width: number): readonly TreeRow[] {
  const { world } = trace.model.sources;
  const here = trace.model.steps[trace.at]?.ns;
  const { folded } = state.tree;
  const section = (name: string, rows: () => readonly TreeRow[]): readonly TreeRow[] => {
    const shut = folded.has(name);
    return [{ line: `${shut ? "+" : "v"} ${name}`, section: name }, ...(shut ? [] : rows())];
  };
  return [
    ...(world.kind === "cluster" ? clusterSections(world.cluster, here, width, section) : []),
    ...(world.kind === "lab" || world.kind === "recorded"
      ? section("namespaces", () =>
          world.lab.namespaces.map((name) => ({
            line: entry(name, "", here === name, 1, width),
            action: { kind: "show", show: "routes", name },
          })),
        )
      : []),
    ...section("traces", () => traceRows(state)),
  ];
}

export function worldLines(state: UiState, trace: OpenTrace, width: number): readonly Line[] {
  return worldTree(state, trace, width).map(({ line }, index): Line => {
    const chosen = trace.focus === "world" && index === state.tree.row;
    return chosen ? [{ text: plain(line), tone: "selected" }] : line;
  });
}

function clusterSections(
  { nodes, pods, services, objects }: Cluster,
  here: string | undefined,
  width: number,
  section: (name: string, rows: () => readonly TreeRow[]) => readonly TreeRow[],
): readonly TreeRow[] {
  return [
    ...section("nodes", () =>
      nodes.flatMap((node): readonly TreeRow[] => [
        {
          line: entry(node.name, formatIp(node.address), here === node.name, 1, width),
          action: { kind: "show", show: "routes", name: node.name },
        },
        ...pods
          .filter((one) => one.node === node.name && !one.hostNetwork)
          .map(({ key, loaded, ...pod }) => ({
            line: entry(key, podAddresses(pod).map(formatIp)[0] ?? "", here === key, 2, width),
            ...sourceOf(loaded.origin),
          })),
      ]),
    ),
    ...section("services", () =>
      services.map(({ object, origin }) => ({
        line: entry(
          namespaceOf(object) === "kube-system" ? nameOf(object) : keyOf(object),
          object.spec?.clusterIP ?? "",
          false,
          1,
          width,
        ),
        ...sourceOf(origin),
      })),
    ),
    ...section("policies", () =>
      objects.NetworkPolicy.map(({ object, origin }) => ({
        line: entry(keyOf(object), "", false, 1, width),
        ...sourceOf(origin),
      })),
    ),
  ];
}

function sourceOf({ file, line, column, assumed }: Origin): Pick<TreeRow, "action"> {
  if (assumed !== undefined) return {};
  const place: Place = { file, line, column };
  return { action: { kind: "source", place } };
}

function traceRows(state: UiState): readonly TreeRow[] {
  return state.traces.map(({ model }, index) => {
    const { verdict } = model.view;
    const mark = verdict.exit === 0 ? "ok" : verdict.exit === 3 ? "?" : "!";
    const tone = verdict.exit === 0 ? "ok" : verdict.exit === 3 ? "unknown" : "bad";
    return {
      line: [
        `  ${index === state.current ? ">" : " "} t${index + 1} ${model.name} `,
        { text: `${mark} ${verdictName(verdict)}`, tone },
      ],
      action: { kind: "trace-number", index },
    };
  });
}

/** A name and its address, which stands at the right end; both are shown whole where there is room. */
function entry(name: string, value: string, here: boolean, depth: number, width: number): Line {
  const text = `${"  ".repeat(depth)}${here ? ">" : " "} ${name}`;
  return [
    {
      text: `${text} ${value.padStart(width - widthOf(text) - 1)}`.trimEnd(),
      tone: here ? "title" : undefined,
    },
  ];
}
