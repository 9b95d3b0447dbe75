/** How many letters of a hash are kept, one after the other, until a text fits. */
const KEPT_OF_HASHES = [6, 4, 2];

/**
 * Shortens the hashes of chain names, `KUBE-SVC-RUKNB3TURLFC6SGL` to `KUBE-SVC-RUKNB3..`, when the text is wider than
 * `width` columns: what stands behind the name stays.
 */
export function shortenChains(text: string, width: number): string {
  let shorter = text;
  for (const kept of KEPT_OF_HASHES) {
    if (shorter.length <= width) return shorter;
    shorter = text.replace(
      /\b(KUBE(?:-[A-Z]{2,6}){1,2}-)([A-Z0-9]{16})\b/g,
      (_, name, hash) => `${String(name)}${String(hash).slice(0, kept)}..`,
    );
  }
  return shorter;
}
