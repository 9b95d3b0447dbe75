import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";
import {
  applyMark,
  formatMarkChange,
  type MarkChange,
  markChange,
  markOptions,
} from "../mark-options.js";
import { refuse } from "../refusal.js";

const CHANGES = markOptions();

/** `-j MARK`: changes the packet's mark and goes on. */
export const mark: TargetExtension = defineTarget<MarkChange>({
  name: "MARK",
  mirrors: "net/netfilter/xt_mark.c:mark_tg()",
  fidelity: "exact",
  examples: ["--set-xmark 0x4000/0x4000", "--set-xmark 0x5/0xffffffff"],
  options: CHANGES.map(({ spec }) => spec),
  check(args) {
    if (args.all.length === 0)
      throw refuse("MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required");
  },
  parse: (args) => markChange(args, CHANGES) ?? { value: 0, mask: 0 },
  format: formatMarkChange,
  apply(change, skb) {
    skb.mark = applyMark(skb.mark, change);
    return CONTINUE;
  },
});
