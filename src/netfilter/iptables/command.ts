import type { Place } from "../../base/errors.js";
import type { ParseContext } from "./extension.js";
import type { KnownMatches } from "./known-matches.js";
import type { RuleSpec } from "./rule.js";

/** Where a command stands and how it was typed. */
export interface CommandBase {
  readonly place: Place | undefined;
  /** The line of its file; undefined for a command line. */
  readonly line: number | undefined;
  readonly sourceLine: string;
  readonly verbose: boolean;
}

export type RuleCommandKind = "append" | "insert" | "delete" | "check" | "replace";

/** One thing that a line asks for. */
export type Command = CommandBase &
  (
    | {
        readonly kind: RuleCommandKind;
        readonly chain: string;
        /** One for each pair of source and destination. */
        readonly specs: readonly RuleSpec[];
        /** The position, from 1, for insert and replace. */
        readonly number: number;
        readonly counters: readonly [number, number] | undefined;
      }
    | { readonly kind: "delete-number"; readonly chain: string; readonly number: number }
    | { readonly kind: "new-chain"; readonly chain: string }
    | { readonly kind: "delete-chain" | "flush"; readonly chain: string | undefined }
    | {
        readonly kind: "zero";
        readonly chain: string | undefined;
        readonly number: number | undefined;
      }
    | { readonly kind: "rename"; readonly chain: string; readonly to: string }
    | {
        readonly kind: "policy";
        readonly chain: string;
        readonly policy: string;
        readonly counters: readonly [number, number] | undefined;
      }
    | {
        readonly kind: "list" | "list-rules";
        readonly chain: string | undefined;
        readonly number: number | undefined;
        readonly numeric: boolean;
        readonly lineNumbers: boolean;
        readonly exact: boolean;
      }
  );

/** What a line is read against. */
export interface CommandContext extends Omit<ParseContext, "protocol"> {
  /** `restore` refuses `-t` and `-w`, and steps over lines for the other family. */
  readonly mode: "restore" | "command";
  readonly program: string;
  /** Names that are neither known nor misspelt are kept as unmodelled instead of refused. */
  readonly keepUnknown: boolean;
  /** Whether the table has this user chain now. */
  readonly isUserChain: (name: string) => boolean;
  /** Matches of earlier lines, to share. */
  readonly known?: KnownMatches;
  readonly file: string;
  readonly line: number | undefined;
  readonly sourceLine: string;
  /** Counters that stood before the command. */
  readonly counters: readonly [number, number] | undefined;
}
