import type { Sequence, SequenceItem } from "./sequence.js";

/** A trace as a Mermaid sequence diagram: `-o mermaid`. */
export function formatMermaid({ title, lanes, items }: Sequence): string {
  return [
    "sequenceDiagram",
    `  title ${label(title)}`,
    ...lanes.map((name, at) => `  participant n${at} as ${label(name)}`),
    ...items.map(line),
    "",
  ].join("\n");
}

function line(item: SequenceItem): string {
  if (item.kind === "note") return `  Note over n${item.at}: ${item.n} ${label(item.text)}`;
  const shaft = item.back ? "-->>" : "->>";
  return `  n${item.from}${shaft}n${item.to}: ${item.n} ${label(item.text)}`;
}

/** A text in which nothing ends a statement, opens markup or is a word of the language. */
function label(text: string): string {
  return text
    .replace(/[#;<{}"`%\\]/g, (letter) => `#${letter.charCodeAt(0)};`)
    .replace(/\bend\b/gi, (word) => `#${word.charCodeAt(0)};${word.slice(1)}`);
}
