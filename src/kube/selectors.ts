import type { LabelSelector } from "kubernetes-types/meta/v1.js";
import { unreachable } from "../base/errors.js";

export type Labels = Readonly<Record<string, string>>;

type Operator = "In" | "NotIn" | "Exists" | "DoesNotExist";

/** Whether every pair of a map selector (`Service.spec.selector`) is among the labels. An empty map matches everything. */
export function matchesMap(selector: Labels, labels: Labels | undefined): boolean {
  return Object.entries(selector).every(([key, value]) => labelOf(labels, key) === value);
}

/**
 * Whether a label selector matches: `matchLabels` and every expression. `NotIn` and `DoesNotExist` match what has no
 * such label. `{}` matches everything, undefined nothing.
 */
export function matchesSelector(
  selector: LabelSelector | undefined,
  labels: Labels | undefined,
): boolean {
  if (selector === undefined) return false;
  if (!matchesMap(selector.matchLabels ?? {}, labels)) return false;
  return (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const value = labelOf(labels, key);
    const known = operator as Operator;
    switch (known) {
      case "In":
        return value !== undefined && values.includes(value);
      case "NotIn":
        return value === undefined || !values.includes(value);
      case "Exists":
        return value !== undefined;
      case "DoesNotExist":
        return value === undefined;
      default:
        return unreachable(known);
    }
  });
}

/** A label's value; names such as `constructor` are labels like any other. */
export function labelOf(labels: Labels | undefined, key: string): string | undefined {
  return labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
}
