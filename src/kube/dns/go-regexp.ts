/**
 * Compiles a Go regular expression, or says why it is none, in Go's words.
 * Differs: runs on the host's backtracking engine, so nested repetition is refused instead of taking forever.
 */
export function compileRegexp(source: string): RegExp | string {
  if (source.length > 2000)
    return `error parsing regexp: expression is longer than 2000 characters`;
  const bad = /\\[1-9]/.exec(source) ?? /\(\?[=!<](?![A-Za-z_])/.exec(source);
  if (bad !== null)
    return `error parsing regexp: invalid escape sequence or Perl operator: \`${bad[0]}\``;
  let flags = "u";
  let text = source.replace(/^\(\?([imsU]+)\)/, (_, letters: string) => {
    if (letters.includes("i")) flags += "i";
    if (letters.includes("s")) flags += "s";
    if (letters.includes("m")) flags += "m";
    return "";
  });
  text = text
    .replaceAll("(?P<", "(?<")
    .replaceAll("\\A", "^")
    .replaceAll("\\z", "$")
    .replaceAll("[[:alnum:]]", "[A-Za-z0-9]")
    .replaceAll("[[:alpha:]]", "[A-Za-z]")
    .replaceAll("[[:digit:]]", "[0-9]")
    .replaceAll(/\\([-_:/,;<>=!@#%&'"`~ ])/g, (_, char: string) =>
      char === "-" || char === "/" ? `\\${char}` : char,
    );
  try {
    return new RegExp(text, flags);
  } catch {
    try {
      return new RegExp(text, flags.replace("u", ""));
    } catch {
      return `error parsing regexp: \`${source}\``;
    }
  }
}
