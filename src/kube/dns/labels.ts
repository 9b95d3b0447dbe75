/** A label selector as `kubectl -l` reads it. */
export type LabelSelector = readonly Requirement[];

interface Requirement {
  readonly key: string;
  readonly operator: "in" | "notin" | "exists" | "absent" | "gt" | "lt";
  readonly values: readonly string[];
}

/** Reads `a=b,c!=d,e in (f, g),h,!i,j>1`. Undefined when it is no selector. Mirrors labels.Parse(). */
export function parseSelector(text: string): LabelSelector | undefined {
  if (text.length > 4096) return undefined;
  if (text.trim() === "") return [];
  const result: Requirement[] = [];
  for (const part of splitOutsideParentheses(text)) {
    const requirement = parseRequirement(part.trim());
    if (requirement === undefined) return undefined;
    result.push(requirement);
  }
  return result;
}

export function selectorMatches(
  selector: LabelSelector,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  return selector.every(({ key, operator, values }) => {
    const value = labels?.[key];
    switch (operator) {
      case "in":
        return value !== undefined && values.includes(value);
      case "notin":
        return value === undefined || !values.includes(value);
      case "exists":
        return value !== undefined;
      case "absent":
        return value === undefined;
      case "gt":
        return value !== undefined && Number(value) > Number(values[0]);
      case "lt":
        return value !== undefined && Number(value) < Number(values[0]);
    }
  });
}

function splitOutsideParentheses(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "(") depth++;
    else if (text[at] === ")") depth--;
    else if (text[at] === "," && depth === 0) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...parts, text.slice(start)];
}

const keyPattern = "(?:[A-Za-z0-9.-]+/)?[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?";
const valuePattern = "(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)?";
const setForm = new RegExp(`^(${keyPattern})\\s+(in|notin)\\s*\\(([^()]*)\\)$`);
const equalForm = new RegExp(`^(${keyPattern})\\s*(=|==|!=)\\s*(${valuePattern})$`);
const orderForm = new RegExp(`^(${keyPattern})\\s*([<>])\\s*(-?\\d+)$`);
const existsForm = new RegExp(`^(!?)\\s*(${keyPattern})$`);

function parseRequirement(text: string): Requirement | undefined {
  const set = setForm.exec(text);
  if (set !== null) {
    const values = (set[3] ?? "").split(",").map((value) => value.trim());
    return { key: set[1] ?? "", operator: set[2] === "in" ? "in" : "notin", values };
  }
  const equal = equalForm.exec(text);
  if (equal !== null) {
    return {
      key: equal[1] ?? "",
      operator: equal[2] === "!=" ? "notin" : "in",
      values: [equal[3] ?? ""],
    };
  }
  const order = orderForm.exec(text);
  if (order !== null)
    return {
      key: order[1] ?? "",
      operator: order[2] === ">" ? "gt" : "lt",
      values: [order[3] ?? ""],
    };
  const exists = existsForm.exec(text);
  if (exists === null) return undefined;
  return { key: exists[2] ?? "", operator: exists[1] === "!" ? "absent" : "exists", values: [] };
}
