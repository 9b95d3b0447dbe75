import { markup } from "./markup.js";
import type { Sequence, SequenceItem } from "./sequence.js";

/** Pixels: one letter, the height of a row, and what is left free around. */
const LETTER = 7.3;
const ROW = 26;
const MARGIN = 16;
const LEAST_LANE = 150;

const COLOURS: Readonly<Record<string, string>> = {
  ok: "#116329",
  "!": "#a40e26",
  "?": "#7a5c00",
  "*": "#6639a6",
  "~": "#57606a",
};

/** A trace as a picture: a lane for each namespace, an arrow for each way between them. Texts can be selected: `-o svg`. */
export function formatSvg({ title, lanes, items }: Sequence): string {
  const lane = Math.max(LEAST_LANE, ...lanes.map((name) => name.length * LETTER + MARGIN));
  const x = (at: number): number => Math.round(MARGIN + lane * (at + 0.5));
  const top = MARGIN + ROW * 2;
  const bottom = top + ROW * (items.length + 1);
  const right = Math.max(
    x(lanes.length - 1) + lane / 2,
    title.length * LETTER,
    ...items.map((item) => textEnd(item, x)),
  );
  const [width, height] = [Math.round(right + MARGIN), bottom + ROW + MARGIN];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" role="img" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="monospace" font-size="12">`,
    `<title>${markup(title)}</title>`,
    `<desc>${markup(items.map(sentence(lanes)).join("; "))}</desc>`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    `<text x="${MARGIN}" y="${MARGIN + 10}" font-weight="bold">${markup(title)}</text>`,
    ...lanes.flatMap((name, at) => [
      `<line x1="${x(at)}" y1="${top}" x2="${x(at)}" y2="${bottom}" stroke="#8c959f" stroke-dasharray="2 3"/>`,
      `<text x="${x(at)}" y="${top - 8}" text-anchor="middle" font-weight="bold">${markup(name)}</text>`,
    ]),
    ...items.map((item, index) => drawn(item, x, top + ROW * (index + 1))),
    "</svg>",
    "",
  ].join("\n");
}

function drawn(item: SequenceItem, x: (at: number) => number, y: number): string {
  if (item.kind === "note") {
    const colour = COLOURS[item.mark] ?? "#000000";
    return `<circle cx="${x(item.at)}" cy="${y - 4}" r="4" fill="${colour}"/><text x="${x(item.at) + 9}" y="${y}" fill="${colour}">${markup(`${item.n} ${item.text}`)}</text>`;
  }
  const [from, to] = [x(item.from), x(item.to)];
  const head = to > from ? -7 : 7;
  const dashes = item.back ? ' stroke-dasharray="6 4"' : "";
  return (
    `<path d="M${from} ${y}H${to}m${head} -4l${-head} 4l${head} 4" fill="none" stroke="#000000"${dashes}/>` +
    `<text x="${Math.min(from, to) + 9}" y="${y - 5}">${markup(`${item.n} ${item.text}`)}</text>`
  );
}

function textEnd(item: SequenceItem, x: (at: number) => number): number {
  const start = item.kind === "note" ? item.at : Math.min(item.from, item.to);
  return x(start) + 9 + (item.text.length + 5) * LETTER;
}

/** What a row says to who cannot see it. */
function sentence(lanes: readonly string[]): (item: SequenceItem) => string {
  return (item) =>
    item.kind === "note"
      ? `step ${item.n}, ${lanes[item.at]}: ${item.text}`
      : `step ${item.n}, from ${lanes[item.from]} to ${lanes[item.to]}: ${item.text}`;
}
