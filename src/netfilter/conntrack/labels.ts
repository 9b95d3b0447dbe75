import {
  type NetworkNamespace,
  type PernetOperations,
  perNamespace,
} from "../../core/namespace.js";
import { IPCT_LABEL } from "../../core/conntrack.js";
import type { Connection } from "./connection.js";

/** Labels of a connection are numbers from 0 to 127. Mirrors net/netfilter/nf_conntrack_labels.c. */
export function hasLabel(entry: Connection, label: number): boolean {
  const labels = entry.ext?.labels ?? 0n;
  return ((labels >> BigInt(label)) & 1n) === 1n;
}

export function setLabel(entry: Connection, label: number): void {
  if (hasLabel(entry, label)) return;
  entry.extend().labels |= 1n << BigInt(label);
  entry.events |= IPCT_LABEL;
}

/** The numbers of a connection's labels, the lowest first. */
export function labelsOf(entry: Connection): readonly number[] {
  const labels = entry.ext?.labels ?? 0n;
  if (labels === 0n) return [];
  return Array.from({ length: 128 }, (_, label) => label).filter((label) => hasLabel(entry, label));
}

/** Names of labels, both ways. Mirrors struct nfct_labelmap. */
export interface LabelNames {
  readonly byLabel: ReadonlyMap<number, string>;
  readonly byName: ReadonlyMap<string, number>;
}

/** The machine's /etc/xtables/connlabel.conf, as far as it was told. */
export const labelFile: (ns: NetworkNamespace) => { names: LabelNames | undefined } = perNamespace(
  () => ({ names: undefined }),
);

/**
 * Reads connlabel.conf: a number from 0 to 127 and a name (the rest of the line), `#` begins a comment. Lines that are something else, and numbers
 * that are too high, are passed over, as libnetfilter_conntrack does.
 */
function parseLabelNames(text: string): LabelNames {
  const byLabel = new Map<number, string>();
  const byName = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [, number = "", name = ""] = /^\s*(0x[\da-f]+|\d+)\s+(\S.*?)\s*$/i.exec(line) ?? [];
    const label = Number(number);
    if (name === "" || label > 127 || byLabel.has(label)) continue;
    byLabel.set(label, name);
    byName.set(name, label);
  }
  return { byLabel, byName };
}

/** Gives every namespace the machine's names of labels. */
export function labelNames(text: string | undefined): PernetOperations {
  const names = text === undefined ? undefined : parseLabelNames(text);
  return {
    name: "connlabel.conf",
    init(ns) {
      labelFile(ns).names = names;
    },
  };
}
