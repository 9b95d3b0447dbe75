/** What a benchmark measures: so many of something a second, or how long one run takes. */
export interface Figure {
  readonly title: string;
  /** `packets`: how many one run handles, and what they are. Undefined for a duration. */
  readonly count: { readonly number: number; readonly what: string } | undefined;
  /** DESIGN.md section 5: at least so many a second, or at most so many milliseconds. */
  readonly budget: number | undefined;
}

/** vitest knows only names: everything else about a figure travels in its name. */
export function titleOf({ title, count, budget }: Figure): string {
  const parts = [
    ...(count === undefined ? [] : [`${count.number} ${count.what}`]),
    ...(budget === undefined ? [] : [`budget ${budget}`]),
  ];
  return parts.length === 0 ? title : `${title} [${parts.join(", ")}]`;
}

/** Reads a name that `titleOf` wrote. */
export function figureOf(name: string): Figure {
  const [, title = name, inner = ""] = /^(.*) \[(.*)\]$/.exec(name) ?? [];
  const [, number, what = ""] = /^(\d+) ([^,]+)/.exec(inner) ?? [];
  const [, budget] = /budget ([\d.]+)$/.exec(inner) ?? [];
  return {
    title,
    count: number === undefined ? undefined : { number: Number(number), what },
    budget: budget === undefined ? undefined : Number(budget),
  };
}
