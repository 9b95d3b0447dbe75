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
