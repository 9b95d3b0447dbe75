import { lexCorefile, type Token } from "./lexer.js";
import { parseCorefile } from "./corefile.js";

const indent = "    ";

/**
 * A Corefile in its usual layout: four spaces a level, one space between words, comments kept, at most one blank line in
 * a row. The text must parse; imports and variables stay as they are. Throws the parser's `UserError`.
 */
export function formatCorefile(text: string, file: string): string {
  checkSyntax(text, file);
  const lines: string[] = [];
  let depth = 0;
  for (const line of sourceLines(lexCorefile(text, file, { comments: true }))) {
    if (line.blankBefore && lines.length > 0) lines.push("");
    const words = line.tokens;
    if (words[0]?.text === "}" && !words[0].quoted) depth = Math.max(0, depth - 1);
    lines.push(indent.repeat(depth) + words.map(formatToken).join(" "));
    depth += words.filter((word) => isBrace(word, "{")).length;
    depth -= words.slice(1).filter((word) => isBrace(word, "}")).length;
    depth = Math.max(0, depth);
  }
  return lines.map((line) => `${line}\n`).join("");
}

/** The parse that imports cannot spoil: what they name need not be at hand to format the text. */
function checkSyntax(text: string, file: string): void {
  const tokens = lexCorefile(text, file);
  const imports = new Map<string, string>();
  for (const [index, token] of tokens.entries()) {
    if (token.text === "import" && tokens[index + 1] !== undefined)
      imports.set(pathOf(file, tokens[index + 1]?.text ?? ""), "");
  }
  parseCorefile(text, file, { files: imports });
}

function pathOf(file: string, path: string): string {
  const folder = file.includes("/") ? file.slice(0, file.lastIndexOf("/") + 1) : "";
  return path.startsWith("/") ? path : folder + path;
}

interface SourceLine {
  readonly tokens: Token[];
  readonly blankBefore: boolean;
}

function sourceLines(tokens: readonly Token[]): SourceLine[] {
  const lines: SourceLine[] = [];
  let end = 0;
  for (const token of tokens) {
    const current = lines.at(-1);
    if (current !== undefined && token.place.line === end) current.tokens.push(token);
    else lines.push({ tokens: [token], blankBefore: token.place.line > end + 1 });
    end = token.place.line + token.lineBreaks;
  }
  return lines;
}

function isBrace(token: Token, brace: string): boolean {
  return token.text === brace && !token.comment;
}

function formatToken(token: Token): string {
  if (token.comment || !token.quoted) return token.text;
  const plain = token.text !== "" && !/[\s"#{}]/.test(token.text);
  return plain ? token.text : `"${token.text.replaceAll('"', '\\"')}"`;
}
