import { throwCollected, UserError } from "../base/errors.js";
import { nearest } from "../base/nearest.js";
import type { InputText } from "../kube/load.js";
import { isMapping } from "../kube/load/check.js";
import { parseDocuments } from "../kube/load/documents.js";
import { SourceText } from "../kube/load/source-text.js";
import { type Binding, BINDINGS, type Command } from "./key-table.js";

/** Keys that have a name; every other key is the letter that it types. `C-` before a letter is Ctrl. */
const NAMED: Readonly<Record<string, string>> = {
  Up: "Up",
  Down: "Down",
  Left: "Left",
  Right: "Right",
  Home: "Home",
  End: "End",
  PageUp: "PgUp",
  PageDown: "PgDn",
  Enter: "Enter",
  Tab: "Tab",
  "S-Tab": "Shift-Tab",
  Space: "space",
  Backspace: "Backspace",
  Delete: "Delete",
  Insert: "Insert",
};

/** These have to work whatever a file says: the terminal is left by them. */
const FIXED: readonly string[] = ["C-c", "Escape"];

/**
 * The key table as the user's file changes it: `why: x`, `next: [j, n]`. Throws UserError or UserErrors for commands that there are not,
 * for what is no key, and for a key that two commands of one screen have.
 */
export function readKeymap(text: InputText): readonly Binding[] {
  const source = new SourceText(text.file, text.text);
  const [document = null] = parseDocuments(source);
  if (document === null) return BINDINGS;
  const wrong = (
    code: string,
    message: string,
    name: string | undefined,
    help?: string,
  ): UserError =>
    new UserError(code, message, {
      ...source.details(0, name === undefined ? [] : [name], "key"),
      ...(help === undefined ? {} : { help }),
    });
  if (!isMapping(document))
    throw wrong("KEYS_SHAPE", "keys are a mapping of commands", undefined, "write  why: x");
  const errors: UserError[] = [];
  const chosen = new Map<string, readonly string[]>();
  for (const [name, value] of Object.entries(document)) {
    const known = BINDINGS.map(({ command }): string => command);
    if (!known.includes(name)) {
      const near = nearest(name, known);
      errors.push(
        wrong(
          "KEYS_COMMAND",
          `there is no command "${name}"`,
          name,
          near === undefined ? "docs/keys.md lists them" : `did you mean "${near}"?`,
        ),
      );
      continue;
    }
    const keys = (Array.isArray(value) ? value : [value]).map(String);
    const bad = keys.find((key) => !isKey(key));
    if (bad === undefined) chosen.set(name, keys);
    else
      errors.push(
        wrong(
          "KEYS_KEY",
          FIXED.includes(bad) ? `${bad} cannot be changed` : `"${bad}" is no key`,
          name,
          `a key is a letter, C-x, or one of ${Object.keys(NAMED).join(" ")}`,
        ),
      );
  }
  const bindings = BINDINGS.map((binding) => rebound(binding, chosen.get(binding.command)));
  errors.push(
    ...conflictsOf(bindings).map(({ key, commands: [one, other] }) =>
      wrong(
        "KEYS_CONFLICT",
        `${shownKey(key)} is the key of ${one} and of ${other}`,
        chosen.has(one) ? one : other,
        `give ${chosen.has(one) ? other : one} another key too`,
      ),
    ),
  );
  throwCollected(errors);
  return bindings;
}

function isKey(key: string): boolean {
  if (FIXED.includes(key)) return false;
  return Object.hasOwn(NAMED, key) || /^[\x21-\x7e]$/.test(key) || /^C-[a-z]$/.test(key);
}

function rebound(binding: Binding, keys: readonly string[] | undefined): Binding {
  const [first] = keys ?? [];
  if (keys === undefined || first === undefined) return binding;
  const letter = / .$/.exec(binding.shown)?.[0] ?? "";
  return { ...binding, keys, shown: `${shownKey(first)}${letter}` };
}

function shownKey(key: string): string {
  return NAMED[key] ?? key.replace(/^C-/, "Ctrl-");
}

interface Conflict {
  readonly key: string;
  readonly commands: readonly [Command, Command];
}

/** Keys that two commands of one screen have. */
export function conflictsOf(bindings: readonly Binding[]): readonly Conflict[] {
  const taken = new Map<string, Command>();
  const found = new Map<string, Conflict>();
  for (const { command, keys, screens } of bindings) {
    for (const key of keys) {
      for (const screen of screens) {
        const place = `${screen} ${key}`;
        const other = taken.get(place);
        if (other === undefined) taken.set(place, command);
        else if (other !== command)
          found.set(`${key} ${other} ${command}`, { key, commands: [other, command] });
      }
    }
  }
  return [...found.values()];
}
