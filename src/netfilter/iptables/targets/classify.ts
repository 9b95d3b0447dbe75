import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";
import { option } from "../options.js";
import { refuse } from "../refusal.js";

const CLASS = option("set-class", readClass, { must: true });

/** `-j CLASSIFY`: the packet's priority, for queueing. */
export const classify: TargetExtension = defineTarget<number>({
  name: "CLASSIFY",
  mirrors: "net/netfilter/xt_CLASSIFY.c:classify_tg()",
  fidelity: "exact",
  examples: ["--set-class 0001:0002", "--set-class ffff:ffff"],
  options: [CLASS],
  only: { hooks: ["FORWARD", "OUTPUT", "POSTROUTING"] },
  parse: (args) => args.need(CLASS).value,
  format: (value) => `--set-class ${digits(value >>> 16)}:${digits(value & 0xffff)}`,
  apply(value, skb) {
    skb.priority = value;
    return CONTINUE;
  },
});

function digits(value: number): string {
  return value.toString(16).padStart(4, "0");
}

function readClass(text: string): number {
  const parts = /^([0-9a-f]{1,8}):([0-9a-f]{1,8})/i.exec(text);
  if (parts === null) throw refuse(`Bad class value "${text}"`);
  return (
    (((Number.parseInt(parts[1] ?? "", 16) & 0xffff) << 16) |
      (Number.parseInt(parts[2] ?? "", 16) & 0xffff)) >>>
    0
  );
}
