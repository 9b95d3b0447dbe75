import type { LabelSelector } from "kubernetes-types/meta/v1.js";

export type Labels = Readonly<Record<string, string>>;

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
  return (selector.matchExpressions ?? []).every((requirement) =>
    meets(requirement, labelOf(labels, requirement.key)),
  );
}

/** One expression of a selector, of labels or of nodes. */
export interface Requirement {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

/** Whether a value, undefined for none, is as an expression wants it. An operator that the API does not know fits nothing. */
export function meets({ operator, values = [] }: Requirement, value: string | undefined): boolean {
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
      return value !== undefined && Number(value) > Number(values[0]);
    case "Lt":
      return value !== undefined && Number(value) < Number(values[0]);
    default:
      return false;
  }
}

/** A label's value; names such as `constructor` are labels like any other. */
export function labelOf(labels: Labels | undefined, key: string): string | undefined {
  return labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
}
