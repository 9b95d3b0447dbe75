import type { ObjectRef } from "./objects.js";

/** Why a line of rule text is there: the objects it was made from, and in words what it does for them. */
export interface LineOrigin {
  /** Who writes it on a real node. */
  readonly by: "kube-proxy" | "kubelet" | "kube-router";
  /** Empty for what kube-proxy and kubelet write whatever the objects. */
  readonly objects: readonly ObjectRef[];
  readonly why: string;
}

/** Text for a tool's standard input. `origins[n]` belongs to line n + 1 of `text`. */
export interface RenderedText {
  readonly text: string;
  readonly origins: readonly LineOrigin[];
}

/** Something that is there whatever the objects. */
export function always(why: string, by: LineOrigin["by"] = "kube-proxy"): LineOrigin {
  return { by, objects: [], why };
}

/** Something that is there for what the objects say. */
export function because(why: string, ...objects: readonly ObjectRef[]): LineOrigin {
  return { by: "kube-proxy", objects, why };
}

/** Texts for the same tool one after the other. */
export function joinTexts(texts: readonly RenderedText[]): RenderedText {
  return {
    text: texts.reduce((all, { text }) => all + text, ""),
    // Whole lists at once: there are as many origins as lines.
    origins: ([] as readonly LineOrigin[]).concat(...texts.map(({ origins }) => origins)),
  };
}
