import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";
import {
  applyMark,
  formatMarkChange,
  type MarkChange,
  markChange,
  markOptions,
} from "../mark-options.js";
import { hex } from "../numbers.js";
import { flag, option } from "../options.js";
import { refuse } from "../refusal.js";
import { u32 } from "../values.js";

type Connmark =
  | { readonly kind: "set"; readonly change: MarkChange }
  | { readonly kind: "save" | "restore"; readonly nfmask: number; readonly ctmask: number };

const OTHERS = ["save-mark", "restore-mark"];
const SETTERS = ["set-xmark", "set-mark", "and-mark", "or-mark", "xor-mark"];
const CHANGES = markOptions(OTHERS);
const SAVE = flag("save-mark", { excludes: ["restore-mark", ...SETTERS] });
const RESTORE = flag("restore-mark", { excludes: ["save-mark", ...SETTERS] });
const CTMASK = option("ctmask", u32, { excludes: ["mask"] });
const NFMASK = option("nfmask", u32, { excludes: ["mask"] });
const MASK = option("mask", u32, { excludes: ["ctmask", "nfmask"] });

/** `-j CONNMARK`: changes the connection's mark, or copies it from or to the packet. Nothing without a connection. */
export const connmark: TargetExtension = defineTarget<Connmark>({
  name: "CONNMARK",
  mirrors: "net/netfilter/xt_connmark.c:connmark_tg()",
  fidelity: "exact",
  examples: [
    "--set-xmark 0x5/0xf",
    "--save-mark --nfmask 0xff --ctmask 0xff00",
    "--restore-mark --nfmask 0xffffffff --ctmask 0xffffffff",
  ],
  options: [...CHANGES.map(({ spec }) => spec), SAVE, RESTORE, CTMASK, NFMASK, MASK],
  tracks: true,
  check(args) {
    if (markChange(args, CHANGES) === undefined && !args.has(SAVE) && !args.has(RESTORE))
      throw refuse("CONNMARK target: No operation specified");
  },
  parse(args) {
    const change = markChange(args, CHANGES);
    if (change !== undefined) return { kind: "set", change };
    const mask = args.value(MASK) ?? 0xffff_ffff;
    return {
      kind: args.has(SAVE) ? "save" : "restore",
      nfmask: args.value(NFMASK) ?? mask,
      ctmask: args.value(CTMASK) ?? mask,
    };
  },
  format(params) {
    if (params.kind === "set") return formatMarkChange(params.change);
    return `--${params.kind}-mark --nfmask ${hex(params.nfmask)} --ctmask ${hex(params.ctmask)}`;
  },
  apply(params, skb) {
    const entry = skb.ct?.entry;
    if (entry === undefined) return CONTINUE;
    if (params.kind === "set") entry.mark = applyMark(entry.mark, params.change);
    else if (params.kind === "save")
      entry.mark = applyMark(entry.mark, {
        value: (skb.mark & params.nfmask) >>> 0,
        mask: params.ctmask,
      });
    else
      skb.mark = applyMark(skb.mark, {
        value: (entry.mark & params.ctmask) >>> 0,
        mask: params.nfmask,
      });
    return CONTINUE;
  },
});
