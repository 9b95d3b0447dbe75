/**
 * Breaks a line between words where it is wider than `width` columns; what goes on below begins with `indent`. A word
 * that is wider than the line stands out.
 */
export function fold(line: string, width: number, indent: string): readonly string[] {
  const out: string[] = [];
  let rest = line;
  while (rest.length > width) {
    const first = rest.length - rest.trimStart().length;
    const before = rest.lastIndexOf(" ", width);
    const at = before > first ? before : rest.indexOf(" ", Math.max(width, first));
    if (at < 0) break;
    out.push(rest.slice(0, at).trimEnd());
    rest = indent + rest.slice(at).trimStart();
  }
  return [...out, rest];
}
