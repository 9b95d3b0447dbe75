/** A screen as a picture: rows with SGR codes, as the terminal gets them, become an SVG of fixed cells. */

const CELL = { width: 8.4, height: 18 };
const MARGIN = 14;
const BACKGROUND = "#101418";
const FOREGROUND = "#d5dbe1";

/** The named colours that the screen uses. */
const COLOURS: Readonly<Record<number, string>> = {
  31: "#ff6b68",
  32: "#7bd88f",
  33: "#f5c26b",
  35: "#d3a4f9",
  36: "#6cc7e8",
};

interface Style {
  readonly colour: string;
  readonly bold: boolean;
  readonly reverse: boolean;
}

interface Run extends Style {
  readonly column: number;
  readonly text: string;
}

const PLAIN: Style = { colour: FOREGROUND, bold: false, reverse: false };

/** The picture. `title` says to those who cannot see it what is on it. */
export function screenSvg(rows: readonly string[], columns: number, title: string): string {
  const width = round(columns * CELL.width + 2 * MARGIN);
  const height = rows.length * CELL.height + 2 * MARGIN;
  const body = rows.flatMap((row, index) => runsOf(row).flatMap((run) => drawn(run, index)));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" rx="8" fill="${BACKGROUND}"/>`,
    `<g font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="14" fill="${FOREGROUND}" xml:space="preserve">`,
    ...body,
    "</g>",
    "</svg>",
    "",
  ].join("\n");
}

function drawn(run: Run, row: number): readonly string[] {
  const { column, text, colour, bold, reverse } = run;
  const lead = text.length - text.trimStart().length;
  const shown = text.trim();
  const x = (at: number): number => round(MARGIN + at * CELL.width);
  const y = MARGIN + row * CELL.height;
  const bar = reverse
    ? [
        `<rect x="${x(column)}" y="${y}" width="${round(text.length * CELL.width)}" height="${CELL.height}" fill="${colour}"/>`,
      ]
    : [];
  if (shown === "") return bar;
  const attributes = [
    `x="${x(column + lead)}"`,
    `y="${y + 13}"`,
    `textLength="${round(shown.length * CELL.width)}"`,
    ...(reverse ? [`fill="${BACKGROUND}"`] : colour === FOREGROUND ? [] : [`fill="${colour}"`]),
    ...(bold ? ['font-weight="bold"'] : []),
  ];
  return [...bar, `<text ${attributes.join(" ")}>${escaped(shown)}</text>`];
}

/** Pieces of a row that look the same. Two spaces part pieces, so that no font moves what stands behind them. */
function runsOf(row: string): readonly Run[] {
  const runs: Run[] = [];
  let style = PLAIN;
  let column = 0;
  // oxlint-disable-next-line no-control-regex -- the codes for colours
  for (const [, codes, text = ""] of row.matchAll(/\u001b\[([0-9;]*)m|([^\u001b]+)/g)) {
    if (codes !== undefined) style = codes.split(";").map(Number).reduce(changed, style);
    else if (style.reverse) runs.push({ ...style, column, text });
    else
      for (const match of text.matchAll(/\S+(?: \S+)*/g))
        runs.push({ ...style, column: column + match.index, text: match[0] });
    if (codes === undefined) column += text.length;
  }
  return runs;
}

function changed(style: Style, code: number): Style {
  if (code === 0) return PLAIN;
  if (code === 1 || code === 22) return { ...style, bold: code === 1 };
  if (code === 7 || code === 27) return { ...style, reverse: code === 7 };
  const colour = code === 39 ? FOREGROUND : COLOURS[code];
  if (colour === undefined) throw new Error(`the picture has no colour ${code}`);
  return { ...style, colour };
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
