import { unreachable } from "../../base/errors.js";
import { isMapping } from "../../kube/load/check.js";
import type { InlineObject } from "../../kube/load.js";
import type { Micros } from "../../sim/time.js";
import type { Action, ObjectName } from "./scenario.js";

/** What a step does, in one line. */
export function titleOf(action: Action): string {
  switch (action.kind) {
    case "apply":
      return `apply ${action.objects.map(inlineName).join(", ")}`;
    case "delete": {
      const times = [
        ...(action.grace === undefined ? [] : [`grace ${seconds(action.grace)}`]),
        ...(action.exits === undefined ? [] : [`its programs end after ${seconds(action.exits)}`]),
      ];
      return [`delete ${objectText(action.object)}`, ...times].join(", ");
    }
    case "patch":
      return `patch ${objectText(action.object)} with ${JSON.stringify(action.merge.value)}`;
    case "ready":
      return action.pods
        .map(({ pod, is }) => `${pod.key} is ${is ? "ready" : "not ready"}`)
        .join(", ");
    case "probe":
      return action.pods
        .map(({ pod, is }) => `readiness probe of ${pod.key} ${is ? "succeeds" : "fails"}`)
        .join(", ");
    case "stop":
      return `stop the programs of ${action.pod.key}`;
    case "start":
      return `start the programs of ${action.pod.key}`;
    case "down":
      return `node ${action.node} cannot be reached`;
    case "up":
      return `node ${action.node} can be reached again`;
    case "run":
      return `run on ${[...new Set(action.commands.map(({ ns }) => ns))].join(", ")}`;
    case "open":
    case "request": {
      const { from, to, protocol } = action.request;
      const what = action.kind === "open" ? `open ${action.name}` : "request";
      return `${what}: ${protocol.toUpperCase()} ${from} -> ${to}`;
    }
    case "send":
      return `send on ${action.name}`;
    case "close":
      return `close ${action.name}`;
    case "wait":
      return `wait ${seconds(action.time)}`;
    default:
      return unreachable(action);
  }
}

function objectText({ kind, namespace, name }: ObjectName): string {
  return `${kind} ${namespace === "default" ? "" : `${namespace}/`}${name}`;
}

function inlineName({ value }: InlineObject): string {
  if (!isMapping(value)) return "an object";
  const metadata = isMapping(value["metadata"]) ? value["metadata"] : {};
  const text = (one: unknown): string => (typeof one === "string" ? one : "");
  const namespace = text(metadata["namespace"]);
  return `${text(value["kind"]) || "an object"} ${namespace === "" ? "" : `${namespace}/`}${text(metadata["name"])}`;
}

function seconds(time: Micros): string {
  return `${time / 1_000_000} s`;
}
