import { type MatchExtension, defineMatch } from "../extension.js";
import { leadingNumber } from "../numbers.js";
import { option } from "../options.js";
import { refuse } from "../refusal.js";
import { formatTest, type Negatable, u32 } from "../values.js";

interface HeaderOptions {
  readonly length: Negatable<number> | undefined;
  /** `type` or `type:length`, both modulo 256. */
  readonly options: readonly string[] | undefined;
}

/** `-m hbh` and `-m dst` of IPv6, which differ in their names alone. */
export function optionsHeader(name: "hbh" | "dst", mirrors: string): MatchExtension {
  const length = option(`${name}-len`, u32, { not: true });
  const list = option(`${name}-opts`, (text) => readOptions(name, text));
  return defineMatch<HeaderOptions>({
    name,
    family: "ipv6",
    mirrors,
    fidelity: "unmodelled",
    examples: [`--${name}-len 16`, `! --${name}-len 16 --${name}-opts 5,194:4,0`],
    options: [length, list],
    parse: (args) => ({ length: args.get(length), options: args.value(list) }),
    format: (params) =>
      [
        ...formatTest(`${name}-len`, params.length, String),
        ...(params.options === undefined ? [] : [`--${name}-opts ${params.options.join(",")}`]),
      ].join(" "),
  });
}

function readOptions(name: string, text: string): readonly string[] {
  const parts = text.split(",");
  if (parts.length > 16) throw refuse("too many addresses specified");
  return parts.map((part) => {
    const [type = "", length] = part.split(":");
    return length === undefined
      ? String(readByte(name, type))
      : `${readByte(name, type)}:${readByte(name, length)}`;
  });
}

function readByte(name: string, text: string): number {
  const number = /^0x[0-9a-f]+/i.test(text) ? Number(text) : leadingNumber(text);
  if (number === undefined || Number.isNaN(number))
    throw refuse(`${name}: no valid digits in opt \`${text}'`);
  return number & 0xff;
}
