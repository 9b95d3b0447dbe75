import type { NetworkNamespace } from "../core/namespace.js";
import { IptablesError, refuse } from "../netfilter/iptables/refusal.js";
import type { ToolContext } from "./command.js";

/** The namespace an iptables program works in. */
export function namespaceOf({ sim, ns }: ToolContext): NetworkNamespace {
  const found = ns === undefined ? undefined : sim.namespaces.get(ns);
  if (found !== undefined) return found;
  throw new IptablesError(
    refuse("rules belong to a namespace: name one", { code: "TOOL_NO_NAMESPACE" }),
    undefined,
    {},
  );
}
