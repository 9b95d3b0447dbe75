import type { NetDevice } from "../../../core/device.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { flag, option } from "../options.js";
import { refuse } from "../refusal.js";
import { not } from "../values.js";

interface Physdev {
  readonly in: { readonly value: string; readonly invert: boolean } | undefined;
  readonly out: { readonly value: string; readonly invert: boolean } | undefined;
  readonly isIn: { readonly invert: boolean } | undefined;
  readonly isOut: { readonly invert: boolean } | undefined;
  readonly isBridged: { readonly invert: boolean } | undefined;
}

const IN = option("physdev-in", readDevice, { not: true });
const OUT = option("physdev-out", readDevice, { not: true });
const IS_IN = flag("physdev-is-in", { not: true });
const IS_OUT = flag("physdev-is-out", { not: true });
const IS_BRIDGED = flag("physdev-is-bridged", { not: true });

/** `-m physdev`: the bridge ports a bridged packet came in and goes out by. */
export const physdev: MatchExtension = defineMatch<Physdev>({
  name: "physdev",
  mirrors: "net/netfilter/xt_physdev.c:physdev_mt()",
  fidelity: "exact",
  examples: [
    "--physdev-in br0p1",
    "! --physdev-in br+",
    "--physdev-in p1 --physdev-out p2 --physdev-is-bridged",
  ],
  options: [IN, OUT, IS_IN, IS_OUT, IS_BRIDGED],
  check(args) {
    if (args.all.length === 0) throw refuse("PHYSDEV: no physdev option specified");
  },
  parse: (args) => ({
    in: args.get(IN),
    out: args.get(OUT),
    isIn: args.get(IS_IN),
    isOut: args.get(IS_OUT),
    isBridged: args.get(IS_BRIDGED),
  }),
  format(params) {
    const words: string[] = [];
    if (params.isIn !== undefined) words.push(`${not(params.isIn.invert)}--physdev-is-in`);
    if (params.in !== undefined)
      words.push(`${not(params.in.invert)}--physdev-in ${params.in.value}`);
    if (params.isOut !== undefined) words.push(`${not(params.isOut.invert)}--physdev-is-out`);
    if (params.out !== undefined)
      words.push(`${not(params.out.invert)}--physdev-out ${params.out.value}`);
    if (params.isBridged !== undefined)
      words.push(`${not(params.isBridged.invert)}--physdev-is-bridged`);
    return words.join(" ");
  },
  refuses({ out, isOut, isBridged }, { hooks }) {
    const needsOut = (out !== undefined || isOut?.invert === false) && isBridged?.invert !== false;
    return needsOut && hooks.has("OUTPUT") ? "Invalid argument" : undefined;
  },
  matches(params, skb) {
    const { bridge } = skb;
    const tests: readonly (readonly [{ readonly invert: boolean } | undefined, boolean])[] = [
      [params.in, isNamed(bridge?.physicalIn, params.in?.value)],
      [params.out, isNamed(bridge?.physicalOut, params.out?.value)],
      [params.isIn, bridge?.physicalIn !== undefined],
      [params.isOut, bridge?.physicalOut !== undefined],
      [params.isBridged, bridge?.physicalOut !== undefined],
    ];
    return tests.every(([test, holds]) => test === undefined || holds !== test.invert);
  },
  why: (_, skb) =>
    skb.bridge === undefined
      ? "packet is not bridged"
      : `packet came by port ${skb.bridge.physicalIn?.name ?? "none"} and goes to ${skb.bridge.physicalOut?.name ?? "none"}`,
});

function isNamed(dev: NetDevice | undefined, pattern: string | undefined): boolean {
  if (dev === undefined || pattern === undefined) return false;
  return pattern.endsWith("+") ? dev.name.startsWith(pattern.slice(0, -1)) : dev.name === pattern;
}

function readDevice(text: string): string {
  if (text.length > 15)
    throw refuse(`interface name \`${text}' must be shorter than IFNAMSIZ (15)`);
  return text;
}
