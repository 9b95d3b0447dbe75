import type { Place } from "../../base/errors.js";
import { placeText } from "../../view/text.js";
import type { Sources } from "../sources.js";
import type { Line } from "../style.js";
import type { TraceModel } from "../trace-model.js";

/** The file that the step's rule stands in, its line marked, and which row of the lines that is. */
export function sourceLines(
  model: TraceModel,
  at: number,
): { readonly lines: readonly Line[]; readonly focus: number } {
  const place = model.steps[at]?.place;
  if (place === undefined)
    return { lines: ["this step comes from no file: no rule decided it"], focus: 0 };
  return fileLines(model.sources, place);
}

export function fileLines(
  sources: Sources,
  place: Place,
): { readonly lines: readonly Line[]; readonly focus: number } {
  const text = sources.lines(place.file);
  if (text === undefined)
    return { lines: [`${placeText(place)} is not among the world's files`], focus: 0 };
  const digits = String(text.length).length;
  const lines = text.map((line, index): Line => {
    const here = index + 1 === place.line;
    return [
      {
        text: `${here ? ">" : " "} ${String(index + 1).padStart(digits)}  ${line.replaceAll("\t", "    ")}`,
        tone: here ? "selected" : undefined,
      },
    ];
  });
  return {
    lines: [[{ text: `${placeText(place)}   e: open in $EDITOR`, tone: "title" }], ...lines],
    focus: place.line,
  };
}
