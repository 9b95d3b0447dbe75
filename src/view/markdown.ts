import { formatMermaid } from "./mermaid.js";
import { sequenceOf } from "./sequence.js";
import type { Step } from "./steps.js";
import { type TextOptions, traceParts } from "./text.js";
import type { TraceView } from "./trace-view.js";

/** A trace for an issue or a chat: `-o md`, with a picture that GitHub and GitLab draw. */
export function formatMarkdown(view: TraceView, options: TextOptions): string {
  const { heading, shown, ending } = traceParts(view, options);
  const sequence = sequenceOf(view, options.filtered?.steps ?? view.steps);
  return [
    `### ${escaped(sequence.title)}`,
    "",
    ...block("text", heading),
    "| # | where | step | | effect |",
    "|---:|---|---|---|---|",
    ...shown.map(row),
    "",
    ...block("text", ending),
    ...block("mermaid", formatMermaid(sequence).trimEnd().split("\n")),
  ].join("\n");
}

function row({ n, ns, dev, step, mark, effect }: Step): string {
  const where = dev === undefined ? ns : `${ns} ${dev}`;
  const cells = [where, step, mark, effect].map(escaped);
  return `| ${[String(n), ...cells].join(" | ")} |`;
}

/** Lines as they are, between fences that are longer than any in them. */
function block(language: string, lines: readonly string[]): readonly string[] {
  const longest = Math.max(
    2,
    ...lines.flatMap((line) => (line.match(/`+/g) ?? []).map((run) => run.length)),
  );
  const fence = "`".repeat(longest + 1);
  return [`${fence}${language}`, ...lines, fence, ""];
}

/** A text without what Markdown, or HTML in it, would take for its own. */
function escaped(text: string): string {
  return text.replace(/[\\`*_{}[\]<>#|~!&$@]/g, (letter) => `\\${letter}`);
}
