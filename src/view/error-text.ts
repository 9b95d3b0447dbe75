import { counted } from "../base/counted.js";
import { type UserError, UserErrors } from "../base/errors.js";
import { safeText } from "../base/safe-text.js";

/** How many errors of one run are shown before the rest is only counted. */
const shownErrors = 20;

/** Errors as people read them: `FILE:LINE:COL: error: WHAT`, the line with a caret, and what to do about it. */
export function formatErrors(error: UserError | UserErrors): string {
  const errors = error instanceof UserErrors ? error.errors : [error];
  const shown = errors.slice(0, shownErrors).map(formatError);
  const rest = errors.length - shown.length;
  return `${shown.join("\n")}\n${rest > 0 ? `and ${counted(rest, "more error")}\n` : ""}`;
}

/** The same for programs: the document that `--json` prints on exit 2. */
export function errorsJson(error: UserError | UserErrors): object {
  const errors = error instanceof UserErrors ? error.errors : [error];
  return {
    v: 1,
    kind: "Error",
    errors: errors.map(({ code, message, details }) => ({
      code,
      file: details.place?.file ?? null,
      line: details.place?.line ?? null,
      column: details.place?.column ?? null,
      ...(details.byte === undefined ? {} : { file: details.byte.file, byte: details.byte.offset }),
      message,
      help: details.help ?? null,
    })),
  };
}

function formatError({ message, details }: UserError): string {
  const { place, byte, sourceLine, help } = details;
  const where =
    place !== undefined
      ? `${place.file}:${place.line}:${place.column}: `
      : byte === undefined
        ? ""
        : `${byte.file}: byte ${byte.offset}: `;
  const lines = [safeText(`${where}error: ${shortened(message)}`)];
  if (place !== undefined && sourceLine !== undefined)
    lines.push(...caretLines(place, sourceLine, details.length ?? 1));
  if (help !== undefined) lines.push(safeText(`help: ${shortened(help)}`));
  return lines.join("\n");
}

/** Messages repeat words of the input, which may be of any length. */
const longestMessage = 1000;

function shortened(text: string): string {
  return text.length <= longestMessage
    ? text
    : `${text.slice(0, longestMessage)}.. (${text.length} characters)`;
}

/** How much of a long line is shown around the mistake. */
const lineWidth = 100;

/** How much of the mistake itself is shown: a whole rule is, an endless word is not. */
const longestMark = 500;

function caretLines(
  { line, column }: { readonly line: number; readonly column: number },
  sourceLine: string,
  length: number,
): readonly string[] {
  const start = column > lineWidth - 20 ? column - 20 : 0;
  const shown = (from: number, to: number): string =>
    safeText(sourceLine.slice(from, to).replaceAll("\t", " "));
  const end = column - 1 + length;
  const before = shown(start, column - 1);
  const marked = shown(column - 1, Math.min(end, column - 1 + longestMark));
  const after = length > longestMark ? ".." : shown(end, start + lineWidth);
  const gutter = String(line).padStart(5);
  const dots = start > 0 ? ".." : "";
  return [
    `${gutter} | ${dots}${before}${marked}${after}`,
    `${" ".repeat(gutter.length)} | ${" ".repeat(dots.length + before.length)}${"^".repeat(Math.max(1, Math.min(marked.length, lineWidth)))}`,
  ];
}
