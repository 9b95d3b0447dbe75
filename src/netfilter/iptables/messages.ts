import type { RuleFamily } from "./addresses.js";
import type { IptablesError } from "./refusal.js";
import type { Variant } from "./tables.js";

/** The program whose voice an error speaks in. */
export interface Voice {
  readonly mode: "restore" | "command";
  readonly variant: Variant;
  readonly family: RuleFamily;
  /** The name it was called by: `iptables-nft-restore`. */
  readonly program: string;
}

/** The exit code of the real tool for an error. */
export function exitCode(error: IptablesError, { variant }: Voice): number {
  switch (error.shape) {
    case "parameter":
    case "bare":
      return 2;
    case "kernel":
      return variant === "nft" ? 4 : 1;
    case "line":
    case "other":
    case "program":
      return 1;
  }
}

/** What the real tool prints on standard error, to the byte. */
export function stderrText(error: IptablesError, voice: Voice): string {
  const warnings = error.warnings.map((line) => `${line}\n`).join("");
  return `${warnings}${errorText(error, voice)}`;
}

function errorText(error: IptablesError, voice: Voice): string {
  const { variant, program, mode } = voice;
  const banner = `${program} v1.8.9 (${variant === "nft" ? "nf_tables" : "legacy"}): `;
  const line = error.toolLine ?? 0;
  const where = mode === "restore" ? `Error occurred at line: ${line}\n` : "";
  const advice = `Try \`${program} -h' or '${program} --help' for more information.\n`;
  switch (error.shape) {
    case "parameter":
      return `${banner}${error.toolText}\n${where}${advice}`;
    case "bare":
      return `${error.toolText === "" ? "" : `${error.toolText}\n`}${where}${advice}`;
    case "other":
      return `${banner}${error.toolText}\n`;
    case "program":
      return `${program}: ${error.toolText}\n`;
    case "line":
      if (mode === "command") return `${program}: ${commandReason(error.toolText)}\n`;
      return variant === "nft"
        ? `${program}: line ${line} failed: ${error.toolText}\n`
        : `${program}: line ${line} failed\n`;
    case "kernel":
      if (variant === "legacy")
        return mode === "command"
          ? `${program}: ${commandReason(error.toolText)}\n`
          : `${program}: line ${line} failed\n`;
      return `${banner}${mode === "command" ? " " : "\n"}${error.toolText}\n`;
  }
}

/** Reasons that strerror gives are sent on to dmesg. Mirrors iptc_strerror() and its caller. */
function commandReason(text: string): string {
  switch (text) {
    case "Invalid argument":
      return "Invalid argument. Run `dmesg' for more information.";
    case "Bad policy name.":
      return "Bad policy name. Run `dmesg' for more information.";
    case "No such file or directory":
      return "No chain/target/match by that name.";
    case "Too many links":
      return "Too many levels of symbolic links.";
    default:
      return text.endsWith(".") ? text : `${text}.`;
  }
}
