/** A value as YAML, in the style that people write manifests in: small mappings in one line, the rest in blocks. */
export function yamlLines(value: unknown): readonly string[] {
  if (isFlow(value)) return [flowText(value)];
  if (Array.isArray(value)) return value.flatMap((item) => itemLines(item));
  return Object.entries(value as object)
    .filter(([, inner]) => inner !== undefined)
    .flatMap(([key, inner]) => entryLines(key, inner));
}

/** `- item`, with what follows under it. */
export function itemLines(item: unknown): readonly string[] {
  return yamlLines(item).map((line, at) => (at === 0 ? `- ${line}` : `  ${line}`));
}

/** `key: value`, with what follows under it. */
export function entryLines(key: string, value: unknown): readonly string[] {
  if (isFlow(value)) return [`${scalar(key)}: ${flowText(value)}`];
  return [`${scalar(key)}:`, ...yamlLines(value).map((line) => `  ${line}`)];
}

/** Scalars, lists of scalars, and mappings of at most two levels. */
function isFlow(value: unknown): boolean {
  return Array.isArray(value) ? value.every((item) => depth(item) === 0) : depth(value) <= 2;
}

function depth(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depth));
}

/** A value in one line. `json` quotes everything, as a JSON file must have it. */
export function flowText(value: unknown, json = false): string {
  if (json) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item) => flowText(item)).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const parts = Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .map(([key, inner]) => `${scalar(key)}: ${flowText(inner)}`);
    return `{${parts.join(", ")}}`;
  }
  return scalar(value);
}

/** Quoted only where YAML would read it as something else. */
function scalar(value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(value);
  const plain =
    /^[A-Za-z_][A-Za-z0-9_./-]*$/.test(value) &&
    !/^(true|false|null|yes|no|on|off|y|n)$/i.test(value);
  return plain || /^\d+\.\d+\.\d+\.\d+\/\d+$/.test(value) ? value : JSON.stringify(value);
}
