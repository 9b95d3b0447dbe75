import { parseConflist } from "./conflist.js";

/** Reads a conflist and prints it with two spaces, its keys in the order they had. Throws UserError as `parseConflist` does. */
export function formatConflist(text: string, file: string): string {
  parseConflist(text, file);
  return `${JSON.stringify(JSON.parse(text), undefined, 2)}\n`;
}
