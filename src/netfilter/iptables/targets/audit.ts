import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";
import { option } from "../options.js";
import { refuse } from "../refusal.js";

const TYPES = ["accept", "drop", "reject"];
const TYPE = option("type", readType, { must: true });

/** `-j AUDIT`: a record for the audit system; the packet goes on. */
export const audit: TargetExtension = defineTarget<string>({
  name: "AUDIT",
  mirrors: "net/netfilter/xt_AUDIT.c:audit_tg()",
  fidelity: "exact",
  examples: ["--type accept", "--type drop"],
  options: [TYPE],
  parse: (args) => args.need(TYPE).value,
  format: (type) => `--type ${type}`,
  apply: () => CONTINUE,
  log: (type) => ({ by: "AUDIT", level: undefined, group: undefined, prefix: type, parts: [] }),
});

function readType(text: string): string {
  const type = text.toLowerCase();
  if (!TYPES.includes(type)) throw refuse(`Bad action type value "${text}"`);
  return type;
}
