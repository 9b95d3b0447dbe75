import { formatIpv4 } from "../../wire/ip.js";
import { verdictName } from "../../view/outcome.js";
import { widthOf } from "../cells.js";
import type { Line } from "../style.js";
import type { OpenTrace, UiState } from "../ui-state.js";
import { keyOf, nameOf, namespaceOf } from "../../kube/objects.js";

/** The world as a tree: nodes with their pods, services, policies, and the traces made so far. */
export function worldLines(state: UiState, trace: OpenTrace, width: number): readonly Line[] {
  const { world } = trace.model.sources;
  const here = trace.model.steps[trace.at]?.ns;
  const lines: Line[] = [];
  if (world.kind === "cluster") {
    const { nodes, pods, services, objects } = world.cluster;
    lines.push("nodes");
    for (const node of nodes) {
      lines.push(row(node.name, formatIpv4(node.address), here === node.name, 0, width));
      for (const pod of pods.filter((one) => one.node === node.name && !one.hostNetwork)) {
        lines.push(
          row(
            pod.key,
            pod.address === undefined ? "" : formatIpv4(pod.address),
            here === pod.key,
            1,
            width,
          ),
        );
      }
    }
    lines.push("services");
    for (const { object } of services)
      lines.push(
        row(
          namespaceOf(object) === "kube-system" ? nameOf(object) : keyOf(object),
          object.spec?.clusterIP ?? "",
          false,
          0,
          width,
        ),
      );
    if (objects.NetworkPolicy.length > 0)
      lines.push("policies", ...objects.NetworkPolicy.map(({ object }) => `  ${keyOf(object)}`));
  }
  lines.push("traces");
  state.traces.forEach(({ model }, index) => {
    const { verdict } = model.view;
    const mark = verdict.exit === 0 ? "ok" : verdict.exit === 3 ? "?" : "!";
    lines.push([
      `${index === state.current ? ">" : " "} t${index + 1} ${model.name} `,
      {
        text: `${mark} ${verdictName(verdict)}`,
        tone: verdict.exit === 0 ? "ok" : verdict.exit === 3 ? "unknown" : "bad",
      },
    ]);
  });
  return lines;
}

/** A name and its address, which stands at the right end; both are shown whole where there is room. */
function row(name: string, value: string, here: boolean, depth: number, width: number): Line {
  const text = `${"  ".repeat(depth)}${here ? ">" : " "} ${name}`;
  return [
    {
      text: `${text} ${value.padStart(width - widthOf(text) - 1)}`.trimEnd(),
      tone: here ? "title" : undefined,
    },
  ];
}
