import { type Command, Option } from "commander";
import { asciiText, type AsciiStyle } from "../view/ascii.js";
import { paint } from "../view/paint.js";
import { wholeNumber } from "./options.js";
import type { Streams } from "./streams.js";

/** How a command line wants its answer to look. */
export interface ScreenOptions {
  readonly width?: number;
  readonly color?: "auto" | "always" | "never";
  readonly ascii?: boolean;
  readonly json?: boolean;
  readonly output?: string;
}

/** `--color` and `--ascii`, of every command that prints an answer. */
export function screenOptions(command: Command): void {
  command
    .addOption(
      new Option(
        "--color <when>",
        "colours: auto is on a terminal, without NO_COLOR; FORCE_COLOR=1 is always",
      )
        .choices(["auto", "always", "never"])
        .default("auto"),
    )
    .option("--ascii", "letters from 0x20 to 0x7e alone");
}

/** `--width`, of commands whose answer fits a terminal. */
export function widthOption(): Option {
  return new Option(
    "--width <columns>",
    "fit it to so many columns, also into a file or a pipe",
  ).argParser(wholeNumber(20, 1_000));
}

/** What people read; everything else is a document of some format. */
const READABLE = ["text", "wide", "minimal"];
const MARKUP = ["html", "svg", "junit"];
const ESCAPED = ["json", "jsonl", "yaml"];

/** The streams of a process, as the options of its command want them. */
export class Screen implements Streams {
  readonly isTerminal: boolean;
  readonly outBytes: (bytes: Uint8Array) => void;
  exitCode = 0;
  width: number | undefined;
  readonly #below: Streams;
  #style: AsciiStyle | undefined;
  #painted = false;

  constructor(below: Streams) {
    this.#below = below;
    this.isTerminal = below.isTerminal;
    this.outBytes = below.outBytes;
  }

  use(options: ScreenOptions): void {
    const format = options.json === true ? "json" : (options.output ?? "text");
    this.width = options.width;
    this.#style = options.ascii === true ? styleOf(format) : undefined;
    this.#painted =
      options.color !== undefined &&
      READABLE.includes(format) &&
      isColoured(options.color, this.isTerminal);
  }

  readonly out = (text: string): void => {
    const plain = this.inFile(text);
    this.#below.out(this.#painted ? paint(plain) : plain);
  };

  readonly err = (text: string): void => {
    this.#below.err(this.#style === undefined ? text : asciiText(text, "text"));
  };

  readonly inFile = (text: string): string =>
    this.#style === undefined ? text : asciiText(text, this.#style);
}

/** `--color` before NO_COLOR, that before FORCE_COLOR and CLICOLOR_FORCE, those before what standard output is. */
function isColoured(when: "auto" | "always" | "never", isTerminal: boolean): boolean {
  if (when !== "auto") return when === "always";
  const { NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE, TERM } = process.env;
  if (NO_COLOR !== undefined && NO_COLOR !== "") return false;
  const forced = [FORCE_COLOR, CLICOLOR_FORCE].some(
    (value) => value !== undefined && value !== "" && value !== "0",
  );
  return forced || (isTerminal && TERM !== "dumb");
}

function styleOf(format: string): AsciiStyle {
  if (MARKUP.includes(format)) return "markup";
  return ESCAPED.includes(format) ? "json" : "text";
}
