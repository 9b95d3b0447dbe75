import { formatMask, type MaskedAddress } from "../addresses.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { hex } from "../numbers.js";
import { flag, type Given, option } from "../options.js";
import { formatProtocol } from "../protocols.js";
import { refuse } from "../refusal.js";
import { formatHostMask, hostMask, not, protocol, u32 } from "../values.js";

interface Policy {
  readonly direction: "in" | "out";
  readonly none: boolean;
  readonly strict: boolean;
  /** The tests of each transform, in the order they are printed. */
  readonly elements: readonly (readonly string[])[];
}

const DIR = option("dir", (text) => {
  if (text !== "in" && text !== "out") throw refuse(`policy_match: invalid dir "${text}"`);
  return text;
});
const POL = option("pol", (text) => {
  if (text !== "ipsec" && text !== "none") throw refuse(`policy match: invalid policy "${text}"`);
  return text;
});
const STRICT = flag("strict");
const many = { many: true, not: true } as const;
const REQID = option("reqid", u32, many);
const SPI = option("spi", u32, many);
const TUNNEL_SRC = option("tunnel-src", hostMask, many);
const TUNNEL_DST = option("tunnel-dst", hostMask, many);
const PROTO = option("proto", protocol, many);
const MODE = option(
  "mode",
  (text) => {
    if (text !== "transport" && text !== "tunnel")
      throw refuse(`policy match: invalid mode "${text}"`);
    return text;
  },
  many,
);
const NEXT = flag("next", { many: true });
const ORDER = [REQID, SPI, PROTO, MODE, TUNNEL_DST, TUNNEL_SRC].map((spec) => spec.names[0] ?? "");

/** `-m policy`: the IPsec policy of the packet; no packet here has one, `ip xfrm` is refused. */
export const policy: MatchExtension = defineMatch<Policy>({
  name: "policy",
  mirrors: "net/netfilter/xt_policy.c:policy_mt()",
  fidelity: "exact",
  examples: [
    "--dir in --pol ipsec",
    "--dir in --pol none",
    "--dir in --pol ipsec --strict ! --reqid 5 --proto esp --mode tunnel --next --spi 0x12c",
  ],
  options: [DIR, POL, STRICT, REQID, SPI, TUNNEL_SRC, TUNNEL_DST, PROTO, MODE, NEXT],
  check(args) {
    if (!args.has(DIR)) throw refuse("policy match: neither --dir in nor --dir out specified");
    if (args.value(POL) === "none" && args.has(STRICT))
      throw refuse("policy match: policy none but --strict given");
  },
  parse: (args) => ({
    direction: args.need(DIR).value,
    none: args.value(POL) === "none",
    strict: args.has(STRICT),
    elements: elementsOf(args.all),
  }),
  format({ direction, none, strict, elements }) {
    const head = `--dir ${direction} --pol ${none ? "none" : "ipsec"}${strict ? " --strict" : ""}`;
    const tests = elements.map((words) => words.join(" ")).join(" --next ");
    return tests === "" ? head : `${head} ${tests}`;
  },
  refuses({ direction }, { hooks }) {
    const wrong =
      direction === "in"
        ? (["OUTPUT", "POSTROUTING"] as const)
        : (["PREROUTING", "INPUT"] as const);
    return wrong.some((hook) => hooks.has(hook)) ? "Invalid argument" : undefined;
  },
  matches: ({ none }) => none,
  why: () => "packet has no IPsec policy",
});

/** What stands between `--next`s. */
function elementsOf(given: readonly Given<unknown>[]): readonly (readonly string[])[] {
  const elements: Given<unknown>[][] = [[]];
  for (const one of given) {
    const name = one.spec.names[0] ?? "";
    if (name === "next") elements.push([]);
    else if (ORDER.includes(name)) elements.at(-1)?.push(one);
  }
  return elements.map((element) =>
    ORDER.flatMap((name) => {
      const one = element.findLast(({ spec }) => spec.names[0] === name);
      return one === undefined
        ? []
        : [`${not(one.invert)}--${name} ${formatValue(name, one.value)}`];
    }),
  );
}

function formatValue(name: string, value: unknown): string {
  if (typeof value === "number")
    return name === "spi" ? hex(value) : name === "proto" ? formatProtocol(value) : String(value);
  return typeof value === "string" ? value : formatHostMask(value as MaskedAddress, formatMask);
}
