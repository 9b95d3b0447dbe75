/*
 * The names that controllers give. The real ones come from a hash of Go's dump of the template and from chance; ours
 * come from the object's own content, so that the same manifests always give the same names. Differs: synthetic.
 */

/** The letters of generated names: no vowels, no 0, 1, 3. Mirrors k8s.io/apimachinery/pkg/util/rand.alphanums. */
const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

/** The longest base of a generated name: what leaves room for five characters in a DNS label. */
const BASE_LENGTH = 58;

const utf8 = new TextEncoder();

/** 32-bit FNV-1a over the UTF-8 bytes of a text. */
export function fnv1a(text: string): number {
  let hash = 0x811c_9dc5;
  for (const byte of utf8.encode(text)) hash = Math.imul(hash ^ byte, 0x0100_0193) >>> 0;
  return hash >>> 0;
}

/** `7d9c5f8b6`: a hash of the template with its digits mapped to safe letters. Mirrors rand.SafeEncodeString(). */
export function templateHash(template: unknown): string {
  return [...String(fnv1a(canonicalJson(template)))]
    .map((digit) => letter(digit.charCodeAt(0)))
    .join("");
}

/** `<base><five letters>`, unlike every name in `taken`; adds itself to it. `base` ends in its own hyphen. */
export function generateName(base: string, owner: string, taken: Set<string>): string {
  const kept = base.slice(0, BASE_LENGTH);
  for (let attempt = 0; ; attempt++) {
    const name = kept + fiveLetters(`${owner}#${attempt}`);
    if (taken.has(name)) continue;
    taken.add(name);
    return name;
  }
}

function fiveLetters(text: string): string {
  let rest = mix(fnv1a(text));
  let letters = "";
  for (let index = 0; index < 5; index++) {
    letters += letter(rest);
    rest = Math.floor(rest / ALPHABET.length);
  }
  return letters;
}

/** Spreads a hash over its 32 bits, so that neighbouring texts give names that look different. */
function mix(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x21f0_aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a_2d97);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

function letter(code: number): string {
  return ALPHABET[code % ALPHABET.length] ?? "";
}

/** JSON whose keys are sorted, so that the order of a file's fields does not matter. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
